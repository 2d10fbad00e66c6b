"""Normalisation layers against NumPy: values, running statistics, modes, gradients, errors."""

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn
from gradarray.testing import check

RNG = np.random.default_rng(3)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # tens of eps, and division by a standard deviation near 1
BATCHES = {
    nn.BatchNorm1d: [(6, 4), (3, 4, 5)],
    nn.BatchNorm2d: [(3, 4, 5, 2)],
    nn.BatchNorm3d: [(2, 4, 3, 2, 2)],
}
CASES = [(kind, shape) for kind, shapes in BATCHES.items() for shape in shapes]


def channels(values, ndim):
    return np.reshape(values, (-1, *(1,) * (ndim - 2)))


def randomised(layer):
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return layer


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_batch_norm_in_training(kind, shape):
    layer = randomised(kind(4, eps=0.01, momentum=0.3, dtype="float64"))
    x = RNG.normal(1, 2, shape)
    axes = (0, *range(2, x.ndim))
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    w, b = (channels(p.numpy(), x.ndim) for p in (layer.weight, layer.bias))
    expected = (x - mean) / np.sqrt(var + 0.01) * w + b
    assert np.allclose(layer(x).numpy(), expected, **CLOSE)
    assert np.allclose(layer.running_mean.numpy(), 0.3 * mean.ravel(), **CLOSE)
    unbiased = x.var(axes, ddof=1)
    assert np.allclose(layer.running_var.numpy(), 0.7 + 0.3 * unbiased, **CLOSE)
    assert float(layer.num_batches_tracked) == 1.0


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_batch_norm_in_eval_uses_the_running_statistics(kind, shape):
    layer = randomised(kind(4, dtype="float64"))
    layer.load_state_dict(
        {"running_mean": np.arange(4.0), "running_var": np.arange(1.0, 5.0)}, strict=False
    )
    layer.eval()
    before = layer.state_dict()
    x = RNG.normal(size=shape)
    mean, var = channels(np.arange(4.0), x.ndim), channels(np.arange(1.0, 5.0), x.ndim)
    std = np.sqrt(var + 1e-5)
    w, b = (channels(p.numpy(), x.ndim) for p in (layer.weight, layer.bias))
    assert np.allclose(layer(x).numpy(), (x - mean) / std * w + b, **CLOSE)
    after = layer.state_dict()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert layer(x[:1]).shape == x[:1].shape


def test_momentum_none_is_the_mean_over_batches():
    layer = nn.BatchNorm1d(2, momentum=None, dtype="float64")
    batches = [RNG.normal(size=(5, 2)) for _ in range(3)]
    for x in batches:
        layer(x)
    means = [x.mean(0) for x in batches]
    assert np.allclose(layer.running_mean.numpy(), np.mean(means, 0), **CLOSE)
    variances = [x.var(0, ddof=1) for x in batches]
    assert np.allclose(layer.running_var.numpy(), np.mean(variances, 0), **CLOSE)
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0.0, 0.0]
    assert float(layer.num_batches_tracked) == 0.0


def test_batch_norm_without_scale_or_without_statistics():
    x = RNG.normal(size=(5, 2))
    plain = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    layer = nn.BatchNorm1d(2, affine=False, dtype="float64")
    assert np.allclose(layer(x).numpy(), plain, **CLOSE)
    assert list(layer.state_dict()) == ["running_mean", "running_var", "num_batches_tracked"]
    layer = nn.BatchNorm1d(2, track_running_stats=False, dtype="float64").eval()
    assert np.allclose(layer(x).numpy(), plain, **CLOSE)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert list(nn.BatchNorm1d(2, bias=False).parameters_dict()) == ["weight"]


def test_running_statistics_are_handles_outside_the_graph():
    layer = nn.BatchNorm1d(2)
    handles = list(layer.buffers())
    y = layer(ga.array(RNG.normal(size=(5, 2)), requires_grad=True))
    assert [a is b for a, b in zip(handles, layer.buffers(), strict=True)] == [True] * 3
    assert not any(b.requires_grad for b in layer.buffers())
    assert [b.dtype.name for b in layer.buffers()] == ["float32", "float32", "float64"]
    assert y.dtype == np.float32
    # They also follow what was computed inside a transform, as values.
    ga.grad(lambda x: layer(x).sum())(ga.array(RNG.normal(size=(5, 2))))
    assert not any(b.requires_grad for b in layer.buffers())
    assert float(layer.num_batches_tracked) == 2.0


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradients(training):
    mean, var = ga.array(RNG.normal(size=3)), ga.array(RNG.uniform(0.5, 2, 3))
    w, b = RNG.uniform(0.5, 1.5, 3), RNG.normal(size=3)

    def f(x, w, b):
        # Copies: the function must not depend on how often it was called.
        stats = (ga.array(mean), ga.array(var))
        return nn.functional.batch_norm(x, *stats, w, b, training)

    check(f, RNG.normal(size=(4, 3, 2)), w, b)


def test_batch_norm_errors():
    layer = nn.BatchNorm2d(4)
    with pytest.raises(ga.ShapeError, match=r"takes \(N, C, H, W\) with C=4 channels"):
        layer(np.ones((2, 3, 5, 5)))
    with pytest.raises(ga.ShapeError, match=r"\(2, 4\)"):
        layer(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"1 value per channel.*model\.eval\(\)"):
        nn.BatchNorm1d(4)(np.ones((1, 4)))
    with pytest.raises(ValueError, match="no running statistics"):
        nn.functional.batch_norm(np.ones((2, 4)), None, None)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.InstanceNorm1d, (3, 4, 5)),
        (nn.InstanceNorm2d, (2, 4, 3, 3)),
        (nn.InstanceNorm3d, (2, 4, 2, 3, 2)),
    ],
)
def test_instance_norm(kind, shape):
    x = RNG.normal(1, 2, shape)
    axes = tuple(range(2, x.ndim))
    plain = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    assert np.allclose(kind(4)(x).numpy(), plain, **CLOSE)
    assert np.allclose(kind(4)(x[0]).numpy(), plain[0], **CLOSE)
    layer = randomised(kind(4, affine=True, track_running_stats=True, dtype="float64"))
    w, b = (channels(p.numpy(), x.ndim) for p in (layer.weight, layer.bias))
    assert np.allclose(layer(x).numpy(), plain * w + b, **CLOSE)
    assert np.allclose(layer.running_mean.numpy(), 0.1 * x.mean(axes).mean(0), **CLOSE)
    unbiased = x.var(axes, ddof=1).mean(0)
    assert np.allclose(layer.running_var.numpy(), 0.9 + 0.1 * unbiased, **CLOSE)
    with pytest.raises(ga.ShapeError, match="C=4 channels"):
        kind(4)(x[:, :3])


@pytest.mark.parametrize("shape", [3, (3,), (2, 3)])
def test_layer_norm(shape):
    layer = randomised(nn.LayerNorm(shape, eps=0.01, dtype="float64"))
    x = RNG.normal(1, 2, (5, 2, 3))
    axes = tuple(range(-len(layer.normalized_shape), 0))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.01)
    expected = expected * layer.weight.numpy() + layer.bias.numpy()
    assert np.allclose(layer(x).numpy(), expected, **CLOSE)
    check(lambda v: ga.layer_norm(v, shape, layer.weight.numpy(), eps=0.01), x)


def test_layer_norm_options_and_errors():
    assert list(nn.LayerNorm(3, elementwise_affine=False).parameters()) == []
    assert list(nn.LayerNorm(3, bias=False).parameters_dict()) == ["weight"]
    with pytest.raises(ga.ShapeError, match=r"\(5, 4\), normalized_shape \(3,\)"):
        nn.LayerNorm(3)(np.ones((5, 4)))
    # Rows of one value have no variance, and eps keeps them finite.
    x = ga.array(np.full((1, 3), 7.0), requires_grad=True)
    y = nn.LayerNorm(3)(x)
    assert y.tolist() == [[0.0, 0.0, 0.0]]
    y.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_rms_norm():
    x = RNG.normal(1, 2, (5, 3))
    for eps in (None, 0.1):
        layer = randomised(nn.RMSNorm(3, eps=eps, dtype="float64"))
        under = (x**2).mean(-1, keepdims=True) + (np.finfo(float).eps if eps is None else eps)
        assert np.allclose(layer(x).numpy(), x / np.sqrt(under) * layer.weight.numpy(), **CLOSE)
    assert list(nn.RMSNorm(3, elementwise_affine=False).parameters()) == []


def test_group_norm_lies_between_layer_and_instance_norm():
    x = RNG.normal(1, 2, (3, 4, 5))
    layer = randomised(nn.GroupNorm(2, 4, dtype="float64"))
    grouped = x.reshape(3, 2, 10)
    expected = (grouped - grouped.mean(-1, keepdims=True)) / np.sqrt(
        grouped.var(-1, keepdims=True) + 1e-5
    )
    w, b = (channels(p.numpy(), 3) for p in (layer.weight, layer.bias))
    assert np.allclose(layer(x).numpy(), expected.reshape(x.shape) * w + b, **CLOSE)
    one = nn.GroupNorm(1, 4, affine=False)(x).numpy()
    assert np.allclose(one, nn.LayerNorm((4, 5), elementwise_affine=False)(x).numpy(), **CLOSE)
    each = nn.GroupNorm(4, 4, affine=False)(x).numpy()
    assert np.allclose(each, nn.InstanceNorm1d(4)(x).numpy(), **CLOSE)


def test_group_norm_errors():
    with pytest.raises(ValueError, match="num_groups=3 must divide num_channels=4"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ga.ShapeError, match="C=4 channels"):
        nn.GroupNorm(2, 4)(np.ones((2, 6)))
    with pytest.raises(ga.ShapeError, match="3 groups do not divide 4 channels"):
        ga.group_norm(np.ones((2, 4)), 3)


def test_normalize_and_cosine_similarity_of_nothing():
    zeros = ga.array(np.zeros((2, 3)), requires_grad=True)
    y = ga.normalize(zeros)
    y.sum().backward()
    assert np.isfinite(zeros.grad.numpy()).all()
    gradient = ga.grad(lambda x: ga.cosine_similarity(x, ga.ones((2, 3))).sum())(
        ga.array(np.zeros((2, 3)))
    )
    assert np.isfinite(gradient.numpy()).all()
    same = ga.array(np.ones((2, 3)))
    gradient = ga.grad(lambda x: ga.pairwise_distance(x, same).sum())(same)
    assert np.isfinite(gradient.numpy()).all()
