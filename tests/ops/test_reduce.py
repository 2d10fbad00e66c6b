"""Reductions where declarations say nothing: ties, zeros, infinities, NaN, empty arrays."""

import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, valid_tuple_axes

import gradarray as ga
from gradarray.testing import check

EPS = np.finfo(np.float64).eps


def gradient(f, x):
    return ga.grad(f)(ga.array(x)).numpy()


def hessian(f, x):
    n = len(x)
    rows = [ga.grad(lambda z, k=k: ga.grad(f)(z)[k])(ga.array(x)).numpy() for k in range(n)]
    return np.array(rows)


PAIRS = [
    (ga.sum, np.sum),
    (ga.mean, np.mean),
    (ga.prod, np.prod),
    (ga.max, np.max),
    (ga.min, np.min),
    (ga.ptp, np.ptp),
    (ga.var, np.var),
    (ga.std, np.std),
    (ga.any, np.any),
    (ga.all, np.all),
    (ga.nansum, np.nansum),
    (ga.nanmax, np.nanmax),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda f: f.__name__)
@given(data=st.data())
def test_any_shape_and_any_axes(ours, theirs, data):
    """Values and shape as NumPy's, and <v, J w> = <J^T v, w>, or the same refusal."""
    shape = data.draw(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
    how = {
        "axis": data.draw(st.one_of(st.none(), valid_tuple_axes(len(shape)))),
        "keepdims": data.draw(st.booleans()),
    }
    x = np.random.default_rng(0).normal(size=shape)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            expected = np.asarray(theirs(x, **how))
        except ValueError:
            with pytest.raises(ValueError, match=ours.__name__):
                ours(x, **how)
            return
        got = ours(x, **how).numpy()
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        bound = 64 * EPS * max(1, x.size)
        np.testing.assert_allclose(got, expected, rtol=bound, atol=bound)
        if got.dtype.kind != "f" or not np.isfinite(expected).all():
            return
        w, v = (np.random.default_rng(1).normal(size=s) for s in (shape, got.shape))
        y_dot = ga.jvp(lambda x: ours(x, **how), (x,), (w,))[1].numpy()
        x_bar = ga.vjp(lambda x: ours(x, **how), x)[1](v)[0].numpy()
    size = np.abs(v * y_dot).sum() + np.abs(x_bar * w).sum()
    assert abs((v * y_dot).sum() - (x_bar * w).sum()) <= bound * (1 + size)


# Extrema ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "x"), [(ga.max, [1.0, 3.0, 3.0]), (ga.min, [5.0, 3.0, 3.0])])
def test_a_tie_is_shared_evenly_or_goes_to_the_first(f, x):
    name = f.__name__
    assert gradient(f, x).tolist() == [0.0, 0.5, 0.5]
    with ga.set_subgradient(name, 0.0):
        assert gradient(f, x).tolist() == [0.0, 1.0, 0.0]
    with ga.set_subgradient(name, 0.5):
        assert gradient(f, x).tolist() == [0.0, 0.75, 0.25]


def test_the_first_of_a_tie_over_several_axes():
    x = np.array([[[0.0, 2.0], [2.0, 1.0]], [[2.0, 0.0], [0.0, 5.0]]])
    with ga.set_subgradient("max", 0.0):
        got = gradient(lambda x: ga.max(x, axis=(0, 2)).sum(), x)
    assert got.tolist() == [[[0, 1], [0, 0]], [[0, 0], [0, 1]]]


def test_indices_are_outside_the_graph():
    x = ga.array([1.0, 2.0], requires_grad=True)
    for y in (ga.argmax(x), ga.argmin(x, keepdims=True), ga.any(x), ga.all(x)):
        assert not y.requires_grad


def test_nothing_to_compare():
    with pytest.raises(ga.ShapeError, match="nothing to compare over axis 0"):
        ga.max(np.zeros((0, 2)), axis=0)
    assert ga.min(np.zeros((0, 2)), axis=1).shape == (0,)


# Means and sums -----------------------------------------------------------------------------------


def test_a_mean_of_float16_does_not_overflow():
    y = ga.mean(np.full(4096, 100.0, np.float16))
    assert (y.dtype, y.item()) == (np.float16, 100.0)


def test_sums_of_nothing():
    x = ga.array(np.zeros((2, 0)), requires_grad=True)
    y = x.sum(axis=1)
    assert y.tolist() == [0.0, 0.0]
    y.sum().backward()
    assert x.grad.shape == (2, 0)
    with np.errstate(invalid="ignore"):
        assert np.isnan(ga.mean(x).item())


def test_dtype_argument():
    x = np.ones(3, np.float32)
    assert ga.sum(x, dtype=np.float64).dtype == np.float64
    assert ga.mean(x, dtype="float16").dtype == np.float16
    assert ga.prod(np.ones(2, np.int8), dtype=np.int8).dtype == np.int8


def test_axes_outside_and_twice():
    with pytest.raises(np.exceptions.AxisError, match="sum: axis 2 is out of bounds"):
        ga.sum(np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match="names one axis twice"):
        ga.sum(np.ones((2, 3)), axis=(0, -2))


# Products -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x", [[2.0, 3.0, -1.5], [2.0, 0.0, 3.0], [0.0, 4.0, 0.0, 5.0], [0.0, 0.0, 0.0, 1.0]]
)
def test_a_product_is_right_at_zeros_to_second_order(x):
    """The gradient is the product of the others, the Hessian that of all but two: exact here."""
    n = len(x)
    others = [np.prod(np.delete(x, i)) for i in range(n)]
    all_but_two = [
        [0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(n)] for i in range(n)
    ]
    assert gradient(ga.prod, x).tolist() == others
    assert hessian(ga.prod, x).tolist() == all_but_two
    push = [ga.jvp(ga.prod, (ga.array(x),), (e,))[1].item() for e in np.eye(n)]
    assert push == others


def test_a_product_over_several_axes_at_a_zero():
    x = np.array([[1.0, 2.0], [0.0, 3.0]])
    assert gradient(ga.prod, x).tolist() == [[0.0, 0.0], [6.0, 0.0]]
    assert ga.prod(x, axis=(), keepdims=True).tolist() == x.tolist()


# logsumexp ----------------------------------------------------------------------------------------


def test_logsumexp_to_full_precision():
    """Where one term is 0 and the others are small, log1p keeps what log would lose."""
    for x in ([0.0, -40.0], [0.0, -40.0, -41.0], [-1e-3, -50.0], [700.0, 699.0], [0.0, 0.0]):
        with mpmath.workdps(40):
            exact = mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(v)) for v in x))
            error = abs(mpmath.mpf(ga.logsumexp(x).item()) - exact) / abs(exact)
        assert error <= 4 * EPS


def test_logsumexp_of_infinities():
    low = -np.inf
    y, pull = ga.vjp(
        lambda x: ga.logsumexp(x, axis=1),
        np.array([[low, low], [low, 1.0], [1e308, 2.0], [1000.0, 1000.0]]),
    )
    np.testing.assert_allclose(y.numpy(), [low, 1.0, 1e308, 1000.0 + np.log(2.0)], rtol=2 * EPS)
    x_bar = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]
    # y holds 1000, and its rounding is in the exponent.
    np.testing.assert_allclose(pull(np.ones(4))[0].numpy(), x_bar, rtol=1000 * EPS)
    assert ga.logsumexp([np.inf, 1.0]).item() == np.inf


def test_logsumexp_with_weights_that_are_zero_or_negative():
    x = np.array([1.0, 5000.0, 2.0])
    y = ga.logsumexp(x, b=[2.0, 0.0, -0.5])
    assert abs(y.item() - np.log(2 * np.exp(1.0) - 0.5 * np.exp(2.0))) <= 64 * EPS
    assert (
        check(lambda x, b: ga.logsumexp(x, b=b), x / 5000, np.array([2.0, 0.3, -0.1])).digits > 11
    )


# Norms and spread ---------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [None, 1, 2, 3, 1.5])
def test_a_norm_has_derivative_0_at_0(p):
    x = np.zeros(3)
    assert gradient(lambda x: ga.norm(x, p), x).tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(hessian(lambda x: ga.norm(x, p), x)).all()


def test_a_zero_row_beside_others():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    got = gradient(lambda x: ga.norm(x, axis=1).sum(), x)
    np.testing.assert_allclose(got, [[0.0, 0.0], [0.6, 0.8]], rtol=4 * EPS)


def test_norms_of_complex_vectors():
    x = np.array([3j, 4.0])
    assert ga.norm(x).item() == 5.0
    assert ga.norm(x, 1).item() == 7.0
    # d|x|/d(re, im) in the direction v is Re(conj(x) v) / |x|.
    v = np.array([1 + 1j, 2.0 - 1j])
    slope = ga.jvp(ga.norm, (x,), (v,))[1].item()
    assert abs(slope - (np.conj(x) @ v).real / 5) <= 64 * EPS


@pytest.mark.parametrize(("ord", "value"), [(2, 4.0), (-2, 3.0), ("nuc", 7.0)])
def test_norms_of_singular_values(ord, value):
    x = np.diag([-3.0, 4.0])
    assert abs(ga.norm(x, ord).item() - value) <= 64 * EPS


def test_norms_that_do_not_exist():
    with pytest.raises(ValueError, match="'fro' is a matrix norm"):
        ga.norm([1.0, 2.0], "fro")
    with pytest.raises(ValueError, match="ord=3 is no matrix norm"):
        ga.norm(np.eye(2), 3)
    with pytest.raises(ga.ShapeError, match="over 3 axes"):
        ga.norm(np.ones((2, 2, 2)), 1)


def test_spread_of_equal_values_has_derivative_0():
    x = np.full(4, 2.0)
    assert gradient(ga.std, x).tolist() == [0.0] * 4
    assert gradient(ga.nanstd, x).tolist() == [0.0] * 4


def test_no_degrees_of_freedom_left():
    with np.errstate(all="ignore"):
        assert np.isnan(ga.var([1.0], ddof=1).item())
        assert np.isnan(ga.nanvar([1.0, np.nan], ddof=1).item())


def test_nan_is_left_out_of_values_and_derivatives():
    x = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, 2.0]])
    plain = np.array([[1.0, 3.0], [5.0, 2.0]])
    where = ~np.isnan(x)
    for with_nan, without in (
        (ga.nansum, ga.sum),
        (ga.nanmean, ga.mean),
        (ga.nanprod, ga.prod),
        (ga.nanvar, ga.var),
        (ga.nanstd, ga.std),
        (ga.nanmax, ga.max),
        (ga.nanmin, ga.min),
    ):
        y, pull = ga.vjp(lambda x, f=with_nan: f(x, axis=1), x)
        z, pull_plain = ga.vjp(lambda x, f=without: f(x, axis=1), plain)
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=64 * EPS)
        x_bar, plain_bar = (
            pull(np.array([1.0, 2.0]))[0].numpy(),
            pull_plain(np.array([1.0, 2.0]))[0].numpy(),
        )
        np.testing.assert_allclose(x_bar[where], plain_bar.ravel(), rtol=64 * EPS, atol=4 * EPS)
        assert x_bar[~where].tolist() == [0.0, 0.0]


def test_weights_of_an_average():
    with pytest.raises(ga.ShapeError, match=r"weights of shape \(2,\)"):
        ga.average(np.ones((2, 3)), axis=1, weights=np.ones(2))
    with pytest.raises(ZeroDivisionError, match="sum to 0"):
        ga.average([1.0, 2.0], weights=[1.0, -1.0])


def test_complex_spread_is_numpys():
    x = np.array([[1 + 2j, 3.0, -1j], [2.0, 1j, 1.0]])
    for ours, theirs in ((ga.var, np.var), (ga.std, np.std), (ga.cov, np.cov)):
        got, expected = ours(x).numpy(), theirs(x)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=64 * EPS, atol=64 * EPS)
    np.testing.assert_allclose(ga.corrcoef(x).numpy(), np.corrcoef(x), rtol=64 * EPS)


def test_weights_of_a_covariance():
    with pytest.raises(ga.ShapeError, match="fweights must be 3 numbers"):
        ga.cov([1.0, 2.0, 3.0], fweights=[1, 2])
    with pytest.raises(TypeError, match="repetitions"):
        ga.cov([1.0, 2.0, 3.0], fweights=[1, 2, 0.5])
    with pytest.raises(ga.ShapeError, match="3 observations in the first, 2 in the other"):
        ga.cov([1.0, 2.0, 3.0], [1.0, 2.0])


# NumPy's own calls --------------------------------------------------------------------------------


def test_ufunc_reductions_and_accumulations_record():
    x = ga.array([[1.0, 3.0], [2.0, 0.5]], requires_grad=True)
    raw = x.numpy()
    for ufunc in (np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.fmax):
        y = ufunc.reduce(x)
        assert y.requires_grad
        np.testing.assert_allclose(y.numpy(), ufunc.reduce(raw), rtol=4 * EPS)
    for ufunc in (np.add, np.multiply, np.maximum, np.minimum, np.logaddexp):
        y = ufunc.accumulate(x, axis=1)
        assert y.requires_grad
        np.testing.assert_allclose(y.numpy(), ufunc.accumulate(raw, axis=1), rtol=4 * EPS)
