"""Losses as modules, called with (input, target); the formulas are those of `nn.functional`.

`reduction` is "mean" (the default), "sum" or "none".
"""

from __future__ import annotations

from typing import Any

from . import loss_classes as classes
from . import loss_pairs as pairs
from . import loss_values as values
from .module import Module
from .targets import check_reduction

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss",
    "MultiMarginLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
    "TripletMarginLoss",
]  # fmt: skip


class _Loss(Module):
    """A loss without parameters: `function`, and the keywords that `fields` names."""

    function: Any
    fields: tuple[str, ...] = ()
    reductions: tuple[str, ...] = ()

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(reduction, type(self).__name__, self.reductions)
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return self._compute(input, target)

    def _compute(self, *args: Any) -> Any:
        keywords = {name: getattr(self, name) for name in self.fields}
        return type(self).function(*args, **keywords, reduction=self.reduction)


class _Weighted(_Loss):
    """A loss with weights, constants that are saved with it."""

    def _set_weight(self, name: str, weight: Any) -> None:
        self.register_buffer(name, weight)


# Numbers ------------------------------------------------------------------------------------------


class MSELoss(_Loss):
    r"""l_i = (x_i - y_i)^2.

    >>> import gradarray as ga
    >>> ga.nn.MSELoss()([1.0, 2.0], [1.0, 4.0])
    GradArray(2., dtype=float64)
    """

    function = values.mse_loss


class L1Loss(_Loss):
    r"""l_i = |x_i - y_i|.

    >>> import gradarray as ga
    >>> ga.nn.L1Loss()([1.0, 2.0], [1.0, 4.0])
    GradArray(1., dtype=float64)
    """

    function = values.l1_loss


class SmoothL1Loss(_Loss):
    r"""l_i = d^2 / (2 \beta) for d = |x_i - y_i| < \beta, else d - \beta/2.

    >>> import gradarray as ga
    >>> ga.nn.SmoothL1Loss()([1.0], [1.5])
    GradArray(0.125, dtype=float64)
    """

    function = values.smooth_l1_loss
    fields = ("beta",)

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta


class HuberLoss(_Loss):
    r"""l_i = d^2 / 2 for d = |x_i - y_i| < \delta, else \delta (d - \delta/2).

    >>> import gradarray as ga
    >>> ga.nn.HuberLoss()([1.0], [1.5])
    GradArray(0.125, dtype=float64)
    """

    function = values.huber_loss
    fields = ("delta",)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta


class PoissonNLLLoss(_Loss):
    r"""l_i = e^{x_i} - y_i x_i: see `functional.poisson_nll_loss`.

    >>> import gradarray as ga
    >>> ga.nn.PoissonNLLLoss()([0.0], [1.0])
    GradArray(1., dtype=float64)
    """

    function = values.poisson_nll_loss
    fields = ("log_input", "full", "eps")

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps


class GaussianNLLLoss(_Loss):
    r"""l_i = (\log v_i + (x_i - y_i)^2 / v_i) / 2, called with (input, target, var).

    >>> import gradarray as ga
    >>> ga.nn.GaussianNLLLoss()([0.0, 2.0], [0.0, 0.0], [1.0, 1.0])
    GradArray(1., dtype=float64)
    """

    function = values.gaussian_nll_loss
    fields = ("full", "eps")

    def __init__(
        self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Any, target: Any, var: Any) -> Any:  # type: ignore[override]
        return self._compute(input, target, var)


# Classes ------------------------------------------------------------------------------------------


class CrossEntropyLoss(_Weighted):
    r"""l_n = -w_{y_n} \log softmax(x_n)_{y_n}, from logits (N, C, ..) and class numbers (N, ..).

    The target may also be probabilities (N, C, ..). weight: (C,). A target of `ignore_index`
    counts nothing; `label_smoothing` s mixes the target with s/C for every class. The mean
    divides by the sum of the weights. See `functional.cross_entropy`.

    >>> import gradarray as ga
    >>> ga.nn.CrossEntropyLoss()([[0.0, 0.0]], ga.array([1]))
    GradArray(0.69314718, dtype=float64)
    """

    function = classes.cross_entropy
    fields = ("weight", "ignore_index", "label_smoothing")

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self._set_weight("weight", weight)


class NLLLoss(_Weighted):
    r"""l_n = -w_{y_n} x_{n, y_n}, from log-probabilities (N, C, ..) and class numbers (N, ..).

    >>> import gradarray as ga
    >>> ga.nn.NLLLoss()([[-0.5, -1.0]], ga.array([0]))
    GradArray(0.5, dtype=float64)
    """

    function = classes.nll_loss
    fields = ("weight", "ignore_index")

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.ignore_index = ignore_index
        self._set_weight("weight", weight)


class BCELoss(_Weighted):
    r"""l_i = -w_i (y_i \log p_i + (1 - y_i) \log(1 - p_i)), p probabilities.

    >>> import gradarray as ga
    >>> ga.nn.BCELoss()([0.5], [1.0])
    GradArray(0.69314718, dtype=float64)
    """

    function = classes.binary_cross_entropy
    fields = ("weight",)

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._set_weight("weight", weight)


class BCEWithLogitsLoss(_Weighted):
    r"""Binary cross-entropy of sigmoid(x), exact for saturated logits; dl/dx = sigmoid(x) - y.

    >>> import gradarray as ga
    >>> ga.nn.BCEWithLogitsLoss()([0.0], [1.0])
    GradArray(0.69314718, dtype=float64)
    """

    function = classes.binary_cross_entropy_with_logits
    fields = ("weight", "pos_weight")

    def __init__(
        self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
    ) -> None:
        super().__init__(reduction)
        self._set_weight("weight", weight)
        self._set_weight("pos_weight", pos_weight)


class KLDivLoss(_Loss):
    r"""l_i = y_i (\log y_i - x_i), x log-probabilities; also reduction="batchmean".

    >>> import gradarray as ga
    >>> ga.nn.KLDivLoss(reduction="batchmean")(ga.log([[0.5, 0.5]]), [[1.0, 0.0]])
    GradArray(0.69314718, dtype=float64)
    """

    function = classes.kl_div
    fields = ("log_target",)
    reductions = ("batchmean",)

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target


class MultiMarginLoss(_Weighted):
    r"""l_n = \frac1C \sum_{c \ne y_n} \max(0, w_{y_n} (margin - x_{n, y_n} + x_{nc}))^p.

    >>> import gradarray as ga
    >>> ga.nn.MultiMarginLoss()([[0.0, 0.5]], ga.array([1]))
    GradArray(0.25, dtype=float64)
    """

    function = classes.multi_margin_loss
    fields = ("p", "margin", "weight")

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.p, self.margin = p, margin
        self._set_weight("weight", weight)


# Pairs --------------------------------------------------------------------------------------------


class CosineEmbeddingLoss(_Loss):
    r"""1 - \cos(x_1, x_2) where y = 1, \max(0, \cos(x_1, x_2) - margin) where y = -1.

    >>> import gradarray as ga
    >>> ga.nn.CosineEmbeddingLoss()([[1.0, 0.0]], [[1.0, 1.0]], [1])
    GradArray(0.29289322, dtype=float64)
    """

    function = pairs.cosine_embedding_loss
    fields = ("margin",)

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:  # type: ignore[override]
        return self._compute(input1, input2, target)


class HingeEmbeddingLoss(_Loss):
    r"""l_i = x_i where y_i = 1, \max(0, margin - x_i) where y_i = -1.

    >>> import gradarray as ga
    >>> ga.nn.HingeEmbeddingLoss()([0.5, 0.25], [1, -1])
    GradArray(0.625, dtype=float64)
    """

    function = pairs.hinge_embedding_loss
    fields = ("margin",)

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin


class MarginRankingLoss(_Loss):
    r"""l_i = \max(0, -y_i (a_i - b_i) + margin), y of 1 and -1.

    >>> import gradarray as ga
    >>> ga.nn.MarginRankingLoss()([1.0], [3.0], [1])
    GradArray(2., dtype=float64)
    """

    function = pairs.margin_ranking_loss
    fields = ("margin",)

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:  # type: ignore[override]
        return self._compute(input1, input2, target)


class SoftMarginLoss(_Loss):
    r"""l_i = \log(1 + e^{-y_i x_i}), y of 1 and -1.

    >>> import gradarray as ga
    >>> ga.nn.SoftMarginLoss()([0.0], [1])
    GradArray(0.69314718, dtype=float64)
    """

    function = pairs.soft_margin_loss


class TripletMarginLoss(_Loss):
    r"""l = \max(0, d(a, p) - d(a, n) + margin), called with (anchor, positive, negative).

    >>> import gradarray as ga
    >>> ga.nn.TripletMarginLoss()([[0.0]], [[1.0]], [[1.5]])
    GradArray(0.5, dtype=float64)
    """

    function = pairs.triplet_margin_loss
    fields = ("margin", "p", "eps")

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.margin, self.p, self.eps = margin, p, eps

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:  # type: ignore[override]
        return self._compute(anchor, positive, negative)
