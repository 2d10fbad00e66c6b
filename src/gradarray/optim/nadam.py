"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from ..ops.powers import sqrt
from .optimizer import Optimizer
from .pieces import bias_correction, ema, flush


class NAdam(Optimizer):
    r"""NAdam: Adam that looks ahead along its momentum, as Nesterov's method does.

        g <- g + weight_decay * p
        m, v as in Adam;  v_hat = v / (1 - beta2^t)
        mu_t = beta1 * (1 - 0.5 * 0.96^(t * momentum_decay)),  M_t = mu_1 mu_2 ... mu_t
        m_hat = mu_{t+1} m / (1 - M_{t+1}) + (1 - mu_t) g / (1 - M_t)
        p <- p - lr * m_hat / (sqrt(v_hat) + eps)

    `decoupled_weight_decay` decays p as AdamW does. `mu_product` in the state is M_t. In m and v,
    values below the smallest normal number become 0.

    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.89435482, -1.89435482], dtype=float64, requires_grad=True)
    """

    counters: ClassVar[dict[str, float]] = {"step": 0.0, "mu_product": 1.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
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
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, o: Any) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def count(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        t = n["step"] + 1
        return {"step": t, "mu_product": n["mu_product"] * _momentum(o, t)}

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = o.betas
        t, product = n["step"], n["mu_product"]
        ahead = _momentum(o, t + 1)
        return {
            "beta1": beta1,
            "rest1": 1 - beta1,
            "beta2": beta2,
            "rest2": 1 - beta2,
            "by_m": o.lr * ahead / (1 - product * ahead),
            "by_g": o.lr * (1 - _momentum(o, t)) / (1 - product),
            "correction2": bias_correction(beta2, t),
            "eps": o.eps,
        }

    def update(self, c: Any, p: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
        m = ema(m, g, c.beta1, c.rest1)
        m = flush(m, abs(m), c.tiny)
        v = ema(v, g * g, c.beta2, c.rest2)
        v = flush(v, v, c.tiny)
        scale = sqrt(v / c.correction2) + c.eps
        return p - (c.by_m * m + c.by_g * g) / scale, m, v


def _momentum(o: Any, t: Any) -> Any:
    return o.betas[0] * (1 - 0.5 * 0.96 ** (t * o.momentum_decay))
