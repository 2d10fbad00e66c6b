"""Ahead: a thread of its own makes code that will be needed, where there is a processor for it.

That is the pool's, while LLVM has a step that shares its work, and the gate's, for which a first
call does not wait. It is LLVM's work, which needs no Python.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

from .machine import processors


@functools.cache
def begin(make: Callable[[], Any]) -> None:
    """Begin to make something, once in a process; what fails is raised where it is needed."""

    def run() -> None:
        with contextlib.suppress(Exception):
            make()

    if processors() > 1:
        threading.Thread(target=run, name="gradarray-ahead", daemon=True).start()
