"""Test accuracy of small networks on real images, over three seeds.

    python benchmarks/accuracy.py                 all, and write benchmarks/accuracy.md
    python benchmarks/accuracy.py digits mlp      some, and print only
    python benchmarks/accuracy.py --validate cnn  on a part of the training set, to choose by

The rules: what a run uses (layers, rates, epochs) was chosen with --validate, where the last sixth
of the training set is held out and the test set is not touched. Then the whole training set is
trained on, for a fixed number of epochs, and the test set is read once, after the last. The worst
seed counts.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from _timing import machine
from _timing import table as markdown

import gradarray as ga
from gradarray import nn
from gradarray.train import datasets

HELD_OUT = 1 / 6

PAGE = """# Accuracy on real images

Test accuracy after the last epoch, by `make accuracy`. What a run uses was chosen with
`--validate`, where the last sixth of the training set is held out and the test set is not read;
then the whole training set is trained on, and the test set is read once. Digits are split anew,
80 to 20 and stratified, with each seed. The worst seed counts.
"""


class Task(NamedTuple):
    """A network, the images it reads, and how it is trained."""

    title: str
    images: Callable[[int], datasets.Split]
    model: Callable[[], ga.Sequential]
    epochs: int
    batch_size: int
    rate: float
    decay: float
    bar: float  # the accuracy to reach


def digits_mlp() -> ga.Sequential:
    return ga.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(),
        nn.Linear(64, 10),
    )  # fmt: skip


def fashion_mlp() -> ga.Sequential:
    return ga.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 128),
        nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10),
    )  # fmt: skip


def fashion_cnn() -> ga.Sequential:
    return ga.Sequential(
        nn.Unflatten(1, (1, 28)),
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def fashion(seed: int) -> datasets.Split:
    return datasets.fashion_mnist()


TASKS = {
    "digits": Task(
        "digits, MLP 64-128-64-10", datasets.digits, digits_mlp, 60, 32, 2e-3, 1e-2, 0.96
    ),
    "mlp": Task(
        "Fashion-MNIST, MLP 784-256-128-10", fashion, fashion_mlp, 15, 128, 2e-3, 1e-2, 0.885
    ),
    "cnn": Task("Fashion-MNIST, CNN 16-32-128-10", fashion, fashion_cnn, 8, 128, 2e-3, 1e-2, 0.905),
}


class Result(NamedTuple):
    """One run."""

    accuracy: float
    seconds: float
    parameters: int


def run(task: Task, seed: int, validate: bool, verbose: int) -> Result:
    """Train with one seed; the accuracy on the test set, or on what was held out for it."""
    train, test = task.images(seed)
    if validate:
        kept = len(train.x) - round(HELD_OUT * len(train.x))
        test = datasets.Part(train.x[kept:], train.y[kept:])
        train = datasets.Part(train.x[:kept], train.y[:kept])
    ga.random.seed(seed)
    model = task.model()
    optimizer = ga.optim.AdamW(model.parameters(), lr=task.rate, weight_decay=task.decay)
    model.compile(optimizer, "cross_entropy", ["accuracy"])
    fall = ga.train.LearningRateScheduler(
        lambda epoch, lr: task.rate * (1 + math.cos(math.pi * epoch / task.epochs)) / 2
    )
    start = time.perf_counter()
    model.fit(
        *train, batch_size=task.batch_size, epochs=task.epochs, callbacks=fall, verbose=verbose
    )
    seconds = time.perf_counter() - start
    accuracy = model.evaluate(*test, batch_size=500, verbose=0)[1]
    return Result(accuracy, seconds, sum(p.size for p in model.parameters()))


def table(results: dict[str, list[Result]], seeds: list[int], what: str) -> str:
    """The results in Markdown."""
    head = ["", "parameters", "epochs", *(f"seed {seed}" for seed in seeds), "worst", "to reach"]
    rows = []
    for name, runs in results.items():
        task, scores = TASKS[name], [result.accuracy for result in runs]
        shown = [f"{score:.2%}" for score in scores]
        numbers = [f"{runs[0].parameters:,}", f"{task.epochs}", *shown, f"**{min(scores):.2%}**"]
        mean = sum(result.seconds for result in runs) / len(runs)
        rows.append([task.title, *numbers, f"{task.bar:.1%}", f"{mean:.0f}"])
    head[0] = f"{what} accuracy"
    return markdown([*head, "seconds"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Test accuracy of small networks on real images.")
    parser.add_argument("tasks", nargs="*", metavar="task", help=f"{', '.join(TASKS)}; or all")
    parser.add_argument("--validate", action="store_true", help="on held-out training images")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--verbose", type=int, default=0, help="as in fit")
    options = parser.parse_args()
    results: dict[str, list[Result]] = {}
    for name in options.tasks or TASKS:
        for seed in options.seeds:
            result = run(TASKS[name], seed, options.validate, options.verbose)
            results.setdefault(name, []).append(result)
            print(f"{name}, seed {seed}: {result.accuracy:.2%}, {result.seconds:.0f} s", flush=True)
    text = table(results, options.seeds, "held-out" if options.validate else "test")
    print(f"\n{text}\n")
    if not options.tasks and not options.validate:
        page = Path(__file__).with_suffix(".md")
        taken_with = machine(["gradarray", "numpy", "scikit-learn"])
        page.write_text(f"{PAGE}\n{text}\n\n{taken_with}\n", encoding="utf-8")
        print(f"written to {page}")
    if any(r.accuracy < TASKS[name].bar for name, runs in results.items() for r in runs):
        sys.exit("a run stayed below what is to be reached")


if __name__ == "__main__":
    main()
