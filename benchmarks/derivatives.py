"""Derivatives of every kind beside PyTorch and JAX in one run, in time and in memory.

Run with `make bench`; prints its tables and writes them to derivatives.md beside this file. With
names of problems it runs those alone, and writes nothing.
"""

import os

# One thread for every library; these are read when it is loaded.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", NPROC="1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import argparse
import ctypes
import gc
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from _derivatives import PROBLEMS, Problem
from _timing import Contender, interleaved, machine, ratio, table

import gradarray as ga

OURS = "gradarray"
STATUS = Path("/proc/self/status")


# The same numbers ---------------------------------------------------------------------------------


def arrays(x: Any) -> list[np.ndarray]:
    """What a call gave, as NumPy arrays."""
    if isinstance(x, (tuple, list)):
        return [a for part in x for a in arrays(part)]
    if hasattr(x, "toarray"):
        return [x.toarray()]
    return [x.numpy() if isinstance(x, ga.GradArray) else np.asarray(x)]


def first_calls(problem: Problem) -> dict[str, float]:
    """Seconds of every first call; what it gives is compared with gradarray's."""
    seconds, expected = {}, None
    for name, call in problem.calls.items():
        start = time.perf_counter()
        result = call()
        seconds[name] = time.perf_counter() - start
        found = arrays(result)
        expected = found if expected is None else expected
        for a, b in zip(found, expected, strict=True):
            scale = np.abs(b).max()
            np.testing.assert_allclose(a, b, rtol=0, atol=problem.rtol * scale, err_msg=name)
    return seconds


# Memory -------------------------------------------------------------------------------------------


def resident(field: str) -> float:
    """MiB that this process holds now (VmRSS) or held at most (VmHWM)."""
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def print_peak(key: str, name: str) -> None:
    """In a process of its own: MiB at the peak of a second call above what stood before it."""
    call = PROBLEMS[key]().calls[name]
    call()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # VmHWM begins anew
    before = resident("VmRSS")
    call()
    print(resident("VmHWM") - before)


def peaks(key: str, problem: Problem) -> dict[str, float]:
    if not problem.memory or not STATUS.exists():
        return {}
    # Freed memory goes back at once, and is not there for the second call.
    kept = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, "--peak", key]
    found = {}
    for name in problem.calls:
        done = subprocess.run(
            [*command, name], env=os.environ | kept, check=True, stdout=subprocess.PIPE, text=True
        )
        found[name] = float(done.stdout.split()[-1])
    return found


# Tables -------------------------------------------------------------------------------------------


class Bar(NamedTuple):
    """What was asked of gradarray beside another call, and what came."""

    problem: str
    other: str
    what: str
    aim: float
    found: float

    def row(self) -> list[str]:
        verdict = "met" if self.found <= self.aim else f"missed, {self.found / self.aim:.2f} times"
        cells = [f"{self.aim:g}", f"**{figure(self.found)}**", verdict]
        return [self.problem, self.other, self.what, *cells]


def measured(key: str, rounds: int) -> tuple[str, list[Bar]]:
    """The section on one problem, and how its bars were met."""
    problem = PROBLEMS[key]()
    first = first_calls(problem)
    contenders = {name: Contender(call) for name, call in problem.calls.items()}
    samples = interleaved(contenders, rounds=rounds, sample_seconds=0.1)
    memory = peaks(key, problem)
    header = ["", "ms", "gradarray / this", "first call, s"]
    header += ["peak, MiB", "gradarray / this"] if memory else []
    rows = []
    for name, times in samples.items():
        row = [name, figure(median(times) / 1e3), figure(ratio(samples[OURS], times))]
        row.append(f"{first[name]:.2f}" if "jitted" in name else "")
        if memory:
            row += [figure(memory[name]), figure(memory[OURS] / max(memory[name], 0.01))]
        rows.append(row)
    in_torch = [name for name in samples if name.startswith(problem.like)]
    fastest = min(in_torch, key=lambda name: median(samples[name]))
    bars = []
    for other, of_time, of_memory in ((fastest, 1.0, None), *problem.bars):
        if of_time is not None:
            found = ratio(samples[OURS], samples[other])
            bars.append(Bar(problem.title, other, "time", of_time, found))
        if of_memory is not None and memory:
            found = memory[OURS] / memory[other]
            bars.append(Bar(problem.title, other, "memory", of_memory, found))
    return f"## {problem.title}\n\n" + table(header, rows), bars


def figure(x: float) -> str:
    """Three digits, without an exponent."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def tridiagonal(n: int = 10_000) -> str:
    """How many products the Jacobian of a chain takes, and how long."""
    f = lambda u: u[1:-1] * (u[2:] - 2 * u[1:-1] + u[:-2])
    u = ga.array(np.linspace(0, 1, n + 2))
    known = ga.jacobian_sparsity(f)(u)
    start = time.perf_counter()
    ga.sparse_jacobian(f)(u)
    seconds = time.perf_counter() - start
    return (
        f"A tridiagonal Jacobian of {n:,} rows takes **{known.products} products** (aim: 3),"
        f" {1e3 * seconds:.0f} ms with the search for its pattern and its colours."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", help=f"some of {', '.join(PROBLEMS)}; all if none")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peak", nargs=2, metavar=("PROBLEM", "CALL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(*options.peak)
        return
    intro = (
        "# Derivatives\n\n"
        + machine(["gradarray", "numpy", "torch", "jax"])
        + "\n\nOne thread for each library; contenders take turns in one run; figures are medians\n"
        "and ratios are taken inside a round: below 1 gradarray is faster or smaller. gradarray\n"
        "and PyTorch run eagerly. All calls of a problem were checked to give the same numbers.\n"
        "The peak is that of the process in a second call, above what stood before it. The first\n"
        "call of a jitted function compiles it."
    )
    print(intro, flush=True)
    sections, bars = [], []
    for key in options.problems or PROBLEMS:
        section, found = measured(key, options.rounds)
        sections.append(section)
        bars += found
        print("\n" + section, flush=True)
    header = ["what was asked", "beside", "of its", "at most", "found", ""]
    summary = table(header, [bar.row() for bar in bars]) + "\n\n" + tridiagonal()
    print("\n" + summary)
    if not options.problems:
        results = Path(__file__).with_suffix(".md")
        results.write_text("\n\n".join([intro, summary, *sections]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
