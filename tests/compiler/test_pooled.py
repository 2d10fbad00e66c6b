"""A mask and a sum behind a max pooling are taken of the pooled values, with the same results."""

from typing import Any

import numpy as np
import pytest

import gradarray as ga

from .common import same

RNG = np.random.default_rng(5)
POOLINGS = [
    {"kernel_size": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": 2, "stride": 3},
    {"kernel_size": 3, "stride": 3, "padding": 1},
]  # fmt: skip


def of(x: Any, b: Any, v: Any, **how: Any) -> Any:
    """A weighted sum of pooled, rectified values."""
    return (ga.max_pool2d(ga.relu(x + b), **how) * v).sum()


@pytest.mark.parametrize("how", POOLINGS)
@pytest.mark.parametrize("special", [None, np.nan, np.inf, -np.inf])
def test_gradients(how: dict[str, Any], special: float | None) -> None:
    x = RNG.normal(size=(20, 3, 9, 9)).round(1)  # ties, and zeros
    if special is not None:
        x[:, 1, 2:5, 3] = special
    b = RNG.normal(size=(3, 1, 1)).round(1)
    v = RNG.normal(size=ga.max_pool2d(x, **how).shape)
    f = ga.value_and_grad(lambda x, b: of(x, b, v, **how), (0, 1))
    with np.errstate(invalid="ignore"):  # infinities are added
        expected = f(x, b)
    same(ga.compile(f)(x, b), expected)


def test_no_mask_of_the_plane_is_left() -> None:
    x, b, v = RNG.normal(size=(4, 3, 8, 8)), RNG.normal(size=(3, 1, 1)), RNG.normal(size=(3, 4, 4))
    compiled = ga.compile(ga.value_and_grad(lambda x, b: of(x, b, v, kernel_size=2), (0, 1)))
    compiled(x, b)
    tests = [x for x in compiled.show("simplified").splitlines() if "greater" in x]
    assert len(tests) == 1 and "[4, 3, 4, 4]" in tests[0], tests
