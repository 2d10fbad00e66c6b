"""The printed Python runs on NumPy and SciPy alone, and gives the library's own derivatives."""

import subprocess
import sys

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn
from gradarray.glass.explain import explain
from gradarray.glass.mathml import FormulaError
from gradarray.glass.record import keep_all
from gradarray.glass.source import identifier, python

A = np.array([[1.2, 0.3, -0.4], [0.3, 1.5, 0.2], [-0.4, 0.2, 0.9]])
V = np.array([0.3, -1.2, 0.7])
FUNCTIONS = {
    "example 5.14": (lambda x: ga.sqrt(x**2 + ga.exp(x**2)) + ga.cos(x**2 + ga.exp(x**2)), 1.5),
    "an apple's price": (lambda apple, n, tax: apple * n * tax, 100.0, 2.0, 1.1),
    "rosenbrock": (lambda x: ga.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), V),
    "softmax": (lambda x: ga.softmax(x)[0], V),
    "logsumexp": (lambda x: ga.logsumexp(x), V),
    "gelu": (lambda x: ga.sum(ga.gelu(x)), V),
    "tanh": (lambda x: ga.sum(ga.tanh(3 * x) / (1 + x**2)), V),
    "quotients": (lambda x, y: (x - (y - x)) / (x / y) ** -2, 0.7, 1.9),
    "powers": (lambda x, y: (x**y) ** 0.5 - 2 ** (-x), 1.7, 0.6),
    "log-determinant": (lambda a: ga.linalg.slogdet(a)[1], A),
    "a linear system": (lambda a, b: ga.sum(ga.linalg.solve(a, b) ** 2), A, V),
    "eigenvalues": (lambda a: ga.sum(ga.linalg.eigh(a)[0] ** 3), A),
    "singular values": (lambda a: ga.sum(ga.linalg.svd(a)[1] * V), A),
    "cholesky": (lambda a: ga.sum(ga.linalg.cholesky(a @ a.T) ** 2), A),
    "broadcasts": (lambda a, v: ga.mean((a + v) * v[:, None] - v), A, V),
    "a sort": (lambda v: ga.sum(ga.sort(v) * np.array([1.0, 2.0, 3.0])), V),
    "a median": (lambda v: ga.median(v * v), V),
    "branches": (lambda v: ga.sum(ga.where(v > 0, ga.log(ga.abs(v)), v**3)), V),
    "gamma": (lambda x: ga.gammaln(x) + ga.digamma(x), 2.3),
    "bessel": (lambda x: ga.special.j0(x) * ga.special.i1(x), 2.3),
    "an einsum": (lambda a, v: ga.einsum("i,ij,j", v, a, v), A, V),
    "cumulative": (lambda v: ga.sum(ga.cumprod(v) * ga.cumsum(v)), V),
}


def run(source):
    """The program's namespace; that it runs where the library is not is tested apart."""
    assert "gradarray" not in source
    space = {}
    exec(compile(source, "printed", "exec"), space)
    return space["value_and_grad"]


def inputs(story):
    return story.inputs


def agree(story, value, grads):
    assert value == pytest.approx(story.result.value, rel=1e-13)
    assert {row.name for row in inputs(story)} == grads.keys()
    for row in inputs(story):
        most = np.max(np.abs(row.adjoint))
        assert np.shape(grads[row.name]) == np.shape(row.adjoint)
        np.testing.assert_allclose(grads[row.name], row.adjoint, rtol=0, atol=1e-12 * most)


@pytest.mark.parametrize("label", FUNCTIONS)
def test_functions(label):
    f, *args = FUNCTIONS[label]
    story = explain(f)(*args).story
    value, grads = run(python(story))(*args)
    agree(story, value, grads)
    # The adjoints that are shown are those of ga.grad.
    own = ga.grad(f, argnums=tuple(range(len(args))))(*args)
    for row, g in zip(inputs(story), own, strict=True):
        np.testing.assert_array_equal(row.adjoint, np.asarray(g))


class Attention(nn.Module):
    """One block: attention, a residual, normalisation."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x + self.attention(x, x, x)[0])


def mlp():
    ga.random.seed(1)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)).to("float64")
    labels = ga.array([0, 3, 1, 2, 3])
    return model, lambda x: nn.CrossEntropyLoss()(model(x), labels), (5, 3)


def cnn():
    ga.random.seed(2)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    ).to("float64")
    return model, lambda x: ga.mean(nn.Softplus()(model(x))), (2, 1, 4, 4)


def attention():
    ga.random.seed(3)
    model = Attention().to("float64")
    return model, lambda x: ga.mean(ga.square(model(x)) * x), (2, 3, 4)


def recurrent():
    ga.random.seed(4)
    model = nn.GRU(3, 4, batch_first=True).to("float64")
    return model, lambda x: ga.mean(ga.square(model(x)[0])), (2, 5, 3)


@pytest.mark.parametrize("network", [mlp, cnn, attention, recurrent])
def test_networks(network):
    model, loss, shape = network()
    x = np.random.default_rng(0).normal(size=shape)
    story = explain(loss)(x).story
    source = python(story)
    given = {row.name: np.asarray(row.value) for row in inputs(story)}
    value, grads = run(source)(*given.values())
    agree(story, value, grads)
    loss(ga.array(x)).backward()
    own = dict(model.named_parameters())
    assert own.keys() <= grads.keys()
    for path, p in own.items():
        most = np.max(np.abs(p.grad.numpy()))
        np.testing.assert_allclose(grads[path], p.grad.numpy(), rtol=0, atol=1e-12 * most)


def test_it_runs_where_the_library_is_not(tmp_path):
    f, x = FUNCTIONS["softmax"]
    story = explain(f)(x).story
    program = f"{python(story)}\nprint(repr(value_and_grad({x.tolist()})[1]['x'].tolist()))\n"
    file = tmp_path / "printed.py"
    file.write_text(program, encoding="utf-8")
    clean = "import sys; sys.modules['gradarray'] = None; exec(open(sys.argv[1]).read())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", clean, str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(eval(done.stdout), story.inputs[0].adjoint, rtol=1e-12)


def test_it_reads_as_one_would_write_it():
    def f(x):
        a = x**2
        b = ga.exp(a)
        c = a + b
        d = ga.sqrt(c)
        e = ga.cos(c)
        return d + e

    lines = [line.strip() for line in python(explain(f)(1.5).story).splitlines()]
    for line in ("a = x**2", "b = np.exp(a)", "c = a + b", "d = np.sqrt(c)", "e = np.cos(c)",
                 "d_c = d_d / (2 * d) - d_e * np.sin(c)", "d_x = 2 * d_a * x"):  # fmt: skip
        assert line in lines


def test_where_a_plain_product_would_be_nan():
    def f(x):
        return ga.sum(ga.where(x > 0, ga.sqrt(x), 0 * x))

    x = np.array([0.0, 4.0, -1.0])
    with np.errstate(all="ignore"):
        story = explain(f)(x).story
        value, grads = run(python(story))(x)
        np.testing.assert_array_equal(grads["x"], np.asarray(ga.grad(f)(x)))
    assert value == 2


@pytest.mark.parametrize(
    "name", ["<script>", "0.weight", "class", "np", "x'); import os  #", "", "가중치", "list", "_x"]
)
def test_names_of_users_become_identifiers(name):
    made = identifier(name)
    assert made.isidentifier()
    assert made not in ("class", "np", "list")


def test_a_large_constant_is_asked_for_by_name():
    weights = np.linspace(0, 1, 100)
    x = np.linspace(1, 2, 100)
    story = explain(lambda x: ga.sum(x**2 * weights))(x).story
    value, grads = run(python(story))(x, weights=weights)
    agree(story, value, grads)
    with pytest.raises(TypeError, match="weights"):
        run(python(story))(x)


def test_float32_stays_float32():
    x = V.astype(np.float32)
    story = explain(lambda x: ga.sum(ga.sigmoid(0.1 * x) / 3))(x).story
    value, grads = run(python(story))(x)
    assert value.dtype == grads["x"].dtype == np.float32
    most = np.max(np.abs(story.inputs[0].adjoint))
    np.testing.assert_allclose(grads["x"], story.inputs[0].adjoint, rtol=0, atol=4e-7 * most)


def test_names_never_run():
    x = ga.array(2.0, requires_grad=True)
    with keep_all():
        y = x * x
    story = explain(y).story
    story.inputs[0].name = "'''); raise SystemExit  #\n"
    source = python(story)
    value, grads = run(source)(2.0)
    assert (value, list(grads.values())) == (4.0, [4.0])


def test_a_value_that_is_gone_is_named():
    x = ga.array(2.0, requires_grad=True)
    y = ga.sum(ga.array([1.0, 2.0]) - x)
    with pytest.raises(FormulaError, match="keep_all"):
        python(explain(y).story)
