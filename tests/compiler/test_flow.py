"""Loops and branches under ga.compile: one step each, which gives what eager code gives."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import tree
from gradarray.array import GradArray, wrap
from gradarray.compiler import assemble
from gradarray.compiler.compile import Compiled
from gradarray.compiler.split import splits_of
from gradarray.errors import DTypeError, GraphError, ShapeError

RNG = np.random.default_rng(7)
A = ga.array(RNG.normal(size=(3, 3)))
C = ga.array(RNG.normal(size=3))
U = ga.array(RNG.normal(size=(7, 3)))
S = ga.array(0.7)


def numbers(result: Any) -> list[np.ndarray]:
    return [np.asarray(x._data) for x in tree.flatten(result)[0]]


def same(f: Callable[..., Any], *args: Any, rtol: float = 1e-12) -> None:
    """ga.compile(f)(*args) equals f(*args), to rounding of the largest terms."""
    expected = numbers(f(*args))
    found = numbers(ga.compile(f)(*args))
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        assert x.shape == y.shape and x.dtype == y.dtype
        size = float(np.max(np.abs(y), initial=1.0))
        np.testing.assert_allclose(x, y, rtol, rtol * size)


def scanned(a: Any, c: Any, u: Any) -> Any:
    c, ys = ga.scan(lambda c, u: (ga.tanh(a @ c) + u, c * u), c, u)
    return (c * c).sum() + ga.sin(ys).sum()


def reversed_scan(a: Any, c: Any, u: Any) -> Any:
    c, ys = ga.scan(lambda c, u: (ga.tanh(a @ c) * u, (c * u).sum()), c, u, reverse=True)
    return (c * c).sum() + (ys * ga.arange(7.0)).sum()


def nested(a: Any, c: Any, u: Any) -> Any:
    def outer(c: Any, u: Any) -> Any:
        c, ys = ga.scan(lambda d, _: (ga.tanh(a @ d) + u, d.sum()), c, length=4)
        return c * ga.fori_loop(0, 3, lambda k, z: z * ga.cos(z + k), u), ys

    c, ys = ga.scan(outer, c, u, reverse=True)
    return (c * c).sum() + ga.sin(ys).sum()


def counted(a: Any, c: Any, u: Any) -> Any:
    return (ga.fori_loop(2, 6, lambda k, c: ga.sin(a @ c) + c * k, c) * u).sum()


def pair(a: Any, c: Any, u: Any) -> Any:
    """Two carries, one of integers, and a y that is a closure."""

    def step(carry: Any, x: Any) -> Any:
        state, n = carry
        return ({"z": state["z"] * x + a.sum()}, n + 1), (a[0], n)

    (state, n), (rows, ns) = ga.scan(step, ({"z": c}, 0), u)
    return (state["z"] * n).sum() + (rows * u).sum() + ns.sum()


def choosing(a: Any, c: Any, u: Any) -> Any:
    y = ga.cond(c.sum() > 0, lambda c: ga.sin(a @ c).sum(), lambda c: (c * c).sum() * 2, c)
    k = (c[0] > 0).astype(int) + 2 * (c[1] > 0)
    parts = [lambda: u[0] * c, lambda: ga.exp(c), lambda: c * y, lambda: a @ c]
    return (ga.switch(k, parts) * y).sum()


def bounded(a: Any, c: Any, u: Any) -> Any:
    going = lambda s: (s[0] * s[0]).sum() < 100.0
    body = lambda s: (s[0] * 1.3 + ga.sin(s[1] * (a @ c)), s[1] + u[0, 0])
    return (ga.while_loop(going, body, (c, ga.array(0.5)), max_steps=50)[0] ** 2).sum()


def unbounded(a: Any, c: Any, u: Any) -> Any:
    going = lambda s: (s[0] * s[0]).sum() < 100.0
    body = lambda s: (s[0] * 1.3 + ga.sin(s[1] * (a @ c)), s[1] + u[0, 0])
    return (ga.while_loop(going, body, (c, ga.array(0.5)))[0] ** 2).sum()


EVERY = [scanned, reversed_scan, nested, counted, pair, choosing, bounded]
WORDS = {f: f.__name__ for f in [*EVERY, unbounded]}


@pytest.mark.parametrize("f", [*EVERY, unbounded], ids=WORDS.get)
@pytest.mark.parametrize("sign", [1, -1])
def test_values_and_first_derivatives(f: Any, sign: int) -> None:
    c = C * sign
    same(f, A, c, U)
    same(ga.grad(f, (0, 1, 2)), A, c, U)
    same(lambda a, c, u: ga.jvp(f, (a, c, u), (a + 1, c * 2, u))[1], A, c, U)
    same(lambda a, c, u: ga.vjp(f, a, c, u)[1](2.0), A, c, U)


@pytest.mark.parametrize("f", EVERY, ids=WORDS.get)
def test_second_derivatives(f: Any) -> None:
    gradient = ga.grad(f, (0, 1, 2))
    norm = lambda *xs: sum((g * g).sum() for g in gradient(*xs))
    same(ga.grad(norm, (0, 1, 2)), A, C, U)
    same(lambda a, c, u: ga.jvp(gradient, (a, c, u), (a.T, c, u))[1], A, C, U)
    same(ga.grad(lambda a, c, u: ga.jvp(f, (a, c, u), (a, c, u))[1], (0, 1, 2)), A, C, U)
    same(ga.hessian(f, 1), A, C, U)


def test_a_loop_of_unknown_length_forward_to_any_order_and_back_once() -> None:
    slope = lambda c: ga.jvp(lambda c: unbounded(A, c, U), (c,), (c,))[1]
    same(lambda c: ga.jvp(slope, (c,), (c + 1,))[1], C)
    with pytest.raises(GraphError, match="max_steps"):
        ga.compile(ga.grad(lambda c: (ga.grad(unbounded, 1)(A, c, U) ** 2).sum()))(C)


def test_third_derivatives() -> None:
    f = lambda x: ga.scan(lambda c, _: (ga.sin(c) * x, None), x, length=4)[0]
    same(ga.grad(ga.grad(ga.grad(f))), S)
    same(ga.grad(lambda x: ga.jvp(ga.grad(f), (x,), (x,))[1]), S)


@pytest.mark.parametrize("f", [scanned, nested, bounded, counted], ids=WORDS.get)
def test_vmap_over_a_loop_and_its_derivatives(f: Any) -> None:
    many = ga.stack([C, C * 2, C * 20])
    along = ga.vmap(f, in_axes=(None, 0, None))
    same(along, A, many, U)
    same(ga.vmap(ga.grad(f, (0, 1)), in_axes=(None, 0, None)), A, many, U)
    same(ga.grad(lambda a, c, u: (along(a, c, u) ** 2).sum(), (0, 1, 2)), A, many, U)
    us = ga.stack([U, U + 1, U * 2], axis=1)
    same(ga.vmap(f, in_axes=(None, 0, 1)), A, many, us)
    same(ga.jacobian(lambda c: ga.stack([f(A, c, U), f(A, c + 1, U)])), C)


def test_a_product_with_a_matrix_is_hoisted_out_of_the_reverse_loop() -> None:
    """The cotangent of w is one product of all steps: no sum of its size is carried."""
    w = ga.array(RNG.normal(size=(16, 16)) / 8)
    x = ga.array(RNG.normal(size=(5, 32, 16)))

    def f(w: Any, x: Any) -> Any:
        return ga.scan(lambda c, u: (ga.tanh(c @ w + u), None), x[0], x)[0].sum()

    same(ga.grad(f, (0, 1)), w, x)
    compiled = ga.compile(ga.grad(f))
    compiled(w, x)
    loop, _, after = compiled.show().partition("reverse=True")[2].partition("return")
    assert loop.count("matmul") == 1  # with w, not for it
    assert "contract" in after


def test_vmap_inside_a_loop() -> None:
    def f(a: Any, c: Any) -> Any:
        step = lambda c, _: (ga.vmap(lambda row: ga.tanh(row @ c) * c[0])(a), c)
        c, ys = ga.scan(step, c, length=5)
        return (c * ys).sum()

    same(f, A, C)
    same(ga.grad(f, (0, 1)), A, C)


def test_backward_through_a_loop() -> None:
    w, b = ga.array(A, requires_grad=True), ga.array(C, requires_grad=True)

    def step(u: Any) -> Any:
        w.grad = b.grad = None
        loss = ga.scan(lambda c, u: (ga.tanh(w @ c + b) + u, None), b, u)[0].sum()
        loss.backward()
        return loss, w.grad, b.grad

    same(step, U)


def test_grad_inside_a_loop() -> None:
    energy = lambda q, a: (q * (a @ q)).sum() + ga.cos(q).sum()

    def f(a: Any, q: Any) -> Any:
        step = lambda q, _: (q - 0.1 * ga.grad(energy)(q, a), None)
        return (ga.scan(step, q, length=9)[0] ** 2).sum()

    same(f, A, C)
    same(ga.grad(f, (0, 1)), A, C)
    same(ga.hessian(f, 1), A, C)


def test_stop_gradient_and_no_grad_inside_a_loop() -> None:
    def f(a: Any, c: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            with ga.no_grad():
                scale = c.sum() * a
            return ga.stop_gradient(c) * c + (scale @ c), None

        return ga.scan(step, c, length=4)[0].sum()

    same(ga.grad(f, (0, 1)), A * 0.2, C * 0.2)


def test_random_numbers_and_state_are_carried() -> None:
    total = ga.array(1.0)

    def f(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            nonlocal total
            total *= 2.0
            return c * ga.random.normal(size=3) + total, c

        c, ys = ga.scan(step, x, length=5)
        return c, ys, ga.random.normal()

    def run(f: Any) -> list[np.ndarray]:
        total[...] = 1.0
        ga.random.seed(3)
        out = numbers((f(C), f(C)))
        return [*out, np.asarray(total._data), np.asarray(ga.random.normal()._data)]

    for x, y in zip(run(ga.compile(f)), run(f), strict=True):
        np.testing.assert_allclose(x, y, 1e-12)


@pytest.mark.parametrize(
    "layer",
    [ga.nn.RNN(3, 5, num_layers=2), ga.nn.LSTM(3, 5, bidirectional=True), ga.nn.GRU(3, 4)],
    ids=lambda layer: type(layer).__name__,
)
def test_a_training_step_of_recurrent_layers(layer: Any) -> None:
    layer.to(np.float64)
    x = ga.array(RNG.normal(size=(6, 4, 3)))
    start = layer.state_dict()

    def trained(wrapped: Any) -> list[np.ndarray]:
        layer.load_state_dict(start)
        optimizer = ga.optim.Adam(layer.parameters(), lr=0.01)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (layer(x)[0] ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        step = wrapped(step)
        losses = [step(x) for _ in range(3)]
        known = step._versions.of if isinstance(step, Compiled) else {}
        assert sum(map(len, known.values())) <= 2  # the first finds no gradients
        return [*numbers(losses), *numbers(list(layer.parameters()))]

    for x_, y_ in zip(trained(ga.compile), trained(lambda f: f), strict=True):
        np.testing.assert_allclose(x_, y_, 1e-9, 1e-11)  # Adam divides by small numbers


def test_runge_kutta_4_solves_an_oscillator() -> None:
    """y'' = -w^2 y: the solution and its derivative in w are known."""

    def solve(w: Any) -> Any:
        h = 2.0 / 400
        f = lambda y: ga.stack([y[1], -w * w * y[0]])

        def step(y: Any, _: Any) -> Any:
            k1 = f(y)
            k2 = f(y + h / 2 * k1)
            k3 = f(y + h / 2 * k2)
            k4 = f(y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        return ga.scan(step, ga.array([1.0, 0.0]), length=400)[0][0]

    value, slope = ga.compile(ga.value_and_grad(solve))(ga.array(1.5))
    # The method's error is about T (w h)^4 w / 120 = 2e-10.
    assert abs(value.item() - np.cos(3.0)) < 1e-9
    assert abs(slope.item() + 2.0 * np.sin(3.0)) < 1e-8


def steps_of(f: Any, *args: Any) -> int:
    compiled = ga.compile(f)
    compiled(*args)
    return compiled.show().count("\n")


def test_the_program_does_not_grow_with_the_number_of_steps() -> None:
    gradient = ga.grad(scanned, (0, 1, 2))
    sizes = {n: steps_of(gradient, A, C, wrap(RNG.normal(size=(n, 3)))) for n in (5, 50)}
    assert sizes[5] == sizes[50]
    loop = lambda n: lambda x: ga.fori_loop(0, n, lambda k, c: ga.sin(c) * x + k, x)
    assert steps_of(ga.grad(loop(5)), S) == steps_of(ga.grad(loop(60)), S)


def test_a_python_loop_that_is_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradarray.compiler.trace.LONG", 200)

    def f(x: Any) -> Any:
        for _ in range(120):
            x = ga.sin(x) * x
        return x

    with pytest.warns(UserWarning, match="ga.scan") as told:
        ga.compile(f)(S)
    assert {one.filename for one in told} == {__file__}


def test_a_number_of_the_step_that_is_read_unrolls_the_loop() -> None:
    f = lambda x: ga.fori_loop(0, 4, lambda k, c: c * x if k % 2 else c + x, x)
    same(ga.grad(f), S)


def test_bad_carries_and_branches_are_told() -> None:
    with pytest.raises(ShapeError, match="changes shape"):
        ga.compile(lambda x: ga.scan(lambda c, _: (ga.stack([c, c]), None), x, length=3))(S)
    with pytest.raises(DTypeError, match="changes dtype"):
        ga.compile(lambda x: ga.scan(lambda c, _: (c.astype(np.float32), None), x, length=3))(S)
    with pytest.raises(ShapeError, match="differ in shape"):
        ga.compile(lambda x: ga.cond(x > 0, lambda: x, lambda: ga.stack([x, x])))(S)
    with pytest.raises(GraphError, match="after 3 steps"):
        ga.compile(lambda x: ga.while_loop(lambda c: c < 100, lambda c: c * 1.5, x, max_steps=3))(S)


def test_state_is_as_before_where_a_body_fails() -> None:
    total = ga.array(1.0)

    def step(c: Any, _: Any) -> Any:
        nonlocal total
        total *= 2.0
        raise RuntimeError("in the body")

    with pytest.raises(RuntimeError, match="in the body"):
        ga.compile(lambda x: ga.scan(step, x, length=3))(S)
    assert isinstance(total, GradArray) and total.item() == 1.0


def test_a_body_that_the_host_must_run() -> None:
    def f(a: Any, c: Any) -> Any:
        eye = 3 * ga.eye(3)
        step = lambda c, _: (ga.sort(ga.linalg.solve(a + eye, c)) + ga.sin(c), c)
        c, ys = ga.scan(step, c, length=5)
        return (c * c).sum() + ga.cond(c[0] > 0, lambda: ga.sort(a[0] * c)[1], lambda: ys.sum())

    same(f, A, C)
    same(ga.grad(f, (0, 1)), A, C)


def test_a_loop_without_a_step_and_one_with_one() -> None:
    for n in (0, 1):
        f = lambda c, n=n: ga.scan(lambda c, _: (ga.sin(c), None), c, length=n)[0].sum()
        same(ga.value_and_grad(f), C)


def test_branches_inside_a_loop_and_a_loop_inside_a_branch() -> None:
    def f(a: Any, c: Any) -> Any:
        inner = lambda c: ga.fori_loop(0, 3, lambda k, c: ga.tanh(a @ c), c)
        step = lambda c, k: (ga.switch(k % 3, [inner, ga.sin, lambda c: c * c], c), c.sum())
        c, ys = ga.scan(step, c, ga.arange(7))
        return (c * c).sum() + (ys * ys).sum()

    same(f, A, C)
    same(ga.grad(f, (0, 1)), A, C)
    same(ga.hessian(f, 1), A, C)


def test_a_while_loop_in_a_loop() -> None:
    def f(a: Any, c: Any) -> Any:
        going, grow = lambda c: (c * c).sum() < 9.0, lambda c: c * 1.4 + a[0]
        step = lambda c, _: (ga.sin(ga.while_loop(going, grow, c, max_steps=30)), c)
        c, ys = ga.scan(step, c, length=4)
        return (c * ys).sum()

    same(f, A, C)
    same(ga.grad(f, (0, 1)), A, C)
    same(ga.hessian(f, 1), A, C)


def test_ten_thousand_small_steps_with_their_gradient_are_one_call() -> None:
    """It compiles in well under a second, and the call takes milliseconds, not eager's hundreds."""
    us = ga.array(RNG.normal(size=(10_000, 3, 3)))
    a, c = A * 0.4, ga.array(RNG.normal(size=(3, 3)))

    def f(a: Any, c: Any) -> Any:
        return ga.scan(lambda c, u: (ga.tanh(a @ c) + u, None), c, us)[0].sum()

    compiled = ga.compile(ga.value_and_grad(f, (0, 1)))
    start = time.perf_counter()
    compiled(a, c)
    first = time.perf_counter() - start
    start = time.perf_counter()
    compiled(a, c)
    second = time.perf_counter() - start
    assert first < 3.0 and second < 0.1  # measured: 0.3 s and 0.8 ms, on a quiet machine
    same(ga.grad(f, (0, 1)), a, c)


def cells(w: Any, v: Any, b: Any, x: Any) -> Any:
    """A recurrent layer on (steps, samples, width), with weights outside of the samples' axis."""

    def step(state: Any, x: Any) -> Any:
        h, c = state
        f, g = ga.split(x @ v + h @ w + b, 2, axis=-1)
        c = ga.sigmoid(f) * c + ga.tanh(g)
        return (ga.tanh(c), c), (h * c).sum(-1)

    start = ga.zeros(x.shape[1:2] + w.shape[:1])
    (h, _), ys = ga.scan(step, (start, start), x)
    return (h * h).mean() + (ys * ys).sum()


@pytest.mark.parametrize("samples", [16, 20, 150])
@pytest.mark.parametrize("width", [4, 40])
def test_the_samples_of_a_loop_go_along_the_lanes(
    monkeypatch: pytest.MonkeyPatch, samples: int, width: int
) -> None:
    monkeypatch.setattr("gradarray.compiler.split.LEAST", 1)
    w = ga.array(RNG.normal(size=(width, 2 * width)) / width)
    v, b = ga.array(RNG.normal(size=(3, 2 * width))), ga.array(RNG.normal(size=2 * width))
    x = ga.array(RNG.normal(size=(7, samples, 3)))
    same(cells, w, v, b, x)
    same(ga.grad(cells, (0, 1, 2, 3)), w, v, b, x)
    compiled = ga.compile(ga.value_and_grad(cells, (0, 1, 2)))
    compiled(w, v, b, x)
    program = compiled._versions.last.recorded.program
    prepared = assemble.prepared(program)
    (split, *_) = splits_of(prepared, set())
    loops = [step for step in prepared.steps if step.programs()]
    assert split.n == samples and len(loops) == 2 and all(s in split.steps for s in loops)


@pytest.mark.parametrize("samples", [17, 20, 32, 150])
@pytest.mark.parametrize("rows", [False, True])
def test_a_neural_ode_on_a_batch(
    monkeypatch: pytest.MonkeyPatch, samples: int, rows: bool
) -> None:
    """`rows`: weights as layers have them, whose gradients are sums of products turned over."""
    monkeypatch.setattr("gradarray.compiler.split.LEAST", 1)
    ws = [ga.array(RNG.normal(size=s) / 4) for s in [(2, 50), (50,), (50, 2), (2,)]]
    if rows:
        ws[0], ws[2] = ga.array(ws[0].numpy().T), ga.array(ws[2].numpy().T)

    def loss(y: Any, *ws: Any) -> Any:
        v, w = (ws[0].T, ws[2].T) if rows else (ws[0], ws[2])
        f = lambda y: ga.tanh(y**3 @ v + ws[1]) @ w + ws[3]

        def step(y: Any, _: Any) -> Any:
            k1 = f(y)
            k2 = f(y + 0.05 * k1)
            return y + 0.1 * k2, y

        y, ys = ga.scan(step, y, length=12)
        return (y * y).sum() + (ys**2).mean()

    y = ga.array(RNG.normal(size=(samples, 2)))
    same(ga.value_and_grad(loss, (0, 1, 2, 3, 4)), y, *ws)
    compiled = ga.compile(ga.value_and_grad(loss, (1, 2, 3, 4)))
    compiled(y, *ws)
    prepared = assemble.prepared(compiled._versions.last.recorded.program)
    (split, *_) = splits_of(prepared, set())
    loops = [step for step in prepared.steps if step.programs()]
    assert split.n == samples and len(loops) == 2 and all(s in split.steps for s in loops)


def looping(x: Any) -> Any:
    def step(c: Any, _: Any) -> Any:
        c = ga.cond(c > 0, lambda: ga.sin(c) * x + 1.5, lambda: c * c)
        return c, c * x

    c, ys = ga.scan(step, x, length=4)
    return c + (ys * ys).sum()


def test_taylor_series_and_laplacians_go_through_loops_and_branches() -> None:
    same(lambda x: ga.jet(looping, (x,), ((1.0, 0.5, 0.25),)), S)
    same(ga.grad(lambda x: ga.derivative(looping, 2)(x)), S)
    same(ga.derivative(ga.grad(looping), 2), S)
    same(ga.laplacian(lambda v: looping(v[0]) * looping(v[1])), C[:2])
    growing = lambda x: ga.while_loop(lambda c: c < 9.0, lambda c: c * c * x + 1.2, x + 1)
    same(ga.derivative(growing, 3), S)
    program = lambda n: steps_of(
        ga.derivative(lambda x: ga.scan(lambda c, _: (ga.sin(c) * x, None), x, length=n)[0], 3), S
    )
    assert program(5) == program(50)
