"""Random functions, eager against compiled; and what the fuzzer has found so far."""

import importlib
import os
import signal
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import nest, parallel, passes, split
from gradarray.compiler.follow import followed
from gradarray.testing.fuzz import Tally, fuzz, given
from gradarray.testing.fuzz.script import KNOBS

SEED = int(os.environ.get("FUZZ_SEED", "20000"))  # of the first
COUNT, EACH = 2000, 40  # `make fuzz` goes on without end, from any seed


@pytest.mark.parametrize("first", range(SEED, SEED + COUNT, EACH))
def test_random_functions_agree(first: int) -> None:
    tally = Tally()
    found = [fuzz(seed, tally) for seed in range(first, first + EACH)]
    print(f"seeds from {first} on: {tally}")
    failures = [why for why in found if why]
    assert not failures, "\n\n".join(failures[:3])
    assert tally.agreed >= EACH / 2 and tally.refused <= EACH / 5


def test_ctrl_c_ends_it_with_the_seed_and_what_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(seed: int, tally: Tally) -> str:
        if seed == 20002:
            os.kill(os.getpid(), signal.SIGINT)
        return fuzz(seed, tally)

    script = importlib.import_module("gradarray.testing.fuzz.__main__")
    monkeypatch.setattr(script, "fuzz", pressed)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seed", "20000", "--count", "9"])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert script.main() == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopped at seed 20002; 2 functions of" in capsys.readouterr().out


def test_one_pass_fewer_computes_the_same() -> None:
    rng = np.random.default_rng(0)
    x, w = (ga.array(rng.standard_normal(shape)) for shape in ((100, 17), (17, 65)))
    f = ga.grad(lambda x, w: ga.mean(ga.softmax(ga.tanh(x @ w)) ** 2), (0, 1))
    for name in passes.PASSES:
        with passes.without(name):
            assert not passes.is_on(name)
            got = ga.compile(f)(x, w)
        assert passes.is_on(name)
        for y, z in zip(got, f(x, w), strict=True):
            np.testing.assert_allclose(y.numpy(), z.numpy(), 1e-11, 1e-15)
    with pytest.raises(ValueError, match="no pass 'magic'"), passes.without("magic"):
        pass


def test_a_bug_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums begin from one: a script of a few lines shows it."""
    neutral = nest.neutral
    monkeypatch.setattr(nest, "neutral", lambda how, dtype: neutral(how, dtype) + (how == "add"))
    why = next(filter(None, (fuzz(seed, Tally()) for seed in range(100, 110))))
    script = why.split("\n\n", 1)[1]
    assert "difference: compiled" in why and len(script.splitlines()) < 30
    for where, name, _ in [setting for knob in KNOBS.values() for setting in knob]:
        module = importlib.import_module(f"gradarray.compiler.{where}")
        monkeypatch.setattr(module, name, getattr(module, name))  # the script sets some
    shown: list[Any] = []
    exec(script, {"print": shown.append})
    eager, *compiled = ([y.numpy() for y in ga.tree.flatten(x)[0]] for x in shown)
    same = [np.allclose(y, z) for ys in compiled for y, z in zip(ys, eager, strict=True)]
    assert not all(same)


# Found by the fuzzer, made small by it -----------------------------------------------------------


def _max_over_an_axis_of_one() -> Any:
    """The place of the result was read before anything was written there."""
    return lambda x: ga.max(x, axis=1), [given("float", (3, 1), 4)]


def _series_of_eigenvalues() -> Any:
    """A number of the trace met a power series, which did not come first."""
    x, t = given("spd", (2, 2), 1), given("float", (2, 2), 2)
    values = lambda x: ga.linalg.eigh(x, "L")[0]
    return lambda x, t: ga.jet(values, [x], [[t, ga.zeros_like(t)]])[1], [x, t]


def _cotangents_of_a_part_and_of_the_whole() -> Any:
    """A cotangent that is a constant was added to in place, by one that is not there yet."""

    def f(x: Any, y: Any) -> Any:
        return ga.sum(x**2) + ga.sum(ga.insert(y, 1, x[-6], axis=0))

    return ga.grad(f, (0, 1)), [given("float", (16, 1), 1), given("float", (1, 1), 2)]


def _sums_of_parts() -> Any:
    """A cotangent that is not there yet met one of a part, which is a constant."""

    def f(x: Any) -> Any:
        return x[-2, -3] + ga.sum(ga.split(1 + ga.cos(ga.ravel(x)[:5]), [1, 3])[0])

    return ga.value_and_grad(f), [given("float", (30, 10), 1)]


def _flips_and_a_variance() -> Any:
    f = lambda x: ga.sum(ga.flip(x, axis=-1)) + ga.var(x, axis=None)
    return ga.value_and_grad(f), [given("float", (1, 1, 1, 1), 6)]


def _a_copy_in_a_tile() -> Any:
    """Samples lay along the axis of the step's result, not along that of what was copied."""
    f = lambda x, w, b: ga.sum(ga.tanh(ga.broadcast_to(x, (9, 9, 9, 16)) @ w + b))
    args = [given("float", s, k) for k, s in enumerate([(9, 9, 16), (16, 16), (16,)])]
    return ga.value_and_grad(f, (0, 1, 2)), args


def _rows_of_a_tile_and_all_columns() -> Any:
    """What one step reads tile by tile, another one reads whole."""
    square = lambda v: ga.mean((ga.tanh(v) @ ga.swapaxes(ga.tanh(v), -1, -2)) ** 2)

    def f(x: Any, t: Any) -> Any:
        return ga.grad(lambda x: ga.jvp(square, [x], [t])[1], (0,))(x)

    return f, [given("float", (128, 1), k) for k in (1, 2)]


def _sums_in_memory_cut_into_chunks() -> Any:
    """A nest whose sums are not in its innermost loops was cut along an axis that is summed."""

    def f(a: Any, b: Any) -> Any:
        a = ga.broadcast_to(a, (2, 100, 65))
        return ga.sum(ga.sin(ga.einsum("...ij,...jk->...ik", a, b)))

    return ga.value_and_grad(f, (0, 1)), [
        given("float", (100, 65), 1), given("float", (2, 65, 100), 2)
    ]  # fmt: skip


def _many_rows_added_where_indices_say() -> Any:
    """Chunks of a scatter: two of them may add to one place."""
    i, v = given("int", (50_000,), 1, 0, 7, "int64"), given("float", (50_000, 3), 2)
    return ga.grad(lambda w: ga.sum(ga.tanh(w)[i] * v)), [given("float", (7, 3), 3)]


def _the_rest_of_a_panel() -> Any:
    """A nest that fills a thread's own memory was cut into chunks, over threads."""
    f = lambda x: ga.sum(ga.sin(ga.swapaxes(x, -1, -2) @ x))
    return ga.value_and_grad(f), [given("float", (200, 65), 1)]


def _a_sum_of_sums_that_is_all_that_is_left() -> Any:
    """It was taken out of its split, and no other step could go on."""

    def loss(x: Any, w: Any, b: Any) -> Any:
        return ga.mean(ga.ravel(ga.linear(x, w, b))[:3] ** 2)

    def f(*both: Any) -> Any:
        xs, ts = list(both[:3]), list(both[3:])
        return ga.jvp(ga.grad(loss, (0, 1, 2)), xs, ts)

    return f, [given("float", shape, k) for k in (0, 3) for shape in ((16, 1), (1, 1), (1,))]


FOUND: list[Callable[[], Any]] = [
    _max_over_an_axis_of_one, _series_of_eigenvalues, _cotangents_of_a_part_and_of_the_whole,
    _sums_of_parts, _flips_and_a_variance, _a_copy_in_a_tile, _rows_of_a_tile_and_all_columns,
    _sums_in_memory_cut_into_chunks, _many_rows_added_where_indices_say,
    _the_rest_of_a_panel, _a_sum_of_sums_that_is_all_that_is_left,
]  # fmt: skip


@pytest.mark.parametrize("eager", [False, True], ids=["as it is", "all cut"])
@pytest.mark.parametrize("case", FOUND, ids=lambda case: case.__name__.strip("_"))
def test_found_before(
    case: Callable[[], Any], eager: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if eager:  # tiles and chunks also where they are not worth it
        monkeypatch.setattr(split, "LEAST", 1)
        monkeypatch.setattr(parallel, "WORTH", 0.0)
    f, args = case()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = ga.compile(f)
        got, expected = compiled(*args), f(*args)
        followed(compiled._versions.last._run)
    for y, z in zip(*(ga.tree.flatten(v)[0] for v in (got, expected)), strict=True):
        assert y.dtype == z.dtype
        size = float(np.max(np.abs(z.numpy())))
        np.testing.assert_allclose(y.numpy(), z.numpy(), 1e-12, 1e-12 * size)
