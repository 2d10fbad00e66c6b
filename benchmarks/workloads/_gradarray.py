"""gradarray as a user writes it: a model, Adam, and one decorated step."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import gradarray as ga
from gradarray.compiler import report

from . import Job
from ._weights import initial


def model_of(net: Callable[[Any], Any], dtype: Any = np.float32) -> Any:
    model = net(ga.nn)
    if dtype == np.float64:
        model = model.double()
    model.load_state_dict(initial(net, dtype))
    return model


def trained(model: Any, loss: Callable[..., Any], *data: np.ndarray) -> Job:
    """Training steps on the same batch."""
    optimizer = ga.optim.Adam(model.parameters(), lr=1e-3)

    @ga.compile
    def step(*batch: Any) -> Any:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        optimizer.step()
        return value

    batch = [ga.array(x) for x in data]
    return Job(lambda: step(*batch), lambda: gradients(model.parameters()), lambda: figures(step))


def gradients(parameters: Iterable[Any]) -> list[np.ndarray]:
    """A parameter that the loss does not reach has none, which here is 0."""
    return [np.zeros(p.shape) if p.grad is None else p.grad.numpy() for p in parameters]


def figures(compiled: Any) -> Any:
    return report.figures(compiled._versions.last._run)


def called(f: Callable[..., Any], *args: Any) -> Job:
    """A compiled function whose results are the gradients."""
    compiled = ga.compile(f)
    inputs = [ga.array(x) for x in args]
    step = lambda: compiled(*inputs)
    results = lambda: [np.asarray(x) for x in ga.tree.flatten(step())[0]]
    return Job(step, results, lambda: figures(compiled))
