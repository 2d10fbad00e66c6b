"""LBFGS: known minima, the conditions of its line search, resuming."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import optim
from gradarray.optim.line_search import CURVATURE, DECREASE, Point, cubic_minimum, strong_wolfe


def rosenbrock(x: Any) -> Any:
    u, v = x[0], x[1]
    return 100 * (v - u * u) * (v - u * u) + (1 - u) * (1 - u)


def closure_of(optimizer: optim.Optimizer, x: ga.GradArray, f: Any) -> Any:
    def closure() -> ga.GradArray:
        optimizer.zero_grad()
        loss = f(x)
        loss.backward()
        return loss

    return closure


def test_rosenbrock() -> None:
    x = ga.array([-1.2, 1.0], requires_grad=True)
    optimizer = optim.LBFGS(
        [x], max_iter=100, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )
    first = optimizer.step(closure_of(optimizer, x, rosenbrock))
    assert first.item() == pytest.approx(24.2, rel=1e-14)  # the known value at the start
    np.testing.assert_allclose(x.numpy(), [1.0, 1.0], atol=1e-8)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_quadratic(search: str | None) -> None:
    """The minimum of x.A x / 2 - b.x is A^-1 b."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    a, b = root @ root.T / 6 + np.eye(6), rng.normal(size=6)
    x = ga.array(np.zeros(6), requires_grad=True)
    optimizer = optim.LBFGS(
        [x], max_iter=60, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn=search
    )
    optimizer.step(
        closure_of(optimizer, x, lambda x: (x * (ga.array(a) @ x)).sum() / 2 - (b * x).sum())
    )
    # |x - x*| <= |g| / (smallest eigenvalue, at least 1), and g is at most 1e-12 or the last
    # change of f, of size g^2, was below rounding.
    np.testing.assert_allclose(x.numpy(), np.linalg.solve(a, b), atol=1e-7)


def test_several_parameters_are_one_vector() -> None:
    w = ga.array(np.ones((2, 2)), requires_grad=True)
    b = ga.array(3.0, requires_grad=True)
    unused = ga.array([5.0], requires_grad=True)
    target = np.array([[1.0, -2.0], [0.5, 4.0]])
    optimizer = optim.LBFGS([w, b, unused], line_search_fn="strong_wolfe")

    def closure() -> ga.GradArray:
        optimizer.zero_grad()
        error = w - target
        loss = (error * error).sum() + (b - 7.0) * (b - 7.0)
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(w.numpy(), target, atol=1e-8)
    assert b.item() == pytest.approx(7.0, abs=1e-8)
    assert b.shape == ()
    assert unused.item() == 5.0


def test_float32_stays_float32() -> None:
    x = ga.array(np.array([-1.2, 1.0], np.float32), requires_grad=True)
    a = np.array([2.0, 3.0], np.float32)
    optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe")
    optimizer.step(closure_of(optimizer, x, lambda x: ((x - a) * (x - a) * a).sum()))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.numpy(), a, rtol=1e-6)
    assert optimizer.state[x]["old_dirs"].dtype == np.float32


def test_history_is_limited() -> None:
    x = ga.array([-1.2, 1.0], requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=60, history_size=3, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(optimizer, x, rosenbrock))
    assert optimizer.state[x]["old_dirs"].shape == (3, 2)
    assert optimizer.state[x]["old_stps"].shape == (3, 2)
    assert rosenbrock(x).item() < 1e-4


def test_evaluations_are_counted_and_limited() -> None:
    x = ga.array([-1.2, 1.0], requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=50, max_eval=7)
    inner = closure_of(optimizer, x, rosenbrock)
    calls = []

    def closure() -> ga.GradArray:
        calls.append(x.numpy().copy())
        return inner()

    optimizer.step(closure)
    assert len(calls) == 7
    assert optimizer.state[x]["func_evals"].item() == 7


def test_it_stays_at_a_minimum() -> None:
    x = ga.array([1.0, 1.0], requires_grad=True)
    optimizer = optim.LBFGS([x])
    optimizer.step(closure_of(optimizer, x, rosenbrock))
    np.testing.assert_array_equal(x.numpy(), [1.0, 1.0])
    assert optimizer.state[x]["n_iter"].item() == 0


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_resumed_equals_uninterrupted(search: str | None) -> None:
    def made(values: Any) -> tuple[ga.GradArray, optim.LBFGS, Any]:
        x = ga.array(values, requires_grad=True)
        optimizer = optim.LBFGS([x], lr=0.1, max_iter=4, line_search_fn=search)
        return x, optimizer, closure_of(optimizer, x, rosenbrock)

    x, whole, closure = made([-1.2, 1.0])
    for _ in range(3):
        whole.step(closure)
    y, first, closure = made([-1.2, 1.0])
    first.step(closure)
    z, second, closure = made(y.numpy())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(2):
        second.step(closure)
    np.testing.assert_array_equal(z.numpy(), x.numpy())


def test_refusals() -> None:
    x, y = (ga.array([1.0], requires_grad=True) for _ in range(2))
    with pytest.raises(ValueError, match="takes one group"):
        optim.LBFGS([{"params": [x]}, {"params": [y]}])
    optimizer = optim.LBFGS([x])
    with pytest.raises(TypeError, match="needs a closure"):
        optimizer.step()
    with pytest.raises(ga.GraphError, match="no parameter has a gradient"):
        optimizer.step(lambda: 1.0)


# The line search alone ----------------------------------------------------------------------------


def line(f: Any, df: Any) -> tuple[Any, Point]:
    return lambda t: Point(t, f(t), df(t), None), Point(0.0, f(0.0), df(0.0), None)


@pytest.mark.parametrize("t", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize(
    ("f", "df"),
    [
        # Test functions of More and Thuente, "Line search algorithms with guaranteed sufficient
        # decrease", 1994, section 5, and a parabola.
        (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
        (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
        (
            lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
            lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3,
        ),
    ],
)
def test_both_conditions_hold(f: Any, df: Any, t: float) -> None:
    evaluate, start = line(f, df)
    found, count = strong_wolfe(evaluate, start, t, 1e-12)
    assert found.f <= start.f + DECREASE * found.t * start.slope
    assert abs(found.slope) <= -CURVATURE * start.slope
    assert 1 <= count <= 25


def test_a_value_that_is_not_finite_is_too_far() -> None:
    def f(t: float) -> float:
        return t - np.log(t / 2 + 1e-3) if t < 5 else float("nan")

    evaluate, start = line(f, lambda t: 1 - 0.5 / (t / 2 + 1e-3))
    found, _ = strong_wolfe(evaluate, start, 50.0, 1e-12)
    assert 0 < found.t < 5
    assert found.f < start.f


def test_cubic_minimum_of_a_cubic_and_of_a_parabola() -> None:
    def point(t: float) -> Point:  # t^3 - 3 t, lowest at 1
        return Point(t, t**3 - 3 * t, 3 * t * t - 3, None)

    assert cubic_minimum(point(0.0), point(2.0), 0.0, 2.0) == pytest.approx(1.0, rel=1e-14)
    assert cubic_minimum(point(2.0), point(0.0), 0.0, 2.0) == pytest.approx(1.0, rel=1e-14)
    assert cubic_minimum(point(0.0), point(0.5), 0.0, 0.5) == 0.5
    down = [Point(t, -t, -1.0, None) for t in (0.0, 1.0)]
    assert cubic_minimum(*down, 2.0, 4.0) == 3.0
