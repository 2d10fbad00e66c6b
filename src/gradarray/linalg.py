"""Linear algebra, with NumPy's names (a few are SciPy's)."""

from __future__ import annotations

import numpy as np

from .ops.determinant import det, slogdet
from .ops.eigen import eig, eigh, eigvals, eigvalsh
from .ops.factor import cholesky, qr
from .ops.linsolve import (
    inv,
    solve,
    solve_sylvester,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from .ops.singular import lstsq, matrix_rank, pinv, svd, svdvals

LinAlgError = np.linalg.LinAlgError
