"""What the tests of the compiler share."""

from typing import Any

import numpy as np

from gradarray import tree
from gradarray.array import GradArray


def values(x: Any) -> Any:
    """The values of an array on or off a graph; anything else as it is."""
    return x.detach().numpy() if isinstance(x, GradArray) else x


def same(a: Any, b: Any, digits: float = 1e-12) -> None:
    """Equal pytrees; floating numbers to `digits` of the largest magnitude (sums reordered)."""
    (xs, form), (ys, other) = tree.flatten(a), tree.flatten(b)
    assert form == other
    for x, y in zip(map(values, xs), map(values, ys), strict=True):
        if not hasattr(y, "dtype"):
            assert x == y
            continue
        assert x.dtype == y.dtype and x.shape == y.shape
        size = float(np.max(np.abs(y), where=np.isfinite(y), initial=1.0))
        np.testing.assert_allclose(x, y, digits, digits * size)
