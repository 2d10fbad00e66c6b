"""A function's source, with all that it needs, to run where the library is not.

What a function refers to is looked up, as Python would, and brought along: other functions of the
library by their source, numbers and tables by their values, NumPy and SciPy by an import.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import math
import sys
import textwrap
import types
from typing import Any

import numpy as np

from .. import errors, project, registry
from ..choices import Choice
from ..graph import Grad
from ..lazy import _Function, _Module
from .mathml import FormulaError
from .syntax import Bare, Rename, bound, tree_of

_STANDARD = ("math", "operator", "functools", "itertools", "types", "collections", "builtins")
_LARGEST = 20_000  # elements of a table that is still written down


class Carrier:
    """Collects imports, tables and helpers; `text` is the head of a program that has them."""

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.taken: set[str] = set()
        self._parts: list[str] = []
        self._names: dict[int, str] = {}
        self._alive: list[Any] = []

    def text(self) -> str:
        order = sorted(self.imports, key=lambda line: ("numpy" in line or "scipy" in line, line))
        return "\n\n\n".join([*(["\n".join(order)] if order else []), *self._parts])

    def numpy(self) -> str:
        self.imports.add("import numpy as np")
        return "np"

    # What an expression refers to -----------------------------------------------------------------

    def value(self, v: Any) -> str:
        """Source of an expression that is `v`."""
        known = self._names.get(id(v))
        if known is not None:
            return known
        if v is None or v is Ellipsis or isinstance(v, (bool, int, str, bytes)):
            return repr(v)
        if isinstance(v, (float, complex)) and not isinstance(v, np.generic):
            return self._number(v)
        if isinstance(v, type):
            return self._type(v)
        if isinstance(v, np.dtype):
            return f"{self.numpy()}.dtype({v.str!r})"
        if isinstance(v, np.generic):
            return f"{self.numpy()}.{v.dtype.name}({self.value(v.item())})"
        if isinstance(v, slice):
            return f"slice({', '.join(self.value(x) for x in (v.start, v.stop, v.step))})"
        if isinstance(v, (tuple, list, set, frozenset, dict)):
            return self._collection(v)
        if isinstance(v, np.ndarray):
            return self._table(v)
        if isinstance(v, Choice):
            self.imports.add("import types")
            return f"types.SimpleNamespace(value={self.value(v.value)})"
        if isinstance(v, (types.ModuleType, _Module)):
            return self._module(v)
        return self._callable(v)

    def _number(self, v: Any) -> str:
        if isinstance(v, complex):
            return f"complex({self._number(v.real)}, {self._number(v.imag)})"
        return repr(v) if math.isfinite(v) else f"float({str(v)!r})"

    def _collection(self, v: Any) -> str:
        if isinstance(v, dict):
            inner = ", ".join(f"{self.value(k)}: {self.value(x)}" for k, x in v.items())
            return f"{{{inner}}}"
        inner = ", ".join(map(self.value, v))
        if isinstance(v, list):
            return f"[{inner}]"
        if hasattr(v, "_fields"):
            return f"{self.value(type(v))}({inner})"
        if isinstance(v, tuple):
            return f"({inner}{',' if len(v) == 1 else ''})"
        braced = f"{{{inner}}}" if v else ""
        return braced if v and isinstance(v, set) else f"{type(v).__name__}({braced})"

    def _table(self, v: np.ndarray) -> str:
        if v.size > _LARGEST or v.dtype.kind not in "biufc":
            raise self.refused(f"an array of shape {v.shape} and dtype {v.dtype}")
        self.numpy()
        values = f"np.array({self.value(v.tolist())}, dtype={v.dtype.name!r})"
        if not v.size:
            values = f"np.zeros({v.shape}, dtype={v.dtype.name!r})"
        return self.keep(v, values, "_table") if v.size > 8 else values

    def keep(self, v: Any, source: str, name: str) -> str:
        """A constant of the program, named."""
        label = self.new(name)
        self._known(v, label)
        self._parts.append(f"{label} = {source}")
        return label

    def _type(self, v: type) -> str:
        module = v.__module__
        if module == "builtins":
            return v.__name__
        if module.startswith("numpy"):
            return self._in_module(v, "numpy")
        if issubclass(v, Grad):
            return self._op(v)
        if issubclass(v, BaseException):
            base = next(one for one in v.__mro__ if one.__module__ in ("builtins", "numpy.linalg"))
            return self.value(base)
        if module.startswith("gradarray.ops"):
            return self._class(v)
        raise self.refused(f"the class {module}.{v.__name__}")

    def _op(self, op: Any) -> str:
        self.imports.add("import types")
        return f"types.SimpleNamespace(forward={self.forward(op)})"

    def _module(self, v: Any) -> str:
        name = v._name if isinstance(v, _Module) else v.__name__
        if name == "numpy":
            return self.numpy()
        if name.startswith("scipy."):
            head, _, tail = name.rpartition(".")
            self.imports.add(f"from {head} import {tail}")
            return tail
        if name.split(".")[0] in _STANDARD:
            self.imports.add(f"import {name}")
            return name
        raise self.refused(f"the module {name}")

    def _callable(self, v: Any) -> str:
        if isinstance(v, (staticmethod, classmethod)):
            return self.value(v.__func__)
        if isinstance(v, functools.partial):
            self.imports.add("import functools")
            given = [self.value(v.func), *map(self.value, v.args)]
            given += [f"{k}={self.value(x)}" for k, x in v.keywords.items()]
            return f"functools.partial({', '.join(given)})"
        if v is project.is_foreign:  # a value that is not there yet: only the library has such
            return self.keep(v, "lambda x: False", "_is_foreign")
        if v is project.given:
            return "None"
        if v is errors.message:
            return self.keep(v, 'lambda *words: " ".join(words)', "_message")
        op = _op_of(v)
        if op is not None:
            return self.forward(op)
        if hasattr(v, "cache_info"):
            return self.value(v.__wrapped__)
        if isinstance(v, np.ufunc):
            return self._in_module(v, "numpy") if getattr(np, v.__name__, None) is v else (
                self._in_module(v, "scipy.special")
            )
        module = getattr(v, "__module__", None) or type(v).__module__
        if isinstance(v, _Function) or module.startswith("scipy"):
            return self._in_module(v, _public_home(module))
        if module.startswith("numpy"):
            return self._in_module(v, "numpy")
        if module == "builtins" and hasattr(builtins, v.__name__):
            return v.__name__
        if module.lstrip("_") in _STANDARD:
            return f"{self._module(importlib.import_module(module.lstrip('_')))}.{v.__name__}"
        if isinstance(v, types.FunctionType) and module.startswith("gradarray"):
            return self.function(v)
        raise self.refused(f"{v!r}")

    def _in_module(self, v: Any, home: str) -> str:
        name = v.__name__
        if home.startswith("scipy"):
            return f"{self._module(importlib.import_module(home))}.{name}"
        for path in ("", "linalg", "fft", "lib.stride_tricks"):
            place: Any = np
            for part in path.split(".") if path else []:
                place = getattr(place, part)
            if getattr(place, name, None) is v:
                return ".".join([self.numpy(), *([path] if path else []), name])
        raise self.refused(f"NumPy's {name}")

    # Functions and classes ------------------------------------------------------------------------

    def forward(self, op: type[Grad]) -> str:
        """The name of a function that computes the op on arrays."""
        fn = _plain_function(op)
        if isinstance(fn, types.FunctionType) and id(fn) not in self._names:
            return self.function(fn, op.name)
        return self.value(fn)

    def function(self, fn: Any, name: str = "") -> str:
        """The name under which a function of the library is brought along."""
        label = self.new("_" + (name or fn.__code__.co_name).strip("_<>"))
        self._known(fn, label)
        tree = tree_of(fn)
        if tree is None:
            raise self.refused(f"the function {fn.__name__}")
        closed = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
        given = {k: cell.cell_contents for k, cell in closed.items()}
        tree = self._renamed(tree, {**fn.__globals__, **given})
        if isinstance(tree, ast.Lambda):
            args = ast.unparse(tree.args)
            self._parts.append(f"def {label}({args}):\n    return {ast.unparse(tree.body)}")
        else:
            tree.name = label
            self._parts.append(ast.unparse(tree))
        return label

    def _class(self, v: type) -> str:
        label = self.new("_" + v.__name__.strip("_"))
        self._known(v, label)
        tree = ast.parse(textwrap.dedent(inspect.getsource(v))).body[0]
        assert isinstance(tree, ast.ClassDef)
        if hasattr(v, "_fields"):
            fields: Any = getattr(v, "_fields")  # noqa: B009
            self.imports.add("import collections")
            base = f"collections.namedtuple({v.__name__!r}, {fields!r})"
            tree.bases = [ast.parse(base, mode="eval").body]
            tree.body = [x for x in tree.body if not isinstance(x, ast.AnnAssign)] or [ast.Pass()]
        tree = self._renamed(tree, vars(sys.modules[v.__module__]))
        tree.name = label
        self._parts.append(ast.unparse(tree))
        return label

    def _renamed(self, tree: Any, scope: dict[str, Any]) -> Any:
        """With every name that it takes from outside by what is brought along in its place."""
        tree = Bare().visit(tree)
        own = bound(tree)
        tree = _Inner({k: v for k, v in scope.items() if k not in own}, self).visit(tree)
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - own
        there = {name: self._outer(name, scope[name]) for name in sorted(used) if name in scope}
        return Rename(there).visit(tree)

    def _outer(self, name: str, v: Any) -> str:
        if v is not None:
            return self.value(v)
        label = self.new("_" + name.strip("_"))  # named, as it may be called where it is something
        self._parts.append(f"{label} = None")
        return label

    def new(self, name: str) -> str:
        """A name that nothing else has."""
        label, k = name, 1
        while label in self.taken:
            k += 1
            label = f"{name}_{k}"
        self.taken.add(label)
        return label

    def _known(self, v: Any, label: str) -> None:
        self._names[id(v)] = label
        self._alive.append(v)

    def refused(self, what: str) -> FormulaError:
        return FormulaError(
            errors.message("explain", f"there is no source without gradarray for {what}.")
        )


def _public_home(module: str) -> str:
    """scipy.special for scipy.special._ufuncs."""
    return ".".join([part for part in module.split(".") if not part.startswith("_")])


@functools.cache
def _functions() -> dict[int, type[Grad]]:
    found = {}
    for op in registry.ops.values():
        own = vars(op).get("of")
        if isinstance(own, staticmethod):
            found[id(own.__func__)] = op
    return found


def _op_of(v: Any) -> type[Grad] | None:
    """The op whose own function this is."""
    return _functions().get(id(v)) if isinstance(v, types.FunctionType) else None


@functools.cache
def _plain_function(op: Any) -> Any:
    """NumPy's function of the same name where there is one and it needs no parameters."""
    if isinstance(op.forward, np.ufunc):
        return op.forward
    for entry in registry.functions.values():
        if entry.op is op and entry.numpy and isinstance(entry.numpy[0], np.ufunc):
            known = entry.numpy[0]
            return known if known.nin == len(op.operands) else op.forward
    return op.forward


class _Inner(ast.NodeTransformer):
    """What is reached through a module of the library: `lazy.linalg` in place of its parts."""

    def __init__(self, scope: dict[str, Any], carrier: Carrier) -> None:
        self.scope, self.carrier = scope, carrier

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.generic_visit(node)
        place = self.scope.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if not isinstance(place, types.ModuleType) or not place.__name__.startswith("gradarray"):
            return node
        return ast.parse(self.carrier.value(getattr(place, node.attr)), mode="eval").body
