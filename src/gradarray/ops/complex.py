"""Parts of complex numbers: real, imag, conj. Linear over the reals, so not plain products.

Walks pair cotangent and tangent as Re(y_bar y_dot), without a conjugate; the transposes follow
from that pairing, and the conjugate that calculus over C asks for is taken at the ends of a walk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import Linear, given
from ..array import GradArray, lift, method
from ..record import apply
from ..registry import arr, case, public

__all__ = [
    "conj",
    "conjugate",
    "imag",
    "iscomplex",
    "isreal",
    "real",
]

_CASES = [case(arr(2, 3))]


def is_complex(x: Any) -> bool:
    """Is x an array of complex numbers (as operand of a rule: raw, recorded or symbolic)?"""
    return getattr(getattr(x, "dtype", None), "kind", "") == "c"


class RealGrad(Linear):
    r"""y = \Re x. Re(y_bar \Re x_dot) = Re(y_bar x_dot) for a real y_bar."""

    forward = np.real
    transpose = staticmethod(lambda y_bar: y_bar)
    always_meta = True  # a complex x has a real y
    tex = r"\Re {x}"


class ImagGrad(Linear):
    r"""y = \Im x. Re(y_bar \Im x_dot) = Re(-i y_bar x_dot) for a real y_bar."""

    forward = np.imag
    transpose = staticmethod(lambda y_bar: y_bar * -1j)
    always_meta = True  # a complex x has a real y
    tex = r"\Im {x}"


class ConjGrad(Linear):
    r"""y = x^*. Re(y_bar x_dot^*) = Re(y_bar^* x_dot)."""

    forward = np.conjugate
    transpose = staticmethod(lambda y_bar: conj(y_bar))
    tex = r"{x}^*"


@public(numpy=np.real, op=RealGrad, cases=_CASES)
def real(x: Any) -> GradArray:
    r"""y = \Re x, the real part; x itself if it is real.

    >>> import gradarray as ga
    >>> ga.real([1 + 2j, 3.0])
    GradArray([1., 3.], dtype=float64)
    """
    return apply(RealGrad, lift(x))


@public(numpy=np.imag, op=ImagGrad, cases=_CASES)
def imag(x: Any) -> GradArray:
    r"""y = \Im x, the imaginary part; zeros if x is real.

    >>> import gradarray as ga
    >>> ga.imag([1 + 2j, 3.0])
    GradArray([2., 0.], dtype=float64)
    """
    return apply(ImagGrad, lift(x))


@public(
    numpy=np.conjugate,
    op=ConjGrad,
    method=("conj", "conjugate"),
    aliases=("conjugate",),
    cases=_CASES,
)
def conj(x: Any) -> GradArray:
    r"""y = x^* = \Re x - i \Im x; x itself if it is real.

    >>> import gradarray as ga
    >>> ga.conj([1 + 2j])
    GradArray([1.-2.j], dtype=complex128)
    """
    return apply(ConjGrad, lift(x))


conjugate = conj
_parts: dict[str, Any] = {
    "real": property(lambda x: real(x), doc="The real part."),
    "imag": property(lambda x: imag(x), doc="The imaginary part."),
}
for _name, _part in _parts.items():
    method(_name)(_part)


@public(numpy=np.isreal, differentiable=False, cases=_CASES)
def isreal(x: Any) -> GradArray:
    """y = is the imaginary part of x zero?

    >>> import gradarray as ga
    >>> ga.isreal([1 + 2j, 3.0])
    GradArray([False,  True], dtype=bool)
    """
    return imag(x) == 0


@public(numpy=np.iscomplex, differentiable=False, cases=_CASES)
def iscomplex(x: Any) -> GradArray:
    """y = is the imaginary part of x other than zero?

    >>> import gradarray as ga
    >>> ga.iscomplex([1 + 2j, 3.0])
    GradArray([ True, False], dtype=bool)
    """
    return imag(x) != 0


given.real = real
given.conj = conj
