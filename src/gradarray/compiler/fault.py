"""Faults of the compiler itself: an error that has all it takes to see them again.

LLVM ends the process where it is given what it cannot translate. So text is verified, and looked
over for what is known to do that, before any code is made of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..errors import GraphError, message
from .llvm import llvm
from .program import Program


class CompilerFault(RuntimeError):
    """The compiler failed, not the function: `program` and `text` say at what.

    `program` is the recorded function, `text` the code that LLVM refused ('' if it did not come
    so far). The function itself runs without `ga.compile`.
    """

    program = ""
    text = ""

    @property
    def reproducer(self) -> str:
        """What to send to those who mend it."""
        return f"{self.args[0]}\n\n{self.program}\n\n{self.text}".rstrip() + "\n"


class Refused(Exception):
    """Text that no code may be made of."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(why)
        self.text = text


@contextlib.contextmanager
def blamed(program: Program) -> Iterator[None]:
    """Errors within are the compiler's: they say of which program."""
    try:
        yield
    except (GraphError, MemoryError, CompilerFault):
        raise
    except Exception as why:
        fault = CompilerFault(
            message(
                "compile",
                f"the compiler itself failed, {type(why).__name__}: {str(why) or 'no reason'}.",
                "The function is right: it runs without ga.compile. Please report "
                "`error.reproducer`, which has the recorded program.",
            )
        )
        fault.program = program.show()
        fault.text = why.text if isinstance(why, Refused) else ""
        raise fault from why


def verified(text: str, context: Any = None) -> Any:
    """LLVM's text as a module; Refused where it is not right, or would end the process."""
    try:
        module = llvm.parse_assembly(text, context)
        module.verify()
    except RuntimeError as why:
        raise Refused(str(why), text) from why
    if " asm " in text:
        raise Refused("inline assembly, which asks for a parser that is not started", text)
    own = _family(llvm.get_default_triple())
    for function in module.functions:
        name = function.name
        if not name.startswith("llvm."):
            continue
        family = name.split(".")[1]
        if not list(function.attributes):
            raise Refused(f"{name}, which LLVM does not know", text)
        if family in _FAMILIES and family != own:
            raise Refused(f"{name}, which is of another processor", text)
    return module


_FAMILIES = frozenset({"x86", "aarch64", "arm", "ppc", "riscv", "s390", "loongarch", "wasm"})


def _family(triple: str) -> str:
    cpu = triple.split("-", maxsplit=1)[0]
    return "x86" if cpu in ("x86_64", "i386", "i686") else {"arm64": "aarch64"}.get(cpu, cpu)
