"""Compiled steps: what `fit`, `evaluate` and `predict` run for a batch is one native call.

The step that a model defines is recorded as any function is, with the model as a static argument.
Where nobody listens batch by batch, many are run in one entry (`Ahead`). A short last batch is a
form of its own, compiled once and remembered; from the third size on there is one for all. What
cannot be compiled runs op by op, and that is said once.
"""

from __future__ import annotations

import functools
import math
import time
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import tree
from ..array import GradArray
from ..errors import message, warn

if TYPE_CHECKING:
    from .data import Source
    from .model import Model

# Seconds of batches in one entry, of steps that let other threads of Python run and of others,
# and how many batches the first entry has.
LONG, SHORT, FIRST = 0.05, 0.005, 4

# By model, the steps that could not be compiled, and what `compile` had chosen then.
_refused: weakref.WeakKeyDictionary[Model, dict[str, Any]] = weakref.WeakKeyDictionary()


class Step:
    """`model.train_step`, `test_step` or `predict_step`, compiled where it can be."""

    def __init__(self, model: Model, name: str) -> None:
        self._model, self._name = model, name
        self._run = getattr(model, name)
        self._chosen = model._compiled
        refused = _refused.get(model, {})
        self._eagerly = getattr(self._chosen, "run_eagerly", False) or (
            name in refused and refused[name] is self._chosen
        )
        self._compiled: Any = None
        if not self._eagerly:
            try:
                self._compiled = _compiled(name)
            except ImportError as error:  # there is no LLVM here
                self._refuse(error)

    def __call__(self, data: Any) -> Any:
        if self._eagerly:
            return self._run(data)
        found = self._compiled.short(self._model, (data,))
        if found is not self._compiled.miss:
            return found
        try:
            ready = self._compiled.prepared(self._model, data)
        except Exception as error:  # whatever the user's step raises when it is recorded
            result = self._run(data)  # if it is at fault in any case, its own error is raised here
            self._refuse(error)
            return result
        if ready is None:
            return self._run(data)
        version, leaves = ready
        result = version(leaves)
        if result is self._compiled.miss:
            ready = self._compiled.prepared(self._model, data, exact=True)
            return self._run(data) if ready is None else ready[0](leaves)
        return result

    def many(self, data: Any) -> Any:
        """What runs further batches like this one, which was run, in one entry; None: nothing."""
        if self._eagerly:
            return None
        ready = self._compiled.prepared(self._model, data)
        return None if ready is None else ready[0].many(ready[1])

    def _refuse(self, error: Exception) -> None:
        self._eagerly = True
        _refused.setdefault(self._model, {})[self._name] = self._chosen
        warn(
            message(
                "fit",
                f"{self._name} cannot be compiled, and runs op by op. {error}",
                "With compile(..., run_eagerly=True) this is not said.",
            )
        )


def _off_the_graph(x: Any) -> Any:
    return x.detach() if isinstance(x, GradArray) else x


class Ahead:
    """Runs whole batches that lie ahead of a pass over arrays, as many in one entry as take a
    moment; `stop`: a word that ends an entry after the batch at hand when it is not 0."""

    def __init__(self, step: Step, source: Source, stop: Any = None) -> None:
        self._step, self._source, self._stop = step, source, stop
        self._seconds = math.inf  # that a batch takes

    def __call__(self, data: Any) -> tuple[int, Any]:
        """Batches after this one, which was run: how many were, and what the step gave, arrays
        stacked along a new first axis."""
        rows = self._source.ahead()
        many = self._step.many(data) if rows is not None and rows.count else None
        if many is None or rows is None:
            return 0, None
        moment = LONG if many.long else SHORT
        most = FIRST if self._seconds == math.inf else int(moment / max(self._seconds, 1e-7))
        rows = rows._replace(count=min(rows.count, max(most, 1)))
        began = time.perf_counter()
        done, result = many(rows, self._stop)
        if done:
            self._seconds = (time.perf_counter() - began) / done
            self._source.skip(done)
        return done, result


@functools.cache
def _compiled(name: str) -> Any:
    """The function that calls this step of a model; compiled for each model apart."""
    compiler = import_module("..compiler.compile", __package__)

    def step(model: Model, data: Any) -> Any:
        return tree.map(_off_the_graph, getattr(model, name)(data))

    step.__name__ = step.__qualname__ = name
    return compiler.Compiled(step, strict=True, dynamic="data", exact=2)
