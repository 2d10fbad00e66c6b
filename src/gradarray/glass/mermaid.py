"""The picture of a story in the language of Mermaid, which Markdown viewers draw."""

from __future__ import annotations

from collections.abc import Iterator

from .cards import card, group_card, label
from .dot import edges, representatives
from .groups import Group, grouped
from .story import Row, Story

_BRACKETS = {
    "input": ("([", "])"), "parameter": ("([", "])"), "constant": ("[/", "/]"),
    "result": ("[", "]"),
}  # fmt: skip


def mermaid(story: Story) -> str:
    """The graph of a story as a flowchart; groups are subgraphs, repeats are one node."""
    root = grouped(story)
    lines = ["flowchart TB", *_inside(root, "  ")]
    terms = {(t.to, t.operand): t for row in story.rows for t in row.terms}
    for a, b, use in edges(story, representatives(root)):
        words = "" if use is None or use not in terms else label(terms[use])
        lines.append(f"  {a} -->|{_quoted([words])}| {b}" if words else f"  {a} --> {b}")
    return "\n".join([*lines, ""])


def _inside(group: Group, room: str) -> Iterator[str]:
    for child in group.children:
        if isinstance(child, Row):
            one = card(child)
            left, right = _BRACKETS[child.kind]
            words = _quoted([one.head, one.value, one.adjoint])
            yield f"{room}r{child.number}{left}{words}{right}"
        elif child.is_open:
            yield f"{room}subgraph s{child.number} [{_quoted([child.title])}]"
            yield from _inside(child, room + "  ")
            yield f"{room}end"
        else:
            yield f"{room}g{child.number}[[{_quoted(group_card(child)[0])}]]"


def _quoted(lines: list[str]) -> str:
    """Mermaid reads entities by number; everything that it, or HTML, may take for its own is one.
    """
    return '"' + "<br>".join("".join(map(_safe, line)) for line in lines) + '"'


def _safe(letter: str) -> str:
    return letter if letter.isalnum() or letter in " .,=+-()[]/∂×…^*_·" else f"#{ord(letter)};"
