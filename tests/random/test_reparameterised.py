"""Distributions with derivatives in their parameters: laws, moments, slopes at fixed randomness.

Seeds are fixed; bounds are those which a right generator would pass but for one seed in a million
(for means, `SIGMAS` standard errors).
"""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

import gradarray as ga
from gradarray.random import Generator

N = 20_000
RARE = 1e-6
SIGMAS = float(stats.norm.isf(RARE / 2))
EPS = float(np.finfo(float).eps)

# name, parameters, the distribution by SciPy
LAWS = [
    ("exponential", (2.0,), stats.expon(scale=2.0)),
    ("laplace", (1.0, 2.0), stats.laplace(1.0, 2.0)),
    ("gumbel", (1.0, 2.0), stats.gumbel_r(1.0, 2.0)),
    ("logistic", (1.0, 2.0), stats.logistic(1.0, 2.0)),
    ("gamma", (0.3, 2.0), stats.gamma(0.3, scale=2.0)),
    ("gamma", (7.5, 0.5), stats.gamma(7.5, scale=0.5)),
    ("beta", (0.5, 0.7), stats.beta(0.5, 0.7)),
    ("beta", (30.0, 4.0), stats.beta(30.0, 4.0)),
]
each_law = pytest.mark.parametrize(
    ("name", "parameters", "law"), LAWS, ids=[f"{name}{p}" for name, p, _ in LAWS]
)


def draw(name, seed, *parameters, **kwargs):
    return getattr(Generator(seed), name)(*parameters, **kwargs)


def assert_law(sample, law, rounding=0.0):
    """Kolmogorov-Smirnov with the bound of Dvoretzky, Kiefer, Wolfowitz and Massart."""
    distance = stats.ks_1samp(np.asarray(sample, np.float64), law.cdf).statistic
    assert distance < math.sqrt(math.log(2 / RARE) / (2 * sample.size)) + rounding


@each_law
def test_law(name, parameters, law):
    assert_law(draw(name, 1, *parameters, size=N).numpy(), law)


@each_law
def test_law_in_single_precision(name, parameters, law):
    sample = draw(name, 2, *parameters, size=N, dtype="float32")
    assert sample.dtype == np.float32
    # Where the density is infinite, at an end, numbers of 24 digits fall together: of the beta law
    # near 1 those within eps / 2, with the probability F(1) - F(1 - eps/2).
    rounding = law.sf(1 - 2.0**-25) if name == "beta" else 0.0
    assert_law(sample.numpy(), law, rounding + 1e-6)


@each_law
def test_moments(name, parameters, law):
    """Means of y and (y - mean)^2 within SIGMAS standard errors, from the law's own moments."""
    y = draw(name, 3, *parameters, size=N).numpy()
    mean, variance, kurtosis = (float(v) for v in law.stats("mvk"))
    assert abs(y.mean() - mean) < SIGMAS * math.sqrt(variance / N)
    spread = math.sqrt((kurtosis + 2) * variance**2 / N)  # of the squared deviation
    assert abs(np.square(y - mean).mean() - variance) < SIGMAS * spread


def implicit_slope(distribution, point, k):
    """-F_k / F_0 at the point."""
    point = [mp.mpf(v) for v in point]

    def partial(k):
        return mp.diff(lambda v: distribution(*point[:k], v, *point[k + 1 :]), point[k])

    return float(-partial(k) / partial(0))


@each_law
def test_slopes_at_fixed_randomness_are_those_of_the_implicit_function(name, parameters, law):
    """dy/dtheta = -F_theta / F_y, F by mpmath."""
    distribution = {
        "exponential": lambda y, s: 1 - mp.exp(-y / s),
        "laplace": lambda y, m, s: (
            mp.exp((y - m) / s) / 2 if y < m else 1 - mp.exp((m - y) / s) / 2
        ),
        "gumbel": lambda y, m, s: mp.exp(-mp.exp((m - y) / s)),
        "logistic": lambda y, m, s: 1 / (1 + mp.exp((m - y) / s)),
        "gamma": lambda y, a, s: mp.gammainc(a, 0, y / s, regularized=True),
        "beta": lambda y, a, b: mp.betainc(a, b, 0, y, regularized=True),
    }[name]
    for seed in range(4, 8):
        y = draw(name, seed, *parameters).item()
        if not 1e-12 < law.cdf(y) < 1 - 1e-12:
            continue
        for k in range(len(parameters)):
            slope = ga.grad(lambda *p, s=seed: draw(name, s, *p), argnums=k)(*parameters).item()
            with mp.workdps(40):
                exact = implicit_slope(distribution, [y, *parameters], k + 1)
                # y is rounded (SciPy's quantiles to about 16 eps): what it does to the formula.
                moved = [y * (1 + 64 * EPS), *parameters]
                other = implicit_slope(distribution, moved, k + 1)
            assert abs(slope - exact) <= 64 * EPS * abs(exact) + abs(other - exact)


@each_law
def test_mean_slopes(name, parameters, law):
    """The mean of dy/dtheta is the slope of the mean, within its own standard error."""
    mean = {
        "exponential": lambda s: s,
        "laplace": lambda m, s: m,
        "gumbel": lambda m, s: m + np.euler_gamma * s,
        "logistic": lambda m, s: m,
        "gamma": lambda a, s: a * s,
        "beta": lambda a, b: a / (a + b),
    }[name]
    for k in range(len(parameters)):
        full = [np.full(N, v) for v in parameters]
        slopes = ga.grad(lambda *p: draw(name, 9, *p).sum(), argnums=k)(*full).numpy()
        h = 1e-5
        up, down = ([v + d * (j == k) for j, v in enumerate(parameters)] for d in (h, -h))
        exact = (mean(*up) - mean(*down)) / (2 * h)
        assert abs(slopes.mean() - exact) < SIGMAS * slopes.std() / math.sqrt(N) + 1e-9


def test_second_derivatives_of_a_gamma_number():
    """Of E y^2 = a (a + 1): the mean of d^2 y^2/da^2 is 2."""
    a = np.full(N, 1.5)
    f = lambda a: (draw("gamma", 10, a) ** 2).sum()
    curvature = ga.grad(lambda a: ga.grad(f)(a).sum())(a).numpy()
    assert abs(curvature.mean() - 2) < SIGMAS * curvature.std() / math.sqrt(N)
    # and the jet of order 2 has the same numbers
    series = ga.jet(lambda a: draw("gamma", 10, a) ** 2, (a,), ([np.ones(N), np.zeros(N)],))[1]
    np.testing.assert_allclose(series[1].numpy(), curvature, rtol=1e-9)


# --- vectors --------------------------------------------------------------------------------------


def test_dirichlet():
    alpha = np.array([0.4, 1.0, 3.0])
    y = draw("dirichlet", 11, alpha, size=N).numpy()
    assert y.shape == (N, 3)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=8 * EPS)
    law = stats.dirichlet(alpha)
    for k in range(3):
        assert_law(y[:, k], stats.beta(alpha[k], alpha.sum() - alpha[k]))
    covariance = (y - law.mean()).T @ (y - law.mean()) / N
    # each product has a standard deviation below 1/4, a part's largest variance
    np.testing.assert_allclose(covariance, law.cov(), atol=SIGMAS * 0.25 / math.sqrt(N))


def test_the_mean_slope_of_dirichlet_vectors():
    """d/d alpha_j of E y_0 = alpha_0 / sum alpha."""
    alpha = np.array([0.4, 1.0, 3.0])
    rows = np.tile(alpha, (N, 1))
    slopes = ga.grad(lambda a: draw("dirichlet", 12, a)[:, 0].sum())(rows).numpy()
    total = alpha.sum()
    exact = (np.eye(3)[0] * total - alpha[0]) / total**2
    assert np.all(np.abs(slopes.mean(0) - exact) < SIGMAS * slopes.std(0) / math.sqrt(N))


def test_dirichlet_with_tiny_parameters_stays_a_probability():
    alpha = np.full(4, 1e-4)
    y, slope = ga.value_and_grad(lambda a: draw("dirichlet", 13, a, size=50)[:, 0].sum())(alpha)
    assert np.isfinite(slope.numpy()).all()
    assert 0 <= y.item() <= 50


def test_multivariate_normal():
    mean, cov = np.array([1.0, -2.0]), np.array([[4.0, 1.0], [1.0, 0.5]])
    y = draw("multivariate_normal", 14, mean, cov, size=N).numpy()
    assert y.shape == (N, 2)
    # The squared length in the metric of the covariance has the law chi^2 of two.
    centred = y - mean
    assert_law(np.einsum("ni,ij,nj->n", centred, np.linalg.inv(cov), centred), stats.chi2(2))
    for k in range(2):
        assert_law(y[:, k], stats.norm(mean[k], math.sqrt(cov[k, k])))


def test_slopes_of_a_multivariate_normal_vector():
    """y = mean + L z: along a step of the covariance, dL = L Phi(L^-1 dC L^-T)."""
    mean, cov = np.array([1.0, -2.0]), np.array([[4.0, 1.0], [1.0, 0.5]])
    step = np.array([[0.3, 0.1], [0.1, -0.2]])
    y, moved = ga.jvp(
        lambda m, c: draw("multivariate_normal", 15, m, c), (mean, cov), (np.ones(2), step)
    )
    factor = np.linalg.cholesky(cov)
    inner = np.linalg.solve(factor, np.linalg.solve(factor, step).T)
    z = np.linalg.solve(factor, y.numpy() - mean)
    expected = 1 + factor @ (np.tril(inner, -1) + np.diag(np.diag(inner)) / 2) @ z
    np.testing.assert_allclose(moved.numpy(), expected, rtol=64 * EPS)


def test_vectors_broadcast():
    rng = Generator(16)
    means, covs = np.zeros((3, 1, 2)), np.broadcast_to(np.eye(2), (4, 2, 2))
    assert rng.multivariate_normal(means, covs).shape == (3, 4, 2)
    assert rng.multivariate_normal(np.zeros(2), np.eye(2)).shape == (2,)
    assert rng.multivariate_normal(np.zeros(2), np.eye(2), size=(5, 6)).shape == (5, 6, 2)
    assert rng.dirichlet(np.ones((3, 4))).shape == (3, 4)
    assert rng.dirichlet([1.0, 2.0], size=()).shape == (2,)
    assert rng.dirichlet(np.ones(4, np.float32), size=3).dtype == np.float32


# --- classes --------------------------------------------------------------------------------------


def test_categorical():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    with np.errstate(divide="ignore"):
        logits = np.log(p) + 5.0
    y = draw("categorical", 17, logits, size=N)
    assert y.dtype == np.int64
    counts = np.bincount(y.numpy(), minlength=4)
    assert counts[1] == 0
    chi = ((counts - N * p)[p > 0] ** 2 / (N * p[p > 0])).sum()
    assert chi < stats.chi2.isf(RARE, 2)


def test_categorical_axes_and_sizes():
    logits = np.where(np.eye(3, 4), 0.0, -np.inf)  # row k is certain to be k
    rng = Generator(18)
    assert rng.categorical(logits).tolist() == [0, 1, 2]
    assert rng.categorical(logits.T, axis=0).tolist() == [0, 1, 2]
    assert rng.categorical(logits, size=(2, 3)).tolist() == [[0, 1, 2]] * 2
    assert rng.gumbel_softmax(logits, hard=True).tolist() == np.eye(3, 4).tolist()
    assert rng.gumbel_softmax(logits.T, hard=True, axis=0).tolist() == np.eye(4, 3).tolist()
    assert rng.gumbel_softmax(logits[0], size=5).shape == (5, 4)


def test_gumbel_softmax_is_the_formula():
    logits = np.array([0.3, -1.0, 2.0])
    g = draw("gumbel", 19, size=3).numpy()
    y = draw("gumbel_softmax", 19, logits, 0.7)
    soft = special.softmax((logits + g) / 0.7)
    np.testing.assert_allclose(y.numpy(), soft, rtol=16 * EPS)
    assert draw("categorical", 19, logits).item() == np.argmax(logits + g)
    # softmax' = diag y - y y^T
    w = np.array([1.0, -2.0, 0.5])
    for hard in (False, True):
        f = lambda l, t, h=hard: (draw("gumbel_softmax", 19, l, t, h) * w).sum()
        by_logits, by_tau = ga.grad(f, argnums=(0, 1))(logits, 0.7)
        slope = soft * (w - soft @ w) / 0.7
        np.testing.assert_allclose(by_logits.numpy(), slope, rtol=64 * EPS)
        assert by_tau.item() == pytest.approx(-slope @ (logits + g) / 0.7, rel=64 * EPS)
    value = draw("gumbel_softmax", 19, logits, 0.7, hard=True).numpy()
    assert value.tolist() == np.eye(3)[np.argmax(logits + g)].tolist()


# --- everywhere -----------------------------------------------------------------------------------

DRAWS = {
    **{f"{name}{p}": (name, p) for name, p, _ in LAWS},
    "dirichlet": ("dirichlet", (np.array([0.5, 2.0]),)),
    "multivariate_normal": ("multivariate_normal", (np.zeros(2), np.eye(2))),
    "categorical": ("categorical", (np.zeros(3),)),
    "gumbel_softmax": ("gumbel_softmax", (np.zeros(3), 0.5)),
}
each_draw = pytest.mark.parametrize("key", DRAWS)


@each_draw
def test_a_saved_state_draws_the_same_bits(key):
    name, parameters = DRAWS[key]
    rng = Generator(20)
    getattr(rng, name)(*parameters, size=7)
    state = rng.state_dict()
    first = getattr(rng, name)(*parameters, size=7).numpy()
    other = Generator(0)
    other.load_state_dict(state)
    np.testing.assert_array_equal(getattr(other, name)(*parameters, size=7).numpy(), first)
    assert other.counter.tolist() == rng.counter.tolist()


@each_draw
@pytest.mark.parametrize("randomness", ["same", "different"])
def test_vmap(key, randomness):
    """Under "same" each example is what it would be alone; "different" is one longer draw."""
    name, parameters = DRAWS[key]
    scales = np.array([0.5, 1.0, 2.0])
    stacked = [np.stack([s * np.asarray(p) for s in scales]) for p in parameters]
    rng = Generator(21)
    mapped = ga.vmap(lambda *p: getattr(rng, name)(*p), randomness=randomness)(*stacked).numpy()
    if randomness == "same":
        alone = [draw(name, 21, *row).numpy() for row in zip(*stacked, strict=True)]
        np.testing.assert_allclose(mapped, np.stack(alone), rtol=1e-13)
    elif name not in ("categorical", "multivariate_normal"):
        if name == "gumbel_softmax":  # one tau for each vector
            stacked[1] = stacked[1][:, None]
        together = draw(name, 21, *stacked).numpy()
        np.testing.assert_allclose(mapped, together, rtol=1e-13)
    else:
        same = ga.vmap(lambda *p: draw(name, 21, *p), randomness="same")(*stacked).numpy()
        assert mapped.shape == same.shape
        assert name == "categorical" or not np.array_equal(mapped, same)


@pytest.mark.parametrize("key", [k for k in DRAWS if k != "categorical"])
def test_scan(key):
    """A loop draws what Python's draws, and its derivative is that of the unrolled sum."""
    name, parameters = DRAWS[key]

    def looped(p):
        rng = Generator(22)
        step = lambda c, _: (c + getattr(rng, name)(p, *parameters[1:]).sum(), None)
        return ga.scan(step, ga.array(0.0), None, length=5)[0]

    def unrolled(p):
        rng = Generator(22)
        return sum((getattr(rng, name)(p, *parameters[1:]).sum() for _ in range(5)), ga.array(0.0))

    (a, da), (b, db) = (ga.value_and_grad(f)(parameters[0]) for f in (looped, unrolled))
    assert a.item() == b.item()
    np.testing.assert_allclose(da.numpy(), db.numpy(), rtol=1e-13, atol=1e-15)


@each_law
def test_parameters_broadcast(name, parameters, law):
    rng = Generator(23)
    first = np.full((2, 1), parameters[0], np.float32)
    y = getattr(rng, name)(first, *parameters[1:])
    assert y.shape == (2, 1)
    assert y.dtype == np.float32
    assert getattr(rng, name)(first, *parameters[1:], size=(4, 2, 3)).shape == (4, 2, 3)
    assert getattr(rng, name)(*parameters, size=3).dtype == np.float64


@pytest.mark.parametrize(
    ("name", "arguments", "error", "words"),
    [
        ("gamma", (0.0,), ValueError, "gamma: shape has to be above 0, but has the value 0.0"),
        ("gamma", (1.0, -1.0), ValueError, "scale has to be at least 0"),
        ("beta", (1.0, np.array([1.0, -2.0])), ValueError, "beta: b has to be above 0.*-2.0"),
        ("exponential", (-1.0,), ValueError, "exponential: scale has to be at least 0"),
        ("laplace", ((2, 3),), TypeError, "laplace: loc is .* a parameter is a number"),
        ("dirichlet", (1.0,), ga.ShapeError, "dirichlet: alpha holds vectors"),
        ("dirichlet", ([1.0, 0.0],), ValueError, "alpha has to be above 0"),
        ("multivariate_normal", (np.zeros(2), np.eye(3)), ga.ShapeError, r"a cov of \(2, 2\)"),
        ("multivariate_normal", (np.zeros(2), -np.eye(2)), np.linalg.LinAlgError, "positive"),
        ("categorical", ([math.nan, 0.0],), ValueError, "logits has to be below infinity"),
        ("categorical", ([-math.inf, -math.inf],), ValueError, "above -infinity for one class"),
        ("gumbel_softmax", ([0.0, 0.0], 0.0), ValueError, "tau has to be above 0"),
    ],
)
def test_errors_leave_the_state_as_it_was(name, arguments, error, words):
    rng = Generator(24)
    with pytest.raises(error, match=words):
        getattr(rng, name)(*arguments)
    assert rng.counter.tolist() == [0, 0, 0, 0]
