"""`ga.explain`: how a value, and its derivative, came about."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, wrap
from ..errors import DTypeError, GraphError, check_function, message
from ..transforms.checkpoint import drawn_state, restore
from . import data, notebook, source
from . import formula as formulas
from .build import Builder
from .dot import dot
from .failure import Failure, last_error
from .fused import link
from .mermaid import mermaid
from .orders import Orders, orders
from .page import write
from .record import Keeper
from .story import Row, Story
from .svg import svg
from .table import table
from .words import Language


class Explanation:
    """How one value came about: it prints as a table, and is drawn, written and saved.

    `rows` are its values, oldest first, each with the op that made it, its operands, its adjoint
    and the terms of which that is the sum; `result` is the last of them.
    """

    def __init__(self, story: Story) -> None:
        self.story = story

    @property
    def rows(self) -> list[Row]:
        return self.story.rows

    @property
    def result(self) -> Row:
        return self.story.result

    def table(
        self, colour: bool = False, every: bool = False, lang: Language = "en"
    ) -> str:
        """The table that it prints as, without a terminal's colours unless asked for.

        `every`: all rows of a long one. `lang` is "en" or "ko" for its words.
        """
        return table(self.story, colour, every, lang)

    def orders(self) -> Orders:
        """Forward against reverse: both orders of the chain rule, with the operations of each."""
        return orders(self.story)

    # As formulas ----------------------------------------------------------------------------------

    def text(self, numbers: bool = False) -> str:
        """The chain rule step by step, a line each, and the derivative in one formula.

        With `numbers` values stand in place of names.
        """
        return formulas.steps_text(self.story, numbers)

    def latex(self, numbers: bool = False) -> str:
        """The same as an `align*` block for a LaTeX document (with amsmath)."""
        return formulas.steps_latex(self.story, numbers)

    def mathml(self, numbers: bool = False) -> str:
        """The same as MathML, for a page."""
        return formulas.steps_mathml(self.story, numbers)

    def formula(
        self, name: str = "", *, longest: int = formulas.LONGEST, sympy: bool = False
    ) -> formulas.Formula:
        """The derivative in the input `name` as one simplified formula in the inputs.

        It prints as text and has `latex()`, `mathml()` and `python()`. `sympy` simplifies further
        (pip install gradarray[symbolic]). Raises FormulaError where more than `longest` operations
        are left.
        """
        return formulas.formula(self.story, name, longest=longest, sympy=sympy)

    def python(self) -> str:
        """Source of the value and of the sweep, which runs on NumPy (and SciPy) alone."""
        return source.python(self.story)

    # Drawn, saved, as data -----------------------------------------------------------------------

    def svg(self) -> str:
        """The graph as SVG: values and adjoints on nodes, local derivatives along edges."""
        return svg(self.story)

    def dot(self) -> str:
        """The graph for Graphviz, as in `dot -Tpdf`."""
        return dot(self.story)

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart, which Markdown viewers draw."""
        return mermaid(self.story)

    def save(
        self, path: Any, lang: Language = "en", paths: bool = False, quiz: bool = False
    ) -> None:
        """Write a page for the browser: one file that needs no network.

        It steps forward through the values and back through the adjoints, and shows the entire
        calculation of each. `lang` is "en" or "ko" for its labels; `paths` tells the folders of
        source files, of which only names are told otherwise; in a `quiz` its numbers are blanks.
        """
        write.save(self.story, path, lang, paths, quiz)

    def to_json(self, elements: int = data.ELEMENTS, indent: int | None = None) -> str:
        """The rows as JSON; `gradarray.glass.data` says what it holds.

        Arrays of at most so many `elements` are told whole.
        """
        return data.to_json(self.story, elements, indent)

    def to_csv(self) -> str:
        """One line for each value."""
        return data.to_csv(self.story)

    def to_table(self) -> Any:
        """A pandas frame of one row for each value."""
        return data.to_table(self.story)

    def _repr_html_(self) -> str:
        return notebook.html(self.story)

    def _repr_svg_(self) -> str:
        return svg(self.story)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return notebook.mimebundle(self.story, include, exclude)

    def __getitem__(self, name: str) -> Row:
        """The row of this name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __str__(self) -> str:
        return table(self.story, colour=in_colour())

    def __repr__(self) -> str:
        return table(self.story)


class Explain:
    r"""Tell how a value, and its derivative, came about: `explain(f)(x, ...)` or `explain(value)`.

    The result prints as a table of every step: values forward, local derivatives
    \partial b / \partial a, and adjoints back, each the sum over the uses b of a of
    (\partial f / \partial b) (\partial b / \partial a), with symbols, then with numbers. It is
    also a formula, a picture, a page, JSON (see its methods). f runs once, watched: random numbers
    and running statistics are afterwards what they were before. Of a value that is computed
    already, what no rule kept is computed again where its operands remain, and is "not kept"
    otherwise; inside `ga.keep_all()` everything is kept. Raises TypeError where f does not
    return one array, DTypeError where that is not of floating-point numbers, GraphError where it
    is on no graph.

    >>> import gradarray as ga
    >>> def f(x):
    ...     a = x**2
    ...     return ga.exp(a)
    >>> e = ga.explain(f)(0.5)
    >>> e["a"].value, e["a"].adjoint  # the row of a name
    (np.float64(0.25), np.float64(1.2840254166877414))
    >>> print(e)
    Forward
      x          = 0.5      input
      a = x²     = 0.25     square  2: a = x**2
      f = exp(a) = 1.28403  exp     3: return ga.exp(a)
    <BLANKLINE>
    Local derivatives
      ∂a/∂x = 2 x                  = 1
      ∂f/∂a = exp(a)               = 1.28403
    <BLANKLINE>
    Backward
      ∂f/∂x = ∂f/∂a ∂a/∂x
            = ∂f/∂a · 2 x
            = 1.28403 · 1
            = 1.28403
    """

    def __call__(self, f: Any) -> Any:
        if isinstance(f, GradArray):
            return Explanation(_told(f, Keeper(), "y"))
        check_function(f, "explain")
        return functools.update_wrapper(functools.partial(_run, f), f, assigned=("__doc__",))

    @staticmethod
    def last_error(error: BaseException | None = None) -> Failure:
        """What an operation that failed was given: its operands, and how they were made.

        Of the error that is being handled, of the last one in an interactive session, or of the
        one given: its message, the source line with each operand under it, and the record of what
        they were made of. Raises GraphError where there is none.
        """
        return last_error(error)


explain = Explain()


def _run(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Explanation:
    """Run f on the arguments, watched, and tell of its result; the run leaves no trace.

    Random numbers and running statistics are afterwards what they were before.
    """
    keeper = Keeper(sys._getframe(0))
    args = tuple(float(x) if type(x) is int else x for x in args)  # as `grad` takes them
    leaves, form = tree.flatten((args, kwargs))
    given = [_argument(x) for x in leaves]
    names = _argument_names(f, args, kwargs)
    for x, name in zip(given, names, strict=True):
        keeper.call(x, name)
    args, kwargs = tree.unflatten(form, given)
    drawn = drawn_state()
    try:
        with graph.recording(), graph.watching(keeper):
            y = f(*args, **kwargs)
    finally:
        restore(drawn)
        keeper.undo()
        keeper.let_go()
    name = getattr(f, "__name__", "")
    if not name.isidentifier():  # a lambda
        name = "f" if "y" in names else "y"
    inputs = [x for x in given if isinstance(x, GradArray)]
    story = _told(y, keeper, name, inputs)
    if hasattr(f, "fused"):  # it is compiled
        with graph.no_grad():
            link(story.rows, f.fused(*tree.map(_detached, args), **tree.map(_detached, kwargs)))
    return Explanation(story)


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, GradArray) else x


def _told(y: Any, keeper: Keeper | None, name: str, inputs: list[GradArray] | None = None) -> Story:
    if not isinstance(y, GradArray):
        raise TypeError(
            message(
                "explain",
                f"the function returned {type(y).__name__}, not one array.",
                "Is there a `return` in it?" if y is None else
                "Explain one of its results, as in ga.explain(lambda x: f(x)[0]).",
            )
        )  # fmt: skip
    y = y._base()
    if y.dtype.kind not in "fc":
        raise DTypeError(
            message("explain", f"the result has dtype {y.dtype}, which has no derivative.")
        )
    if y._node is None:
        raise GraphError(
            message(
                "explain",
                "the value is on no graph: nothing that it was made of needs a derivative.",
                "Give its function, ga.explain(f)(x), or make its inputs with requires_grad=True.",
            )
        )
    seed = np.ones(y.shape, y.dtype) if y.shape else y.dtype.type(1)
    return Builder([y], keeper, name).story(seed, inputs or [])


def _argument(x: Any) -> Any:
    """An argument as the function gets it: floating ones as leaves of their own."""
    if isinstance(x, GradArray):
        raw = x._base()._data
    elif isinstance(x, (float, complex, np.ndarray, np.generic)):
        raw = np.array(x)[()]
    else:
        return float(x) if type(x) is int else x
    if raw.dtype.kind not in "fc":
        return x
    handle = wrap(raw.view() if raw.ndim else raw)
    handle.requires_grad = True
    return handle


def _argument_names(f: Any, args: Any, kwargs: Any) -> list[str]:
    """What each array in the arguments is called, by the signature and by the keys of dicts."""
    try:
        bound = inspect.signature(f).bind(*args, **kwargs)
        names = list(bound.arguments)
    except (TypeError, ValueError):
        names = []
    pairs = [(names[k] if k < len(names) else f"x{k}", x) for k, x in enumerate(args)]
    return [
        _path(name, path)
        for name, x in [*pairs, *kwargs.items()]
        for path in tree.paths(tree.flatten(x)[1])
    ]


def _path(name: str, path: str) -> str:
    keys = [part.strip("'\"") for part in path[1:-1].split("][")] if path else []
    return keys[-1] if keys and keys[-1].isidentifier() else "_".join([name, *keys])


def in_colour() -> bool:
    """Is standard output a terminal that wants colours? (https://no-color.org)"""
    import os

    return "NO_COLOR" not in os.environ and getattr(sys.stdout, "isatty", bool)()
