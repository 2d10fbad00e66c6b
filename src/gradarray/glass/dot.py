"""The picture of a story in the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from .cards import card, group_card, label
from .groups import Group, grouped
from .story import Row, Story

_SHAPES = {"input": "ellipse", "parameter": "ellipse", "constant": "note", "result": "box"}


def dot(story: Story) -> str:
    """The graph of a story for `dot -Tpdf`; groups are clusters, repeats are one node."""
    root = grouped(story)
    shown_as = representatives(root)
    lines = [
        "digraph gradarray {",
        "  rankdir=TB; compound=true;",
        '  node [shape=box, style=rounded, fontname="monospace", fontsize=10];',
        '  edge [fontname="monospace", fontsize=9];',
        *_inside(root, "  "),
    ]
    terms = {(t.to, t.operand): t for row in story.rows for t in row.terms}
    for a, b, use in edges(story, shown_as):
        words = "" if use is None or use not in terms else label(terms[use])
        lines.append(f"  {a} -> {b}" + (f" [label={_quoted(words)}]" if words else "") + ";")
    return "\n".join([*lines, "}", ""])


def representatives(root: Group) -> dict[Row, str]:
    """The node that stands for each row: its own, or that of the closed group around it."""
    found: dict[Row, str] = {}
    for group in root.groups():
        if group is not root and not group.is_open:
            for row in group.rows():
                found.setdefault(row, f"g{group.number}")
    for row in root.rows():
        found.setdefault(row, f"r{row.number}")
    return found


def edges(
    story: Story, shown_as: dict[Row, str]
) -> Iterator[tuple[str, str, tuple[Row, int] | None]]:
    """Edges between nodes that are shown, each once; with the use, where the user is a row."""
    seen: set[tuple] = set()
    for row in story.rows:
        for k, x in enumerate(row.operands):
            if not isinstance(x, Row) or shown_as[x] == shown_as[row]:
                continue
            use = (row, k) if shown_as[row].startswith("r") else None
            edge = shown_as[x], shown_as[row], use
            if edge not in seen:
                seen.add(edge)
                yield edge


def _inside(group: Group, room: str) -> Iterator[str]:
    for child in group.children:
        if isinstance(child, Row):
            one = card(child)
            words = "\n".join([one.head, one.value, one.adjoint])
            kind = _SHAPES[child.kind]
            yield f"{room}r{child.number} [label={_quoted(words)}, shape={kind}];"
        elif child.is_open:
            yield f"{room}subgraph cluster_{child.number} {{"
            yield f"{room}  label={_quoted(child.title)}; style=rounded; color=gray60;"
            yield from _inside(child, room + "  ")
            yield f"{room}}}"
        else:
            words = "\n".join(group_card(child)[0])
            yield f"{room}g{child.number} [label={_quoted(words)}, shape=box3d, style=solid];"


def _quoted(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
