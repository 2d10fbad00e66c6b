"""What `fit`, `evaluate` and `predict` show while they run: a bar, or a line in a log."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Metrics = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None

_WIDEST_BAR = 30
_NARROWEST_BAR = 10


class Progress:
    """Show how far a pass over the data is, how long it will take, and its metrics so far.

    On a terminal or in a notebook one line is redrawn in place,

        Epoch 1/5
        128/469 ━━━━━━━━──────────────────────  ETA 4s  12ms/step - loss: 0.4167 - accuracy: 0.8530

    and anywhere else (a file, a pipe, a log) each epoch is one line, written when it ends:

        Epoch 1/5 - 469/469 - 5.6s - 12ms/step - loss: 0.3210 - accuracy: 0.8841

    The time per step is the mean over the epoch without its first step, which may have compiled or
    warmed something up; the time before it is that of the whole epoch, validation included.

    `epochs` is how many epochs will come, or None for a single pass without a number. `verbose` is
    as in Keras: 0 shows nothing, 2 a line per epoch everywhere, "auto" and 1 the bar where a line
    can be redrawn and a line per epoch elsewhere. `stream` is where to write (standard output),
    `redraw` overrides the judgement whether a line can be redrawn there, `interval` is the least
    time between two drawings, and `clock` and `columns` tell the time in seconds and the width of
    the terminal.

    Raises ValueError for another `verbose`.

    >>> bar = Progress(epochs=2, clock=iter([0.0, 0.5, 0.75, 1.0, 1.0]).__next__, redraw=False)
    >>> bar.begin(total=3, epoch=1)
    >>> for step in 1, 2, 3:
    ...     bar.update(step, {"loss": 1 / step})
    >>> bar.end({"loss": 0.25, "accuracy": 0.5})
    Epoch 1/2 - 3/3 - 1.0s - 250ms/step - loss: 0.2500 - accuracy: 0.5000
    """

    def __init__(
        self,
        epochs: int | None = None,
        *,
        verbose: int | str = "auto",
        stream: TextIO | None = None,
        redraw: bool | None = None,
        interval: float = 0.05,
        clock: Callable[[], float] = time.perf_counter,
        columns: Callable[[], int] | None = None,
    ) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(
                f"verbose is 0 (silent), 1 or 'auto' (a bar on a terminal), or 2 (a line per "
                f"epoch), not {verbose!r}"
            )
        self.epochs = epochs
        self._stream = sys.stdout if stream is None else stream
        self._silent = verbose == 0
        self._redraw = verbose in (1, "auto") and (
            can_redraw(self._stream) if redraw is None else redraw
        )
        self._interval = interval
        self._clock = clock
        self._columns = columns or (lambda: shutil.get_terminal_size((80, 24)).columns)
        self._marks = _marks(self._stream)
        self._open = False
        self._drawn = 0
        self._reset(None, None, 0.0)

    def _reset(self, total: int | None, epoch: int | None, now: float) -> None:
        self._total = total
        self._epoch = epoch
        self._step = 0
        self._began = self._latest = self._next = now
        self._first: tuple[int, float] | None = None

    def begin(self, total: int | None = None, epoch: int | None = None) -> None:
        """Begin a pass of `total` steps (None: not known yet); `epoch` counts from 1."""
        if self._silent:
            return
        self.close()
        self._reset(total, epoch, self._clock())
        if self._redraw and epoch is not None:
            self._stream.write(f"{self._title()}\n")
            self._stream.flush()

    def update(self, step: int, metrics: Metrics = None) -> None:
        """Say that `step` steps are done; `metrics` may be a callable, called only to draw."""
        if self._silent:
            return
        now = self._clock()
        self._step = step
        self._latest = now
        if self._first is None:
            self._first = (step, now)
        if self._redraw and (now >= self._next or step == self._total):
            self._next = now + self._interval
            self._draw(self._line(now, metrics))

    def end(self, metrics: Metrics = None) -> None:
        """End the pass and show its final metrics, those of a validation among them."""
        if self._silent:
            return
        now = self._clock()
        if self._total is None:
            self._total = self._step
        if self._redraw:
            first, *more = self._rows(now, metrics)
            self._draw(first)
            for row in more:
                self._stream.write("\n" + row)
            self.close()
        else:
            parts = [] if self._epoch is None else [self._title()]
            parts += [self._count(), _elapsed(now - self._began), *self._pace(), *_show(metrics)]
            self._stream.write(" - ".join(parts) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the line that is being redrawn, so that what is printed next has one of its own."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = False
            self._drawn = 0

    def _draw(self, line: str) -> None:
        width = _width(line)
        # Spaces rub out what a longer line has left; every terminal and notebook can do that.
        self._stream.write("\r" + line + " " * (self._drawn - width))
        self._stream.flush()
        self._drawn = width
        self._open = True

    def _limit(self) -> int:
        return max(self._columns() - 1, 1)  # some terminals wrap once the last column is written

    def _line(self, now: float, metrics: Metrics) -> str:
        """The line to draw over. Where it is too wide the bar gives way, and then its end."""
        if self._total is None:
            time_text = _elapsed(now - self._began)
        else:
            left = max(self._total - self._step, 0) * self._seconds_per_step()
            time_text = f"ETA {_whole(math.ceil(left))}"
        parts = ["  ".join([time_text, *self._pace()]), *_show(metrics)]
        return _cut(self._beside_bar(" - ".join(parts)), self._limit(), self._marks[2])

    def _rows(self, now: float, metrics: Metrics) -> list[str]:
        """The lines to leave standing: metrics that do not fit beside a bar go below it."""
        limit, count = self._limit(), _width(self._count())
        parts = ["  ".join([_elapsed(now - self._began), *self._pace()]), *_show(metrics)]
        whole = " - ".join(parts)
        if count + 2 + _width(whole) <= limit:
            return [self._beside_bar(whole)]
        first, *more = _packed(parts, limit - count - _NARROWEST_BAR - 3, limit - count - 1)
        return [self._beside_bar(first), *(" " * (count + 1) + row for row in more)]

    def _beside_bar(self, text: str) -> str:
        """The count, a bar if there is room for one, and `text`."""
        room = min(_WIDEST_BAR, self._limit() - _width(self._count()) - _width(text) - 3)
        if self._total is None or room < _NARROWEST_BAR:
            return f"{self._count()}  {text}"
        return f"{self._count()} {self._bar(room)}  {text}"

    def _bar(self, width: int) -> str:
        full, rest, _ = self._marks
        # Rounded down: a bar that looks full is full.
        filled = width if not self._total else min(width, width * self._step // self._total)
        return full * filled + rest * (width - filled)

    def _title(self) -> str:
        return f"Epoch {self._epoch}" + ("" if self.epochs is None else f"/{self.epochs}")

    def _count(self) -> str:
        if self._total is None:
            return f"{self._step}/?"
        total = str(self._total)
        return f"{self._step:>{len(total)}}/{total}"

    def _seconds_per_step(self) -> float:
        if self._first is None:
            return 0.0
        step, at = self._first
        if self._step > step:
            return (self._latest - at) / (self._step - step)
        return (self._latest - self._began) / max(step, 1)

    def _pace(self) -> list[str]:
        return [] if self._first is None else [f"{_short(self._seconds_per_step())}/step"]


def can_redraw(stream: TextIO) -> bool:
    """Whether a line written to `stream` can be drawn over: on a terminal, and in a notebook."""
    if stream.isatty():
        return os.environ.get("TERM") != "dumb"
    ipython = sys.modules.get("IPython")  # a notebook has imported it; nobody else should pay
    shell = ipython.get_ipython() if ipython is not None else None
    return stream is sys.stdout and hasattr(shell, "kernel")


def _marks(stream: TextIO) -> tuple[str, str, str]:
    """The full part of a bar, its rest, and what stands for text cut off."""
    try:
        "━─…".encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "=", ".", "~"
    return "━", "─", "…"


def _show(metrics: Metrics) -> list[str]:
    values = metrics() if callable(metrics) else metrics or {}
    return [f"{name}: {_number(float(value))}" for name, value in values.items()]


def _number(value: float) -> str:
    """Four digits after the point where that says something, else an exponent."""
    plain = value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if plain else f"{value:.4e}"


def _elapsed(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 9.95 else _whole(round(seconds))


def _whole(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}:{seconds:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _short(seconds: float) -> str:
    """A time per step in the unit that leaves one to three digits before the point."""
    scale, unit = (1.0, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "us")
    value = seconds * scale
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def _width(text: str) -> int:
    """Columns that `text` takes: a metric may be named in Korean, two columns a syllable."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _packed(parts: list[str], first: int, others: int) -> list[str]:
    """`parts` joined to rows as wide as may be: the first of `first` columns, then of `others`."""
    rows = [parts[0]]
    for part in parts[1:]:
        longer = f"{rows[-1]} - {part}"
        if _width(longer) <= (first if len(rows) == 1 else others):
            rows[-1] = longer
        else:
            rows.append(part)
    return rows


def _cut(text: str, limit: int, mark: str) -> str:
    excess = _width(text) - limit
    if excess <= 0:
        return text
    while excess > -1:  # one column is for the mark
        excess -= _width(text[-1])
        text = text[:-1]
    return text + mark
