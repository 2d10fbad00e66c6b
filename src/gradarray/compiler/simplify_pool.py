"""Simplify, for max pooling after a ReLU: what goes back is masked and summed where it was pooled.

Backward, a pooling gives its cotangent to one place of each window, and there the slope of the
ReLU is that of the pooled value. Where nothing was chosen there is 0 either way. So a mask and a
sum over the plane are a mask and a sum over the windows, of which there are fewer.
"""

from __future__ import annotations

from typing import Any

from ..ops.arithmetic import MultiplyGrad
from ..ops.compare import GreaterGrad, ReLUGrad
from ..ops.reduce import SumGrad
from .abstract import Abstract
from .expr import BOOL
from .program import Step
from .simplify import Rewriter, row
from .taps import TapGather, TapScatter, apart


@row(GreaterGrad)
def _above_zero(r: Rewriter, step: Step) -> Any:
    """x > 0 -> relu(x) > 0, where relu(x) is there: then nothing else of x need be kept."""
    x, bound = step.operands
    if type(x) is not Abstract or type(bound) is Abstract or bound != 0:
        return None
    y = r.there(ReLUGrad, x)
    return None if y is None else r.emit(GreaterGrad, y, bound)


@row(MultiplyGrad)
def _masked_before(r: Rewriter, step: Step) -> Any:
    """scatter(z) m -> scatter(z gather(m)) of a mask m = (pooled values > a number)."""
    for spread, mask in (step.operands, step.operands[::-1]):
        scatter = r.made_by(spread, TapScatter)
        test = r.made_by(mask, GreaterGrad)
        if scatter is None or test is None or mask.dtype != BOOL or mask.shape != spread.shape:
            continue
        (z, taps), p = scatter.operands, scatter.params
        h, bound = test.operands
        pooled = r.there(TapGather, h, taps, kernel=p["kernel"], at=p["at"])
        if pooled is None or type(bound) is Abstract or not apart(p["kernel"], p["at"]):
            continue
        masked = r.emit(MultiplyGrad, z, r.emit(GreaterGrad, pooled, bound))
        form = spread.shape, spread.dtype
        return r.emit(TapScatter, masked, taps, form=form, **p)
    return None


@row(SumGrad)
def _summed_before(r: Rewriter, step: Step) -> Any:
    """The sum of a plane that windows were scattered to -> the sum of the windows."""
    x = step.operands[0]
    scatter = r.made_by(x, TapScatter)
    if scatter is None or not {a % x.ndim for a in step.params["axis"]} >= set(range(2, x.ndim)):
        return None
    return r.emit(SumGrad, scatter.operands[0], **step.params)
