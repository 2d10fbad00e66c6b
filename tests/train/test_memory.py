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
