"""The generator: its state, its seeds, and what it refuses."""

from __future__ import annotations

import copy
import threading
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga
from gradarray.random import Generator, default_generator
from gradarray.train import safetensors

DRAWS = {
    "uniform": lambda rng: rng.uniform(size=3),
    "uniform float32": lambda rng: rng.uniform(size=(2, 3), dtype="float32"),
    "normal": lambda rng: rng.normal(size=3),
    "truncated_normal": lambda rng: rng.truncated_normal(size=3),
    "bernoulli": lambda rng: rng.bernoulli(size=9),
    "integers": lambda rng: rng.integers(1000, size=3),
    "permutation": lambda rng: rng.permutation(9),
    "choice": lambda rng: rng.choice(1000, size=3),
    "choice with p": lambda rng: rng.choice(3, size=9, p=[0.25, 0.5, 0.25]),
    "choice without replacement": lambda rng: rng.choice(9, size=3, replace=False),
}


def run(rng: Generator) -> list[list]:
    return [draw(rng).tolist() for draw in DRAWS.values()]


# --- seeds ----------------------------------------------------------------------------------------


def test_one_seed_is_one_run() -> None:
    assert run(Generator(7)) == run(Generator(7))


@pytest.mark.parametrize("name", DRAWS)
def test_every_draw_moves_on(name: str) -> None:
    rng = Generator(7)
    assert DRAWS[name](rng).tolist() != DRAWS[name](rng).tolist()


def test_seeds_are_different_streams() -> None:
    words = [Generator(seed)._words(4, 64).tolist() for seed in (0, 1, 2, 2**32, 2**63, 2**64 - 1)]
    assert len({word for row in words for word in row}) == 24


def test_seeding_begins_again() -> None:
    rng = Generator(7)
    first = run(rng)
    rng.seed(7)
    assert run(rng) == first


def test_functions_draw_from_the_default_generator() -> None:
    state = default_generator.state_dict()
    try:
        ga.random.seed(7)
        assert run(ga.random) == run(Generator(7))  # pyright: ignore
        resumed = ga.random.state_dict()
        first = run(ga.random)  # pyright: ignore
        ga.random.load_state_dict(resumed)
        assert run(ga.random) == first  # pyright: ignore
    finally:
        default_generator.load_state_dict(state)


def test_numpy_integers_are_seeds() -> None:
    assert run(Generator(np.uint64(2**64 - 1))) == run(Generator(2**64 - 1))  # pyright: ignore


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match=r"from 0 to 2\^64 - 1"):
        Generator(seed)


@pytest.mark.parametrize("seed", [1.0, "1", None, [1]])
def test_seed_that_is_no_integer(seed) -> None:
    with pytest.raises(TypeError, match="a seed is an integer"):
        Generator(seed)


# --- state ----------------------------------------------------------------------------------------


def test_state_is_two_arrays_that_stay_the_same_objects() -> None:
    rng = Generator(2**32 * 5 + 3)
    key, counter = rng.key, rng.counter
    assert isinstance(key, ga.GradArray)
    assert isinstance(counter, ga.GradArray)
    assert (key.dtype, counter.dtype) == (np.uint32, np.uint32)
    assert (key.tolist(), counter.tolist()) == ([3, 5], [0, 0, 0, 0])
    rng.uniform(size=9, dtype="float32")
    rng.seed(1)
    rng.normal(size=9, dtype="float32")
    rng.load_state_dict(Generator(4).state_dict())
    assert rng.key is key
    assert rng.counter is counter
    assert key.tolist() == [4, 0]


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("uniform", 2), ("uniform float32", 2), ("normal", 2), ("bernoulli", 5), ("permutation", 5)],
)
def test_counter_counts_blocks_of_128_bits(name: str, blocks: int) -> None:
    rng = Generator(0)
    DRAWS[name](rng)
    assert rng.counter.tolist() == [blocks, 0, 0, 0]
    assert repr(rng) == f"Generator(seed=0), {blocks} blocks used"


def test_drawing_nothing_uses_nothing() -> None:
    rng = Generator(0)
    assert rng.normal(size=0).shape == (0,)
    assert rng.uniform(size=(2, 0)).shape == (2, 0)
    assert rng.integers(5, size=(0,)).tolist() == []
    assert rng.permutation(0).tolist() == []
    assert rng.choice(0, size=0).tolist() == []
    assert rng.counter.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("before", range(5))
def test_resumed_run_is_the_uninterrupted_one(tmp_path: Path, before: int) -> None:
    """Bit for bit, through a file, wherever in the stream it was interrupted."""
    rng = Generator(11)
    rng.uniform(size=before, dtype="float32")
    safetensors.write(tmp_path / "state", rng.state_dict())
    expected = run(rng)
    resumed = Generator(0)
    resumed.load_state_dict(safetensors.read(tmp_path / "state")[0])
    assert run(resumed) == expected


def test_state_is_a_copy() -> None:
    rng = Generator(1)
    state = rng.state_dict()
    state["key"][:] = 9
    assert rng.key.tolist() == [1, 0]
    other = Generator(2)
    taken = other.state_dict()
    rng.load_state_dict(taken)
    taken["counter"][:] = 9
    rng.uniform()
    assert rng.counter.tolist() == [1, 0, 0, 0]
    assert other.counter.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"key": np.zeros(4, np.uint32)}, r"key has the form uint32\[2\], not uint32\[4\]"),
        ({"counter": np.zeros(4, np.int64)}, r"counter has the form uint32\[4\], not int64\[4\]"),
        ({"more": np.zeros(1)}, r"'key' and 'counter', not \['counter', 'key', 'more'\]"),
    ],
)
def test_state_of_another_form(change, fault: str) -> None:
    rng = Generator(1)
    with pytest.raises(ValueError, match=fault):
        rng.load_state_dict(rng.state_dict() | change)
    assert rng.key.tolist() == [1, 0]


def test_copies_go_their_own_way() -> None:
    rng = Generator(1)
    rng.normal(size=3)
    twin = copy.deepcopy(rng)
    assert run(twin) == run(rng)
    rng.normal()
    assert twin.counter.tolist() != rng.counter.tolist()


def test_threads_get_different_numbers() -> None:
    rng = Generator(3)
    drawn: list[list[int]] = []

    def draw() -> None:
        for _ in range(50):
            drawn.append(rng._words(2, 64).tolist())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = sorted(word for words in drawn for word in words)
    assert together == sorted(Generator(3)._words(400, 64).tolist())


def test_draws_record_nothing() -> None:
    with ga.enable_grad():
        for draw in DRAWS.values():
            assert not draw(Generator(0)).requires_grad


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "fault"),
    [
        (lambda r: r.normal((3, 4)), TypeError, r"normal: loc is \(3, 4\).*\n?.*size=\(3, 4\)"),
        (lambda r: r.uniform([3]), TypeError, r"uniform\(size=\[3\]\)"),
        (lambda r: r.uniform("a"), TypeError, "low is a number or an array, not 'a'"),
        (lambda r: r.uniform(size=-1), ValueError, "size=-1 has a negative length"),
        (lambda r: r.uniform(size=2.0), TypeError, "size is an integer or a tuple"),
        (lambda r: r.uniform(size=(2, "a")), TypeError, "size is an integer or a tuple"),
        (lambda r: r.uniform(dtype=int), TypeError, "makes float16, float32 or float64, not int64"),
        (lambda r: r.uniform(dtype=complex), TypeError, "not complex128"),
        (lambda r: r.normal(dtype=np.longdouble), TypeError, "makes float16, float32 or float64"),
        (lambda r: r.normal(np.zeros(3), size=4), ValueError, r"\(3,\) does not broadcast to size"),
        (lambda r: r.normal(np.zeros(3), size=()), ValueError, r"does not broadcast to size=\(\)"),
        (lambda r: r.normal(np.zeros(3), np.ones(2)), ValueError, r"\(3,\) and \(2,\) do not"),
        (lambda r: r.normal(scale=-1.0), ValueError, "scale has to be at least 0, but.* -1.0"),
        (lambda r: r.normal(scale=np.array([1, np.nan])), ValueError, "has the value nan"),
        (lambda r: r.bernoulli(1.5), ValueError, "p has to be from 0 to 1, but has the value 1.5"),
        (lambda r: r.bernoulli(ga.array([0.5, -1.0])), ValueError, "has the value -1.0"),
        (lambda r: r.truncated_normal(scale=0), ValueError, "scale > 0 and low < high"),
        (lambda r: r.truncated_normal(low=1, high=1), ValueError, "scale > 0 and low < high"),
        (lambda r: r.truncated_normal(low=float("nan")), ValueError, "scale > 0 and low < high"),
        (lambda r: r.truncated_normal(low=50, high=60), ValueError, "so far from loc=0.0"),
        (lambda r: r.truncated_normal(np.zeros(2)), TypeError, "loc is a number"),
        (lambda r: r.integers(0), ValueError, "no integer from 0 to -1"),
        (lambda r: r.integers(5, 5), ValueError, "no integer from 5 to 4"),
        (lambda r: r.integers(5, 4, endpoint=True), ValueError, "no integer from 5 to 4"),
        (lambda r: r.integers(0.5), TypeError, "high is an integer or an array of them, not 0.5"),
        (lambda r: r.integers(True), TypeError, "high is an integer"),
        (lambda r: r.integers((2, 3)), TypeError, r"integers\(size=\(2, 3\)\)"),
        (lambda r: r.integers(129, dtype="int8"), ValueError, "int8 does not hold all of 0 to 128"),
        (lambda r: r.integers(-1, 1, dtype="uint8"), ValueError, "uint8 does not hold all"),
        (lambda r: r.integers(2**64 + 1), ValueError, "int64 does not hold"),
        (lambda r: r.integers(3, dtype=float), TypeError, "makes integers, not float64"),
        (lambda r: r.permutation(-1), ValueError, "-1 parts"),
        (lambda r: r.permutation(ga.array(1.0)), ValueError, "a 0-d array has no parts"),
        (lambda r: r.permutation([[1], [2]], axis=2), IndexError, "axis 2"),
        (lambda r: r.choice(0), ValueError, "cannot draw 1 of 0 parts"),
        (lambda r: r.choice(3, 4, replace=False), ValueError, "4 of 3 parts without replacement"),
        (lambda r: r.choice(2, 2, False, [1, 0]), ValueError, "2 of 1 parts without replacement"),
        (
            lambda r: r.choice(3, p=[0.5, 0.5]),
            ValueError,
            r"shape \(2,\); for 3 parts it is \(3,\)",
        ),
        (lambda r: r.choice(2, p=[0.5, 0.4]), ValueError, "sum to 0.9, not 1"),
        (lambda r: r.choice(2, p=[1.5, -0.5]), ValueError, "p has to be at least 0"),
        (lambda r: r.choice(2, p=[np.nan, 1]), ValueError, "has the value nan"),
    ],
)
def test_refused(call, kind: type, fault: str) -> None:
    rng = Generator(0)
    with pytest.raises(kind, match=fault):
        call(rng)
    assert rng.counter.tolist() == [0, 0, 0, 0], "a call that fails uses nothing"
