"""Small products: blocks of registers, each operand where it lies."""

from __future__ import annotations

from typing import Any

from .sides import Sides

LEAST = 256  # multiplications of one product that are worth a block
MOST = 1 << 19  # and beyond which BLAS, with its panels, is better where it can be called


def in_blocks(product: Sides, add: bool = False) -> list[Any] | None:
    """The statements; None where it does not fit.

    Lanes go along the columns, where C has its elements side by side; a B that has not is turned
    over.
    """
    product = product.along_c()
    if product.columns.c != 1 or product.columns.n < 4 or product.work < LEAST:
        return None
    items: list[Any] = []
    product = product.with_packed_rows(items)
    return [*items, product.contract(add=add)]
