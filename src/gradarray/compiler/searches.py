"""Searches: what SciPy does with functions of a trace, as one call of the host.

Each function is recorded in a trace of its own, as the inside of a loop is, and compiled when the
host first calls it; what it uses from around it are operands of the call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..array import GradArray, lift, wrap
from ..errors import GraphError, message
from ..graph import mode
from ..transforms.whole import WholeGrad
from .abstract import Abstract
from .body import Body, Changes
from .flow import form_of, step_of
from .native import Native
from .trace import lock


class Part:
    """A function of arrays, recorded, that the host may call; it gives arrays of NumPy."""

    def __init__(self, op: str, f: Callable[..., Any], forms: Sequence[Any]) -> None:
        body = Body(mode.trace)
        changes = Changes(body)
        try:
            with body.recording():
                inputs = [body.input(*form) for form in forms]
                found, self.form = tree.flatten(f(*map(body.handle_on, inputs)))
                results = [body.value(lift(y, op)) for y in found]
            del found
        finally:
            refused = changes.gradients_changed()
            refused = bool(changes.undo()) or refused
        if refused:
            raise GraphError(
                message(op, "the function changes arrays outside of it.",
                        "Carry them as unknowns, or call it where nothing is compiled.")
            )  # fmt: skip
        steps, used = body.steps_for(results, lambda v: v in body.sources)
        own = set(inputs)
        used = [v for v in used if v not in own]
        self.around = [body.sources[v] for v in used]
        self.forms = [form_of(y) for y in results]
        self._program = body.program([*inputs, *used], steps, results)
        self._run: Native | None = None
        self._now = threading.local()  # values of what is around, for the call at hand

    def given(self, values: dict[Abstract, Any]) -> None:
        self._now.values = [values[v] for v in self.around]

    def __call__(self, *xs: Any) -> Any:
        if self._run is None:
            with lock:
                self._run = self._run or Native(self._program, 0, {})
        values = self._run([*[x._data for x in xs], *self._now.values])
        assert values is not None
        return tree.unflatten(self.form, values)


class Search:
    """What the host is to do, and the functions that it calls."""

    def __init__(self, run: Callable[..., tuple[Any, ...]], parts: Sequence[Part]) -> None:
        self.run, self.parts = run, parts
        self.around = list(dict.fromkeys(v for part in parts for v in part.around))

    def __call__(self, *operands: Any) -> tuple[Any, ...]:
        first = len(operands) - len(self.around)
        values = dict(zip(self.around, operands[first:], strict=True))
        for part in self.parts:
            part.given(values)
        return self.run(*operands[:first])


class SearchGrad(WholeGrad, internal=True):
    """What SciPy found; no derivative goes through it."""

    __slots__ = ()
    name = "search"
    forward = staticmethod(lambda *operands, search: search(*operands))


class MinimizeGrad(SearchGrad, internal=True):
    """scipy.optimize.minimize."""

    __slots__ = ()
    name = "scipy minimize"


class RootGrad(SearchGrad, internal=True):
    """scipy.optimize.root."""

    __slots__ = ()
    name = "scipy root"


class LeastSquaresGrad(SearchGrad, internal=True):
    """scipy.optimize.least_squares."""

    __slots__ = ()
    name = "scipy least_squares"


_OPS = {"minimize": MinimizeGrad, "root": RootGrad, "least_squares": LeastSquaresGrad}


def search(
    op: str, run: Callable[..., tuple[Any, ...]], parts: Sequence[Part],
    operands: Sequence[Any], forms: Sequence[Any],
) -> list[GradArray]:  # fmt: skip
    """The results, of these forms, of run(*operands), which may call the parts."""
    what = Search(run, parts)
    step = step_of(_OPS[op], [*operands, *what.around], {"search": what})
    return [wrap(v) for v in mode.trace.append(step, list(forms))]
