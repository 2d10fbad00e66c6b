"""Where functions of arrays are tried: beside what they declare, at edges, saturated, far out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import tree
from ...registry import Case, Function, Sample
from ..draw import Call

_NO_SLOPE = (0.0,) * 5  # value and derivatives, by the table of choices


@dataclass(frozen=True)
class At:
    """One call, its differentiated arguments as arrays; `documented` where the table decides."""

    kind: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    documented: tuple[float, ...] | None = None


def _at(kind: str, *args: Any, **kwargs: Any) -> At:
    arrays = [np.array(a, float) if isinstance(a, list) else a for a in args]
    return At(kind, tuple(arrays), kwargs)


def _flat(*args: Any, **kwargs: Any) -> At:
    call = _at("edge", *args, **kwargs)
    return At(call.kind, call.args, call.kwargs, _NO_SLOPE)


@dataclass(frozen=True)
class FixedCall(Call):
    """A call whose arrays are given, not drawn."""

    arrays: tuple[np.ndarray, ...] = ()

    def draw(self, dtype: Any = np.float64, rng: Any = None) -> list[np.ndarray]:
        return [x.astype(dtype) for x in self.arrays]


def fixed(entry: Function, at: At) -> FixedCall:
    """The call of a function at these arrays."""
    leaves, form = tree.flatten((at.args, at.kwargs))
    arrays = tuple(x for x in leaves if isinstance(x, np.ndarray))
    placed = [Sample(x.shape) if isinstance(x, np.ndarray) else x for x in leaves]
    args, kwargs = tree.unflatten(form, placed)
    samples = tuple(x for x in placed if isinstance(x, Sample))
    return FixedCall(entry, Case(args, kwargs), samples, arrays)


_ZEROS = (_at("edge", [0.0, 2.0, -3.0]), _at("edge", [0.0, 0.0, 3.0]))  # of a product
_LOGITS = (
    _at("edge", [1.0, 1.0, 1.0]),
    _at("saturated", [40.0, 0.0, -40.0]),
    _at("large", [1000.0, 1001.0, 999.5]),
)
_FAR = _at("large", [4097.0, 4098.0, 4100.0])  # from 0, compared with their spread
_ZERO = [[0.0, 0.0], [0.0, 0.0]]
_NEAR_SINGULAR = [[1.0, 1.0], [1.0, 1.125]]
_SINGULAR = [[1.0, 2.0], [2.0, 4.0]]
_UNEVEN = [[2e5, 1e5], [1e-5, 3e-5]]  # rows of different sizes, a determinant of 5

CASES: dict[str, Sequence[At]] = {
    "prod": _ZEROS,
    "nanprod": _ZEROS,
    "cumprod": _ZEROS,
    "logsumexp": _LOGITS,
    "softmax": _LOGITS,
    "softmin": _LOGITS,
    "log_softmax": _LOGITS,
    "logcumsumexp": _LOGITS,
    "glu": (_at("saturated", [1.0, 2.0, 40.0, -40.0]),),
    "scaled_dot_product_attention": (
        _at("saturated", [[30.0, 5.0]], [[1.0, 2.0], [-1.0, 0.5]], [[1.0], [3.0]]),
    ),
    "norm": (
        _flat([0.0, 0.0]),
        _at("edge", [1e-8, 1.0]),
        _at("large", [3e5, 4e5]),
        _at("large", [3e100, 4e100]),
    ),
    "linalg.vector_norm": (_flat([0.0, 0.0]), _at("large", [3e100, 4e100])),
    "linalg.matrix_norm": (_flat([[0.0, 0.0]]), _at("large", [[3e5, 4e5], [1e5, 2e5]])),
    "normalize": (_at("edge", [1e-6, 1.0], axis=0), _at("large", [3e5, 4e5], axis=0)),
    "cosine_similarity": (_at("large", [3e5, 4e5], [1e5, 5e5], axis=0),),
    "cdist": (
        At("edge", (np.ones((1, 2)), np.ones((1, 2))), {}, _NO_SLOPE),
        _at("large", [[3e5, 4e5]], [[1e5, 5e5]]),
    ),
    "std": (_flat([2.0, 2.0, 2.0]), _FAR),
    "nanstd": (_flat([2.0, 2.0, 2.0]), _FAR),
    "var": (_at("edge", [2.0, 2.0, 2.0]), _FAR),
    "nanvar": (_at("edge", [2.0, 2.0, 2.0]), _FAR),
    "sum": (_at("large", [1e30, -1e30, 1.0]),),
    "mean": (_at("large", [1e30, 2e30, 1.0]),),
    "matmul": (
        _at("edge", [[0.0, 0.0]], [[1.0], [2.0]]),
        _at("large", [[1e15, 1.0]], [[1e15], [2.0]]),
    ),
    "linalg.det": (_at("edge", _SINGULAR), _at("edge", _ZERO), _at("large", _UNEVEN)),
    "linalg.slogdet": (_at("large", _UNEVEN),),
    "linalg.inv": (_at("edge", _NEAR_SINGULAR), _at("large", _UNEVEN)),
    "linalg.solve": (_at("edge", _NEAR_SINGULAR, [1.0, 2.0]),),
    "linalg.cholesky": (_at("edge", _NEAR_SINGULAR), _at("large", [[4e8, 1.0], [1.0, 1e-5]])),
    "linalg.expm": (_at("edge", _ZERO), _at("large", [[20.0, 1.0], [0.0, -20.0]])),
    "linalg.matrix_power": (_at("edge", _ZERO, 3), _at("large", _UNEVEN, 2)),
}  # fmt: skip
