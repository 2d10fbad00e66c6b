"""check_op finds what is wrong: each declaration here has one fault, and its message names it."""

import numpy as np
import pytest

import gradarray as ga
from gradarray.record import apply
from gradarray.registry import Function, arr, case
from gradarray.testing import check_op


def declared(fn, reference, *cases, op=None, **more):
    return Function("faulty", fn, (), reference, tuple(cases), op, **more)


def unary(forward, partial, reference=None, name="faulty", **more):
    """An elementwise function with this forward and partial, not in the registry."""

    class FaultyGrad(ga.Elementwise):
        domain = (0.5, 2.0)

    FaultyGrad.name = name
    made = type(
        "FaultyGrad",
        (ga.Elementwise,),
        {"forward": staticmethod(forward), "partials": (partial,), "domain": (0.5, 2.0)},
    )
    return declared(made.of, reference or forward, op=made, **more)


def fails(entry, *words):
    with pytest.raises(AssertionError) as caught:
        check_op(entry)
    text = str(caught.value)
    assert all(word in text for word in ("faulty(", *words)), text


def test_a_right_declaration_passes():
    check_op(unary(np.exp, lambda y: y))
    check_op(unary(np.log, lambda x: 1 / x, orders=4))


def test_unknown_names():
    with pytest.raises(KeyError, match="no public function is named 'tahn'"):
        check_op("tahn")
    with pytest.raises(KeyError, match=r"is not a function of gradarray; test .*check\(f"):
        check_op(len)


def test_no_cases():
    with pytest.raises(AssertionError, match="faulty: no cases"):
        check_op(declared(lambda x: x, lambda x: x))


def test_no_reference():
    fails(declared(lambda x: ga.exp(x), None, case(arr(2))), "nothing to compare")


def test_wrong_value():
    entry = unary(lambda x: np.exp(x) * (1 + 1e-13), lambda y: y, np.exp)
    fails(entry, "float64", "the reference", "got", "expected", "bound")


def test_wrong_value_in_float32_only():
    wrong = lambda x: np.exp(x) * (1 + 1e-4 * (x.dtype == np.float32))
    fails(unary(lambda x: wrong(x).astype(x.dtype), lambda y: y, np.exp), "float32")


def test_wrong_dtype():
    fails(unary(lambda x: np.exp(x) * np.float64(1), lambda y: y, np.exp), "dtype float64")


def test_wrong_shape():
    entry = declared(
        lambda x: ga.sum(x, axis=0), lambda x: np.sum(x, 0, keepdims=True), case(arr(2, 3))
    )
    fails(entry, "shape (3,)", "(1, 3)")


def test_wrong_edge():
    wrong = lambda x: np.where(np.isnan(x), 0, np.exp(x)).astype(x.dtype)
    fails(unary(wrong, lambda y: y, np.exp), "edge values", "nan")


def test_wrong_sign_of_zero():
    wrong = lambda x: np.sqrt(x) + 0 if np.ndim(x) else np.sqrt(x)
    fails(unary(wrong, lambda y: 0.5 / y, np.sqrt), "edge values", "opposite")


def test_integers_taken_otherwise_than_by_the_reference():
    wrong = lambda x: np.square(x.astype(np.float64) if x.dtype.kind in "iu" else x)
    fails(unary(wrong, lambda x: 2 * x, np.square), "int64", "dtype float64")


def test_a_complaint_that_is_missing():
    entry = declared(lambda x: ga.sum(x), np.max, case(arr(1)))
    fails(entry, "empty", "where the reference raises")


def test_a_wrong_partial():
    fails(unary(np.exp, lambda y: 1.0001 * y), "push", "central differences", "difference")


def test_a_partial_wrong_by_less_than_differences_see():
    entry = unary(np.exp, lambda y: (1 + 2e-13) * y)
    fails(entry, "push", "the complex step")


def test_a_partial_of_the_second_order_only():
    # Right in value, but cut off from the graph: the second derivative is 0.
    fails(unary(np.exp, lambda x: ga.exp(ga.stop_gradient(x)) + 0 * x), "second order")


def test_a_partial_that_promotes():
    fails(unary(np.exp, lambda x: ga.exp(ga.astype(x, "float64"))), "float32", "dtype float64")
    hidden = lambda x: ga.astype(ga.exp(ga.astype(x, "float64")), x.dtype)
    fails(unary(np.exp, hidden), "float32", "works in float64")


def test_a_wrong_transpose():
    class FaultyGrad(ga.Linear):
        forward = staticmethod(lambda x: x[..., ::-1].copy())
        transpose = staticmethod(lambda y_bar: y_bar)

    entry = declared(
        lambda x: apply(FaultyGrad, x), lambda x: x[..., ::-1], case(arr(2, 3)), op=FaultyGrad
    )
    fails(entry, "adjoint identity", "<J^T v, w>")


def test_a_linear_op_that_is_not():
    class FaultyGrad(ga.Linear):
        forward = staticmethod(lambda x: x + 1)
        transpose = staticmethod(lambda y_bar: y_bar)

    entry = declared(lambda x: apply(FaultyGrad, x), lambda x: x + 1, case(arr(2)), op=FaultyGrad)
    fails(entry, "push", "central differences")


def test_a_derivative_where_none_is_declared():
    entry = declared(lambda x: ga.exp(x), np.exp, case(arr(2)), differentiable=False)
    fails(entry, "declared without derivative")


def test_no_derivative_where_one_is_declared():
    entry = declared(lambda x: ga.exp(ga.stop_gradient(x)), np.exp, case(arr(2)))
    fails(entry, "push", "central differences")


def test_an_operand_changed_in_place():
    def wrong(x):
        y = np.exp(x)
        if isinstance(x, np.ndarray) and x.flags.writeable and not x.flags.c_contiguous:
            x += 1
        return y

    fails(unary(wrong, lambda y: y, np.exp), "operands", "changed in place")


def test_a_function_that_follows_the_memory():
    wrong = lambda x: np.exp(np.ravel(x, "K").reshape(np.shape(x)))
    fails(unary(wrong, lambda y: y, np.exp), "operands")


def test_the_callers_memory_kept():
    entry = declared(
        lambda x: x if isinstance(x, ga.GradArray) else ga.array(x), lambda x: x, case(arr(2))
    )
    check_op(entry)

    from gradarray.array import wrap

    entry = declared(
        lambda x: x if isinstance(x, ga.GradArray) else wrap(x), lambda x: x, case(arr(2))
    )
    fails(entry, "shares the memory")


def test_a_kink_in_the_case_is_said():
    entry = declared(
        lambda x: ga.relu(x), lambda x: np.maximum(x, 0), case(arr(3, low=-1e-4, high=1e-4))
    )
    fails(entry, "differences do not settle", "away from kinks")


def test_a_third_order_fault():
    class FaultyGrad(ga.Elementwise):
        forward = np.sin
        partials = (lambda x: third_wrong(x),)

    class CosGrad(ga.Elementwise):
        forward = np.cos
        partials = (lambda x: -ga.sin(ga.stop_gradient(x)),)

    third_wrong = CosGrad.of
    FaultyGrad.name = "faulty"
    entry = declared(FaultyGrad.of, np.sin, case(arr(2)), op=FaultyGrad)
    check_op(entry)
    fails(declared(entry.fn, np.sin, case(arr(2)), op=FaultyGrad, orders=3), "order 3")
