"""Colouring: which columns of a sparse matrix one product can find together.

The sum of columns that have no row in common still shows every entry, so one product J s finds
all columns of one colour. A set of colours is an integer with a bit for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..lazy import sparse


def column_coloring(pattern: Any) -> np.ndarray:
    """A colour for every column, so that no row has two entries of one colour.

    Greedy, densest columns first. (Curtis, Powell & Reid, "On the estimation of sparse Jacobian
    matrices", J. Inst. Maths Applics 13, 1974; Coleman & Moré, "Estimation of sparse Jacobian
    matrices and graph coloring problems", SIAM J. Numer. Anal. 20, 1983.)
    """
    columns: Any = sparse.csc_array(pattern)
    starts, rows = columns.indptr.tolist(), columns.indices.tolist()
    colors = [0] * columns.shape[1]
    used = [0] * columns.shape[0]
    for column in _densest_first(np.diff(columns.indptr)):
        mine = rows[starts[column] : starts[column + 1]]
        taken = 0
        for row in mine:
            taken |= used[row]
        colors[column] = color = ~taken & (taken + 1)
        for row in mine:
            used[row] |= color
    return np.array([color.bit_length() - 1 for color in colors], np.intp)


def star_coloring(pattern: Any) -> np.ndarray:
    """A colour for every vertex of a symmetric pattern: neighbours differ, and every path of four
    vertices has at least three colours.

    Then an entry (i, j) of a symmetric matrix stands alone in row i of the sum of j's colour, or
    in row j of that of i's. Greedy, densest first. (Coleman & Moré, "Estimation of sparse Hessian
    matrices and graph coloring problems", Math. Programming 28, 1984; Gebremedhin, Manne & Pothen,
    "What color is your Jacobian? Graph coloring for computing derivatives", SIAM Review 47, 2005,
    section 4.)
    """
    graph: Any = sparse.csr_array(pattern)
    starts, others = graph.indptr.tolist(), graph.indices.tolist()
    n = graph.shape[0]
    colors = [0] * n  # the bit of each vertex's colour, 0 while it has none
    near = [0] * n  # colours of a vertex's neighbours
    twice = [0] * n  # of these, the colours of two or more
    first: list[dict[int, int]] = [{} for _ in range(n)]  # the first neighbour of each colour
    # For a vertex w: colours of the neighbours x that have another neighbour of w's colour. One
    # more neighbour of w may not take x's colour: v - w - x - y would have two colours.
    barred = [0] * n
    for v in _densest_first(np.diff(graph.indptr)):
        neighbours = [w for w in others[starts[v] : starts[v + 1]] if w != v]
        taken = near[v]
        for w in neighbours:
            if colors[w]:
                taken |= barred[w]
                if colors[w] & twice[v]:  # w - v - w' with one colour: v differs from their others
                    taken |= near[w]
        color = ~taken & (taken + 1)
        colors[v] = color
        for w in neighbours:
            if colors[w] & twice[v]:
                barred[w] |= color
            if not near[w] & color:
                near[w] |= color
                first[w][color] = v
                continue
            if colors[w]:
                barred[v] |= colors[w]
                barred[first[w][color]] |= colors[w]
            twice[w] |= color
    return np.array([color.bit_length() - 1 for color in colors], np.intp)


def _densest_first(degrees: np.ndarray) -> list[int]:
    return np.argsort(-degrees, kind="stable").tolist()
