"""What an operation that failed was given, drawn under the user's line."""

import numpy as np
import pytest

import gradarray as ga


def failure_of(f, *args):
    with pytest.raises((ga.ShapeError, ga.DTypeError)) as caught:
        f(*args)
    found = ga.explain.last_error(caught.value)
    assert found.error is caught.value
    return found


def drawn(found):
    """The source line, and what each mark below it says, by the column where it starts."""
    lines = str(found).splitlines()
    at = next(k for k, line in enumerate(lines) if found.source and found.source in line)
    column = lines[at].index(found.source)
    marks = lines[at + 1]
    starts = [
        k for k, c in enumerate(marks) if c == "^" and (k == 0 or marks[k - 1] != "^")
    ]
    labels = {}
    for line in lines[at + 2 : at + 2 + len(starts)]:
        label = line.lstrip(" |")
        labels[len(line) - len(label) - column] = label
    return [(found.source[k - column :], labels[k - column]) for k in starts]


X = ga.array(np.ones((2, 3)), requires_grad=True)


def test_an_operator():
    def f(x):
        y = ga.sin(x)
        return y + ga.ones(4)

    found = failure_of(f, X)
    assert found.source == "return y + ga.ones(4)"
    (a, told_a), (b, told_b) = drawn(found)
    assert a.startswith("y + ") and told_a == "y: (2, 3) float64, made by sin"
    assert b == "ga.ones(4)" and told_b == "ga.ones(4): (4,) float64"
    assert [row.name for row in found.story.rows] == ["X", "y"] or (
        [row.name for row in found.story.rows] == ["x", "y"]
    )
    assert np.array_equal(found.story.rows[-1].value, np.sin(np.ones((2, 3))))


def test_a_call_a_method_and_a_list():
    def call(x):
        return ga.matmul(x, x)

    def method(x):
        return x.reshape(4, 5)

    def joined(x):
        return ga.concatenate([x, ga.ones((2, 2))])

    assert [label for _, label in drawn(failure_of(call, X))] == ["x: (2, 3) float64"] * 2
    assert drawn(failure_of(method, X))[0][1] == "x: (2, 3) float64"
    assert [label for _, label in drawn(failure_of(joined, X))] == [
        "x: (2, 3) float64", "ga.ones((2, 2)): (2, 2) float64"
    ]  # fmt: skip


def test_an_augmented_assignment():
    def f(x):
        y = x * 2
        y += ga.ones(5)
        return y

    found = failure_of(f, X)
    assert found.source == "y += ga.ones(5)"
    assert drawn(found)[0][1] == "y: (2, 3) float64, made by multiply"


def test_functions_in_functions_show_the_innermost_line():
    def inner(h, w):
        return h @ w

    def outer(x):
        h = ga.tanh(x)
        return inner(h, ga.ones((5, 5)))

    found = failure_of(outer, X)
    assert found.source == "return h @ w"
    assert [label for _, label in drawn(found)] == [
        "h: (2, 3) float64, made by tanh", "w: (5, 5) float64"
    ]  # fmt: skip


def test_inside_a_network_the_partial_graph_is_told():
    class Net(ga.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = ga.nn.Linear(3, 4)
            self.w = ga.nn.Parameter(ga.ones((5, 2)))

        def forward(self, x):
            h = ga.relu(self.first(x))
            return h @ self.w

    net = Net()
    found = failure_of(net, ga.ones((2, 3), dtype="float32"))
    assert [label for _, label in drawn(found)] == [
        "h: (2, 4) float32, made by relu", "self.w: (5, 2) float32"
    ] or "self.w: (5, 2)" in str(found)  # fmt: skip
    names = [row.name for row in found.story.rows]
    assert {"first.weight", "first.bias", "h"} <= set(names)
    assert all(row.adjoint is None for row in found.story.rows)
    assert "relu" in str(found) and "Forward" in str(found)


def test_inside_sequential_the_line_is_the_users_call():
    net = ga.nn.Sequential(ga.nn.Linear(3, 4), ga.nn.ReLU(), ga.nn.Linear(5, 2))

    def f(x):
        return net(x)

    found = failure_of(f, ga.ones((2, 3), dtype="float32"))
    assert found.source == "return net(x)"
    assert "(2, 4) float32, made by relu" in str(found)


def test_while_it_is_handled():
    try:
        X + ga.ones(7)
    except ga.ShapeError:
        found = ga.explain.last_error()
    assert "ga.ones(7)" in str(found)


def test_without_source():
    space = {"ga": ga, "X": X}
    found = failure_of(lambda: exec("X + ga.ones(7)", space))
    assert "broadcast" in str(found) and "(7,)" in str(found)


def test_an_error_that_is_not_ours():
    def f(x):
        y = ga.sin(x)
        return y[0] + {}["missing"]

    with pytest.raises(KeyError) as caught:
        f(X)
    assert "missing" in str(ga.explain.last_error(caught.value))


def test_no_error_at_hand():
    with pytest.raises(ga.GraphError, match="no error at hand"):
        ga.explain.last_error()
