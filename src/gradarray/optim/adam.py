"""Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.compare import maximum
from ..ops.powers import sqrt
from .optimizer import Optimizer
from .pieces import bias_correction, ema, flush


class Adam(Optimizer):
    r"""Adam: steps scaled by running averages of the gradient and of its square.

        g <- g + weight_decay * p
        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        m_hat = m / (1 - beta1^t),  v_hat = v / (1 - beta2^t)
        p <- p - lr * m_hat / (sqrt(v_hat) + eps)

    `amsgrad` uses the largest v so far in the place of v. `maximize` goes up the gradient.
    `decoupled_weight_decay` makes it AdamW. In m and v, values below the smallest normal number
    become 0. Computed in the order that the paper recommends: the two corrections are multiplied
    into lr and eps, numbers, and not into arrays.

    Source: Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015; Reddi, Kale and
    Kumar, "On the convergence of Adam and beyond", ICLR 2018 (amsgrad).

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.9, -1.9], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def slots(self, o: Any) -> dict[str, float]:
        slots = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
        return slots | {"max_exp_avg_sq": 0.0} if o.amsgrad else slots

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = o.betas
        correction1 = bias_correction(beta1, n["step"])
        root2 = sqrt(bias_correction(beta2, n["step"]))
        return {
            "beta1": beta1,
            "rest1": 1 - beta1,
            "beta2": beta2,
            "rest2": 1 - beta2,
            "lr": o.lr * root2 / correction1,
            "eps": o.eps * root2,
        }

    def update(self, c: Any, p: Any, g: Any, m: Any, v: Any, *largest: Any) -> tuple[Any, ...]:
        m = ema(m, g, c.beta1, c.rest1)
        m = flush(m, abs(m), c.tiny)
        v = ema(v, g * g, c.beta2, c.rest2)
        v = flush(v, v, c.tiny)
        if largest:
            largest = (maximum(largest[0], v),)
        scale = sqrt(*largest or (v,)) + c.eps
        return p - c.lr * (m / scale), m, v, *largest
