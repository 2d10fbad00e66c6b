"""The neural ODE in float64, as those train it whose solver is to keep its order."""

import functools

import numpy as np

from . import neural_ode

TITLE = "the same neural ODE in float64"
BAR, LIMIT, RTOL = None, 1.0, 1e-9
CONTENDERS = {
    name: functools.partial(make, dtype=np.float64) for name, make in neural_ode.CONTENDERS.items()
}
