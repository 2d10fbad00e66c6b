"""A network that matrix products rule."""

from typing import Any

import numpy as np

from . import Job
from ._weights import initial, layers

TITLE = "MLP 784-512-512-10 ReLU, batch 128, cross-entropy, Adam"
BAR, LIMIT, RTOL = 1.15, 1.95, 1e-4


def net(nn: Any) -> Any:
    hidden = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(512, 10))


RNG = np.random.default_rng(1)
X = RNG.uniform(0, 1, (128, 784)).astype(np.float32)
Y = RNG.integers(0, 10, 128)


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import model_of, trained

    model, loss = model_of(net), ga.nn.CrossEntropyLoss()
    return trained(model, lambda x, y: loss(model(x), y), X, Y)


def in_torch() -> Job:
    from ._torch import model_of, torch, trained

    model, loss = model_of(net), torch.nn.CrossEntropyLoss()
    return trained(model, lambda x, y: loss(model(x), y), X, Y)


def in_jax() -> Job:
    from ._jax import jax, jnp, trained

    def loss(params: Any, x: Any, y: Any) -> Any:
        *hidden, (w, b) = layers(params)
        for v, a in hidden:
            x = jax.nn.relu(x @ v + a)
        scores = jax.nn.log_softmax(x @ w + b)
        return -jnp.take_along_axis(scores, y[:, None], 1).mean()

    return trained(initial(net), loss, X, Y)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
