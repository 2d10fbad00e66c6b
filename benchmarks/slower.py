"""Is a compiled function ever slower than the same one eagerly? Every function of the registry.

    python benchmarks/slower.py [names] [--threads 1 2] [--all]

Each function's first example is enlarged until it takes 50 us to 2 ms eagerly, and timed compiled
and eagerly in alternation, its gradient too. Prints eager time over compiled time, the lowest
first: those below 1, and with --all every one. Calls whose arrays cannot be enlarged are counted.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from _timing import Contender, interleaved, ratio, table

import gradarray as ga
from gradarray.registry import functions
from gradarray.testing.draw import Call, calls_of, float_results, results

LEAST, MOST = 50e-6, 2e-3
FACTORS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384)


def enlarged(call: Call) -> Iterator[Call]:
    """The call with larger arrays: all axes, else the first ones, else the last ones."""
    shapes = [s.shape for s in call.samples]
    for which in (slice(None), slice(1), slice(-1, None)):
        for factor in FACTORS:
            yield call.with_shapes([
                tuple(
                    n * factor if k in range(len(shape))[which] and n > 1 else n
                    for k, n in enumerate(shape)
                )
                for shape in shapes
            ])  # fmt: skip


def seconds(f: Callable[..., Any], xs: list[Any]) -> float:
    start = time.perf_counter()
    f(*xs)
    return time.perf_counter() - start


def workload(call: Call, gradient: bool) -> tuple[Callable[..., Any], list[Any]] | None:
    """A function and arrays for which it takes about a third of a millisecond; None for none."""
    for large in enlarged(call):
        size = sum(int(np.prod(s.shape)) for s in large.samples)
        if size > 4_000_000:
            continue
        xs: list[Any] = [ga.array(np.asarray(x)) for x in large.draw()]
        run = lambda *xs, large=large: large.run(large.entry.fn, list(xs))
        f: Any = run
        if gradient:
            moving = tuple(large.moving)
            total = lambda *xs, run=run: sum(ga.sum(y) for y in float_results(run(*xs)))
            f = ga.grad(total, moving)
        try:
            taken = min(seconds(f, xs) for _ in range(3))
        except Exception:  # an example that means its own shapes alone
            continue
        if 2 * LEAST <= taken <= MOST:
            return f, xs
    return None


def rows(names: list[str], rounds: int) -> Iterator[tuple[float, list[str]]]:
    entries = sorted({id(e): e for e in functions.values()}.values(), key=lambda e: e.name)
    missed = 0
    for entry in entries:
        calls = calls_of(entry)[:1] if not names or entry.name in names else []
        for call in calls:
            for gradient in (False, True):
                if gradient and not call.moving:
                    continue
                found = workload(call, gradient)
                if found is None:
                    missed += 1
                    continue
                f, xs = found
                g = ga.compile(f)
                try:
                    results(g(*xs))
                except Exception:  # what reads values is refused
                    continue
                taken = interleaved(
                    {"eager": Contender(partial(f, *xs)), "compiled": Contender(partial(g, *xs))},
                    rounds=rounds, sample_seconds=0.004,
                )  # fmt: skip
                times = ratio(taken["eager"], taken["compiled"])
                shapes = ", ".join(str(list(x.shape)) for x in xs)
                what = f"{entry.name}{', gradient' if gradient else ''}"
                eager = sorted(taken["eager"])[rounds // 2]
                yield times, [what, shapes, f"{eager:.0f}", f"{times:.2f}"]
    print(f"{missed} calls have no larger arrays\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    for threads in given.threads:
        with ga.threads(threads):
            found = sorted(rows(given.names, given.rounds), key=lambda row: row[0])
        shown = [row for times, row in found if given.all or times < 1]
        mean = float(np.exp(np.mean(np.log([times for times, _ in found])))) if found else 1.0
        print(f"{threads} threads: {len(found)} calls, geometric mean {mean:.2f}\n")
        print(table(["call", "shapes", "eager, us", "eager / compiled"], shown), flush=True)


if __name__ == "__main__":
    main()
