"""Trigonometric functions, their inverses, angles and sinc."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..choices import choice
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise
from .arithmetic import negative
from .complex import imag, is_complex, real
from .powers import (
    VERTICAL,
    at_origin,
    away_from_0,
    both_0,
    co_square,
    direction,
    hypot,
    hypot1,
    reciprocal,
    reciprocal_or,
    sqrt,
    square,
)

__all__ = [
    "acos",
    "angle",
    "arccos",
    "arcsin",
    "arctan",
    "arctan2",
    "asin",
    "atan",
    "atan2",
    "cos",
    "deg2rad",
    "degrees",
    "rad2deg",
    "radians",
    "sin",
    "sinc",
    "tan",
]


class SinGrad(Elementwise):
    r"""y = \sin x, x in radians. dy/dx = \cos x.

    >>> import gradarray as ga
    >>> ga.sin([0.0, 1.0])
    GradArray([0.        , 0.84147098], dtype=float64)
    """

    forward = np.sin
    partials = (lambda x: cos(x),)
    tex = r"\sin {x}"


sin = elementwise(SinGrad, numpy=np.sin)


class CosGrad(Elementwise):
    r"""y = \cos x, x in radians. dy/dx = -\sin x.

    >>> import gradarray as ga
    >>> ga.cos([0.0, 1.0])
    GradArray([1.        , 0.54030231], dtype=float64)
    """

    forward = np.cos
    partials = (lambda x: negative(sin(x)),)
    tex = r"\cos {x}"


cos = elementwise(CosGrad, numpy=np.cos)


class TanGrad(Elementwise):
    r"""y = \tan x, x in radians. dy/dx = 1 + y^2.

    >>> import gradarray as ga
    >>> ga.tan([0.0, 1.0])
    GradArray([0.        , 1.55740772], dtype=float64)
    """

    forward = np.tan
    partials = (lambda y: 1 + square(y),)
    tex = r"\tan {x}"
    domain = (-1.0, 1.0)


tan = elementwise(TanGrad, numpy=np.tan)


def _spherical_bessel(x: Any, n: int) -> Any:
    from scipy.special import spherical_jn  # 0.2 s to import: only where sinc is differentiated

    return np.asarray(spherical_jn(n, x)).astype(x.dtype)[()]


class SphericalBesselGrad(Elementwise):
    r"""y = j_n(x), the spherical Bessel function. dy/dx = (n j_{n-1} - (n + 1) j_{n+1})/(2n + 1).

    Without a division by x, unlike the closed forms in sin and cos, which lose all digits near 0.
    Source: F. W. J. Olver et al. (ed.), NIST Digital Library of Mathematical Functions, 10.51.1.
    """

    name = "spherical_bessel"
    forward = _spherical_bessel
    partials = (lambda x, n: _spherical_bessel_slope(x, n),)
    tex = "j_{n}({x})"


def spherical_bessel(x: Any, n: int) -> Any:
    """j_n(x)."""
    return apply(SphericalBesselGrad, x, n=n)


def _spherical_bessel_slope(x: Any, n: int) -> Any:
    above = spherical_bessel(x, n + 1)
    if n == 0:
        return negative(above)
    return n / (2 * n + 1) * spherical_bessel(x, n - 1) - (n + 1) / (2 * n + 1) * above


class SincGrad(Elementwise):
    r"""y = \sin(\pi x)/(\pi x), 1 at 0. dy/dx = -\pi j_1(\pi x), j_1 a spherical Bessel function.

    >>> import gradarray as ga
    >>> ga.sinc([0.0, 0.5])
    GradArray([1.        , 0.63661977], dtype=float64)
    """

    forward = np.sinc
    partials = (lambda x: -math.pi * spherical_bessel(math.pi * x, 1),)
    tex = r"\operatorname{sinc} {x}"


sinc = elementwise(SincGrad, numpy=np.sinc)


# Inverses ---------------------------------------------------------------------------------------


_arcsin_at_ends, _arccos_at_ends = (
    choice(
        name, "x = -1 and x = 1", 0.0, between=(min(0.0, end), max(0.0, end)),
        at=lambda x: np.equal(np.abs(x), 1), reason=VERTICAL,
    )
    for name, end in (("arcsin", math.inf), ("arccos", -math.inf))
)  # fmt: skip


class ArcSinGrad(Elementwise):
    r"""y = \arcsin x in [-\pi/2, \pi/2]. dy/dx = 1/\sqrt{1 - x^2}, 0 at the ends.

    There it is infinite; 0 is a choice (see `set_subgradient`).

    >>> import gradarray as ga
    >>> ga.arcsin([0.0, 1.0])
    GradArray([0.        , 1.57079633], dtype=float64)
    """

    forward = np.arcsin
    partials = (lambda x: reciprocal_or(sqrt(co_square(x)), _arcsin_at_ends.value),)
    tex = r"\arcsin {x}"
    domain = (-0.8, 0.8)


arcsin = elementwise(ArcSinGrad, numpy=np.arcsin, aliases=("asin",))


class ArcCosGrad(Elementwise):
    r"""y = \arccos x in [0, \pi]. dy/dx = -1/\sqrt{1 - x^2}, 0 at the ends.

    There it is infinite; 0 is a choice (see `set_subgradient`).

    >>> import gradarray as ga
    >>> ga.arccos([0.0, 1.0])
    GradArray([1.57079633, 0.        ], dtype=float64)
    """

    forward = np.arccos
    partials = (
        lambda x: negative(reciprocal_or(sqrt(co_square(x)), -_arccos_at_ends.value)),
    )
    tex = r"\arccos {x}"
    domain = (-0.8, 0.8)


arccos = elementwise(ArcCosGrad, numpy=np.arccos, aliases=("acos",))


class ArcTanGrad(Elementwise):
    r"""y = \arctan x in (-\pi/2, \pi/2). dy/dx = 1/(1 + x^2).

    >>> import gradarray as ga
    >>> ga.arctan([0.0, 1.0])
    GradArray([0.        , 0.78539816], dtype=float64)
    """

    forward = np.arctan
    # As the square of 1/sqrt(1 + x^2), whose derivatives do not underflow at a large x.
    partials = (lambda x: square(reciprocal(hypot1(x))),)
    tex = r"\arctan {x}"


arctan = elementwise(ArcTanGrad, numpy=np.arctan, aliases=("atan",))

_arctan2_at_0 = choice(
    "arctan2",
    "a = b = 0",
    0.0,
    between=(-math.inf, math.inf),
    at=both_0,
    reason="every angle meets there and slopes are unbounded; 0 leaves a point on the origin alone",
)


class ArcTan2Grad(Elementwise):
    r"""y = the angle of the point (b, a), in (-\pi, \pi]. dy/da = b/h^2, dy/db = -a/h^2.

    h^2 = a^2 + b^2; both are 0 at the origin (see `set_subgradient`).

    >>> import gradarray as ga
    >>> ga.arctan2([1.0, 1.0], [0.0, -1.0])
    GradArray([1.57079633, 2.35619449], dtype=float64)
    """

    forward = np.arctan2
    partials = (
        lambda a, b: _angular(a, b, direction(b, a)),
        lambda a, b: _angular(a, b, negative(direction(a, b))),
    )
    tex = r"\operatorname{atan2}({a}, {b})"
    domain = ((-2.0, 2.0), (0.5, 2.0))


def _angular(a: Any, b: Any, across: Any) -> Any:
    return at_origin(a, b, _arctan2_at_0.value, across / away_from_0(hypot(a, b)))


arctan2 = elementwise(ArcTan2Grad, numpy=np.arctan2, aliases=("atan2",))
asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2


# Angles -----------------------------------------------------------------------------------------


class Deg2RadGrad(Elementwise):
    r"""y = \pi x / 180: degrees to radians.

    >>> import gradarray as ga
    >>> ga.deg2rad([0.0, 90.0])
    GradArray([0.        , 1.57079633], dtype=float64)
    """

    forward = np.deg2rad
    partials = (math.pi / 180,)
    tex = r"\frac{\pi}{180} {x}"
    domain = (-180.0, 180.0)


deg2rad = elementwise(Deg2RadGrad, numpy=(np.deg2rad, np.radians), aliases=("radians",))


class Rad2DegGrad(Elementwise):
    r"""y = 180 x / \pi: radians to degrees.

    >>> import gradarray as ga
    >>> ga.rad2deg([0.0, 3.0])
    GradArray([  0.        , 171.88733854], dtype=float64)
    """

    forward = np.rad2deg
    partials = (180 / math.pi,)
    tex = r"\frac{180}{\pi} {x}"


rad2deg = elementwise(Rad2DegGrad, numpy=(np.rad2deg, np.degrees), aliases=("degrees",))
radians, degrees = deg2rad, rad2deg


@public(numpy=np.angle, cases=[case(arr(2, 3, low=0.5))])
def angle(z: Any, deg: bool = False) -> GradArray:
    r"""y = the argument of the complex number z, in (-\pi, \pi], or in degrees.

    Of a real z: 0 or \pi, with derivative 0. At z = 0 the derivative is that of `arctan2`.

    >>> import gradarray as ga
    >>> ga.angle([1.0, 1j, -1.0], deg=True)
    GradArray([  0.,  90., 180.], dtype=float64)
    """
    z = lift(z)
    y = arctan2(imag(z) if is_complex(z) else 0, real(z))
    return rad2deg(y) if deg else y
