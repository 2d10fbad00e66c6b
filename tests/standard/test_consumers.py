"""Libraries that take arrays of the standard, SciPy and scikit-learn, given ours."""

import os
import subprocess
import sys

import pytest

SCIPY = """
import numpy as np
import gradarray as ga
import scipy.fft, scipy.signal, scipy.special, scipy.stats

x = np.random.default_rng(0).uniform(0.5, 2.0, size=(6, 5))
for f in (
    lambda x: scipy.stats.skew(x, axis=0), lambda x: scipy.stats.gmean(x, axis=1),
    lambda x: scipy.stats.ttest_ind(x, x * x).statistic, lambda x: scipy.stats.zscore(x),
    lambda x: scipy.signal.detrend(x), lambda x: scipy.fft.fft(x),
    lambda x: scipy.special.logsumexp(x, axis=1),
):
    y = f(ga.array(x))
    assert type(y) is ga.GradArray, type(y)
    np.testing.assert_allclose(y.numpy(), f(x), rtol=1e-12)

# Nothing was written for gradients in SciPy, and they pass: against central differences.
f = lambda x: scipy.stats.skew(x, axis=None)
h, v = 1e-5, np.random.default_rng(1).normal(size=x.shape)
slope = (f(x + h * v) - f(x - h * v)) / (2 * h)
np.testing.assert_allclose((ga.grad(f)(x).numpy() * v).sum(), slope, rtol=1e-8)
"""

SKLEARN = """
import numpy as np
import gradarray as ga
import sklearn
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(0)
x = rng.normal(size=(40, 4))
y = x @ rng.normal(size=4) + 0.1 * rng.normal(size=40)
c = (y > 0).astype(np.int64)
for f in (
    lambda x, y, c: StandardScaler().fit_transform(x),
    lambda x, y, c: Ridge(solver="svd").fit(x, y).predict(x),
    lambda x, y, c: PCA(2, svd_solver="full").fit(x).explained_variance_,
    lambda x, y, c: abs(LinearDiscriminantAnalysis().fit(x, c).transform(x)),
):
    with sklearn.config_context(array_api_dispatch=True):
        found = f(*map(ga.array, (x, y, c)))
    assert type(found) is ga.GradArray, type(found)
    np.testing.assert_allclose(found.numpy(), f(x, y, c), rtol=1e-10)
"""


@pytest.mark.parametrize("program", [SCIPY, SKLEARN], ids=["scipy", "sklearn"])
def test_a_consumer_of_the_standard_takes_our_arrays(program):
    # SciPy reads the variable once, when it is imported: so in an interpreter of its own.
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SCIPY_ARRAY_API": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
