"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .adam import Adam


class AdamW(Adam):
    r"""Adam with decoupled weight decay: the decay does not pass through the averages.

        p <- p * (1 - lr * weight_decay)
        p <- p - lr * m_hat / (sqrt(v_hat) + eps)      (m_hat, v_hat as in Adam, without decay)

    Differs from the paper in that lr multiplies the decay, so that a schedule of lr is one of the
    decay too.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.

    >>> import gradarray as ga
    >>> w = ga.array([1.0, -2.0], requires_grad=True)
    >>> optimizer = ga.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.85, -1.8 ], dtype=float64, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )
