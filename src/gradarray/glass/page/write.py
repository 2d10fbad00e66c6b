"""Puts the page together: the story as data, the layers of the drawing, the script, the style.

The file holds all of it. Its content-security policy allows no connection at all, and of scripts
and styles only these, by their hashes. What comes from users goes in as JSON, in which `<` is
escaped, and is written by the script as text, never as markup; formulas are MathML, escaped where
it is made.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from .. import place
from ..blanks import Blank, blanks_of
from ..cards import Labels, card, group_card
from ..data import number, to_data
from ..expr import name
from ..groups import MANY, Group, grouped
from ..layout import Item, Level, layout
from ..mathml import mathml
from ..simplify import simplify
from ..story import Row, Story, Term
from ..tex import tex
from ..words import Language, words_of

SCRIPTS = ("place.js", "draw.js", "panel.js", "quiz.js", "page.js", "search.js", "controls.js")
KINDS = ("row", "group", "in", "out", "label", "via")


def save(
    story: Story, path: Any, lang: Language = "en", paths: bool = False, quiz: bool = False
) -> None:
    """Write the page of a story to a file."""
    text = page(story, lang, paths, quiz)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def page(
    story: Story, lang: Language = "en", paths: bool = False, quiz: bool = False
) -> str:
    """The page of a story; with `paths`, the folders of source files are told.

    In a `quiz` its numbers are to be filled in.
    """
    words = words_of(lang)
    style = _text("page.css")
    script = "(() => {\n'use strict';\n" + "\n".join(map(_text, SCRIPTS)) + "\n})();\n"
    parts = {
        "lang": lang,
        "title": escape(words["title"].format(name=story.result.name)),
        "policy": _policy(style, script),
        "style": style,
        "script": script,
        "data": _inert(page_data(story, lang, paths, quiz)),
        **{f"word.{key}": escape(word) for key, word in words.items()},
    }
    out = []
    for k, part in enumerate(_text("page.html").split("{{")):
        key, _, rest = part.partition("}}")
        out.append(part if k == 0 else parts[key] + rest)
    return "".join(out)


@cache
def _text(file: str) -> str:
    return (files(__name__.rpartition(".")[0]) / file).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _inert(data: Any) -> str:
    """JSON that no reader of HTML takes for markup."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


# Data ---------------------------------------------------------------------------------------------


def page_data(
    story: Story, lang: Language, paths: bool, quiz: bool = False
) -> dict[str, Any]:
    """What the script reads: the story, its formulas, its cards and groups, and their layers."""
    data = to_data(story)
    root = grouped(story)
    labels = Labels(story)
    levels = layout(root)
    is_large = len(story.rows) > MANY
    for row, told in zip(story.rows, data["rows"], strict=True):
        if not is_large:
            told["math"] = _row_math(row)
            for term, one in zip(row.terms, told["terms"], strict=True):
                one["math"] = _term_math(term)
        if paths and told["place"] is not None and row.made is not None:
            told["place"]["file"] = os.path.abspath(row.made.spots[0].code.co_filename)
    return {
        "story": data,
        "words": words_of(lang),
        "large": is_large,
        "quiz": [_blank(one) for one in blanks_of(story)] if quiz else None,
        "measures": {
            "gap": place.GAP, "lead": place.LEAD, "mostLead": place.MOST_LEAD, "pad": place.PAD,
            "head": place.HEAD, "sweeps": place.SWEEPS, "many": MANY,
        },
        "cards": [_card(row) for row in story.rows],
        "groups": [_group(group) for group in root.groups()],
        "levels": [_level(levels[group], labels) for group in root.groups()],
    }


def _row_math(row: Row) -> dict[str, str | None]:
    is_result = row.kind == "result"
    return {
        "name": _inner(tex(row.expr)),
        "symbol": _inner(tex(name(row.symbol))),
        "formula": mathml(tex(row.formula)) if is_result else None,
        "plugged": mathml(tex(row.formula, numbers=True)) if is_result and row.is_kept else None,
    }


def _term_math(term: Term) -> dict[str, str | None]:
    local, pulled = term.local, term.pulled
    factor = None if local is None else simplify(local, exact=False)
    return {
        "local": None if factor is None else mathml(tex(factor)),
        "plugged": None if factor is None else mathml(tex(factor, numbers=True)),
        "whole": None if pulled is None or local is not None else mathml(tex(pulled.whole)),
    }


def _inner(formula: str) -> str:
    return mathml(formula).removeprefix("<math>").removesuffix("</math>")


def _blank(one: Blank) -> dict[str, Any]:
    return {"symbol": one.symbol, "right": [number(x) for x in np.ravel(one.right)]}


def _card(row: Row) -> list[Any]:
    one = card(row)
    return [one.head, one.value, one.adjoint, *one.size]


def _group(group: Group) -> dict[str, Any]:
    lines, size = group_card(group)
    return {
        "kind": group.kind,
        "title": group.title,
        "lines": lines,
        "open": group.is_open,
        "parent": None if group.parent is None else group.parent.number,
        "rows": [c.number for c in group.children if isinstance(c, Row)],
        "size": [*size],
    }


def _level(level: Level, labels: Labels) -> dict[str, Any]:
    items = [item for layer in level.layers for item in layer]
    at = {item: k for k, item in enumerate(items)}
    return {
        "layers": [[at[item] for item in layer] for layer in level.layers],
        "items": [_item(item, at, labels) for item in items],
    }


def _item(item: Item, at: dict[Item, int], labels: Labels) -> list[Any]:
    """Kind, row (or group), size, what is above; of a label, whose use it is, and its text."""
    of = item.group.number if item.group is not None else item.row.number if item.row else None
    size = [0, 0] if item.kind in ("row", "group") else labels.size(item)
    out = [KINDS.index(item.kind), of, *size, [at[a] for a in item.above]]
    if item.kind == "label":
        use = item.use
        out += [None if use is None else [use[0].number, use[1]], labels(item)]
    return out
