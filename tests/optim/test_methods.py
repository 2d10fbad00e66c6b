"""Each method against its published equations, written out here in NumPy, one step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import optim

STEPS = 25
# Two ways to write one step differ by a few roundings; over 25 contracting steps they stay below
# a few hundred eps. A wrong term is 1e-3 or more.
TOLERANCE = 1e-12

Update = Callable[[np.ndarray, np.ndarray], np.ndarray]


def decayed(p: np.ndarray, g: np.ndarray, o: dict[str, Any]) -> np.ndarray:
    g = -g if o.get("maximize") else g
    return g + o.get("weight_decay", 0) * p


def sgd(o: dict[str, Any]) -> Update:
    state: dict[str, Any] = {}
    mu = o.get("momentum", 0)

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = decayed(p, g, o)
        if not mu:
            return p - o["lr"] * g
        if "b" in state:
            state["b"] = mu * state["b"] + (1 - o.get("dampening", 0)) * g
        else:
            state["b"] = g
        return p - o["lr"] * (g + mu * state["b"] if o.get("nesterov") else state["b"])

    return update


def adam(o: dict[str, Any], decoupled: bool = False) -> Update:
    b1, b2 = o.get("betas", (0.9, 0.999))
    s: dict[str, Any] = {"t": 0, "m": 0.0, "v": 0.0, "top": 0.0}

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        if decoupled:
            g = -g if o.get("maximize") else g
            p = p - o["lr"] * o["weight_decay"] * p
        else:
            g = decayed(p, g, o)
        s["t"] += 1
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["v"] = b2 * s["v"] + (1 - b2) * g**2
        s["top"] = np.maximum(s["top"], s["v"])
        v = s["top"] if o.get("amsgrad") else s["v"]
        m_hat, v_hat = s["m"] / (1 - b1 ** s["t"]), v / (1 - b2 ** s["t"])
        return p - o["lr"] * m_hat / (np.sqrt(v_hat) + o.get("eps", 1e-8))

    return update


def adamw(o: dict[str, Any]) -> Update:
    return adam({"weight_decay": 1e-2, **o}, decoupled=True)


def adamax(o: dict[str, Any]) -> Update:
    b1, b2 = o.get("betas", (0.9, 0.999))
    s: dict[str, Any] = {"t": 0, "m": 0.0, "u": 0.0}

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = decayed(p, g, o)
        s["t"] += 1
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["u"] = np.maximum(b2 * s["u"], np.abs(g) + o.get("eps", 1e-8))
        return p - o["lr"] / (1 - b1 ** s["t"]) * s["m"] / s["u"]

    return update


def nadam(o: dict[str, Any]) -> Update:
    b1, b2 = o.get("betas", (0.9, 0.999))
    psi = o.get("momentum_decay", 4e-3)
    s: dict[str, Any] = {"t": 0, "m": 0.0, "v": 0.0}

    def mu(i: int) -> float:
        return b1 * (1 - 0.5 * 0.96 ** (i * psi))

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        if o.get("decoupled_weight_decay"):
            p = p - o["lr"] * o["weight_decay"] * p
            g = -g if o.get("maximize") else g
        else:
            g = decayed(p, g, o)
        s["t"] += 1
        t = s["t"]
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["v"] = b2 * s["v"] + (1 - b2) * g**2
        upto = np.prod([mu(i) for i in range(1, t + 1)])
        m_hat = mu(t + 1) * s["m"] / (1 - upto * mu(t + 1)) + (1 - mu(t)) * g / (1 - upto)
        return p - o["lr"] * m_hat / (np.sqrt(s["v"] / (1 - b2**t)) + o.get("eps", 1e-8))

    return update


def radam(o: dict[str, Any]) -> Update:
    b1, b2 = o.get("betas", (0.9, 0.999))
    s: dict[str, Any] = {"t": 0, "m": 0.0, "v": 0.0}
    rho_inf = 2 / (1 - b2) - 1

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        if o.get("decoupled_weight_decay"):
            p = p - o["lr"] * o["weight_decay"] * p
            g = -g if o.get("maximize") else g
        else:
            g = decayed(p, g, o)
        s["t"] += 1
        t = s["t"]
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["v"] = b2 * s["v"] + (1 - b2) * g**2
        m_hat = s["m"] / (1 - b1**t)
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        if rho <= 5:
            return p - o["lr"] * m_hat
        top = (rho - 4) * (rho - 2) * rho_inf
        r = np.sqrt(top / ((rho_inf - 4) * (rho_inf - 2) * rho))
        scale = np.sqrt(1 - b2**t) / (np.sqrt(s["v"]) + o.get("eps", 1e-8))
        return p - o["lr"] * m_hat * r * scale

    return update


def rmsprop(o: dict[str, Any]) -> Update:
    alpha = o.get("alpha", 0.99)
    s: dict[str, Any] = {"v": 0.0, "a": 0.0, "b": 0.0}

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = decayed(p, g, o)
        s["v"] = alpha * s["v"] + (1 - alpha) * g**2
        s["a"] = alpha * s["a"] + (1 - alpha) * g
        variance = s["v"] - s["a"] ** 2 if o.get("centered") else s["v"]
        s["b"] = o.get("momentum", 0) * s["b"] + g / (np.sqrt(variance) + o.get("eps", 1e-8))
        return p - o["lr"] * s["b"]

    return update


def adagrad(o: dict[str, Any]) -> Update:
    s: dict[str, Any] = {"t": 0, "sum": o.get("initial_accumulator_value", 0.0)}

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = decayed(p, g, o)
        lr = o["lr"] / (1 + s["t"] * o.get("lr_decay", 0))
        s["t"] += 1
        s["sum"] = s["sum"] + g**2
        return p - lr * g / (np.sqrt(s["sum"]) + o.get("eps", 1e-10))

    return update


def adadelta(o: dict[str, Any]) -> Update:
    rho, eps = o.get("rho", 0.9), o.get("eps", 1e-6)
    s: dict[str, Any] = {"v": 0.0, "u": 0.0}

    def update(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = decayed(p, g, o)
        s["v"] = rho * s["v"] + (1 - rho) * g**2
        delta = np.sqrt(s["u"] + eps) / np.sqrt(s["v"] + eps) * g
        s["u"] = rho * s["u"] + (1 - rho) * delta**2
        return p - o["lr"] * delta

    return update


METHODS: list[tuple[type[optim.Optimizer], Callable[[dict[str, Any]], Update], dict[str, Any]]] = [
    (optim.SGD, sgd, {"lr": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "weight_decay": 0.2, "maximize": True}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8, "dampening": 0.3}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8, "nesterov": True}),
    (optim.Adam, adam, {"lr": 0.1}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.1, "weight_decay": 0.1}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.7), "amsgrad": True, "maximize": True}),
    (optim.AdamW, adamw, {"lr": 0.1}),
    (optim.AdamW, adamw, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    (optim.Adamax, adamax, {"lr": 0.1}),
    (optim.Adamax, adamax, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.1, "weight_decay": 0.1}),
    (optim.NAdam, nadam, {"lr": 0.1}),
    (optim.NAdam, nadam, {"lr": 0.1, "momentum_decay": 0.3, "weight_decay": 0.1}),
    (
        optim.NAdam,
        nadam,
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
    ),
    (optim.RAdam, radam, {"lr": 0.1}),
    (optim.RAdam, radam, {"lr": 0.1, "betas": (0.9, 0.9), "weight_decay": 0.1}),
    (optim.RAdam, radam, {"lr": 0.1, "betas": (0.9, 0.5)}),
    (optim.RAdam, radam, {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.RMSprop, rmsprop, {"lr": 0.1}),
    (optim.RMSprop, rmsprop, {"lr": 0.1, "alpha": 0.7, "momentum": 0.8, "weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {"lr": 0.1, "centered": True, "eps": 0.1, "maximize": True}),
    (optim.RMSprop, rmsprop, {"lr": 0.1, "centered": True, "eps": 0.1, "momentum": 0.8}),
    (optim.Adagrad, adagrad, {"lr": 0.1}),
    (
        optim.Adagrad,
        adagrad,
        {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "weight_decay": 0.1},
    ),
    (optim.Adadelta, adadelta, {"lr": 1.0}),
    (optim.Adadelta, adadelta, {"lr": 0.7, "rho": 0.6, "eps": 0.1, "weight_decay": 0.1}),
]
IDS = [f"{m.__name__}-{'-'.join(k for k in o if k != 'lr')}" for m, _, o in METHODS]
SHAPES = [(3, 4), (), (5,)]


def gradients(seed: int = 1) -> Iterator[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        yield [np.asarray(rng.normal(size=s)) for s in SHAPES]


def starts() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.asarray(rng.normal(size=s)) for s in SHAPES]


def run(method: Any, options: dict[str, Any], dtype: Any = np.float64) -> list[ga.GradArray]:
    params = [ga.array(p.astype(dtype), requires_grad=True) for p in starts()]
    optimizer = method(params, **options)
    for grads in gradients():
        for p, g in zip(params, grads, strict=True):
            p.grad = ga.array(g.astype(dtype))
        optimizer.step()
    return params


@pytest.mark.parametrize(("method", "reference", "options"), METHODS, ids=IDS)
def test_equations(method: Any, reference: Any, options: dict[str, Any]) -> None:
    expected = starts()
    updates = [reference(options) for _ in SHAPES]
    for grads in gradients():
        expected = [u(p, g) for u, p, g in zip(updates, expected, grads, strict=True)]
    for p, q in zip(run(method, options), expected, strict=True):
        assert p.dtype == np.float64
        assert p.is_leaf
        assert p.requires_grad
        np.testing.assert_allclose(p.numpy(), q, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(("method", "reference", "options"), METHODS, ids=IDS)
def test_recorded_step_is_the_plain_one(
    method: Any, reference: Any, options: dict[str, Any]
) -> None:
    """In a mode other than the default the same update runs on GradArrays: the same bits."""
    plain = run(method, options)
    with ga.no_grad():
        recorded = run(method, options)
    for p, q in zip(plain, recorded, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize(("method", "reference", "options"), METHODS, ids=IDS)
def test_float32_stays_float32(
    method: Any, reference: Any, options: dict[str, Any], recorded: bool
) -> None:
    """0-d float64 state promotes nothing, and the result is that of float64 to float32's digits."""
    exact = run(method, options)
    with ga.no_grad() if recorded else nullcontext():
        params = run(method, options, np.float32)
    for p, q in zip(params, exact, strict=True):
        assert p.dtype == np.float32
        # 25 steps of a few roundings of 6e-8 each, relative to numbers of size 1; quotients g / s
        # of small numbers lose a digit more.
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("method", "reference", "options"), METHODS, ids=IDS)
def test_slots_keep_shape_and_dtype(method: Any, reference: Any, options: dict[str, Any]) -> None:
    params = [ga.array(p.astype(np.float32), requires_grad=True) for p in starts()]
    optimizer = method(params, **options)
    before = {id(p): dict(state) for p, state in optimizer.state.items()}
    for p in params:
        p.grad = ga.array(np.ones(p.shape, np.float32))
    optimizer.step()
    for p in params:
        state = optimizer.state[p]
        assert {k: id(v) for k, v in state.items()} == {
            k: id(v) for k, v in before[id(p)].items()
        }, "slots are made once and bound to new values"
        for name, slot in state.items():
            counter = name in method.counters
            assert slot.dtype == (np.float64 if counter else np.float32)
            assert slot.shape == (() if counter else p.shape)
            assert not slot.requires_grad
        assert state["step"].item() == 1
