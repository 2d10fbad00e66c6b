"""A value of a trace that is used when the trace is over says which it was, and what to do."""

import pytest

import gradarray as ga

USES = {
    "an operator": lambda v: v + 1,
    "a function": ga.sin,
    "stacked": lambda v: ga.stack([v, v]),
    "read": lambda v: float(v[0]),
    "to NumPy": lambda v: v.numpy(),
    "in a gradient": lambda v: ga.grad(lambda x: (x * v).sum())(ga.array([1.0, 2.0])),
    "in another function": lambda v: ga.compile(lambda x: x * v)(ga.array([1.0, 2.0])),
}


@pytest.mark.parametrize("name", USES)
def test_an_escaped_value_is_named(name):
    leaked = []

    def f(x):
        leaked.append(x * 2)
        return x.sum()

    with pytest.raises(ga.GraphError, match="stores an array float64"):
        ga.compile(f)(ga.array([1.0, 2.0]))
    with pytest.raises(ga.GraphError, match=r"float64\[2\] that was made while"):
        USES[name](leaked[0])
