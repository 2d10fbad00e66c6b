"""Special functions, with SciPy's names (those of `scipy.special`)."""

from .namespace import visible as _visible
from .ops.special import erf, erfc, erfcinv, erfcx, erfinv, log_ndtr, ndtr, ndtri

__all__ = [
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfinv",
    "log_ndtr",
    "ndtr",
    "ndtri",
]


def __dir__() -> list[str]:
    return _visible(globals())
