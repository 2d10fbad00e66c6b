"""Convolutions against SciPy, loops and the adjoint identity, for shapes that Hypothesis draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

import gradarray as ga
from gradarray.ops import columns, definitions

EPS = np.finfo(np.float64).eps
CONV = {1: ga.conv1d, 2: ga.conv2d, 3: ga.conv3d}
CONV_TRANSPOSE = {1: ga.conv_transpose1d, 2: ga.conv_transpose2d, 3: ga.conv_transpose3d}


def close(got, expected, terms):
    """Equal up to the rounding of sums of `terms` products of numbers of order one."""
    got = got.numpy() if isinstance(got, ga.GradArray) else got
    assert got.shape == expected.shape
    size = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=64 * EPS * terms * size)


@st.composite
def geometries(draw):
    """Shapes of a convolution that fits, and its keywords."""
    n = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    batch, a, b = draw(st.integers(0, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 3)) for _ in range(n)]
    stride = [draw(st.integers(1, 3)) for _ in range(n)]
    dilation = [draw(st.integers(1, 2)) for _ in range(n)]
    padding = [draw(st.integers(0, 3)) for _ in range(n)]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    length = [
        draw(st.integers(max(1, span - 2 * p), span + 4))
        for span, p in zip(spans, padding, strict=True)
    ]
    shapes = (batch, a * groups, *length), (b * groups, a, *kernel)
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return n, shapes, {k: tuple(v) if isinstance(v, list) else v for k, v in how.items()}


@given(geometries())
def test_convolution_is_its_definition(drawn):
    n, (x_shape, w_shape), how = drawn
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    close(CONV[n](x, w, **how), definitions.conv(x, w, **how), w[0].size)


@given(geometries())
def test_transposes_satisfy_the_adjoint_identity(drawn):
    """<v, conv(x, w)> = <x_bar, x> = <w_bar, w>, and the transpose is conv_transpose."""
    n, (x_shape, w_shape), how = drawn
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    y, pull = ga.vjp(lambda x, w: CONV[n](x, w, **how), x, w)
    v = rng.normal(size=y.shape)
    x_bar, w_bar = (c.numpy() for c in pull(v))
    bound = 64 * EPS * (np.abs(v).sum() + np.abs(x_bar).sum() + np.abs(w_bar).sum()) * w.size
    total = float((v * y.numpy()).sum())
    assert abs(total - (x_bar * x).sum()) <= bound
    assert abs(total - (w_bar * w).sum()) <= bound
    # What a stride leaves over of the input is the output padding of the transpose.
    sizes = zip(
        x_shape[2:],
        y.shape[2:],
        w_shape[2:],
        *(how[k] for k in ("stride", "padding", "dilation")),
        strict=True,
    )
    more = tuple(m - ((t - 1) * s - 2 * p + d * (k - 1) + 1) for m, t, k, s, p, d in sizes)
    back = CONV_TRANSPOSE[n](v, w, output_padding=more, **how)
    close(back, x_bar, w.size)
    close(back, definitions.conv_transpose(v, w, output_padding=more, **how), w.size)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_against_scipy(n):
    rng = np.random.default_rng(n)
    x, w = rng.normal(size=(2, 3, *(7, 6, 5)[:n])), rng.normal(size=(4, 3, *(3, 2, 3)[:n]))
    for padding, mode in ((0, "valid"), (tuple(k - 1 for k in w.shape[2:]), "full")):
        expected = np.array(
            [
                [sum(signal.correlate(x[i, c], w[o, c], mode) for c in range(3)) for o in range(4)]
                for i in range(2)
            ]
        )
        close(CONV[n](x, w, padding=padding), expected, w[0].size)


def test_the_transposed_convolution_is_scipys_convolution():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 1, 6, 5)), rng.normal(size=(1, 1, 3, 2))
    expected = signal.convolve(x[0, 0], w[0, 0], "full")[None, None]
    close(ga.conv_transpose2d(x, w), expected, w.size)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_same_keeps_the_length(kernel, dilation):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 9)), rng.normal(size=(2, 3, kernel))
    y = ga.conv1d(x, w, padding="same", dilation=dilation)
    assert y.shape == (2, 2, 9)
    total = dilation * (kernel - 1)
    wide = np.pad(x, ((0, 0), (0, 0), (total // 2, total - total // 2)))
    close(y, definitions.conv(wide, w, dilation=dilation), 3 * kernel)
    assert np.array_equal(
        ga.conv1d(x, w, padding="valid").numpy(), ga.conv1d(x, w, padding=0).numpy()
    )


@pytest.mark.parametrize("block", [1, 300, 2000, 1 << 30])
def test_blocks_of_any_size_give_the_same(monkeypatch, block):
    """Samples are taken together, or one by one in pieces of a few rows."""
    monkeypatch.setattr(columns, "_BLOCK_BYTES", block)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 4, 9, 8)), rng.normal(size=(6, 2, 3, 3))
    how = {"stride": (2, 1), "padding": (1, 2), "groups": 2}
    y, pull = ga.vjp(lambda x, w: ga.conv2d(x, w, **how), x, w)
    close(y, definitions.conv(x, w, **how), w[0].size)
    v = rng.normal(size=y.shape)
    x_bar, w_bar = pull(v)
    # Linear in each: the cotangent along one unit is the product with that unit's image.
    for at in ((0, 0, 0, 0), (4, 3, 8, 7), (2, 1, 4, 5)):
        unit = np.zeros(x.shape)
        unit[at] = 1
        image = definitions.conv(unit, w, **how)
        assert abs(x_bar.numpy()[at] - (image * v).sum()) <= 64 * EPS * v.size
    for at in ((0, 0, 0, 0), (5, 1, 2, 2)):
        unit = np.zeros(w.shape)
        unit[at] = 1
        image = definitions.conv(x, unit, **how)
        assert abs(w_bar.numpy()[at] - (image * v).sum()) <= 64 * EPS * v.size


def test_a_sample_alone():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 5, 6)), rng.normal(size=(2, 3, 2, 2))
    assert np.array_equal(ga.conv2d(x, w).numpy(), ga.conv2d(x[None], w).numpy()[0])
    v = rng.normal(size=(2, 4, 5))
    alone, batch = ga.conv_transpose2d(v, w), ga.conv_transpose2d(v[None], w)
    assert np.array_equal(alone.numpy(), batch.numpy()[0])


def test_float32_stays_float32_and_integers_convolve():
    x, w = np.ones((1, 2, 5), np.float32), np.ones((3, 2, 2), np.float32)
    y, pull = ga.vjp(ga.conv1d, x, w)
    assert y.dtype == np.float32
    assert [c.dtype for c in pull(y)] == [np.float32, np.float32]
    assert ga.conv1d([[1, 2, 3]], [[[1, 10]]]).tolist() == [[21, 32]]


def test_an_empty_batch_has_gradients_of_its_own_form():
    x, w = ga.array(np.zeros((0, 2, 5)), requires_grad=True), np.ones((3, 2, 2))
    w = ga.array(w, requires_grad=True)
    ga.conv1d(x, w, padding=1).sum().backward()
    assert x.grad.shape == (0, 2, 5)
    assert np.array_equal(w.grad.numpy(), np.zeros((3, 2, 2)))


def test_third_derivative():
    """conv is bilinear: sum conv(x + tu, w + tv)^3 is a polynomial in t."""
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(2, 1, 2, 5))
    w, v = rng.normal(size=(2, 2, 2, 3))

    def f(t):
        return (ga.conv1d(x + t * u, w + t * v, padding=1) ** 3).sum()

    a, c = definitions.conv(x, w, padding=1), definitions.conv(u, v, padding=1)
    b = definitions.conv(x, v, padding=1) + definitions.conv(u, w, padding=1)
    # (a + b t + c t^2)^3: the coefficient of t^3 is b^3 + 6 a b c.
    expected = 6 * (b**3 + 6 * a * b * c).sum()
    third = ga.grad(ga.grad(ga.grad(f)))(0.0).item()
    scale = 6 * (np.abs(b) ** 3 + 6 * np.abs(a * b * c)).sum()
    assert abs(third - expected) <= 64 * EPS * 10 * scale


ONES = np.ones


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ga.conv2d(ONES((1, 3, 4, 4)), ONES((2, 2, 3, 3))), "3 channels .* takes 2"),
        (lambda: ga.conv2d(ONES((1, 4, 4, 4)), ONES((2, 4, 3, 3)), groups=2), "in 2 groups, 8"),
        (lambda: ga.conv2d(ONES((1, 4, 4, 4)), ONES((3, 2, 3, 3)), groups=2), "does not divide"),
        (lambda: ga.conv1d(ONES((1, 1, 4)), ONES((1, 1, 7))), "covers 7 values, the input has 4"),
        (lambda: ga.conv1d(ONES((1, 1, 4)), ONES((1, 1, 0))), "covers"),
        (lambda: ga.conv2d(ONES((1, 1, 4)), ONES((1, 1, 2))), "weight of shape .* 4 axes"),
        (lambda: ga.conv2d(ONES((4, 4)), ONES((1, 1, 2, 2))), r"\(N, C, H, W\)"),
        (lambda: ga.conv1d(ONES((1, 1, 4)), ONES((2, 1, 2)), ONES(3)), r"bias .* \(2,\)"),
        (lambda: ga.conv1d(ONES((1, 1, 4)), ONES((1, 1, 2)), stride=0), "stride=0"),
        (lambda: ga.conv1d(ONES((1, 1, 4)), ONES((1, 1, 2)), padding=-1), "padding=-1"),
        (lambda: ga.conv1d(ONES((1, 1, 4)), ONES((1, 1, 2)), padding="full"), "none of 'same'"),
        (lambda: ga.conv2d(ONES((1, 1, 4, 4)), ONES((1, 1, 2, 2)), stride=(1, 2, 3)), "3 numbers"),
        (
            lambda: ga.conv1d(ONES((1, 1, 4)), ONES((1, 1, 2)), stride=2, padding="same"),
            "Use stride 1",
        ),
        (lambda: ga.conv_transpose1d(ONES((1, 2, 4)), ONES((3, 1, 2))), "2 channels .* takes 3"),
        (
            lambda: ga.conv_transpose1d(ONES((1, 1, 4)), ONES((1, 1, 2)), output_padding=1),
            "output_padding",
        ),
        (
            lambda: ga.conv_transpose1d(ONES((1, 1, 1)), ONES((1, 1, 2)), padding=2),
            "Use less padding",
        ),
    ],
)
def test_errors_name_the_op_and_the_mend(call, text):
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert str(caught.value).startswith("conv")


def test_a_stride_that_is_no_integer():
    with pytest.raises(TypeError, match=r"stride=1\.5 is not an integer"):
        ga.conv1d(ONES((1, 1, 4)), ONES((1, 1, 2)), stride=1.5)
