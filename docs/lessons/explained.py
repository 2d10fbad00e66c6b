"""Figures of lesson 16: graphs as `ga.explain` draws them, of the functions of its page."""

from __future__ import annotations

from typing import Any

import gradarray as ga

PAGE = "16-backpropagation-seen.md"


def price(page: dict[str, Any]) -> str:
    """Two apples with tax."""
    return ga.explain(page["price"])(100.0, 2.0, 1.1).svg()


def textbook(page: dict[str, Any]) -> str:
    """Example 5.14 of Mathematics for Machine Learning."""
    return ga.explain(page["f"])(0.5).svg()


def network(page: dict[str, Any]) -> str:
    """The loss of a network with two layers."""
    return page["e"].svg()


FIGURES = {
    "16-price": (PAGE, price),
    "16-textbook": (PAGE, textbook),
    "16-network": (PAGE, network),
}
