"""A layered drawing of a story: what stands in which layer, in which order, group by group.

Layers are longest paths; the order within a layer is found by barycentres, with the fewest
crossings seen kept (Sugiyama, Tagawa and Toda, 1981). Every group is laid out by itself, from the
outside in: ports on its border take the order that the edges have outside. The result is only an
order, no coordinates: opening or closing a group changes sizes, and `place` turns order and sizes
into coordinates, here for a picture, and in the page's own script as groups open and close.

Edges of one value share their way and part where they must; between the layers of values lie
layers of labels, one for each use, so that a label never covers another.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from .groups import Group
from .story import Row

_SWEEPS = 4
_COUNTED = 20_000  # segments of a level up to which crossings are counted


@dataclass(eq=False)
class Item:
    """What takes a place in a layer: a row, a group, a port, a label, or a bend of an edge."""

    kind: str  # row, group, in, out, label, via
    row: Row | None = None  # of a port, label or bend: the value that runs along the edge
    group: Group | None = None
    use: tuple[Row, int] | None = None  # of a label: the row that uses it, and as which operand
    layer: int = 0
    index: int = 0  # within the layer
    above: list[Item] = field(default_factory=list)
    below: list[Item] = field(default_factory=list)


@dataclass(eq=False)
class Level:
    """The layers of one group: those with even numbers hold values, the others labels."""

    group: Group
    layers: list[list[Item]]


def layout(root: Group) -> dict[Group, Level]:
    """The layers of every group."""
    drafts = _drafts(root)
    levels: dict[Group, Level] = {}
    outside: dict[Group, Item] = {}
    for group in root.groups():  # those around it come first
        level = levels[group] = drafts[group].level(outside.get(group))
        for layer in level.layers:
            outside.update((item.group, item) for item in layer if item.group is not None)
    return levels


class _Draft:
    """The edges of a group, before its layers."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.items: dict[object, Item] = {}
        for child in group.children:
            if isinstance(child, Group):
                self.items[child] = Item("group", group=child)
            else:
                self.items[child] = Item("row", row=child)
        self.ins: dict[Row, Item] = {}
        self.outs: dict[Row, Item] = {}
        self.edges: dict[tuple, tuple[Item, Row, Item, tuple[Row, int] | None]] = {}

    def edge(self, row: Row, start: object, end: object, use: tuple[Row, int]) -> None:
        """The value of `row` runs from one child, or from outside (None), to another."""
        a = self.ins.setdefault(row, Item("in", row)) if start is None else self.items[start]
        b = self.outs.setdefault(row, Item("out", row)) if end is None else self.items[end]
        one = use if b.kind == "row" else None
        self.edges.setdefault((row, id(a), id(b), one), (a, row, b, one))

    def level(self, around: Item | None) -> Level:
        ways = self._ways()
        deepest = self._rank(ways)
        layers: list[list[Item]] = [[] for _ in range(2 * deepest + 1)]
        for item in [*self.ins.values(), *self.items.values(), *self.outs.values()]:
            layers[item.layer].append(item)
        for (start, row), ends in ways.items():
            _run(start, row, ends, layers)
        fixed = _fix_ports(layers[0], around)
        _reduce(layers, fixed)
        return Level(self.group, layers)

    def _ways(self) -> dict[tuple[Item, Row], list[tuple[Item, tuple[Row, int] | None]]]:
        ways: dict[tuple[Item, Row], list[tuple[Item, tuple[Row, int] | None]]] = {}
        for a, row, b, use in self.edges.values():
            ways.setdefault((a, row), []).append((b, use))
        return ways

    def _rank(self, ways: dict[tuple[Item, Row], list[tuple[Item, tuple[Row, int] | None]]]) -> int:
        """Layers by longest path; what has nothing above it stands right above its first use."""
        ends: dict[Item, set[Item]] = {}
        has_above: set[Item] = set()
        for (start, _), found in ways.items():
            ends.setdefault(start, set()).update(b for b, _ in found)
            has_above.update(b for b, _ in found)
        order = [*self.ins.values(), *self.items.values()]  # as the ops ran: no edge runs back
        for item in order:
            for end in ends.get(item, ()):
                end.layer = max(end.layer, item.layer + 1)
        for item in self.items.values():
            if item not in has_above and item in ends:
                item.layer = max(0, min(end.layer for end in ends[item]) - 1)
        deepest = max((item.layer for item in order), default=0)
        if self.outs:
            deepest += 1
        for item in self.outs.values():
            item.layer = deepest
        for item in [*order, *self.outs.values()]:
            item.layer *= 2
        return deepest


def _drafts(root: Group) -> dict[Group, _Draft]:
    """The edges of every group: inside the innermost around both ends, and through borders."""
    drafts = {group: _Draft(group) for group in root.groups()}
    chains = root.paths()
    for row in sorted(chains, key=lambda r: r.number):
        down = [*chains[row], row]
        for k, x in enumerate(row.operands):
            if not isinstance(x, Row) or x not in chains:
                continue
            up, use = [*chains[x], x], (row, k)
            common = 1
            while up[common] is down[common]:
                common += 1
            drafts[chains[row][common - 1]].edge(x, up[common], down[common], use)
            for here, inner in zip(chains[x][common:], up[common + 1 :]):
                drafts[here].edge(x, inner, None, use)
            for here, inner in zip(chains[row][common:], down[common + 1 :]):
                drafts[here].edge(x, None, inner, use)
    return drafts


def _run(
    start: Item, row: Row, ends: list[tuple[Item, tuple[Row, int] | None]], layers: list[list[Item]]
) -> None:
    """Lead a value from where it was made to all its uses: one trunk, and a label for each."""
    trunk = {start.layer: start}
    longest = max(end.layer for end, _ in ends) - 2
    for at in range(start.layer + 1, longest + 1):
        trunk[at] = Item("via", row, layer=at)
        layers[at].append(trunk[at])
        _join(trunk[at - 1], trunk[at])
    for end, use in ends:
        label = Item("label", row, use=use, layer=end.layer - 1)
        layers[label.layer].append(label)
        _join(trunk[end.layer - 2], label)
        _join(label, end)


def _join(a: Item, b: Item) -> None:
    a.below.append(b)
    b.above.append(a)


# Order within layers ------------------------------------------------------------------------------


def _fix_ports(first: list[Item], around: Item | None) -> bool:
    """Ports at the top in the order in which their edges arrive outside."""
    if around is None or not any(item.kind == "in" for item in first):
        return False
    place = {label.row: label.index for label in around.above}
    ports = sorted((i for i in first if i.kind == "in"), key=lambda i: place.get(i.row, 0))
    first[:] = [*ports, *(item for item in first if item.kind != "in")]
    return len(ports) == len(first)


def _reduce(layers: list[list[Item]], fixed: bool) -> None:
    """Fewer crossings: each layer by the barycentres of its neighbours, down and up in turn."""
    for layer in layers:
        for k, item in enumerate(layer):
            item.index = k
    segments = sum(len(item.below) for layer in layers for item in layer)
    if not any(len(layer) > 1 for layer in layers):
        return
    best, fewest = None, None
    for sweep in range(2 * _SWEEPS if segments <= _COUNTED else 2):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            if fixed and layer is layers[0]:
                continue
            if len(layer) > 1:
                _sort(layer, down)
        if segments > _COUNTED:
            continue
        crossings = sum(map(_crossings, layers))
        if fewest is None or crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
            if not crossings:
                break
    if best is not None:
        for layer, kept in zip(layers, best, strict=True):
            layer[:] = kept
    for layer in layers:
        for k, item in enumerate(layer):
            item.index = k


def _sort(layer: list[Item], down: bool) -> None:
    def key(item: Item) -> tuple[float, int]:
        near = item.above if down else item.below
        if not near:
            return float(item.index), item.index
        # Labels to one row stand in the order of its operands where all else is equal.
        return sum(x.index for x in near) / len(near), _operand(item)

    layer.sort(key=key)
    for k, item in enumerate(layer):
        item.index = k


def _operand(item: Item) -> int:
    return item.use[1] if item.use is not None else item.index


def _crossings(layer: list[Item]) -> int:
    """Crossings between a layer and the next."""
    seen: list[int] = []
    count = 0
    for item in layer:
        ends = sorted(x.index for x in item.below)
        for end in ends:
            count += len(seen) - bisect_left(seen, end + 1)
        for end in ends:
            insort(seen, end)
    return count
