"""PyTorch as its users write it: eager with the fused Adam, under torch.compile where asked."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from . import TORCH_COMPILE, Job
from ._weights import initial

COMPILED = bool(os.environ.get(TORCH_COMPILE))


def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(f) if COMPILED else f


def model_of(net: Callable[[Any], Any], dtype: Any = np.float32) -> Any:
    model = net(torch.nn)
    if dtype == np.float64:
        model = model.double()
    model.load_state_dict({k: torch.tensor(w) for k, w in initial(net, dtype).items()})
    return model


def trained(model: Any, loss: Callable[..., Any], *data: np.ndarray) -> Job:
    """Training steps on the same batch; loss and its gradient are compiled where asked."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    batch = [torch.tensor(x) for x in data]
    faster = compiled(loss)

    def step() -> Any:
        optimizer.zero_grad()
        value = faster(*batch)
        value.backward()
        optimizer.step()
        return value

    return Job(step, lambda: gradients(model.parameters()))


def gradients(parameters: Iterable[Any]) -> list[np.ndarray]:
    """A parameter that the loss does not reach has none, which here is 0."""
    return [np.zeros(p.shape) if p.grad is None else p.grad.numpy() for p in parameters]


def pulled(f: Callable[..., Any], *args: Any) -> Job:
    """The value of f and its gradient in all arguments, by a backward pass."""
    leaves = [torch.tensor(x, requires_grad=True) for x in args]
    faster = compiled(f)

    def step() -> Any:
        value = faster(*leaves)
        return value, torch.autograd.grad(value, leaves)

    return Job(step, lambda: [value.detach().numpy() for value in (step()[0], *step()[1])])
