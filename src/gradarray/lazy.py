"""SciPy's functions, imported when one is first called.

`scipy.special` takes longer to import than all of gradarray; most programs never call it.
"""

from __future__ import annotations

import importlib
from typing import Any


class _Function:
    """A function of a module that is imported at the first call."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__, self.__name__ = module, name
        self._fn: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fn = self._fn
        if fn is None:
            fn = self._fn = getattr(importlib.import_module(self.__module__), self.__name__)
        return fn(*args, **kwargs)


class _Module:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        fn = self.__dict__[name] = _Function(self._name, name)
        return fn


special: Any = _Module("scipy.special")
linalg: Any = _Module("scipy.linalg")
optimize: Any = _Module("scipy.optimize")
sparse: Any = _Module("scipy.sparse")
blas: Any = _Module("scipy.linalg.blas")
