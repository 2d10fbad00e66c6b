"""An index gives a value, not a view: what is assigned to a copy that nothing holds is refused."""

import operator

import pytest

import gradarray as ga

LOST = [
    "x[0][1] = 5.0",
    "x[0][1] += 5.0",
    "x.T[0] = 1.0",
    "x.reshape(-1)[0] = 1.0",
    "x.detach()[0] = 1.0",
    "ga.zeros(3)[0] = 1.0",
    "(x * 2)[0] = 1.0",
]


@pytest.mark.parametrize("statement", LOST)
def test_an_assignment_that_would_be_lost(statement):
    x = ga.zeros((2, 2))
    with pytest.raises(TypeError, match=r"copy that nothing holds.* x\[i, j\] = v"):
        exec(statement, {"x": x, "ga": ga})
    assert x.tolist() == [[0, 0], [0, 0]]


class Holder:
    pass


def kept_by_a_name():
    a = ga.zeros(2)
    a[0] = 1.0
    return a


def kept_by_an_attribute():
    holder = Holder()
    holder.a = ga.zeros(2)
    holder.a[0] = 1.0
    return holder.a


def kept_by_a_list():
    arrays = [ga.zeros(2)]
    arrays[0][0] = 1.0
    return arrays[0]


def kept_by_a_dict():
    arrays = {"a": ga.zeros(2)}
    arrays["a"][0] = 1.0
    return arrays["a"]


def kept_by_a_loop():
    arrays = [ga.zeros(2)]
    for a in arrays:
        a[0] = 1.0
    return arrays[0]


def kept_by_a_closure():
    a = ga.zeros(2)

    def inner():
        a[0] = 1.0

    inner()
    return a


def kept_by_an_argument():
    def change(a):
        a[0] = 1.0
        return a

    return change(ga.zeros(2))


def kept_by_a_handle():
    x = ga.zeros(2)
    x.grad = ga.zeros(2)
    x.grad[0] = 1.0
    return x.grad


def kept_by_a_module():
    layer = ga.nn.Linear(1, 2)
    with ga.no_grad():
        layer.bias[1] = 0.0
        layer.bias[0] = 1.0
    return layer.bias


def by_a_call_of_the_method():
    a = ga.zeros(2)
    a.__setitem__(0, 1.0)
    return a


def by_a_function():
    a = ga.zeros(2)
    operator.setitem(a, 0, 1.0)
    return a


def by_one_index():
    x = ga.zeros((2, 2))
    x[0][...]  # reading twice is fine
    x[0] += 0.0
    x[0, 0] = 1.0
    return x[0]


KEPT = [f for name, f in list(globals().items()) if name.startswith(("kept_", "by_"))]


@pytest.mark.parametrize("change", KEPT, ids=lambda f: f.__name__)
def test_an_assignment_that_is_kept(change):
    assert change().tolist() == [1.0, 0.0]
