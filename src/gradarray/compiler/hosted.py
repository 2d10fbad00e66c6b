"""Hosted: steps without a native rule, which call the op's own `forward` on the step's memory."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from .lower import Host
from .memory import View

if TYPE_CHECKING:
    from .native import Work


def carry_out(call: Host, work: Work) -> None:
    """Compute a step where its operands and results lie."""
    _on(call, *_memory_of(call, work))


def callback(call: Host, work: Work) -> Any:
    """The same as a function that native code can call: (the arena's address, the table's).

    Where it raises, the word `work.failed` says so: the call is then made again by Python.
    """
    places = _memory_of(call, work)

    def run(arena: int, table: int) -> None:
        try:
            _on(call, *places)
        except BaseException:  # there is nobody here who could handle it
            work.failed[0] = 1

    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(run)


def _on(call: Host, operands: list[Any], results: list[Any]) -> None:
    values = [x() for x in operands]
    with np.errstate(all="ignore"):
        y = call.step.op.forward(*values, **call.step.params)
    for to, part in zip(results, y if call.step.several else (y,)):
        to()[...] = part


def _memory_of(call: Host, work: Work) -> tuple[list[Any], list[Any]]:
    """Functions that give operands and results as NumPy sees them, with what is there now."""

    def seen(view: View, result: bool) -> Any:
        b, size = view.buffer, view.buffer.dtype.itemsize
        strides = tuple(s * size for s in view.strides)

        def at(memory: Any, start: int) -> Any:
            return np.ndarray(view.shape, b.dtype, memory, start + view.offset * size, strides)

        def given() -> Any:
            memory = (ctypes.c_char * b.nbytes).from_address(int(work.table[b.index]))
            x = at(memory, 0)
            return x if result or x.shape else x[()]

        if b.place not in ("arena", "constant"):
            return given
        in_arena = b.place == "arena"
        x = at(work.arena.data, b.offset) if in_arena else at(np.ascontiguousarray(b.data), 0)
        return lambda: x if result or x.shape else x[()]

    return (
        [seen(x, False) if isinstance(x, View) else (lambda x=x: x) for x in call.operands],
        [seen(x, True) for x in call.results],
    )
