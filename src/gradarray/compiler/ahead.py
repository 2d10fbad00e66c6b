"""Ahead: what every step stands on is made by a thread of its own while the first is recorded.

That is the code of the gate, and of the pool where there are threads: LLVM's work, which needs no
Python. With one processor each is made when it is first needed.
"""

from __future__ import annotations

import contextlib
import functools
import threading

from . import gate, pool


@functools.cache
def begin() -> None:
    """Begin, once in a process."""
    if pool.available() > 1:
        threading.Thread(target=make, name="gradarray-ahead", daemon=True).start()


def make() -> None:
    """The code of the gate and of the pool; what fails is raised where it is needed."""
    with contextlib.suppress(Exception):
        gate.loaded()
        if pool.get_threads() > 1 and pool.can_share():
            pool.symbols()
