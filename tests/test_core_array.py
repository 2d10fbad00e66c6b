"""GradArray as an array: its values and memory, NumPy's view of it, copies, and what it refuses."""

import copy
import math
import pickle

import numpy as np
import pytest

import gradarray as ga

# Making one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        3.0,
        3,
        True,
        2 + 1j,
        [1, 2],
        [[1.0], [2.0]],
        np.float32(1.5),
        np.array(7),
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.zeros((0, 3)),
        [],
    ],
    ids=repr,
)
def test_values_dtype_and_shape_are_numpys(values):
    x, expected = ga.array(values), np.array(values)
    assert x.shape == expected.shape and x.dtype == expected.dtype
    assert (x.ndim, x.size, x.nbytes) == (expected.ndim, expected.size, expected.nbytes)
    assert x.itemsize == expected.itemsize
    assert x.tolist() == expected.tolist()
    assert type(x._array) is np.ndarray and x._array.shape == expected.shape


def test_dtype():
    assert ga.array([1, 2], dtype=float).dtype == np.float64
    assert ga.array([1.7], dtype="int32").tolist() == [1]
    assert ga.array(ga.array([1, 2]), dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("values", ["text", None, [1, "a"], [object()]])
def test_what_is_not_a_number(values):
    with pytest.raises(ga.DTypeError, match="are not numbers"):
        ga.array(values)


def test_a_ragged_list():
    with pytest.raises(ga.ShapeError, match="array: nested lists of unequal lengths"):
        ga.array([[1.0], [1.0, 2.0]])


def test_the_class_is_not_called():
    with pytest.raises(TypeError, match=r"ga\.array\(values"):
        ga.GradArray([1.0])


@pytest.mark.parametrize("values", [1, [True], np.array([1], np.uint8)], ids=repr)
def test_only_floats_require_a_gradient(values):
    with pytest.raises(ga.DTypeError, match="has no derivative"):
        ga.array(values, requires_grad=True)
    with pytest.raises(ga.DTypeError, match="has no derivative"):
        ga.array(values).requires_grad_()


def test_requires_grad_is_switched_on_leaves_only():
    x = ga.array(1.0)
    assert x.is_leaf and not x.requires_grad
    x.requires_grad = True
    assert x.is_leaf and x.requires_grad and x._grad_op is None
    y = x * 2.0
    assert not y.is_leaf and y.requires_grad and isinstance(y._grad_op, ga.Grad)
    with pytest.raises(ga.GraphError, match=r"multiply.*only a leaf.*\.detach\(\)"):
        y.requires_grad_(False)
    assert y.requires_grad_() is y
    x.requires_grad_(False)
    assert not (x * 2.0).requires_grad


# Whose memory -------------------------------------------------------------------------------------


def test_the_callers_memory_is_copied():
    b = np.array([1.0, 2.0])
    x = ga.array(b, requires_grad=True)
    y = (x * x).sum()
    b[:] = 100
    assert x.tolist() == [1, 2]
    y.backward()
    assert x.grad.tolist() == [2, 4]


@pytest.mark.parametrize(
    "use",
    [
        lambda x, b: x * b,
        lambda x, b: b * x,
        lambda x, b: x @ b,
        lambda x, b: ga.where(b > 1.5, x, b) * b,
        lambda x, b: x / b + b**x,
    ],
    ids=["x * b", "b * x", "x @ b", "where", "divide, power"],
)
def test_a_constant_of_the_callers_may_change_after_it_was_used(use):
    x = ga.array([1.0, 2.0], requires_grad=True)
    b = np.array([1.0, 2.0])
    use(x, b.copy()).sum().backward()
    expected = x.grad.tolist()
    x.zero_grad()
    y = use(x, b).sum()
    b[:] = 100
    y.backward()
    assert x.grad.tolist() == expected


def test_a_cotangent_of_the_callers_is_not_the_gradient():
    x = ga.array([1.0, 2.0], requires_grad=True)
    y_bar = np.array([1.0, 1.0])
    (x + 0.0).backward(y_bar)
    y_bar[:] = 100
    assert x.grad.tolist() == [1, 1]


def test_what_is_assigned_is_copied():
    values = np.array([3.0, 4.0])
    x = ga.array([1.0, 2.0], requires_grad=True)
    x._array = values
    x.grad = values
    y = ga.array([1.0, 2.0], requires_grad=True)
    y._grad = values
    values[:] = 100
    assert x.tolist() == x.grad.tolist() == y.grad.tolist() == [3, 4]


def test_numpy_is_a_read_only_view():
    x = ga.array([1.0, 2.0], requires_grad=True)
    view = x.numpy()
    assert np.shares_memory(view, x._array)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 5


# NumPy asks ---------------------------------------------------------------------------------------


def test_asarray_without_a_gradient():
    x = ga.array([1.0, 2.0])
    view = np.asarray(x)
    assert type(view) is np.ndarray and not view.flags.writeable
    assert np.shares_memory(view, x._array)
    copied = np.array(x)
    copied[0] = 9
    assert x.tolist() == [1, 2]
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.array(x, dtype=np.float32, copy=False)


@pytest.mark.parametrize("ask", [np.asarray, np.array, lambda x: np.asarray([x])])
def test_asarray_with_a_gradient_names_both_ways_out(ask):
    x = ga.array([1.0, 2.0], requires_grad=True)
    for array in (x, x * 2.0):
        with pytest.raises(ga.GraphError, match=r"x\.detach\(\)\.numpy\(\), or x\.numpy\(\)"):
            ask(array)
    assert np.asarray(x.detach()).tolist() == [1, 2]


def test_detach_shares_values_and_has_no_graph():
    x = ga.array([1.0, 2.0], requires_grad=True)
    y = (x * 2.0).detach()
    assert not y.requires_grad and y.is_leaf and y.tolist() == [2, 4]


# One value ----------------------------------------------------------------------------------------


def test_item_float_int_complex_bool():
    x = ga.array([[2.5]])
    assert x.item() == 2.5 and type(x.item()) is float
    assert (float(x), int(x), complex(x), bool(x)) == (2.5, 2, 2.5 + 0j, True)
    assert ga.array([[1, 2], [3, 4]]).item(1, 0) == 3
    assert math.sqrt(ga.array(4.0)) == 2
    assert f"{ga.array(3.14159):.2f}" == "3.14"
    assert not ga.array(0.0)


@pytest.mark.parametrize("dtype", [float, "float32", int, complex])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_numpy_array_does_not_take_a_value_off_its_graph(dtype, shape):
    x, buffer = ga.array(np.full(shape, 2.5), requires_grad=True), np.zeros(2, dtype)
    # For floats NumPy says ValueError, and names our error as its cause.
    with pytest.raises((ga.GraphError, ValueError)) as first:
        buffer[0] = x
    with pytest.raises((ga.GraphError, ValueError)) as second:
        buffer[1] += 2 * x.sum()
    for caught in (first.value, second.value):
        assert "lose its graph" in str(caught.__cause__ or caught)
    assert not buffer.any()
    buffer[0], buffer[1] = x.item(), x.detach().sum()
    assert (buffer == (2 if dtype is int else 2.5)).all()


def test_a_value_that_is_asked_for_may_be_stored_anywhere():
    x = ga.array(2.5, requires_grad=True)
    kept, buffer = {}, np.zeros(2)
    kept["loss"], kept["x"] = float(x), x
    buffer[int(x) - 1] = float(x)
    assert kept["loss"] == 2.5 and kept["x"] is x and buffer.tolist() == [0, 2.5]


def test_many_values_are_not_one():
    x = ga.array([1.0, 2.0])
    with pytest.raises(ValueError, match=r"item: an array of shape \(2,\) is not one number"):
        x.item()
    with pytest.raises(ValueError, match=r"ambiguous.*\.any\(\) or \.all\(\)"):
        bool(x)
    with pytest.raises(ValueError, match="not one number"):
        float(x)


def test_as_an_index():
    assert [10, 20, 30][ga.array(1)] == 20
    for wrong in (ga.array(1.0), ga.array([1])):
        with pytest.raises(TypeError, match="only a 0-d integer array"):
            [10, 20][wrong]


def test_len():
    assert len(ga.array([[1.0], [2.0], [3.0]])) == 3
    with pytest.raises(TypeError, match="0-d"):
        len(ga.array(1.0))


def test_hashed_by_identity_and_compared_by_value():
    x, y = ga.array([1.0, 2.0]), ga.array([1.0, 3.0])
    assert (x == y).tolist() == [True, False]
    assert len({x, y, x}) == 2 and {x: "x"}[x] == "x"


# Copies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copied_leaf_is_a_leaf_of_its_own(duplicate):
    x = ga.array([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    other = duplicate(x)
    assert other.requires_grad and other.is_leaf and other.grad.tolist() == [2, 4]
    assert not np.shares_memory(other._array, x._array)
    assert not np.shares_memory(other._grad, x._grad)
    other.zero_grad()
    (other * 3.0).sum().backward()
    assert x.grad.tolist() == [2, 4] and other.grad.tolist() == [3, 3]


def test_deepcopy_keeps_what_was_shared():
    x = ga.array(1.0, requires_grad=True)
    first, second = copy.deepcopy([x, x])
    assert first is second


def test_an_intermediate_is_neither_copied_nor_pickled():
    y = ga.array(1.0, requires_grad=True) * 2.0
    with pytest.raises(ga.GraphError, match=r"multiply.*\.detach\(\)"):
        copy.deepcopy(y)
    with pytest.raises(ga.GraphError, match=r"\.detach\(\)"):
        pickle.dumps(y)


@pytest.mark.parametrize("requires_grad", [True, False])
def test_pickle_of_a_leaf(requires_grad):
    x = ga.array([[1.0, 2.0]], dtype=np.float32, requires_grad=requires_grad)
    other = pickle.loads(pickle.dumps(x))
    assert other.requires_grad == requires_grad and other.dtype == np.float32
    assert other.tolist() == x.tolist()
    scalar = pickle.loads(pickle.dumps(ga.array(2.0, requires_grad=True)))
    (scalar * scalar).backward()
    assert scalar.shape == () and scalar.grad.item() == 4
