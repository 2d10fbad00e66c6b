"""Python's operators on GradArrays: as NumPy's, reflected and in place, with derivatives."""

import operator

import numpy as np
import pytest

import gradarray as ga

FLOAT = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
BITS = ["and_", "or_", "xor", "lshift", "rshift"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


def same(got, expected):
    assert isinstance(got, ga.GradArray)
    expected = np.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(got._array, expected)


@pytest.mark.parametrize("name", FLOAT + COMPARISONS)
@pytest.mark.parametrize(
    "other", [2.5, 2, True, np.float32(1.5), np.array([1.0, 2.5, 3.0]), np.array([1, 2, 3])]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_operators_of_numbers_are_numpys(name, other, dtype):
    f = getattr(operator, name)
    x = np.array([1, 2.5, 7]).astype(dtype)
    same(f(ga.array(x), other), f(x, other))
    same(f(other, ga.array(x)), f(other, x))
    same(f(ga.array(x), ga.array(other)), f(x, np.asarray(other)[()]))
    same(f(ga.array(x[1]), other), f(x[1], other))


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("other", [3, np.array([1, 2, 3]), np.uint8(2)])
def test_operators_of_bits_are_numpys(name, other):
    f = getattr(operator, name)
    x = np.array([12, 7, -5])
    same(f(ga.array(x), other), f(x, other))
    same(f(other, ga.array(x)), f(other, x))


@pytest.mark.parametrize("name", ["and_", "or_", "xor"])
def test_operators_of_truth_values_are_numpys(name):
    f = getattr(operator, name)
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    same(f(ga.array(a), b), f(a, b))
    same(f(b, ga.array(a)), f(b, a))
    same(~ga.array(a), ~a)


def test_unary_operators_are_numpys():
    x = np.array([-1.5, 0.0, 2.25])
    for f in (operator.neg, operator.pos, abs):
        same(f(ga.array(x)), f(x))
        same(f(ga.array(x[0])), f(x[0]))
    same(round(ga.array(x)), np.round(x))
    same(round(ga.array(x), 1), np.round(x, 1))
    same(~ga.array([5, -1]), ~np.array([5, -1]))


@pytest.mark.parametrize("swap", [False, True])
def test_divmod_is_numpys(swap):
    x, y = np.array([7.5, -7.5]), 2.0
    expected = divmod(y, x) if swap else divmod(x, y)
    got = divmod(y, ga.array(x)) if swap else divmod(ga.array(x), y)
    assert isinstance(got, tuple)
    for g, e in zip(got, expected, strict=True):
        same(g, e)


def test_numpy_scalars_and_arrays_on_the_left_record():
    x = ga.array([1.0, 2.0], requires_grad=True)
    for left in (np.float64(3.0), np.array([3.0, 3.0])):
        for f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
            assert f(left, x).requires_grad
            same(f(left, x).detach(), f(left, np.array([1.0, 2.0])))


def test_lists_are_operands():
    same([1.0, 2.0] * ga.array([1.0, 2.0]), [1.0, 4.0])
    same(ga.array([1.0, 2.0]) == [1.0, 0.0], [True, False])


def test_a_stranger_is_equal_to_no_array():
    x = ga.array([1.0, 2.0])
    assert (x == None) is False  # noqa: E711 - what is tested
    assert (x != None) is True  # noqa: E711 - what is tested
    assert (x == "two") is False
    assert x not in [None, "two"]
    assert x in [None, x]
    assert (x == 1 + 0j).tolist() == [True, False]
    with pytest.raises(TypeError):
        x < None


def test_reflected_operators_have_derivatives():
    for f, slope in (
        (lambda x: 3.0 - x, -1.0),
        (lambda x: 3.0 / x, -0.75),
        (lambda x: 3.0**x, 9 * np.log(3.0)),
        (lambda x: 7.0 % x, -3.0),
        (lambda x: 7.0 // x, 0.0),
        (lambda x: divmod(7.0, x)[1], -3.0),
    ):
        # One or two roundings.
        assert float(ga.grad(f)(2.0)) == pytest.approx(slope, rel=4 * np.finfo(float).eps)


# In place -----------------------------------------------------------------------------------------

IN_PLACE = ["iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"]


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("other", [2.0, 3, np.array([1.0, 2.0, 3.0]), np.float32(1.5)])
def test_in_place_operators_give_numpys_values_and_keep_the_dtype(name, dtype, other):
    f = getattr(operator, name)
    x = np.array([1.0, 2.5, 7.0], dtype)
    y = handle = ga.array(x)
    assert f(y, other) is handle
    same(handle, f(x.copy(), other))


@pytest.mark.parametrize("name", ["iand", "ior", "ixor", "ilshift", "irshift"])
def test_in_place_operators_of_bits(name):
    f = getattr(operator, name)
    y = ga.array([12, 7, 5])
    f(y, 2)
    same(y, f(np.array([12, 7, 5]), 2))


@pytest.mark.parametrize(
    ("start", "value", "names"),
    [
        (np.array([1, 2]), 0.5, "float64.*int64"),
        (np.array([True, False]), 1, "int64.*bool"),
        (np.float32([1.0]), 1j, "complex64.*float32"),
    ],
)
def test_a_result_that_does_not_fit_the_dtype_raises_with_both_names(start, value, names):
    x = ga.array(start)
    with pytest.raises(ga.DTypeError, match=rf"\+=.*{names}"):
        x += value
    same(x, start)


def test_in_place_changes_rebind_the_handle_and_differentiate():
    # y = 2x, z = y^2, then y becomes (y + x) y_old: z keeps the y that it was made of.
    x = ga.array([1.0, 3.0], requires_grad=True)
    y = 2 * x
    z = y * y
    y += x
    y *= z
    (y.sum() + z.sum()).backward()
    # y = 3x * 4x^2 = 12 x^3 and z = 4 x^2.
    assert x.grad is not None and x.grad.tolist() == [36 + 8, 36 * 9 + 8 * 3]
    same(z.detach(), [4.0, 36.0])


def test_in_place_matmul():
    x = ga.array([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = handle = x * 1
    y @= np.array([[0.0, 1.0], [1.0, 0.0]])
    assert y is handle and y.tolist() == [[2.0, 1.0], [4.0, 3.0]]
    (y * np.array([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[2.0, 1.0], [4.0, 3.0]]
    with pytest.raises(ga.GraphError, match=r"@=.*no_grad"):
        x @= np.eye(2)
    with pytest.raises(ValueError, match=r"@=: shape \(2, 2\) cannot become \(2, 1\) in place"):
        y @= np.ones((2, 1))


def test_in_place_on_float32_casts_and_differentiates():
    x = ga.array(np.float32([1.0, 2.0]), requires_grad=True)
    y = x * 1
    y *= np.array([0.5, 0.25])
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == np.float32
    assert x.grad.tolist() == [0.5, 0.25]


def test_in_place_on_a_leaf_raises_outside_no_grad():
    x = ga.array([1.0, 2.0], requires_grad=True)
    with pytest.raises(ga.GraphError, match=r"-=.*no_grad"):
        x -= 1.0
    same(x.detach(), [1.0, 2.0])
    with ga.no_grad():
        x -= 1.0
    assert x.is_leaf and x.requires_grad
    same(x.detach(), [0.0, 1.0])
    (x * 3).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [3.0, 3.0]


def test_an_earlier_result_keeps_the_value_of_a_leaf_that_was_stepped():
    x = ga.array([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    with ga.no_grad():
        x += 10.0
    # y was made of the old x; its handle has moved on, so nothing arrives at the new one.
    y.backward()
    assert x.grad is None
    same(x.detach(), [11.0, 12.0])


def test_a_shape_cannot_grow_in_place():
    x = ga.array([1.0])
    with pytest.raises(ValueError, match=r"\+=.*\(1,\).*\(3,\)"):
        x += np.ones(3)
    x = ga.array([1.0, 2.0])
    with pytest.raises(ga.ShapeError, match=r"add.*\(2,\) and \(3,\) do not broadcast"):
        x += np.ones(3)


def test_the_callers_array_is_not_changed():
    mine = np.array([1.0, 2.0])
    x = ga.array(mine)
    x += 1.0
    view = x.numpy()
    x *= 2.0
    assert mine.tolist() == [1.0, 2.0]
    assert view.tolist() == [2.0, 3.0]
