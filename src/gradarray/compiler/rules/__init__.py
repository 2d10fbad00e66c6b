"""Rules: how ops that are not elementwise become loops, a room for each family."""

from . import (
    blocks,
    control,
    conv,
    functions,
    index,
    join,
    lapack,
    points,
    products,
    running,
    sort,
    sums,
    views,
    windows,
)

__all__ = [
    "blocks",
    "control",
    "conv",
    "functions",
    "index",
    "join",
    "lapack",
    "points",
    "products",
    "running",
    "sort",
    "sums",
    "views",
    "windows",
]
