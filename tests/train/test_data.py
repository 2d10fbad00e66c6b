"""Batches: every sample once, in order or shuffled by a seed; and what counts as batches."""

import numpy as np
import pytest

import gradarray as ga
from gradarray.train.data import Source, is_batches, lifted, split_last
from gradarray.train.weights import by_class

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


def seen(batches):
    return [np.concatenate([part.numpy() for part in parts]) for parts in zip(*batches)]


def test_in_order():
    batches = ga.train.batches(X, Y, batch_size=4)
    assert len(batches) == 3
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    for got, wanted in zip(seen(batches), (X, Y)):
        assert (got == wanted).all()


def test_the_rest_may_be_dropped():
    batches = ga.train.batches(X, Y, batch_size=4, drop_last=True)
    assert [len(x) for x, _ in batches] == [4, 4]
    assert len(batches) == 2


def test_shuffled_by_a_seed_every_sample_once():
    ga.random.seed(1)
    batches = ga.train.batches(X, Y, batch_size=3, shuffle=True)
    first, second = seen(batches), seen(batches)
    ga.random.seed(1)
    again = seen(ga.train.batches(X, Y, batch_size=3, shuffle=True))
    assert (first[1] == again[1]).all()
    assert (first[1] != second[1]).any() and (first[1] != Y).any()
    assert (np.sort(first[1]) == Y).all()
    assert (first[0] == X[first[1]]).all()  # samples and targets go together


def test_a_generator_of_ones_own():
    stream = ga.random.default_generator.state_dict()
    batches = ga.train.batches(X, shuffle=True, generator=ga.random.Generator(5))
    order = ga.random.Generator(5).permutation(10).numpy()
    assert (seen(batches)[0] == X[order]).all()
    now = ga.random.default_generator.state_dict()
    assert all((now[name] == stream[name]).all() for name in stream)


def test_pytrees_and_weights():
    inputs = {"a": X, "b": (Y, [float(k) for k in Y])}
    x, y, weight = next(iter(ga.train.batches(inputs, Y, Y / 10, batch_size=6)))
    assert x["a"].shape == (6, 2) and x["b"][0].shape == (6,)
    assert y.dtype == np.int64 and weight.shape == (6,)
    x, y, weight = next(iter(ga.train.batches(X, None, Y / 10)))
    assert y is None and weight.shape == (10,)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_is_the_users_no_more(shuffle):
    x = X.copy()
    (batch,) = next(iter(ga.train.batches(x, batch_size=10, shuffle=shuffle)))
    before = batch.numpy().copy()
    x[:] = -1
    assert (batch.numpy() == before).all()


def test_lists_of_numbers_and_of_arrays():
    (x,) = next(iter(ga.train.batches([[1.0, 2.0], [3.0, 4.0]])))
    assert x.shape == (2, 2)
    (x,) = next(iter(ga.train.batches([ga.array([1.0, 2.0]), ga.array([3.0, 4.0])])))
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "said"),
    [
        ((X, Y[:9]), {}, ga.ShapeError, "x has 10, y has 9"),
        (({"a": X, "b": Y[:3]}, Y), {}, ga.ShapeError, r"x\['b'\] has 3"),
        ((np.float64(1.0),), {}, ga.ShapeError, "0-d"),
        ((X, Y), {"batch_size": 0}, ValueError, "at least 1, not 0"),
        ((X, Y), {"batch_size": 2.5}, ValueError, "at least 1, not 2.5"),
        (("text",), {}, TypeError, "str is neither"),
        ((None,), {}, ga.ShapeError, "no arrays"),
    ],
)
def test_what_cannot_be_cut(args, kwargs, error, said):
    with pytest.raises(error, match=said):
        ga.train.batches(*args, **kwargs)


def test_the_validation_split_is_the_last_samples():
    kept, held_out = split_last((X, Y, None), 0.3)
    assert (kept[1] == Y[:7]).all() and (held_out[1] == Y[7:]).all()
    assert (kept[0] == X[:7]).all() and kept[2] is None and held_out[2] is None


@pytest.mark.parametrize("share", [1.0, -0.1, 0.99])
def test_a_validation_split_leaves_both_sides_something(share):
    with pytest.raises(ValueError, match="validation_split"):
        split_last((X, Y, None), share)


@pytest.mark.parametrize(
    ("x", "y", "answer"),
    [
        (X, None, False),
        (ga.array(X), None, False),
        ([[1.0], [2.0]], None, False),
        ([X, X], None, False),
        ((X, X), Y, False),
        ({"a": X}, None, False),
        ([(X, Y)], None, True),
        (((b, b) for b in [X]), None, True),
        (ga.train.batches(X, Y), None, True),
        (ga.train.batches(X, Y), Y, True),
    ],
)
def test_what_is_taken_for_batches(x, y, answer):
    assert is_batches(x, y) is answer


def test_batches_of_lists_become_arrays():
    x, y = lifted(([[1.0, 2.0]], [3]))
    assert (x.shape, y.shape) == ((1, 2), (1,))


# How an iterable is gone through ------------------------------------------------------------------


def numbers(source):
    return [batch[0].item() for batch in source]


def test_passes_and_steps():
    data = [np.float64(k) for k in range(3)]
    assert numbers(Source(data, "fit")) == [0, 1, 2]
    resumed = Source(data, "fit", steps=2, passes=3, resume=True)
    assert [numbers(resumed) for _ in range(3)] == [[0, 1], [2, 0], [1, 2]]
    anew = Source(data, "fit", steps=2, passes=2)
    assert [numbers(anew) for _ in range(2)] == [[0, 1], [0, 1]]


def test_an_iterator_with_steps_is_gone_through_piece_by_piece():
    source = Source(iter([np.float64(k) for k in range(5)]), "fit", steps=2, passes=3, resume=True)
    assert [numbers(source) for _ in range(3)] == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="there is no batch"):
        numbers(source)


def test_an_iterator_is_refused_for_several_epochs():
    with pytest.raises(ValueError, match="gone through once, and 2 passes"):
        Source(iter([X]), "fit", passes=2)


def test_totals():
    data = [X, X, X]
    assert Source(data, "fit").total == 3
    assert Source(data, "fit", steps=2).total == 2
    assert Source(data, "fit", steps=9).total == 3
    assert Source(data, "fit", steps=9, resume=True).total == 9
    assert Source((b for b in data), "fit").total is None
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Source(data, "fit", steps=0)


# Class weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y", [[0, 2, 1], [[0], [2], [1]], np.eye(3)[[0, 2, 1]], np.array([0.0, 2.0, 1.0])]
)
def test_weights_by_class(y):
    assert by_class(y, {0: 0.5, 1: 3.0}).tolist() == [0.5, 1.0, 3.0]
    assert by_class(y, {0: 0.5, 1: 3.0}, [2.0, 2.0, 3.0]).tolist() == [1.0, 2.0, 9.0]
