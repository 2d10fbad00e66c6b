"""Special functions: the error function and its complement."""

from __future__ import annotations

import math

from ..algebra import Elementwise
from ..lazy import special
from ..record import elementwise
from .arithmetic import negative
from .exponential import exp
from .powers import square

__all__ = ["erf", "erfc"]

_SCALE = 2 / math.sqrt(math.pi)


class ErfGrad(Elementwise):
    r"""y = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt. dy/dx = \frac{2}{\sqrt\pi} e^{-x^2}.

    >>> import gradarray as ga
    >>> ga.erf([0.0, 1.0])
    GradArray([0.        , 0.84270079], dtype=float64)
    """

    forward = special.erf
    partials = (lambda x: exp(negative(square(x))) * _SCALE,)
    tex = r"\operatorname{erf} {x}"


erf = elementwise(ErfGrad, reference=special.erf)


class ErfcGrad(Elementwise):
    r"""y = 1 - erf x, without loss of digits at a large x. dy/dx = -\frac{2}{\sqrt\pi} e^{-x^2}.

    >>> import gradarray as ga
    >>> ga.erfc([0.0, 10.0])
    GradArray([1.00000000e+00, 2.08848758e-45], dtype=float64)
    """

    forward = special.erfc
    partials = (lambda x: exp(negative(square(x))) * -_SCALE,)
    tex = r"\operatorname{erfc} {x}"


erfc = elementwise(ErfcGrad, reference=special.erfc)
