"""Compiled steps beside PyTorch and JAX in one run: whole training steps, gradients, Hessians.

Run with `make bench`; prints its tables and writes them to results.md beside this file, with what
misses.md says of the rows that miss their bar. With names of rows it runs those alone, and writes
nothing unless `--write` is given.
"""

import argparse
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, NamedTuple

import numpy as np
import workloads
from _contest import CLOCKS, OURS, TORCH_COMPILE, Alone, Contender, Failure, Workers
from _timing import machine, ratio, table

MISSES = Path(__file__).with_name("misses.md")


class Result(NamedTuple):
    """A workload's figures: seconds of first calls, ms of each round, what failed and why, and
    what contenders told alone."""

    row: str
    first: dict[Contender, float]
    samples: dict[Contender, list[float]]
    failed: dict[Contender, str]
    alone: dict[Contender, Alone]

    @property
    def work(self) -> Any:
        return import_module(f"workloads.{self.row}")

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

    def is_met(self) -> bool | None:
        """Is its bar met? None where it has none."""
        bar, faster = self.work.BAR, self.times_faster()
        return None if bar is None else faster is not None and faster[0] >= bar

    def first_of(self, name: str) -> float | None:
        """The shortest first call of a library, or of one spelling."""
        found = [s for c, s in self.first.items() if name in (c.name, c.library)]
        return min(found, default=None)

    def ours_alone(self) -> Alone | None:
        return next((a for c, a in self.alone.items() if c.library == OURS), None)


def deviation(found: Iterable[np.ndarray], expected: Iterable[np.ndarray]) -> float:
    """The largest difference of any array, to the largest entry of that array."""
    pairs = zip(found, expected, strict=True)
    gaps = [np.abs(a - b).max() / max(np.abs(b).max(), 1e-30) for a, b in pairs]
    return float(np.max(gaps))  # NaN where there is one


def measured(row: str, workers: Workers, options: argparse.Namespace) -> Result:
    """All contenders of a workload: made, checked against the first peer, timed in turn."""
    result = Result(row, {}, {}, {}, {})
    names = list(result.work.CONTENDERS)
    if row in workloads.TORCH_COMPILED and options.torch_compile:
        names.append(TORCH_COMPILE)
    found: dict[Contender, list[np.ndarray]] = {}
    for one in (Contender(name, n) for n in options.threads for name in names):
        answer = workers.ask(one, "make", (row, options.clock))
        if isinstance(answer, Failure):
            result.failed[one] = answer.why
        else:
            result.first[one], found[one] = answer
    expected = next((g for one, g in found.items() if one.library != OURS), None)
    calls = {}
    for one, gradients in found.items():
        gap = deviation(gradients, expected) if expected is not None else 0.0
        if not gap <= result.work.RTOL:
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
    told = [result.fastest(library) for library in (OURS, "PyTorch", "JAX")]
    for one in filter(None, told):
        answer = workers.alone(one, row, options.clock)
        if isinstance(answer, Failure):
            result.failed[one] = f"alone: {answer.why}"
        else:
            result.alone[one] = answer
    return result


# Tables -------------------------------------------------------------------------------------------


def figure(x: float | None) -> str:
    """Three digits, without an exponent."""
    if x is None:
        return "-"
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}" if x >= 0.001 else f"{x:.5f}"


def cell(values: list[float | None]) -> str:
    """Figures for each number of threads."""
    return " / ".join(map(figure, values))


def line(result: Result, threads: list[int]) -> list[str]:
    work = result.work
    cells = [work.TITLE]
    for library in (OURS, "PyTorch", "JAX"):
        best = [result.fastest(library, threads=n) for n in threads]
        cells.append(cell([None if c is None else median(result.samples[c]) for c in best]))
    faster = result.times_faster()
    cells += [figure(work.LIMIT), "-" if work.BAR is None else f"{work.BAR:g}"]
    if faster is None:
        return [*cells, "**none**", "-", "" if work.BAR is None else "missed"]
    verdict = ""
    if work.BAR is not None:
        verdict = "met" if result.is_met() else f"missed, {work.BAR / faster[0]:.2f} times"
    return [*cells, f"**{figure(faster[0])}**", faster[1].name, verdict]


def quotient(a: float | None, b: float | None) -> str:
    return "-" if a is None or not b else figure(a / b)


def first_calls(results: list[Result]) -> str:
    rows = []
    for result in results:
        ours, jax = result.first_of(OURS), result.first_of("JAX")
        compiled, warm = result.first_of(TORCH_COMPILE), result.ours_alone()
        cells = [figure(ours), figure(jax), quotient(ours, jax), figure(compiled)]
        cells += [quotient(compiled, ours), figure(None if warm is None else warm.first)]
        rows.append([result.work.TITLE, *cells])
    header = ["seconds", OURS, "JAX", f"{OURS} / JAX (at most 0.5)", "torch.compile"]
    header += [f"torch.compile / {OURS} (at least 10)", "second process (below 0.1)"]
    return (
        "## First call\n\nFrom a function and its arguments to results and gradients, in seconds: "
        "record, compile and\nrun once, with nothing on disk. In a second process the code is on "
        "disk; it has imported\nthe library and made the model. torch.compile is timed by the "
        "wall's clock.\n\n" + table(header, rows)
    )


def memory(results: list[Result]) -> str:
    rows = []
    for result in results:
        alone = {c.library: a.peak / 1e6 for c, a in result.alone.items()}
        ours, fastest = result.ours_alone(), result.times_faster()
        buffers = None if ours is None or ours.figures is None else ours.figures.memory / 1e6
        peer = None if fastest is None else alone.get(fastest[1].library)
        cells = [figure(x) for x in (buffers, *map(alone.get, (OURS, "PyTorch", "JAX")))]
        rows.append([result.work.TITLE, *cells, quotient(buffers, peer)])
    header = ["MB", "buffers of the step", OURS, "PyTorch", "JAX"]
    header.append("buffers / fastest peer (at most 1)")
    return (
        "## Memory\n\nThe peak of a process while it takes steps, above what it had with model and "
        "data before the\nfirst one (what compiling leaves behind included); and what the step's "
        "own buffers take.\n\n" + table(header, rows)
    )


def misses(results: list[Result]) -> str:
    """For each bar that is missed: by how much, the machine's limit, and what misses.md says."""
    said: dict[str, str] = {}
    for part in MISSES.read_text(encoding="utf-8").split("\n## ")[1:]:
        name, _, why = part.partition("\n")
        said[name.strip()] = why.strip()
    lines = []
    for result in results:
        faster, work = result.times_faster(), result.work
        if result.is_met() is not False:
            continue
        by = "has no figure" if faster is None else (
            f"{figure(faster[0])} times faster than {faster[1].name}, where {work.BAR:g} was asked"
        )  # fmt: skip
        lines.append(f"**{work.TITLE}**: {by}. {bound(result)}{said.get(result.row, '')}".rstrip())
    return "## Missed\n\n" + "\n\n".join(lines) if lines else ""


def bound(result: Result) -> str:
    """What the step does, and what that takes on this machine at best."""
    alone = result.ours_alone()
    if alone is None or alone.figures is None:
        return ""
    f = alone.figures
    does = f"{f.operations / 1e6:,.3g} M operations and moves {f.moved / 1e6:,.3g} MB"
    machine = f"{f.peak / 1e9:.0f} GFLOP/s and {f.bandwidth / 1e9:.0f} GB/s of one core"
    cores = "with one" if f.cores == 1 else f"with {f.cores}"
    return (
        f"The step has {does}; at the measured {machine} that takes {figure(1e3 * f.limit)} ms "
        f"{cores} of them. "
    )


def report(results: list[Result], threads: list[int]) -> str:
    counts = " / ".join(map(str, threads))
    header = ["milliseconds a call", OURS, "PyTorch", "JAX", "limit", "bar", "times faster"]
    text = table([*header, "best peer", ""], [line(result, threads) for result in results])
    found = [faster[0] for r in results if (faster := r.times_faster())]
    if found:
        bars = [met for r in results if (met := r.is_met()) is not None]
        slower = sum(x < 1 for x in found)
        text += (
            f"\n\n{sum(bars)} of {len(bars)} bars are met; {slower} rows are slower than the best"
            f" peer, {len(results) - len(found)} have no figure; the geometric mean of those that"
            f" have one is **{geometric_mean(found):.2f}** (aim: at least 2.3)."
        )
    text += f"\n\nThreads: {counts}. A peer of several spellings stands with its fastest one."
    failed = [
        f"- {r.work.TITLE}: {one.name}, {one.threads} threads: {why}"
        for r in results
        for one, why in r.failed.items()
    ]
    if failed:
        text += "\n\n## Without a figure\n\n" + "\n".join(failed)
    parts = [text, misses(results), first_calls(results), memory(results)]
    return "\n\n".join(filter(None, parts))


INTRO = """# Compiled steps

{machine}

Each library in processes of its own, with one thread on one processor, or more.
They take turns in one run; figures are medians over rounds, ratios are taken inside a
round: above 1 gradarray is faster. The contenders of a row gave the same gradients, or
have no figure. The limit is what the row's operations or bytes need on two quiet cores;
the bar is the least ratio to the best peer that was asked, each at its better number of
threads. {clock}"""
CLOCK = {
    "wall": "Times are the wall clock's.",
    "processor": "Other work shared the machine: times are the processor's, for one thread.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"some of {', '.join(workloads.NAMES)}")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sample", type=float, default=0.1, help="seconds of one sample")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--no-torch-compile", dest="torch_compile", action="store_false",
                        help="leave out torch.compile, which takes minutes")  # fmt: skip
    parser.add_argument("--write", action="store_true", help="write results.md with some rows too")
    options = parser.parse_args()
    if options.clock == "processor" and options.threads != [1]:
        parser.error("the processor's clock counts all threads of a process: take --threads 1")
    packages = ["gradarray", "numpy", "torch", "jax", "llvmlite"]
    intro = INTRO.format(machine=machine(packages), clock=CLOCK[options.clock])
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
