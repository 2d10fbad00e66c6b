"""A run that is saved and taken up again equals one that was not stopped, bit for bit."""

import numpy as np
import pytest

import gradarray as ga
from tests.train.common import X, Y, equal, weights


def build(method):
    model = ga.Sequential(
        ga.nn.Linear(4, 16), ga.nn.BatchNorm1d(16), ga.nn.ReLU(), ga.nn.Dropout(0.3),
        ga.nn.Linear(16, 1),
    )  # fmt: skip
    optimizer = method(model.parameters())
    scheduler = ga.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    model.compile(optimizer, "mse", ["mae"])
    return model, optimizer, scheduler


def run(model, scheduler, start, end):
    step = ga.train.LambdaCallback(on_epoch_end=lambda epoch, logs: scheduler.step())
    options = {"batch_size": 8, "validation_split": 0.2, "callbacks": step, "verbose": 0}
    return model.fit(X, Y, initial_epoch=start, epochs=end, **options).history


@pytest.mark.parametrize(
    "method",
    [
        lambda p: ga.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: ga.optim.Adam(p, lr=0.01),
        lambda p: ga.optim.AdamW(p, lr=0.01, amsgrad=True),
        lambda p: ga.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    ],
    ids=["SGD", "Adam", "AdamW", "RMSprop"],
)
def test_a_resumed_run(method, tmp_path):
    ga.random.seed(11)
    model, optimizer, scheduler = build(method)
    whole = run(model, scheduler, 0, 6)

    ga.random.seed(11)
    first, first_optimizer, first_scheduler = build(method)
    before = run(first, first_scheduler, 0, 3)
    path = tmp_path / "model.safetensors"
    first.save_weights(path)
    kept = (
        first_optimizer.state_dict(),
        first_scheduler.state_dict(),
        ga.random.default_generator.state_dict(),
    )

    ga.random.seed(999)  # another process: other weights, another stream
    again, again_optimizer, again_scheduler = build(method)
    assert not equal(weights(again), weights(first))
    again.load_weights(path)
    again_optimizer.load_state_dict(kept[0])
    again_scheduler.load_state_dict(kept[1])
    ga.random.default_generator.load_state_dict(kept[2])
    after = run(again, again_scheduler, 3, 6)

    assert equal(weights(again), weights(model))
    for name, values in whole.items():
        assert values == before[name] + after[name]
    for a, b in zip(optimizer.state.values(), again_optimizer.state.values()):
        assert all((a[slot].numpy() == b[slot].numpy()).all() for slot in a)
    assert np.ptp(whole["loss"]) > 0
