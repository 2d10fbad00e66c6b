"""Ops about the graph itself: alias, stop_gradient, trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import Elementwise, Linear, given
from ..array import GradArray, data_of, lift, wrap
from ..graph import next_seq
from ..registry import arr, case, public

__all__ = [
    "stop_gradient",
]


class AliasGrad(Linear):
    """y = x. A transform passes its arguments through it: nothing older can depend on it."""

    forward = staticmethod(lambda x: x)
    transpose = staticmethod(lambda y_bar: y_bar)
    tex = "{x}"


def alias(x: GradArray) -> GradArray:
    """A handle on the same value with a node of its own, also where x needs no gradient."""
    inner = x._base()
    node = AliasGrad()
    node.parents = (inner._node,)
    node.saved = ()
    node.metas = node.form = None
    node.params = {}
    node.plan = AliasGrad.plan_for((True,))
    node.seq = next_seq()
    return x._like(wrap(data_of(inner), GradArray, node))


@public(differentiable=False, reference=lambda x: x, cases=[case(arr(2, 3))])
def stop_gradient(x: Any) -> GradArray:
    """The values of x as a constant: y = x with dy/dx = 0, in every mode.

    >>> import gradarray as ga
    >>> ga.grad(lambda x: x * ga.stop_gradient(x))(3.0)
    GradArray(3., dtype=float64)
    """
    x = lift(x)
    return x.detach() if hasattr(type(x), "detach") else x


class TrustGrad(Elementwise):
    """y, of which `fine` says whether it is right; where it is not, compiled code gives way.

    A rule that cannot look at values says so where it would do something else for some of them:
    the compiled function then runs op by op, before anything is written.
    """

    forward = staticmethod(lambda y, fine: np.where(fine, y, y))
    operands = ("y0", "fine")
    partials = (1.0, None)
    tex = "{y0}"


given.alias = alias
