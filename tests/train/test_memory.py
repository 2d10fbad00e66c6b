"""A training step leaves nothing behind."""

import gc
import sys

import numpy as np

import gradarray as ga


def test_a_step_of_a_network_leaves_no_object_behind():
    ga.random.seed(0)
    model = ga.nn.Sequential(
        ga.nn.Linear(3, 4), ga.nn.BatchNorm1d(4), ga.nn.ReLU(), ga.nn.Dropout(0.1),
        ga.nn.Linear(4, 1),
    )  # fmt: skip
    optimizer = ga.optim.Adam(model.parameters(), lr=1e-3)
    scheduler = ga.optim.lr_scheduler.ExponentialLR(optimizer, 0.9999)
    loss_function = ga.nn.MSELoss()
    x, y = ga.random.normal(size=(2, 3)), ga.array(np.ones((2, 1)), dtype="float32")

    def blocks_after(steps):
        for _ in range(steps):
            loss = loss_function(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            ga.optim.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
        cycles = gc.collect()  # empties Python's own lists of tuples to be used again, too
        return cycles, sys.getallocatedblocks()

    gc.collect()
    gc.disable()
    try:
        _, before = blocks_after(100)
        cycles, after = blocks_after(2_000)
    finally:
        gc.enable()
    assert cycles == 0
    assert after - before < 200  # a leak of one object a step would be 2,000


def test_memory_does_not_grow_over_ten_thousand_steps():
    """Objects that are alive after 10,000 steps, against those alive before."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 8, 2)).astype(np.float32)
    model = ga.nn.Sequential(ga.nn.Linear(2, 4), ga.nn.ReLU(), ga.nn.Linear(4, 2))
    optimizer, loss_of = ga.optim.Adam(model.parameters()), ga.nn.MSELoss()

    def blocks_after(steps: int) -> int:
        for _ in range(steps):
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        del loss
        return sys.getallocatedblocks()

    gc.collect()
    gc.disable()  # what only the collector would free counts as kept
    try:
        before = blocks_after(1_000)  # Python's own caches are full by then
        after = blocks_after(10_000)
    finally:
        gc.enable()
    # One object kept per step would be 10,000 of them.
    assert after - before < 100
