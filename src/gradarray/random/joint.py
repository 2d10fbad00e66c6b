"""Random vectors: their parts are not independent."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray
from ..errors import ShapeError, message
from ..ops.contract import matmul
from ..ops.factor import cholesky
from ..ops.functional import softmax
from ..ops.incomplete_gamma import log_gamma_quantile
from .parameters import as_size, cast, check, floating, shape_of, vectors
from .stream import Stream

_DOUBLE = np.dtype(np.float64)


class Joint(Stream):
    """Draws of vectors, along the last axis."""

    def dirichlet(self, alpha: Any, size: Any = None, dtype: Any = None) -> GradArray:
        r"""Vectors y >= 0 with the sum 1 and a density like \prod_k y_k^{\alpha_k - 1}.

            y = softmax(\ln z),    z_k from the gamma distribution with the shape \alpha_k

        `alpha` holds a vector along its last axis; the result has the shape size + (K,), or
        alpha's. y is differentiable in alpha (through gamma's quantiles, in logarithms, so that
        small alphas give no 0/0). Raises ValueError for an alpha that is not above 0, ShapeError
        for one without an axis or that does not broadcast.

        Source: Figurnov, Mohamed and Mnih, as for `gamma`.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).dirichlet([1.0, 2.0, 3.0])
        GradArray([0.3366529 , 0.32370621, 0.33964088], dtype=float64)
        """
        op = "dirichlet"
        alpha = vectors(op, "alpha", alpha, 1)
        check(op, "alpha", alpha, lambda x: x > 0, "above 0")
        dtype = floating(op, dtype, alpha)
        shape = None if size is None else (*as_size(op, size), alpha.shape[-1])
        u = self._open(shape_of(op, shape, alpha), _DOUBLE)
        return cast(softmax(log_gamma_quantile(cast(alpha, _DOUBLE), u), -1), dtype)

    def multivariate_normal(
        self, mean: Any, cov: Any, size: Any = None, dtype: Any = None
    ) -> GradArray:
        r"""Vectors with this mean and this covariance: y = mean + L z, L L^T = cov.

        z are standard normal numbers, L is Cholesky's factor. `mean` holds vectors (..., d), `cov`
        symmetric matrices (..., d, d); their other axes broadcast, to `size` if it is given, and
        the result has the shape size + (d,). y is differentiable in both. Raises LinAlgError for
        a covariance that is not positive definite (a singular one: add a small multiple of the
        identity), ShapeError for shapes that do not fit.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).multivariate_normal([1.0, 2.0], [[4.0, 2.0], [2.0, 5.0]])
        GradArray([-2.24992688, -2.16166185], dtype=float64)
        """
        op = "multivariate_normal"
        mean, cov = vectors(op, "mean", mean, 1), vectors(op, "cov", cov, 2)
        d = mean.shape[-1]
        if cov.shape[-2:] != (d, d):
            raise ShapeError(
                message(op, f"a mean of {d} numbers takes a cov of ({d}, {d}), not {cov.shape}.")
            )
        dtype = floating(op, dtype, mean, cov)
        # As if a matrix were one number: what is left of its shape broadcasts with the mean's.
        shape = None if size is None else (*as_size(op, size), d)
        shape = shape_of(op, shape, mean, np.empty((*cov.shape[:-2], 1)))
        wide = np.promote_types(dtype, np.float32)
        factor = cast(cholesky(cast(cov, wide)), dtype)
        z = cast(self._normal(shape, wide), dtype)
        return cast(mean, dtype) + matmul(factor, z[..., None])[..., 0]
