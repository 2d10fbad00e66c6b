"""Elementary functions in primitives: exp, log, sin, gammaln, .. for float32 and float64.

FUNCTIONS maps the name of a ufunc of NumPy or SciPy to a function of expressions; each family has a
room. Straight lines with choices, so that all lanes of a vector go the same way; the errors are
measured in docs/functions.md.
"""

from . import (
    angles,
    errors,
    exponential,
    gamma,
    hyperbolic,
    logarithm,
    powers,
    trigonometric,
)
from .reals import FUNCTIONS, Missing

__all__ = ["FUNCTIONS", "Missing"]
