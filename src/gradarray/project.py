"""Shape, dtype and products: what the kinds do around every rule.

They need a few ops. The ops give themselves here when they are defined: the one permitted knot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .array import is_foreign


class _Given:
    """The ops that the kinds use, filled in by `ops`."""

    apply: Callable[..., Any]
    inputs_of: Callable[..., Any]
    handle_on: Callable[..., Any]
    alias: Callable[..., Any]
    apply_batched: Callable[..., Any]
    on_all_levels: Callable[..., Any]
    drawn: Callable[..., Any]
    pull_through: Callable[..., Any]
    absorb: Callable[..., Any]
    sum: Callable[..., Any]
    sum_over: Callable[..., Any]
    expand_dims: Callable[..., Any]
    broadcast_to: Callable[..., Any]
    reshape: Callable[..., Any]
    astype: Callable[..., Any]
    real: Callable[..., Any]
    conj: Callable[..., Any]
    copy: Callable[..., Any]


given = _Given()


def at_end(c: Any) -> Any:
    r"""A cotangent where it enters or leaves a walk, for users: conjugated if it is complex.

    Inside, cotangents pair with tangents as Re(c \dot x), so that no rule needs a conjugate;
    outside, as the real inner product Re(c^* \dot x), so that a gradient points uphill.
    """
    if isinstance(c, tuple):
        return tuple(map(at_end, c))
    dtype = getattr(c, "dtype", None)
    return given.conj(c) if dtype is not None and dtype.kind == "c" else c


def absorb_raw(a: Any, b: Any) -> Any:
    """a * b, and 0 where either is exactly 0, whatever the other is."""
    y = a * b
    if is_foreign(y):  # under trace its values are not there to be looked at
        return given.absorb(a, b)
    total = np.add.reduce(y, axis=None) if isinstance(y, np.ndarray) else y
    if total != total:
        y = np.where((np.equal(a, 0)) | (np.equal(b, 0)), np.zeros((), np.asarray(y).dtype), y)
        y = y if y.shape else y[()]
    return y


def absorb(a: Any, b: Any) -> Any:
    return given.absorb(a, b)


def project(c: Any, like: Any) -> Any:
    """The cotangent of an operand of this form: sum over broadcast axes, real part, cast."""
    target, dtype = like
    shape = c.shape
    if shape != target:
        extra = len(shape) - len(target)
        if extra < 0:
            c = given.broadcast_to(c, target)
        else:
            axes = tuple(
                [
                    k - len(shape)
                    for k, n in enumerate(shape)
                    if k < extra or (target[k - extra] == 1 and n != 1)
                ]
            )
            if axes:
                c = given.sum_over(c, axes, True)
            if c.shape != target:
                c = given.reshape(c, target) if extra else given.broadcast_to(c, target)
    return c if c.dtype is dtype else _cast(c, dtype)


def spread(r: Any, like: Any) -> Any:
    """The tangent of a result of this form: broadcast, real part, cast."""
    shape, dtype = like
    if r.shape != shape:
        r = given.broadcast_to(r, shape)
    return r if r.dtype is dtype else _cast(r, dtype)


def _cast(c: Any, dtype: Any) -> Any:
    if c.dtype is dtype or c.dtype == dtype:
        return c
    if c.dtype.kind == "c" and dtype.kind != "c":
        c = given.real(c)
        if c.dtype == dtype:
            return c
    return given.astype(c, dtype)


def expand(c: Any, params: dict[str, Any]) -> Any:
    """Put back, with length 1, the axes that a reduction removed."""
    if params["keepdims"] or not params["axis"]:
        return c
    return given.expand_dims(c, axis=params["axis"])


def contract_axes(x: Any, params: dict[str, Any]) -> Any:
    return given.sum_over(x, params["axis"], params["keepdims"])
