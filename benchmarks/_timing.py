"""Timing of several contenders in one run, so that what else the machine does hits all alike.

One round times every contender once, in an order that rotates; figures are medians over rounds,
and ratios and differences are taken inside a round before the median.
"""

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from statistics import median
from typing import NamedTuple

Samples = dict[str, list[float]]


class Contender(NamedTuple):
    """What is timed, and the context that it runs in (entered once a sample, not once a call)."""

    call: Callable[[], object]
    context: Callable[[], AbstractContextManager] = nullcontext


def _seconds(contender: Contender, calls: int) -> float:
    call = contender.call
    with contender.context():
        if calls > 1:
            call()  # the caches are another contender's
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - start


def _calls_for(contender: Contender, seconds: float) -> int:
    """How many calls fill a sample of that length, by the best of three, warm; at least one."""
    calls = 1
    if _seconds(contender, 1) > seconds:
        return 1
    while (taken := min(_seconds(contender, calls) for _ in range(3))) < seconds / 4:
        calls *= 2
    return max(1, round(calls * seconds / taken))


def interleaved(
    contenders: Mapping[str, Contender], *, rounds: int, sample_seconds: float
) -> Samples:
    """Microseconds per call of every contender in every round."""
    names = list(contenders)
    calls = {name: _calls_for(contenders[name], sample_seconds) for name in names}
    samples: Samples = {name: [] for name in names}
    # Frozen, what the libraries themselves hold is not walked between the rounds.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(rounds):
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                seconds = _seconds(contenders[name], calls[name])
                samples[name].append(1e6 * seconds / calls[name])
            gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    return samples


def ratio(numerator: list[float], denominator: list[float]) -> float:
    """The median over rounds of the ratio inside a round."""
    return median(a / b for a, b in zip(numerator, denominator))


def difference(minuend: list[float], subtrahend: list[float]) -> float:
    """The median over rounds of the difference inside a round."""
    return median(a - b for a, b in zip(minuend, subtrahend))


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table: the first column is text, the others are figures."""
    marks = [":--"] + ["--:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, marks, *rows])


def machine(packages: list[str]) -> str:
    """One line on what the figures were taken with."""
    processor = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            models = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
        processor = models[0] if models else processor
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{processor}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}."
