"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import message
from ..ops.compare import where
from .groups import Group
from .optimizer import Optimizer
from .pieces import flush


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum.

        g <- g + weight_decay * p
        b <- momentum * b + (1 - dampening) * g        (b <- g at the first step)
        p <- p - lr * b                                (nesterov: p - lr * (g + momentum * b))

    Without momentum p <- p - lr * g. Differs from Sutskever's form, in which lr multiplies g before
    it enters b: the two agree as long as lr stays the same.

    Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum
    in deep learning", ICML 2013.

    `maximize` goes up the gradient. In b, values below the smallest normal number become 0. Raises
    ValueError for Nesterov's momentum without momentum or with dampening.

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.8, -1.6], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def validate(self, group: Group) -> None:
        if group["nesterov"] and (not group.on("momentum") or group.on("dampening")):
            raise ValueError(
                message("SGD", "nesterov=True needs a momentum above 0 and dampening=0.")
            )

    def slots(self, o: Any) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if "momentum" in o.on else {}

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        fresh = {}
        if "dampening" in o.on:
            fresh["fresh"] = where(n["step"] == 1, 1.0, 1 - o.dampening)
        return {"lr": o.lr, "momentum": o.momentum, **fresh}

    def update(self, c: Any, p: Any, g: Any, b: Any = None) -> tuple[Any, ...]:
        if b is None:
            return (p - c.lr * g,)
        b = c.momentum * b + (c.fresh * g if "dampening" in c.on else g)
        b = flush(b, abs(b), c.tiny)
        return p - c.lr * (g + c.momentum * b if c.nesterov else b), b
