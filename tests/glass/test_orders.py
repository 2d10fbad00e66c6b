"""Both orders of the chain rule, with operations counted by hand."""

import numpy as np
import pytest

import gradarray as ga


def counts(f, *args):
    found = ga.explain(f)(*args).orders()
    return found.forward, found.reverse, found


def test_a_chain_of_scalars_costs_the_same_both_ways():
    def f(x):
        a = ga.sin(x)
        b = ga.exp(a)
        return ga.sqrt(b)

    forward, reverse, both = counts(f, 0.5)
    assert (forward.sweeps, reverse.sweeps) == (1, 1)
    assert forward.operations == reverse.operations == 3  # one product for each op
    assert both.cheaper == "either"
    assert both.brackets == (
        "forward: ∂f/∂b (∂b/∂a ∂a/∂x)", "reverse: (∂f/∂b ∂b/∂a) ∂a/∂x"
    )  # fmt: skip


@pytest.mark.parametrize(("n", "m"), [(50, 2), (2, 50), (7, 7)])
def test_matrices_wide_in_and_narrow_out_and_the_reverse(n, m):
    """y = B (A x) with A of h by n, B of m by h: one sweep is 2 h n + 2 m h operations."""
    h = 5
    A, B = np.ones((h, n)), np.ones((m, h))
    forward, reverse, both = counts(lambda x: B @ (A @ x), np.ones(n))
    one = 2 * h * n + 2 * m * h
    assert (forward.sweeps, forward.operations) == (n, n * one)
    assert (reverse.sweeps, reverse.operations) == (m, m * one)
    assert both.cheaper == ("either" if n == m else "reverse" if n > m else "forward")
    assert ("cheaper" in str(both)) == (n != m)


def test_a_loss_of_many_inputs_is_cheaper_in_reverse():
    """sum((A x)^2): 2 m n for the matrix, m for the square, m for the sum."""
    m, n = 6, 40
    A = np.ones((m, n))
    forward, reverse, both = counts(lambda x: ((A @ x) ** 2).sum(), np.ones(n))
    assert reverse.operations < forward.operations == n * reverse.operations
    assert 2 * m * n + m <= reverse.operations <= 2 * m * n + 3 * m
    assert both.cheaper == "reverse"


def test_its_sweeps_end_in_the_gradient():
    told = ga.explain(lambda x: ga.sin(x) * ga.exp(x))(0.5)
    lines = told.orders()
    right = f"{np.cos(0.5) * np.exp(0.5) + np.sin(0.5) * np.exp(0.5):.6g}"
    assert lines.forward.lines[-1].endswith(f"= {right}")
    assert lines.reverse.lines[-1].endswith(f"= {right}")


def test_long_sweeps_are_shortened():
    def f(x, ws):
        for w in ws:
            x = ga.sin(x * w)
        return x

    both = ga.explain(f)(0.5, [1.0] * 40).orders()
    assert len(both.forward.lines) > 1000 > len(str(both).splitlines())
    assert f"{len(both.forward.lines) - 200:,} more" in str(both)
