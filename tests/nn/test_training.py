"""Networks end to end: they learn, and learn the same again."""

import copy

import numpy as np

import gradarray as ga
from gradarray import nn

RNG = np.random.default_rng(7)


def descend(model, loss, steps, rate):
    """Plain gradient descent; the loss before every step."""
    history = []
    for _ in range(steps):
        model.zero_grad()
        value = loss()
        value.backward()
        history.append(float(value))
        for parameter in model.parameters():
            nn.init.set_value(parameter, parameter.detach() - rate * parameter.grad)
    return history


def test_xor_is_learnt():
    ga.random.seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    x, y = ga.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), ga.array([0, 1, 1, 0])
    loss = nn.CrossEntropyLoss()
    history = descend(model, lambda: loss(model(x), y), 300, 0.5)
    assert history[-1] < 0.05 < 0.5 < history[0]
    assert model(x).numpy().argmax(1).tolist() == [0, 1, 1, 0]


def test_every_kind_of_layer_learns_together():
    ga.random.seed(1)
    model = nn.Sequential(
        nn.Conv1d(1, 4, 3, padding=1),
        nn.BatchNorm1d(4),
        nn.GELU(),
        nn.MaxPool1d(2),
        nn.Flatten(),
        nn.Unflatten(1, (4, 4)),
        nn.LSTM(4, 6, batch_first=True),
        nn.TransformerEncoderLayer(6, 2, 8, batch_first=True),
        nn.RMSNorm(6),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(24, 1),
    )
    x = RNG.normal(size=(32, 1, 8))
    y = np.sign(x[:, 0, :4].sum(1, keepdims=True)) * 0.5 + 0.5
    loss = nn.BCEWithLogitsLoss()
    history = descend(model, lambda: loss(model(x), y), 60, 0.2)
    assert all(p.grad is not None for p in model.parameters())
    assert {p.dtype for p in model.parameters()} == {np.dtype("float32")}
    assert np.mean(history[-5:]) < 0.5 * np.mean(history[:5])


def test_a_resumed_run_equals_an_uninterrupted_one():
    x, y = RNG.normal(size=(16, 3)), RNG.integers(0, 2, 16)
    ga.random.seed(2)
    model = nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)
    )
    loss = nn.CrossEntropyLoss()
    descend(model, lambda: loss(model(x), y), 3, 0.1)
    other = copy.deepcopy(model)
    nn.init.zeros_(other[0].weight)
    saved, numbers = model.state_dict(), ga.random.state_dict()
    whole = descend(model, lambda: loss(model(x), y), 5, 0.1)
    other.load_state_dict(saved)
    ga.random.load_state_dict(numbers)
    assert descend(other, lambda: loss(other(x), y), 5, 0.1) == whole
    assert all(np.array_equal(v, other.state_dict()[k]) for k, v in model.state_dict().items())


def test_the_gradient_of_a_network_three_ways():
    ga.random.seed(3)
    model = nn.Sequential(
        nn.Linear(3, 5, dtype="float64"), nn.SiLU(), nn.LayerNorm(5, dtype="float64"),
        nn.Linear(5, 2, dtype="float64"),
    )  # fmt: skip
    x, y = RNG.normal(size=(4, 3)), np.array([0, 1, 1, 0])
    params = {k: v.detach() for k, v in model.parameters_dict().items()}
    direction = {k: ga.array(RNG.normal(size=v.shape)) for k, v in params.items()}

    def f(p):
        return nn.functional.cross_entropy(nn.functional_call(model, p, x), y)

    gradient = ga.grad(f)(params)
    reverse = sum(float((gradient[k] * direction[k]).sum()) for k in params)
    forward = float(ga.jvp(f, (params,), (direction,))[1])
    h = 1e-5
    above, below = (f({k: v + s * h * direction[k] for k, v in params.items()}) for s in (1, -1))
    assert abs(reverse - forward) < 1e-14 * 64
    # Central differences: h^2 = 1e-10 of the third derivative, and eps / h = 2e-11.
    assert abs(float(above - below) / (2 * h) - reverse) < 1e-8
