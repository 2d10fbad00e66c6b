"""Coordinates for layers: positions in an order that is kept, edges as straight as can be.

In every layer the places are those nearest to the neighbours' (least squares) under the least
distances, which is an isotonic regression (pool adjacent violators; Ayer et al., 1955).
The page's script, page/place.js, does the same as its groups open and close; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from .groups import Group
from .layout import Item, Level
from .story import Row

GAP = 26  # between items of a layer
LEAD = 12  # between layers, at least
MOST_LEAD = 34  # and at most, where edges run far aside
PAD = 14  # within the border of a group
HEAD = 26  # for the title of a group
SWEEPS = 8

Size = tuple[float, float]


@dataclass(eq=False)
class Placed:
    """A level with coordinates: the centre of each item, and its size."""

    level: Level
    width: float = 0.0
    height: float = 0.0
    x: dict[Item, float] = field(default_factory=dict)
    y: dict[Item, float] = field(default_factory=dict)
    size: dict[Item, Size] = field(default_factory=dict)
    inner: dict[Item, Placed] = field(default_factory=dict)  # groups that are open

    def port(self, item: Item, row: Row | None, side: str) -> float:
        """How far from the middle of an item the edge of a value enters or leaves it."""
        inside = self.inner.get(item)
        if inside is None:
            return 0.0
        for port in inside.level.layers[0 if side == "in" else -1]:
            if port.kind == side and port.row is row:
                return inside.x[port] - inside.width / 2
        return 0.0


def place(
    group: Group,
    levels: dict[Group, Level],
    size: Callable[[Item], Size],
    is_open: Callable[[Group], bool],
) -> Placed:
    """Lay out a group, and the open ones within it; `size` tells the others' sizes."""
    level = levels[group]
    placed = Placed(level)
    for layer in level.layers:
        for item in layer:
            if item.group is not None and is_open(item.group):
                inside = placed.inner[item] = place(item.group, levels, size, is_open)
                placed.size[item] = inside.width, inside.height
            else:
                placed.size[item] = size(item)
    _across(placed)
    _down(placed)
    return placed


def _across(placed: Placed) -> None:
    """Positions along the layers."""
    layers, x = placed.level.layers, placed.x
    width = {item: s[0] for item, s in placed.size.items()}
    for layer in layers:
        at = 0.0
        for item in layer:
            x[item] = at + width[item] / 2
            at += width[item] + GAP
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            near = [_near(item, down) for item in layer]
            wish = [_mean(n, x) if n else x[i] for n, i in zip(near, layer, strict=True)]
            weight = [_stiffness(i) if n else 0.1 for n, i in zip(near, layer, strict=True)]
            _settle(layer, wish, weight, width, x)
    for layer in layers:  # at last what has no body of its own goes to where its edges end
        wish = [x[i] if i.kind in ("row", "group") else _between(placed, i) for i in layer]
        weight = [1e6 if i.kind in ("row", "group") else _stiffness(i) for i in layer]
        _settle(layer, wish, weight, width, x)
    left = min((x[i] - width[i] / 2 for i in x), default=0.0)
    right = max((x[i] + width[i] / 2 for i in x), default=0.0)
    for item in x:
        x[item] += PAD - left
    placed.width = right - left + 2 * PAD


def _near(item: Item, down: bool) -> list[Item]:
    """What an item lines up with; a trunk goes straight on, whatever branches off."""
    near = item.above if down else item.below
    if item.kind == "via":
        return [x for x in near if x.kind == "via"] or near
    return near


def _mean(near: list[Item], x: dict[Item, float]) -> float:
    """The middle of some items, in which what branches off a trunk hardly counts."""
    weights = [0.05 if _is_branch(item) else 1.0 for item in near]
    return sum(w * x[item] for w, item in zip(weights, near, strict=True)) / sum(weights)


def _between(placed: Placed, item: Item) -> float:
    """The middle between where the edge of a label, a bend or a port comes from and goes."""
    if item.kind == "via" and any(o.kind == "via" for o in (*item.above, *item.below)):
        return placed.x[item]
    ends = [placed.x[o] + placed.port(o, item.row, "out") for o in item.above]
    ends += [placed.x[o] + placed.port(o, item.row, "in") for o in item.below]
    return sum(ends) / len(ends)


def _is_branch(item: Item) -> bool:
    return item.kind == "label" and item.above[0].kind in ("via", "in")


def _stiffness(item: Item) -> float:
    if item.kind == "label":
        return 0.05 if _is_branch(item) else 2.0
    return 1000.0 if item.kind == "via" else 1.0


def _settle(
    layer: list[Item], wish: list[float], weight: list[float],
    width: dict[Item, float], x: dict[Item, float],
) -> None:  # fmt: skip
    need = [
        (width[a] + width[b]) / 2 + GAP * (0.4 if a.kind == b.kind == "via" else 1.0)
        for a, b in pairwise(layer)
    ]
    x.update(zip(layer, _spread(wish, weight, need), strict=True))


def _spread(wish: list[float], weight: list[float], need: list[float]) -> list[float]:
    """The nearest places to the wished ones that lie at least `need` apart."""
    if not wish:  # one value alone has no layers below it
        return []
    offset = [0.0]
    for gap in need:
        offset.append(offset[-1] + gap)
    blocks: list[list[float]] = []  # mean, weight, count
    for want, w, o in zip(wish, weight, offset, strict=True):
        blocks.append([want - o, w, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            m, v, n = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + m * v) / (last[1] + v)
            last[1] += v
            last[2] += n
    out: list[float] = []
    for mean, _, n in blocks:
        out += [mean + offset[len(out) + k] for k in range(int(n))]
    return out


def _down(placed: Placed) -> None:
    """Positions across the layers; bends run straight through theirs."""
    root = placed.level.group.parent is None
    at = float(PAD if root else HEAD)
    layers = placed.level.layers
    for k, layer in enumerate(layers):
        high = max((placed.size[item][1] for item in layer), default=0.0)
        for item in layer:
            placed.y[item] = at + high / 2
            if item.kind == "via":
                placed.size[item] = placed.size[item][0], high
        at += high
        if layer and k + 1 < len(layers):
            at += _lead(placed, layer)
    placed.height = at + (PAD if root else PAD / 2)
    for item in placed.x:
        if item.kind in ("in", "out"):
            placed.y[item] = 0.0 if item.kind == "in" else placed.height


def _lead(placed: Placed, layer: list[Item]) -> float:
    """Room below a layer: more where edges run far aside."""
    far = 0.0
    for item in layer:
        for end in item.below:
            row = item.row if item.kind != "group" else end.row
            a = placed.x[item] + placed.port(item, row, "out")
            b = placed.x[end] + placed.port(end, row, "in")
            far = max(far, abs(a - b))
    return min(max(LEAD, far / 6), MOST_LEAD)
