"""Joining and taking apart: what check_op cannot see from one declaration."""

import numpy as np
import pytest

import gradarray as ga
from gradarray import graph
from gradarray.ops.join import ConcatenateGrad, StackGrad


def test_operands_that_need_no_derivative():
    x = ga.array([1.0, 2.0], requires_grad=True)
    y = ga.concatenate([np.zeros(2), x, [5, 6], x])
    (y * np.arange(8.0)).sum().backward()
    assert x.grad.tolist() == [2 + 6, 3 + 7]
    z = ga.stack([1.0, x[0], 2])
    assert z.tolist() == [1, 1, 2] and z.requires_grad


def test_dtypes_meet_and_part_again():
    a = ga.array([1.0], dtype="float32", requires_grad=True)
    b = ga.array([2.0], requires_grad=True)
    y = ga.concatenate([a, b])
    assert y.dtype == np.float64
    y.sum().backward()
    assert a.grad.dtype == np.float32 and b.grad.dtype == np.float64
    assert ga.concatenate([a, a], dtype="float16").dtype == np.float16


def test_an_array_stands_for_its_rows():
    x = ga.array([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert ga.concatenate(x).tolist() == [1, 2, 3, 4]
    y = ga.stack(x, axis=1)
    assert y.tolist() == [[1, 3], [2, 4]]
    (y * np.array([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert x.grad.tolist() == [[1, 3], [2, 4]]


def test_split_after_concatenate_is_identity_in_every_mode():
    x, v = np.arange(6.0), np.arange(6.0) + 1
    f = lambda x: ga.concatenate(ga.split(x**3, [1, 4])[::-1])
    turned = np.concatenate([[4, 5], [1, 2, 3], [0]]).astype(int)
    y, y_dot = ga.jvp(f, (x,), (v,))
    assert np.array_equal(y.numpy(), (x**3)[turned])
    assert np.array_equal(y_dot.numpy(), (3 * x**2 * v)[turned])
    second = ga.grad(lambda x: (ga.grad(lambda x: f(x).sum())(x) * v).sum())(x)
    assert np.array_equal(second.numpy(), 6 * x * v)


def test_only_some_parts_are_used():
    x = ga.array(np.arange(6.0).reshape(3, 2), requires_grad=True)
    a, _, c = ga.unstack(x)
    (a * c).sum().backward()
    assert x.grad.tolist() == [[4, 5], [0, 0], [0, 1]]


def test_the_node_of_a_part_knows_its_input():
    x = ga.array([1.0, 2.0, 3.0], requires_grad=True)
    part = ga.split(x, [1])[1]
    assert part._grad_op.inputs[0] is x
    (x_bar,) = part._grad_op.backward(ga.array([5.0, 7.0]))
    assert x_bar.tolist() == [0, 5, 7]
    whole = part._grad_op.parents[0]
    assert whole.backward((np.array([1.0]), np.array([2.0, 3.0])))[0].tolist() == [1, 2, 3]


def test_many_operands_are_one_node():
    xs = [ga.array(float(n), requires_grad=True) for n in range(3000)]
    y = ga.stack(xs)
    nodes, _ = graph.ancestry([y._node])
    assert len(nodes) == len(xs) + 1
    (y * y).sum().backward()
    assert [x.grad.item() for x in xs[:3]] == [0, 2, 4] and xs[-1].grad.item() == 5998


def test_lists_of_growing_length_leave_nothing_behind():
    x = ga.array([1.0], requires_grad=True)
    known = len(ConcatenateGrad._plans), len(StackGrad._plans)
    for n in range(100, 130):
        ga.concatenate([x] * n).sum().backward()
        ga.stack([x] * n).sum().backward()
    assert (len(ConcatenateGrad._plans), len(StackGrad._plans)) == known
    assert x.grad.item() == 2 * sum(range(100, 130))


def test_lists_of_gradarrays_as_operands():
    a = ga.array(2.0, requires_grad=True)
    y = ga.sum([a, a * a, 1.0]) + ga.sqrt([a * a, 4.0])[0] + (ga.array([1.0, 1.0]) * [a, 3.0])[0]
    y.backward()
    assert a.grad.item() == (1 + 4) + 1 + 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: ga.concatenate([np.ones((2, 3)), np.ones((2, 4))]),
            ga.ShapeError,
            r"along axis 1 array 0, shape \(2, 3\), has length 3 and array 1, shape \(2, 4\), "
            r"has 4. Only axis 0, the joined one, may differ.",
        ),
        (
            lambda: ga.concatenate([np.ones(2), np.ones((2, 1))]),
            ga.ShapeError,
            r"array 0 has 1 axes, shape \(2,\), and array 1 has 2, shape \(2, 1\)",
        ),
        (lambda: ga.concatenate([1.0, 2.0]), ga.ShapeError, "Use ga.stack"),
        (lambda: ga.concatenate([]), ValueError, "no arrays were given"),
        (lambda: ga.concatenate([np.ones(2)], axis=1), np.exceptions.AxisError, "axis 1 is out"),
        (
            lambda: ga.stack([np.ones(2), np.ones(3)]),
            ga.ShapeError,
            r"array 0 has shape \(2,\) and array 1 has shape \(3,\)",
        ),
        (lambda: ga.split(np.ones(5), 2), ga.ShapeError, "length 5, which 2 equal sections do not"),
        (lambda: ga.split(np.ones(5), 0), ValueError, "0 sections"),
        (lambda: ga.vsplit(np.ones(4), 2), ga.ShapeError, "at least 2 axes"),
        (lambda: ga.unstack(1.0), ga.ShapeError, "0-d"),
        (lambda: ga.block([[np.ones(2)], np.ones(2)]), ValueError, "nested 2 deep"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("cuts", [[1, 3], [3, 1], [0, 0], [2, 9], [-1], [-2, -1], [], [4, 2, 3]])
def test_cuts_that_overlap_or_leave_gaps(cuts):
    x = np.arange(5.0)
    found, expected = ga.split(x, cuts), np.split(x, cuts)
    assert [p.tolist() for p in found] == [p.tolist() for p in expected]


def test_block_of_mixed_ranks():
    a, b = np.ones((2, 2)), np.zeros(2)
    assert np.array_equal(ga.block([[a], [b]]).numpy(), np.block([[a], [b]]))
    assert ga.block(3.0).item() == 3
    assert np.array_equal(ga.block([[[a]], [[a]]]).numpy(), np.block([[[a]], [[a]]]))
