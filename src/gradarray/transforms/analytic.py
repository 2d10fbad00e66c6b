"""Complex numbers in transforms: whether a derivative is one number (docs/complex.md).

dy/dz is one number only where y is an analytic function of z. Who says holomorphic=True knows that
it is; without it a complex argument, or a complex result that is pulled back, raises.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import tree
from ..array import GradArray
from ..errors import DTypeError, message


def check_arguments(op: str, xs: Sequence[GradArray], holomorphic: bool | None) -> None:
    """Raise for complex arguments of a function that is not said to be analytic, and for real ones
    of one that is. None: the transform has no such keyword.
    """
    for x in xs:
        if x.dtype.kind == "c" and not holomorphic:
            say = "Use ga.jacobian with" if holomorphic is None else "Say"
            raise DTypeError(
                message(
                    op,
                    f"an argument has dtype {x.dtype}: dy/dz is one number only if y is analytic.",
                    f"{say} holomorphic=True if it is; else differentiate by real and imaginary "
                    "part.",
                )
            )
        if holomorphic and x.dtype.kind != "c":
            raise DTypeError(message(op, f"holomorphic=True, but an argument is {x.dtype}."))


def check_results(
    op: str,
    ys: Sequence[GradArray],
    form: tree.Structure,
    holomorphic: bool | None,
    *,
    forward: bool,
) -> None:
    """Raise for results without a derivative, real ones of a function that is said to be analytic,
    and complex ones that are pulled back (not `forward`) and are not said to be.
    """
    for y, path in zip(ys, tree.paths(form), strict=True):
        what = f"the result{path} has dtype {y.dtype}"
        if y.dtype.kind not in "fc":
            raise DTypeError(message(op, f"{what}, which has no derivative."))
        if holomorphic and y.dtype.kind != "c":
            raise DTypeError(message(op, f"holomorphic=True, but {what}."))
        if y.dtype.kind == "c" and not holomorphic and not forward:
            raise DTypeError(
                message(
                    op,
                    f"{what}; pulled back to real arguments, only its real part would arrive.",
                    "Use ga.jacfwd, say holomorphic=True, or return ga.real(y) and ga.imag(y).",
                )
            )
