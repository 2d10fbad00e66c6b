"""From a recorded value, and what a `Keeper` saw of its making, to a story."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .. import graph
from ..array import GradArray
from ..graph import Grad, Leaf
from ..nn.parameter import Parameter
from ..ops.control import AliasGrad
from ..record import NotKept, PickGrad
from ..transforms.pull import run_raw
from .names import Names, named
from .record import Keeper, Made, alone, kept
from .story import Row, Story, Term

Source = tuple[Any, int]  # a node, or the Made of what is on no graph; and which of its results


class Builder:
    """Collects what a value was made of."""

    def __init__(self, roots: list[GradArray], keeper: Keeper | None, title: str) -> None:
        self.roots, self.keeper, self.title = roots, keeper, title
        self.keepers: list[Keeper] = []  # that have seen some of it
        self.rows: dict[Any, Row] = {}

    def made(self, one: Any) -> Made | None:
        """What was seen when a value was made."""
        if isinstance(one, Made):
            return one
        own = None if self.keeper is None else self.keeper.nodes.get(one)
        return own or kept(one)[0]

    def called(self, x: Any) -> str:
        """What the user calls a constant or a leaf."""
        return next((name for k in self.keepers if (name := k.names.get(id(x)))), "")

    @cached_property
    def _variables(self) -> dict[int, str]:
        """By node: what the user's functions that run call a value whose making no one saw."""
        return {} if self.keeper is None else self.keeper.variables()

    # Where values come from -----------------------------------------------------------------------

    def source(self, x: Any) -> Source | None:
        """The node (or Made) behind an operand; None where it is a constant."""
        if isinstance(x, tuple):
            node = x[0].node and x[0].node() if isinstance(x[0], Made) else None
            return x if node is None else (node, x[1])
        while isinstance(x, AliasGrad) and self.made(x) is None and x.parents[0] is not None:
            x = x.parents[0]  # a transform's own; what comes before it is the user's
        if isinstance(x, PickGrad):
            return x.parents[0], x.which
        return (x, 0) if isinstance(x, Grad) else None

    def operands(self, one: Any) -> list[Any]:
        """The operands of a node: their sources, or constants."""
        made = self.made(one)
        if made is not None:
            return [x if (s := self.source(x)) is None else s for x in made.operands]
        plan, out = getattr(one, "plan", None), []
        where = getattr(plan, "where_saved", {})
        for k, parent in enumerate(one.parents):
            if parent is not None:
                out.append(self.source(parent))
            elif one.saved is not None and k in where:
                out.append(one.saved[where[k]])
            else:
                out.append(NotKept(one, k))
        return out

    def collect(self) -> list[Source]:
        """Everything that the roots were made of, oldest first."""
        starts = [s for x in self.roots if (s := self.source(x._node)) is not None]
        seen, stack = set(starts), starts
        while stack:
            for x in self.operands(stack.pop()[0]):
                if isinstance(x, tuple) and x not in seen:
                    seen.add(x)
                    stack.append(x)
        return sorted(seen, key=lambda s: (_age(s[0]), s[1]))

    # Rows -----------------------------------------------------------------------------------------

    def story(self, seed: Any, inputs: list[GradArray]) -> Story:
        """The rows, with what a sweep that starts from `seed` (None: no sweep) leaves at each.

        `inputs` have rows even where the value does not depend on them.
        """
        (root,) = self.roots
        self._record(inputs)
        result = self._row_of(root)
        if seed is not None:
            self._sweep(root, seed)
        for row in self.rows.values():
            row.symbol = f"∂{result.name}/∂{row.name}"
        return Story(self._in_order(), result, [self.rows[x._node, 0] for x in inputs if x._node])

    def partial(self) -> Story | None:
        """The rows of several roots, of which nothing was made yet: the last one is the result."""
        self.roots = [x for x in self.roots if x._node is not None]
        if not self.roots:
            return None
        self._record([])
        results = [self._row_of(x) for x in self.roots]
        return Story(self._in_order(), results[-1], swept=False)

    def _row_of(self, root: GradArray) -> Row:
        """The row of a root, whose value is at hand."""
        source = self.source(root._node)
        row = self.rows[source]
        if row.value is None:
            row.value = root._data
        return row

    def _record(self, inputs: list[GradArray]) -> None:
        """A row for everything that the roots were made of, and for the inputs."""
        sources = self.collect()
        mades = {s: self.made(s[0]) for s in sources}
        own = named([m for m in dict.fromkeys(mades.values()) if m is not None], self.title)
        seen = [self.keeper, *[kept(n)[1] for n, _ in sources if isinstance(n, Grad)]]
        self.keepers = [k for k in dict.fromkeys(seen) if k is not None]
        self.names = Names({n for name in own.values() for n in _all(name)})
        for source in sources:
            self.rows[source] = self._row(source, mades[source], own)
        for x in inputs:
            if x._node is not None and (x._node, 0) not in self.rows:
                self.rows[x._node, 0] = self._leaf(x._node)
        self._fill_in(sources)

    def _row(self, source: Source, made: Made | None, own: dict[Made, Any]) -> Row:
        one, which = source
        if isinstance(one, Leaf) or (made is None and isinstance(one, AliasGrad)):
            return self._leaf(one)
        operands = [self._operand(x) for x in self.operands(one)]
        name = own.get(made, "") if made is not None else self._variables.get(id(one), "")
        if isinstance(name, tuple):
            name = name[which] if made is not None and type(made.y) is tuple else ""
        if not name and self.roots[-1]._node is not None and (
            source == self.source(self.roots[-1]._node)
        ):
            name = self.title
        row = Row(
            self.names.own(name) if name else self.names.new(),
            "result",
            op=type(one) if made is None else made.op,
            operands=operands,
            params=(one.params if made is None else made.params) or {},
            node=one if isinstance(one, Grad) else None,
        )
        several = isinstance(one.metas[0], list) if made is None and one.metas else (
            made is not None and type(made.y) is tuple
        )
        if several:
            others = [r for s, r in self.rows.items() if s[0] is one]
            row.which, row.siblings = which, [*others, row]
            for other in others:
                other.siblings = row.siblings
        if made is not None:
            row.value = made.result(which)
            row.made = made
        elif one.form is not None:
            row.form = one.form
        return row

    def _leaf(self, node: Any) -> Row:
        handle = node.handle() if isinstance(node, Leaf) else None
        if handle is not None and handle._node is not node:
            handle = None  # bound to something else since
        name = self.called(node)
        if not name and handle is not None and self.keeper is not None:
            name = self.keeper.find(handle)
        kind = "parameter" if isinstance(handle, Parameter) else "input"
        return Row(
            self.names.own(name) if name else self.names.new("x"),
            kind,
            value=None if handle is None else handle._data,
            form=node.form,
            node=node,
        )

    def _operand(self, x: Any) -> Any:
        """The row of an operand; constants with axes, or not kept, are rows of their own."""
        if isinstance(x, tuple):
            return self.rows[x]
        if isinstance(x, NotKept):
            return Row(self.names.new("c"), "constant")
        if not getattr(x, "ndim", 0):
            return x
        row = self.rows.get(("constant", id(x)))
        if row is None:
            name = self.called(x)
            if not name and self.keeper is not None:
                name = self.keeper.find(x)
            row = Row(self.names.own(name) if name else self.names.new("c"), "constant", value=x)
            self.rows["constant", id(x)] = row
        return row

    def _in_order(self) -> list[Row]:
        """What comes from outside stands before its first use."""
        out: dict[Row, None] = {}
        for row in self.rows.values():
            if row.kind != "result":
                continue
            for x in row.operands:
                if isinstance(x, Row):
                    out.setdefault(x)
            out.setdefault(row)
        rows = [*(row for row in self.rows.values() if row not in out), *out]
        for k, row in enumerate(rows):
            row.number = k
        return rows

    # Values that no one saw -----------------------------------------------------------------------

    def _fill_in(self, sources: list[Source]) -> None:
        """Values of a graph that nobody watched: from what rules keep, or computed again."""
        for source in sources:
            row = self.rows[source]
            node, plan = row.node, getattr(row.node, "plan", None)
            if node is None or plan is None or node.saved is None:
                continue
            for k, at in getattr(plan, "where_saved", {}).items():
                x = row.operands[k]
                if isinstance(x, Row) and x.value is None:
                    x.value = node.saved[at]
            if row.value is None and getattr(plan, "keep_y", False):
                y = node.saved[len(plan.keep)]
                row.value = y if row.which is None else y[row.which]
        for source in sources:
            row = self.rows[source]
            made = self.made(source[0]) if not isinstance(source[0], str) else None
            if made is not None:
                for x, raw in zip(row.operands, made.raw, strict=True):
                    if isinstance(x, Row) and x.value is None:
                        x.value = raw
            elif row.kind == "result" and row.value is None:
                self._compute_again(row)

    def _compute_again(self, row: Row) -> None:
        given = [x.value if isinstance(x, Row) else x for x in row.operands]
        if any(x is None for x in given) or row.op is None:
            return
        if not hasattr(row.op, "operand_names"):  # a whole function
            return
        with np.errstate(all="ignore"):
            y = row.op.forward(*given, **row.params)
        row.value = y if row.which is None else y[row.which]

    # The sweep ------------------------------------------------------------------------------------

    def _sweep(self, handle: GradArray, seed: Any) -> None:
        root: Any = handle._node
        order, _ = graph.ancestry([root])
        if any(node.saved is None for node in order):
            seen = self._swept_inside(root)
            if not seen:
                for row in self.rows.values():
                    row.freed = row.node is not None
                return
        else:
            watcher = _Passing()
            with graph.watching(watcher):
                arrived = run_raw(order, {root: seed}, None)
            seen = watcher.seen
            for node, bar in arrived.items():
                self._arrive(node, bar)
        self._arrive(root, seed)
        for node, came, went in seen:
            source = self.source(node)
            if source is None or source[0] is not node:
                continue  # an alias: its uses are those of the value behind it
            rows = [r for s, r in self.rows.items() if s[0] is node]
            if not rows:
                continue  # inside a whole function, which tells of its sums itself
            for row in rows:
                row.came = came
                row.adjoint = came if row.which is None else came[row.which]
            for k, (parent, bar) in enumerate(zip(node.parents, went, strict=True)):
                if parent is None or bar is None:
                    continue
                behind = self.source(parent)
                to = self.rows.get(behind)
                if to is not None:
                    to.terms.append(Term(to, rows[0], k, bar))
        for row in self.rows.values():
            row.terms.reverse()  # the sweep comes to the newest use first

    def _swept_inside(self, root: Grad) -> list[tuple[Any, Any, Any]]:
        """Of a graph that was freed: what went through it in the user's own sweep, if it was seen.

        Leaves are where it ends: what arrives there is the sum of what goes to them.
        """
        order, _ = graph.ancestry([root])
        for keeper in (self.keeper, kept(root)[1]):
            seen = [] if keeper is None else _last_sweep(keeper, root, order)
            if seen:
                arrived: dict[Any, Any] = {}
                for node, _, went in seen:
                    for parent, bar in zip(node.parents, went, strict=True):
                        if isinstance(parent, Leaf) and bar is not None:
                            old = arrived.get(parent)
                            arrived[parent] = bar if old is None else old + bar
                for node, bar in arrived.items():
                    self._arrive(node, bar)
                return seen
        return []

    def _arrive(self, node: Any, bar: Any) -> None:
        source = self.source(node)
        row = self.rows.get(source)
        if row is not None and row.which is None:
            row.adjoint = row.came = bar


class _Passing:
    """A watcher of one sweep."""

    def __init__(self) -> None:
        self.sweeping = 0
        self.seen: list[tuple[Any, Any, Any]] = []

    def forward(self, op: Any, raw: Any, params: Any, y: Any) -> None:
        pass

    def recorded(self, node: Any) -> None:
        pass

    def passed(self, node: Any, came: Any, went: Any, direction: str) -> None:
        self.seen.append((node, came, [alone(bar) for bar in went]))


def _last_sweep(keeper: Keeper, root: Grad, order: list[Grad]) -> list[tuple[Any, Any, Any]]:
    """What went through these nodes in the last sweep that began at the root.

    A sweep comes to each node once, and others come before or after it.
    """
    begins = keeper.passes.get(root, [])
    if not begins:
        return []
    first = begins[-1].number
    found = []
    for node in order:
        later = [one for one in keeper.passes.get(node, ()) if one.number >= first]
        if later:
            found.append((later[0], node))
    found.sort(key=lambda pair: pair[0].number)
    return [(node, one.came, one.went) for one, node in found]


def _all(name: str | tuple[str, ...]) -> tuple[str, ...]:
    return name if isinstance(name, tuple) else (name,)


def _age(one: Any) -> int:
    return one.number if isinstance(one, Made) else one.seq
