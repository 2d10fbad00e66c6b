"""The collapsed Laplacian against closed forms, and against one second derivative at a time."""

import gc
import itertools
import math
import tracemalloc

import numpy as np
import pytest

import gradarray as ga

RNG = np.random.default_rng(5)
SIZES = (5, 7, 6, 1)
WEIGHTS = [RNG.standard_normal(s) / np.sqrt(s[0]) for s in itertools.pairwise(SIZES)]
BIASES = [RNG.standard_normal(n) for n in SIZES[1:]]
POINTS = RNG.standard_normal((4, 5))


def net(x, weights=WEIGHTS):
    for k, (w, b) in enumerate(zip(weights, BIASES, strict=True)):
        x = x @ w + b
        x = ga.tanh(x) if k < len(WEIGHTS) - 1 else x
    return x


# Of one point along the last axis, or of many; each takes another way through the walk.
FUNCTIONS = {
    "network": net,
    "elementwise": lambda x: (ga.exp(x) * ga.sin(2 * x)).sum(-1),
    "two operands": lambda x: ga.hypot(x[..., 0], x[..., 1]) * ga.arctan2(x[..., 2], x[..., 3]),
    "three operands": lambda x: ga.lerp(x[..., 0], x[..., 1], x[..., 2] * x[..., 0]),
    "quotient": lambda x: x[..., 0] * x[..., 1] ** 3 / x[..., 2],
    "rational": lambda x: 1 / (1 + (x * x).sum(-1)),
    "power": lambda x: ((1 + x * x) ** (x + 2)).sum(-1),
    "masked": lambda x: ga.where(x > 0, abs(x) ** 2.5, 0.0).sum(-1),
    "matrix product": lambda x: ((x[..., None] @ x[..., None, :]) ** 2).sum((-1, -2)),
    "vectors": lambda x: ga.cross(x[..., :3] ** 2, ga.sin(x[..., 1:4]))[..., 2],
    "joined": lambda x: ga.concatenate([x**2, ga.sin(x)], axis=-1).sum(-1) ** 2,
    "one part constant": lambda x: ga.stack([x[..., 0] ** 2, 1.0 + 0 * x[..., 1]], -1).sum(-1) ** 3,
    "split": lambda x: ga.split(x**2, [2], axis=-1)[0].sum(-1) ** 2,
    "running": lambda x: ga.cumsum(ga.exp(x), axis=-1)[..., 2],
    "softmax": lambda x: (ga.softmax(x) * ga.sin(x)).sum(-1),
    "log-sum-exp": lambda x: ga.logsumexp(x, axis=-1),
    "norm": lambda x: ga.norm(x, axis=-1),
    "maximum": lambda x: ga.max(x**2, axis=-1) * x[..., 1],
    "product": lambda x: ga.prod(x, axis=-1) ** 2,
    "hand-written": lambda x: ga.cumprod(x, axis=-1)[..., 3] ** 2,
    "layer norm": lambda x: ga.layer_norm(x, 5)[..., 1],
    "complex": lambda x: ga.abs(ga.exp(1j * x) + x[..., :1]).sum(-1),
    "inverse": lambda x: ga.linalg.inv(
        ga.reshape(x[..., :4], (*x.shape[:-1], 2, 2)) + 4 * np.eye(2)
    )[..., 0, 1],
    "checkpoint": ga.checkpoint(lambda x: ga.tanh(x @ WEIGHTS[0]).sum(-1) ** 2),
    "linear": lambda x: 3 * x.sum(-1),
}


def one_at_a_time(f, x):
    units = np.eye(x.shape[-1])
    return sum(
        ga.directional(f, x, np.broadcast_to(e, x.shape).copy(), order=2)._array for e in units
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_one_direction_at_a_time(name):
    f = FUNCTIONS[name]
    expected = one_at_a_time(f, POINTS)
    scale = max(1.0, np.max(np.abs(expected)))
    for found in (
        ga.laplacian(f, axis=-1)(POINTS),
        ga.laplacian(f, axis=1, chunk=2)(POINTS),
        ga.vmap(ga.laplacian(f))(POINTS),
    ):
        np.testing.assert_allclose(found._array, expected, rtol=1e-11, atol=1e-11 * scale)
    alone = ga.laplacian(f)(POINTS[0])
    np.testing.assert_allclose(alone._array, expected[0], rtol=1e-11, atol=1e-11 * scale)


def test_closed_forms():
    # |x|^p in n dimensions: p (p + n - 2) |x|^(p-2); exp(a.x): |a|^2 exp(a.x).
    x = POINTS[0]
    r = np.linalg.norm(x)
    found = ga.laplacian(lambda x: ga.norm(x) ** 3)(x)
    assert float(found) == pytest.approx(3 * (3 + 5 - 2) * r, rel=1e-14)
    a = np.arange(1.0, 6.0) / 10
    found = ga.laplacian(lambda x: ga.exp((a * x).sum()))(x)
    assert float(found) == pytest.approx(a @ a * math.exp(a @ x), rel=1e-14)
    # 1/r is harmonic in three dimensions.
    found = ga.laplacian(lambda x: 1 / ga.norm(x))(x[:3])
    assert abs(float(found)) < 64 * np.finfo(float).eps * np.linalg.norm(x[:3]) ** -3


def test_all_values_of_a_pytree():
    def f(p):
        return (p["a"] ** 3).sum() * p["b"] ** 2

    a, b = np.array([[1.0, 2.0], [0.5, -1.0]]), 3.0
    found = ga.laplacian(f)({"a": a, "b": b})
    assert float(found) == pytest.approx((6 * a).sum() * b**2 + 2 * (a**3).sum(), rel=1e-14)
    for chunk in (1, 3, 50):
        assert float(ga.laplacian(f, chunk=chunk)({"a": a, "b": b})) == pytest.approx(float(found))


def test_results_are_as_they_come():
    found = ga.laplacian(lambda x, k: {"u": k * x**2, "v": (x[0], 1.0)})(np.ones(2), 3.0)
    np.testing.assert_allclose(found["u"]._array, [6, 6])
    assert found["v"][0].item() == found["v"][1].item() == 0
    assert ga.laplacian(net, axis=-1)(POINTS.astype(np.float32)).dtype == np.float64
    assert ga.laplacian(lambda x: ga.tanh(x).sum())(np.ones(3, np.float32)).dtype == np.float32
    assert not ga.laplacian(net)(POINTS[0]).requires_grad


def test_masks_hide_what_is_infinite():
    x = np.array([0.0, 0.7])
    with np.errstate(divide="ignore"):
        for f, second in ((ga.log, -1 / 0.49), (lambda x: 1 / x, 2 / 0.343)):
            found = ga.laplacian(lambda x, f=f: ga.where(x > 0, f(x), 0.0).sum())(x)
            assert float(found) == pytest.approx(second, rel=1e-14)


def test_gradients_of_it():
    softly = FUNCTIONS["softmax"]
    x = POINTS[0]
    gradient = ga.grad(ga.laplacian(softly))(x)._array
    for k, e in enumerate(np.eye(5)):
        third = ga.jvp(ga.laplacian(softly), (x,), (e,))[1]
        assert gradient[k] == pytest.approx(float(third), rel=1e-11)
    # Of x_0 |x|^4 summed: the bilaplacian of a polynomial is a polynomial.
    twice = ga.laplacian(ga.laplacian(lambda x: (x**4).sum() * x[0]))(x)
    assert float(twice) == pytest.approx((24 * 5 + 96) * x[0], rel=1e-13)


def test_gradients_with_respect_to_weights():
    def loss(w, laplacian):
        return (laplacian(lambda x: net(x, [w, *WEIGHTS[1:]])) ** 2).sum()

    def collapsed(f):
        return ga.laplacian(f, axis=-1)(POINTS)

    def nested(f):
        g = ga.grad(lambda x: f(x).sum())
        return sum(
            ga.grad(lambda x, i=i: g(x)[:, i].sum())(POINTS)[:, i : i + 1] for i in range(5)
        )

    found = ga.grad(loss)(WEIGHTS[0], collapsed)
    expected = ga.grad(loss)(WEIGHTS[0], nested)
    np.testing.assert_allclose(found._array, expected._array, rtol=1e-10, atol=1e-12)


def test_blocks_of_large_arrays():
    # Above a few thousand values the local derivatives are computed block by block.
    x = RNG.standard_normal((3001, 7))
    for f, second in (
        (lambda x: ga.tanh(x).sum(-1), lambda x: -2 * np.tanh(x) / np.cosh(x) ** 2),
        (lambda x: (x * ga.sin(x)).sum(-1), lambda x: 2 * np.cos(x) - x * np.sin(x)),
    ):
        found = ga.laplacian(f, axis=-1)(x)._array
        np.testing.assert_allclose(found, second(x).sum(-1), rtol=1e-11, atol=1e-12)


def _peak(run):
    run()
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_against_nested_reverse_mode():
    rng = np.random.default_rng(0)
    sizes = (50, 128, 128, 128, 1)
    shapes = itertools.pairwise(sizes)
    weights = [ga.array(rng.standard_normal(s) / 10, requires_grad=True) for s in shapes]
    x, units = rng.standard_normal((64, 50)), np.eye(50)

    def deep(x):
        for w in weights[:-1]:
            x = ga.tanh(x @ w)
        return x @ weights[-1]

    def nested():
        _, pull = ga.vjp(ga.grad(lambda x: deep(x).sum()), x)
        columns = [pull(np.broadcast_to(e, x.shape).copy())[0] for e in units]
        return sum(c[:, k] for k, c in enumerate(columns))

    def collapsed():
        return ga.laplacian(deep, axis=-1)(x)[:, 0]

    np.testing.assert_allclose(collapsed()._array, nested()._array, rtol=1e-10, atol=1e-12)
    assert _peak(lambda: (collapsed() ** 2).sum().backward()) < 0.5 * _peak(
        lambda: (nested() ** 2).sum().backward()
    )


def test_errors():
    x = np.ones((2, 3))
    with pytest.raises(ga.ShapeError, match=r"laplacian: x of shape \(2, 3\) has no axis 2"):
        ga.laplacian(net, axis=2)(x)
    with pytest.raises(TypeError, match="for one array"):
        ga.laplacian(lambda p: p[0], axis=0)([x, x])
    with pytest.raises(ValueError, match="chunk=0"):
        ga.laplacian(net, chunk=0)
    with pytest.raises(ga.DTypeError, match="int64"):
        ga.laplacian(net)(np.arange(5))
