"""The picture of a story as SVG: readable in light and dark, and by screen readers."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .cards import LINE, Labels, card, group_card
from .groups import Group, grouped
from .layout import Item, layout
from .numbers import shown
from .place import Placed, place
from .states import states
from .story import Row, Story

_STYLE = """
svg.gradarray { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono',
 'Noto Sans Mono CJK KR', NanumGothicCoding, monospace; font-size: 12px }
.gradarray .ground { fill: #fbfaf8 } .gradarray text { fill: #22252b; white-space: pre }
.gradarray .group { fill: #1f5fae; fill-opacity: .04; stroke: #b9bec8 }
.gradarray .group-title { fill: #626975; font-size: 11px }
.gradarray .card { fill: #fff; stroke: #c3c8d1 } .gradarray .parameter .card { stroke: #8a6fb8 }
.gradarray .input .card { stroke: #3f7f6b } .gradarray .constant .card { stroke-dasharray: 4 3 }
.gradarray .whole .card { stroke-width: 2 }
.gradarray .head { font-weight: 600 } .gradarray .value { fill: #1f5fae }
.gradarray .adjoint { fill: #b04a08 } .gradarray .none { fill: #747b87 }
.gradarray .edge { fill: none; stroke: #9aa1ad; stroke-width: 1.2 }
.gradarray .tip { fill: #9aa1ad } .gradarray .label { fill: #4a505b; font-size: 10.5px }
@media (prefers-color-scheme: dark) {
.gradarray .ground { fill: #16181c } .gradarray text { fill: #e4e6ea }
.gradarray .group { fill: #7fb2f0; stroke: #434954 } .gradarray .group-title { fill: #9aa1ad }
.gradarray .card { fill: #20242a; stroke: #4a505b } .gradarray .parameter .card { stroke: #a98be0 }
.gradarray .input .card { stroke: #62b397 } .gradarray .value { fill: #8fbcf5 }
.gradarray .adjoint { fill: #f0a268 } .gradarray .none { fill: #8b929e }
.gradarray .edge { stroke: #6d7480 } .gradarray .tip { fill: #6d7480 }
.gradarray .label { fill: #b3b9c4 } }
"""


def svg(story: Story) -> str:
    """The graph of a story, with values and adjoints on its nodes, local derivatives on edges."""
    root = grouped(story)
    labels = Labels(story)
    placed = place(root, layout(root), lambda item: _size(item, labels), lambda g: g.is_open)
    width, height = round(placed.width), round(placed.height)
    name = f"How {story.result.name} came about"
    body = "\n".join(_level(placed, 0.0, 0.0, story, labels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="gradarray" role="img" '
        f'aria-label="{escape(name)}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}">\n<title>{escape(name)}</title>\n'
        f"<desc>{escape(description(story))}</desc>\n<style>{_STYLE}</style>\n"
        f'<rect class="ground" width="{width}" height="{height}" rx="8"/>\n{body}\n</svg>\n'
    )


def description(story: Story, most: int = 40) -> str:
    """The picture in words."""
    told = []
    for row in story.rows[-most:]:
        made = f"by {row.op.name} " if row.op is not None else ""
        adjoint = f", adjoint {shown(row.adjoint)}" if row.adjoint is not None else ""
        told.append(f"{row.name}, {row.kind} {made}of value {shown(row.value)}{adjoint}")
    head = f"{len(story.rows)} values, in the order in which they were computed"
    if len(story.rows) > most:
        head += f", the last {most} of them"
    return f"{head}: {'; '.join(told)}."


def _size(item: Item, labels: Labels) -> tuple[float, float]:
    if item.kind == "row":
        assert item.row is not None
        return card(item.row).size
    if item.group is not None:
        return group_card(item.group)[1]
    return labels.size(item)


def _level(
    placed: Placed, left: float, top: float, story: Story, labels: Labels
) -> Iterator[str]:
    items = [item for layer in placed.level.layers for item in layer]
    for item in items:
        yield from _edges(placed, item, left, top)
    for item in items:
        x, y = left + placed.x[item], top + placed.y[item]
        w, h = placed.size[item]
        if item in placed.inner:
            yield from _box(item.group, x - w / 2, y - h / 2, w, h)
            yield from _level(placed.inner[item], x - w / 2, y - h / 2, story, labels)
        elif item.group is not None:
            yield from _closed(item.group, x - w / 2, y - h / 2, w, h)
        elif item.kind == "row":
            yield from _card(item.row, story, x - w / 2, y - h / 2, w, h)
        elif item.kind == "label" and h:
            words = escape(labels(item))
            yield (
                f'<text class="label" x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle">'
                f"{words}</text>"
            )


def _box(group: Group | None, x: float, y: float, w: float, h: float) -> Iterator[str]:
    assert group is not None
    yield f'<rect class="group" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="8"/>'
    yield (
        f'<text class="group-title" x="{x + 10:.1f}" y="{y + 17:.1f}">'
        f"{escape(group.title)}</text>"
    )


def _closed(group: Group, x: float, y: float, w: float, h: float) -> Iterator[str]:
    """A closed group, drawn as a stack of cards."""
    for k in (6, 3, 0):
        yield (
            f'<rect class="card" x="{x + k:.1f}" y="{y + k:.1f}" width="{w - 6:.1f}" '
            f'height="{h - 6:.1f}" rx="6"/>'
        )
    for k, line in enumerate(group_card(group)[0]):
        kind = "none" if k else "head"
        yield (
            f'<text class="{kind}" x="{x + w / 2 - 3:.1f}" y="{y + 18 + k * LINE:.1f}" '
            f'text-anchor="middle">{escape(line)}</text>'
        )


def _card(
    row: Row | None, story: Story, x: float, y: float, w: float, h: float
) -> Iterator[str]:
    assert row is not None
    one = card(row)
    kinds = f"{row.kind} whole" if row is story.result else row.kind
    yield f'<g class="{kinds}">'
    yield f"<title>{escape('; '.join([f'{row.name} = {shown(row.value)}', *states(row)]))}</title>"
    yield f'<rect class="card" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="6"/>'
    lines = [
        ("head", one.head),
        ("value" if row.is_kept else "none", one.value),
        ("adjoint" if row.adjoint is not None else "none", one.adjoint),
    ]
    for k, (kind, line) in enumerate(lines):
        yield (
            f'<text class="{kind}" x="{x + 12:.1f}" y="{y + 19 + k * LINE:.1f}">'
            f"{escape(line)}</text>"
        )
    yield "</g>"


# Edges --------------------------------------------------------------------------------------------


def _edges(placed: Placed, item: Item, left: float, top: float) -> Iterator[str]:
    """The segments that run from an item to the next layer."""
    for end in item.below:
        row = item.row if item.kind != "group" else end.row
        x0, y0 = _port(placed, item, row, "out", item)
        x1, y1 = _port(placed, end, row, "in", item)
        x0, y0, x1, y1 = left + x0, top + y0, left + x1, top + y1
        if end.kind in ("row", "group") and end not in placed.inner:
            yield f'<path class="tip" d="M{x1:.1f} {y1:.1f}l-3.5 -7h7z"/>'
            y1 -= 5
        middle = (y0 + y1) / 2
        through = f"V{y0:.1f}" if item.kind == "via" else ""
        start = y0 - placed.size[item][1] if item.kind == "via" else y0
        yield (
            f'<path class="edge" d="M{x0:.1f} {start:.1f}{through}C{x0:.1f} {middle:.1f} {x1:.1f} '
            f'{middle:.1f} {x1:.1f} {y1:.1f}"/>'
        )


def _port(
    placed: Placed, item: Item, row: Row | None, side: str, other: Item
) -> tuple[float, float]:
    """Where the edge of a value leaves an item, or enters it."""
    x, y = placed.x[item], placed.y[item]
    w, h = placed.size[item]
    at = y + h / 2 if side == "out" else y - h / 2
    if item in placed.inner:
        return x + placed.port(item, row, side), at
    if side == "in" and item.kind in ("row", "group") and len(item.above) > 1:
        order = sorted(item.above, key=lambda label: placed.x[label])
        step = min(22.0, (w - 24) / len(order))
        return x + (order.index(other) - (len(order) - 1) / 2) * step, at
    return x, at
