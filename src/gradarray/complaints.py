"""What an op says when NumPy cannot carry it out: the op, the shapes and the mend."""

from __future__ import annotations

from typing import Any

import numpy as np

from .algebra import Elementwise
from .errors import DTypeError, RuleError, ShapeError, message
from .graph import Grad

# What NumPy raises, and `explain` puts into words. (AxisError is two of them.)
ERRORS = (ValueError, TypeError, IndexError)


def explain(
    op: type[Grad], raw: list[Any], params: dict[str, Any], error: Exception
) -> Exception:
    """NumPy's complaint, with the op, the shapes and the mend."""
    if isinstance(error, (ShapeError, DTypeError, np.linalg.LinAlgError)):
        return error  # the op's own words
    forms = ", ".join(_form(x) for x in raw)
    shapes = [x.shape for x in raw if hasattr(x, "shape")]
    if isinstance(error, IndexError) and not isinstance(error, np.exceptions.AxisError):
        return IndexError(message(op.name, f"{error}, for {forms}."))
    if isinstance(error, TypeError):
        if "not supported for the input types" in str(error):
            return DTypeError(message(op.name, f"is not defined for {forms}.", _dtype_mend(raw)))
        return DTypeError(message(op.name, f"cannot take {forms}: {error}."))
    if "read-only" in str(error):
        return RuleError(
            message(
                op.name,
                "its forward changed an input in place, and the caller still has that array.",
                "Change a copy: x = x.copy().",
            )
        )
    if issubclass(op, Elementwise) and len(shapes) > 1:
        axis = clash(shapes)
        if axis is not None:
            sizes = " and ".join(str(s[axis]) for s in shapes if len(s) >= -axis)
            return ShapeError(
                message(
                    op.name,
                    f"shapes {' and '.join(map(str, shapes))} do not broadcast: "
                    f"axis {axis} has {sizes}.",
                    "Axes are compared from the end and must be equal or 1; reshape one of them.",
                )
            )
    extra = "".join(f", {k}={v!r}" for k, v in params.items())
    return ShapeError(message(op.name, f"{error} (given {forms}{extra})."))


def _dtype_mend(raw: list[Any]) -> str:
    kinds = {np.asarray(x).dtype.kind for x in raw}
    if "c" in kinds:
        return "It takes real numbers: ga.real(x), ga.imag(x) or ga.abs(x) gives them."
    if "f" in kinds:
        return (
            "It takes integers or booleans: cast with x.astype(int), or join conditions with "
            "ga.logical_and, ga.logical_or and ga.logical_not."
        )
    return "Cast it, for example with x.astype(float)."


def clash(shapes: list[tuple[int, ...]]) -> int | None:
    """The first axis, from the end, along which shapes do not broadcast."""
    for axis in range(-1, -1 - max(map(len, shapes)), -1):
        if len({s[axis] for s in shapes if len(s) >= -axis} - {1}) > 1:
            return axis
    return None


def _form(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else repr(x)


