"""The progress display: what each kind of stream gets to see, to the character."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from gradarray.train import progress
from gradarray.train.progress import Progress, can_redraw


class Stream(io.StringIO):
    def __init__(self, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self.terminal = terminal
        self._encoding = encoding

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self.terminal


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def screen(text: str, columns: int = 80) -> list[str]:
    """What a terminal shows after `text`: "\\r" goes back, a full row wraps, letters overwrite."""
    rows: list[list[str]] = [[]]
    at = 0
    for char in text:
        if char == "\n":
            rows.append([])
            at = 0
        elif char == "\r":
            at = 0
        else:
            if at == columns:
                rows.append([])
                at = 0
            rows[-1][at : at + 1] = [char]
            at += 1
    return ["".join(row).rstrip() for row in rows]


def run(
    stream: Stream, steps: int = 4, columns: int = 80, seconds: float = 0.25, **options
) -> Progress:
    """One epoch of `steps` steps, a validation of one second, and the end."""
    clock = Clock()
    bar = Progress(3, stream=stream, clock=clock, columns=lambda: columns, **options)
    bar.begin(steps, epoch=2)
    for step in range(1, steps + 1):
        clock.now += seconds
        bar.update(step, {"loss": 1 / step, "accuracy": step / steps})
    clock.now += 1.0
    bar.end({"loss": 0.25, "accuracy": 1.0, "val_loss": 0.5})
    return bar


FINAL = "2.0s  250ms/step - loss: 0.2500 - accuracy: 1.0000 - val_loss: 0.5000"


def test_terminal_ends_with_two_lines() -> None:
    stream = Stream(terminal=True)
    run(stream, columns=200)
    bar = "━" * 30
    assert screen(stream.getvalue(), 200) == ["Epoch 2/3", f"4/4 {bar}  {FINAL}", ""]


def test_terminal_redraws_one_line() -> None:
    stream = Stream(terminal=True)
    run(stream)
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert text.count("\r") == 5
    frames = text.split("\n")[1].split("\r")[1:]
    assert frames[0].startswith("1/4 ━━━")
    assert "ETA 1s  250ms/step - loss: 1.0000 - accuracy: 0.2500" in frames[0]
    assert "ETA 0s  250ms/step - loss: 0.2500 - accuracy: 1.0000" in frames[3]


@pytest.mark.parametrize("verbose", [1, True, "auto", 2])
def test_no_terminal_gets_one_line_per_epoch(verbose) -> None:
    stream = Stream(terminal=False)
    run(stream, verbose=verbose)
    assert stream.getvalue() == "Epoch 2/3 - 4/4 - " + FINAL.replace("  ", " - ") + "\n"


def test_verbose_2_is_one_line_on_a_terminal_too() -> None:
    stream = Stream(terminal=True)
    run(stream, verbose=2)
    assert stream.getvalue() == "Epoch 2/3 - 4/4 - " + FINAL.replace("  ", " - ") + "\n"


@pytest.mark.parametrize("verbose", [0, False])
def test_verbose_0_is_silent(verbose) -> None:
    stream = Stream(terminal=True)
    run(stream, verbose=verbose).close()
    assert stream.getvalue() == ""


@pytest.mark.parametrize("verbose", [3, -1, "yes", None])
def test_other_verbose_is_refused(verbose) -> None:
    with pytest.raises(ValueError, match=r"verbose is 0 \(silent\), 1 or 'auto'"):
        Progress(verbose=verbose)


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 60, 79, 80, 120])
def test_never_wraps_while_redrawing(columns: int) -> None:
    """A line that wrapped would be left behind by the carriage return, once a step."""
    stream = Stream(terminal=True)
    clock = Clock()
    bar = Progress(stream=stream, clock=clock, columns=lambda: columns)
    bar.begin(1000)
    for step in range(1, 1001):
        clock.now += 1.7 ** (step % 13)
        bar.update(step, {"loss": 10.0 ** (step % 9), "binary_accuracy": 0.5, "정확도": 0.25})
    assert len(screen(stream.getvalue(), columns)) == 1
    for frame in stream.getvalue().split("\r"):
        assert progress._width(frame) < max(columns, 2)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (100, ["4/4 " + "━" * 24 + f"  {FINAL}"]),
        (75, [f"4/4  {FINAL}"]),
        (74, ["4/4 " + "━" * 17 + f"  {FINAL[:50]}", "    val_loss: 0.5000"]),
        (
            40,
            [
                "4/4 " + "━" * 17 + "  2.0s  250ms/step",
                "    loss: 0.2500 - accuracy: 1.0000",
                "    val_loss: 0.5000",
            ],
        ),
        (
            22,
            [
                "4/4  2.0s  250ms/step",
                "    loss: 0.2500",
                "    accuracy: 1.0000",
                "    val_loss: 0.5000",
            ],
        ),
    ],
)
def test_the_end_shows_every_metric(columns: int, rows: list[str]) -> None:
    """In a narrow terminal below the bar, and cut nowhere."""
    stream = Stream(terminal=True)
    run(stream, columns=columns)
    assert screen(stream.getvalue(), columns) == ["Epoch 2/3", *rows, ""]


def test_a_shorter_line_rubs_out_the_longer_one() -> None:
    stream = Stream(terminal=True)
    clock = Clock()
    bar = Progress(stream=stream, clock=clock, columns=lambda: 80)
    bar.begin()
    for step, value in ((1, 123456.0), (2, 1.0)):
        clock.now += 1
        bar.update(step, {"loss": value})
    assert screen(stream.getvalue()) == ["2/?  2.0s  1.0s/step - loss: 1.0000"]


def test_the_bar_gives_way_to_the_metrics() -> None:
    wide, narrow = Stream(terminal=True), Stream(terminal=True)
    for stream, columns in ((wide, 100), (narrow, 63)):
        bar = Progress(stream=stream, clock=Clock(), columns=lambda columns=columns: columns)
        bar.begin(10)
        bar.update(5, {"loss": 1.0, "accuracy": 0.5})
    assert "━" * 15 + "─" * 15 in wide.getvalue()
    assert "━" not in narrow.getvalue()
    assert narrow.getvalue().endswith("accuracy: 0.5000")


def test_a_bar_is_full_only_at_the_end() -> None:
    stream = Stream(terminal=True)
    clock = Clock()
    bar = Progress(stream=stream, clock=clock, columns=lambda: 80)
    bar.begin(10_000)
    for step in (9_999, 10_000):
        clock.now += 1
        bar.update(step)
    almost, full = stream.getvalue().split("\r")[1:]
    assert "─" in almost
    assert "─" not in full


def test_eta_leaves_out_the_first_step() -> None:
    """A first step of 60 s that compiled, then 0.5 s a step: 7 left are 3.5 s, shown as 4."""
    stream = Stream(terminal=True)
    clock = Clock()
    bar = Progress(stream=stream, clock=clock, columns=lambda: 80)
    bar.begin(10)
    for step, seconds in ((1, 60.0), (2, 0.5), (3, 0.5)):
        clock.now += seconds
        bar.update(step)
    first, _, third = stream.getvalue().split("\r")[1:]
    assert "ETA 9:00  60s/step" in first
    assert "ETA 4s  500ms/step" in third


def test_unknown_total() -> None:
    stream = Stream(terminal=True)
    clock = Clock()
    bar = Progress(1, stream=stream, clock=clock, columns=lambda: 80)
    bar.begin(None, epoch=1)
    for step in (1, 2):
        clock.now += 0.5
        bar.update(step, {"loss": 2.0})
    assert screen(stream.getvalue())[-1] == "2/?  1.0s  500ms/step - loss: 2.0000"
    bar.end({"loss": 1.0})
    assert screen(stream.getvalue())[-2] == "2/2 " + "━" * 30 + "  1.0s  500ms/step - loss: 1.0000"


def test_drawings_are_limited_in_time() -> None:
    stream = Stream(terminal=True)
    clock = Clock()
    asked: list[int] = []

    def metrics() -> dict[str, float]:
        asked.append(1)
        return {"loss": 1.0}

    bar = Progress(stream=stream, clock=clock, columns=lambda: 80, interval=0.125)
    bar.begin(1024)
    for step in range(1, 1025):
        clock.now += 2.0**-10  # one second in all, exact in binary
        bar.update(step, metrics)
    # the first step, then one each eighth of a second, and the last
    assert stream.getvalue().count("\r") == len(asked) == 9


def test_metrics_are_not_asked_for_where_nothing_is_drawn() -> None:
    def metrics() -> dict[str, float]:
        raise AssertionError

    for options in ({"verbose": 0}, {"verbose": 2}):
        bar = Progress(stream=Stream(terminal=True), **options)
        bar.begin(2)
        bar.update(1, metrics)


def test_interrupted_bar_leaves_its_line() -> None:
    stream = Stream(terminal=True)
    bar = Progress(stream=stream, clock=Clock(), columns=lambda: 80)
    bar.begin(10)
    bar.update(3)
    bar.close()
    bar.close()
    assert stream.getvalue().endswith("us/step\n")
    assert stream.getvalue().count("\n") == 1


def test_a_new_pass_leaves_the_line_of_an_unfinished_one() -> None:
    stream = Stream(terminal=True)
    bar = Progress(stream=stream, clock=Clock(), columns=lambda: 80)
    for _ in range(2):
        bar.begin(10)
        bar.update(3)
    assert len(screen(stream.getvalue())) == 2


def test_a_pass_without_steps() -> None:
    stream = Stream()
    bar = Progress(stream=stream, clock=Clock())
    bar.begin(0)
    bar.end()
    assert stream.getvalue() == "0/0 - 0.0s\n"


def test_ascii_where_the_encoding_has_no_bars() -> None:
    stream = Stream(terminal=True, encoding="ascii")
    run(stream, columns=80)
    run(stream, columns=50)
    stream.getvalue().encode("ascii")
    assert "=" * 10 in stream.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (0.5, "0.5000"),
        (-0.25, "-0.2500"),
        (0.001, "0.0010"),
        (0.00099, "9.9000e-04"),
        (123456.0, "123456.0000"),
        (1e6, "1.0000e+06"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (3, "3.0000"),
        (np.float32(0.5), "0.5000"),
        (np.array(0.5), "0.5000"),
    ],
)
def test_numbers(value, text: str) -> None:
    stream = Stream()
    bar = Progress(stream=stream, clock=Clock())
    bar.begin(1)
    bar.end({"m": value})
    assert stream.getvalue().endswith(f"- m: {text}\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0us"),
        (2.35e-5, "24us"),
        (9.4e-6, "9.4us"),
        (0.0028, "2.8ms"),
        (0.123, "123ms"),
        (1.26, "1.3s"),
        (90.0, "90s"),
    ],
)
def test_time_per_step(seconds: float, text: str) -> None:
    assert progress._short(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1:00"),
        (65.0, "1:05"),
        (3599.7, "1:00:00"),
        (3661.0, "1:01:01"),
        (360_000.0, "100:00:00"),
    ],
)
def test_elapsed(seconds: float, text: str) -> None:
    assert progress._elapsed(seconds) == text


def test_dumb_terminal_is_not_redrawn(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not can_redraw(Stream(terminal=True))
    monkeypatch.setenv("TERM", "xterm")
    assert can_redraw(Stream(terminal=True))
    assert not can_redraw(Stream(terminal=False))


def test_notebook_is_redrawn(monkeypatch) -> None:
    notebook = types.ModuleType("IPython")
    monkeypatch.setattr(notebook, "get_ipython", lambda: types.SimpleNamespace(kernel=1), False)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setattr(sys, "stdout", Stream(terminal=False))
    assert can_redraw(sys.stdout)
    assert not can_redraw(Stream(terminal=False)), "a file opened in a notebook is a file"
    monkeypatch.setattr(notebook, "get_ipython", lambda: None)
    assert not can_redraw(sys.stdout)


PROGRAM = """
from gradarray.train.progress import Progress
bar = Progress(1)
bar.begin(3, epoch=1)
for step in range(1, 4):
    bar.update(step, {"loss": 1.0})
bar.end({"loss": 0.5})
"""


def program_environment() -> dict[str, str]:
    source = Path(progress.__file__).parents[2]
    return os.environ | {
        "PYTHONPATH": str(source),
        "PYTHONIOENCODING": "utf-8",
        "TERM": "xterm",
        "COLUMNS": "90",
    }


def test_through_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, env=program_environment()
    )
    lines = done.stdout.decode().split("\n")
    assert len(lines) == 2
    assert lines[0].startswith("Epoch 1/1 - 3/3 - 0.0s - ")
    assert lines[0].endswith("/step - loss: 0.5000")
    assert "\r" not in lines[0]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
def test_on_a_terminal() -> None:
    import pty

    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=slave, env=program_environment()
    ) as process:
        os.close(slave)
        output = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:  # how Linux reports that the other side has been closed
                break
            if not piece:
                break
            output += piece
    os.close(master)
    assert process.returncode == 0
    rows = screen(output.decode().replace("\r\n", "\n"), 90)
    assert rows[0] == "Epoch 1/1"
    # How long it took is the machine's affair.
    assert re.fullmatch("3/3 " + "━" * 30 + r"  \S+s  \S+s/step - loss: 0\.5000", rows[1])
    assert rows[2:] == [""]
