r"""Linear algebra, with NumPy's names (`expm`, `logm`, `sqrtm`, `solve_triangular` and
`solve_sylvester` are SciPy's). np.linalg.solve(x, b) on GradArrays is ga.linalg.solve(x, b).

Everything takes stacks: matrices lie in the last two axes, the axes before them broadcast.
Derivatives have every order, in both modes, for real and complex numbers. What is not unique:

- Hermitian matrices (`cholesky`, `eigh`, `eigvalsh`) are taken as (x + x^H) / 2, so that their
  gradients are Hermitian; NumPy reads one triangle, which is the same for a Hermitian x.
- Signs of vectors, and phases of complex ones, are LAPACK's. Real vectors keep their sign. Those
  of `eigh` and `svd` move at right angles to themselves; those of `eig` keep their largest entry
  real, and `qr` the diagonal of R. A function of vectors should not depend on phases.
- Where eigenvalues or singular values are equal, to rounding, a derivative of their sum exists
  and is right, that of a single one is that for the computed vectors. The vectors' own is
  infinite or NaN; `ga.set_subgradient("eigh", 0.0)` (or "svd") takes them as still, which is
  right for functions of the space that they span.
- Functions of matrices (`expm`, `sqrtm`, `logm`, `inv`, `matrix_power`) need no eigenvalues and
  have their derivatives at equal ones too.
- At singular matrices `det` has all its derivatives, those of `slogdet` are infinite, and
  `solve` and `inv` raise LinAlgError, naming the matrix's place in the stack.
- The rank that `pinv` and `lstsq` find is taken as constant nearby.

>>> import gradarray as ga
>>> a = ga.array([[2.0, 1.0], [1.0, 3.0]])
>>> ga.grad(lambda a: ga.linalg.slogdet(a).logabsdet)(a)
GradArray([[ 0.6, -0.2],
           [-0.2,  0.4]], dtype=float64)
"""

from __future__ import annotations

import numpy as np

from .ops.contract import matmul, multi_dot
from .ops.determinant import det, slogdet
from .ops.eigen import eig, eigh, eigvals, eigvalsh
from .ops.einsum import tensordot
from .ops.factor import cholesky, qr
from .ops.layout import matrix_transpose
from .ops.linsolve import inv, solve, solve_triangular, tensorinv, tensorsolve
from .ops.matfun import expm, logm, matrix_power
from .ops.measures import cond, diagonal, matrix_norm, trace, vector_norm
from .ops.norm import norm
from .ops.singular import lstsq, matrix_rank, pinv, svd, svdvals
from .ops.sylvester import solve_sylvester, sqrtm
from .ops.vectors import cross, outer, vecdot

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "expm",
    "inv",
    "logm",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_sylvester",
    "solve_triangular",
    "sqrtm",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]

LinAlgError = np.linalg.LinAlgError
