"""Reductions: one value from many along some axes."""

from __future__ import annotations

from typing import Any

from ...ops.nans import NanMaxGrad, NanMinGrad
from ...ops.reduce import AllGrad, AnyGrad, MaxGrad, MinGrad, SumGrad
from ...ops.scan import ProdGrad
from ..expr import Unsupported, has_code
from ..lower import Lowering, rule
from ..program import Step

_COMBINE = {
    SumGrad: "add", MaxGrad: "max", MinGrad: "min", ProdGrad: "mul", AnyGrad: "or", AllGrad: "and",
    NanMaxGrad: "fmax", NanMinGrad: "fmin",
}  # fmt: skip


@rule(*_COMBINE)
def _reduction(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    if not has_code(y.dtype):
        raise Unsupported(f"sums of {y.dtype}")
    if x.dtype == bool and _COMBINE[step.op] not in ("add", "or", "and"):
        return NotImplemented
    low.reduction(x, y, step.params["axis"], _COMBINE[step.op])
    return None
