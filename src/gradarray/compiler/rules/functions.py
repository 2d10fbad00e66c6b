"""Functions of a number whose own forward chooses by value in Python, or says less than is known.

tanh and sech^2 have one exponential in common. Derivatives of tanh are written in sech; where sech
comes twice in a product, its square does.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops.entropy import LogRatioGrad
from ...ops.exponential import FinitePowerGrad
from ...ops.gamma import GammaLnGrad
from ...ops.hyperbolic import SechGrad, SigmoidGrad
from ...ops.powers import ReciprocalOrGrad, SquareGrad
from ...ops.precise import log_quotient
from ...ops.special import GaussGrad, HazardGrad, LogNdtrGrad, NdtrGrad
from ..expr import Expr, const
from ..functions import errors, gamma, hyperbolic
from ..functions.exponential import expit, expit_slope
from ..functions.reals import Real
from ..lower import Lowering, rule
from ..program import Step
from ..scalar import Scalar


def _declare(op: Any, fn: Callable[..., Real]) -> None:
    """The op is a function of one Real, and of its parameters."""

    @rule(op)
    def lowered(low: Lowering, step: Step) -> Any:
        y = step.values[0]
        if y.dtype not in (np.float32, np.float64):
            return NotImplemented

        def on(*xs: Any) -> Scalar:
            return Scalar(fn(*[Real(x.astype(y.dtype).e) for x in xs], **step.params).e)

        low.elementwise(step.operands, y, on)
        return None


_declare(SigmoidGrad, expit)
_declare(GammaLnGrad, gamma.gammaln)
_declare(NdtrGrad, errors.ndtr)
_declare(LogNdtrGrad, errors.log_ndtr)
_declare(HazardGrad, errors.hazard)
_declare(GaussGrad, errors.gauss)


@rule(LogRatioGrad)
def _log_ratio(low: Lowering, step: Step) -> None:
    def on(a: Any, b: Any) -> Any:
        return log_quotient(*(np.multiply(x, np.float64(1)) for x in (a, b)))

    low.elementwise(step.operands, step.values[0], on)


@rule(ReciprocalOrGrad)
def _reciprocal_or(low: Lowering, step: Step) -> Any:
    if step.values[0].dtype.kind == "c":
        return NotImplemented
    at_0 = step.params["at_0"]

    def on(x: Any) -> Any:
        y = 1 / x
        return np.where(np.equal(x, 0), y.dtype.type(at_0), y)

    low.elementwise(step.operands, step.values[0], on)
    return None


@rule(FinitePowerGrad)
def _finite_power(low: Lowering, step: Step) -> Any:
    if step.values[0].dtype.kind == "c":
        return NotImplemented

    def on(a: Any, b: Any, finite: Any) -> Any:
        pole = np.logical_and(np.logical_and(np.equal(a, 0), np.less(b, 0)), finite)
        return np.where(pole, 0, np.where(pole, 1, a) ** b)

    low.elementwise(step.operands, step.values[0], on)
    return None


# sech ---------------------------------------------------------------------------------------------

# The squares of expressions that are sech of something.
_squares: weakref.WeakKeyDictionary[Expr, Expr] = weakref.WeakKeyDictionary()


@rule(SechGrad)
def _sech(low: Lowering, step: Step) -> Any:
    y = step.values[0]
    if y.dtype not in (np.float32, np.float64):
        return NotImplemented

    def on(x: Any) -> Scalar:
        x = Real(x.astype(y.dtype).e)
        e = hyperbolic.sech(x).e
        twice = _doubled(x.e)
        square = hyperbolic.sech_squared(x) if twice is None else expit_slope(Real(twice)) * 4
        _squares[e] = square.e
        return Scalar(e)

    low.elementwise(step.operands, y, on)
    return None


def _doubled(x: Expr) -> Expr | None:
    """z of z/2: sech^2 is then four times the slope of sigmoid at z, which has its exponential."""
    half = const(0.5, x.dtype)
    if x.op != "mul" or half not in x.args:
        return None
    return x.args[1] if x.args[0] is half else x.args[0]


@rule(SquareGrad)
def _square(low: Lowering, step: Step) -> None:
    def on(x: Any) -> Any:
        known = _squares.get(x.e)
        return x * x if known is None else Scalar(known)

    low.elementwise(step.operands, step.values[0], on)
