"""What a step does to the parameters, the graph and the slots; problems with a closed form."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import optim


def test_a_parameter_without_gradient_stays_and_its_count_too() -> None:
    a, b = (ga.array([1.0], requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([a, b], lr=0.1)
    for k in range(3):
        optimizer.zero_grad()
        (a * a if k == 1 else a * a + b * b).sum().backward()
        optimizer.step()
    alone = ga.array([1.0], requires_grad=True)
    other = optim.Adam([alone], lr=0.1)
    for _ in range(2):
        other.zero_grad()
        (alone * alone).sum().backward()
        other.step()
    assert b.item() == alone.item()
    assert optimizer.state[a]["step"].item() == 3
    assert optimizer.state[b]["step"].item() == 2


# Quadratic problems, where the whole path has a closed form --------------------------------------


def descend(optimizer: optim.Optimizer, x: ga.GradArray, k: float, steps: int) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        (x * x * (k / 2)).sum().backward()
        optimizer.step()
    return x.item()


def test_gradient_descent_on_a_parabola() -> None:
    """x_t = (1 - lr k)^t x_0."""
    x = ga.array([2.0], requires_grad=True)
    got = descend(optim.SGD([x], lr=0.1), x, k=3.0, steps=20)
    # 20 multiplications by a rounded factor
    np.testing.assert_allclose(got, 2.0 * 0.7**20, rtol=40 * np.finfo(float).eps)


def test_heavy_ball_on_a_parabola() -> None:
    """(x, b) -> [[1 - lr k, -lr mu], [k, mu]] (x, b), a power of a matrix."""
    lr, mu, k = 0.1, 0.6, 3.0
    matrix = np.array([[1 - lr * k, -lr * mu], [k, mu]])
    x = ga.array([2.0], requires_grad=True)
    got = descend(optim.SGD([x], lr=lr, momentum=mu), x, k, 20)
    expected = np.linalg.matrix_power(matrix, 20) @ [2.0, 0.0]
    np.testing.assert_allclose(got, expected[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("method", [optim.Adam, optim.AdamW, optim.Adamax])
def test_first_step_of_adam_has_the_length_of_the_rate(method: Any) -> None:
    x = ga.array([3.0, -4.0, 1e-3], requires_grad=True)
    optimizer = method([x], lr=0.1, weight_decay=0)
    (x * x).sum().backward()
    before = x.numpy().copy()
    optimizer.step()
    # |g| / (|g| + eps) with |g| = 2e-3 at least and eps = 1e-8
    np.testing.assert_allclose(x.numpy(), before - 0.1 * np.sign(before), atol=0.1 * 5e-6 * 1.01)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (optim.Adam, {"lr": 0.05}),
        (optim.AdamW, {"lr": 0.05, "weight_decay": 0}),
        (optim.Adamax, {"lr": 0.05}),
        (optim.NAdam, {"lr": 0.05}),
        (optim.RAdam, {"lr": 0.05}),
        (optim.RMSprop, {"lr": 0.002}),
        (optim.Adagrad, {"lr": 1.0}),
        (optim.Adadelta, {"lr": 10.0}),
    ],
)
def test_each_method_finds_the_minimum(method: Any, options: dict[str, Any]) -> None:
    """|x - target|^2 with scales 1 and 10; constant rates of sign-like methods stop within lr."""
    target, scale = np.array([0.5, -0.25]), np.array([1.0, 10.0])
    x = ga.array([0.0, 0.0], requires_grad=True)
    optimizer = method([x], **options)
    for _ in range(600):
        optimizer.zero_grad()
        ((x - target) * (x - target) * scale).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(x.numpy(), target, atol=5e-3)


# The graph and the update ------------------------------------------------------------------------


def test_a_result_recorded_before_a_step_keeps_its_derivative() -> None:
    w, v = ga.array([2.0], requires_grad=True), ga.array([3.0], requires_grad=True)
    y = (w * w * v).sum()
    optimizer = optim.SGD([w], lr=1.0)
    w.grad = ga.array([5.0])
    optimizer.step()
    assert w.item() == -3.0
    y.backward()
    assert v.grad is not None
    assert v.grad.item() == 4.0  # w^2 at the value that y was computed from


def test_two_steps_do_not_link_into_one_graph() -> None:
    w = ga.array([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        (w * w).sum().backward(create_graph=True)
        optimizer.step()
        assert w.is_leaf
        assert not optimizer.state[w]["momentum_buffer"].requires_grad


def test_closure_is_evaluated_with_recording_and_its_loss_returned() -> None:
    w = ga.array([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def closure() -> ga.GradArray:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with ga.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 1.0
    assert w.item() == 0.8


def test_zero_grad() -> None:
    w = ga.array([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is not None
    assert w.grad.item() == 0.0
    optimizer.zero_grad()
    assert w.grad is None


def test_a_gradient_of_another_dtype_is_cast() -> None:
    w = ga.array(np.ones(3, np.float32), requires_grad=True)
    w.grad = ga.array(np.ones(3))
    optimizer = optim.Adam([w])
    optimizer.step()
    assert w.dtype == np.float32
    assert optimizer.state[w]["exp_avg"].dtype == np.float32


# Subnormal numbers -------------------------------------------------------------------------------

DECAYING = [
    (optim.SGD, {"momentum": 0.5}, ["momentum_buffer"]),
    (optim.Adam, {"betas": (0.5, 0.25)}, ["exp_avg", "exp_avg_sq"]),
    (optim.AdamW, {"betas": (0.5, 0.25)}, ["exp_avg", "exp_avg_sq"]),
    (optim.Adamax, {"betas": (0.5, 0.25)}, ["exp_avg"]),
    (optim.NAdam, {"betas": (0.5, 0.25)}, ["exp_avg", "exp_avg_sq"]),
    (optim.RAdam, {"betas": (0.5, 0.25)}, ["exp_avg", "exp_avg_sq"]),
    (
        optim.RMSprop,
        {"alpha": 0.25, "centered": True, "momentum": 0.5},
        ["square_avg", "grad_avg", "momentum_buffer"],
    ),
    (optim.Adadelta, {"rho": 0.25}, ["square_avg", "acc_delta"]),
]


@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize(("method", "options", "slots"), DECAYING)
def test_decaying_slots_reach_zero_and_are_never_subnormal(
    method: Any, options: dict[str, Any], slots: list[str], recorded: bool
) -> None:
    tiny = np.finfo(np.float32).tiny
    w = ga.array(np.array([1.0, -2.0], np.float32), requires_grad=True)
    optimizer = method([w], **options)
    w.grad = ga.array(np.array([1.0, -1e-3], np.float32))
    with ga.no_grad() if recorded else nullcontext():
        optimizer.step()
        assert all((abs(optimizer.state[w][name].numpy()) > 0).all() for name in slots)
        w.grad = ga.array(np.zeros(2, np.float32))
        for _ in range(160):  # 2^-149 is the smallest subnormal number
            optimizer.step()
            for name in slots:
                size = abs(optimizer.state[w][name].numpy())
                assert ((size == 0) | (size >= tiny)).all(), name
    assert all((optimizer.state[w][name].numpy() == 0).all() for name in slots)


def test_flush_keeps_what_is_normal_and_what_is_not_a_number() -> None:
    from gradarray.optim.pieces import flush

    tiny = float(np.finfo(np.float64).tiny)
    x = np.array([tiny, -tiny, tiny / 2, -tiny / 2, 0.0, 1.0, np.inf, np.nan])
    with np.errstate(invalid="ignore"):
        y = flush(x, abs(x), tiny)
    np.testing.assert_array_equal(y, [tiny, -tiny, 0, 0, 0, 1, np.inf, np.nan])
