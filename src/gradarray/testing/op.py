"""check_op: every test that the declaration of an op implies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..algebra import Elementwise
from ..errors import UnknownNameError
from ..registry import Function, functions
from .draw import Call, calls_of
from .numeric import Where
from .op_derivatives import (
    Derivatives,
    check_empty,
    check_first,
    check_float32,
    check_higher,
    check_layouts,
    check_second,
    check_unattached,
)
from .op_values import check_edges, check_protocol, check_values


def check_op(function: str | Callable[..., Any] | Function) -> None:
    r"""Test a public function by what its declaration says: by name, by itself, or the declaration.

    For every case of the declaration (an elementwise op's follow from its `domain`):

    - values, shape and dtype against the reference in float64 and float32, for plain arrays too;
    - the NumPy function that it stands in for, called on GradArrays, gives the same;
    - zeros, infinities, NaN, ties, empty and 0-d arrays, integers and booleans, as the reference;
    - the derivative along a direction against extrapolated central differences, and against the
      complex step where the reference is analytic;
    - the adjoint identity \langle v, J w \rangle = \langle J^T v, w \rangle to 64 eps times the
      sum of the magnitudes of the products, and pull against push column by column;
    - the second derivative in all four mixes of the modes and against differences of the
      gradient, higher ones up to `orders`;
    - float32 staying float32, strided, reversed, Fortran-ordered and read-only operands.

    Raises AssertionError naming the function, the case, what was compared, the numbers and the
    bound; KeyError for a function that is not registered.

    >>> from gradarray.testing import check_op
    >>> check_op("tanh")
    """
    entry = entry_of(function)
    calls = calls_of(entry)
    if not calls:
        raise AssertionError(f"{entry.name}: no cases to test; declare cases=[case(arr(2, 3))]")
    for call in calls:
        check_call(call)


def entry_of(function: str | Callable[..., Any] | Function) -> Function:
    """The declaration of a public function."""
    if isinstance(function, Function):
        return function
    if isinstance(function, str):
        if function not in functions:
            raise UnknownNameError(f"no public function is named {function!r}")
        return functions[function]
    for entry in functions.values():
        if entry.fn is function:
            return entry
    raise UnknownNameError(
        f"{function!r} is not a function of gradarray; test one of yours with "
        "gradarray.testing.check(f, *args)"
    )


def check_call(call: Call) -> None:
    """All tests of one case."""
    where = Where(str(call))
    entry = call.entry
    check_values(call, where)
    check_protocol(call, where)
    check_edges(call, where)
    if not entry.differentiable:
        check_unattached(call, where)
    if not call.moving:
        return
    d = Derivatives(call, where)
    check_first(d)
    for order in range(2, entry.orders + 1):
        if order == 2:
            check_second(d)
        else:
            check_higher(d, order)
    check_layouts(d)
    if entry.op is not None and issubclass(entry.op, Elementwise):
        check_empty(d)
    check_float32(d)
