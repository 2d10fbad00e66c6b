"""Special functions, with SciPy's names (those of `scipy.special`)."""

from .namespace import visible as _visible
from .ops.activations import log_expit
from .ops.bessel import i0, i0e, i1, i1e, j0, j1, jn
from .ops.entropy import entr, kl_div, logit, rel_entr, xlog1py, xlogy
from .ops.functional import log_softmax, softmax
from .ops.gamma import (
    beta,
    betaln,
    binom,
    digamma,
    factorial,
    gamma,
    gammaln,
    gammasgn,
    loggamma,
    multigammaln,
    poch,
    polygamma,
    zeta,
)
from .ops.hyperbolic import expit
from .ops.incomplete_beta import betainc, betaincc, betaincinv
from .ops.incomplete_gamma import gammainc, gammaincc, gammainccinv, gammaincinv
from .ops.reduce import logsumexp
from .ops.special import erf, erfc, erfcinv, erfcx, erfinv, log_ndtr, ndtr, ndtri
from .ops.trigonometric import sinc

psi = digamma

__all__ = [
    "beta",
    "betainc",
    "betaincc",
    "betaincinv",
    "betaln",
    "binom",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfinv",
    "expit",
    "factorial",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammainccinv",
    "gammaincinv",
    "gammaln",
    "gammasgn",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "j0",
    "j1",
    "jn",
    "kl_div",
    "log_expit",
    "log_ndtr",
    "log_softmax",
    "loggamma",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "poch",
    "polygamma",
    "psi",
    "rel_entr",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
    "zeta",
]


def __dir__() -> list[str]:
    return _visible(globals())
