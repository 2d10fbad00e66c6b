"""Samples in the lanes: every kind of layer trains as it does eagerly, for any size of batch."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import assemble, split
from gradarray.compiler.split import splits_of

RNG = np.random.default_rng(0)
D: Any = {"dtype": "float64"}
W = 64
nn = ga.nn


def steps(model: Any, loss_of: Callable[..., Any]) -> Callable[..., Any]:
    optimizer = ga.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)

    def step(*data: Any) -> Any:
        loss = loss_of(model, *data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def same_training(model: Any, loss_of: Callable[..., Any], *data: Any) -> None:
    """Three steps, eagerly and compiled: losses, gradients, parameters and running statistics."""
    other = copy.deepcopy(model)
    eager, compiled = steps(model, loss_of), ga.compile(steps(other, loss_of))
    for seed in range(3):
        ga.random.seed(seed)
        expected = eager(*data).item()
        ga.random.seed(seed)
        np.testing.assert_allclose(compiled(*data).item(), expected, rtol=1e-12)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        if p.grad is None or q.grad is None:  # the loss does not reach it
            assert p.grad is q.grad
            continue
        # Some gradients are 0 but for rounding (a bias before a batch norm): 1e-12 of 1.
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-10, atol=1e-12)
    for a, b in zip(other.state_dict().values(), model.state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def squared(model: Any, x: Any, y: Any) -> Any:
    return ((model(x) - y) ** 2).mean()


def hamiltonian(model: Any, x: Any, y: Any) -> Any:
    return ((ga.grad(lambda s: model(s).sum())(x) - y) ** 2).mean()


LAYERS = {
    "relu": lambda: (nn.ReLU(), nn.Linear(W, W, **D), nn.GELU()),
    "batch norm": lambda: (nn.BatchNorm1d(W, **D), nn.Tanh(), nn.Linear(W, W, **D)),
    "layer norm": lambda: (nn.LayerNorm(W, **D), nn.SiLU(), nn.Linear(W, W, **D)),
    "rms norm": lambda: (nn.RMSNorm(W, **D), nn.ELU(), nn.Linear(W, W, **D)),
    "dropout": lambda: (nn.Dropout(0.3), nn.Sigmoid(), nn.Linear(W, W, **D)),
    "softmax": lambda: (nn.Softmax(-1), nn.Linear(W, W, **D), nn.Softplus()),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("n", [17, 64, 100, 130, 333])  # whole tiles, remainders, several chunks
def test_layers(name: str, n: int) -> None:
    model = nn.Sequential(nn.Linear(8, W, **D), *LAYERS[name](), nn.Linear(W, 5, **D))
    same_training(model, squared, ga.array(RNG.normal(size=(n, 8))), RNG.normal(size=(n, 5)))


@pytest.mark.parametrize("n", [64, 100, 2000])
def test_gradients_of_gradients(n: int) -> None:
    model = nn.Sequential(
        nn.Linear(4, W, **D), nn.Tanh(), nn.Linear(W, W, **D), nn.Tanh(), nn.Linear(W, 1, **D)
    )
    x, y = RNG.normal(size=(2, n, 4))
    same_training(model, hamiltonian, ga.array(x), y)


def test_two_batches_of_different_sizes() -> None:
    """Points inside and points on a boundary: two splits, whose gradients are added."""
    model = nn.Sequential(nn.Linear(2, 20, **D), nn.Tanh(), nn.Linear(20, 20, **D), nn.Tanh(),
                          nn.Linear(20, 1, **D))  # fmt: skip

    def loss(model: Any, x: Any, edge: Any, y: Any) -> Any:
        u = ga.partials(model, x, columns="tx", of=("", "t", "x", "xx"))
        inside = u["t"] + u[""] * u["x"] - 0.01 * u["xx"]
        return (inside**2).mean() + ((model(edge) - y) ** 2).mean()

    x, edge = RNG.uniform(-1, 1, (700, 2)), RNG.uniform(-1, 1, (130, 2))
    same_training(model, loss, ga.array(x), ga.array(edge), RNG.normal(size=(130, 1)))


def test_as_many_samples_as_features() -> None:
    """A weight's first axis is as long as the batch; it is not taken for samples."""
    model = nn.Sequential(nn.Linear(W, W, **D), nn.Tanh(), nn.Linear(W, W, **D))
    same_training(model, squared, ga.array(RNG.normal(size=(W, W))), RNG.normal(size=(W, W)))


def test_sums_that_are_added_share_their_memory() -> None:
    """Gradients that reach a weight on two ways add up in one place, turned over where it is."""
    v, w = ga.array(RNG.normal(size=(W, 3))), ga.array(RNG.normal(size=(W, 50)))
    x = ga.array(RNG.normal(size=(200, 3)))

    def loss(v: Any, w: Any) -> Any:
        return (ga.tanh(ga.tanh(ga.tanh(x @ v.T) @ w) @ w.T) ** 2).mean()

    compiled = ga.compile(ga.grad(loss, (0, 1)))
    for a, b in zip(compiled(v, w), ga.grad(loss, (0, 1))(v, w), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-14)
    prepared = assemble.prepared(compiled._versions.last.recorded.program)
    (split,) = splits_of(prepared, set())
    made = [[x for x, _ in split.terms(y)] for y in prepared.outputs]
    assert [len(terms) for terms in made[:2]] == [1, 2]


def test_sums_that_are_added_but_stand_on_two_sides_of_a_whole_step() -> None:
    """A mean over the batch stands between the two uses of a weight: two regions of tiles."""
    w, x = ga.array(RNG.normal(size=(W, W)) / W), ga.array(RNG.normal(size=(200, W)))

    def loss(w: Any) -> Any:
        y = ga.tanh(x @ w)
        return (ga.tanh((y - y.mean(0)) @ w) ** 2).mean()

    np.testing.assert_allclose(
        ga.compile(ga.grad(loss))(w).numpy(), ga.grad(loss)(w).numpy(), rtol=1e-10, atol=1e-14
    )


@pytest.mark.parametrize("n", [17, 65])
def test_a_last_tile_of_one_sample(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Samples whose values take many bytes: tiles of 16, and one of 1."""
    monkeypatch.setattr("gradarray.compiler.split.LEAST", 1)
    monkeypatch.setattr("gradarray.compiler.tiles.BIG", 1)
    x, v = ga.array(RNG.normal(size=(17, 65))), ga.array(RNG.normal(size=(65, 1)))
    w, s = ga.array(RNG.normal(size=(1, 1))), ga.array(RNG.normal(size=5))
    y, u = ga.array(RNG.normal(size=(n, 3, 4))), ga.array(RNG.normal(size=(4, 6)))

    def f(s: Any) -> Any:
        return ga.log_softmax((x * s) @ v @ w, axis=0)

    def g(u: Any) -> Any:
        return (ga.tanh(y @ u) ** 2).sum()

    for a, b in ((ga.vmap(f), s), (ga.grad(g), u)):
        np.testing.assert_allclose(ga.compile(a)(b).numpy(), a(b).numpy(), rtol=1e-11, atol=1e-13)


def test_what_is_joined_along_the_samples_has_no_tiles(monkeypatch: pytest.MonkeyPatch):
    """An operand of another length is not taken for samples."""
    x, y, z = (ga.array(RNG.normal(size=shape)) for shape in ((16,), (2,), (2, 16)))
    f = lambda x, y, z: (ga.concatenate([x, y]), y @ z)
    monkeypatch.setattr(split, "LEAST", 1)
    for a, b in zip(ga.compile(f)(x, y, z), f(x, y, z), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-14)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("n", [16, 37, 130])
def test_text(cell: Any, n: int) -> None:
    """Words looked up in a loop over time, a loss over all words: one walk over the samples."""
    words, width = 6, 32
    parts = {
        "embedding": nn.Embedding(words, width, **D),
        "cell": cell(width, width, batch_first=True, **D),
        "head": nn.Linear(width, words, **D),
    }

    def loss(model: Any, text: Any) -> Any:
        h, _ = model["cell"](model["embedding"](text[:, :-1]))
        scores = model["head"](h).reshape(-1, words)
        return nn.functional.cross_entropy(scores, text[:, 1:].reshape(-1))

    text = RNG.integers(0, words - 1, (n, 8))  # the last word never comes
    same_training(nn.ModuleDict(parts), loss, ga.array(text))


@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [37, 64])
def test_rows_that_a_product_is_added_to(
    monkeypatch: pytest.MonkeyPatch, n: int, width: int
) -> None:
    """Rows looked up in every turn, and a product of a few terms: its sums begin with them."""
    monkeypatch.setattr(split, "LEAST", 1)
    words, length = 6, 5
    text = RNG.integers(0, words, (n, length))
    table, w = RNG.normal(size=(words, width)), RNG.normal(size=(width, width))

    def loss(table: Any, w: Any) -> Any:
        rows = ga.moveaxis(ga.take(table, ga.array(text), axis=0), 1, 0)

        def turn(h: Any, x: Any) -> Any:
            h = ga.tanh(x + h @ w)
            return h, h

        return (ga.scan(turn, ga.zeros((n, width)), rows)[1] ** 2).sum()

    h, states = np.zeros((n, width)), [np.zeros((n, width))]
    for t in range(length):
        h = np.tanh(table[text[:, t]] + h @ w)
        states.append(h)
    of_table, of_w, back = np.zeros_like(table), np.zeros_like(w), np.zeros((n, width))
    for t in reversed(range(length)):
        h = states[t + 1]
        slope = (back + 2 * h) * (1 - h * h)
        np.add.at(of_table, text[:, t], slope)
        of_w += states[t].T @ slope
        back = slope @ w.T
    found = ga.compile(ga.grad(loss, (0, 1)))(ga.array(table), ga.array(w))
    for y, z in zip(found, (of_table, of_w), strict=True):
        np.testing.assert_allclose(y.numpy(), z, 1e-12, 1e-12 * np.abs(z).max())


@pytest.mark.parametrize("n", [16, 19, 21])  # whole slabs, one sample left, uneven chunks
def test_attention(n: int) -> None:
    """Large samples, a few at a time: lanes along their own axes."""
    words, width, length = 11, 32, 48
    layer = nn.TransformerEncoderLayer(
        width, 4, 128, dropout=0.0, batch_first=True, norm_first=True, **D
    )
    model = nn.ModuleDict(
        {"embedding": nn.Embedding(words, width, **D), "layer": layer,
         "head": nn.Linear(width, words, **D)}
    )  # fmt: skip
    future = ga.array(np.triu(np.ones((length, length), bool), 1))

    def loss(model: Any, text: Any) -> Any:
        x = model["layer"](model["embedding"](text[:, :-1]), src_mask=future, is_causal=True)
        scores = model["head"](x).reshape(-1, words)
        return nn.functional.cross_entropy(scores, text[:, 1:].reshape(-1))

    text = RNG.integers(0, words, (n, length + 1))
    same_training(model, loss, ga.array(text))
