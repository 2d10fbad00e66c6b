"""What has a rule is native: no call of the host is left, forward and in the gradient."""

from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.array import wrap
from gradarray.ops.random import advance, philox
from gradarray.registry import functions
from gradarray.testing.draw import calls_of, float_results
from gradarray.testing.problem import direction, inner

NATIVE = [
    "argmax", "argmin", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "max_pool1d", "max_pool2d", "max_pool3d", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "unfold",
    "roll", "cumsum", "cumprod", "linear_recurrence", "count_nonzero", "nanmax", "nanmin",
    "embedding", "take", "take_along_axis", "softmax", "matmul", "einsum",
]  # fmt: skip


def host_ops(compiled: Any) -> set[str]:
    """The ops that a compiled function calls the host for."""
    return set(compiled._versions.last._run.lowering.host_reasons)


@pytest.mark.parametrize("name", NATIVE)
def test_native_forward_and_gradient(name: str) -> None:
    """Neither the function nor its gradient leaves native code, in any example of the registry."""
    entry = functions[name]
    for call in calls_of(entry):
        xs = [wrap(np.asarray(x)[()]) for x in call.draw()]
        run: Any = lambda *xs, call=call: call.run(call.entry.fn, list(xs))
        if any(x.dtype.kind == "c" for x in xs):
            continue
        compiled = ga.compile(run)
        compiled(*xs)
        assert not host_ops(compiled), call
        if not call.moving:
            continue

        def f(*moving: Any, run: Any = run, xs: Any = xs, call: Any = call) -> Any:
            full = list(xs)
            for k, x in zip(call.moving, moving, strict=True):
                full[k] = x
            return float_results(run(*full))

        moving = [xs[k] for k in call.moving]
        vs = [direction(call.rng(), y._array) for y in f(*moving)]
        slope = ga.compile(
            ga.grad(lambda *xs, f=f, vs=vs: inner(f(*xs), vs), tuple(range(len(moving))))
        )
        slope(*moving)
        assert not host_ops(slope), call


def _net(x: Any, w: Any, b: Any, v: Any, padding: Any, stride: Any) -> Any:
    h = ga.relu(ga.conv2d(x, w, b, padding=padding, stride=stride))
    h = ga.max_pool2d(h, 2)
    return ga.reshape(h, (x.shape[0], -1)) @ v


@pytest.mark.parametrize("padding", [0, 1, (2, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_network_of_convolutions_goes_sample_by_sample(padding: Any, stride: Any) -> None:
    """In tiles of samples the gradient is the eager one, to rounding, and no host is called."""
    rng = np.random.default_rng(1)
    x = ga.array(rng.standard_normal((48, 3, 14, 13)))
    t = ga.array(rng.integers(0, 5, 48))
    w, b = ga.array(rng.standard_normal((8, 3, 3, 3))), ga.array(rng.standard_normal(8))
    h = ga.max_pool2d(ga.conv2d(x, w, b, padding=padding, stride=stride), 2)
    v = ga.array(0.1 * rng.standard_normal((h.size // 48, 5)))

    def loss(w: Any, b: Any, v: Any, x: Any, t: Any) -> Any:
        return ga.nn.functional.cross_entropy(_net(x, w, b, v, padding, stride), t)

    gradient = ga.grad(loss, (0, 1, 2, 3))
    compiled = ga.compile(gradient)
    for got, want in zip(compiled(w, b, v, x, t), gradient(w, b, v, x, t), strict=True):
        size = float(np.abs(want.numpy()).max())
        np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-12, 1e-12 * size)
    assert not host_ops(compiled)


@pytest.mark.parametrize("outside", [5, -6])
def test_an_index_outside_raises_and_changes_nothing(outside: int) -> None:
    """Compiled code never reads beyond an array: it says so, and goes on working afterwards."""
    x = ga.array(np.arange(15.0).reshape(5, 3))
    rows = ga.compile(lambda x, i: ga.take(x, i, axis=0))
    good = np.array([0, -1, 4, -5])
    np.testing.assert_array_equal(rows(x, good).numpy(), x.numpy()[good])
    with pytest.raises(IndexError, match=f"index {outside} is out of bounds for length 5"):
        rows(x, np.array([0, outside, 1, 2]))
    np.testing.assert_array_equal(rows(x, good).numpy(), x.numpy()[good])


def test_values_are_added_where_an_index_repeats() -> None:
    """The transpose of a gather adds one after the other; here 3 of 4 rows go to place 1."""
    slope = ga.compile(ga.grad(lambda x, i: (ga.take(x, i, axis=0) * ga.array(WEIGHTS)).sum()))
    got = slope(ga.zeros((3, 2)), np.array([1, 1, 0, 1]))
    np.testing.assert_array_equal(got.numpy(), [[5.0, 6.0], [11.0, 14.0], [0.0, 0.0]])


WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("counter", [[0, 0, 0, 0], [2**32 - 2, 2**32 - 1, 7, 0], [2**32 - 1] * 4])
def test_random_bits_are_those_of_eager_code(bits: int, counter: list[int]) -> None:
    """The same words, also where the counter overflows from word to word."""
    key, counter_ = (ga.array(np.array(v, np.uint32)) for v in ([123, 456], counter))
    draw = lambda k, c: (philox(k, c, 1001, bits), advance(c, 5))
    compiled = ga.compile(draw)
    for got, want in zip(compiled(key, counter_), draw(key, counter_), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got.numpy(), want.numpy())
    assert not host_ops(compiled)
