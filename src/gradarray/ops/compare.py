"""Comparisons, and choices between values: where, maximum, minimum, relu."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray
from ..choices import choice
from ..record import apply, elementwise
from ..registry import arr, case, public


class EqualGrad(Elementwise):
    """y = (a == b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.equal([1.0, 2.0], 2.0)
    GradArray([False,  True], dtype=bool)
    """

    forward = operator.eq
    partials = (None, None)
    tex = "{a} = {b}"


equal = elementwise(EqualGrad, numpy=np.equal, method="__eq__", differentiable=False)


class GreaterGrad(Elementwise):
    """y = (a > b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.greater([1.0, 2.0], 1.5)
    GradArray([False,  True], dtype=bool)
    """

    forward = operator.gt
    partials = (None, None)
    tex = "{a} > {b}"


greater = elementwise(GreaterGrad, numpy=np.greater, method="__gt__", differentiable=False)


class LogicalAndGrad(Elementwise):
    """y = a and b, boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.logical_and([True, True], [True, False])
    GradArray([ True, False], dtype=bool)
    """

    name = "logical_and"
    forward = np.logical_and
    partials = (None, None)
    tex = r"{a} \wedge {b}"


logical_and = elementwise(LogicalAndGrad, numpy=np.logical_and, differentiable=False)


class LogicalNotGrad(Elementwise):
    """y = not x, boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.logical_not([True, False])
    GradArray([False,  True], dtype=bool)
    """

    name = "logical_not"
    forward = np.logical_not
    partials = (None,)
    tex = r"\neg {x}"


logical_not = elementwise(LogicalNotGrad, numpy=np.logical_not, differentiable=False)


class WhereGrad(Elementwise):
    """y = a where cond, else b."""

    operands = ("cond", "a", "b")
    forward = np.where
    partials = (None, lambda cond: cond, lambda cond: logical_not(cond))
    always_meta = True
    tex = r"\begin{cases} {a} & {cond} \\ {b} \end{cases}"


@public(
    numpy=np.where,
    op=WhereGrad,
    cases=[
        case(arr(2, 3, kind="bool"), arr(2, 3), arr(2, 3)),
        case(arr(3, kind="bool"), arr(2, 1), 1.5),
    ],
)
def where(cond: Any, a: Any, b: Any) -> GradArray:
    """y = a where `cond` holds, else b; the derivative of the branch not taken is exactly 0.

    >>> import gradarray as ga
    >>> x = ga.array([0.0, 4.0])
    >>> ga.grad(lambda x: ga.where(x > 0, ga.sqrt(x), 0.0).sum())(x)
    GradArray([0.  , 0.25], dtype=float64)
    """
    return apply(WhereGrad, cond, a, b)


_relu_at_0 = choice(
    "relu", "x = 0", 0.0, between=(0.0, 1.0), reason="a unit that is off stays off; PyTorch's too"
)


class ReLUGrad(Elementwise):
    """y = max(x, 0); dy/dx at 0 is 0 (see `set_subgradient`)."""

    name = "relu"
    forward = staticmethod(lambda x: np.maximum(x, 0))
    partials = (lambda x: step(x, _relu_at_0.value),)
    tex = r"\max({x}, 0)"


relu = elementwise(ReLUGrad, reference=lambda x: np.where(x > 0, x, 0))


def step(x: Any, at_0: float) -> Any:
    """0 below 0, 1 above, `at_0` at 0: the derivative of a kink at 0."""
    if at_0 == 0:
        return greater(x, 0)
    return where(equal(x, 0), at_0, greater(x, 0))
