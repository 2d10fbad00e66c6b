"""The physics-informed network in float64, as those train it who need a small residual."""

import functools

import numpy as np

from . import pinn

TITLE = "the same PINN in float64"
BAR, LIMIT, RTOL = 6, 6.4, 1e-9
CONTENDERS = {
    name: functools.partial(make, dtype=np.float64) for name, make in pinn.CONTENDERS.items()
}
