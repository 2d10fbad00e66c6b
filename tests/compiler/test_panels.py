"""Large products, and what a step takes out of its tiles: the same numbers, in fewer walks."""

from typing import Any

import numpy as np
import pytest

import gradarray as ga

RNG = np.random.default_rng(3)
SHAPES = [(130, 70, 400), (200, 1100, 150), (400, 130, 200), (97, 1030, 97), (64, 300, 1000)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m, k, n", SHAPES)
@pytest.mark.parametrize("turned", ["", "a", "b", "ab", "y", "aby"])
def test_products(m: int, k: int, n: int, turned: str, dtype: Any) -> None:
    a = RNG.normal(size=(k, m) if "a" in turned else (m, k)).astype(dtype)
    b = RNG.normal(size=(n, k) if "b" in turned else (k, n)).astype(dtype)

    def f(a: Any, b: Any) -> Any:
        y = (a.T if "a" in turned else a) @ (b.T if "b" in turned else b)
        return y.T if "y" in turned else y

    compiled = ga.compile(f)
    y = compiled(ga.array(a), ga.array(b)).numpy()
    assert "BLAS" not in compiled.show("loops")
    wide = [np.abs(x.astype(np.float64)) for x in (a, b)]
    exact = f(*[x.astype(np.float64) for x in (a, b)])
    # Both have an error of a dot product of k terms: Higham, Accuracy and Stability, section 3.1.
    bound = 2 * k * np.finfo(dtype).eps * f(*wide)
    assert (np.abs(y - exact) <= bound).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_wide_network_walks_over_the_samples_once(threads: int) -> None:
    """How many labels count is known before; weights' gradients of 512 kB come after."""
    model = ga.nn.Sequential(
        ga.nn.Linear(300, 500), ga.nn.ReLU(), ga.nn.Linear(500, 272), ga.nn.ReLU(),
        ga.nn.Linear(272, 5),
    )  # fmt: skip
    loss = ga.nn.CrossEntropyLoss()
    x, y = RNG.uniform(0, 1, (128, 300)).astype(np.float32), RNG.integers(0, 5, 128)
    y[5] = -100

    def step(x: Any, y: Any) -> Any:
        model.zero_grad()
        value = loss(model(x), y)
        value.backward()
        return value

    compiled = ga.compile(step)
    expected = step(ga.array(x), ga.array(y)).item()
    gradients = [p.grad.numpy() for p in model.parameters()]
    with ga.threads(threads):
        found = compiled(ga.array(x), ga.array(y)).item()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for p, g in zip(model.parameters(), gradients, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), g, atol=2e-6 * np.abs(g).max())
    text = compiled.show("loops")
    tiles = [x for x in text.splitlines() if x.startswith("parallel for") and " 2:" in x]
    assert len(tiles) == 1
