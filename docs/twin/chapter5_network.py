"""Chapter 5. A network, trained.

A multilayer perceptron is a long composition of two ops, x @ W + b and tanh, ended by one without
tanh. Nothing here knows about derivatives: the loss is recorded as it is computed, one walk back
gives the gradient for every weight, and gradient descent (with momentum) takes a step against it.

The same network is then trained twice. First it is told the values of sin. Then it is told only
that its own slope must be cos x, and that it is 0 at 0. The slope is pushed through the network
inside the loss, and the loss is pulled back through that push: a gradient of a derivative. This
costs no new idea, because walks leave ordinary nodes behind.
"""

from itertools import pairwise

import numpy as np
from chapter1_record import GradArray, lift
from chapter2_kinds import total
from chapter3_ops import mean, tanh
from chapter4_walks import jvp


class MLP:
    """x of shape (samples, widths[0]) -> y of shape (samples, widths[-1])."""

    def __init__(self, widths, rng):
        sizes = list(pairwise(widths))
        self.W = [GradArray(rng.normal(size=s) / np.sqrt(s[0]), requires_grad=True) for s in sizes]
        self.b = [GradArray(np.zeros(n), requires_grad=True) for _, n in sizes]

    def __call__(self, x):
        for W, b in zip(self.W[:-1], self.b[:-1]):
            x = tanh(x @ W + b)
        return x @ self.W[-1] + self.b[-1]


def train(parameters, loss, steps, rate, momentum=0.9):
    """Gradient descent with momentum: v <- m v - rate * dL/dw, then w <- w + v."""
    velocity = [0.0 for _ in parameters]
    for _ in range(steps):
        for w in parameters:
            w._grad = None  # backward adds to what is there
        loss().backward()
        for k, w in enumerate(parameters):
            velocity[k] = momentum * velocity[k] - rate * w._grad._array
            w.assign(w._array + velocity[k])


if __name__ == "__main__":
    x = GradArray(np.linspace(-3, 3, 40)[:, None])
    sin, cos, one = np.sin(x._array), np.cos(x._array), np.ones(x.shape)
    values = lambda: mean((net(x) - sin) ** 2)
    slopes = lambda: mean((jvp(net, [x], [one])[1] - cos) ** 2) + total(net(lift([[0.0]])) ** 2)
    for story, loss in (("the values of sin", values), ("net' = cos, net(0) = 0", slopes)):
        net = MLP([1, 16, 16, 1], np.random.default_rng(0))
        train(net.W + net.b, loss, steps=1000, rate=0.05)
        error = abs(net(x)._array - sin).max()
        print(f"told {story:23} loss {loss()._array:.1e}, at most {error:.4f} from sin")
