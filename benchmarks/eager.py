"""Eager overhead against PyTorch and HIPS autograd: one derivative at a point, recording, import.

Run with `make bench`; prints its tables and writes them to results-eager.md beside this file.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import torch
from _timing import Contender, Samples, difference, interleaved, machine, ratio, table
from autograd.core import VJPNode
from autograd.tracer import new_box, trace_stack

import gradarray as ga

torch.set_num_threads(1)

POINT = 1.3
SHAPE = (10, 10)

# --- value and gradient at a point ---------------------------------------------------------------


def as_written(x: Any, xp: Any) -> Any:
    return xp.sqrt(x**2 + xp.exp(x**2)) + xp.cos(x**2 + xp.exp(x**2))


def by_products(x: Any, xp: Any) -> Any:
    return xp.sqrt(x * x + xp.exp(x * x)) + xp.cos(x * x + xp.exp(x * x))


def shared(x: Any, xp: Any) -> Any:
    a = x * x
    c = a + xp.exp(a)
    return xp.sqrt(c) + xp.cos(c)


FORMS = {
    "as written, with `x**2`": as_written,
    "with `x*x`": by_products,
    "with shared intermediates": shared,
}


def closed_form(x: float) -> tuple[float, float]:
    c = x**2 + math.exp(x**2)
    slope = 2 * x * (1 / (2 * math.sqrt(c)) - math.sin(c)) * (1 + math.exp(x**2))
    return math.sqrt(c) + math.cos(c), slope


def derivative_contenders(form: Callable[[Any, Any], Any]) -> dict[str, Callable[[], Any]]:
    """Each gives (value, gradient); leaves are made once, where a library lets them be."""
    of_ga = ga.value_and_grad(lambda x: form(x, ga))
    of_autograd = autograd.value_and_grad(lambda x: form(x, anp))
    leaf = ga.array(POINT, requires_grad=True)
    tensor = torch.tensor(POINT, dtype=torch.float64, requires_grad=True)

    def ga_backward() -> Any:
        leaf.zero_grad()
        y = form(leaf, ga)
        y.backward()
        return y, leaf.grad

    def torch_backward() -> Any:
        tensor.grad = None
        y = form(tensor, torch)
        y.backward()
        return y, tensor.grad

    def torch_grad() -> Any:
        y = form(tensor, torch)
        return y, torch.autograd.grad(y, tensor)[0]

    return {
        "gradarray `value_and_grad`": lambda: of_ga(POINT),
        "gradarray `backward`": ga_backward,
        "PyTorch `backward`": torch_backward,
        "PyTorch `autograd.grad`": torch_grad,
        "autograd `value_and_grad`": lambda: of_autograd(POINT),
    }


def best(samples: Samples, library: str) -> list[float]:
    """The samples of a library's fastest spelling."""
    return min((s for name, s in samples.items() if name.startswith(library)), key=median)


def derivative_section() -> str:
    rows = []
    header = ["form"]
    for title, form in FORMS.items():
        calls = derivative_contenders(form)
        for name, call in calls.items():
            value, slope = call()
            got = (value.item(), slope.item())
            if not np.allclose(got, closed_form(POINT), rtol=1e-13, atol=0):
                raise SystemExit(f"{name}, {title}: {got} is not {closed_form(POINT)}")
        samples = interleaved(
            {name: Contender(call) for name, call in calls.items()},
            rounds=300,
            sample_seconds=2e-3,
        )
        ours = best(samples, "gradarray")
        header = ["form", *samples, "to PyTorch", "to autograd"]
        rows.append(
            [title]
            + [f"{median(s):.1f}" for s in samples.values()]
            + [f"{ratio(ours, best(samples, library)):.2f}" for library in ("PyTorch", "autograd")]
        )
    return (
        "## Value and gradient at one point\n\n"
        "f(x) = sqrt(x² + exp(x²)) + cos(x² + exp(x²)) at x = 1.3, float64, microseconds a call;\n"
        "every contender was checked against the closed form. Ratios are of the fastest spelling\n"
        "of each library. The aim is at most 0.50 of PyTorch for the form as written.\n\n"
        + table(header, rows)
    )


# --- recording, per op ---------------------------------------------------------------------------

Op = Callable[[Any, Any, Any, Any], Any]

# Each is called with the library, two operands that require a gradient, and a mask that does not.
OPS: dict[str, Op] = {
    "add": lambda xp, x, y, m: x + y,
    "subtract": lambda xp, x, y, m: x - y,
    "multiply": lambda xp, x, y, m: x * y,
    "divide": lambda xp, x, y, m: x / y,
    "power": lambda xp, x, y, m: x**3,
    "exp": lambda xp, x, y, m: xp.exp(x),
    "log": lambda xp, x, y, m: xp.log(x),
    "sqrt": lambda xp, x, y, m: xp.sqrt(x),
    "sin": lambda xp, x, y, m: xp.sin(x),
    "tanh": lambda xp, x, y, m: xp.tanh(x),
    "maximum": lambda xp, x, y, m: xp.maximum(x, y),
    "where": lambda xp, x, y, m: xp.where(m, x, y),
    "sum": lambda xp, x, y, m: xp.sum(x),
    "mean": lambda xp, x, y, m: xp.mean(x),
    "max": lambda xp, x, y, m: xp.max(x),
    "matmul": lambda xp, x, y, m: x @ y,
    "reshape": lambda xp, x, y, m: xp.reshape(x, (100,)),
    "transpose": lambda xp, x, y, m: x.T,
    "getitem": lambda xp, x, y, m: x[2:7],
    "concatenate": lambda xp, x, y, m: xp.concatenate((x, y)),
}


def op_contenders(op: Op) -> dict[str, Contender]:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.5, 2.0, (2, *SHAPE))
    mask = x > y
    gx, gy = ga.array(x, requires_grad=True), ga.array(y, requires_grad=True)
    px, py, pmask = ga.array(x), ga.array(y), ga.array(mask)
    tx, ty = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
    tmask = torch.tensor(mask)
    root = VJPNode.new_root()
    bx, by = new_box(x, 0, root), new_box(y, 0, root)
    return {
        "NumPy": Contender(lambda: op(np, x, y, mask)),
        "gradarray, plain": Contender(lambda: op(ga, px, py, pmask)),
        "gradarray, recorded": Contender(lambda: op(ga, gx, gy, pmask)),
        "PyTorch, plain": Contender(lambda: op(torch, tx, ty, tmask), torch.no_grad),
        "PyTorch, recorded": Contender(lambda: op(torch, tx, ty, tmask)),
        "autograd, plain": Contender(lambda: op(anp, x, y, mask)),
        "autograd, recorded": Contender(lambda: op(anp, bx, by, mask), trace_stack.new_trace),
    }


COSTS = {
    "gradarray": ("gradarray, recorded", "gradarray, plain"),
    "PyTorch": ("PyTorch, recorded", "PyTorch, plain"),
    "autograd": ("autograd, recorded", "autograd, plain"),
    "gradarray over NumPy": ("gradarray, recorded", "NumPy"),
}


def recording_section() -> str:
    rows = []
    header = ["op"]
    costs: dict[str, list[float]] = {name: [] for name in COSTS}
    for title, op in OPS.items():
        samples = interleaved(op_contenders(op), rounds=150, sample_seconds=1e-3)
        header = ["op", *samples, *(f"cost: {name}" for name in COSTS)]
        for name, (recorded, plain) in COSTS.items():
            costs[name].append(difference(samples[recorded], samples[plain]))
        rows.append(
            [title]
            + [f"{median(s):.2f}" for s in samples.values()]
            + [f"{cost[-1]:.2f}" for cost in costs.values()]
        )
    middle = {name: median(cost) for name, cost in costs.items()}
    blank = [""] * (len(header) - 1 - len(COSTS))
    rows.append(["**median**", *blank, *(f"**{value:.2f}**" for value in middle.values())])
    per_op = median(a / b for a, b in zip(costs["gradarray"], costs["PyTorch"]))
    return (
        "## Recording, per op\n\n"
        f"Arrays of shape {SHAPE}, float64, microseconds a call. Plain is an array that requires\n"
        "no gradient (PyTorch: the same tensor under `no_grad`); recorded is one that does, both\n"
        "operands where there are two; the cost is the difference.\n\n"
        + table(header, rows)
        + f"\n\nMedian cost over {len(OPS)} ops, gradarray to PyTorch:"
        f" **{middle['gradarray'] / middle['PyTorch']:.2f}** (aim: at most 0.50); to autograd:"
        f" {middle['gradarray'] / middle['autograd']:.2f}."
        f" Median of the ratios op by op, to PyTorch: {per_op:.2f}."
    )


# --- import --------------------------------------------------------------------------------------


def run_python(code: str) -> tuple[float, float, str]:
    """Seconds that a new interpreter takes for the code, of the clock and of the processor (which
    do not count what else the machine does), and what it prints."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, after = time.perf_counter() - start, os.times()
    busy = after.children_user + after.children_system
    return seconds, busy - before.children_user - before.children_system, done.stdout


def middle(samples: Samples, package: str) -> float:
    return median(samples[package])


def above(samples: Samples, package: str) -> float:
    return difference(samples[package], samples["numpy"])


def import_section() -> str:
    packages = ("numpy", "gradarray", "autograd", "torch")
    seconds: Samples = {package: [] for package in packages}
    busy: Samples = {package: [] for package in packages}
    for package in packages:
        run_python(f"import {package}")  # compiled files are written, and pages read, once
    for _ in range(11):
        for package in packages:
            wall, cpu, _ = run_python(f"import {package}")
            seconds[package].append(wall)
            busy[package].append(cpu)
    *_, loaded = run_python(
        "import sys, gradarray\n"
        "names = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
        "print(*sorted(name for name in names if not name.startswith('_')), sep=', ')"
    )
    rows = [
        [
            f"`import {package}`",
            *(f"{of(s, package):.3f}" for s in (seconds, busy) for of in (middle, above)),
        ]
        for package in packages
    ]
    return (
        "## Import\n\n"
        "Seconds for a new interpreter, and above `import numpy` (aim: at most 0.25).\n\n"
        + table(["", "seconds", "above NumPy", "processor", "above NumPy"], rows)
        + f"\n\n`import gradarray` loads, beside the standard library: {loaded.strip()}."
    )


def main() -> None:
    intro = (
        "# Eager overhead\n\n"
        + machine(["gradarray", "numpy", "torch", "autograd"])
        + "\nOne thread for BLAS and PyTorch; contenders take turns in one run, figures\n"
        "are medians over rounds, ratios and differences are taken inside a round."
    )
    sections = [intro]
    print(intro, flush=True)
    for section in (derivative_section, recording_section, import_section):
        sections.append(section())
        print("\n" + sections[-1], flush=True)
    results = Path(__file__).with_name("results-eager.md")
    results.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
