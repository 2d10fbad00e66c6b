"""The Laplacian of an MLP of 50 inputs (3 layers of 128, tanh) in three ways, in time and memory.

collapsed   ga.laplacian: one forward walk, all first derivatives and one sum of second ones
batched     nested reverse mode, the gradient's pull batched over all 50 directions
looped      nested reverse mode, one direction after the other through the gradient's graph

Each is taken for the value alone, and with the gradient of its squared mean by the weights, as a
loss of a differential equation asks for it. Memory is the peak above what stands before the call.
"""

import argparse
import gc
import itertools
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from _timing import Contender, interleaved, machine, ratio, table

import gradarray as ga

SIZES = (50, 128, 128, 128, 1)
INPUTS = SIZES[0]


def network(rng: np.random.Generator, trained: bool) -> tuple[Callable[..., Any], list[Any]]:
    weights = []
    for m, n in itertools.pairwise(SIZES):
        weights.append(ga.array(rng.standard_normal((m, n)) / np.sqrt(m), requires_grad=trained))
        weights.append(ga.array(0.1 * rng.standard_normal(n), requires_grad=trained))

    def net(x: Any) -> Any:
        for k in range(0, len(weights), 2):
            x = x @ weights[k] + weights[k + 1]
            x = x if k == len(weights) - 2 else ga.tanh(x)
        return x

    return net, weights


def ways(net: Callable[..., Any], x: np.ndarray) -> dict[str, Callable[[], Any]]:
    units = np.eye(INPUTS)

    def recorded_gradient() -> Any:
        return ga.vjp(ga.grad(lambda x: net(x).sum()), x)[1]

    def collapsed() -> Any:
        return ga.laplacian(net, axis=-1)(x)[:, 0]

    def batched() -> Any:
        seeds = np.broadcast_to(units[:, None], (INPUTS, *x.shape)).copy()
        rows = ga.vmap(recorded_gradient())(ga.array(seeds))[0]
        return (rows * seeds).sum((0, 2))

    def looped() -> Any:
        pull = recorded_gradient()
        return sum(
            pull(np.broadcast_to(e, x.shape).copy())[0][:, k] for k, e in enumerate(units)
        )

    return {"collapsed": collapsed, "batched": batched, "looped": looped}


def peak(run: Callable[[], Any]) -> float:
    """MiB at the peak of a call, above what stood before."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def measured(points: int, trained: bool, rounds: int) -> list[list[str]]:
    rng = np.random.default_rng(0)
    net, _ = network(rng, trained)
    runs = ways(net, rng.standard_normal((points, INPUTS)))
    values = {name: run()._array for name, run in runs.items()}
    for value in values.values():
        np.testing.assert_allclose(value, values["looped"], rtol=1e-9, atol=1e-10)
    if trained:
        runs = {name: lambda run=run: (run() ** 2).mean().backward() for name, run in runs.items()}
    contenders = {name: Contender(run) for name, run in runs.items()}
    samples = interleaved(contenders, rounds=rounds, sample_seconds=0.05)
    memory = {name: peak(run) for name, run in runs.items()}
    ours, room = samples["collapsed"], memory["collapsed"]
    what = f"{points} points, {'and its gradient' if trained else 'the value'}"
    return [
        [
            f"{what}: {name}",
            f"{median(times) / 1e3:.2f}",
            f"{ratio(ours, times):.2f}",
            f"{memory[name]:.1f}",
            f"{room / memory[name]:.2f}",
        ]
        for name, times in samples.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[1, 64, 256])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rows = []
    for points in options.points:
        for trained in (False, True):
            rows += measured(points, trained, options.rounds)
    header = ["Laplacian of 50-128-128-128-1", "ms", "collapsed / this", "MiB", "collapsed / this"]
    print(machine(["numpy"]))
    print(table(header, rows))


if __name__ == "__main__":
    main()
