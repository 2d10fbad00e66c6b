"""Linear, Bilinear, Embedding, reshaping: closed forms, dtypes, shapes, errors."""

import math

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn
from gradarray.testing import check

RNG = np.random.default_rng(2)


def test_linear_is_x_w_transposed_plus_b():
    layer = nn.Linear(3, 2, dtype="float64")
    x = RNG.normal(size=(4, 3))
    w, b = layer.weight.numpy(), layer.bias.numpy()
    assert np.allclose(layer(x).numpy(), x @ w.T + b, rtol=1e-15, atol=1e-15)
    assert layer(x[0]).shape == (2,)
    assert layer(RNG.normal(size=(2, 5, 4, 3))).shape == (2, 5, 4, 2)
    assert layer(np.zeros((0, 3))).shape == (0, 2)


def test_its_gradients_are_those_of_the_layer_recursion():
    layer = nn.Linear(3, 2, dtype="float64")
    x = ga.array(RNG.normal(size=(4, 3)), requires_grad=True)
    g = RNG.normal(size=(4, 2))
    layer(x).backward(g)
    # dW = sum over the batch of g h^T, db = sum of g, dx = W^T g.
    assert np.allclose(layer.weight.grad.numpy(), np.einsum("no,ni->oi", g, x.detach().numpy()))
    assert np.allclose(layer.bias.grad.numpy(), g.sum(0))
    assert np.allclose(x.grad.numpy(), g @ layer.weight.numpy())


def test_a_stack_of_inputs_is_a_longer_batch():
    layer = nn.Linear(3, 2, dtype="float64")
    x = RNG.normal(size=(2, 5, 3))
    assert np.allclose(
        layer(x).numpy().reshape(10, 2), layer(x.reshape(10, 3)).numpy(), rtol=1e-14, atol=1e-15
    )
    check(lambda w, b: ga.linear(x, w, b), layer.weight.numpy(), layer.bias.numpy())


def test_layers_start_within_one_over_the_root_of_the_inputs():
    layer = nn.Linear(400, 300)
    bound = 1 / math.sqrt(400)
    for parameter in (layer.weight, layer.bias):
        values = parameter.numpy()
        assert np.abs(values).max() <= bound
        # A uniform variable on [-k, k] has variance k^2/3; a sample of n is off by 1/sqrt(n).
        relative = values.var() / (bound**2 / 3) - 1
        assert abs(relative) < 5 / math.sqrt(values.size)
    assert nn.Linear(3, 2, bias=False).bias is None


def test_inputs_are_cast_to_the_layers_dtype():
    single, double = nn.Linear(2, 2), nn.Linear(2, 2, dtype=np.float64)
    assert single(np.ones(2)).dtype == np.float32
    assert single(ga.ones(2, dtype="float16")).dtype == np.float32
    assert double(np.ones(2, np.float32)).dtype == np.float64
    assert single([1, 2]).dtype == np.float32
    x = ga.array([1.0, 2.0], requires_grad=True)
    single(x).sum().backward()
    assert x.grad.dtype == np.float64
    for values, mend in ((np.ones(2, int), "only Embedding"), (np.ones(2, complex), "x.real")):
        with pytest.raises(ga.DTypeError, match=mend):
            single(values)
    with pytest.raises(ga.DTypeError, match="'int32' is not a floating dtype"):
        nn.Linear(2, 2, dtype="int32")


def test_shapes_that_do_not_fit():
    with pytest.raises(ga.ShapeError, match=r"\(4, 5\), weight .* \(2, 3\): the last axis"):
        nn.Linear(3, 2)(np.ones((4, 5)))
    with pytest.raises(ga.ShapeError, match="linear"):
        nn.Linear(3, 2)(1.0)
    with pytest.raises(ValueError, match="not -1"):
        nn.Linear(-1, 2)
    with pytest.raises(ValueError, match=r"not 2\.0"):
        nn.Linear(3, 2.0)


def test_bilinear():
    layer = nn.Bilinear(3, 4, 2, dtype="float64")
    a, b = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 4))
    expected = np.einsum("ni,oij,nj->no", a, layer.weight.numpy(), b) + layer.bias.numpy()
    assert np.allclose(layer(a, b).numpy(), expected, rtol=1e-14, atol=1e-14)
    assert np.abs(layer.weight.numpy()).max() <= 1 / math.sqrt(3)
    with pytest.raises(ga.ShapeError, match="bilinear"):
        layer(a, b[:, :2])


def test_identity_takes_anything():
    assert nn.Identity(1, 2, key=3)(5) == 5
    assert nn.Identity(1, key=3).get_config() == {}


def test_embedding():
    layer = nn.Embedding(5, 3, padding_idx=-1, dtype="float64")
    assert layer.padding_idx == 4
    assert layer.weight.numpy()[4].tolist() == [0.0, 0.0, 0.0]
    index = np.array([[0, 4], [2, 0]])
    assert np.array_equal(layer(index).numpy(), layer.weight.numpy()[index])
    g = RNG.normal(size=(2, 2, 3))
    layer(index).backward(g)
    expected = np.zeros((5, 3))
    np.add.at(expected, index, g)
    expected[4] = 0
    assert np.allclose(layer.weight.grad.numpy(), expected)
    assert repr(layer) == "Embedding(5, 3, padding_idx=4)"


def test_embedding_errors():
    layer = nn.Embedding(5, 3)
    for bad in (5, -1):
        with pytest.raises(IndexError, match=rf"index {bad} at \[1\] is out of range: there are 5"):
            layer(np.array([0, bad]))
    with pytest.raises(ga.DTypeError, match="integers, not float64"):
        layer(np.array([0.0]))
    with pytest.raises(ValueError, match="padding_idx=5"):
        nn.Embedding(5, 3, padding_idx=5)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_rows_that_are_asked_for_are_scaled_down_to_max_norm(p):
    table = np.array([[3.0, 4.0], [6.0, 8.0], [0.3, 0.4], [0.0, 0.0]])
    layer = nn.Embedding.from_pretrained(table, freeze=False, max_norm=5.0, norm_type=p)
    y = layer(ga.array([[1, 2], [3, 1]]))
    expected = table.copy()
    expected[1] *= 5.0 / np.linalg.norm(table[1], p)  # row 0 was not asked for
    np.testing.assert_allclose(layer.weight.numpy(), expected, rtol=1e-7)  # PyTorch's 1e-7
    np.testing.assert_array_equal(y.numpy(), layer.weight.numpy()[[[1, 2], [3, 1]]])
    y.sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [2, 2], [1, 1], [1, 1]]


def test_max_norm_in_a_functional_call_leaves_the_callers_table_and_has_no_derivative():
    layer = nn.Embedding(2, 2, max_norm=1.0, dtype="float64")
    table = ga.array([[3.0, 4.0], [0.3, 0.4]])
    f = lambda w: (nn.functional_call(layer, {"weight": w}, ga.array([0, 1])) ** 2).sum()
    value, slope = ga.value_and_grad(f)(table)
    assert table.tolist() == [[3.0, 4.0], [0.3, 0.4]]
    np.testing.assert_allclose(value.item(), 1.25, rtol=1e-6)
    np.testing.assert_allclose(slope.numpy(), [[1.2, 1.6], [0.6, 0.8]], rtol=1e-6)


def test_the_gradient_of_a_row_may_be_divided_by_how_often_it_was_asked_for():
    table, x = np.arange(8.0).reshape(4, 2), np.array([[1, 2, 1], [1, 0, 2]])
    layer = nn.Embedding(4, 2, scale_grad_by_freq=True, dtype="float64")
    layer.load_state_dict({"weight": table / 7})
    y = layer(ga.array(x))
    np.testing.assert_array_equal(y.numpy(), (table / 7)[x])
    w = np.arange(12.0).reshape(2, 3, 2)
    (y * w).sum().backward()
    sums = np.zeros((4, 2))
    np.add.at(sums, x, w)
    expected = sums / np.array([1, 3, 2, 1])[:, None]
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, rtol=1e-15)


def test_a_pretrained_table_is_frozen_unless_asked():
    table = RNG.normal(size=(4, 2))
    layer = nn.Embedding.from_pretrained(table)
    assert np.array_equal(layer.weight.numpy(), table)
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


def test_flatten_and_unflatten():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(nn.Flatten()(x).numpy(), x.reshape(2, 12))
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert nn.Flatten(-2)(x).shape == (2, 12)
    assert nn.Unflatten(1, (3, -1))(x.reshape(2, 12)).shape == (2, 3, 4)
    assert np.array_equal(nn.Unflatten(-1, (3, 4))(x.reshape(2, 12)).numpy(), x)
    with pytest.raises(ga.ShapeError, match="start_dim=2 is behind end_dim=1"):
        nn.Flatten(2, 1)(x)
    with pytest.raises(ga.ShapeError, match="length 12, which is not 5 x -1"):
        nn.Unflatten(1, (5, -1))(x.reshape(2, 12))
    assert nn.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)
