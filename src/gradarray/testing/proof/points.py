"""Where elementwise functions are tried: inside, at an edge, saturated, far out.

Numbers are operands; of several operands each point is a tuple. What float32 cannot hold is left
out there. `singular`: where the function, or a derivative, is not smooth, for each operand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

INF = math.inf
NEAR_1 = 1 - 2.0**-20  # exact in float32 too


@dataclass(frozen=True)
class Points:
    """The arguments of one function, by kind, and what it is given beside them."""

    singular: tuple[float, ...] = ()
    kinds: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    # Derivatives of order 0 to 4 where they follow from no formula, but from the table of choices.
    documented: dict[Any, tuple[float, ...]] = field(default_factory=dict)


def at(*singular: float, documented: Any = None, **kinds: tuple[Any, ...]) -> Points:
    return Points(singular, kinds, documented or {})


def _flat(value: float, slope: float = 0.0) -> tuple[float, ...]:
    """A value and a slope, and no further derivative."""
    return (value, slope, 0.0, 0.0, 0.0)


def _pole(value: float, first: float, second: float) -> tuple[float, ...]:
    """Infinite with infinite derivatives, their signs alternating as the first two do."""
    return (value, first, second, first, second)


_EVERYWHERE = at(
    inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(1e30, -1e100)
)  # of an entire function that does not overflow
_STEP = at(inside=(0.3, -1.7, 2.6), large=(2.0**21 + 0.25, -3e6 - 0.25))
_UPRIGHT = {0.0: _flat(0.0)}
_KINK = at(0, inside=(0.3, -1.7), large=(1e30, -1e30), edge=(0.0,), documented={0.0: _flat(0.0)})
_POSITIVE = (1e-30, 1e-100)
_SIGMOID = at(
    inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(3.0, 20.0, 37.0, -37.0), large=(300.0, -700.0)
)
_TIE = {(2.0, 2.0): _flat(2.0, 0.5)}
_ORDERED = ((0.3, 1.7), (-1e30, 2.0), (5.0, -0.25))
_PAIRS = ((0.3, 1.7), (-1.2, 0.4))

UNARY: dict[str, Points] = {
    # Arithmetic
    "negative": _EVERYWHERE,
    "positive": _EVERYWHERE,
    "square": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(1e15, 1e100)),
    "reciprocal": at(
        0, inside=(0.3, -1.7), edge=(0.0, 1e-5, -1e-60), large=(1e5, 1e60),
        documented={0.0: _pole(INF, -INF, INF)},
    ),
    "sqrt": at(
        0, inside=(0.3, 1.7), edge=(0.0, 1e-8, 1e-50), large=(1e8, 1e50), documented=_UPRIGHT
    ),
    "rsqrt": at(
        0, inside=(0.3, 1.7), edge=(0.0, 1e-6, 1e-50), large=(1e6, 1e50),
        documented={0.0: _pole(INF, -INF, INF)},
    ),
    "cbrt": at(
        0, inside=(0.3, -1.7), edge=(0.0, 1e-6, -1e-50), large=(-1e6, 1e50), documented=_UPRIGHT
    ),
    "absolute": _KINK,
    "fabs": _KINK,
    "sign": at(0, inside=(0.3, -1.7), edge=(0.0,), documented={0.0: _flat(0.0)}),
    "floor": _STEP,
    "ceil": _STEP,
    "trunc": _STEP,
    "rint": _STEP,
    "deg2rad": _EVERYWHERE,
    "rad2deg": _EVERYWHERE,
    # Exponentials and logarithms
    "exp": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(-40.0, -700.0), large=(80.0, 700.0)),
    "exp2": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(-100.0,), large=(100.0, 1000.0)),
    "expm1": at(
        inside=(0.3, -1.7), edge=(0.0, 1e-8, -1e-300), saturated=(-40.0, -700.0),
        large=(80.0, 700.0),
    ),
    "log": at(
        0, inside=(0.3, 1.7), edge=(0.0, 1.0, 1e-8, 1e-60), large=(1e8, 1e60),
        documented={0.0: _pole(-INF, INF, -INF)},
    ),
    "log2": at(0, inside=(0.3, 1.7), edge=(1.0, 1e-8, 1e-60), large=(1e8, 1e60)),
    "log10": at(0, inside=(0.3, 1.7), edge=(1.0, 1e-8, 1e-60), large=(1e8, 1e60)),
    "log1p": at(
        -1, inside=(0.3, -0.7), edge=(0.0, 1e-8, -1e-300, -NEAR_1, -1.0), large=(1e8, 1e60),
        documented={-1.0: _pole(-INF, INF, -INF)},
    ),
    # Trigonometry
    "sin": at(inside=(0.3, -1.7), edge=(0.0, 1e-8, math.pi), large=(100.0, 1e5, 1e15)),
    "cos": at(inside=(0.3, -1.7), edge=(0.0, 1e-8, math.pi / 2), large=(100.0, 1e5, 1e15)),
    "tan": at(
        math.pi / 2, inside=(0.3, -1.2), edge=(0.0, 1e-8, 1.5), large=(100.0, 1e5)
    ),
    "sinc": at(inside=(0.3, -1.7), edge=(0.0, 1e-8, 1.0), large=(50.3, 1000.25)),
    "arcsin": at(
        -1, 1, inside=(0.3, -0.7), edge=(0.0, 1e-8, NEAR_1, -1.0),
        documented={-1.0: _flat(-math.pi / 2)},
    ),
    "arccos": at(
        -1, 1, inside=(0.3, -0.7), edge=(0.0, 1e-8, NEAR_1, 1.0), documented={1.0: _flat(0.0)}
    ),
    "arctan": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(1e5, -1e50)),
    # Hyperbolic functions
    "sinh": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(-20.0, 80.0, 700.0)),
    "cosh": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(-20.0, 80.0, 700.0)),
    "tanh": at(
        inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(3.0, -20.0, 40.0), large=(300.0, -350.0)
    ),
    "sech": at(
        inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(3.0, -20.0, 40.0), large=(300.0, -700.0)
    ),
    "sigmoid": _SIGMOID,
    "arcsinh": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(1e5, -1e50)),
    "arccosh": at(
        1, inside=(1.3, 2.7), edge=(1.0, 2 - NEAR_1), large=(1e5, 1e50),
        documented={1.0: _flat(0.0)},
    ),
    "arctanh": at(
        -1, 1, inside=(0.3, -0.7), edge=(0.0, 1e-8, NEAR_1, 1.0),
        documented={1.0: _pole(INF, INF, INF)},
    ),
    # Activations
    "relu": _KINK,
    "leaky_relu": at(
        0, inside=(0.3, -1.7), edge=(0.0,), large=(1e30, -1e30), documented={0.0: _flat(0.0, 0.01)}
    ),
    "hard_tanh": at(inside=(0.3, -0.7), edge=(1.0,), saturated=(3.0, -1e30),
                    documented={1.0: _flat(1.0)}),
    "hard_sigmoid": at(inside=(0.3, -1.7), edge=(-3.0,), saturated=(4.0, -1e30),
                       documented={-3.0: _flat(0.0)}),
    "hard_swish": at(inside=(0.3, -1.7), edge=(-3.0,), saturated=(4.0, -1e30),
                     documented={-3.0: _flat(0.0)}),
    "softshrink": at(inside=(0.7, -1.7), edge=(0.5,), saturated=(0.1, 0.0), large=(1e30,),
                     documented={0.5: _flat(0.0)}),
    "hardshrink": at(inside=(0.7, -1.7), edge=(0.5,), saturated=(0.1, 0.0), large=(1e30,),
                     documented={0.5: _flat(0.0)}),
    "elu": at(0, inside=(0.3, -1.7), edge=(-1e-8, 0.0), saturated=(-40.0, -700.0), large=(1e30,),
              documented={0.0: (0.0, 1.0, 1.0, 1.0, 1.0)}),
    "celu": at(0, inside=(0.3, -1.7), edge=(-1e-8,), saturated=(-40.0, -700.0), large=(1e30,)),
    "selu": at(0, inside=(0.3, -1.7), edge=(-1e-8,), saturated=(-40.0, -700.0), large=(1e30,)),
    "softplus": at(
        inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(-40.0, 10.0, 40.0), large=(300.0, -700.0)
    ),
    "log_sigmoid": at(
        inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(-40.0, 10.0, 40.0), large=(300.0, -700.0)
    ),
    "silu": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(10.0, -20.0, 40.0),
               large=(300.0, -700.0)),
    "mish": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(10.0, -20.0, 30.0),
               large=(150.0, -300.0)),
    "gelu": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(5.0, -8.0), large=(20.0, -30.0)),
    "softsign": at(
        0, inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(100.0,), large=(1e30, -1e30),
        documented={0.0: _flat(0.0, 1.0)},
    ),
    "tanhshrink": at(inside=(0.3, -1.7), edge=(0.0, 1e-4), saturated=(10.0, -40.0), large=(1e30,)),
    # Error functions and the normal distribution
    "erf": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(3.0, -6.0), large=(9.0, 20.0)),
    "erfc": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(-6.0, 3.0), large=(9.0, 20.0)),
    "special.erfcx": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(9.0, 1e5)),
    "erfinv": at(-1, 1, inside=(0.3, -0.7), edge=(0.0, 1e-8, NEAR_1)),
    "special.erfcinv": at(0, 2, inside=(0.3, 1.7), edge=(1.0, 1e-6, 1e-60)),
    "ndtr": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(5.0, -8.0), large=(20.0, -30.0)),
    "log_ndtr": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), saturated=(5.0, -8.0), large=(20.0, -1e3)),
    "ndtri": at(0, 1, inside=(0.3, 0.7), edge=(0.5, 1e-6, 1e-60)),
    "logit": at(0, 1, inside=(0.3, 0.7), edge=(0.5, 1e-6, NEAR_1, 1e-60)),
    "entr": at(0, inside=(0.3, 1.7), edge=(0.0, 1e-8, 1e-60), large=(1e8, 1e60),
               documented=_UPRIGHT),
    # The gamma function
    "special.gamma": at(0, -1, -2, inside=(0.3, 1.7, -1.4), edge=(1.0, 1e-5), large=(20.0, 150.0)),
    "gammaln": at(0, -1, -2, inside=(0.3, 1.7, -1.4), edge=(1.0, 2.0, 1e-5), large=(20.0, 1e8)),
    "special.loggamma": at(0, -1, -2, inside=(0.3, 1.7), edge=(1.0, 2.0, 1e-5), large=(20.0, 1e8)),
    "digamma": at(0, -1, -2, inside=(0.3, 1.7, -1.4), edge=(1.0, 1e-5), large=(20.0, 1e8)),
    # Bessel functions
    "special.j0": at(inside=(0.3, -1.7), edge=(0.0, 1e-8, 2.404825557695773), large=(30.0, 1e3)),
    "special.j1": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(30.0, 1e3)),
    "i0": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(30.0, -80.0)),
    "special.i1": at(inside=(0.3, -1.7), edge=(0.0, 1e-8), large=(30.0, -80.0)),
    "special.i0e": at(0, inside=(0.3, -1.7), edge=(1e-8,), large=(30.0, -1e3)),
    "special.i1e": at(0, inside=(0.3, -1.7), edge=(1e-8,), large=(30.0, -1e3)),
}  # fmt: skip

BINARY: dict[str, Points] = {
    "add": at(inside=_PAIRS, large=((1e30, -1e10),)),
    "subtract": at(inside=_PAIRS, large=((1e30, -1e10),)),
    "multiply": at(inside=_PAIRS, edge=((0.0, 0.0),), large=((1e15, -1e10),)),
    "divide": at(0, inside=_PAIRS, edge=((0.0, 2.0), (1e-8, -1e-5)), large=((1e15, -1e3),)),
    "copysign": at(0, inside=_PAIRS, large=((1e30, -1e-30),)),
    "heaviside": at(0, inside=_PAIRS),
    "maximum": at(inside=_ORDERED, edge=((2.0, 2.0),), documented=_TIE),
    "minimum": at(inside=_ORDERED, edge=((2.0, 2.0),), documented=_TIE),
    "fmax": at(inside=_ORDERED, edge=((2.0, 2.0),), documented=_TIE),
    "fmin": at(inside=_ORDERED, edge=((2.0, 2.0),), documented=_TIE),
    "hypot": at(
        0, inside=((3.0, 4.0), (-0.3, 1.7)), edge=((0.0, 2.0), (1e-8, 1.0), (0.0, 0.0)),
        large=((1e8, 1e9), (1e100, 2e100)), documented={(0.0, 0.0): _flat(0.0)},
    ),
    "arctan2": at(
        0, inside=((3.0, 4.0), (-0.3, 1.7)), edge=((0.0, 2.0), (1e-8, -1.0), (0.0, 0.0)),
        large=((1e6, 2e6), (1e50, 2e50)), documented={(0.0, 0.0): _flat(0.0)},
    ),
    "power": at(
        0, inside=((0.3, 1.7), (2.0, -1.3), (1.5, 3.0)), edge=((2.0, 0.0), (2.0, 1.0)),
        large=((1e6, 2.5), (0.5, 30.0)),
    ),
    "floor_divide": at(0, inside=((3.3, 2.0), (-1.2, 0.5))),
    "remainder": at(0, inside=((3.3, 2.0), (-1.2, 0.7)), large=((1e6, 0.75),)),
    "fmod": at(0, inside=((3.3, 2.0), (-1.2, 0.7)), large=((1e6, 0.75),)),
    "logaddexp": at(
        inside=_PAIRS, edge=((1.0, 1.0), (0.0, 1e-8)), saturated=((20.0, -20.0), (0.0, 40.0)),
        large=((1000.0, 1001.0), (-1000.0, -1000.5)),
    ),
    "logaddexp2": at(
        inside=_PAIRS, edge=((1.0, 1.0), (0.0, 1e-8)), saturated=((20.0, -20.0),),
        large=((1000.0, 1001.0), (-1000.0, -1000.5)),
    ),
    "xlogy": at(
        0, inside=((0.3, 1.7), (-1.2, 0.4)), edge=((0.0, 2.0), (2.0, 1.0), (0.0, 0.0)),
        large=((1e6, 1e8),), documented={(0.0, 0.0): _flat(0.0)},
    ),
    "xlog1py": at(
        -1, inside=((0.3, 1.7), (-1.2, 0.4)), edge=((0.0, 2.0), (2.0, 1e-8)), large=((1e6, 1e8),)
    ),
    "rel_entr": at(0, inside=((0.3, 1.7), (1.2, 0.4)), edge=((1.0, 1.0), (1e-8, 1.0))),
    "special.kl_div": at(0, inside=((0.3, 1.7), (1.2, 0.4)), edge=((1.0, 1.0), (1e-8, 1.0))),
    "special.beta": at(
        0, inside=((0.3, 1.7), (2.5, 0.4)), edge=((1.0, 1.0),), large=((20.0, 30.0),)
    ),
    "special.betaln": at(
        0, inside=((0.3, 1.7), (2.5, 0.4)), edge=((1.0, 1.0),), large=((20.0, 30.0), (1e5, 2.0))
    ),
    "special.gammainc": at(
        0, inside=((0.5, 0.3), (2.5, 4.0)), edge=((1.5, 1e-6),), saturated=((2.0, 40.0),),
        large=((60.0, 70.0),),
    ),
    "special.gammaincc": at(
        0, inside=((0.5, 0.3), (2.5, 4.0)), edge=((1.5, 1e-6),), saturated=((2.0, 40.0),),
        large=((60.0, 70.0),),
    ),
    "special.gammaincinv": at(0, inside=((0.5, 0.3), (2.5, 0.8)), edge=((1.5, 1e-6),)),
    "special.gammainccinv": at(0, inside=((0.5, 0.3), (2.5, 0.8)), edge=((1.5, 1e-6),)),
    "special.poch": at(0, inside=((0.3, 1.7), (2.5, 0.4)), edge=((1.0, 0.0),)),
    "special.binom": at(inside=((3.5, 1.7), (5.5, 0.4))),
}  # fmt: skip
POINTS = UNARY | BINARY
