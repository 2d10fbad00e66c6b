"""A story's adjoints are the engine's: over the registry, and over graphs that transforms make."""

import numpy as np
import pytest

import gradarray as ga
from gradarray import registry, tree
from gradarray.testing.draw import calls_of

RNG = np.random.default_rng(0)
ENTRIES = list(
    {e.name: e for e in registry.functions.values() if e.differentiable}.values()
)


def total(y):
    """Every result that has a derivative, added up: one real number."""
    leaves = [x for x in tree.flatten(y)[0] if isinstance(x, ga.GradArray)]
    out = 0.0
    for x in leaves:
        if x.dtype.kind in "fc" and x._node is not None:
            out = out + (ga.real(x) + ga.imag(x) if x.dtype.kind == "c" else x).sum()
    return out


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)


def gradients(f, args):
    """Of every floating leaf of the arguments, by `backward`; complex ones as the sweep has them.

    A gradient of a complex value is the conjugate of the adjoint (docs/complex.md).
    """
    leaves, form = tree.flatten(args)
    given = [
        ga.array(x, requires_grad=True) if np.asarray(x).dtype.kind in "fc" else x for x in leaves
    ]
    y = f(*tree.unflatten(form, given))
    y.backward(np.ones(y.shape, y.dtype))
    return [
        None if x.grad is None else np.conj(x.grad.numpy())
        for x in given
        if isinstance(x, ga.GradArray)
    ]


def check(f, args):
    told = ga.explain(f)(*args)
    for row, right in zip(told.story.arguments, gradients(f, args), strict=True):
        if right is None or row.adjoint is None:
            assert (row.adjoint is None or not row.adjoint.any()) and (
                right is None or not right.any()
            )
        else:
            assert same_bits(row.adjoint, right), row.name
    for row in told.rows:
        if not row.terms:
            continue
        assert row.adjoint is not None
        parts = [np.asarray(t.bar) for t in row.terms]
        rounding = len(parts) * np.finfo(row.adjoint.dtype).eps * sum(map(np.abs, parts))
        with np.errstate(all="ignore"):
            far = ~(np.abs(sum(parts) - row.adjoint) <= rounding)
        far &= np.isfinite(row.adjoint)
        assert not far.any(), row.name
        for t in row.terms:  # the formula that is shown gives the engine's number
            if t.pulled is not None and t.pulled.whole.value is not None:
                assert same_bits(t.pulled.whole.value, t.bar), (row.name, t.to.op.name)
    for made in (str(told), str(told.orders()), told.text(), told.latex(), told.to_json()):
        assert made or len(told.rows) == 1
    return told


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("letter", sorted({e.name[0] for e in ENTRIES}))
def test_every_function_of_the_registry(letter):
    count = 0
    for entry in ENTRIES:
        if entry.name[0] != letter:
            continue
        for call in calls_of(entry):
            arrays = call.draw()

            def f(*xs, call=call, entry=entry):
                return total(call.run(entry.fn, xs))

            given = [
                ga.array(x, requires_grad=np.asarray(x).dtype.kind in "fc")
                if isinstance(x, np.ndarray) else x
                for x in arrays
            ]  # fmt: skip
            if not isinstance(f(*given), ga.GradArray):
                continue  # no result of it has a derivative
            told = ga.explain(f)(*arrays)
            right = gradients(f, tuple(arrays))
            for row, bar in zip(told.story.arguments, right, strict=True):
                assert (row.adjoint is None and bar is None) or same_bits(row.adjoint, bar), (
                    entry.name
                )
            for row in told.rows:
                for t in row.terms:
                    assert t.pulled is not None
                    value = t.pulled.whole.value
                    assert value is None or same_bits(value, t.bar), (entry.name, row.name)
            assert str(told)
            count += 1
    assert count or letter in "_"


# Graphs that transforms make ---------------------------------------------------------------------

W, V, X = RNG.normal(size=(1, 5)), RNG.normal(size=(5, 1)), RNG.normal(size=(7, 1))


def residual(w, v):
    """A physics-informed loss: u' - u."""

    def u(x):
        return (ga.tanh(x * w) @ v).sum()

    x = ga.array(X)
    slope = ga.grad(u)(x)
    return ((slope - ga.tanh(x * w) @ v) ** 2).mean()


def second(w, v):
    def u(x):
        return (ga.tanh(x * w) @ v).sum()

    return (ga.grad(lambda x: ga.grad(u)(x).sum())(ga.array(X)) ** 2).mean()


def pushed(x):
    y, dot = ga.jvp(lambda z: ga.sin(z) * z, (x,), (x * 2,))
    return (dot * y).sum()


def mapped(x):
    return ga.vmap(lambda r: (ga.exp(r) * r).sum())(x).sum()


def recomputed(x):
    y = ga.exp(x)
    return ga.checkpoint(lambda z: ga.tanh(z) * x)(y).sum()


class Twice(ga.Grad):
    """A user's op."""

    def forward(x):
        return np.exp(x) * 2

    def backward(y_bar, y):
        return y_bar * y


@ga.custom_gradient
def handwritten(x):
    y = ga.exp(x)
    return y, lambda y_bar: y_bar * y


def scanned(x):
    c, ys = ga.scan(lambda c, t: (ga.sin(c) * t, c), x, ga.array([1.0, 2.0, 3.0]))
    return c.sum() + ys.sum()


def drawn(x):
    ga.random.seed(3)
    return (x * ga.random.normal(size=2)).sum() + ga.random.normal(x, 1.0, size=2).sum()


def replaced(a):
    b = a * 2
    b[0] = b[1] * 3
    return b.sum()


def eigen(a):
    values, vectors = ga.linalg.eigh(a + a.T)
    return values.sum() + (vectors[:, 0] ** 2).sum() * values[1]


def fixed(a):
    return ga.implicit.fixed_point(lambda z, a: ga.cos(z) * a / 3)(ga.zeros(2), a).sum()


TWO, SQUARE = np.array([1.0, 2.0]), RNG.normal(size=(3, 3))
GRAPHS = {
    "gradient inside": (residual, (W, V)),
    "second derivative inside": (second, (W, V)),
    "jvp": (pushed, (TWO,)),
    "vmap": (mapped, (RNG.normal(size=(4, 3)),)),
    "checkpoint": (recomputed, (TWO,)),
    "own op": (lambda x: Twice.apply(x).sum(), (TWO,)),
    "custom gradient": (lambda x: handwritten(x).sum(), (TWO,)),
    "scan": (scanned, (TWO,)),
    "cond": (lambda x: ga.cond(x > 1, lambda x: x**2, lambda x: -x, x), (1.5,)),
    "fori": (lambda x: ga.fori_loop(0, 3, lambda i, c: ga.sin(c) * 2, x), (1.5,)),
    "while": (lambda x: ga.while_loop(lambda c: c < 10, lambda c: c * 2, x), (1.5,)),
    "random": (drawn, (TWO,)),
    "integers": (lambda x, i: (x[i] * i).sum(), (TWO, np.array([1, 0]))),
    "tree": (
        lambda p: (p["w"] * p["b"][0] + p["b"][1]).sum(), ({"w": TWO, "b": [np.array(3.0), 2.0]},)
    ),
    "complex": (lambda z: ga.real(z * ga.conj(z) * z).sum(), (np.array([1 + 2j, 3 - 1j]),)),
    "fft": (lambda x: (ga.abs(ga.fft.fft(x)) ** 2).sum(), (np.array([1.0, 2.0, 4.0]),)),
    "sort": (lambda x: (ga.sort(x) * TWO).sum(), (TWO[::-1].copy(),)),
    "several results": (eigen, (SQUARE,)),
    "in place": (replaced, (SQUARE,)),
    "jacobian": (lambda x: ga.jacobian(lambda z: z**2)(x).sum(), (TWO,)),
    "hessian": (lambda x: ga.hessian(lambda z: (z**3).sum())(x).sum(), (TWO,)),
    "implicit": (fixed, (TWO,)),
    "detached": (lambda x: (x * x.detach()).sum(), (TWO,)),
    "itself": (lambda x: x, (TWO,)),
    "numpy": (lambda x: np.sum(np.exp(x) * x), (TWO,)),
    "empty": (lambda x: (x * 2).sum(), (np.zeros((0, 3)),)),
    "half": (lambda x: (x * 2).sum(), (TWO.astype(np.float16),)),
    "used twice": (lambda x: x * x, (3.0,)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_transforms(name):
    f, args = GRAPHS[name]
    check(f, args)


@pytest.mark.parametrize("name", GRAPHS)
def test_they_are_drawn_and_saved(name, tmp_path):
    f, args = GRAPHS[name]
    told = ga.explain(f)(*args)
    for made in (told.svg(), told.dot(), told.mermaid(), told.mathml(), told.to_csv()):
        assert made
    told.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_a_whole_function_is_told_by_name():
    told = check(*GRAPHS["custom gradient"])
    assert "handwritten.pull(" in str(told)
    with pytest.raises(ValueError, match="not kept"):
        told.python()


def test_a_square_by_itself_is_a_sum_of_two():
    told = check(*GRAPHS["used twice"])
    assert "= 6" in str(told).split("Backward")[1]


# What cannot be explained -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "kind", "words"),
    [
        (lambda x: None, TypeError, "return"),
        (lambda x: (x, x), TypeError, "one array"),
        (lambda x: x > 0, ga.DTypeError, "bool"),
        (lambda x: ga.array(1.0), ga.GraphError, "no graph"),
    ],
)
def test_refusals(f, kind, words):
    with pytest.raises(kind, match=words):
        ga.explain(f)(1.0)
    with pytest.raises(TypeError):
        ga.explain(3.0)
