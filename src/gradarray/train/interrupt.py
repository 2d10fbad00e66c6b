"""Ctrl-C between batches: a step is finished before the interruption is raised."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import numpy as np


class BetweenBatches:
    """Inside, the first Ctrl-C waits for `check()`, or for the end; a second is raised at once.

    A step that is cut in the middle would leave some parameters updated and others not. Outside
    the main thread, or under a handler of the user's own, nothing is changed.
    """

    def __init__(self) -> None:
        self.word = np.zeros(1, np.int64)  # not 0: asked to end; native code looks at it
        self._outer: Any = None

    def __enter__(self) -> BetweenBatches:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._outer = signal.signal(signal.SIGINT, self._handle)
        return self

    @property
    def asked(self) -> bool:
        return bool(self.word[0])

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.word[0] = 1

    def check(self) -> None:
        """Raise the interruption that was asked for."""
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._outer is not None:
            signal.signal(signal.SIGINT, self._outer)
        # Pressed after the last check, or before an error that is on its way: that is its context.
        if not isinstance(value, KeyboardInterrupt):
            self.check()
