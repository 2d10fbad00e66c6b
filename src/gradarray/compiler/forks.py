"""Forks: a process forks between recordings and compiles, not within another thread's.

A child has the thread that forked and no other: a lock that another one held would never be
released there, and handles that it had bound to values of a trace would stay so.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from . import gate, machine, pool, trace

# In the order in which a thread that compiles takes them.
_LOCKS = trace.lock, gate.making, pool.making, machine.lock, machine.beside, machine.linking


def _locks() -> list[Any]:
    """Our own locks, and last the one that llvmlite has around every call of LLVM."""
    lib = getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None)
    inner = getattr(getattr(lib, "_lock", None), "_lock", None)
    return [*_LOCKS] if inner is None else [*_LOCKS, inner]


def _wait() -> None:
    for lock in _locks():
        lock.acquire()


def _go_on() -> None:
    for lock in reversed(_locks()):
        lock.release()


def see_to() -> None:
    """From now on a fork waits for the recording or compile at hand."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_go_on)
