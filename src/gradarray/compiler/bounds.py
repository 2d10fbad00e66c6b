"""Bounds: no access of a program's loops leaves its buffer.

All extents are known, so the ends of an access are, too.
"""

from __future__ import annotations

from typing import Any

from .loops import Access, Check, Contract, Gemm, Routine, Search, Sort, Turn, accesses, walk


def check(body: list[Any]) -> None:
    """Raise AssertionError where an access could leave its buffer."""
    for statement in walk(body):
        for access, _ in accesses(statement):
            low, high = access.span()
            high += _reach(statement, access)
            if not access.buffer.size or any(not var.extent for var, _ in access.strides):
                continue  # nothing is touched
            assert 0 <= low and high < access.buffer.size, (
                f"{access} spans {low}..{high} of {access.buffer.size}"
            )


def _reach(s: Any, access: Access) -> int:
    """How far beyond the place of an access a statement of its own loops goes."""
    if isinstance(s, Gemm):
        rows, columns, ld = _matrix(s, access)
        return (rows - 1) * ld + columns - 1
    if isinstance(s, Check):
        return max(s.size - 1, 0) if access is s.of else 0
    if isinstance(s, Sort):
        return s.size - 1
    if isinstance(s, Search):
        return (s.size if access is s.sorted else s.count) - 1
    if isinstance(s, Routine):
        return max(next(one.size for one in s.stretches if one.at is access) - 1, 0)
    if isinstance(s, Turn):
        if access is s.of:
            return (s.rows - 1) * s.of_stride + s.columns - 1
        return (s.columns - 1) * s.to_stride + s.rows - 1
    if isinstance(s, Contract):
        if access is s.c:
            axes = [*zip((s.rows, s.columns), s.c_strides)]
        elif any(access is a for a, _ in s.pairs):
            axes = [*zip((s.rows, s.inner), s.a_strides), *((n, far) for n, far, _ in s.outer)]
        else:
            axes = [*zip((s.inner, s.columns), s.b_strides), *((n, far) for n, _, far in s.outer)]
        return sum((n - 1) * stride for n, stride in axes) + s.depth - 1
    return 0


def _matrix(g: Gemm, access: Access) -> tuple[int, int, int]:
    if access is g.c:
        return g.rows, g.columns, g.ldc
    if access is g.a:
        return (g.inner, g.rows, g.lda) if g.transpose_a else (g.rows, g.inner, g.lda)
    return (g.columns, g.inner, g.ldb) if g.transpose_b else (g.inner, g.columns, g.ldb)
