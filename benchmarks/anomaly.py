"""What `detect_anomaly` costs: a training step of an MLP 784-256-128-10 at batch 128.

Run with `make bench`; prints its table and writes it to results-anomaly.md beside this file.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from _timing import Contender, interleaved, machine, ratio, table

import gradarray as ga

SIZES, BATCH = (784, 256, 128, 10), 128


def step_of(dtype: str) -> Callable[[], object]:
    """Forward, loss, backward and an update with momentum, on the same batch every time."""
    rng = np.random.default_rng(0)
    layers: list[ga.nn.Module] = []
    for rows, columns in pairwise(SIZES):
        layers += [ga.nn.Linear(rows, columns, dtype=dtype), ga.nn.ReLU()]
    net = ga.nn.Sequential(*layers[:-1])
    optimizer = ga.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    loss = ga.nn.CrossEntropyLoss()
    x = rng.standard_normal((BATCH, SIZES[0])).astype(dtype)
    labels = rng.integers(0, SIZES[-1], BATCH)

    def step() -> object:
        optimizer.zero_grad()
        value = loss(net(x), labels)
        value.backward()
        optimizer.step()
        return value

    return step


def main() -> None:
    rows = []
    for dtype in ("float32", "float64"):
        step = step_of(dtype)
        samples = interleaved(
            {
                "plain": Contender(step),
                "watched": Contender(step, ga.detect_anomaly),
                "NaN only": Contender(step, lambda: ga.detect_anomaly(check_inf=False)),
            },
            rounds=60,
            sample_seconds=2e-2,
        )
        over = [ratio(samples[name], samples["plain"]) for name in ("watched", "NaN only")]
        rows.append(
            [dtype, *(f"{median(s):.0f}" for s in samples.values())]
            + [f"{100 * (r - 1):+.0f} %" for r in over]
        )
    text = (
        "# Anomaly detection\n\n"
        + machine(["gradarray", "numpy"])
        + f"\nA step of an MLP {'-'.join(map(str, SIZES))} at batch {BATCH}, SGD with\n"
        "momentum, one thread: microseconds, medians over rounds, ratios inside a round.\n\n"
        + table(["", *samples, "watched, to plain", "NaN only, to plain"], rows)
        + "\n\nAim: at most +30 %."
    )
    print(text)
    Path(__file__).with_name("results-anomaly.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
