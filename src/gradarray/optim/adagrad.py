"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.powers import sqrt
from .optimizer import Optimizer


class Adagrad(Optimizer):
    r"""Adagrad: the gradient divided by the root of the sum of its squares so far.

        g <- g + weight_decay * p
        s <- s + g^2                             (s = initial_accumulator_value at the start)
        p <- p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12, 2011.

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.9, -1.9], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def slots(self, o: Any) -> dict[str, float]:
        return {"sum": o.initial_accumulator_value}

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        return {"lr": o.lr / (1 + (n["step"] - 1) * o.lr_decay), "eps": o.eps}

    def update(self, c: Any, p: Any, g: Any, s: Any) -> tuple[Any, ...]:
        s = s + g * g
        return p - c.lr * (g / (sqrt(s) + c.eps)), s
