"""Logarithms of probability densities, from the densities as they stand in a textbook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .exact import mp
from .matrices import MATRICES


def _normal(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    z = (x - loc) / mp.mpf(scale)
    return mp.log(mp.exp(-z * z / 2) / (scale * mp.sqrt(2 * mp.pi)))


def _exponential(x: Any, scale: Any = 1) -> Any:
    return mp.log(mp.exp(-x / mp.mpf(scale)) / scale)


def _laplace(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return mp.log(mp.exp(-abs(x - loc) / mp.mpf(scale)) / (2 * scale))


def _gumbel(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    z = (x - loc) / mp.mpf(scale)
    return mp.log(mp.exp(-(z + mp.exp(-z))) / scale)


def _logistic(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    e = mp.exp(-(x - loc) / mp.mpf(scale))
    return mp.log(e / (scale * (1 + e) ** 2))


def _gamma(x: Any, shape: Any, scale: Any = 1) -> Any:
    z = x / mp.mpf(scale)
    return mp.log(z ** (shape - 1) * mp.exp(-z) / (mp.gamma(shape) * scale))


def _beta(x: Any, a: Any, b: Any) -> Any:
    return mp.log(x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b))


SCALARS: dict[str, Callable[..., Any]] = {
    "random.log_prob.uniform": lambda x, low=0, high=1: -mp.log(mp.mpf(high - low)),
    "random.log_prob.normal": _normal,
    "random.log_prob.exponential": _exponential,
    "random.log_prob.laplace": _laplace,
    "random.log_prob.gumbel": _gumbel,
    "random.log_prob.logistic": _logistic,
    "random.log_prob.gamma": _gamma,
    "random.log_prob.beta": _beta,
    "random.log_prob.bernoulli": lambda x, p: mp.log(p if x else 1 - p),
}


def _dirichlet(x: Any, alpha: Any) -> Any:
    gamma = np.frompyfunc(mp.gamma, 1, 1)
    constant = gamma(np.sum(alpha, axis=-1)) / np.prod(gamma(alpha), axis=-1)
    return np.log(np.asarray(constant * np.prod(x ** (alpha - 1), axis=-1), object))


def _multivariate_normal(x: Any, mean: Any, cov: Any) -> Any:
    away, cov = x - mean, (cov + np.swapaxes(cov, -1, -2)) / 2
    solved = MATRICES["linalg.solve"](cov, away[..., None])[..., 0]
    size = np.log(np.asarray(MATRICES["linalg.det"](2 * mp.pi * cov), object))
    return -(np.sum(away * solved, axis=-1) + size) / 2


def _categorical(x: Any, logits: Any, axis: int = -1) -> Any:
    e = np.exp(np.moveaxis(logits, axis, -1))
    shares = e / np.sum(e, axis=-1, keepdims=True)
    shape = np.broadcast_shapes(x.shape, shares.shape[:-1])
    shares = np.broadcast_to(shares, (*shape, shares.shape[-1]))
    at = np.broadcast_to(x, shape)[..., None].astype(int)
    return np.log(np.take_along_axis(shares, at, -1)[..., 0])


VECTORS: dict[str, Callable[..., Any]] = {
    "random.log_prob.dirichlet": _dirichlet,
    "random.log_prob.multivariate_normal": _multivariate_normal,
    "random.log_prob.categorical": _categorical,
}
