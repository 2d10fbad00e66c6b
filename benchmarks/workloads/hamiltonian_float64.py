"""The Hamiltonian network in float64, as those train it who follow an orbit for long."""

import functools

import numpy as np

from . import hamiltonian

TITLE = "the same Hamiltonian network in float64"
BAR, LIMIT, RTOL = None, 1.16, 1e-9
CONTENDERS = {
    name: functools.partial(make, dtype=np.float64) for name, make in hamiltonian.CONTENDERS.items()
}
