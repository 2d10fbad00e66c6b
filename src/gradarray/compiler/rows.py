"""Rows: batches as rows of arrays, which one native entry takes one after the other (many.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """Batches as rows of arrays: `count` batches of `size` rows, from `first` on.

    `arrays`: one for each leaf of a batch. `order`: the numbers of the rows, None if they follow
    each other.
    """

    arrays: Sequence[np.ndarray]
    order: np.ndarray | None
    first: int
    size: int
    count: int
