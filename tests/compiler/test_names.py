"""What a function reads by name: it is recorded again where the name means something else."""

import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gradarray as ga

RATE: Any = 2.0
WEIGHT: Any = ga.array([1.0, 2.0])


def helper(x: Any) -> Any:
    return x * RATE


def scaled(x: Any) -> Any:
    return helper(x) + WEIGHT


class Trainer:
    """A user's own class, with a model and options as attributes."""

    width = 1.0

    def __init__(self, seed: int) -> None:
        self.model = ga.nn.Linear(2, 1, dtype="float64")
        self.factor, self.scale = 1.0, ga.array(float(seed))

    @property
    def both(self) -> Any:
        return self.factor * self.scale

    def forward(self, x: Any) -> Any:
        return self.model(x) * self.both * self.width

    @ga.compile
    def loss(self, x: Any) -> Any:
        return (self.forward(x) ** 2).sum().detach()


@dataclass
class Options:
    power: int


def same(compiled: Any, eager: Any, *args: Any) -> None:
    wanted = ga.array(eager(*args)).numpy()
    np.testing.assert_allclose(compiled(*args).numpy(), wanted, rtol=1e-14)


def test_globals_of_a_function_and_of_what_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    step, x = ga.compile(scaled), np.array([1.0, 5.0])
    same(step, scaled, x)
    for name, value in (
        ("RATE", 3.0), ("WEIGHT", ga.array([7.0, 7.0])), ("helper", lambda x: x - RATE),
        ("RATE", 10.0), ("WEIGHT", np.array([0.5, 0.0])),
    ):  # fmt: skip
        monkeypatch.setitem(globals(), name, value)
        same(step, scaled, x)
    monkeypatch.undo()
    known = len(step._versions)
    same(step, scaled, x)
    assert len(step._versions) == known  # the first one is remembered


@pytest.mark.parametrize("transform", [lambda f: f, lambda f: ga.grad(lambda x: f(x).sum())])
def test_variables_around_a_function(transform: Any) -> None:
    power, terms, table = 2.0, [1.0, 2.0], {"bias": 3.0}

    def f(x: Any) -> Any:
        return sum(t * x**power for t in terms) * table["bias"]

    eager = transform(f)
    step, x = ga.compile(transform(f)), np.array([1.0, 5.0])
    same(step, eager, x)
    power = 3.0
    same(step, eager, x)
    terms.append(4.0)
    same(step, eager, x)
    terms[0] = 0.0
    same(step, eager, x)
    table["bias"] = -1.0
    same(step, eager, x)


def test_a_model_made_anew_under_its_name() -> None:
    def made(seed: int) -> tuple[Any, Any]:
        ga.random.seed(seed)
        model = ga.nn.Linear(2, 1, dtype="float64")
        return model, ga.optim.SGD(model.parameters(), lr=0.1)

    model, optimizer = made(0)

    def step(x: Any) -> Any:
        loss = (model(x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x, compiled = np.ones((3, 2)), ga.compile(step)
    compiled(x)
    first, (model, optimizer) = model, made(1)
    before = first.weight.numpy().copy()
    compiled(x)
    compiled(x)
    found = model.weight.numpy().copy()
    np.testing.assert_array_equal(first.weight.numpy(), before)
    model, optimizer = made(1)
    step(x)
    step(x)
    np.testing.assert_allclose(found, model.weight.numpy(), rtol=1e-14)


def test_attributes_of_an_instance() -> None:
    trainer, x = Trainer(3), np.ones((4, 2))

    def eager(x: Any) -> Any:
        return (trainer.forward(x) ** 2).sum().detach()

    same(trainer.loss, eager, x)
    trainer.factor = 5.0
    same(trainer.loss, eager, x)
    trainer.scale = ga.array(0.25)
    same(trainer.loss, eager, x)
    trainer.model = ga.nn.Linear(2, 1, dtype="float64")
    same(trainer.loss, eager, x)
    trainer.width = 4.0  # where the class had one
    same(trainer.loss, eager, x)


def test_attributes_of_static_arguments_and_modules_of_ones_own() -> None:
    settings = ModuleType("settings")
    settings.rate = 2.0  # type: ignore[attr-defined]

    def f(options: Options, x: Any) -> Any:
        return x**options.power * settings.rate

    step, x, options = ga.compile(f), np.array([1.0, 3.0]), Options(2)
    same(step, f, options, x)
    options.power = 3
    same(step, f, options, x)
    settings.rate = 5.0  # type: ignore[attr-defined]
    same(step, f, options, x)


def test_a_users_layer_reads_a_global(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scaled(ga.nn.Module):
        def forward(self, x: Any) -> Any:
            return x * RATE

    model = ga.Sequential(Scaled())
    x = np.ones((6, 2))
    assert (model.predict(x) == 2).all()
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert (model.predict(x) == 3).all()


def test_what_the_function_itself_changes_is_not_looked_at() -> None:
    count, calls = 0, []

    @ga.compile
    def f(x: Any) -> Any:
        nonlocal count
        count += 1
        calls.append(count)
        return x * 2

    f(np.ones(2))
    recorded = count
    f(np.ones(2))
    assert count == recorded and len(calls) == recorded


def test_the_same_names_cost_no_recording() -> None:
    trainer, x = Trainer(1), np.ones((4, 2))
    trainer.loss(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            trainer.factor = 1.0
            trainer.loss(x)
    assert len(Trainer.loss._versions_for(trainer)) == 1


def test_an_empty_tuple_in_the_byte_code_is_no_name() -> None:
    step = ga.compile(lambda x: ga.reshape(x, ()))
    assert step(np.ones(1)).shape == ()


def test_many_recordings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    step, x = ga.compile(scaled), np.ones(2)
    with pytest.warns(UserWarning, match="RATE, which it reads by name") as told:
        for k in range(12):
            monkeypatch.setitem(globals(), "RATE", float(k))
            step(x)
    assert len(told) == 1
