"""The same table with blanks: values, local derivatives and adjoints to be filled in."""

from __future__ import annotations

import ast
import functools
import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from ..errors import message
from .blanks import Blank, blanks_of
from .explain import explain
from .numbers import shown
from .page import write
from .story import Story
from .words import Language

BLANK = "____"
DIGITS = 3  # significant digits that an answer needs
_FUNCTIONS = {
    name: getattr(np, name)
    for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "tanh", "cosh", "sinh", "arctan", "sum",
                 "mean", "abs", "maximum", "minimum")
} | {"ln": np.log}  # fmt: skip
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.MatMult: operator.matmul,
}  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """What an answer is worth: right or not, and what to say."""

    right: bool
    words: str

    def __bool__(self) -> bool:
        return self.right


def quiz(f: Callable[..., Any]) -> Callable[..., Quiz]:
    r"""Ask for the values and derivatives of f: `ga.quiz(f)(x)` is its table with blanks.

    Asked for are each value, each local derivative \partial b / \partial a, and each adjoint
    \partial f / \partial a = \sum_b (\partial f / \partial b) (\partial b / \partial a), to
    three significant digits. `ask()` asks in the terminal, `answer(symbol, x)` checks one answer.
    Raises what `ga.explain(f)(x)` raises.

    >>> import gradarray as ga
    >>> def price(apple, count, tax):
    ...     total = apple * count
    ...     return total * tax
    >>> quiz = ga.quiz(price)(100, 2, 1.1)
    >>> quiz.answer("total", 200).words
    'right: 200'
    >>> quiz.answer("dprice/dtotal", "-tax").words
    'not yet: look at the sign'
    """
    told = explain(f)

    @functools.wraps(f, assigned=("__doc__",), updated=())
    def at(*args: Any, **kwargs: Any) -> Quiz:
        return Quiz(told(*args, **kwargs).story)

    return at


class Quiz:
    """Blanks to fill in, for one function at one point; it prints as the table with gaps.

    `answer(symbol, x)` checks one answer; `ask()` asks for all of them in the terminal;
    `save("page.html")` writes a page that does.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        self.blanks = list(blanks_of(story))
        self.filled: dict[str, Any] = {}
        self.tries = 0
        self._values = {r.name: r.value for r in story.rows if r.kind != "result"}

    def __getitem__(self, symbol: str) -> Blank:
        """The blank of this symbol: `b`, `∂b/∂a` or (typed more easily) `db/da`."""
        wanted = symbol.replace(" ", "")
        for blank in self.blanks:
            if wanted in (blank.symbol, blank.symbol.replace("∂", "d")):
                return blank
        raise KeyError(
            message("quiz", f"there is no blank {symbol!r}.", f"There are {self._symbols()}.")
        )

    def _symbols(self) -> str:
        return ", ".join(blank.symbol for blank in self.blanks)

    @property
    def score(self) -> tuple[int, int]:
        """How many are filled in, and how many there are."""
        return len(self.filled), len(self.blanks)

    def answer(self, symbol: str, given: Any) -> Mark:
        """Check one answer: a number, an array, or a formula such as "2*x" in the known names.

        It is right to three significant digits. Raises KeyError for a symbol that is not asked.
        """
        blank = self[symbol]
        self.tries += 1
        try:
            value = _value(given, self._known()) if isinstance(given, str) else given
            value = np.asarray(value, dtype=np.result_type(np.asarray(blank.right), float))
        except (ValueError, TypeError, SyntaxError, ZeroDivisionError) as error:
            return Mark(False, f"that cannot be read: {error}")
        right = np.asarray(blank.right)
        if value.shape != right.shape:
            return Mark(False, f"its shape is {right.shape}, yours {value.shape}")
        scale = np.max(np.abs(right), initial=0.0)
        if np.all(np.abs(value - right) <= 0.5 * 10.0 ** (1 - DIGITS) * scale):
            self.filled[blank.symbol] = blank.right
            return Mark(True, f"right: {shown(blank.right)}")
        if scale and np.all(np.abs(value + right) <= 0.5 * 10.0 ** (1 - DIGITS) * scale):
            return Mark(False, "not yet: look at the sign")
        return Mark(False, f"not yet: {blank.symbol} = {blank.hint}")

    def save(self, path: Any, lang: Language = "en") -> None:
        """Write it as a page for the browser, whose blanks are checked at once."""
        write.save(self.story, path, lang, quiz=True)

    def _known(self) -> dict[str, Any]:
        return {**self._values, **self.filled}

    def ask(self, read: TextIO | None = None, write: TextIO | None = None) -> tuple[int, int]:
        """Ask for every blank, in order; an empty line shows the answer, `q` ends. The score."""
        answers: TextIO = sys.stdin if read is None else read
        write = sys.stdout if write is None else write
        known = ", ".join(f"{n} = {shown(v)}" for n, v in self._values.items())
        print(f"Given: {known}", file=write)
        right = 0
        for blank in self.blanks:
            if blank.symbol in self.filled:
                continue
            first = True
            while True:
                print(f"{blank.symbol} = {blank.hint} = ? ", end="", file=write, flush=True)
                line = answers.readline()
                if not line or line.strip() in ("q", "quit"):
                    print(f"{right} of {len(self.blanks)} right at once.", file=write)
                    return right, len(self.blanks)
                if not line.strip():
                    self.filled[blank.symbol] = blank.right
                    print(f"  it is {shown(blank.right)}", file=write)
                    break
                mark = self.answer(blank.symbol, line.strip())
                print(f"  {mark.words}", file=write)
                if mark:
                    right += first
                    break
                first = False
        print(f"{right} of {len(self.blanks)} right at once.", file=write)
        return right, len(self.blanks)

    def __str__(self) -> str:
        width = max(len(b.symbol) for b in self.blanks) if self.blanks else 0
        lines = [f"  {n} = {shown(v)}" for n, v in self._values.items()]
        for blank in self.blanks:
            filled = shown(self.filled[blank.symbol]) if blank.symbol in self.filled else BLANK
            lines.append(f"  {blank.symbol:{width}} = {blank.hint} = {filled}")
        return "\n".join(lines)

    __repr__ = __str__


def _value(given: str, known: dict[str, Any]) -> Any:
    """The value of a formula in known names; nothing but arithmetic is carried out."""

    def of(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return node.value
        if isinstance(node, ast.Name):
            if node.id in known:
                return known[node.id]
            raise ValueError(f"{node.id} is not known yet")
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            if isinstance(node.op, ast.Pow) and abs(float(np.max(np.abs(of(node.right))))) > 1e3:
                raise ValueError("so large a power")
            return _OPERATORS[type(node.op)](of(node.left), of(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](of(node.operand))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            function = _FUNCTIONS.get(node.func.id)
            if function is not None and not node.keywords:
                return function(*map(of, node.args))
        if isinstance(node, (ast.List, ast.Tuple)):
            return [of(x) for x in node.elts]
        raise ValueError(f"{ast.unparse(node)} is neither a number nor a formula in known names")

    text = given.replace("^", "**")
    return of(ast.parse(text, mode="eval").body)
