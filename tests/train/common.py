"""Data and a small network for the tests of training."""

import numpy as np

import gradarray as ga

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)
Y = RNG.normal(size=(50, 1)).astype(np.float32)


def make(outputs=1, **kwargs):
    """The same network of 4 inputs, every time."""
    ga.random.seed(7)
    return ga.Sequential(
        ga.nn.Linear(4, 8, **kwargs), ga.nn.Tanh(), ga.nn.Linear(8, outputs, **kwargs)
    )


def weights(model):
    """The weights as they are now."""
    return model.state_dict()


def equal(a, b):
    """Equal names and, bit for bit, values."""
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)
