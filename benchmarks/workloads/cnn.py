"""A small convolutional network on 28x28 images."""

from typing import Any

import numpy as np

from . import Job
from ._weights import initial

TITLE = "CNN conv3x3x32-pool-conv3x3x64-pool-128-10, 28x28, batch 64, Adam"
BAR, LIMIT, RTOL = 1.4, 7.5, 1e-4


def net(nn: Any) -> Any:
    first = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(*first, *second, *head)


RNG = np.random.default_rng(1)
X = RNG.uniform(0, 1, (64, 1, 28, 28)).astype(np.float32)
Y = RNG.integers(0, 10, 64)


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

    def block(x: Any, w: Any, b: Any) -> Any:
        forms = ("NHWC", "OIHW", "NHWC")
        x = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=forms)
        n, height, width, c = x.shape
        x = jax.nn.relu(x + b).reshape(n, height // 2, 2, width // 2, 2, c)
        return x.max((2, 4))  # on a CPU much faster than reduce_window

    def loss(params: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3, w4, b4 = params.values()
        x = block(block(x, w1, b1), w2, b2)
        x = x.transpose(0, 3, 1, 2).reshape(len(y), -1)
        scores = jax.nn.log_softmax(jax.nn.relu(x @ w3 + b3) @ w4 + b4)
        return -jnp.take_along_axis(scores, y[:, None], 1).mean()

    return trained(initial(net), loss, X.transpose(0, 2, 3, 1), Y)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
