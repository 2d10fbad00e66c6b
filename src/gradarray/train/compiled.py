"""Compiled steps: what `fit`, `evaluate` and `predict` run for a batch is one native call.

The step that a model defines is recorded as any function is, with the model as a static argument.
A short last batch is a form of its own, compiled once and remembered. What cannot be compiled runs
op by op, and that is said once.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import message

if TYPE_CHECKING:
    from .model import Model

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

    def __call__(self, data: Any) -> Any:
        if self._eagerly:
            return self._run(data)
        try:
            ready = _compiled(self._name).prepared(self._model, data)
        except Exception as error:  # whatever the user's step raises when it is recorded
            result = self._run(data)  # if it is at fault in any case, its own error is raised here
            self._refuse(error)
            return result
        return self._run(data) if ready is None else ready()

    def _refuse(self, error: Exception) -> None:
        self._eagerly = True
        _refused.setdefault(self._model, {})[self._name] = self._chosen
        warnings.warn(
            message(
                "fit",
                f"{self._name} cannot be compiled, and runs op by op. {error}",
                "With compile(..., run_eagerly=True) this is not said.",
            ),
            stacklevel=4,
        )


@functools.cache
def _compiled(name: str) -> Any:
    """The function that calls this step of a model; compiled for each model apart."""
    compiler = import_module("..compiler.compile", __package__)

    def step(model: Model, data: Any) -> Any:
        return getattr(model, name)(data)

    step.__name__ = step.__qualname__ = name
    return compiler.Compiled(step, strict=True)
