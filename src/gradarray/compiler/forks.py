"""Forks: a process forks between recordings and compiles, not within another thread's.

A child has the thread that forked and no other: a lock that another one held would never be
released there, and handles that it had bound to values of a trace would stay so.
"""

from __future__ import annotations

import os

from . import gate, machine, pool, trace

# In the order in which a thread that compiles takes them.
_LOCKS = trace.lock, gate.making, pool.making, machine.lock, machine.beside, machine.linking


def _wait() -> None:
    for lock in _LOCKS:
        lock.acquire()


def _go_on() -> None:
    for lock in reversed(_LOCKS):
        lock.release()


def see_to() -> None:
    """From now on a fork waits for the recording or compile at hand."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_go_on)
