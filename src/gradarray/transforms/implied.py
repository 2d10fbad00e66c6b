"""A value that equations define: the node that stands for it, and how walks go through it.

x is a solution of f(x) = 0, where f may use any arrays from around it. Then, whatever found x,

    J \\dot x + \\dot f = 0,    J = df/dx,

where \\dot f is the tangent of f at a fixed x. A walk solves one linear system with J or J^T and
goes on through f to the arrays that f uses. In a recorded walk the solution of that system is again
such a value, of the equations J u + \\dot f = 0, and so to any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..array import GradArray, wrap
from ..errors import GraphError, message
from ..graph import Grad, mode, next_seq
from ..plan import RECORDED_SWEEP
from ..record import handle_on
from .batch import Batched, base, later_levels, rewrap
from .operator import Operator, on_levels, on_raw
from .pull import pull_to
from .pull import sweep as pull_sweep
from .push import push_to
from .push import sweep as push_sweep
from .whole import Way, WholeGrad

Equations = Callable[[GradArray], GradArray]


class ImpliedGrad(WholeGrad, internal=True):
    """x with f(x) = 0; its parents are the arrays from around f that f uses."""

    __slots__ = ()
    name = "implicit"
    several = False


def implied(f: Equations, x: Any, operator: Operator, solve: Any = None) -> GradArray:
    """The solution of f(x) = 0 with the raw values x, on the graph of what f uses.

    `operator` is f recorded there. `solve(b, transposed)` solves systems with its Jacobian, if
    there is a shorter way than the operator's own.
    """
    if not mode.grad or not operator.captured:
        return on_levels(wrap(x), operator.levels)
    node = ImpliedGrad()
    node.parents = tuple(operator.captured)
    node.saved = (x,)
    node.metas = node.form = None
    node.params = None
    node.plan = Implication(f, operator, solve or operator.solve)  # type: ignore[assignment]
    node.seq = next_seq()
    return on_levels(handle_on(node, x), operator.levels)


class Implication(Way):
    """A system is solved, and the equations are walked."""

    def __init__(self, f: Equations, operator: Operator, solve: Any) -> None:
        super().__init__()
        self.f, self.operator, self.solve = f, operator, solve

    # Numbers ------------------------------------------------------------------------------------

    def _pull(self, variant: int, node: Any, x_bar: Any) -> tuple[Any, ...]:
        if variant == RECORDED_SWEEP and mode.grad:
            return self._pull_recorded(node, x_bar)
        op = self.operator
        u = _like(x_bar, self._step(_raw(x_bar), True))
        captured = list(node.parents)
        order = sorted({*op.order, *captured}, key=lambda n: n.seq)
        found = pull_sweep(order, {op.r._node: u}, variant, [*captured, op.source])
        return tuple(found.get(parent) for parent in captured)

    def _push(self, variant: int, node: Any, x_dots: Any) -> Any:
        if variant == RECORDED_SWEEP and mode.grad:
            return self._push_recorded(node, x_dots)
        op = self.operator
        f_dot = push_sweep(op.order, _moving(node, x_dots), variant)[op.r._node]
        return _like(f_dot, self._step(_raw(f_dot), False))

    def _step(self, b: Any, transposed: bool) -> Any:
        """u of J u + b = 0."""
        with on_raw():
            return -self.solve(b, transposed)

    def for_series(self, node: Any, wrapped: bool) -> tuple[Operator, Callable[[Any], Any]]:
        """The equations, and what gives x_k of J x_k + f_k = 0."""
        if wrapped and mode.grad:
            op = self._again(node)
            return op, lambda f_k: self._solved(op, -f_k, False)
        return self.operator, lambda f_k: _like(f_k, self._step(_raw(f_k), False))

    # On a graph ---------------------------------------------------------------------------------

    def _again(self, node: Any) -> Operator:
        """The equations recorded once more, at the value that is on the graph."""
        old = self.operator
        op = Operator(self.f, handle_on(node, node.saved[0]), old.levels, old.solver, old.op)
        if not {*op.captured} <= {*node.parents}:
            raise GraphError(
                message(
                    old.op,
                    "an array that the equations use has been bound to another value since.",
                    "Take higher derivatives before the step that changes parameters.",
                )
            )
        return op

    def _pull_recorded(self, node: Any, x_bar: GradArray) -> tuple[Any, ...]:
        op = self._again(node)
        u = self._solved(op, -x_bar, True)
        captured = list(node.parents)
        order = sorted({*op.order, *captured}, key=lambda n: n.seq)
        targets = [*captured, op.source]
        found = pull_sweep(order, {op.r._node: u}, RECORDED_SWEEP, targets)  # type: ignore[dict-item]
        return tuple(found.get(parent) for parent in captured)

    def _push_recorded(self, node: Any, x_dots: Any) -> Any:
        op = self._again(node)
        f_dot = push_sweep(op.order, _moving(node, x_dots), RECORDED_SWEEP)[op.r._node]
        return self._solved(op, -f_dot, False)

    def _solved(self, op: Operator, b: GradArray, transposed: bool) -> GradArray:
        """u with J u = b (or J^T u = b), on the graph of b and of J."""
        levels = later_levels([b])

        def system(u: GradArray) -> GradArray:
            if transposed:
                (found,), _ = pull_to([op.r], [u], [op.source], attach=True)
            else:
                (found,) = push_to([op.r], [op.z], [u], attach=True)
            return -b if found is None else found - b

        def solve(b: Any, again: bool) -> Any:
            return self.solve(b, transposed != again)

        x = self.solve(_raw(b), transposed)
        there = Operator(system, wrap(x), levels, op.solver, op.op)
        return implied(system, x, there, solve)


def _raw(c: Any) -> Any:
    return base(c)._data if isinstance(c, GradArray) else c


def _like(c: Any, value: Any) -> Any:
    """Values as a handle on c's levels, or as they are where c is raw."""
    if not isinstance(c, GradArray):
        return value
    return rewrap(c, wrap(value)) if type(c) is Batched else wrap(value)


def _moving(node: Any, x_dots: Any) -> dict[Grad, Any]:
    return {p: d for p, d in zip(node.parents, x_dots, strict=True) if d is not None}
