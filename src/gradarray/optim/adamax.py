"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.compare import maximum
from .optimizer import Optimizer
from .pieces import bias_correction, ema, flush


class Adamax(Optimizer):
    r"""Adamax: Adam with the largest recent gradient in the place of the root of the mean square.

        g <- g + weight_decay * p
        m <- beta1 * m + (1 - beta1) * g
        u <- max(beta2 * u, |g| + eps)
        p <- p - lr / (1 - beta1^t) * m / u

    Differs from the paper by eps, without which a gradient of 0 at the first step gives 0/0. In m,
    values below the smallest normal number become 0 (u does not fall below eps).

    Source: Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015, section 7.1.

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.9, -1.9], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, o: Any) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = o.betas
        return {
            "beta1": beta1,
            "rest1": 1 - beta1,
            "beta2": beta2,
            "lr": o.lr / bias_correction(beta1, n["step"]),
            "eps": o.eps,
        }

    def update(self, c: Any, p: Any, g: Any, m: Any, u: Any) -> tuple[Any, ...]:
        m = ema(m, g, c.beta1, c.rest1)
        m = flush(m, abs(m), c.tiny)
        u = maximum(c.beta2 * u, abs(g) + c.eps)
        return p - c.lr * (m / u), m, u
