"""Rules: how ops that are not elementwise become loops, a room for each family."""

from . import (
    control,
    conv,
    functions,
    index,
    join,
    points,
    products,
    running,
    sums,
    views,
    windows,
)

__all__ = [
    "control",
    "conv",
    "functions",
    "index",
    "join",
    "points",
    "products",
    "running",
    "sums",
    "views",
    "windows",
]
