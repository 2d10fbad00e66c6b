"""Convolution, pooling and upsampling layers: SciPy's correlation, shapes, names, errors."""

import math

import numpy as np
import pytest
from scipy import ndimage, signal

import gradarray as ga
from gradarray import nn

RNG = np.random.default_rng(6)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}
CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
SPATIAL = (6, 5, 4)


def correlated(x, weight, bias):
    """y[n, o] = b_o + sum over c of x[n, c] correlated with w[o, c], where the kernel fits."""
    def summed(sample, w):
        pairs = zip(sample, w, strict=True)
        return sum(signal.correlate(c, k, mode="valid") for c, k in pairs)

    rows = list(zip(weight, bias, strict=True))
    return np.stack([[b + summed(sample, w) for w, b in rows] for sample in x])


@pytest.mark.parametrize("n", CONVS)
def test_a_convolution_is_scipys_correlation(n):
    layer = CONVS[n](2, 3, 3, dtype="float64")
    x = RNG.normal(size=(2, 2, *SPATIAL[:n]))
    w, b = layer.weight.numpy(), layer.bias.numpy()
    assert np.allclose(layer(x).numpy(), correlated(x, w, b), **CLOSE)
    assert np.allclose(layer(x[0]).numpy(), correlated(x, w, b)[0], **CLOSE)
    strided = CONVS[n](2, 3, 3, stride=2, padding=1, bias=False, dtype="float64")
    strided.load_state_dict({"weight": w})
    padded = np.pad(x, [(0, 0)] * 2 + [(1, 1)] * n)
    every_second = (..., *(slice(None, None, 2),) * n)
    expected = correlated(padded, w, np.zeros(3))[every_second]
    assert np.allclose(strided(x).numpy(), expected, **CLOSE)


@pytest.mark.parametrize(
    ("mode", "numpys"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
@pytest.mark.parametrize("padding", [(2, 1), "same"])
def test_padding_modes_continue_the_image(mode, numpys, padding):
    layer = nn.Conv2d(2, 3, (3, 2), padding=padding, padding_mode=mode, dtype="float64")
    x = RNG.normal(size=(2, 2, 6, 5))
    widths = [(1, 1), (0, 1)] if padding == "same" else [(2, 2), (1, 1)]
    padded = np.pad(x, [(0, 0), (0, 0), *widths], mode=numpys)
    expected = correlated(padded, layer.weight.numpy(), layer.bias.numpy())
    assert np.allclose(layer(x).numpy(), expected, **CLOSE)
    if padding == "same":
        assert layer(x).shape == (2, 3, 6, 5)


def test_groups_are_convolutions_side_by_side():
    layer = nn.Conv1d(4, 6, 3, groups=2, dtype="float64")
    assert layer.weight.shape == (6, 2, 3)
    x = RNG.normal(size=(2, 4, 7))
    w, b = layer.weight.numpy(), layer.bias.numpy()
    halves = [correlated(x[:, :2], w[:3], b[:3]), correlated(x[:, 2:], w[3:], b[3:])]
    assert np.allclose(layer(x).numpy(), np.concatenate(halves, 1), **CLOSE)


@pytest.mark.parametrize("n", TRANSPOSED)
def test_a_transposed_convolution_is_the_transpose(n):
    options = {"stride": 2, "padding": 1, "bias": False, "dtype": "float64"}
    layer = TRANSPOSED[n](3, 2, 3, output_padding=1, **options)
    conv = CONVS[n](2, 3, 3, **options)
    conv.load_state_dict(layer.state_dict())
    small = RNG.normal(size=(2, 3, *(3,) * n))
    large = layer(small)
    assert large.shape == (2, 2, *(6,) * n)
    other = RNG.normal(size=large.shape)
    # <conv(v), u> = <v, conv^T(u)> for all u and v.
    left, right = (conv(other).numpy() * small).sum(), (other * large.numpy()).sum()
    assert left == pytest.approx(right, rel=1e-12)


def test_output_size_picks_among_the_sizes_that_a_stride_leaves_open():
    layer = nn.ConvTranspose1d(1, 1, 3, stride=3)
    x = np.ones((1, 1, 4))
    for size in (12, 13, 14):
        assert layer(x, output_size=[size]).shape == (1, 1, size)
    with pytest.raises(ga.ShapeError, match=r"\(15,\) cannot be reached"):
        layer(x, output_size=[15])


def test_where_weights_start():
    layer = nn.Conv2d(8, 32, 5)
    bound = 1 / math.sqrt(8 * 25)
    values = layer.weight.numpy()
    assert np.abs(values).max() <= bound
    assert abs(values.var() / (bound**2 / 3) - 1) < 5 / math.sqrt(values.size)
    assert np.abs(layer.bias.numpy()).max() <= bound


def test_convolutions_train_in_their_own_dtype():
    layer = nn.Conv2d(1, 2, 3)
    y = layer(RNG.normal(size=(2, 1, 5, 5)))
    assert y.dtype == np.float32
    y.sum().backward()
    assert layer.weight.grad.shape == (2, 1, 3, 3)
    with pytest.raises(ga.DTypeError, match="uint8"):
        layer(np.zeros((2, 1, 5, 5), np.uint8))


def test_convolution_errors():
    layer = nn.Conv2d(3, 4, 3)
    with pytest.raises(ga.ShapeError, match=r"takes \(N, C, H, W\) or \(C, H, W\) with C=3"):
        layer(np.ones((2, 5, 5, 3)))
    with pytest.raises(ga.ShapeError, match="C=3 channels"):
        layer(np.ones((5, 5)))
    with pytest.raises(ValueError, match="groups=2 must divide in_channels=3"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match='padding="same" needs stride=1'):
        nn.Conv2d(3, 4, 3, stride=2, padding="same")
    with pytest.raises(ValueError, match="'full'"):
        nn.Conv2d(3, 4, 3, padding="full")
    with pytest.raises(ValueError, match="padding_mode"):
        nn.Conv2d(3, 4, 3, padding_mode="mirror")
    with pytest.raises(ValueError, match="kernel_size"):
        nn.Conv2d(3, 4, (3, 3, 3))
    with pytest.raises(ValueError, match='pads with "zeros" only'):
        nn.ConvTranspose1d(1, 1, 3, padding_mode="reflect")


# Pooling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3])
def test_pooling_by_blocks(n):
    x = RNG.normal(size=(2, 3, *(4, 6, 4)[:n]))
    shape = [2, 3]
    for length in x.shape[2:]:
        shape += [length // 2, 2]
    blocks = x.reshape(shape)
    axes = tuple(range(3, len(shape), 2))
    layers = {
        "Max": (np.max, {}),
        "Avg": (np.mean, {}),
    }
    for word, (reduce, _) in layers.items():
        layer = getattr(nn, f"{word}Pool{n}d")(2)
        assert np.allclose(layer(x).numpy(), reduce(blocks, axis=axes), **CLOSE)
        adaptive = getattr(nn, f"Adaptive{word}Pool{n}d")(1)
        whole = reduce(x, axis=tuple(range(2, x.ndim)), keepdims=True)
        assert np.allclose(adaptive(x).numpy(), whole, **CLOSE)


def test_pooling_options():
    x = np.array([[[1.0, 3.0, 2.0, 0.0, 5.0]]])
    assert nn.MaxPool1d(2, ceil_mode=True)(x).tolist() == [[[3.0, 2.0, 5.0]]]
    assert nn.MaxPool1d(3, stride=1, padding=1)(x).tolist() == [[[3.0, 3.0, 3.0, 5.0, 5.0]]]
    assert nn.MaxPool1d(2, stride=1, dilation=2)(x).tolist() == [[[2.0, 3.0, 5.0]]]
    values, places = nn.MaxPool1d(2, return_indices=True)(x)
    assert (values.tolist(), places.tolist()) == ([[[3.0, 2.0]]], [[[1, 2]]])
    assert nn.AvgPool1d(2, padding=1)(x).tolist() == [[[0.5, 2.5, 2.5]]]
    padless = nn.AvgPool1d(2, padding=1, count_include_pad=False)
    assert padless(x).tolist() == [[[1.0, 2.5, 2.5]]]
    assert nn.AvgPool2d(2, divisor_override=2)(np.ones((1, 2, 2))).tolist() == [[[2.0]]]
    assert nn.AdaptiveAvgPool2d((None, 1))(np.ones((2, 3, 4, 5))).shape == (2, 3, 4, 1)
    with pytest.raises(ga.DTypeError, match="int64"):
        nn.MaxPool1d(2)(x.astype(int))
    assert repr(nn.MaxPool2d(3, 2)) == (
        "MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)"
    )
    assert nn.MaxPool2d(3, 2).get_config() == {"kernel_size": 3, "stride": 2}


# Other sizes --------------------------------------------------------------------------------------


def test_nearest_repeats_and_drops():
    x = RNG.normal(size=(2, 3, 4, 5))
    twice = nn.Upsample(scale_factor=2)(x).numpy()
    assert np.array_equal(twice, x.repeat(2, 2).repeat(2, 3))
    assert np.array_equal(nn.Upsample(size=(2, 5))(x).numpy(), x[:, :, ::2])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_linear_interpolation_with_corners_is_scipys_zoom(n):
    mode = ("linear", "bilinear", "trilinear")[n - 1]
    x = RNG.normal(size=(1, 1, *(4, 5, 3)[:n]))
    size = (7, 9, 8)[:n]
    got = nn.functional.interpolate(x, size=size, mode=mode, align_corners=True)
    zoom = [b / a for a, b in zip(x.shape[2:], size, strict=True)]
    expected = ndimage.zoom(x[0, 0], zoom, order=1, grid_mode=False)
    assert np.allclose(got.numpy()[0, 0], expected, **CLOSE)


def test_linear_interpolation_without_corners_is_numpys_between_centres():
    x = RNG.normal(size=7)
    for new in (3, 11):
        centres = (np.arange(new) + 0.5) * 7 / new - 0.5
        expected = np.interp(centres, np.arange(7), x)
        got = nn.Upsample(size=new, mode="linear")(x[None, None])
        assert np.allclose(got.numpy().ravel(), expected, **CLOSE)


def test_interpolation_errors():
    x = np.ones((1, 1, 4))
    for kwargs, says in (
        ({"size": 2, "mode": "cubic"}, "mode is 'nearest'"),
        ({}, "either size or scale_factor"),
        ({"size": 2, "scale_factor": 2}, "either size or scale_factor"),
        ({"size": 0}, "positive"),
        ({"size": 2, "align_corners": True}, "align_corners means nothing"),
    ):
        with pytest.raises(ValueError, match=says):
            nn.functional.interpolate(x, **kwargs)
    with pytest.raises(ga.ShapeError, match=r"mode 'bilinear' for an input of shape \(1, 1, 4\)"):
        nn.functional.interpolate(x, size=2, mode="bilinear")
