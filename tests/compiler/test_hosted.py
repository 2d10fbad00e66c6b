"""What compiled functions call on the host: the ops that docs/compiler.md names, other dtypes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.testing.hosted import END, START, section

PAGE = Path(__file__).parents[2] / "docs" / "compiler.md"


def test_the_list_is_what_is_found():
    listed = PAGE.read_text(encoding="utf-8").split(START)[1].split(END)[0]
    assert listed == section(), "write it anew: python -m gradarray.testing.hosted docs"


INDEX = np.array([1, 0, 1])

# Functions of a matrix of four rows.
FUNCTIONS: dict[str, Any] = {
    "arithmetic": lambda x: (x * 2.5 + ga.exp(x), x > 0, ga.floor(x)),
    "other dtypes": lambda x: [ga.astype(x, to) for to in ("f4", "f8", "i8", "?", "c16")],
    "and back": lambda x: ga.astype(ga.astype(x, "f8") * 1.1, x.dtype),
    "sums": lambda x: (x.sum(), x.mean(1), x.var(0), ga.prod(x), ga.cumsum(x, axis=1)),
    "extremes": lambda x: (x.max(1), ga.argmin(x, axis=0), ga.any(x, axis=1), ga.all(x)),
    "order": lambda x: (ga.sort(x, axis=1), ga.argsort(x), ga.median(x)),
    "products": lambda x: (x @ x.T, ga.einsum("ij,kj->ik", x, x)),
    "places": lambda x: (x.T[::-1], ga.stack([x, x]), ga.take(x, INDEX, axis=1), ga.pad(x, 1)),
    "a loop": lambda x: ga.scan(lambda c, row: (c + row, c * row), x[0], x),
    "a branch": lambda x: ga.cond(x.sum() > 0, lambda x: x + 1, lambda x: x, x),
    "a loop of a few steps": lambda x: ga.fori_loop(0, 3, lambda k, c: c * 0.5 + x, x),
    "a gradient": ga.grad(lambda x: (ga.tanh(x) ** 2).sum()),
    "a gradient of rows": ga.grad(lambda x: ga.take(x, INDEX, axis=1).sum()),
    "a NaN that is masked": ga.grad(lambda x: ga.where(x > 0, ga.sqrt(x), 0.0).sum()),
    "second order": ga.hessian(lambda x: (x[0] ** 3).sum()),
}


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_floating_numbers_are_the_hosts(name: str, dtype: Any) -> None:
    """The same operations on the same numbers; sums of a loop may be taken in another order."""
    f = FUNCTIONS[name]
    x = ga.array((np.arange(24.0).reshape(4, 6) * 7 % 24 / 7 - 1.5).astype(dtype))
    bound = 24 * float(np.finfo(dtype).eps)  # of what is below 24 in magnitude
    with np.errstate(all="ignore"):
        step, expected = ga.compile(f), ga.tree.flatten(f(x))[0]
        for _ in range(2):
            for y, z in zip(ga.tree.flatten(step(x))[0], expected, strict=True):
                assert y.dtype == z.dtype and y.shape == z.shape
                np.testing.assert_allclose(y.numpy(), z.numpy(), bound, bound)


def test_a_step_of_half_precision_with_state() -> None:
    """A parameter and its momentum change as they do op by op."""
    found = []
    for wrap in (ga.compile, lambda f: f):
        w = ga.array([1.0, -2.0, 0.5], dtype=np.float16, requires_grad=True)
        optimizer = ga.optim.SGD([w], lr=0.125, momentum=0.5)

        @wrap
        def step(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (w * x).sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        x = np.array([1.0, 2.0, 4.0], np.float16)
        found.append([step(x).item() for _ in range(4)] + w.tolist())
    assert found[0] == found[1]
    # v = 0.5 v + x; w -= v / 8: all numbers are multiples of 1/64 below 2^4.
    v = np.array([1, 1.5, 1.75, 1.875]).sum() / 8
    np.testing.assert_array_equal(found[0][4:], [1 - v, -2 - 2 * v, 0.5 - 4 * v])
