"""Making arrays: nested lists, leaves, dtypes, NumPy's constants."""

import math

import numpy as np
import pytest

import gradarray as ga


def test_nested_lists_are_stacked_with_their_derivatives():
    rotation = lambda t: ga.array([[ga.cos(t), -ga.sin(t)], [ga.sin(t), ga.cos(t)]])
    t = 0.3
    y, y_dot = ga.jvp(rotation, (t,), (1.0,))
    c, s = math.cos(t), math.sin(t)
    np.testing.assert_allclose(y.numpy(), [[c, -s], [s, c]], rtol=1e-15)
    np.testing.assert_allclose(y_dot.numpy(), [[-s, -c], [c, -s]], rtol=1e-15)


def test_lists_may_mix_arrays_and_numbers():
    x = ga.array([1.0, 2.0], requires_grad=True)
    y = ga.array([x, [3, x[0]], np.array([5.0, 6.0])])
    assert y.tolist() == [[1, 2], [3, 1], [5, 6]]
    y.sum().backward()
    assert x.grad.tolist() == [2, 1]
    assert ga.array([x, x], dtype="float32").dtype == np.float32


def test_a_copy_is_differentiable_unless_told_otherwise():
    x = ga.array([1.0, 2.0], requires_grad=True)
    y = ga.array(x)
    assert y.requires_grad and not y.is_leaf
    (y * y).sum().backward()
    assert x.grad.tolist() == [2, 4]
    assert not ga.array(x, requires_grad=False).requires_grad
    leaf = ga.array([x, x], requires_grad=True)
    assert leaf.is_leaf and leaf.requires_grad
    assert ga.asarray(x) is x and ga.asarray(x, dtype="float32").requires_grad


def test_a_copy_has_its_own_memory():
    x = ga.array([1.0, 2.0])
    for y in (x.copy(), ga.array(x), ga.copy(x)):
        assert not np.shares_memory(x._array, y._array)


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: ga.zeros((2, 2), **k),
        lambda **k: ga.ones(3, **k),
        lambda **k: ga.empty(2, **k),
        lambda **k: ga.full(3, 2.0, **k),
        lambda **k: ga.full(3, ga.array(2.0, requires_grad=True), **k),
        lambda **k: ga.zeros_like(np.ones(2), **k),
        lambda **k: ga.ones_like(np.ones(2), **k),
        lambda **k: ga.empty_like(np.ones(2), **k),
        lambda **k: ga.full_like(np.ones(2), 3.0, **k),
        lambda **k: ga.eye(2, **k),
        lambda **k: ga.identity(2, **k),
        lambda **k: ga.arange(3.0, **k),
        lambda **k: ga.linspace(0, 1, 3, **k),
        lambda **k: ga.logspace(0, 1, 3, **k),
        lambda **k: ga.geomspace(1, 2, 3, **k),
    ],
)
def test_a_leaf_on_request(make):
    x = make(requires_grad=True)
    assert x.is_leaf and x.requires_grad
    (x * x).sum().backward()
    assert np.array_equal(x.grad.numpy(), 2 * x.detach().numpy())


def test_integers_cannot_require_a_gradient():
    with pytest.raises(ga.DTypeError, match="no derivative"):
        ga.arange(3, requires_grad=True)


def test_full_spreads_its_value():
    value = ga.array([1.0, 2.0], requires_grad=True)
    ga.full((3, 2), value).sum().backward()
    assert value.grad.tolist() == [3, 3]
    assert ga.full((2,), value, dtype="float32").dtype == np.float32


def test_ends_of_lines_are_exact():
    a = ga.array([0.1, -0.7], requires_grad=True)
    y = ga.linspace(a, 0.3, 7)
    assert np.array_equal(y[0].numpy(), a.numpy()) and y[-1].tolist() == [0.3, 0.3]
    y = ga.geomspace(a, [0.7, -0.1], 5)
    assert np.array_equal(y[0].numpy(), a.numpy()) and y[-1].tolist() == [0.7, -0.1]
    assert ga.linspace(a, 1.0, 1).shape == (1, 2) and ga.linspace(a, 1.0, 0).shape == (0, 2)


def test_the_step_of_a_line():
    a = ga.array(1.0, requires_grad=True)
    step = ga.linspace(a, 2.0, 5, retstep=True)[1]
    assert step.item() == 0.25
    step.backward()
    assert a.grad.item() == -0.25
    assert ga.linspace(0, 1, 4, endpoint=False, retstep=True)[1].item() == 0.25


def test_errors():
    a = ga.array(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"start \+ step \* ga.arange"):
        ga.arange(a)
    with pytest.raises(ValueError, match="an end is 0"):
        ga.geomspace(0.0, 1.0)
    with pytest.raises(ValueError, match="num is -1"):
        ga.linspace(0.0, 1.0, -1)
    with pytest.raises(ValueError, match="'xy' or 'ij'"):
        ga.meshgrid([1.0], [2.0], indexing="yx")
    with pytest.raises(ga.ShapeError, match="argument 1 is no vector"):
        ga.meshgrid([1.0], [[2.0]])
    with pytest.raises(ga.ShapeError, match="takes a vector"):
        ga.vander([[1.0]])
    with pytest.raises(ga.ShapeError, match=r"array 0 has shape \(\) and array 1 has shape \(1,\)"):
        ga.array([a, [a]])


def test_constants_are_numpys():
    assert ga.float64 is np.float64 and ga.int32 is np.int32 and ga.bool_ is np.bool_
    assert (ga.pi, ga.e, ga.inf, ga.newaxis) == (math.pi, math.e, math.inf, None)
    assert math.isnan(ga.nan)
    assert ga.zeros(2, dtype=ga.float32)[:, ga.newaxis].shape == (2, 1)


def test_vander_at_zero():
    # x^0 is 1 at 0 too, and its derivative 0.
    y_dot = ga.jvp(lambda x: ga.vander(x, 3), (np.zeros(1),), (np.ones(1),))[1]
    assert y_dot.tolist() == [[0, 1, 0]]


# Edits --------------------------------------------------------------------------------------------


def test_insert_and_delete_are_inverse():
    x = ga.array(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = ga.insert(x, [1, 3], 7.0, axis=1)
    assert np.array_equal(y.numpy(), np.insert(x.numpy(), [1, 3], 7.0, axis=1))
    z = ga.delete(y, [1, 4], axis=1)
    assert np.array_equal(z.numpy(), x.numpy())
    (z * z).sum().backward()
    assert np.array_equal(x.grad.numpy(), 2 * x.numpy())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: ga.delete(x, 7), IndexError, "delete: index 7 is out of bounds"),
        (lambda x: ga.insert(x, 9, 1.0), IndexError, "insert: index 9 is out of bounds"),
        (lambda x: ga.insert(x, [0, 1], [1.0] * 3), ga.ShapeError, "do not fit into 2 places"),
        (lambda x: ga.resize(x, -2), ga.ShapeError, "lengths are 0 or more"),
        (lambda x: ga.reshape(x, (2, 2)), ga.ShapeError, "has 3 values and shape .2, 2. has 4"),
        (lambda x: x.reshape(2, -1), ga.ShapeError, "needs a multiple of 2"),
        (lambda x: x.reshape(-1, -1), ga.ShapeError, "one of them may be -1"),
        (lambda x: x.reshape(-1, 0), ga.ShapeError, "needs|not determined"),
        (lambda x: x.reshape(3, order="A"), ValueError, "order is 'A'"),
        (lambda x: ga.transpose(x, (0, 0)), ga.ShapeError, "Name each axis once"),
        (lambda x: ga.moveaxis(x, (0, 0), (0, 0)), ValueError, "each once"),
        (lambda x: ga.squeeze(x, 0), ga.ShapeError, r"axis 0 of shape \(3,\) has length 3"),
        (lambda x: ga.matrix_transpose(x), ga.ShapeError, "no two axes"),
        (lambda x: ga.broadcast_to(x, (3, 2)), ga.ShapeError, "broadcast_to"),
        (lambda x: ga.broadcast_arrays(x, np.ones(2)), ga.ShapeError, r"\(3,\), \(2,\) do not"),
        (lambda x: ga.repeat(x, [1, 2]), ga.ShapeError, "one for each place"),
        (lambda x: ga.pad(x, 1, "linear_ramp"), ValueError, "Known are constant, edge, reflect"),
        (lambda x: ga.pad(x, [[1, 2], [3, 4]]), ga.ShapeError, "one pair for each axis"),
        (lambda x: ga.pad(x, -1), ValueError, "from 0 on"),
        (lambda x: ga.diagonal(x), ga.ShapeError, "no two axes"),
        (lambda x: ga.diag(1.0), ga.ShapeError, "a vector or a matrix"),
        (lambda x: ga.tril(1.0), ga.ShapeError, "no triangle"),
        (lambda x: ga.flip(x, 1), np.exceptions.AxisError, "flip: axis 1"),
        (lambda x: ga.fliplr(x), ga.ShapeError, "no axis 1"),
        (lambda x: ga.roll(x, (1, 2, 3), (0, 0)), ValueError, "3 shifts for 2 axes"),
        (lambda x: ga.rot90(x[None], axes=(0, 0)), ValueError, "one axis twice"),
        (lambda x: ga.take(x, [0.5]), IndexError, "must be integers, not float64"),
        (lambda x: ga.take(x, 5), IndexError, "out of bounds"),
        (lambda x: ga.take(x, 5, mode="nearest"), ValueError, "'raise', 'wrap' and 'clip'"),
        (lambda x: ga.gather(x, [[0]], 0), ga.ShapeError, "ga.take takes an index of any shape"),
        (lambda x: ga.gather(x[None], [[0], [1]], 1), ga.ShapeError, "along axis 0 the index"),
        (lambda x: ga.scatter_add(x, [3], 1.0, 0), IndexError, "index 3 is out of bounds"),
        (lambda x: ga.bincount([-1]), ValueError, "from 0 on, not -1"),
        (lambda x: ga.bincount([1], [1.0, 2.0]), ga.ShapeError, "weights of shape"),
        (lambda x: ga.select([x > 0], []), ValueError, "1 conditions and 0 choices"),
        (lambda x: ga.choose([2], [x[:1], x[:1]]), IndexError, "out of bounds"),
        (lambda x: ga.nonzero(x[0]), ga.ShapeError, "atleast_1d"),
        (lambda x: ga.compress([[True]], x), ga.ShapeError, "the condition is a vector"),
    ],
)
def test_errors_of_form(call, error, words):
    x = ga.array([1.0, 2.0, 3.0])
    with pytest.raises(error, match=words) as caught:
        call(x)
    assert "test_create.py" in str(caught.value)  # the user's line
