"""What compiled.py measures: a file for each workload, written as each library's users write it.

A workload is a module with TITLE, BAR (times faster than the best peer that were asked; None where
none were), LIMIT (ms that the machine needs on two quiet cores), RTOL (of gradients, to the largest
entry) and CONTENDERS, from a name that begins with its library to a function that gives a `Job`.
Modules import a library where a contender of it is made, so that a process loads one peer alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

NAMES = (
    *("point", "million", "mlp_small", "mlp_large", "hamiltonian", "hamiltonian_float64"),
    *("pinn", "pinn_float64", "cnn", "char_lstm", "transformer"),
    *("neural_ode", "neural_ode_float64", "scan", "mixture", "hessian"),
)

# Where torch.compile is a contender too: it takes a derivative inside only as torch.func's.
TORCH_COMPILED = (
    *("million", "mlp_small", "hamiltonian", "hamiltonian_float64", "pinn", "pinn_float64"),
    *("cnn", "transformer"),
)

TORCH_COMPILE = "GRADARRAY_BENCH_TORCH_COMPILE"  # an environment variable: torch.compile is wanted


class Job(NamedTuple):
    """One step, over when its numbers are there, and the gradients of the first one; of ours also
    what its report says in figures."""

    step: Callable[[], Any]
    gradients: Callable[[], list[np.ndarray]]
    figures: Callable[[], Any] | None = None
