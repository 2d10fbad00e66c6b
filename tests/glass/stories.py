"""Functions whose stories the tests of pictures, pages and data are about."""

from __future__ import annotations

import numpy as np

import gradarray as ga
from gradarray.glass.explain import Explanation, explain

EVIL = ("<script>", "</script><img src=x onerror=alert(1)>", '"&\'`${1}{{data}}')


def textbook() -> Explanation:
    """Example 5.14 of Mathematics for Machine Learning."""

    def f(x):
        a = x**2
        b = ga.exp(a)
        c = a + b
        d = ga.sqrt(c)
        e = ga.cos(c)
        return d + e

    return explain(f)(0.5)


def network() -> Explanation:
    """A step of a small classifier; its parameters are float32, its labels are not reached."""
    ga.random.seed(3)
    model = ga.nn.Sequential(ga.nn.Linear(6, 8), ga.nn.ReLU(), ga.nn.Linear(8, 3))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 6)).astype(np.float32)
    T = ga.array(rng.integers(0, 3, 4))

    def loss(X):
        return ga.nn.functional.cross_entropy(model(X), T)

    return explain(loss)(X)


class Block(ga.nn.Module):
    """A residual block of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ga.nn.Linear(4, 4)

    def forward(self, x):
        y = self.inner(x)
        return x + ga.relu(y)


def tower() -> Explanation:
    """Twelve blocks of one structure, after a function of the user's."""
    model = ga.nn.Sequential(*[Block() for _ in range(12)])

    def step(h, w):
        z = h @ w
        return ga.tanh(z)

    def top(X, w):
        h = step(X, w)
        return ga.mean(ga.softmax(model(h))[:, 0])

    X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    return explain(top)(X, np.eye(4, dtype=np.float32) / 2)


def chain(length: int) -> Explanation:
    """1 + 2 * length values in a row, twice as many ops as rounds."""

    def f(x):
        for _ in range(length):
            x = ga.sin(x) * 1.01
        return x

    return explain(f)(1.0)


def tangle(nodes: int, seed: int = 0) -> Explanation:
    """A graph without any order to it, and without repeats."""

    def f(x):
        rng = np.random.default_rng(seed)
        made = [x]
        for _ in range(nodes):
            a, b = (made[i] for i in rng.integers(max(0, len(made) - 20), len(made), 2))
            ops = (lambda a=a: ga.sin(a), lambda a=a, b=b: a * b, lambda a=a, b=b: a - b)
            made.append(ops[rng.integers(3)]())
        return sum(made[-20:], 0.0 * x)

    return explain(f)(0.7)


def evil() -> Explanation:
    """Parameters whose names would be markup."""
    model = ga.nn.Module()
    for k, name in enumerate(EVIL):
        setattr(model, name, ga.nn.Parameter(np.float32(k + 1)))

    class Product(ga.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for k, name in enumerate(EVIL):
                setattr(self, name, ga.nn.Parameter(np.array(k + 2.0)))

        def forward(self, x):
            for name in EVIL:
                x = x * getattr(self, name)
            return x

    product = Product()

    def f(x):
        return product(x)

    return explain(f)(1.5)


def kinks() -> Explanation:
    """Values in every honest state but freed: at a kink, saturated, not required, not finite."""
    x = np.array([0.0, 1.0, -1.0])

    def f(x):
        at_kink = ga.relu(x)
        flat = ga.tanh(x * 50.0 + 40.0)
        mask = x > 0
        return ga.sum(at_kink + flat + ga.where(mask, x, 0.0))

    return explain(f)(x)
