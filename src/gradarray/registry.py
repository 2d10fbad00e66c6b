"""Every op and every public function by name: for tests, docs and NumPy's protocols."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .array import method as install_method
from .graph import Grad
from .namespace import no_attribute, told_of_keywords

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Sample:
    """How to draw one array argument of a function's test."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    # float, distinct (no two values near one another), int, bool; of matrices also regular
    # (singular values spread over [1, 2]) and spd (symmetric, eigenvalues spread over [1, 2]);
    # complex (both parts drawn as floats)
    kind: str = "float"

    @property
    def differentiable(self) -> bool:
        return self.kind in ("float", "distinct", "regular", "spd")


def arr(*shape: int, low: float = -2.0, high: float = 2.0, kind: str = "float") -> Sample:
    """An array argument of this shape, drawn from [low, high), or as its kind says."""
    return Sample(shape, low, high, kind)


@dataclass(frozen=True)
class Case:
    """One call of a function: arguments (a Sample is drawn, also inside lists) and keywords."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def case(*args: Any, **kwargs: Any) -> Case:
    return Case(args, kwargs)


@dataclass(frozen=True)
class Function:
    """A public function: what it is called, what it equals, and the calls that test it."""

    name: str
    fn: Callable[..., Any]
    numpy: tuple[Any, ...] = ()
    reference: Callable[..., Any] | None = None
    cases: tuple[Case, ...] = ()
    op: type[Grad] | None = None
    differentiable: bool = True
    orders: int = 2  # highest order of derivative that its test takes
    aliases: tuple[str, ...] = ()
    group: str = ""
    tags: frozenset[str] = field(default_factory=frozenset)


ops: dict[str, type[Grad]] = {}
functions: dict[str, Function] = {}
numpy_functions: dict[Any, Callable[..., Any]] = {}


def register_op(cls: type[Grad]) -> None:
    """Enter an op under its name; a name taken twice is an error."""
    if cls.name in ops:
        raise ValueError(f"an op named {cls.name!r} is registered already: {ops[cls.name]}")
    ops[cls.name] = cls


def public(
    *,
    name: str = "",
    numpy: Any = (),
    reference: Callable[..., Any] | None = None,
    method: str | bool | tuple[str, ...] = False,
    cases: tuple[Case, ...] | list[Case] = (),
    op: type[Grad] | None = None,
    differentiable: bool = True,
    orders: int = 2,
    aliases: tuple[str, ...] = (),
    tags: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Declare a public function of gradarray.

    `numpy`: the NumPy function (or functions) that it stands in for when called on a GradArray
    (`np.sum(x)`). `reference`: what its values are compared with in tests, given NumPy arrays
    (default: the first of `numpy`). `method`: also a method of GradArray, under this name.
    `cases`: calls that `check_op` runs. `orders`: up to which order it tests derivatives.
    """
    stands_for = numpy if isinstance(numpy, tuple) else (numpy,)

    def declare(fn: F) -> F:
        if "axis" in fn.__code__.co_varnames[: fn.__code__.co_argcount]:
            fn = told_of_keywords(fn)
        label = name or fn.__name__
        for known in (label, *aliases):
            if known in functions:
                raise ValueError(f"a function named {known!r} is registered already")
        entry = Function(
            label,
            fn,
            stands_for,
            reference or (stands_for[0] if stands_for else None),
            tuple(cases),
            op,
            differentiable,
            orders,
            aliases,
            getattr(fn, "__module__", "").rsplit(".", 1)[-1],
            frozenset(tags),
        )
        functions[label] = entry
        for alias in aliases:
            functions[alias] = entry
        for numpy_function in stands_for:
            if numpy_function in numpy_functions:
                raise ValueError(f"{numpy_function} is stood in for already")
            numpy_functions[numpy_function] = fn
        names = (label,) if method is True else (method,) if isinstance(method, str) else method
        for method_name in names or ():
            install_method(method_name)(fn)
        return fn

    return declare


def _missing(x: Any, name: str) -> Any:
    raise no_attribute(x, name, functions)


install_method("__getattr__")(_missing)


def signature_of(names: tuple[str, ...]) -> inspect.Signature:
    """The signature of a function of positional operands."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(n, kind) for n in names])
