"""Pooling against its definition, for windows that Hypothesis draws; ties, NaN and infinities."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gradarray as ga
from gradarray.ops import definitions

EPS = np.finfo(np.float64).eps
MAX = {1: ga.max_pool1d, 2: ga.max_pool2d, 3: ga.max_pool3d}
AVG = {1: ga.avg_pool1d, 2: ga.avg_pool2d, 3: ga.avg_pool3d}
ADAPTIVE_MAX = {1: ga.adaptive_max_pool1d, 2: ga.adaptive_max_pool2d, 3: ga.adaptive_max_pool3d}
ADAPTIVE_AVG = {1: ga.adaptive_avg_pool1d, 2: ga.adaptive_avg_pool2d, 3: ga.adaptive_avg_pool3d}


@st.composite
def pools(draw, dilated=False):
    n = draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 4)) for _ in range(n)]
    how = {
        "kernel_size": tuple(kernel),
        "stride": tuple(draw(st.integers(1, 3)) for _ in kernel),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    if dilated:
        how["dilation"] = tuple(draw(st.integers(1, 2)) for _ in kernel)
    length = tuple(draw(st.integers(1, 8)) for _ in kernel)
    return n, (2, draw(st.integers(0, 2)), *length), how


def expected_or_skip(definition, *args, **how):
    """What the definition gives; drawn windows that do not fit are not of interest."""
    try:
        return definition(*args, **how)
    except ValueError:
        assume(False)


@given(pools(dilated=True), st.integers(1, 4))
def test_max_pool_is_its_definition(drawn, levels):
    """Few different values: many ties, which go to the first."""
    n, shape, how = drawn
    x = np.random.default_rng(0).integers(0, levels, shape).astype(float)
    y, index = expected_or_skip(definitions.max_pool(n), x, return_indices=True, **how)
    got, places = MAX[n](x, return_indices=True, **how)
    assert np.array_equal(got.numpy(), y)
    assert np.array_equal(places.numpy(), index)
    v = np.random.default_rng(1).normal(size=y.shape)
    x_bar = np.zeros((*shape[:2], int(np.prod(shape[2:]))))
    for at in np.ndindex(*y.shape):
        x_bar[(*at[:2], index[at])] += v[at]
    pulled = ga.vjp(lambda x: MAX[n](x, **how), x)[1](v)[0].numpy()
    np.testing.assert_allclose(pulled.reshape(x_bar.shape), x_bar, rtol=0, atol=64 * EPS * v.size)


@given(pools(), st.booleans())
def test_average_pool_is_its_definition(drawn, count_include_pad):
    n, shape, how = drawn
    how["count_include_pad"] = count_include_pad
    x = np.random.default_rng(0).normal(size=shape)
    y = expected_or_skip(definitions.avg_pool(n), x, **how)
    got, pull = ga.vjp(lambda x: AVG[n](x, **how), x)
    np.testing.assert_allclose(got.numpy(), y, rtol=0, atol=64 * EPS * 4**n)
    v = np.random.default_rng(1).normal(size=y.shape)
    x_bar = pull(v)[0].numpy()
    assert abs((v * y).sum() - (x_bar * x).sum()) <= 64 * EPS * 4**n * (1 + np.abs(v).sum())


@given(st.data())
def test_adaptive_pools_are_their_definitions(data):
    n = data.draw(st.integers(1, 3))
    length = tuple(data.draw(st.integers(1, 6)) for _ in range(n))
    out = tuple(data.draw(st.one_of(st.none(), st.integers(1, 7))) for _ in range(n))
    x = np.random.default_rng(0).normal(size=(2, 2, *length))
    assert np.array_equal(ADAPTIVE_MAX[n](x, out).numpy(), definitions.adaptive_max_pool(n)(x, out))
    y = definitions.adaptive_avg_pool(n)(x, out)
    got, pull = ga.vjp(lambda x: ADAPTIVE_AVG[n](x, out), x)
    np.testing.assert_allclose(got.numpy(), y, rtol=0, atol=64 * EPS * x.size)
    v = np.random.default_rng(1).normal(size=y.shape)
    x_bar = pull(v)[0].numpy()
    assert abs((v * y).sum() - (x_bar * x).sum()) <= 64 * EPS * x.size * (1 + np.abs(v).sum())


def test_a_tie_goes_to_the_first():
    x = ga.array([[[2.0, 2.0], [1.0, 2.0]]])
    assert ga.grad(lambda x: ga.max_pool2d(x, 2).sum())(x).tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


def test_infinities_nan_and_padding():
    low = -np.inf
    y, index = ga.max_pool1d([[low, low, low, 1.0]], 3, 2, 1, return_indices=True)
    assert (y.tolist(), index.tolist()) == ([[low, 1.0]], [[0, 3]])
    y, index = ga.max_pool1d([[1.0, np.nan, 2.0, np.nan]], 4, return_indices=True)
    assert np.isnan(y.item())
    assert index.item() == 1
    y, index = ga.max_pool1d([[low, low, low]], 2, 1, 1, 2, return_indices=True)
    assert (y.tolist(), index.tolist()) == ([[low, low, low]], [[1, 0, 1]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.bool_, np.float32])
def test_maxima_of_other_dtypes(dtype):
    x = np.array([[0, 1, 0, 0]], dtype)
    y = ga.max_pool1d(x, 3, 1, 1)
    assert y.dtype == dtype
    assert y.tolist() == np.array([[1, 1, 1, 0]], dtype).tolist()


def test_averages_keep_float32_and_make_floats_of_integers():
    assert ga.avg_pool1d(np.ones((1, 4), np.float32), 3, 1, 1, True, False).dtype == np.float32
    assert ga.adaptive_avg_pool1d(np.ones((1, 4), np.float32), 3).dtype == np.float32
    assert ga.avg_pool1d([[1, 2]], 2).tolist() == [[1.5]]


def test_an_infinity_reaches_only_its_own_windows():
    y = ga.adaptive_avg_pool1d([[np.inf, 1.0, 2.0, 3.0, 4.0]], 3)
    assert y.tolist() == [[np.inf, 2.0, 3.5]]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: ga.max_pool2d(x, 5), "larger than the input's spatial shape"),
        (lambda x: ga.max_pool2d(x, 2, padding=2), "more than half"),
        (lambda x: ga.max_pool2d(x, (2, 2, 2)), "3 numbers for 2 spatial axes"),
        (lambda x: ga.max_pool1d(x, 2), r"not the 3 of \(N, C, L\)"),
        (lambda x: ga.avg_pool2d(x, 0), "kernel_size=0 must be at least 1"),
        (lambda x: ga.adaptive_avg_pool2d(x, 0), "output_size"),
        (lambda x: ga.max_pool2d(x[:, :, :1], (2, 2), 1, 1, 2), "nothing but padding"),
    ],
)
def test_errors_name_the_op_and_the_mend(call, text):
    with pytest.raises(ValueError, match=text):
        call(np.ones((1, 1, 4, 4)))


# unfold and fold ----------------------------------------------------------------------------------


def test_unfold_times_a_kernel_is_a_convolution():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 3, 2))
    how = {"dilation": (1, 2), "padding": (1, 0), "stride": (2, 1)}
    columns = ga.unfold(x, (3, 2), **how)
    y = ga.conv2d(x, w, **how)
    product = ga.reshape(ga.reshape(w, (4, -1)) @ columns, y.shape)
    np.testing.assert_allclose(product.numpy(), y.numpy(), rtol=0, atol=64 * EPS * 18)


def test_fold_counts_the_windows_over_each_place():
    """fold(unfold(x)) = x times in how many windows a place lies."""
    x = np.random.default_rng(0).normal(size=(2, 5, 4))
    columns = ga.unfold(x, 2)
    counts = np.outer([1, 2, 2, 2, 1], [1, 2, 2, 1])
    got = ga.fold(columns, (5, 4), 2).numpy()
    np.testing.assert_allclose(got, x * counts, rtol=0, atol=64 * EPS)


def test_errors_of_unfold_and_fold():
    with pytest.raises(ga.ShapeError, match="larger than the plane"):
        ga.unfold(np.ones((1, 2, 2)), 3)
    with pytest.raises(ga.ShapeError, match="4 rows a channel, and has 4 places"):
        ga.fold(np.ones((6, 4)), (3, 3), 2)
    with pytest.raises(ga.ShapeError, match="4 rows a channel, and has 4 places"):
        ga.fold(np.ones((4, 5)), (3, 3), 2)
