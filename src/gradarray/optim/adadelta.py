"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.powers import sqrt
from .optimizer import Optimizer
from .pieces import ema, flush


class Adadelta(Optimizer):
    r"""Adadelta: steps whose scale is learned from the steps taken before.

        g <- g + weight_decay * p
        v <- rho * v + (1 - rho) * g^2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u <- rho * u + (1 - rho) * d^2
        p <- p - lr * d

    The paper has no lr (it is 1). In v and u, values below the smallest normal number become 0.

    Source: Zeiler, "ADADELTA: An adaptive learning rate method", 2012.

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.Adadelta([w])
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.9968..., -1.9968...], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, o: Any) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        return {"lr": o.lr, "rho": o.rho, "rest": 1 - o.rho, "eps": o.eps}

    def update(self, c: Any, p: Any, g: Any, v: Any, u: Any) -> tuple[Any, ...]:
        v = ema(v, g * g, c.rho, c.rest)
        v = flush(v, v, c.tiny)
        d = sqrt(u + c.eps) / sqrt(v + c.eps) * g
        u = ema(u, d * d, c.rho, c.rest)
        u = flush(u, u, c.tiny)
        return p - c.lr * d, v, u
