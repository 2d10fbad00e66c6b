r"""Numbers from the distributions of the real line: y is a function of uniform numbers.

Where a formula gives y it is differentiated as written. Gamma and beta numbers are quantiles, y
with F(y; \theta) = u, of which only F has a formula: dy/d\theta = -F_\theta / F_y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..array import GradArray
from ..errors import message
from ..ops.compare import clip, less, where
from ..ops.elementwise import log, log1p
from ..ops.incomplete_beta import betaincinv
from ..ops.incomplete_gamma import gammaincinv
from ..ops.random import normal_quantile
from .parameters import cast, check, floating, is_number, parameter, shape_of
from .stream import Stream

_DOUBLE = np.dtype(np.float64)


class Continuous(Stream):
    """Draws of real numbers."""

    def uniform(
        self, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None
    ) -> GradArray:
        """Numbers from [low, high), each as likely as any other: y = low + (high - low) u.

        u is a multiple of 2^-53 in [0, 1) (float32: 2^-24, float16: 2^-11): 0 can occur and 1
        cannot, but with other bounds rounding may give `high` itself. `low` and `high` are numbers
        or arrays that broadcast to `size`; y is differentiable in them, and has their dtype if
        they are floating arrays, else float64.

        Raises TypeError for a bound that is a tuple or list, DTypeError for a dtype that is not
        float16, float32 or float64, ShapeError if the bounds do not broadcast to `size`.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).uniform(-1, 1, size=(2, 2), dtype="float32")
        GradArray([[-0.20190716,  0.76104033],
                   [ 0.47142553,  0.2109636 ]], dtype=float32)
        """
        low, high = parameter("uniform", "low", low), parameter("uniform", "high", high)
        dtype = floating("uniform", dtype, low, high)
        u = self._unit(shape_of("uniform", size, low, high), dtype)
        if is_number(low, 0) and is_number(high, 1):
            return u
        low, high = cast(low, dtype), cast(high, dtype)
        return low + (high - low) * u

    def normal(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None
    ) -> GradArray:
        r"""Numbers from the normal distribution: y = loc + scale z.

            z = \sqrt{-2 \ln(1 - u)} \cos 2 \pi v,    and the same with sin,

        u and v uniform in [0, 1). |z| is at most 8.57 (float32: 5.77), since u has 53 (24) bits.
        `loc` and `scale` are numbers or arrays that broadcast to `size`; y is differentiable in
        them, and has their dtype if they are floating arrays, else float64.

        Raises ValueError for a scale below 0, and what `uniform` raises.

        Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates",
        Annals of Mathematical Statistics 29, 1958.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).normal(size=3)
        GradArray([-1.33471653,  1.32700777,  1.57090663], dtype=float64)
        """
        return _scaled("normal", self._normal, loc, scale, size, dtype)

    def truncated_normal(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        low: float = -2.0,
        high: float = 2.0,
        size: Any = None,
        dtype: Any = None,
    ) -> GradArray:
        r"""Numbers from the normal distribution, of those that lie in [low, high].

            y = loc + scale \Phi^{-1}(p),    p uniform in [\Phi(a), \Phi(b)],
            a = (low - loc) / scale,    b = (high - loc) / scale

        The bounds are those of y, not in units of scale, as in PyTorch's `trunc_normal_`; they may
        be infinite. The four are plain numbers. float64 unless another dtype is given.

        Raises ValueError unless scale > 0 and low < high, or if the interval is so far out that
        its probability underflows; TypeError for a parameter that is no number.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).truncated_normal(low=0.0, high=1.0, size=3)
        GradArray([0.10240855, 0.34423893, 0.57616108], dtype=float64)
        """
        from scipy.special import ndtr  # 0.2 s to import: only where it is needed

        op = "truncated_normal"
        given = {"loc": loc, "scale": scale, "low": low, "high": high}
        for name, value in given.items():
            if not isinstance(value, int | float | np.integer | np.floating):
                raise TypeError(message(op, f"{name} is a number, not {value!r}."))
        if not (scale > 0 and low < high):
            raise ValueError(message(op, f"needs scale > 0 and low < high, given {given}."))
        dtype = floating(op, dtype)
        shape = shape_of(op, size)
        a, b = (float(low) - loc) / scale, (float(high) - loc) / scale
        # Probabilities keep their digits in the lower tail; in the upper they are 1 less a little.
        mirrored = a + b > 0
        if mirrored:
            a, b = -b, -a
        first, last = float(ndtr(a)), float(ndtr(b))
        if not first < last:
            raise ValueError(
                message(
                    op,
                    f"[{low}, {high}] is so far from loc={loc}, at scale={scale}, that its "
                    "probability is 0 in double precision.",
                )
            )
        z = normal_quantile(first + (last - first) * self._open(shape, _DOUBLE))
        y = cast(loc + scale * (-z if mirrored else z), dtype)
        return clip(y, dtype.type(low), dtype.type(high))

    def exponential(self, scale: Any = 1.0, size: Any = None, dtype: Any = None) -> GradArray:
        r"""Numbers from the exponential distribution: y = -scale ln(1 - u), u uniform in [0, 1).

        The density is e^{-y/scale} / scale, y >= 0. `scale`, the mean, is a number or an array
        that broadcasts to `size`; y is differentiable in it. Raises what `normal` raises.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).exponential(2.0, size=3)
        GradArray([4.24921588, 1.86018028, 0.89911964], dtype=float64)
        """
        draw = lambda shape, wide: -log1p(-self._unit(shape, wide))
        return _scaled("exponential", draw, 0.0, scale, size, dtype)

    def laplace(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None
    ) -> GradArray:
        r"""Numbers from Laplace's distribution: y = loc + scale z, z = ln 2u or -ln 2(1 - u).

        u is uniform in (0, 1), below 1/2 the first holds. The density is e^{-|z|} / (2 scale).
        Parameters, dtypes and errors are those of `normal`.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).laplace(size=3)
        GradArray([ 1.43146076,  0.23694296, -0.32271222], dtype=float64)
        """

        def draw(shape: tuple[int, ...], wide: np.dtype) -> GradArray:
            u = self._open(shape, wide)
            return where(less(u, 0.5), log(2 * u), -log(2 * (1 - u)))

        return _scaled("laplace", draw, loc, scale, size, dtype)

    def gumbel(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None
    ) -> GradArray:
        r"""Numbers from Gumbel's distribution: y = loc + scale z, z = -ln(-ln u).

        u is uniform in (0, 1); the distribution function is e^{-e^{-z}}, that of a largest value.
        Parameters, dtypes and errors are those of `normal`.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).gumbel(size=3)
        GradArray([ 2.06166125,  0.68969179, -0.01573495], dtype=float64)
        """
        draw = lambda shape, wide: -log(-log(self._open(shape, wide)))
        return _scaled("gumbel", draw, loc, scale, size, dtype)

    def logistic(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None
    ) -> GradArray:
        r"""Numbers from the logistic distribution: y = loc + scale z, z = ln(u / (1 - u)).

        u is uniform in (0, 1); the distribution function is the sigmoid of z. Parameters, dtypes
        and errors are those of `normal`.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).logistic(size=3)
        GradArray([ 1.99736553,  0.42835946, -0.56629958], dtype=float64)
        """

        def draw(shape: tuple[int, ...], wide: np.dtype) -> GradArray:
            u = self._open(shape, wide)
            return log(u) - log(1 - u)

        return _scaled("logistic", draw, loc, scale, size, dtype)

    def gamma(self, shape: Any, scale: Any = 1.0, size: Any = None, dtype: Any = None) -> GradArray:
        r"""Numbers from the gamma distribution: y = scale z with P(shape, z) = u.

        P is `special.gammainc`, u uniform in (0, 1); the density of z is z^{a-1} e^{-z}/\Gamma(a),
        a = shape. Both parameters are numbers or arrays that broadcast to `size`; y is
        differentiable in both, dz/da = -P_a / P_z. A y below 1e-308, likely for a small shape, is
        0. Raises ValueError for a shape that is not above 0, and what `normal` raises.

        Source: M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", NeurIPS
        2018.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).gamma(2.0, size=3)
        GradArray([3.66461276, 2.04290171, 1.26881945], dtype=float64)
        """
        a = parameter("gamma", "shape", shape)
        check("gamma", "shape", a, lambda x: x > 0, "above 0")
        scale = parameter("gamma", "scale", scale)
        check("gamma", "scale", scale, lambda x: x >= 0, "at least 0")
        dtype = floating("gamma", dtype, a, scale)
        u = self._open(shape_of("gamma", size, a, scale), _DOUBLE)
        z = cast(gammaincinv(cast(a, _DOUBLE), u), dtype)
        return z if is_number(scale, 1) else cast(scale, dtype) * z

    def beta(self, a: Any, b: Any, size: Any = None, dtype: Any = None) -> GradArray:
        r"""Numbers from the beta distribution: y in [0, 1] with I_y(a, b) = u, u uniform in (0, 1).

        I is `special.betainc`; the density is y^{a-1} (1 - y)^{b-1} / B(a, b). Both parameters are
        numbers or arrays that broadcast to `size`; y is differentiable in both, dy/da = -I_a / I_y.
        Raises ValueError for a parameter that is not above 0, and what `normal` raises.

        Source: Figurnov, Mohamed and Mnih, as for `gamma`.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).beta(2.0, 3.0, size=3)
        GradArray([0.65744327, 0.44783806, 0.30780477], dtype=float64)
        """
        a, b = parameter("beta", "a", a), parameter("beta", "b", b)
        for name, value in (("a", a), ("b", b)):
            check("beta", name, value, lambda x: x > 0, "above 0")
        dtype = floating("beta", dtype, a, b)
        u = self._open(shape_of("beta", size, a, b), _DOUBLE)
        return cast(betaincinv(cast(a, _DOUBLE), cast(b, _DOUBLE), u), dtype)


def _scaled(
    op: str, draw: Callable[..., GradArray], loc: Any, scale: Any, size: Any, dtype: Any
) -> GradArray:
    """loc + scale z with the z that `draw(shape, dtype)` gives."""
    loc, scale = parameter(op, "loc", loc), parameter(op, "scale", scale)
    check(op, "scale", scale, lambda x: x >= 0, "at least 0")
    dtype = floating(op, dtype, loc, scale)
    # Half precision has 2^11 numbers in [0, 1): too few for a tail.
    z = draw(shape_of(op, size, loc, scale), np.promote_types(dtype, np.float32))
    z = cast(z, dtype)
    if not is_number(scale, 1):
        z = cast(scale, dtype) * z
    return z if is_number(loc, 0) else cast(loc, dtype) + z
