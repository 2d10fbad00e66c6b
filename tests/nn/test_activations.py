"""Activations: modules and functions by their formulas, far out, and at their corners."""

import math

import numpy as np
import pytest
from mpmath import mp

import gradarray as ga
from gradarray import nn
from gradarray.choices import table

F = nn.functional
X = np.array([-4.5, -2.5, -0.7, -0.2, 0.3, 0.9, 2.2, 4.7])
EPS = np.finfo(np.float64).eps

FORMULAS = {
    nn.ReLU(): lambda x: max(x, 0),
    nn.ReLU6(): lambda x: min(max(x, 0), 6),
    nn.LeakyReLU(0.2): lambda x: x if x > 0 else 0.2 * x,
    nn.ELU(0.5): lambda x: x if x > 0 else 0.5 * (math.exp(x) - 1),
    nn.CELU(0.5): lambda x: max(0, x) + min(0, 0.5 * (math.exp(x / 0.5) - 1)),
    nn.SELU(): lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    nn.GELU(): lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    nn.GELU("tanh"): lambda x: (
        x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    nn.SiLU(): lambda x: x / (1 + math.exp(-x)),
    nn.Mish(): lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    nn.Softplus(2.0): lambda x: math.log(1 + math.exp(2 * x)) / 2,
    nn.Softplus(1.0, 2.0): lambda x: x if x > 2 else math.log(1 + math.exp(x)),
    nn.Softsign(): lambda x: x / (1 + abs(x)),
    nn.Sigmoid(): lambda x: 1 / (1 + math.exp(-x)),
    nn.Tanh(): math.tanh,
    nn.LogSigmoid(): lambda x: -math.log(1 + math.exp(-x)),
    nn.Hardsigmoid(): lambda x: min(max(x / 6 + 0.5, 0), 1),
    nn.Hardswish(): lambda x: x * min(max(x / 6 + 0.5, 0), 1),
    nn.Hardtanh(-0.5, 1.5): lambda x: min(max(x, -0.5), 1.5),
    nn.Hardshrink(0.6): lambda x: x if abs(x) > 0.6 else 0,
    nn.Softshrink(0.6): lambda x: math.copysign(max(abs(x) - 0.6, 0), x),
    nn.Tanhshrink(): lambda x: x - math.tanh(x),
    nn.Threshold(0.5, -2.0): lambda x: x if x > 0.5 else -2.0,
    nn.PReLU(): lambda x: x if x > 0 else 0.25 * x,
}


@pytest.mark.parametrize("layer", FORMULAS, ids=repr)
def test_modules_follow_their_formulas(layer):
    expected = [FORMULAS[layer](x) for x in X]
    layer = layer.double()
    # The formulas lose digits themselves, up to some tens of eps relative to 1.
    assert np.allclose(layer(X).numpy(), expected, rtol=64 * EPS, atol=64 * EPS)
    assert layer.float()(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("layer", FORMULAS, ids=repr)
def test_modules_are_rebuilt_from_their_config(layer):
    twin = type(layer).from_config(layer.get_config())
    assert repr(twin) == repr(layer)


def test_along_an_axis():
    x = X.reshape(2, 4)
    e = np.exp(x)
    assert np.allclose(nn.Softmax(dim=0)(x).numpy(), e / e.sum(0))
    assert np.allclose(nn.Softmax(dim=1)(x).numpy(), e / e.sum(1, keepdims=True))
    assert np.allclose(nn.LogSoftmax(dim=1)(x).numpy(), np.log(e / e.sum(1, keepdims=True)))
    assert np.allclose(nn.Softmin(dim=1)(x).numpy(), (1 / e) / (1 / e).sum(1, keepdims=True))
    assert np.allclose(nn.GLU()(x).numpy(), x[:, :2] / (1 + np.exp(-x[:, 2:])))
    images = np.ones((2, 5, 3, 3))
    assert np.allclose(nn.Softmax2d()(images).numpy(), 0.2)
    with pytest.raises(ga.ShapeError, match=r"\(N, C, H, W\)"):
        nn.Softmax2d()(x)
    with pytest.raises(ga.ShapeError, match="odd length"):
        nn.GLU()(np.ones(3))


def test_one_slope_per_channel():
    layer = nn.PReLU(2)
    nn.init.set_value(layer.weight, np.array([0.5, 0.25]))
    assert layer(np.full((1, 2, 2), -1.0)).tolist() == [[[-0.5, -0.5], [-0.25, -0.25]]]
    with pytest.raises(ga.ShapeError, match="each of the 3 channels"):
        layer(np.ones((1, 3)))


# Far out ------------------------------------------------------------------------------------------


def gelu_of(x):
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


EXACT = {
    "silu": (ga.silu, lambda x: x / (1 + mp.exp(-x))),
    "mish": (ga.mish, lambda x: x * mp.tanh(mp.log1p(mp.exp(x)))),
    "gelu": (ga.gelu, gelu_of),
    "gelu, tanh": (
        lambda x: ga.gelu(x, "tanh"),
        lambda x: x / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))),
    ),
    "log_sigmoid": (ga.log_sigmoid, lambda x: -mp.log1p(mp.exp(-x))),
    "softplus": (lambda x: ga.softplus(x, threshold=50.0), lambda x: mp.log1p(mp.exp(x))),
    "elu": (ga.elu, lambda x: x if x > 0 else mp.expm1(x)),
    "softsign": (ga.softsign, lambda x: x / (1 + abs(x))),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("x", [-36.0, -8.0, -1e-8, 1e-8, 8.0, 36.0])
def test_values_and_derivatives_keep_their_digits(name, x):
    fn, exact = EXACT[name]
    with mp.workdps(60):
        value, slope = exact(mp.mpf(x)), mp.diff(exact, mp.mpf(x))
        wanted = float(value), float(slope)
        # e^x is as uncertain as x is, by |x| eps of itself, and the normal density by x^2 eps.
        bound = 8 * EPS * (4 + x * x)
    got = ga.value_and_grad(fn)(x)
    for a, b in zip(got, wanted, strict=True):
        assert abs(float(a) - b) <= bound * abs(b)


@pytest.mark.parametrize(
    "name",
    [
        "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus",
        "softsign", "sigmoid", "tanh", "log_sigmoid", "hard_tanh", "hard_sigmoid", "hard_swish",
        "hardshrink", "softshrink", "tanhshrink", "softmax", "log_softmax", "softmin", "glu",
    ],
)  # fmt: skip
def test_nothing_overflows(name):
    fn = getattr(ga, name)
    for dtype, far in (("float32", 1e30), ("float64", 1e300)):
        x = ga.array([-far, -1000.0, 1000.0, far], dtype=dtype, requires_grad=True)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            y = fn(x)
        assert not np.isnan(y.detach().numpy()).any(), name
        y.sum().backward()
        assert np.isfinite(x.grad.numpy()).all(), name


def test_limits_at_infinity():
    inf = np.array([-np.inf, np.inf])
    with np.errstate(invalid="ignore"):
        for fn in (ga.silu, ga.mish, ga.gelu, ga.hard_swish):
            assert fn(inf).tolist() == [0.0, np.inf]
        assert ga.softsign(inf).tolist() == [-1.0, 1.0]
    assert ga.softplus(inf).tolist() == [0.0, np.inf]


# At corners ---------------------------------------------------------------------------------------

CORNERS = {
    "leaky_relu": (lambda x: ga.leaky_relu(x, 0.25), 0.0, (0.25, 1.0)),
    "prelu": (lambda x: ga.prelu(x, ga.array([0.25])), 0.0, (0.25, 1.0)),
    "elu": (lambda x: ga.elu(x, 0.5), 0.0, (0.5, 1.0)),
    "hard_tanh": (ga.hard_tanh, 1.0, (0.0, 1.0)),
    "hard_sigmoid": (ga.hard_sigmoid, -3.0, (0.0, 1 / 6)),
    "hard_swish": (ga.hard_swish, 3.0, (1.0, 1.5)),
    "softshrink": (ga.softshrink, 0.5, (0.0, 1.0)),
    "hardshrink": (ga.hardshrink, 0.5, (0.0, 1.0)),
    "threshold": (lambda x: ga.threshold(x, 0.5, 0.0), 0.5, (0.0, 1.0)),
}


@pytest.mark.parametrize("op", CORNERS)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_corner_takes_the_tables_choice(op, mode):
    fn, at, (low, high) = CORNERS[op]

    def slope(x):
        scalar = lambda v: fn(v.reshape(1)).sum()
        x = ga.array(x)
        return float(ga.grad(scalar)(x) if mode == "reverse" else ga.jvp(scalar, (x,), (1.0,))[1])

    aside = 2.0**-10
    neighbours = sorted([slope(at - aside), slope(at + aside)])
    # hard_swish is a parabola inside, so its slope aside differs by as much as the step.
    assert np.allclose(neighbours, [low, high], atol=aside)
    entry = table[op]
    shares = {0.0, 0.5, 1.0} if entry.high == 1.0 else {0.0, entry.high / 2, entry.high}
    found = []
    for value in sorted(shares):
        with ga.set_subgradient(op, value):
            found.append(slope(at))
    assert np.allclose(sorted(found), [low, (low + high) / 2, high], rtol=4 * EPS)
    assert slope(at) == pytest.approx(found[0], rel=4 * EPS)


def test_both_ends_of_a_box():
    for fn, ends in ((ga.hard_tanh, (-1.0, 1.0)), (ga.relu6, (0.0, 6.0))):
        gradient = ga.grad(lambda x, fn=fn: fn(x).sum())
        assert gradient(ga.array(ends)).tolist() == [0.0, 0.0]
        with ga.set_subgradient("hard_tanh", 1.0):
            assert gradient(ga.array(ends)).tolist() == [1.0, 1.0]


def test_choices_stay_in_float32():
    x = ga.array([-1.0, 0.0, 1.0], dtype="float32", requires_grad=True)
    for op, fn in (("leaky_relu", ga.leaky_relu), ("elu", ga.elu), ("hard_tanh", ga.hard_tanh)):
        with ga.set_subgradient(op, 0.5):
            gradient = ga.grad(lambda v, fn=fn: fn(v).sum())(x)
        assert gradient.dtype == np.float32


def test_bad_arguments_raise():
    for make in (
        lambda: ga.hard_tanh(1.0, 1.0, 1.0),
        lambda: ga.softshrink(1.0, -1.0),
        lambda: ga.hardshrink(1.0, -1.0),
        lambda: ga.gelu(1.0, "sigmoid"),
        lambda: nn.GELU("sigmoid"),
    ):
        with pytest.raises(ValueError, match=r"below|negative|approximate"):
            make()


def test_inplace_is_accepted_and_changes_nothing():
    x = ga.array([-1.0, 2.0])
    layer = nn.ReLU(inplace=True)
    assert layer(x).tolist() == [0.0, 2.0]
    assert x.tolist() == [-1.0, 2.0]
    assert repr(layer) == "ReLU(inplace=True)"
