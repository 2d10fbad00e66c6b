"""Rules: how ops that are not elementwise become loops, a room for each family."""

from . import join, points, products, sums, views, windows

__all__ = ["join", "points", "products", "sums", "views", "windows"]
