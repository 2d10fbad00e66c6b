"""Schedulers against their formulas, written out here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import optim
from gradarray.optim import lr_scheduler as ls

BASES = [1.0, 0.3]
STEPS = 24


def make(method: Any = optim.SGD, **options: Any) -> optim.Optimizer:
    groups = [{"params": [ga.array([0.0], requires_grad=True)], "lr": lr} for lr in BASES]
    return method(groups, **options)


def rates(scheduler: Any, steps: int = STEPS) -> np.ndarray:
    out = []
    for _ in range(steps):
        out.append(scheduler.get_last_lr())
        groups = scheduler.optimizer.param_groups
        assert [g["lr"].item() for g in groups] == scheduler.get_last_lr()
        scheduler.step()
    return np.array(out)


def warm_restart(t: int, first: int, mult: int) -> float:
    period = first
    while t >= period:
        t -= period
        period *= mult
    return (1 + math.cos(math.pi * t / period)) / 2


Case = tuple[Any, dict[str, Any], Callable[[int, float], float]]
FORMULAS: list[Case] = [
    (ls.StepLR, {"step_size": 5, "gamma": 0.5}, lambda t, b: b * 0.5 ** (t // 5)),
    (
        ls.MultiStepLR,
        {"milestones": [9, 3, 3], "gamma": 0.5},
        lambda t, b: b * 0.5 ** ((2 if t >= 3 else 0) + (1 if t >= 9 else 0)),
    ),
    (ls.ConstantLR, {}, lambda t, b: b / 3 if t < 5 else b),
    (ls.ConstantLR, {"factor": 0.25, "total_iters": 3}, lambda t, b: b / 4 if t < 3 else b),
    (ls.LinearLR, {}, lambda t, b: b * (1 / 3 + 2 / 3 * min(t, 5) / 5)),
    (
        ls.LinearLR,
        {"start_factor": 0.8, "end_factor": 0.2, "total_iters": 6},
        lambda t, b: b * (0.8 - 0.6 * min(t, 6) / 6),
    ),
    (ls.ExponentialLR, {"gamma": 0.9}, lambda t, b: b * 0.9**t),
    (ls.PolynomialLR, {}, lambda t, b: b * (1 - min(t, 5) / 5)),
    (
        ls.PolynomialLR,
        {"total_iters": 9, "power": 2.5},
        lambda t, b: b * (1 - min(t, 9) / 9) ** 2.5,
    ),
    (
        ls.CosineAnnealingLR,
        {"T_max": 8, "eta_min": 0.01},
        lambda t, b: 0.01 + (b - 0.01) * (1 + math.cos(math.pi * t / 8)) / 2,
    ),
    (
        ls.CosineAnnealingWarmRestarts,
        {"T_0": 5},
        lambda t, b: b * warm_restart(t, 5, 1),
    ),
    (
        ls.CosineAnnealingWarmRestarts,
        {"T_0": 3, "T_mult": 2, "eta_min": 0.01},
        lambda t, b: 0.01 + (b - 0.01) * warm_restart(t, 3, 2),
    ),
    (ls.LambdaLR, {"lr_lambda": lambda t: 1 / (1 + t)}, lambda t, b: b / (1 + t)),
    (ls.MultiplicativeLR, {"lr_lambda": lambda t: 0.9}, lambda t, b: b * 0.9**t),
]
IDS = [f"{c[0].__name__}-{'-'.join(c[1])}" for c in FORMULAS]
# Rates are multiplied step by step, with one or two roundings each; 24 steps.
CLOSE: dict[str, Any] = {"rtol": 1e-13, "atol": 1e-15}


@pytest.mark.parametrize(("kind", "options", "formula"), FORMULAS, ids=IDS)
def test_formula(kind: Any, options: dict[str, Any], formula: Any) -> None:
    expected = [[formula(t, b) for b in BASES] for t in range(STEPS)]
    np.testing.assert_allclose(rates(kind(make(), **options)), expected, **CLOSE)


@pytest.mark.parametrize(("kind", "options", "formula"), FORMULAS[:-1], ids=IDS[:-1])
def test_a_step_to_an_epoch(kind: Any, options: dict[str, Any], formula: Any) -> None:
    scheduler = kind(make(), **options)
    for t in (4, 11, 2):
        scheduler.step(t)
        np.testing.assert_allclose(scheduler.get_last_lr(), [formula(t, b) for b in BASES], **CLOSE)


@pytest.mark.parametrize(("kind", "options", "formula"), FORMULAS, ids=IDS)
def test_resumed_equals_uninterrupted(kind: Any, options: dict[str, Any], formula: Any) -> None:
    whole = rates(kind(make(), **options))
    first = kind(make(), **options)
    rates(first, 7)
    saved = json.dumps([first.state_dict(), first.optimizer.state_dict()["param_groups"]])
    second = kind(make(), **options)
    scheduler_state, groups = json.loads(saved)
    second.load_state_dict(scheduler_state)
    second.optimizer.load_state_dict(
        {"state": first.optimizer.state_dict()["state"], "param_groups": groups}
    )
    np.testing.assert_array_equal(rates(second, STEPS - 7), whole[7:])


def test_lambdas_for_each_group() -> None:
    scheduler = ls.LambdaLR(make(), [lambda t: 0.5**t, lambda t: 1.0])
    np.testing.assert_array_equal(rates(scheduler, 3), [[1.0, 0.3], [0.5, 0.3], [0.25, 0.3]])
    with pytest.raises(ValueError, match="3 functions for 2 parameter groups"):
        ls.MultiplicativeLR(make(), [lambda t: 1.0] * 3)


def test_fractions_of_an_epoch() -> None:
    scheduler = ls.CosineAnnealingWarmRestarts(make(), T_0=2)
    scheduler.step(0.5)
    share = (1 + math.cos(math.pi * 0.25)) / 2
    np.testing.assert_allclose(scheduler.get_last_lr(), [b * share for b in BASES], **CLOSE)


# Cycles -------------------------------------------------------------------------------------------


def triangle(t: int, up: int, down: int) -> float:
    return float(np.interp(t % (up + down), [0, up, up + down], [0, 1, 0]))


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({}, lambda t, cycle: 1.0),
        ({"mode": "triangular2"}, lambda t, cycle: 0.5**cycle),
        ({"mode": "exp_range", "gamma": 0.9}, lambda t, cycle: 0.9**t),
        ({"scale_fn": lambda c: 1 / c}, lambda t, cycle: 1 / (cycle + 1)),
        (
            {"scale_fn": lambda t: 1 / (1 + t), "scale_mode": "iterations"},
            lambda t, cycle: 1 / (1 + t),
        ),
    ],
)
@pytest.mark.parametrize(("up", "down"), [(4, None), (3, 5)])
def test_cyclic(options: dict[str, Any], scale: Any, up: int, down: int | None) -> None:
    optimizer = make(momentum=0.9)
    scheduler = ls.CyclicLR(optimizer, 0.1, [0.5, 0.7], up, down, **options)
    period = up + (down or up)
    for t in range(STEPS):
        h = triangle(t, up, period - up) * scale(t, t // period)
        np.testing.assert_allclose(
            scheduler.get_last_lr(), [0.1 + 0.4 * h, 0.1 + 0.6 * h], rtol=1e-13
        )
        for group in optimizer.param_groups:
            assert group["momentum"].item() == pytest.approx(0.9 - 0.1 * h, rel=1e-13)
        scheduler.step()


def one_cycle(t: int, total: int, share: float, three: bool, values: list[float], cos: bool) -> Any:
    peak = share * total - 1
    ends = [0, peak, 2 * peak, total - 1] if three else [0, peak, total - 1]
    i = next(i for i in range(1, len(ends)) if t <= ends[i])
    s = (t - ends[i - 1]) / (ends[i] - ends[i - 1])
    a, b = values[i - 1], values[i]
    return b + (a - b) * (1 + math.cos(math.pi * s)) / 2 if cos else a + s * (b - a)


@pytest.mark.parametrize("three", [False, True])
@pytest.mark.parametrize("cos", [False, True])
@pytest.mark.parametrize("method", [optim.SGD, optim.Adam])
def test_one_cycle(method: Any, cos: bool, three: bool) -> None:
    optimizer = make(method, **({"momentum": 0.5} if method is optim.SGD else {}))
    scheduler = ls.OneCycleLR(
        optimizer,
        [1.0, 2.0],
        epochs=5,
        steps_per_epoch=4,
        anneal_strategy="cos" if cos else "linear",
        three_phase=three,
    )
    for t in range(20):
        for k, top in enumerate((1.0, 2.0)):
            first, last = top / 25, top / 25 / 1e4
            values = [first, top, first, last] if three else [first, top, last]
            momenta = [0.95, 0.85, 0.95, 0.95] if three else [0.95, 0.85, 0.95]
            group = optimizer.param_groups[k]
            expected = one_cycle(t, 20, 0.3, three, values, cos)
            assert group["lr"].item() == pytest.approx(expected, rel=1e-12)
            held = group["momentum"] if method is optim.SGD else group["betas"][0]
            momentum = one_cycle(t, 20, 0.3, three, momenta, cos)
            assert held.item() == pytest.approx(momentum, rel=1e-12)
        scheduler.step()  # after every one of 20 steps of the optimizer, the last too
    assert scheduler.get_last_lr() == pytest.approx([1 / 25e4, 2 / 25e4], rel=1e-12)
    with pytest.raises(ValueError, match="step 21 of a cycle of 20"):
        scheduler.step()


@pytest.mark.parametrize(
    "kind", [lambda o: ls.CyclicLR(o, 0.1, 1.0), lambda o: ls.OneCycleLR(o, 1.0, 10)]
)
def test_momentum_needs_an_optimizer_that_has_some(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"no momentum to cycle.*cycle_momentum=False"):
        kind(make(optim.Adagrad))


def test_cycle_without_momentum() -> None:
    ls.CyclicLR(make(optim.Adagrad), 0.1, 1.0, cycle_momentum=False).step()


# Schedulers of schedulers -------------------------------------------------------------------------


def test_chained_factors_multiply() -> None:
    optimizer = make()
    scheduler = ls.ChainedScheduler(
        [
            ls.LinearLR(optimizer, 0.5, total_iters=4),
            ls.ExponentialLR(optimizer, 0.9),
            ls.StepLR(optimizer, 5, 0.5),
        ]
    )
    expected = [
        [b * (0.5 + 0.5 * min(t, 4) / 4) * 0.9**t * 0.5 ** (t // 5) for b in BASES]
        for t in range(STEPS)
    ]
    np.testing.assert_allclose(rates(scheduler), expected, **CLOSE)


def sequence(optimizer: optim.Optimizer) -> ls.SequentialLR:
    return ls.SequentialLR(
        optimizer,
        [
            ls.LinearLR(optimizer, 0.25, total_iters=4),
            ls.CosineAnnealingLR(optimizer, T_max=6),
            ls.ExponentialLR(optimizer, 0.5),
        ],
        milestones=[4, 10],
    )


def sequence_rate(t: int, base: float) -> float:
    if t < 4:
        return base * (0.25 + 0.75 * t / 4)
    if t < 10:
        return base * (1 + math.cos(math.pi * (t - 4) / 6)) / 2
    return base * 0.5 ** (t - 10)


def test_sequential() -> None:
    expected = [[sequence_rate(t, b) for b in BASES] for t in range(STEPS)]
    np.testing.assert_allclose(rates(sequence(make())), expected, **CLOSE)


def test_sequential_resumed() -> None:
    whole = rates(sequence(make()))
    first = sequence(make())
    rates(first, 7)
    second = sequence(make())
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    np.testing.assert_array_equal(rates(second, STEPS - 7), whole[7:])
    broken = first.state_dict()
    broken["schedulers"][2] = {"gamma": 1.0}
    before = second.state_dict()
    with pytest.raises(ValueError, match="not the state of a ExponentialLR"):
        second.load_state_dict(broken)
    assert second.state_dict() == before


def test_sequences_nest() -> None:
    optimizer = make()
    inner = sequence(optimizer)
    chain = ls.ChainedScheduler(
        [ls.ConstantLR(optimizer, 0.5, 2), ls.ExponentialLR(optimizer, 0.5)]
    )
    scheduler = ls.SequentialLR(
        optimizer, [ls.ConstantLR(optimizer, 0.1, 99), inner, chain], milestones=[3, 15]
    )
    expected = [
        [
            b * 0.1
            if t < 3
            else sequence_rate(t - 3, b)
            if t < 15
            else b * (0.5 if t < 17 else 1.0) * 0.5 ** (t - 15)
            for b in BASES
        ]
        for t in range(STEPS)
    ]
    np.testing.assert_allclose(rates(scheduler), expected, **CLOSE)


def test_a_multiplicative_scheduler_goes_on_from_the_rate_it_finds() -> None:
    optimizer = make()
    scheduler = ls.SequentialLR(
        optimizer,
        [ls.ExponentialLR(optimizer, 0.5), ls.MultiplicativeLR(optimizer, lambda t: 0.9)],
        milestones=[3],
    )
    expected = [1.0, 0.5, 0.25, 0.25, 0.225]
    np.testing.assert_allclose(rates(scheduler, 5)[:, 0], expected, **CLOSE)


def test_refused_combinations() -> None:
    optimizer = make()
    one = ls.ExponentialLR(optimizer, 0.9)
    with pytest.raises(ValueError, match="need 1 milestones"):
        ls.SequentialLR(optimizer, [one, one], milestones=[])
    with pytest.raises(ValueError, match="scheduler 1 is of another optimizer"):
        ls.ChainedScheduler([one, ls.ExponentialLR(make(), 0.9)])
    with pytest.raises(ValueError, match="list of schedulers is empty"):
        ls.ChainedScheduler([])
    with pytest.raises(ValueError, match="ReduceLROnPlateau steps on a metric"):
        ls.ChainedScheduler([one, ls.ReduceLROnPlateau(optimizer)])


# Plateau ------------------------------------------------------------------------------------------


def plateau(metrics: list[float], **options: Any) -> list[float]:
    scheduler = ls.ReduceLROnPlateau(make(), **options)
    out = []
    for value in metrics:
        scheduler.step(value)
        out.append(scheduler.get_last_lr()[0])
    return out


def test_plateau_waits_patience_then_reduces() -> None:
    assert plateau([3, 2, 2, 2, 2, 2, 2], factor=0.5, patience=2) == [1, 1, 1, 1, 0.5, 0.5, 0.5]
    assert plateau([3, 2, 2, 1, 1, 1, 1], factor=0.5, patience=2) == [1, 1, 1, 1, 1, 1, 0.5]


def test_plateau_threshold() -> None:
    # relative 10 %: from 1.0, 0.95 is no improvement and 0.85 is; absolute 0.1 the same here
    for mode in ("rel", "abs"):
        options: dict[str, Any] = {"threshold": 0.1, "threshold_mode": mode, "patience": 0}
        assert plateau([1.0, 0.95], factor=0.5, **options) == [1, 0.5]
        assert plateau([1.0, 0.85], factor=0.5, **options) == [1, 1]
        assert plateau([1.0, 1.05], factor=0.5, mode="max", **options) == [1, 0.5]
        assert plateau([1.0, 1.15], factor=0.5, mode="max", **options) == [1, 1]
    relative: dict[str, Any] = {"threshold": 0.1, "patience": 0, "factor": 0.5}
    assert plateau([10.0, 9.5], **relative) == [1, 0.5]
    assert plateau([10.0, 9.5], threshold_mode="abs", **relative) == [1, 1]


def test_plateau_cooldown_least_rate_and_eps() -> None:
    assert plateau([1] * 6, factor=0.5, patience=0, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert plateau([1] * 4, factor=0.5, patience=0, min_lr=0.3) == [1, 0.5, 0.3, 0.3]
    assert plateau([1] * 3, factor=0.5, patience=0, eps=0.4) == [1, 0.5, 0.5]


def test_plateau_does_not_take_nan_for_an_improvement() -> None:
    nan = float("nan")
    assert plateau([nan, nan, 1.0], factor=0.5, patience=0) == [0.5, 0.25, 0.25]


def test_plateau_resumed() -> None:
    metrics = [3, 2, 2, 2, 2, 1, 1, 1, 1, 1]
    whole = plateau(metrics, patience=1, cooldown=1)
    first = ls.ReduceLROnPlateau(make(), patience=1, cooldown=1)
    for value in metrics[:4]:
        first.step(value)
    second = ls.ReduceLROnPlateau(make(), patience=1, cooldown=1)
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    got = []
    for value in metrics[4:]:
        second.step(ga.array(float(value)))
        got.append(second.get_last_lr()[0])
    assert got == whole[4:]


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_scheduler", "why"),
    [
        (lambda o: ls.StepLR(o, 0), "step_size is above 0"),
        (lambda o: ls.ConstantLR(o, 1.5), "factor is from 0 to 1"),
        (lambda o: ls.LinearLR(o, 0.0), "start_factor is above 0"),
        (lambda o: ls.LinearLR(o, end_factor=2.0), "end_factor is from 0 to 1"),
        (lambda o: ls.PolynomialLR(o, 0), "total_iters is above 0"),
        (lambda o: ls.CosineAnnealingLR(o, 0), "T_max is above 0"),
        (lambda o: ls.CosineAnnealingWarmRestarts(o, 1.5), "T_0 is a positive integer"),
        (lambda o: ls.CyclicLR(o, 0.1, 1.0, 0), "step_size_up is above 0"),
        (lambda o: ls.CyclicLR(o, 0.1, 1.0, mode="square"), "mode is one of"),
        (lambda o: ls.CyclicLR(o, 0.1, [1.0] * 3), "max_lr has 3 values for 2 parameter groups"),
        (lambda o: ls.OneCycleLR(o, 1.0), "give total_steps"),
        (lambda o: ls.OneCycleLR(o, 1.0, 10, pct_start=3.0), "pct_start is from 0 to 1"),
        (lambda o: ls.OneCycleLR(o, 1.0, 10, anneal_strategy="exp"), "anneal_strategy is one of"),
        (lambda o: ls.ReduceLROnPlateau(o, factor=1.0), "factor is from 0 to 1"),
        (lambda o: ls.ReduceLROnPlateau(o, mode="least"), "mode is one of"),
        (lambda o: ls.ExponentialLR(o, 0.9, last_epoch=3), 'no "initial_lr"'),
        (lambda o: ls.ExponentialLR(o, -1.0).step(), "lr is a finite number"),
    ],
)
def test_bad_values(make_scheduler: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_scheduler(make(momentum=0.9))


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="the first argument is an optimizer, not a float"):
        ls.ExponentialLR(0.1, 0.9)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="needs the metric"):
        ls.ReduceLROnPlateau(make()).step()


def test_the_state_of_another_scheduler() -> None:
    a, b = ls.ExponentialLR(make(), 0.9), ls.StepLR(make(), 3)
    before = a.state_dict()
    with pytest.raises(ValueError, match="not the state of a ExponentialLR"):
        a.load_state_dict(b.state_dict())
    assert a.state_dict() == before


def test_a_group_added_afterwards() -> None:
    scheduler = ls.ExponentialLR(make(), 0.9)
    scheduler.optimizer.add_param_group({"params": [ga.array([0.0], requires_grad=True)]})
    with pytest.raises(ValueError, match="made for 2 parameter groups, now there are 3"):
        scheduler.step()


def test_a_run_goes_on_with_last_epoch() -> None:
    optimizer = make()
    scheduler = ls.ExponentialLR(optimizer, 0.5)
    rates(scheduler, 3)
    other = make()
    other.load_state_dict(optimizer.state_dict())
    resumed = ls.ExponentialLR(other, 0.5, last_epoch=3)
    scheduler.step()
    assert resumed.get_last_lr() == scheduler.get_last_lr()
    assert resumed.base_lrs == BASES
