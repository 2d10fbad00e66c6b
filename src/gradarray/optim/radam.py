"""RAdam: Adam with a rectified variance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.compare import where
from ..ops.powers import sqrt
from .optimizer import Optimizer
from .pieces import bias_correction, ema, flush, positive_part


class RAdam(Optimizer):
    r"""RAdam: Adam that trusts its second moment only as far as it has seen enough gradients.

        g <- g + weight_decay * p
        m, v as in Adam;  m_hat = m / (1 - beta1^t)
        rho_inf = 2 / (1 - beta2) - 1,  rho = rho_inf - 2 t beta2^t / (1 - beta2^t)
        rho > 5:  r = sqrt((rho - 4)(rho - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho))
                  p <- p - lr * r * m_hat * sqrt(1 - beta2^t) / (sqrt(v) + eps)
        else:     p <- p - lr * m_hat

    Differs from the paper in the threshold, 5 and not 4, and by eps. `decoupled_weight_decay`
    decays p as AdamW does. In m and v, values below the smallest normal number become 0.

    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020.

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.8, -1.6], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
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
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, o: Any) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        beta1, beta2 = o.betas
        t = n["step"]
        correction2 = bias_correction(beta2, t)
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / correction2
        trusted = rho > 5
        # Where it is not trusted the root is not used, and must not be one of a negative number.
        rho = where(trusted, rho, rho_inf)
        r2 = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
        step = o.lr / bias_correction(beta1, t)
        return {
            "beta1": beta1,
            "rest1": 1 - beta1,
            "beta2": beta2,
            "rest2": 1 - beta2,
            "lr": step * where(trusted, sqrt(positive_part(r2) * correction2), 1.0),
            "share": where(trusted, 1.0, 0.0),
            "eps": o.eps,
        }

    def update(self, c: Any, p: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
        m = ema(m, g, c.beta1, c.rest1)
        m = flush(m, abs(m), c.tiny)
        v = ema(v, g * g, c.beta2, c.rest2)
        v = flush(v, v, c.tiny)
        scale = where(c.share > 0, sqrt(v) + c.eps, 1.0)
        return p - c.lr * (m / scale), m, v
