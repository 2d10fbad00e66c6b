"""What an operation that failed was given: its operands under the source line, and their record.

An error holds the frames it came through, and so the arrays that were in them: nothing is kept
for it beforehand.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from ..array import GradArray
from ..errors import GraphError, message, no_user_wrote
from ..graph import Grad
from ..nn.module import Module
from .build import Builder
from .names import where_of
from .numbers import form
from .record import Keeper
from .story import Story
from .table import table


@dataclass(frozen=True)
class Operand:
    """An operand of what failed, and the columns of the source line at which it stands."""

    name: str
    value: Any
    columns: tuple[int, int] | None


@dataclass(frozen=True)
class Failure:
    """An error, the user's line, what the failing operation was given, and how that was made."""

    error: BaseException
    file: str
    line: int
    source: str
    operands: tuple[Operand, ...]
    story: Story | None

    def __str__(self) -> str:
        head = f"{type(self.error).__name__}: {str(self.error).splitlines()[0]}"
        lines = [head, ""]
        if self.source:
            where = f"  {os.path.basename(self.file)}:{self.line}  "
            lines.append(where + self.source)
            lines += [" " * len(where) + text for text in _drawn(self.operands)]
        lines += [
            f"  {one.name}: {_told(one.value)}" for one in self.operands if one.columns is None
        ]
        if self.story is not None:
            lines += ["", table(self.story)]
        return "\n".join(lines)

    __repr__ = __str__


def last_error(error: BaseException | None = None) -> Failure:
    """The failure behind an error: the one being handled, or the last one in a session."""
    error = error or sys.exc_info()[1] or getattr(sys, "last_exc", None) or getattr(
        sys, "last_value", None
    )
    if error is None or error.__traceback__ is None:
        raise GraphError(
            message(
                "explain.last_error",
                "there is no error at hand.",
                "Call it where the error is handled, or give it the error: last_error(error).",
            )
        )
    frames = list(_frames(error.__traceback__))
    users = [k for k, (f, _, _) in enumerate(frames) if not no_user_wrote(f.f_code.co_filename)]
    at = users[-1] if users else 0
    frame, instruction, line = frames[at]
    text = linecache.getline(frame.f_code.co_filename, line).rstrip("\n")
    indent = len(text) - len(text.lstrip())
    given = _given(_inside_layer(frames[at + 1 :]))
    operands = _placed(frame, instruction, line, indent, given)
    return Failure(
        error,
        frame.f_code.co_filename,
        line,
        text.strip(),
        operands,
        _story(operands, [f for f, _, _ in reversed(frames)]),
    )


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lasti, trace.tb_lineno
        trace = trace.tb_next


def _inside_layer(
    frames: list[tuple[FrameType, int, int]]
) -> list[tuple[FrameType, int, int]]:
    """From the call of the innermost layer on: what that was given is what does not fit."""
    layers = [
        k
        for k, (f, _, _) in enumerate(frames)
        if isinstance(f.f_locals.get("self"), Module) and f.f_code.co_name == "forward"
    ]
    return frames[layers[-1] :] if layers else frames


# What it was given --------------------------------------------------------------------------------


def _given(frames: list[tuple[FrameType, int, int]]) -> list[Any]:
    """The arrays that the library was called with, from the frames below the user's."""
    for frame, _, _ in reversed(frames):
        op = frame.f_locals.get("op", frame.f_globals.get("op"))
        if isinstance(op, type) and issubclass(op, Grad):
            found = _arrays(frame, op.operands)
            if found:
                return found
    for frame, _, _ in frames:
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)
        found = _arrays(frame, code.co_varnames[:count])
        if found:
            return found
    return []


def _arrays(frame: FrameType, names: tuple[str, ...]) -> list[Any]:
    found = []
    for name in (*names, "operands"):
        value = frame.f_locals.get(name)
        for x in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(x, (GradArray, np.ndarray)) and not any(x is y for y in found):
                found.append(x)
    return found


# Where it stands ----------------------------------------------------------------------------------


def _placed(
    frame: FrameType, instruction: int, line: int, indent: int, given: list[Any]
) -> tuple[Operand, ...]:
    """The operands by the expressions of the source that gave them."""
    found, left = [], list(given)
    for node in _expressions(frame, instruction):
        value = _value(node, frame)
        if value is None and left and not isinstance(node, ast.Constant):
            value = left[0]
        if not isinstance(value, (GradArray, np.ndarray)):
            continue
        left = [x for x in left if x is not value]
        here = node.lineno == line == node.end_lineno
        columns = (node.col_offset - indent, (node.end_col_offset or 0) - indent) if here else None
        found.append(Operand(ast.unparse(node), value, columns))
    return (*found, *(Operand(f"operand {k + 1}", x, None) for k, x in enumerate(left)))


def _expressions(frame: FrameType, instruction: int) -> list[ast.expr]:
    """The operands of the expression at an instruction, as they are written."""
    positions = list(frame.f_code.co_positions())[instruction // 2]
    text = "".join(linecache.getlines(frame.f_code.co_filename))
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    for node in ast.walk(tree):
        if isinstance(node, (ast.expr, ast.stmt)) and where_of(node) == positions:
            if isinstance(node, ast.BinOp):
                return [node.left, node.right]
            if isinstance(node, ast.AugAssign):
                return [node.target, node.value]
            if isinstance(node, ast.Compare):
                return [node.left, *node.comparators]
            if isinstance(node, ast.Subscript):
                return [node.value, node.slice]
            if isinstance(node, ast.Call):
                of = [node.func.value] if isinstance(node.func, ast.Attribute) else []
                return _spelled([*of, *node.args, *(k.value for k in node.keywords)])
    return []


def _spelled(nodes: list[ast.expr]) -> list[ast.expr]:
    """The elements of lists that are written out."""
    lists = (ast.List, ast.Tuple)
    return [x for n in nodes for x in (n.elts if isinstance(n, lists) else [n])]


def _value(node: ast.expr, frame: FrameType) -> Any:
    """The value of a variable or of its attributes; None for what would have to be computed."""
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    if isinstance(node, ast.Attribute):
        inside = getattr(_value(node.value, frame), "__dict__", {})
        for part in (inside, inside.get("_parameters"), inside.get("_buffers")):
            if isinstance(part, dict) and node.attr in part:
                return part[node.attr]
    return None


def _drawn(operands: tuple[Operand, ...]) -> list[str]:
    """Carets under each operand, and lines from them to what it is."""
    placed = sorted((o for o in operands if o.columns is not None), key=lambda o: o.columns or ())
    if not placed:
        return []
    width = max(o.columns[1] for o in placed if o.columns)
    marks = [" "] * width
    for one in placed:
        start, end = one.columns or (0, 0)
        marks[start:end] = "^" * (end - start)
    lines = ["".join(marks)]
    for k in range(len(placed) - 1, -1, -1):
        row = [" "] * width
        for one in placed[:k]:
            row[(one.columns or (0, 0))[0]] = "|"
        start = (placed[k].columns or (0, 0))[0]
        lines.append("".join(row[:start]) + f"{placed[k].name}: {_told(placed[k].value)}")
    return lines


def _told(value: Any) -> str:
    raw = value._base()._data if isinstance(value, GradArray) else value
    node = value._node if isinstance(value, GradArray) else None
    made = "" if node is None or node.name == "leaf" else f", made by {node.name}"
    return form(raw) + made


def _story(operands: tuple[Operand, ...], frames: list[FrameType]) -> Story | None:
    keeper = Keeper(frames=frames)
    for one in operands:
        if one.name.isidentifier() or one.columns is not None:
            keeper.call(one.value, one.name)
    handles = [o.value for o in operands if isinstance(o.value, GradArray)]
    return Builder(handles, keeper, "").partial()
