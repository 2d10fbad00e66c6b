"""A resumed run is the uninterrupted one, bit for bit; what does not fit changes nothing."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import optim
from gradarray.optim import lr_scheduler

METHODS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    (optim.SGD, {}),
    (optim.Adam, {"amsgrad": True}),
    (optim.AdamW, {"betas": (0.8, 0.95)}),
    (optim.Adamax, {}),
    (optim.NAdam, {}),
    (optim.RAdam, {}),
    (optim.RMSprop, {"centered": True, "momentum": 0.5}),
    (optim.Adagrad, {"lr_decay": 0.1}),
    (optim.Adadelta, {}),
]
IDS = [m.__name__ for m, _ in METHODS]


def through_files(state: dict[str, Any]) -> dict[str, Any]:
    """The structure through JSON text, the arrays through an npz file."""
    text = json.dumps(state["param_groups"], allow_nan=False)
    file = io.BytesIO()
    np.savez(file, **{f"{i}/{name}": v for i, s in state["state"].items() for name, v in s.items()})
    file.seek(0)
    arrays: dict[str, dict[str, np.ndarray]] = {}
    with np.load(file) as saved:
        for key in saved.files:
            index, name = key.split("/")
            arrays.setdefault(index, {})[name] = saved[key]
    return {"state": arrays, "param_groups": json.loads(text)}


class Run:
    """A small regression in float32, with an optimizer and a scheduler."""

    def __init__(self, method: Any, options: dict[str, Any]) -> None:
        rng = np.random.default_rng(3)
        self.x = rng.normal(size=(16, 3)).astype(np.float32)
        self.y = rng.normal(size=(16, 1)).astype(np.float32)
        self.w = ga.array(rng.normal(size=(3, 1)).astype(np.float32), requires_grad=True)
        self.b = ga.array(np.float32(0.5), requires_grad=True)
        self.optimizer = method(
            [{"params": [self.w]}, {"params": [self.b], "lr": 0.03}], lr=0.01, **options
        )
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=7)

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            error = ga.array(self.x) @ self.w + self.b - ga.array(self.y)
            (error * error).sum().backward()
            self.optimizer.step()
            self.scheduler.step()


@pytest.mark.parametrize(("method", "options"), METHODS, ids=IDS)
def test_resumed_equals_uninterrupted(method: Any, options: dict[str, Any]) -> None:
    whole = Run(method, options)
    whole.go(12)

    first = Run(method, options)
    first.go(5)
    saved = through_files(first.optimizer.state_dict())
    schedule = json.loads(json.dumps(first.scheduler.state_dict(), allow_nan=False))

    second = Run(method, options)
    second.w._array = first.w.numpy().copy()
    second.b._array = first.b.numpy().copy()
    second.optimizer.load_state_dict(saved)
    second.scheduler.load_state_dict(schedule)
    second.go(7)

    np.testing.assert_array_equal(second.w.numpy(), whole.w.numpy())
    np.testing.assert_array_equal(second.b.numpy(), whole.b.numpy())
    assert second.scheduler.get_last_lr() == whole.scheduler.get_last_lr()
    ours, theirs = second.optimizer.state_dict(), whole.optimizer.state_dict()
    assert ours["param_groups"] == theirs["param_groups"]
    for index, slots in theirs["state"].items():
        for name, value in slots.items():
            np.testing.assert_array_equal(ours["state"][index][name], value)


def test_state_is_a_copy() -> None:
    run = Run(optim.Adam, {})
    run.go(1)
    saved = run.optimizer.state_dict()
    before = saved["state"][0]["exp_avg"].copy()
    run.go(1)
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], before)
    run.optimizer.load_state_dict(saved)
    saved["state"][0]["exp_avg"][:] = 7
    np.testing.assert_array_equal(run.optimizer.state[run.w]["exp_avg"].numpy(), before)


def test_loading_writes_into_the_arrays_there_are() -> None:
    run, other = Run(optim.Adam, {}), Run(optim.Adam, {})
    other.go(3)
    rate = run.optimizer.param_groups[0]["lr"]
    slot = run.optimizer.state[run.w]["exp_avg"]
    run.optimizer.load_state_dict(other.optimizer.state_dict())
    assert run.optimizer.param_groups[0]["lr"] is rate
    assert run.optimizer.state[run.w]["exp_avg"] is slot
    assert rate.item() == other.optimizer.param_groups[0]["lr"].item() != 0.01


def _drop_group(s: dict[str, Any]) -> None:
    s["param_groups"].pop()


def _drop_parameter(s: dict[str, Any]) -> None:
    s["param_groups"][1]["params"] = []


def _drop_state(s: dict[str, Any]) -> None:
    del s["state"][1]


def _drop_slot(s: dict[str, Any]) -> None:
    del s["state"][1]["exp_avg"]


def _more_slots(s: dict[str, Any]) -> None:
    s["state"][0]["momentum_buffer"] = np.zeros((3, 1))


def _shape(s: dict[str, Any]) -> None:
    s["state"][0]["exp_avg_sq"] = np.zeros((1, 3))


def _rank(s: dict[str, Any]) -> None:
    s["state"][0]["step"] = np.zeros(1)


def _dtype(s: dict[str, Any]) -> None:
    s["state"][0]["exp_avg"] = np.zeros((3, 1), complex)


def _rate(s: dict[str, Any]) -> None:
    s["param_groups"][1]["lr"] = float("nan")


def _option(s: dict[str, Any]) -> None:
    del s["param_groups"][1]["eps"]


def _keys(s: dict[str, Any]) -> None:
    del s["param_groups"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_drop_group, "1 parameter groups, this optimizer 2"),
        (_drop_parameter, "group 1 has 0 parameters, this optimizer's 1"),
        (_drop_state, "the state of 1 parameters, not of 2"),
        (_drop_slot, "parameter 1 has the slots"),
        (_more_slots, "parameter 0 has the slots"),
        (_shape, r"exp_avg_sq of parameter 0 has shape \(1, 3\), here \(3, 1\)"),
        (_rank, r"step of parameter 0 has shape \(1,\), here \(\)"),
        (_dtype, "exp_avg of parameter 0 has dtype complex128"),
        (_rate, "lr is a finite number"),
        (_option, "group 1 lacks the option eps"),
        (_keys, 'the two keys "state" and "param_groups"'),
    ],
)
def test_what_does_not_fit_changes_nothing(spoil: Any, why: str) -> None:
    run, other = Run(optim.Adam, {}), Run(optim.Adam, {})
    run.go(2)
    other.go(5)
    saved = other.optimizer.state_dict()
    spoil(saved)
    before = run.optimizer.state_dict()
    with pytest.raises(ValueError, match=why):
        run.optimizer.load_state_dict(saved)
    after = run.optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for index, slots in before["state"].items():
        for name, value in slots.items():
            np.testing.assert_array_equal(after["state"][index][name], value)


def test_names_of_parameters_are_compared() -> None:
    a, b = (ga.array([1.0], requires_grad=True) for _ in range(2))
    saved = optim.SGD([("a", a), ("b", b)]).state_dict()
    with pytest.raises(ValueError, match=r"\['a', 'b'\], this optimizer's \['b', 'a'\]"):
        optim.SGD([("b", b), ("a", a)]).load_state_dict(saved)


def test_other_options_need_other_slots() -> None:
    w = ga.array([1.0], requires_grad=True)
    saved = optim.Adam([w], amsgrad=True).state_dict()
    with pytest.raises(ValueError, match="Make the optimizer with the options"):
        optim.Adam([w]).load_state_dict(saved)


def test_an_array_read_as_zero_dimensional_changes_no_bit() -> None:
    """`_array` of a count is a 0-d array; powers of 0-d arrays and of scalars may round apart."""
    runs = [Run(optim.Adam, {}) for _ in range(2)]
    for run in runs:
        run.go(1)
    for state in runs[1].optimizer.state.values():
        assert state["step"]._array.shape == ()
    for group in runs[1].optimizer.param_groups:
        assert all(beta._array.shape == () for beta in group["betas"])
    for run in runs:
        run.go(30)
    np.testing.assert_array_equal(runs[0].w.numpy(), runs[1].w.numpy())
