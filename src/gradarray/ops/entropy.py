r"""Logarithms of probabilities: logit, x log y and its kin, entropies and divergences.

0 log 0 is 0. There the slope in the factor is that of log 0, without bound; the table of choices
has a finite one instead, so that a probability of exactly 0 stays as it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..choices import choice
from ..lazy import special
from ..short import elementwise
from .arithmetic import absorb, negative
from .compare import equal, where
from .exponential import log, log1p
from .logical import logical_and
from .powers import reciprocal, square
from .precise import in_double, log_quotient, log_rest
from .special import function_of

__all__ = ["entr", "logit", "rel_entr", "xlog1py", "xlogy"]

_BECAUSE = "the slope of log 0 has no bound; 0 leaves a probability of exactly 0 as it is"
_xlogy_at_0 = choice(
    "xlogy", "a = b = 0, in a (xlog1py: a = b + 1 = 0)", 0.0, between=(-math.inf, 0.0),
    at={
        "xlogy": lambda a, b: np.equal(a, 0) & np.equal(b, 0),
        "xlog1py": lambda a, b: np.equal(a, 0) & np.equal(b, -1),
    },
    reason=_BECAUSE,
)  # fmt: skip
_entr_at_0 = choice(
    "entr", "x = 0", 0.0, between=(0.0, math.inf), at=lambda x: np.equal(x, 0), reason=_BECAUSE
)
_rel_entr_at_0 = choice(
    "rel_entr", "a = 0, in a (kl_div too)", 0.0, between=(-math.inf, 0.0),
    at=dict.fromkeys(("rel_entr", "kl_div"), lambda a: np.equal(a, 0)), reason=_BECAUSE,
)  # fmt: skip


class LogitGrad(Elementwise):
    r"""y = \log \frac{x}{1 - x}, the inverse of expit (sigmoid). dy/dx = 1 / (x (1 - x)).

    >>> import gradarray as ga
    >>> ga.logit([1e-300, 0.5])
    GradArray([-690.7755279,    0.       ], dtype=float64)
    """

    forward = special.logit
    partials = (lambda x: reciprocal(x * (1 - x)),)
    tex = r"\log \frac{{x}}{1 - {x}}"
    domain = (0.1, 0.9)


logit = elementwise(LogitGrad, reference=special.logit)


# x log y ------------------------------------------------------------------------------------------


def _origin(x: Any, y: Any) -> Any:
    return logical_and(equal(x, 0), equal(y, 0))


class XLogYGrad(Elementwise):
    r"""y = a \log b, 0 where a = 0. dy/da = \log b, dy/db = a/b (both 0 at a = b = 0).

    >>> import gradarray as ga
    >>> ga.xlogy([0.0, 2.0], [0.0, 1.0])
    GradArray([0., 0.], dtype=float64)
    """

    forward = special.xlogy
    partials = (
        # Behind a mask, so that the derivatives of the slope are finite as well.
        lambda a, b: log(where(_origin(a, b), math.exp(_xlogy_at_0.value), b)),
        lambda a, b: absorb(a, reciprocal(where(_origin(a, b), math.inf, b))),
    )
    tex = r"{a} \log {b}"
    domain = ((-2.0, 2.0), (0.3, 3.0))


xlogy = elementwise(XLogYGrad, reference=special.xlogy)


class XLog1pYGrad(Elementwise):
    r"""y = a \log(1 + b), 0 where a = 0. dy/da = \log(1 + b), dy/db = a/(1 + b).

    >>> import gradarray as ga
    >>> ga.xlog1py([0.0, 1.0], [-1.0, 1e-20])
    GradArray([0.e+00, 1.e-20], dtype=float64)
    """

    forward = special.xlog1py
    partials = (
        lambda a, b: log1p(where(_origin(a, b + 1), math.expm1(_xlogy_at_0.value), b)),
        lambda a, b: absorb(a, reciprocal(where(_origin(a, b + 1), math.inf, b + 1))),
    )
    tex = r"{a} \log(1 + {b})"
    domain = ((-2.0, 2.0), (-0.6, 2.0))


xlog1py = elementwise(XLog1pYGrad, reference=special.xlog1py)


# Entropies ----------------------------------------------------------------------------------------


class EntrGrad(Elementwise):
    r"""y = -x \log x, 0 at 0 and -inf below. dy/dx = -1 - \log x (0 at 0).

    >>> import gradarray as ga
    >>> ga.entr([0.0, 0.5, 1.0])
    GradArray([ 0.        ,  0.34657359, -0.        ], dtype=float64)
    """

    forward = special.entr
    partials = (
        lambda x: where(equal(x, 0), _entr_at_0.value, -1 - log(where(equal(x, 0), 1, x))),
    )
    tex = r"-{x} \log {x}"
    domain = (0.2, 3.0)


entr = elementwise(EntrGrad, reference=special.entr)


class LogRatioGrad(Elementwise):
    r"""y = \log(a / b), with all its digits where a is near b. dy/da = 1/a, dy/db = -1/b."""

    name = "log_ratio"
    forward = in_double(log_quotient)
    partials = (lambda a: reciprocal(a), lambda b: negative(reciprocal(b)))
    tex = r"\log \frac{{a}}{{b}}"
    domain = ((0.3, 3.0), (0.3, 3.0))


log_ratio = LogRatioGrad.of


def _away(x: Any, y: Any) -> Any:
    """y, and 1 where x = 0."""
    return where(equal(x, 0), 1, y)


class RelEntrGrad(Elementwise):
    r"""y = a \log(a / b), 0 where a = 0 <= b, inf outside. dy/da = \log(a/b) + 1, dy/db = -a/b.

    >>> import gradarray as ga
    >>> ga.rel_entr([0.0, 0.5], [0.5, 0.5])
    GradArray([0., 0.], dtype=float64)
    """

    name = "rel_entr"
    forward = special.rel_entr
    partials = (
        lambda a, b: where(
            equal(a, 0), _rel_entr_at_0.value, log_ratio(_away(a, a), _away(a, b)) + 1
        ),
        lambda a, b: where(equal(a, 0), 0, negative(a / _away(a, b))),
    )
    tex = r"{a} \log \frac{{a}}{{b}}"
    domain = ((0.2, 3.0), (0.2, 3.0))


rel_entr = elementwise(RelEntrGrad, reference=special.rel_entr)


def _kl_div(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # a log(a/b) - a + b = a (r - log(1 + r)), r = (b - a)/a.
    near = a * log_rest((b - a) / a)
    far = np.where((a > 0) & (b > 0), a * log_quotient(a, b) - a + b, special.kl_div(a, b))
    return np.where((b > 0) & (np.abs(b - a) < 0.5 * a), near, far)


class ExcessGrad(Elementwise):
    """y = (b - a) / b. dy/da = -1/b, dy/db = a/b^2, which 1/b - y/b loses where a is small."""

    name = "relative_excess"
    forward = staticmethod(lambda a, b: (b - a) / b)
    partials = (
        lambda b: negative(reciprocal(b)),
        lambda a, b: a * square(reciprocal(b)),
    )
    tex = r"\frac{{b} - {a}}{{b}}"
    domain = ((0.3, 3.0), (0.3, 3.0))


relative_excess = ExcessGrad.of


class KlDivGrad(Elementwise):
    r"""y = a \log(a / b) - a + b >= 0, b where a = 0, inf outside. dy/da = \log(a/b).

    >>> import gradarray as ga
    >>> ga.special.kl_div([0.0, 0.5], [0.5, 0.5])
    GradArray([0.5, 0. ], dtype=float64)
    """

    name = "kl_div"
    forward = in_double(_kl_div, special.kl_div)
    partials = (
        lambda a, b: where(equal(a, 0), _rel_entr_at_0.value, log_ratio(_away(a, a), _away(a, b))),
        lambda a, b: where(equal(a, 0), 1, relative_excess(a, _away(a, b))),
    )
    tex = r"{a} \log \frac{{a}}{{b}} - {a} + {b}"
    domain = ((0.2, 3.0), (0.2, 3.0))


kl_div = function_of(KlDivGrad, reference=special.kl_div)
