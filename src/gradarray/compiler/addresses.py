"""Addresses of the BLAS and LAPACK that SciPy brings, and exports for compiled code as capsules.

`scipy.linalg` takes a sixth of a second to import, its modules of capsules alone a tenth of that.
So where nobody has imported the package they are loaded by their files.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

_MODULES = ("scipy.linalg.cython_blas", "scipy.linalg.cython_lapack")


@functools.cache
def address(name: str) -> int:
    """Where a routine begins."""
    for module in _MODULES:
        capsule = _capsules(module).get(name)
        if capsule is not None:
            return _pointer(capsule)
    raise KeyError(name)


def _pointer(capsule: Any) -> int:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))


@functools.cache
def _capsules(module: str) -> dict[str, Any]:
    if "scipy.linalg" not in sys.modules:
        with contextlib.suppress(ImportError, OSError, AttributeError):
            return _alone(module).__pyx_capi__
    return importlib.import_module(module).__pyx_capi__


def _alone(module: str) -> Any:
    """A module of a package without the package; it is imported anew by whoever asks later."""
    package, _, name = module.rpartition(".")
    found = importlib.util.find_spec(package.split(".")[0])
    roots = found.submodule_search_locations if found is not None else None
    if not roots:
        raise ImportError(package)
    folder = Path(roots[0]).joinpath(*package.split(".")[1:])
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        file = folder / f"{name}{suffix}"
        if file.exists():
            break
    else:
        raise ImportError(module)
    spec = importlib.util.spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        raise ImportError(module)
    loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
    finally:
        sys.modules.pop(module, None)  # its package, once imported, must know it
    return loaded
