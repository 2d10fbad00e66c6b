"""LLVM, as llvmlite has it: loaded here, and said here where it is not to be had."""

from __future__ import annotations

from ..errors import message

try:
    import llvmlite.binding as llvm
except Exception as why:
    raise ImportError(
        message(
            "compile",
            f"llvmlite, which makes native code, cannot be loaded: {why}.",
            "Install it anew (pip install --force-reinstall llvmlite). All else works without it.",
        )
    ) from why

__all__ = ["llvm"]
