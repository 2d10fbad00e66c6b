"""count_ops: what a gradient costs, counted in operations and not in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import graph, tree
from ..array import GradArray, from_user, wrap
from ..graph import Grad, Leaf
from ..record import PickGrad
from ..transforms.pull import run_recorded

# What the kinds do around every rule to fit shapes and dtypes, and the graph's own bookkeeping.
_PROJECTION = frozenset({"sum", "reshape", "broadcast_to", "expand_dims", "astype", "real"})


class Cost(NamedTuple):
    """Operations of a function, and of the reverse sweep that its gradient adds."""

    function: int
    sweep: int
    ops: dict[str, int]

    @property
    def ratio(self) -> float:
        """Value and gradient together, in units of the value alone."""
        return (self.function + self.sweep) / self.function


def count_ops(f: Callable[..., Any], *args: Any) -> Cost:
    r"""Count the operations of a scalar f and of its gradient at `args`, each op as one.

    The sweep's count has the products \bar y \, \partial y / \partial x, the partials and the
    sums over consumers. It does not have the projection onto an operand's shape and dtype (a sum
    over broadcast axes, a cast), and an absorbing product counts as the product that it is.
    Reverse mode costs at most a small multiple of the function, whatever the number of arguments
    (W. Baur, V. Strassen, "The complexity of partial derivatives", Theor. Comput. Sci. 22, 1983).

    >>> import gradarray as ga
    >>> from gradarray.testing import count_ops
    >>> cost = count_ops(lambda x: ga.sin(x) * x, 2.0)
    >>> cost.function, cost.sweep, cost.ratio
    (2, 5, 3.5)
    """
    leaves: list[GradArray] = []

    def lifted(x: Any) -> GradArray:
        leaves.append(x.detach() if isinstance(x, GradArray) else _array(x))
        return leaves[-1].requires_grad_()

    y = f(*(tree.map(lifted, arg) for arg in args))
    if y._node is None:
        raise ValueError("count_ops: the result does not depend on the arguments")
    order, _ = graph.ancestry([y._node])
    forward = [node for node in order if _counts(node)]
    # A cotangent that is itself differentiable: then every operation of the sweep is recorded.
    seed = wrap(y._data * 0 + 1).requires_grad_()
    last = y._node.seq
    found = run_recorded(order, {y._node: seed}, None)
    roots = [x._node for x in tree.flatten(list(found.values()))[0] if x._node is not None]
    swept = [n for n in graph.ancestry(roots, last + 1)[0] if _counts(n)]
    swept = [n for n in swept if n.name not in _PROJECTION]
    return Cost(len(forward), len(swept), dict(Counter(n.name for n in (*forward, *swept))))


def _counts(node: Grad) -> bool:
    return not isinstance(node, (Leaf, PickGrad)) and node.name != "alias"


def _array(x: Any) -> GradArray:
    return wrap(from_user(float(x) if isinstance(x, int) else x))
