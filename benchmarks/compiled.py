"""Compiled steps beside PyTorch and JAX in one run: whole training steps, gradients, Hessians.

Run with `make bench`; prints its tables and writes them to results.md beside this file. With names
of rows it runs those alone, and writes nothing unless `--write` is given.
"""

import argparse
import gc
import multiprocessing
import os
import time
from collections.abc import Iterable
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, NamedTuple

import numpy as np
import workloads
from _timing import machine, ratio, table

OURS = "gradarray"
TORCH_COMPILE = "PyTorch, torch.compile"
LONGEST = 150.0  # seconds that a contender may take for an answer
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class Contender(NamedTuple):
    """A library's spelling of a workload, and the threads that it may use."""

    name: str
    threads: int

    @property
    def library(self) -> str:
        return self.name.split(",")[0]

    @property
    def process(self) -> tuple[str, int]:
        """torch.compile is asked for when a process starts; else a library has one process."""
        return self.name if self.name == TORCH_COMPILE else self.library, self.threads


class Failure(NamedTuple):
    """Why a contender has no figure."""

    why: str


class Made(NamedTuple):
    """Seconds of the first call, and the gradients that came."""

    first: float
    gradients: list[np.ndarray]


# In a worker --------------------------------------------------------------------------------------


def serve(pipe: Connection, threads: int) -> None:
    """A library's process: holds the contenders of one row, and times them when asked."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    jobs: dict[str, workloads.Job] = {}
    while True:
        try:
            what, name, detail = pipe.recv()
        except EOFError:
            return
        try:
            if what == "make":
                jobs[name] = job = contender(detail, name, threads)
                pipe.send(made(job))
            elif what == "calls":
                pipe.send(calls_for(jobs[name], detail))
            elif what == "time":
                pipe.send(sample(jobs[name], *detail))
            else:
                jobs.clear()
                gc.collect()
                pipe.send(None)
        except Exception as error:  # a contender that fails is reported, and the others run
            pipe.send(Failure(" ".join(f"{type(error).__name__}: {error}".split())[:200]))


def contender(row: str, name: str, threads: int) -> workloads.Job:
    if name.startswith("PyTorch"):
        import torch

        torch.set_num_threads(threads)
    makers = import_module(f"workloads.{row}").CONTENDERS
    return makers["PyTorch" if name == TORCH_COMPILE else name]()


def made(job: workloads.Job) -> Made:
    start = time.perf_counter()
    job.step()
    seconds = time.perf_counter() - start
    return Made(seconds, [np.array(g) for g in job.gradients()])


def sample(job: workloads.Job, calls: int, clock: str = "wall") -> float:
    """Milliseconds a call."""
    now = CLOCKS[clock]
    job.step()  # the caches are another contender's
    start = now()
    for _ in range(calls):
        job.step()
    return 1e3 * (now() - start) / calls


def calls_for(job: workloads.Job, seconds: float) -> int:
    """How many calls fill a sample of that length, by the best of growing ones."""
    calls, each = 1, sample(job, 1) / 1e3  # of the wall's clock, so that a round ends
    while calls * each < seconds / 4 and calls < 1_000_000:
        calls *= 4
        each = min(each, sample(job, calls) / 1e3)
    return max(1, round(seconds / each))


# The run ------------------------------------------------------------------------------------------


class Workers:
    """A process for each library and number of threads, alive until it dies or is too slow."""

    def __init__(self) -> None:
        self.started: dict[tuple[str, int], tuple[Any, Connection]] = {}

    def ask(self, of: Contender, what: str, detail: Any = None) -> Any:
        """What the contender's process answers, or a Failure."""
        if of.process not in self.started:
            self.started[of.process] = self._start(of)
        process, pipe = self.started[of.process]
        try:
            pipe.send((what, of.name, detail))
            if pipe.poll(LONGEST):
                return pipe.recv()
            why = f"not done after {LONGEST:.0f} s"
        except (EOFError, OSError):
            process.join()
            why = f"its process died, exit code {process.exitcode}"
        process.kill()
        del self.started[of.process]
        return Failure(why)

    def _start(self, of: Contender) -> tuple[Any, Connection]:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"):
            os.environ[name] = str(of.threads)
        one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = one if of.threads == 1 else ""
        os.environ[workloads.TORCH_COMPILE] = "1" if of.name == TORCH_COMPILE else ""
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        process = spawn.Process(target=serve, args=(there, of.threads), daemon=True)
        process.start()
        there.close()
        return process, here

    def forget(self) -> None:
        """The row is done."""
        for name, threads in list(self.started):
            self.ask(Contender(name, threads), "forget")


class Result(NamedTuple):
    """A workload's figures: seconds of first calls, ms of each round, what failed and why."""

    row: str
    first: dict[Contender, float]
    samples: dict[Contender, list[float]]
    failed: dict[Contender, str]

    def fastest(self, *libraries: str, threads: int | None = None) -> Contender | None:
        fit = [
            c
            for c in self.samples
            if c.library in libraries and threads in (None, c.threads) and c not in self.failed
        ]
        return min(fit, key=lambda c: median(self.samples[c]), default=None)

    def times_faster(self) -> tuple[float, Contender] | None:
        """Than the fastest peer, each at its better number of threads; inside rounds."""
        ours, peer = self.fastest(OURS), self.fastest("PyTorch", "JAX")
        if ours is None or peer is None:
            return None
        return ratio(self.samples[peer], self.samples[ours]), peer


def deviation(found: Iterable[np.ndarray], expected: Iterable[np.ndarray]) -> float:
    """The largest difference of any array, to the largest entry of that array."""
    pairs = zip(found, expected, strict=True)
    gaps = [np.abs(a - b).max() / max(np.abs(b).max(), 1e-30) for a, b in pairs]
    return float(np.max(gaps))  # NaN where there is one


def measured(row: str, workers: Workers, options: argparse.Namespace) -> Result:
    """All contenders of a workload: made, checked against the first peer, timed in turn."""
    work = import_module(f"workloads.{row}")
    names = [*work.CONTENDERS, *([TORCH_COMPILE] if options.torch_compile else [])]
    result = Result(row, {}, {}, {})
    found: dict[Contender, list[np.ndarray]] = {}
    for one in (Contender(name, n) for n in options.threads for name in names):
        answer = workers.ask(one, "make", row)
        if isinstance(answer, Failure):
            result.failed[one] = answer.why
        else:
            result.first[one], found[one] = answer
    expected = next((g for one, g in found.items() if one.library != OURS), None)
    calls = {}
    for one, gradients in found.items():
        gap = deviation(gradients, expected) if expected is not None else 0.0
        if not gap <= work.RTOL:
            result.failed[one] = f"its gradients differ by {gap:.1e} of the largest entry"
            continue
        answer = workers.ask(one, "calls", options.sample)
        if isinstance(answer, Failure):
            result.failed[one] = answer.why
        else:
            calls[one], result.samples[one] = answer, []
    for turn in range(options.rounds):
        order = [one for one in calls if one not in result.failed]
        start = turn % max(1, len(order))
        for one in order[start:] + order[:start]:
            answer = workers.ask(one, "time", (calls[one], options.clock))
            if isinstance(answer, Failure):
                result.failed[one] = answer.why
            else:
                result.samples[one].append(answer)
    workers.forget()
    return result


# Tables -------------------------------------------------------------------------------------------


def figure(x: float) -> str:
    """Three digits, without an exponent."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}" if x >= 0.001 else f"{x:.5f}"


def cell(values: list[float | None]) -> str:
    """Figures for each number of threads."""
    return " / ".join("-" if x is None else figure(x) for x in values)


def line(result: Result, threads: list[int]) -> list[str]:
    work = import_module(f"workloads.{result.row}")
    cells = [work.TITLE]
    for library in (OURS, "PyTorch", "JAX"):
        best = [result.fastest(library, threads=n) for n in threads]
        cells.append(cell([None if c is None else median(result.samples[c]) for c in best]))
    faster = result.times_faster()
    cells += [figure(work.LIMIT), f"{work.BAR:g}"]
    if faster is None:
        return [*cells, "**none**", "missed"]
    verdict = "met" if faster[0] >= work.BAR else f"missed, {work.BAR / faster[0]:.2f} times"
    return [*cells, f"**{figure(faster[0])}**", verdict]


def first_calls(results: list[Result]) -> str:
    rows = []
    for result in results:
        times = {}
        for library in (OURS, "JAX"):
            of = [result.first[c] for c in result.first if c.library == library]
            times[library] = min(of, default=None)
        compiled = [t for c, t in result.first.items() if c.name == TORCH_COMPILE]
        cells = [cell([times[OURS]]), cell([times["JAX"]]), cell([min(compiled, default=None)])]
        ours, jax = times[OURS], times["JAX"]
        cells.append("-" if ours is None or jax is None else figure(ours / jax))
        rows.append([import_module(f"workloads.{result.row}").TITLE, *cells])
    header = ["seconds", OURS, "JAX", "torch.compile", f"{OURS} / JAX (at most 0.5)"]
    return "## First call\n\nTrace, compile and run, in seconds.\n\n" + table(header, rows)


def report(results: list[Result], threads: list[int]) -> str:
    counts = " / ".join(map(str, threads))
    header = ["milliseconds a call", OURS, "PyTorch", "JAX", "limit", "bar", "times faster", ""]
    text = table(header, [line(result, threads) for result in results])
    found = [faster[0] for r in results if (faster := r.times_faster())]
    if found:
        bars = [import_module(f"workloads.{r.row}").BAR for r in results]
        met = sum(
            faster is not None and faster[0] >= bar
            for faster, bar in zip((r.times_faster() for r in results), bars)
        )
        slower = sum(x < 1 for x in found)
        text += (
            f"\n\n{met} of {len(results)} bars are met; {slower} rows are slower than the best"
            f" peer, {len(results) - len(found)} have no figure; the geometric mean of those that"
            f" have one is **{geometric_mean(found):.2f}** (aim: at least 2.3)."
        )
    text += f"\n\nThreads: {counts}. A peer of several spellings stands with its fastest one."
    failed = [
        f"- {import_module(f'workloads.{r.row}').TITLE}: {one.name}, {one.threads} threads: {why}"
        for r in results
        for one, why in r.failed.items()
    ]
    if failed:
        text += "\n\n## Without a figure\n\n" + "\n".join(failed)
    return text + "\n\n" + first_calls(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"some of {', '.join(workloads.NAMES)}")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sample", type=float, default=0.1, help="seconds of one sample")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--torch-compile", action="store_true", help="torch.compile too (minutes)")
    parser.add_argument("--write", action="store_true", help="write results.md with some rows too")
    options = parser.parse_args()
    if options.clock == "processor" and options.threads != [1]:
        parser.error("the processor's clock counts all threads of a process: take --threads 1")
    clocks = {
        "wall": "Times are the wall clock's.",
        "processor": "Other work shared the machine: times are the processor's, for one thread.",
    }
    intro = (
        "# Compiled steps\n\n"
        + machine(["gradarray", "numpy", "torch", "jax", "llvmlite"])
        + "\n\nEach library in processes of its own, with one thread on one processor, or more.\n"
        "They take turns in one run; figures are medians over rounds, ratios are taken inside a\n"
        "round: above 1 gradarray is faster. The contenders of a row gave the same gradients, or\n"
        "have no figure. The limit is what the row's operations or bytes need on two quiet cores;\n"
        "the bar is the least ratio to the best peer that was asked, each at its better number of\n"
        "threads. " + clocks[options.clock]
    )
    print(intro, flush=True)
    workers, results = Workers(), []
    for row in options.rows or workloads.NAMES:
        results.append(result := measured(row, workers, options))
        print(" | ".join(line(result, options.threads)), flush=True)
        for one, why in result.failed.items():
            print(f"    {one.name}, {one.threads} threads: {why}", flush=True)
    text = report(results, options.threads)
    print("\n" + text)
    if options.write or not options.rows:
        results_file = Path(__file__).with_name("results.md")
        results_file.write_text(f"{intro}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
