"""What is not computed: absorbing products, odd powers of sech, products the other way round."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import passes
from gradarray.compiler.assemble import prepared
from gradarray.compiler.loops import Contract, walk
from gradarray.compiler.plain import plainly
from gradarray.compiler.program import Program
from gradarray.ops.contract import MatMulGrad
from gradarray.ops.einsum import ContractGrad
from gradarray.ops.hyperbolic import SechGrad
from gradarray.ops.powers import SquareGrad

from .common import same

RNG = np.random.default_rng(0)
D: Any = {"dtype": "float64"}


def version_of(compiled: Any) -> Any:
    return compiled._versions.last


def program_of(compiled: Any) -> Program:
    recorded = version_of(compiled).recorded
    return prepared(plainly(recorded.program, recorded.suspects)[0])


def products(compiled: Any) -> list[Contract]:
    bodies = version_of(compiled)._run.bodies
    return [s for body in bodies for s in walk(body) if isinstance(s, Contract)]


def network(activation: Callable[[Any], Any], sizes: list[int], dtype: str = "float64") -> Any:
    pairs = itertools.pairwise(sizes)
    weights = [
        (ga.array(RNG.normal(0, 1 / np.sqrt(m), (n, m)).astype(dtype)),
         ga.array(RNG.normal(0, 0.1, n).astype(dtype)))
        for m, n in pairs
    ]  # fmt: skip

    def f(x: Any) -> Any:
        for w, b in weights[:-1]:
            x = activation(w @ x + b)
        w, b = weights[-1]
        return (w @ x + b)[0]

    return f


# Absorbing products -------------------------------------------------------------------------------


def curvature(x: Any) -> Any:
    """x^1.5 / x^1.5: at 0 products of 0 and infinity, which absorbing ones keep away."""
    root = ga.grad(lambda x: ga.where(x > 0, x * ga.sqrt(x), 0.0).sum())
    return ga.grad(lambda x: (root(x) * x).sum())(x)


@pytest.mark.parametrize("x", [[1.0, 2.0, 3.0], [1.0, 0.0, 3.0], [np.inf, 0.0, 2.0]])
def test_a_nan_of_a_plain_product_asks_for_absorbing_ones(x: list[float]) -> None:
    at = ga.array(np.array(x))
    compiled = ga.compile(curvature)
    expected = curvature(at)
    same(compiled(at), expected)
    with passes.without("plain"):
        same(ga.compile(curvature)(at), expected)


def hidden(x: Any) -> Any:
    """A NaN that a comparison would hide: the product before it must stay absorbing."""
    slope = ga.jvp(lambda x: ga.jvp(lambda x: ga.sqrt(x) ** 3, (x,), (x,))[1], (x,), (x,))[1]
    return ga.where(slope >= 0, 1.0, 0.0)


def test_a_product_before_a_comparison_stays_absorbing() -> None:
    x = ga.array(np.array([0.0, 1.0, 4.0]))
    with ga.no_grad():
        same(ga.compile(hidden)(x), hidden(x))


# Powers of sech -----------------------------------------------------------------------------------


def odd_powers(compiled: Any) -> int:
    """Steps that use a sech otherwise than squared."""
    program = program_of(compiled)
    seches = {s.values[0] for s in program.steps if s.op is SechGrad}
    return sum(s.op is not SquareGrad and any(x in seches for x in s.inputs)
               for s in program.steps)  # fmt: skip


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_tanh_are_polynomials_in_tanh_and_its_slope(order: int) -> None:
    def moved(g: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: (ga.grad(g)(x) * x).sum()

    f: Callable[[Any], Any] = lambda x: (ga.tanh(0.5 * x) * ga.sin(x)).sum()
    for _ in range(order):
        f = moved(f)
    x = ga.array(RNG.normal(0, 2, 40))
    compiled = ga.compile(f)
    same(compiled(x), f(x))
    assert odd_powers(compiled) == 0


def test_partials_of_a_tanh_network() -> None:
    f = ga.nn.Sequential(
        ga.nn.Linear(2, 20, **D), ga.nn.Tanh(), ga.nn.Linear(20, 20, **D), ga.nn.Tanh(),
        ga.nn.Linear(20, 1, **D),
    )  # fmt: skip

    def partials(x: Any) -> Any:
        return ga.partials(f, x, "tx", of=("", "t", "x", "xx", "tx"))

    x = ga.array(RNG.normal(0, 1, (300, 2)))
    compiled = ga.compile(partials)
    same(compiled(x), partials(x))
    assert odd_powers(compiled) == 0


# Sums of products ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [640, 650, 50])
def test_the_channels_of_a_weights_gradient_are_one_product(n: int) -> None:
    model = ga.nn.Sequential(
        ga.nn.Linear(2, 20, **D), ga.nn.Tanh(), ga.nn.Linear(20, 20, **D), ga.nn.Tanh(),
        ga.nn.Linear(20, 1, **D),
    )  # fmt: skip
    x, start = ga.array(RNG.normal(0, 1, (n, 2))), ga.array(RNG.normal(0, 1, (40, 2)))

    def stepper(model: Any) -> Callable[[], Any]:
        optimizer = ga.optim.SGD(model.parameters(), lr=0.01)

        def step() -> Any:
            optimizer.zero_grad()
            u = ga.partials(model, x, "tx", of=("", "t", "x", "xx"))
            loss = ((u["t"] + u[""] * u["x"] - 0.1 * u["xx"]) ** 2).mean()
            loss = loss + (model(start) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    other = copy.deepcopy(model)
    eager, compiled = stepper(model), ga.compile(stepper(other))
    for _ in range(3):
        np.testing.assert_allclose(compiled().item(), eager().item(), rtol=1e-12)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-10, atol=1e-13)
    if n > 64:
        assert max(len(s.pairs) for s in products(compiled)) == 4


# The other way round ------------------------------------------------------------------------------


def multiplications(compiled: Any) -> int:
    program = program_of(compiled)
    total = 0
    for s in program.steps:
        if s.op is MatMulGrad:
            total += s.values[0].size * s.operands[0].shape[-1]
        elif s.op is ContractGrad:
            sizes = dict(zip(s.params["la"], s.operands[0].shape, strict=True))
            sizes |= dict(zip(s.params["lb"], s.operands[1].shape, strict=True))
            total += int(np.prod(list(sizes.values())))
    return total


@pytest.mark.parametrize("name", ["tanh", "sin", "sigmoid"])
@pytest.mark.parametrize("n", [256, 75, 8])
def test_a_hessian_takes_no_product_of_a_layer_twice(name: str, n: int) -> None:
    d, width = 5, 48
    hessian = ga.vmap(ga.hessian(network(getattr(ga, name), [d, width, width, width, 1])))
    x = ga.array(RNG.normal(0, 1, (n, d)))
    compiled = ga.compile(hessian)
    expected = hessian(x)
    same(compiled(x), expected)
    with passes.without("reuse"):
        whole = ga.compile(hessian)
        same(whole(x), expected)
        before = multiplications(whole)
    # Two layers for each tangent are gone, and a product of tangents comes for each of three.
    less = 2 * n * d * width * width - 3 * n * d * d * width + n * d * d * width
    if n == 256:
        assert multiplications(compiled) == before - less


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 6, 3), (10, 64, 10), (7, 9, 11)])
def test_products_of_each_sample_in_lanes(shape: tuple[int, int, int], dtype: str) -> None:
    m, k, n = shape
    w = ga.array(RNG.normal(0, 1, (8, k)).astype(dtype))
    x = ga.array(RNG.normal(0, 1, (100, 8)).astype(dtype))
    u = ga.array(RNG.normal(0, 1, (100, m, 1)).astype(dtype))
    v = ga.array(RNG.normal(0, 1, (100, 1, n)).astype(dtype))

    def f(x: Any) -> Any:
        h = ga.tanh(x @ w)
        a, b = u * h[:, None, :], v * ga.sin(h)[:, :, None]
        return a @ b

    with ga.no_grad():
        same(ga.compile(f)(x), f(x), 1e-12 if dtype == "float64" else 1e-5)
