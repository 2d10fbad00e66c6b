"""One recording, its derivative as a linear map: pushed and pulled any number of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..array import GradArray
from ..errors import message
from ..graph import mode
from .arguments import Arguments, call, completed, matching, outputs
from .pull import pull_to
from .push import push_to


class Recording:
    """f, recorded once: its results, and J = df/dx as a map in both directions.

    `xs` are the arrays to differentiate, `ys` the results, both in the order of their pytrees.
    Cotangents and tangents here are bilinear, as inside a walk: no conjugate is taken.
    """

    __slots__ = ("arguments", "attach", "aux", "form", "has_aux", "op", "ys")

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        argnums: int | Sequence[int],
        has_aux: bool,
        op: str,
    ) -> None:
        self.attach, self.has_aux, self.op = mode.grad, has_aux, op
        self.arguments = Arguments(args, argnums, op)
        y, self.aux = call(f, self.arguments, kwargs, has_aux)
        self.ys, self.form = outputs(y, op)

    @property
    def xs(self) -> list[GradArray]:
        return self.arguments.aliases

    def value(self) -> Any:
        """y as the function gave it."""
        return self.arguments.leave(tree.unflatten(self.form, self.ys), self.attach)

    def with_aux(self, result: Any) -> Any:
        """`result`, or (result, aux) where the function gave one."""
        if not self.has_aux:
            return result
        return result, self.arguments.leave(self.aux, self.attach)

    def push(
        self, x_dots: Sequence[Any], xs: Sequence[GradArray] | None = None
    ) -> list[GradArray]:
        r"""\dot y = J \dot x, for tangents of all of `xs` or of some."""
        found = push_to(
            self.ys,
            self.xs if xs is None else xs,
            x_dots,
            attach=self.attach and mode.grad,
            floor=self.arguments.floor,
        )
        return completed(self.ys, found)

    def pull(
        self, y_bars: Sequence[Any], ys: Sequence[GradArray] | None = None
    ) -> list[GradArray]:
        r"""\bar x = J^T \bar y, for cotangents of all of `ys` or of some."""
        found, _ = pull_to(
            self.ys if ys is None else ys,
            y_bars,
            self.arguments.nodes,
            attach=self.attach and mode.grad,
            op=self.op,
        )
        return completed(self.xs, found)


def linearize(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    r"""(y, push): the value y = f(*primals) and the linear map push(\dot x) = J \dot x.

    f is recorded once, at `primals`; `push` takes one tangent per primal, of its structure,
    shapes and dtypes, and can be called any number of times, also by vmap with a batch of tangents.
    With `has_aux`, f returns (y, aux) and the result is (y, push, aux). Raises TypeError for
    another structure, ShapeError and DTypeError for other forms, DTypeError for integer primals.
    (Griewank & Walther, "Evaluating Derivatives", 2nd ed., section 3.1.)

    >>> import gradarray as ga
    >>> y, push = ga.linearize(lambda x: x**3, 2.0)
    >>> push(1.0), push(10.0)
    (GradArray(12., dtype=float64), GradArray(120., dtype=float64))
    """
    numbers = tuple(range(len(primals)))
    record = Recording(f, primals, {}, numbers, has_aux, "linearize")
    x_form = tree.flatten(primals)[1]

    def pushed(*tangents: Any) -> Any:
        if len(tangents) != len(primals):
            raise TypeError(
                message("linearize", f"{len(tangents)} tangents for {len(primals)} primals.")
            )
        x_dots = matching(tangents, record.xs, x_form, "linearize", "tangent")
        return tree.unflatten(record.form, record.push(x_dots))

    y = record.value()
    return (y, pushed, record.with_aux(None)[1]) if has_aux else (y, pushed)
