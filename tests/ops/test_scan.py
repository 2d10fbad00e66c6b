"""Recurrences, running products and order statistics against other ways to compute them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

import gradarray as ga

EPS = np.finfo(np.float64).eps


# The linear recurrence ----------------------------------------------------------------------------


def matrix_of(a):
    """I - A, by which y_t = a_t y_{t-1} + b_t reads (I - A) y = b."""
    n = len(a)
    return np.eye(n) - np.diag(a[1:], -1) if n > 1 else np.eye(n)


@given(st.integers(1, 12), st.booleans(), st.integers(0, 3))
def test_a_recurrence_solves_its_linear_system(n, reverse, zeros):
    rng = np.random.default_rng(n)
    a, b = rng.uniform(-1, 1, (2, n))
    a[rng.integers(0, n, zeros)] = 0
    system = matrix_of(a[::-1])[::-1, ::-1] if reverse else matrix_of(a)
    y, pull = ga.vjp(lambda a, b: ga.linear_recurrence(a, b, reverse=reverse), a, b)
    bound = 64 * EPS * n * n
    np.testing.assert_allclose(y.numpy(), np.linalg.solve(system, b), rtol=0, atol=bound)
    v = rng.normal(size=n)
    a_bar, b_bar = (c.numpy() for c in pull(v))
    adjoint = np.linalg.solve(system.T, v)
    before = np.roll(y.numpy(), -1 if reverse else 1)
    before[-1 if reverse else 0] = 0
    np.testing.assert_allclose(b_bar, adjoint, rtol=0, atol=bound * np.abs(v).max())
    np.testing.assert_allclose(a_bar, adjoint * before, rtol=0, atol=bound * np.abs(v).max() * n)


def test_a_constant_factor_is_a_filter():
    b = np.random.default_rng(0).normal(size=(3, 50))
    y = ga.linear_recurrence(0.9, b).numpy()
    expected = signal.lfilter([1.0], [1.0, -0.9], b)
    np.testing.assert_allclose(y, expected, rtol=0, atol=64 * EPS * 10 * np.abs(b).max())


def test_one_line_and_many_give_the_same():
    """A single line is stepped through in Python's floats."""
    a, b = np.random.default_rng(0).normal(size=(2, 40))
    line = ga.linear_recurrence(a, b).numpy()
    many = ga.linear_recurrence(np.stack([a, a]), np.stack([b, b])).numpy()
    assert np.array_equal(line, many[0])
    assert ga.linear_recurrence(np.float32(0.5), np.ones(3, np.float32)).dtype == np.float32


def test_recurrence_edges():
    assert ga.linear_recurrence([np.nan, 2.0], [1.0, 1.0]).tolist() == [1.0, 3.0]
    assert ga.linear_recurrence(np.ones((2, 0)), np.ones((2, 0))).shape == (2, 0)
    with pytest.raises(ga.ShapeError, match="do not broadcast"):
        ga.linear_recurrence(np.ones(3), np.ones(4))


# Running products and sums ------------------------------------------------------------------------


@pytest.mark.parametrize("x", [[2.0, 3.0, -1.5], [2.0, 0.0, 3.0, 4.0], [0.0, 0.0, 3.0]])
def test_running_products_are_right_at_zeros(x):
    """dy_t/dx_s = the product of the others up to t: exact here, in both modes."""
    n = len(x)
    jacobian = [
        [np.prod(np.delete(x[: t + 1], s)) if s <= t else 0.0 for s in range(n)] for t in range(n)
    ]
    y, pull = ga.vjp(ga.cumprod, np.array(x))
    assert y.tolist() == np.cumprod(x).tolist()
    assert [pull(e)[0].tolist() for e in np.eye(n)] == jacobian
    pushed = [ga.jvp(ga.cumprod, (ga.array(x),), (e,))[1].tolist() for e in np.eye(n)]
    assert np.array(pushed).T.tolist() == jacobian


def test_running_sums_of_exponentials_without_overflow():
    low = -np.inf
    x = np.array([low, low, 1000.0, 1001.0, low])
    y, pull = ga.vjp(ga.logcumsumexp, x)
    top = 1001.0 + np.log1p(np.exp(-1.0))
    np.testing.assert_allclose(y.numpy(), [low, low, 1000.0, top, top], rtol=4 * EPS)
    share = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(
        pull(np.ones(5))[0].numpy(),
        [0.0, 0.0, 1.0 + 2 * (1 - share), 2 * share, 0.0],
        rtol=64 * EPS * 1000,  # y holds 1000, and its rounding is in the exponent
    )


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_running_extrema_of_equal_values(values):
    x = np.array(values, float)
    y, pull = ga.vjp(ga.cummax, x)
    assert y.tolist() == np.maximum.accumulate(x).tolist()
    first = [int(np.argmax(x[: t + 1])) for t in range(len(x))]
    assert pull(np.ones(len(x)))[0].tolist() == np.bincount(first, minlength=len(x)).tolist()
    assert ga.cummin(-x).tolist() == (-y.numpy()).tolist()


def test_running_extrema_of_nan_and_several_axes():
    x = np.array([[1.0, np.nan, 3.0, np.nan], [2.0, 1.0, 4.0, 0.0]])
    for ours, theirs in ((ga.cummax, np.maximum), (ga.cummin, np.minimum)):
        for axis in (0, 1):
            got = ours(x, axis=axis).numpy()
            assert np.array_equal(got, theirs.accumulate(x, axis), equal_nan=True)


# Order statistics ---------------------------------------------------------------------------------


def test_quantiles_share_the_derivative_between_two_places():
    x = ga.array([4.0, 1.0, 2.0, 8.0])  # in order: 1, 2, 4, 8 at 1, 2, 0, 3
    got = ga.grad(lambda x: ga.quantile(x, 0.75))(x).numpy()
    np.testing.assert_allclose(got, [0.75, 0.0, 0.0, 0.25], rtol=4 * EPS)
    # dy/dq = (n - 1)(x_(k+1) - x_(k))
    assert ga.grad(lambda q: ga.quantile(x, q))(0.7).item() == pytest.approx(12.0, rel=16 * EPS)
    assert ga.grad(ga.median)(x).tolist() == [0.5, 0.0, 0.5, 0.0]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.floats(0, 1))
def test_quantiles_of_equal_values(values, q):
    x = np.array(values, float)
    got = ga.quantile(x, q).item()
    assert abs(got - np.quantile(x, q)) <= 64 * EPS * 3
    assert abs(ga.grad(lambda x: ga.quantile(x, q))(x).sum().item() - 1) <= 8 * EPS


def test_order_statistics_of_nan_and_nothing():
    assert np.isnan(ga.median([1.0, np.nan, 2.0]).item())
    assert np.isnan(ga.quantile([1.0, np.nan, 2.0], [0.0, 1.0]).numpy()).all()
    with np.errstate(invalid="ignore"):
        assert np.isnan(ga.median(np.zeros((2, 0)), axis=1, keepdims=True).numpy()).all()


def test_quantiles_that_do_not_exist():
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        ga.quantile([1.0, 2.0], 1.5)
    with pytest.raises(ValueError, match="q must lie between 0 and 100"):
        ga.percentile([1.0, 2.0], -1)
    with pytest.raises(ValueError, match="method='lower'"):
        ga.quantile([1.0, 2.0], 0.5, method="lower")
    with pytest.raises(ga.DTypeError, match="nothing between them"):
        ga.quantile([True, False], 0.5)


# Differences --------------------------------------------------------------------------------------


def test_differences_undo_running_sums():
    x = np.random.default_rng(0).normal(size=(3, 5))
    back = ga.diff(ga.cumsum(x, axis=1), axis=1, prepend=0.0)
    np.testing.assert_allclose(back.numpy(), x, rtol=0, atol=64 * EPS * 5)


def test_a_trapezoid_is_exact_for_lines_and_differentiable_in_its_step():
    x = np.array([0.0, 0.5, 2.0, 3.0])
    assert ga.trapezoid(2 * x + 1, x).item() == 12.0
    assert ga.grad(lambda dx: ga.trapezoid([1.0, 2.0, 3.0], dx=dx))(0.1).item() == 4.0


def test_errors_of_differences():
    with pytest.raises(ValueError, match="n=-1"):
        ga.diff([1.0, 2.0], n=-1)
    with pytest.raises(ga.ShapeError, match="no neighbours"):
        ga.diff(1.0)
    with pytest.raises(TypeError, match="does not go with"):
        ga.ediff1d([1, 2], to_end=0.5)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 2)])
@pytest.mark.parametrize(
    "f",
    [ga.cumsum, ga.cumprod, ga.cummax, ga.cummin, ga.logcumsumexp, ga.diff],
    ids=lambda f: f.__name__,
)
def test_nothing_to_run_over(f, shape):
    x = ga.array(np.zeros(shape), requires_grad=True)
    y = f(x, axis=-1)
    y.sum().backward()
    assert x.grad.shape == shape
    shorter = 1 if f is ga.diff and shape[-1] else 0
    assert y.shape == (*shape[:-1], shape[-1] - shorter)
