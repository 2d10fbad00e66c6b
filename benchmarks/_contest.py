"""Contenders in processes of their own, which make a workload and time it when they are asked.

A library has one process for each number of threads, torch.compile another: whether it is wanted is
asked when the process starts. What is written to disk to be found again (object code, torch's
kernels) lies in a folder of the run, empty at first, one for each number of threads; so first calls
are first calls. A further process for a contender alone tells its memory, and, of ours, how
long the first call takes where the code is there.
"""

import gc
import multiprocessing
import os
import tempfile
import time
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import workloads

OURS = "gradarray"
TORCH_COMPILE = "PyTorch, torch.compile"
LONGEST = 240.0  # seconds that a contender may take for an answer
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
SETTLED = 5  # calls after which memory is looked at


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


class Alone(NamedTuple):
    """A contender in a fresh process: seconds of its first call; bytes of its peak above what the
    process had before it, model and data included; of ours, what its report says."""

    first: float
    peak: int
    figures: Any = None


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
                row, clock = detail
                jobs[name] = job = contender(row, name, threads)
                # torch.compile's work is in processes of its own, which no processor's clock sees.
                pipe.send(made(job, "wall" if name == TORCH_COMPILE else clock))
            elif what == "alone":
                row, clock = detail
                pipe.send(alone(row, clock, name, threads))
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


def made(job: workloads.Job, clock: str) -> Made:
    return Made(_first(job, clock), [np.array(g) for g in job.gradients()])


def _first(job: workloads.Job, clock: str) -> float:
    start = CLOCKS[clock]()
    job.step()
    return CLOCKS[clock]() - start


def alone(row: str, clock: str, name: str, threads: int) -> Alone:
    job = contender(row, name, threads)
    gc.collect()
    idle = _memory("VmRSS")
    seconds = _first(job, clock)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew: compiling is over
    for _ in range(SETTLED):
        job.step()
    return Alone(seconds, _memory("VmHWM") - idle, job.figures() if job.figures else None)


def _memory(what: str) -> int:
    """Bytes of this process, as Linux counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return 1024 * int(line.split()[1])
    raise OSError(f"no {what} in /proc/self/status")


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
        self.kept = tempfile.TemporaryDirectory(prefix="gradarray-bench-")

    def alone(self, of: Contender, row: str, clock: str) -> Any:
        """What a fresh process of the contender tells."""
        held, self.started = self.started, {}
        try:
            return self.ask(of, "alone", (row, clock))
        finally:
            for process, _ in self.started.values():
                process.kill()
                process.join()
            self.started = held

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
        for name, part in (("GRADARRAY_CACHE", "ours"), ("TORCHINDUCTOR_CACHE_DIR", "torch")):
            at = Path(self.kept.name, f"{part}{of.threads}")
            at.mkdir(mode=0o700, exist_ok=True)
            os.environ[name] = str(at)
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
