"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.powers import sqrt
from .optimizer import Optimizer
from .pieces import ema, flush, positive_part


class RMSprop(Optimizer):
    r"""RMSprop: the gradient divided by the root of a running average of its square.

        g <- g + weight_decay * p
        v <- alpha * v + (1 - alpha) * g^2
        s = sqrt(v) + eps                        (centered: a <- alpha * a + (1 - alpha) * g,
                                                  s = sqrt(v - a^2) + eps)
        p <- p - lr * g / s                      (momentum: b <- momentum * b + g / s,
                                                  p <- p - lr * b)

    eps is added after the root. v - a^2, a variance, counts as 0 where rounding makes it negative.
    In v, a and b, values below the smallest normal number become 0.

    Source: Hinton, "Neural networks for machine learning", lecture 6e, 2012; Graves, "Generating
    sequences with recurrent neural networks", 2013 (centered).

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.9, -1.9], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def slots(self, o: Any) -> dict[str, float]:
        slots = {"square_avg": 0.0}
        if o.centered:
            slots["grad_avg"] = 0.0
        if "momentum" in o.on:
            slots["momentum_buffer"] = 0.0
        return slots

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": o.lr,
            "alpha": o.alpha,
            "rest": 1 - o.alpha,
            "eps": o.eps,
            "momentum": o.momentum,
        }

    def update(self, c: Any, p: Any, g: Any, v: Any, *slots: Any) -> tuple[Any, ...]:
        v = ema(v, g * g, c.alpha, c.rest)
        v = flush(v, v, c.tiny)
        kept = [v]
        spread = v
        if c.centered:
            a = ema(slots[0], g, c.alpha, c.rest)
            a = flush(a, abs(a), c.tiny)
            kept.append(a)
            spread = positive_part(v - a * a)
        move = g / (sqrt(spread) + c.eps)
        if "momentum" in c.on:
            move = c.momentum * slots[-1] + move
            move = flush(move, abs(move), c.tiny)
            kept.append(move)
        return p - c.lr * move, *kept
