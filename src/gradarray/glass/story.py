"""The story of a value: what was computed, in order, and how its derivative came about.

A `Row` is one value: the op that made it, from which rows, at which line. Its adjoint is the sum
of its `terms`, one for each use of it, as the sweep itself added them up. Tables, formulas,
pictures and pages are made of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..graph import Grad
from .expr import Expr, is_op, name, number
from .local import Pulled, pulled
from .record import Made
from .scopes import Scope, scope


@dataclass(eq=False)
class Term:
    """What one use of a value adds to its adjoint: operand number `operand` of the row `to`."""

    row: Row
    to: Row
    operand: int
    bar: Any  # the contribution, as the sweep computed it

    @cached_property
    def pulled(self) -> Pulled | None:
        """The contribution as an expression in the names of values."""
        return self.to.pulled[self.operand]

    @property
    def local(self) -> Expr | None:
        """The local derivative where it is a factor; None where the op is not pointwise."""
        return None if self.pulled is None else self.pulled.factor

    @property
    def sums(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The sums over axes along which the value was broadcast: axes, and the shape before."""
        found = () if self.pulled is None or self.local is None else self.pulled.projections
        before = [(one, np.shape(one.args[0].value)) for one in found if is_op(one, "sum")]
        return [
            (tuple(a % len(shape) for a in one.params.get("axis") or range(len(shape))), shape)
            for one, shape in before
        ]


@dataclass(eq=False)
class Row:
    """One value of the record."""

    name: str
    kind: str  # input, parameter, constant, result
    op: type[Grad] | None = None
    operands: list[Any] = field(default_factory=list)  # rows, or constants
    params: dict[str, Any] = field(default_factory=dict)
    value: Any = None  # None where no rule kept it
    form: tuple[tuple[int, ...], Any] | None = None
    node: Any = None
    which: int | None = None  # of an op with several results
    made: Made | None = None  # what was seen when it was made
    loops: tuple[str, ...] | None = None  # of a compiled function; None where nothing is compiled
    number: int = 0
    terms: list[Term] = field(default_factory=list)
    adjoint: Any = None
    came: Any = None  # the adjoint of the op's whole result, a tuple where there are several
    freed: bool = False  # a sweep that nobody saw has released what its derivative needs
    symbol: str = ""  # of its adjoint
    siblings: list[Row] = field(default_factory=list)  # the results of one op, where several

    @property
    def shape(self) -> tuple[int, ...]:
        return self.form[0] if self.form is not None else np.shape(self.value)

    @property
    def dtype(self) -> Any:
        return self.form[1] if self.form is not None else getattr(self.value, "dtype", None)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def is_kept(self) -> bool:
        return self.value is not None

    @property
    def expr(self) -> Expr:
        """Its name, as an expression."""
        return name(self.name, self.value)

    @property
    def formula(self) -> Expr:
        """What its op computes of the names of its operands."""
        args = [x.expr if isinstance(x, Row) else number(x) for x in self.operands]
        return Expr(self.op, args, self.params, self.value, which=self.which)

    @property
    def incoming(self) -> Expr:
        """Its adjoint, as an expression."""
        return name(self.symbol, self.adjoint)

    @cached_property
    def scope(self) -> tuple[Scope, ...]:
        """The user's functions, layers and library functions that it was made in, outermost first.
        """
        return scope(self.made)

    @cached_property
    def pulled(self) -> list[Pulled | None]:
        """What its op hands on to its operands."""
        args = [x.expr if isinstance(x, Row) else number(x) for x in self.operands]
        y = self.formula if self.which is None else self._results(args)
        return pulled(self.node, self.incoming, self.came, args, y, self.made)

    def _results(self, args: list[Expr]) -> tuple[Expr, ...]:
        """All results of the op; those that nobody used have no rows."""
        named = {r.which: r.expr for r in self.siblings}
        return tuple(
            named.get(k) or Expr(self.op, args, self.params, which=k)
            for k in range(len(self.came))
        )


@dataclass(eq=False)
class Story:
    """All rows, oldest first, of what `result` was made of, and how it was differentiated."""

    rows: list[Row]
    result: Row
    arguments: list[Row] = field(default_factory=list)  # of the function, in its order
    swept: bool = True  # False where no derivative was taken: of what failed half way

    @property
    def inputs(self) -> list[Row]:
        """What it can be differentiated in: the arguments, then parameters and other leaves."""
        outside = [row for row in self.rows if row.kind in ("input", "parameter")]
        return list(dict.fromkeys([*self.arguments, *outside]))
