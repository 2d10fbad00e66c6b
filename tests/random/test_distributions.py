"""What is drawn: exact values from the bits, and the distributions, with bounds that are derived.

Each statistical test has a fixed seed, so it gives the same answer each time. Its bound is that
which a right generator would pass but for one seed in a million.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy import stats

import gradarray as ga
from gradarray.random import Generator

N = 100_000
RARE = 1e-6


def assert_distribution(sample: np.ndarray, distribution) -> None:
    """Kolmogorov-Smirnov with the bound of Dvoretzky, Kiefer, Wolfowitz and Massart.

    P(sup |F_n - F| > d) <= 2 exp(-2 n d^2) for every n.
    """
    distance = stats.ks_1samp(np.asarray(sample, np.float64), distribution.cdf).statistic
    assert distance < math.sqrt(math.log(2 / RARE) / (2 * sample.size))


def assert_counts(counts: np.ndarray, probabilities: np.ndarray) -> None:
    """Pearson's chi-square; each expected count is far above 5, where the limit law holds."""
    expected = counts.sum() * np.asarray(probabilities, np.float64)
    assert expected.min() > 50
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < stats.chi2.isf(RARE, len(counts) - 1)


def words(seed: int, count: int, bits: int) -> list[int]:
    return Generator(seed)._words(count, bits).tolist()


# --- uniform --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "bits", "digits"), [("float16", 32, 11), ("float32", 32, 24), ("float64", 64, 53)]
)
def test_uniform_is_the_upper_digits_of_words(dtype: str, bits: int, digits: int) -> None:
    drawn = Generator(5).uniform(size=(3, 4), dtype=dtype)
    assert drawn.dtype == dtype
    assert drawn.shape == (3, 4)
    expected = [math.ldexp(word >> (bits - digits), -digits) for word in words(5, 12, bits)]
    assert np.ravel(drawn.tolist()).tolist() == expected


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform_is_uniform(dtype: str) -> None:
    sample = Generator(1).uniform(-2.0, 3.0, size=N, dtype=dtype).numpy()
    # rounded to eps of values up to 4, where half precision has steps of 2^-9
    distance = stats.ks_1samp(sample.astype(np.float64), stats.uniform(-2, 5).cdf).statistic
    step = 4 * np.finfo(dtype).eps / 5
    assert distance < math.sqrt(math.log(2 / RARE) / (2 * N)) + step


def test_uniform_moments() -> None:
    sample = Generator(2).uniform(size=N).numpy()
    # standard errors of the mean, 1/sqrt(12 N), and of the second moment, sqrt((1/5 - 1/9) / N)
    sigmas = stats.norm.isf(RARE / 2)
    assert abs(sample.mean() - 1 / 2) < sigmas / math.sqrt(12 * N)
    assert abs((sample**2).mean() - 1 / 3) < sigmas * math.sqrt((1 / 5 - 1 / 9) / N)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lag", [1, 2, 3, 4, 8])
def test_neighbours_are_not_correlated(dtype: str, lag: int) -> None:
    """The lag-k sample correlation of independent numbers has the standard error 1/sqrt(N)."""
    sample = Generator(3).uniform(size=N, dtype=dtype).numpy().astype(np.float64)
    r = np.corrcoef(sample[:-lag], sample[lag:])[0, 1]
    assert abs(r) < stats.norm.isf(RARE / 2) / math.sqrt(N - lag)


def test_pairs_fill_the_square() -> None:
    pairs = Generator(4).uniform(size=(N, 2)).numpy()
    cells = (pairs * 16).astype(int) @ np.array([16, 1])
    assert_counts(np.bincount(cells, minlength=256), np.full(256, 1 / 256))


# --- normal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "bits", "digits"), [("float32", 32, 24), ("float64", 64, 53)])
@pytest.mark.parametrize("count", [1, 6, 7])
def test_normal_is_the_formula(dtype: str, bits: int, digits: int, count: int) -> None:
    half = (count + 1) // 2
    u = [mpmath.ldexp(word >> (bits - digits), -digits) for word in words(6, 2 * half, bits)]
    radii = [mpmath.sqrt(-2 * mpmath.log(1 - v)) for v in u[:half]]
    angles = [2 * mpmath.pi * v for v in u[half:]]
    expected = [r * mpmath.cos(t) for r, t in zip(radii, angles, strict=True)]
    expected += [r * mpmath.sin(t) for r, t in zip(radii, angles, strict=True)]
    drawn = Generator(6).normal(size=count, dtype=dtype)
    assert drawn.dtype == dtype
    # the angle, at most 2 pi, is rounded twice, and radius, cosine and product a few times more
    bound = (2 * math.pi + 8) * float(np.finfo(dtype).eps) * float(max(radii))
    np.testing.assert_allclose(
        drawn.numpy().astype(np.float64), [float(z) for z in expected[:count]], rtol=0, atol=bound
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_is_normal(dtype: str) -> None:
    sample = Generator(7).normal(2.0, 3.0, size=N, dtype=dtype).numpy()
    assert_distribution(sample, stats.norm(2, 3))


def test_normal_moments() -> None:
    """Means of z^k against E z^k, with the standard error sqrt((E z^2k - (E z^k)^2) / N)."""
    z = Generator(8).normal(size=N).numpy()
    moments = [1, 0, 1, 0, 3, 0, 15, 0, 105]
    for k in (1, 2, 3, 4):
        error = math.sqrt((moments[2 * k] - moments[k] ** 2) / N)
        assert abs((z**k).mean() - moments[k]) < stats.norm.isf(RARE / 2) * error


def test_the_two_of_a_pair_are_independent() -> None:
    z = Generator(9).normal(size=N).numpy()
    first, second = z[: N // 2], z[N // 2 :]
    for k in (1, 2):
        r = np.corrcoef(first**k, second**k)[0, 1]
        assert abs(r) < stats.norm.isf(RARE / 2) / math.sqrt(N // 2)
    assert_distribution(np.arctan2(second, first), stats.uniform(-np.pi, 2 * np.pi))
    assert_distribution(first**2 + second**2, stats.chi2(2))


def test_half_precision_has_tails() -> None:
    z = Generator(10).normal(size=N, dtype="float16")
    assert z.dtype == np.float16
    # N P(|z| > 3.9) = 9.6; with 11 bits of u no number could be beyond sqrt(22 ln 2) = 3.905
    assert np.abs(z.numpy()).max() > 3.95


# --- derivatives in the parameters ----------------------------------------------------------------


def test_normal_is_differentiable_in_its_parameters() -> None:
    z = Generator(11).normal(size=(4, 3)).numpy()
    loc = ga.array(np.zeros(3), requires_grad=True)
    scale = ga.array(2.0, requires_grad=True)
    y = Generator(11).normal(loc, scale, size=(4, 3))
    (y * y).sum().backward()
    np.testing.assert_allclose(loc.grad.numpy(), (4 * z).sum(0), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(scale.grad.numpy(), (4 * z * z).sum(), rtol=1e-13)


def test_uniform_is_differentiable_in_its_bounds() -> None:
    u = Generator(12).uniform(size=5).numpy()
    low, high = ga.grad(
        lambda low, high: Generator(12).uniform(low, high, size=5).sum(), argnums=(0, 1)
    )(-1.0, 2.0)
    assert low.item() == pytest.approx((1 - u).sum(), rel=1e-14)
    assert high.item() == pytest.approx(u.sum(), rel=1e-14)


def test_choice_and_permutation_are_differentiable_in_the_array() -> None:
    rows = ga.array(np.arange(6.0).reshape(3, 2), requires_grad=True)
    weights = np.arange(1.0, 9.0).reshape(4, 2)
    index = Generator(13).choice(3, size=4).numpy()
    (Generator(13).choice(rows, size=4) * weights).sum().backward()
    expected = np.zeros((3, 2))
    np.add.at(expected, index, weights)
    np.testing.assert_array_equal(rows.grad.numpy(), expected)
    rows.zero_grad()
    order = Generator(14).permutation(3).numpy()
    (Generator(14).permutation(rows) * weights[:3]).sum().backward()
    np.testing.assert_array_equal(rows.grad.numpy()[order], weights[:3])


@pytest.mark.parametrize("p", [0.02425, 0.3, 0.5, 0.999])
def test_the_derivative_of_the_normal_quantile_is_one_over_the_density(p: float) -> None:
    from gradarray.ops.random import normal_quantile

    y = normal_quantile(p).item()
    assert y == pytest.approx(
        float(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)), rel=1e-13
    )
    assert ga.grad(normal_quantile)(p).item() == pytest.approx(1 / stats.norm.pdf(y), rel=1e-13)


# --- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uniform", "normal"])
def test_dtype_is_that_of_floating_arrays(name: str) -> None:
    draw = getattr(Generator(0), name)
    single, half = np.zeros(3, np.float32), np.zeros(3, np.float16)
    assert draw().dtype == np.float64
    assert draw(0, 2).dtype == np.float64
    assert draw(single).dtype == np.float32
    assert draw(ga.array(single), 2.0).dtype == np.float32
    assert draw(half, single).dtype == np.float32
    assert draw(np.zeros(3, int), 1).dtype == np.float64
    assert draw(np.zeros(3), 1.0, dtype="float32").dtype == np.float32
    assert draw(single, dtype="float64").dtype == np.float64


@pytest.mark.parametrize("name", ["uniform", "normal", "bernoulli", "truncated_normal"])
def test_shapes(name: str) -> None:
    draw = getattr(Generator(0), name)
    assert draw().shape == ()
    assert draw(size=3).shape == (3,)
    assert draw(size=np.int64(3)).shape == (3,)
    assert draw(size=(2, 3)).shape == (2, 3)
    assert draw(size=[2, 3]).shape == (2, 3)
    assert draw(size=()).shape == ()


@pytest.mark.parametrize("name", ["uniform", "normal", "bernoulli"])
def test_shapes_of_parameters(name: str) -> None:
    draw = getattr(Generator(0), name)
    ones = np.ones((2, 1))
    assert draw(ones * 0.5).shape == (2, 1)
    assert draw(ones * 0.5, size=(4, 2, 3)).shape == (4, 2, 3)
    if name != "bernoulli":
        assert draw(ones, ga.array(np.ones(3))).shape == (2, 3)


# --- truncated normal -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loc", "scale", "low", "high"),
    [
        (0.0, 1.0, -2.0, 2.0),
        (1.0, 2.0, -2.0, 2.0),
        (0.0, 1.0, 3.0, 9.0),
        (0.0, 1.0, -9.0, -3.0),
        (0.0, 1.0, 20.0, 21.0),
        (-3.0, 0.5, -math.inf, -3.0),
        (0.0, 1.0, -1.0, math.inf),
        (0.0, 1.0, -math.inf, math.inf),
    ],
)
def test_truncated_normal(loc: float, scale: float, low: float, high: float) -> None:
    sample = Generator(15).truncated_normal(loc, scale, low, high, size=N // 5).numpy()
    assert np.isfinite(sample).all()
    assert low <= sample.min()
    assert sample.max() <= high
    a, b = (low - loc) / scale, (high - loc) / scale
    assert_distribution(sample, stats.truncnorm(a, b, loc, scale))


def test_truncated_normal_in_single_precision_stays_inside() -> None:
    sample = Generator(16).truncated_normal(0, 1, 0.1, 0.1000001, size=1000, dtype="float32")
    assert sample.dtype == np.float32
    assert np.float32(0.1) <= sample.numpy().min()
    assert sample.numpy().max() <= np.float32(0.1000001)


# --- bernoulli ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.9])
def test_bernoulli(p: float) -> None:
    drawn = Generator(17).bernoulli(p, size=N)
    assert drawn.dtype == np.bool_
    low, high = stats.binom.ppf([RARE / 2, 1 - RARE / 2], N, p)
    assert low <= drawn.numpy().sum() <= high


def test_bernoulli_is_certain_at_the_ends() -> None:
    drawn = Generator(18).bernoulli(np.array([0.0, 1.0], np.float32), size=(1000, 2)).numpy()
    assert not drawn[:, 0].any()
    assert drawn[:, 1].all()


def test_bernoulli_in_another_dtype() -> None:
    drawn = Generator(18).bernoulli(0.5, size=100, dtype=np.float32)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn.numpy(), Generator(18).bernoulli(0.5, size=100).numpy())


# --- integers -------------------------------------------------------------------------------------


def test_integers_are_remainders_of_words() -> None:
    drawn = Generator(19).integers(-3, 7, size=8)
    assert drawn.dtype == np.int64
    assert drawn.tolist() == [word % 10 - 3 for word in words(19, 8, 64)]


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_integers_over_all_of_a_dtype(dtype: str) -> None:
    limits = np.iinfo(dtype)
    drawn = Generator(20).integers(limits.min, limits.max, size=50, dtype=dtype, endpoint=True)
    assert drawn.dtype == dtype
    n = 2 ** (8 * np.dtype(dtype).itemsize)
    assert drawn.tolist() == [word % n + int(limits.min) for word in words(20, 50, 64)]


def test_integers_with_bounds_of_their_own() -> None:
    low, high = np.array([[0], [-5]]), np.array([1, 2, 2**62])
    drawn = Generator(21).integers(low, high, size=(3, 2, 3)).numpy()
    assert np.all((low <= drawn) & (drawn < high))
    expected = [
        word % (h - lo) + lo
        for word, (lo, h) in zip(
            words(21, 18, 64),
            [(lo, h) for _ in range(3) for lo in (0, -5) for h in (1, 2, 2**62)],
            strict=True,
        )
    ]
    assert drawn.ravel().tolist() == expected


def test_integers_with_some_bounds_over_all_of_a_dtype() -> None:
    low, high = np.array([-(2**63), 0]), np.array([2**63 - 1, 9])
    drawn = Generator(22).integers(low, high, endpoint=True)
    first, second = words(22, 2, 64)
    assert drawn.tolist() == [first - 2**63, second % 10]


def test_one_integer_is_0_d_and_warns_of_nothing() -> None:
    rng = Generator(23)
    for _ in range(20):
        drawn = rng.integers(-(2**63), 2**63 - 1, endpoint=True)
        assert drawn.shape == ()
        assert rng.integers(-4, 5).item() in range(-4, 5)


def test_integers_are_uniform() -> None:
    drawn = Generator(24).integers(1, 6, size=N, endpoint=True).numpy()
    assert_counts(np.bincount(drawn, minlength=7)[1:], np.full(6, 1 / 6))


# --- permutation and choice -----------------------------------------------------------------------


def test_permutation_sorts_words() -> None:
    assert Generator(25).permutation(9).tolist() == np.argsort(words(25, 9, 64)).tolist()


def test_orders_are_equally_likely() -> None:
    rng = Generator(26)
    orders = np.array([rng.permutation(3).tolist() for _ in range(3000)])
    codes, counts = np.unique(orders @ [9, 3, 1], return_counts=True)
    assert len(codes) == 6
    assert_counts(counts, np.full(6, 1 / 6))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_permutation_of_an_array(axis: int) -> None:
    x = np.arange(12).reshape(3, 4)
    drawn = Generator(27).permutation(x, axis)
    order = Generator(27).permutation(x.shape[axis]).numpy()
    np.testing.assert_array_equal(drawn.numpy(), np.take(x, order, axis))


def test_choice_is_uniform() -> None:
    values = np.array([2.5, -1.0, 7.0])
    drawn = Generator(28).choice(values, size=N).numpy()
    assert_counts(np.array([(drawn == v).sum() for v in values]), np.full(3, 1 / 3))


def test_choice_with_probabilities() -> None:
    p = np.array([0.0, 0.25, 0.0, 0.7, 0.05, 0.0])
    drawn = Generator(29).choice(6, size=N, p=p).numpy()
    counts = np.bincount(drawn, minlength=6)
    assert counts[p == 0].sum() == 0
    assert_counts(counts[p > 0], p[p > 0])


def test_choice_without_replacement_is_a_part_of_a_permutation() -> None:
    drawn = Generator(30).choice(9, size=(2, 2), replace=False)
    assert drawn.tolist() == Generator(30).permutation(9).numpy()[:4].reshape(2, 2).tolist()


def test_weighted_choice_without_replacement() -> None:
    """Drawing one after another: (i, j) has the probability p_i p_j / (1 - p_i)."""
    p = np.array([0.5, 0.0, 0.3, 0.2])
    rng = Generator(31)
    drawn = np.array([rng.choice(4, size=2, replace=False, p=p).tolist() for _ in range(4000)])
    pairs = [(i, j) for i in (0, 2, 3) for j in (0, 2, 3) if i != j]
    counts = np.array([np.all(drawn == pair, axis=1).sum() for pair in pairs])
    assert counts.sum() == 4000
    assert_counts(counts, np.array([p[i] * p[j] / (1 - p[i]) for i, j in pairs]))


def test_all_parts_can_be_drawn_without_replacement() -> None:
    drawn = Generator(32).choice(4, size=4, replace=False, p=[0.1, 0.2, 0.3, 0.4])
    assert sorted(drawn.tolist()) == [0, 1, 2, 3]


def test_probabilities_in_single_precision_may_sum_to_1_in_single_precision() -> None:
    p = np.full(1000, np.float32(0.001))
    assert abs(float(p.astype(np.float64).sum()) - 1) > 1e-8
    assert Generator(33).choice(1000, p=p).shape == ()


@pytest.mark.parametrize("axis", [0, 1])
def test_choice_along_an_axis(axis: int) -> None:
    x = np.arange(12).reshape(3, 4)
    drawn = Generator(34).choice(x, size=5, axis=axis)
    index = Generator(34).choice(x.shape[axis], size=5).numpy()
    np.testing.assert_array_equal(drawn.numpy(), np.take(x, index, axis))
