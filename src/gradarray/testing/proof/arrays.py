"""What functions of arrays are, on arrays of numbers of any precision: transforms, sums of exps.

Most references are compositions of NumPy's functions that take such arrays as they are. Here stand
the definitions of those that do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .densities import VECTORS
from .exact import mp
from .matrices import MATRICES, norm
from .samples import SAMPLES

# Fourier transforms, by their definition ----------------------------------------------------------


def _cut(x: np.ndarray, n: int) -> np.ndarray:
    """The first n along axis 0, zeros behind what there is."""
    if len(x) >= n:
        return x[:n]
    return np.concatenate([x, np.zeros((n - len(x), *x.shape[1:]), object)])


def _dft(x: Any, n: Any, axis: int, norm: Any, inverse: bool) -> Any:
    x = np.moveaxis(np.asarray(x, object), axis, 0)
    n = len(x) if n is None else n
    x = _cut(x, n)
    sign = 1 if inverse else -1
    roots = [mp.expjpi(mp.mpf(2 * sign * k) / n) for k in range(n)]
    matrix = np.array([[roots[j * k % n] for k in range(n)] for j in range(n)], object)
    y = np.tensordot(matrix, x, 1)
    return np.moveaxis(y * _factor(n, norm, inverse), 0, axis)


def _factor(n: int, norm: Any, inverse: bool) -> Any:
    if norm == "ortho":
        return 1 / mp.sqrt(n)
    return 1 / mp.mpf(n) if (norm == "forward") != inverse else mp.mpf(1)


def fft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return _dft(x, n, axis, norm, False)


def ifft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return _dft(x, n, axis, norm, True)


def rfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    y = np.moveaxis(_dft(x, n, axis, norm, False), axis, 0)
    return np.moveaxis(y[: len(y) // 2 + 1], 0, axis)


def irfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None, inverse: bool = True) -> Any:
    x = np.moveaxis(np.asarray(x, object), axis, 0)
    n = 2 * (len(x) - 1) if n is None else n
    x = _cut(x, n // 2 + 1)
    whole = np.zeros((n, *x.shape[1:]), object)
    for k in range(n // 2 + 1):
        alone = k == 0 or 2 * k == n  # its imaginary part counts for nothing
        whole[k] = np.frompyfunc(mp.re, 1, 1)(x[k]) if alone else x[k]
        if not alone:
            whole[n - k] = np.conj(x[k])
    y = np.frompyfunc(mp.re, 1, 1)(_dft(whole, n, 0, norm, inverse))
    return np.moveaxis(y, 0, axis)


def hfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return (
        irfft(np.conj(x), n, axis, norm, inverse=True)
        if norm == "ortho"
        else irfft(
            np.conj(x), n, axis, {None: "forward", "backward": "forward", "forward": None}[norm]
        )
    )


def ihfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    swapped = {None: "forward", "backward": "forward", "forward": None, "ortho": "ortho"}
    return np.conj(rfft(x, n, axis, swapped[norm]))


def _axes(x: Any, s: Any, axes: Any) -> tuple[list[int], list[Any]]:
    if axes is None:
        axes = range(-len(s), 0) if s is not None else range(-x.ndim, 0)
    axes = list(axes)
    return axes, [None] * len(axes) if s is None else list(s)


def _over(f: Callable[..., Any]) -> Callable[..., Any]:
    def several(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
        axes, sizes = _axes(x, s, axes)
        for axis, n in zip(reversed(axes), reversed(sizes), strict=True):
            x = f(x, n, axis, norm)
        return x

    return several


fftn, ifftn = _over(fft), _over(ifft)


def rfftn(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    axes, sizes = _axes(x, s, axes)
    x = rfft(x, sizes[-1], axes[-1], norm)
    return _over(fft)(x, sizes[:-1], axes[:-1], norm) if axes[:-1] else x


def irfftn(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    axes, sizes = _axes(x, s, axes)
    if axes[:-1]:
        x = _over(ifft)(x, sizes[:-1], axes[:-1], norm)
    return irfft(x, sizes[-1], axes[-1], norm)


def _last_two(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, s=None, axes=(-2, -1), norm=None: f(x, s, axes, norm)


# Sums of exponentials -----------------------------------------------------------------------------


def _logsumexp(x: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Any:
    terms = np.exp(x) if b is None else b * np.exp(x)
    return np.log(np.asarray(np.sum(terms, axis=axis, keepdims=keepdims), object))


def _softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x)
    return e / np.sum(e, axis=axis, keepdims=True)


def _logcumsumexp(x: Any, axis: int | None = None) -> Any:
    x, axis = (np.ravel(x), 0) if axis is None else (x, axis)
    return np.log(np.cumsum(np.exp(x), axis=axis))


def _glu(x: Any, axis: int = -1) -> Any:
    a, b = np.split(x, 2, axis)
    return a / (1 + np.exp(-b))


def _attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, is_causal: bool = False,
    scale: Any = None,
) -> Any:  # fmt: skip
    scale = 1 / mp.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * (query @ np.swapaxes(key, -1, -2))
    if attn_mask is not None:
        scores = scores + attn_mask
    weights = np.exp(scores)
    if is_causal:
        weights = weights * np.tri(*weights.shape[-2:], dtype=int)
    return weights / np.sum(weights, axis=-1, keepdims=True) @ value


# Statistics ---------------------------------------------------------------------------------------


def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None,
    fweights: Any = None, aweights: Any = None,
) -> Any:  # fmt: skip
    rows = [np.atleast_2d(x) for x in (m, y) if x is not None]
    x = np.concatenate([r if rowvar or np.ndim(m) < 2 else r.T for r in rows])
    ddof = (0 if bias else 1) if ddof is None else ddof
    one = np.ones(x.shape[1], object)
    w = one * (1 if fweights is None else fweights) * (1 if aweights is None else aweights)
    total = sum(w)
    spent = ddof * (sum(w * aweights) / total if aweights is not None and ddof else 1)
    centred = x - (np.sum(x * w, axis=1, keepdims=True) / total)
    return np.squeeze((centred * w) @ centred.T / (total - spent))


def _corrcoef(m: Any, y: Any = None, rowvar: bool = True) -> Any:
    c = _cov(m, y, rowvar)
    s = np.sqrt(np.diag(c))
    return c / s[:, None] / s


def _rms_norm(x: Any, normalized_shape: Any, weight: Any = 1, eps: Any = None) -> Any:
    size = np.sum(x * x, axis=-1, keepdims=True) / x.shape[-1] + (2.0**-52 if eps is None else eps)
    return x / np.sqrt(size) * weight


def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    y = np.zeros(max(minlength, max(x) + 1), object)
    for at, w in zip(x, weights, strict=True):
        y[at] += w
    return y


def _topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    order = np.argsort(-x if largest else x, axis, kind="stable")
    order = np.take(order, range(k), axis)
    return np.take_along_axis(x, order, axis), order


def _apart(f: Callable[..., tuple[Any, ...]], count: int) -> Callable[..., Any]:
    return np.frompyfunc(f, count, 2)


def _modf(x: Any) -> tuple[Any, Any]:
    whole = mp.mpf(int(x))
    return x - whole, whole


def _frexp(x: Any) -> tuple[Any, Any]:
    exponent = int(mp.floor(mp.log(abs(x), 2))) + 1
    return x / mp.mpf(2) ** exponent, exponent


ARRAYS: dict[str, Callable[..., Any]] = (
    MATRICES
    | VECTORS
    | SAMPLES
    | {
        "fft.fft": fft,
        "fft.ifft": ifft,
        "fft.rfft": rfft,
        "fft.irfft": irfft,
        "fft.hfft": hfft,
        "fft.ihfft": ihfft,
        "fft.fftn": fftn,
        "fft.ifftn": ifftn,
        "fft.rfftn": rfftn,
        "fft.irfftn": irfftn,
        "fft.fft2": _last_two(fftn),
        "fft.ifft2": _last_two(ifftn),
        "fft.rfft2": _last_two(rfftn),
        "fft.irfft2": _last_two(irfftn),
        "logsumexp": _logsumexp,
        "softmax": _softmax,
        "softmin": lambda x, axis=-1: _softmax(-x, axis),
        "log_softmax": lambda x, axis=-1: np.log(_softmax(x, axis)),
        "logcumsumexp": _logcumsumexp,
        "glu": _glu,
        "scaled_dot_product_attention": _attention,
        "cov": _cov,
        "corrcoef": _corrcoef,
        "rms_norm": _rms_norm,
        "pairwise_distance": lambda x1, x2, p=2.0, eps=1e-6, keepdims=False: norm(
            x1 - x2 + eps, p, -1, keepdims
        ),
        "bincount": _bincount,
        "topk": _topk,
        "divmod": _apart(lambda a, b: (mp.floor(a / b), a - b * mp.floor(a / b)), 2),
        "modf": _apart(_modf, 1),
        "frexp": _apart(_frexp, 1),
        "astype": lambda x, dtype: x,
        "nan_to_num": lambda x, copy=True, nan=0.0, posinf=None, neginf=None: x,
    }
)
