"""dynamic=: one program for any number of samples, equal to the function itself at each."""

import concurrent.futures
import warnings

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import native
from gradarray.compiler.call import MISS
from tests.compiler.common import same

RNG = np.random.default_rng(8)
SIZES = (24, 17, 2, 23, 24, 31, 3, 9, 32, 17, 100, 65)


@pytest.fixture
def compiled(monkeypatch):
    """How many programs were compiled."""
    made = []
    outer = native.Native._make

    def counted(self, *args):
        made.append(1)
        return outer(self, *args)

    monkeypatch.setattr(native.Native, "_make", counted)
    return made


def table():
    return ga.array(RNG.normal(size=(5, 3)), requires_grad=True)


def layer(module):
    ga.random.seed(2)
    return module.double().requires_grad_(False)


W = ga.array(RNG.normal(size=(4, 3)))
E = table()
CONV = layer(ga.nn.Conv1d(2, 3, 2))
POOL = ga.nn.MaxPool1d(2)
NORM = layer(ga.nn.LayerNorm(4))


def classes(x):
    """Whole numbers from 0 to 4 that follow from x."""
    return ga.astype(ga.floor(abs(x[:, 0]) * 1000) % 5, "int64")


def gradients(loss, *arrays):
    return ga.grad(loss, tuple(range(len(arrays))))(*arrays)


def loop_apart(x):
    """A loop that has nothing to do with samples."""
    return x.sum(0) + ga.scan(lambda c, _: (c * 0.5 + 1.0, c), ga.array(0.0), ga.ones(6))[0]


FREE = {
    "beside a loop": loop_apart,
    "mean": lambda x: x.mean(),
    "means": lambda x: (x.mean(0), x.mean(1)),
    "variance": lambda x: (x.var(0, ddof=1), x.std()),
    "norm": lambda x: ga.linalg.norm(x),
    "extremes": lambda x: (x.max(), x.min(0), x.max(1), ga.floor(x).astype("int64").max(0)),
    "product": lambda x: ga.prod(1 + x / 100, axis=0),
    "truth": lambda x: ((x > 2).any(), (x < 2).all(0), ga.count_nonzero(x > 0)),
    "softmax": lambda x: ga.softmax(x, axis=1),
    "over samples": lambda x: (ga.softmax(x, axis=0), ga.logsumexp(x, axis=0)),
    "product of matrices": lambda x: ga.tanh(x @ W).sum(),
    "moments": lambda x: x.T @ x / x.shape[0],
    "einsum": lambda x: (ga.einsum("ni,nj->ij", x, x), ga.einsum("ni,ij->nj", x, W)),
    "reshaped": lambda x: (x.reshape(-1, 2).mean(0), x.reshape(-1, 2, 2)[:, 1], x.ravel().sum()),
    "turned": lambda x: (x.T, x.T[1:], x[:, None, ::2], ga.stack([x, x * 2], axis=2)),
    "joined": lambda x: ga.concatenate([x[:, :1], x[:, 2:], x], axis=1).mean(0),
    "along features": lambda x: (x[:, ::-1], x - x[:, :1]),
    "normalised": lambda x: NORM(x).mean(0),
    "convolved": lambda x: CONV(x.reshape(-1, 2, 2)).mean(0),
    "pooled": lambda x: POOL(x.reshape(-1, 1, 4)).mean(0),
    "embedded": lambda x: E.detach()[classes(x)].mean(0),
    "counted": lambda x: ga.ones_like(x).sum() + x.shape[0] ** 2,
    "broadcast": lambda x: ga.broadcast_to(W[:, 0], x.shape).sum(0) + x.sum(0),
    "gradient": lambda x: ga.grad(lambda x: (ga.sin(x) ** 2).mean())(x),
    "gradient of weights": lambda x: gradients(lambda w: (ga.tanh(x @ w) ** 2).mean(), W),
    "of the table": lambda x: gradients(
        lambda e: (e[classes(x)] ** 2).mean(), E.detach()
    ),
    "of the convolution": lambda x: gradients(
        lambda w: (ga.nn.functional.conv1d(x.reshape(-1, 2, 2), w) ** 2).mean(),
        CONV.weight.detach(),
    ),
    "cross entropy": lambda x: gradients(
        lambda w: ga.nn.functional.cross_entropy(x @ w, classes(x) % 3), W
    ),
    "second order": lambda x: ga.hessian(lambda b: (ga.sin(x @ W + b) ** 2).mean())(W[0]),
    "nested": lambda x: gradients(
        lambda w: (ga.grad(lambda x: ga.tanh(x @ w).sum())(x) ** 2).mean(), W
    ),
}  # fmt: skip


# Sums of at most 400 numbers of the order of one, in another order, and what follows from them.
BOUND = 400 * 16 * float(np.finfo(np.float64).eps)


@pytest.mark.parametrize("name", FREE)
def test_one_program_is_right_for_every_size(name, compiled):
    f = FREE[name]
    step = ga.compile(f, dynamic=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in SIZES:
            x = RNG.normal(size=(n, 4))
            given = ga.array(x)
            expected = f(ga.array(x))
            same(step(given), expected, BOUND)
            if n == SIZES[0]:  # a program of its own: its short way is made at the second call
                same(step(given), expected, BOUND)
            # The next time at this size it goes the short way.
            again = step._versions.taken((given,), {})
            assert again is not MISS
            same(again, expected, BOUND)
            np.testing.assert_array_equal(np.asarray(given), x)
    # One for 24, one for less, one for 2 and 3, and for up to 32, 64 (or 128): none for a size.
    assert len(step._versions) == 1 and len(step._versions.sizes) <= 4
    assert len(compiled) == 1 + len(step._versions.sizes)


def loop(x):
    return ga.scan(lambda c, row: (c + row.sum(), c), ga.array(0.0), x)[0]


def beside(x):
    """A loop without samples, in which their number is."""
    n = x.shape[0]
    return x.sum(0) + ga.scan(lambda c, _: (c * 0.5 + 1 / n, c), ga.array(0.0), ga.ones(6))[0]


BOUND_TOGETHER = {
    "sorted": (lambda x: ga.sort(x, axis=0), "sort"),
    "the last": (lambda x: x[-1] * 2, "index"),
    "all but one": (lambda x: x[:-1].sum(), ""),
    "every other": (lambda x: x[::2].sum(), ""),
    "with each other": (lambda x: x @ x.T, "a shape is"),
    "shifted": (lambda x: ga.cumsum(x, axis=0), "cumsum"),
    "step by step": (loop, "a loop"),
    "beside": (beside, "a loop"),
    "by number": (lambda x: x[ga.array([0, -1])], "gather"),
    "drawn": (lambda x: x + ga.random.normal(size=x.shape), ""),
    "by the size": (lambda x: x * 2 if len(x) > 20 else x.sum(0), ""),
    "too few": (lambda x: x.reshape(-1, 24).sum(0) if len(x) % 6 == 0 else x, ""),
}


@pytest.mark.parametrize("name", BOUND_TOGETHER)
def test_what_needs_all_samples_at_once_is_compiled_for_each_size_and_says_so(name):
    f, words = BOUND_TOGETHER[name]
    step = ga.compile(f, dynamic=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for n in SIZES:
            x = RNG.normal(size=(n, 4))
            ga.random.seed(n)
            found = step(x)
            ga.random.seed(n)
            same(found, f(ga.array(x)), BOUND)
    assert len(told) <= 1 and (not words or len(told) == 1)
    if words:
        assert str(told[0].message).startswith("compile: the number of samples is not free: ")
        assert words in str(told[0].message)
        assert told[0].filename == __file__


def training(wrap, optimizer="SGD"):
    ga.random.seed(0)
    model = ga.nn.Sequential(
        ga.nn.Linear(4, 8), ga.nn.BatchNorm1d(8), ga.nn.Tanh(), ga.nn.Linear(8, 3)
    ).double()
    optimizer = getattr(ga.optim, optimizer)(model.parameters(), lr=0.1)
    loss_fn = ga.nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(x, y):
        optimizer.zero_grad()
        p = model(x)
        loss = loss_fn(p, y)
        loss.backward()
        ga.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach(), p.detach(), (ga.argmax(p, axis=1) == y).mean()

    return model, wrap(step)


def test_a_training_step_with_batch_statistics_and_state():
    model, step = training(lambda f: ga.compile(f, dynamic=("x", 1)))
    like, eager = training(lambda f: f)
    for n in SIZES * 2:
        x, y = ga.array(RNG.normal(size=(n, 4))), ga.array(RNG.integers(0, 3, n))
        same(step(x, y), eager(x, y), 1e-11)
    # 24 steps, of which each amplifies by at most what batch statistics divide by.
    for name, value in like.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value, 1e-10, 1e-11)
    assert len(step._versions) == 1 and len(step._versions.sizes) <= 4
    for parameter in model.parameters():
        assert parameter.grad is not None


def test_the_short_way_looks_at_what_it_is_given():
    step = ga.compile(lambda x, w, k: (x @ w * k).sum(0), dynamic="x")
    w = RNG.normal(size=(4, 2))
    x = {n: ga.array(RNG.normal(size=(n, 4))) for n in (9, 5)}
    for _ in range(3):
        for given in x.values():
            same(step(given, w, 3), (given @ w * 3).sum(0), BOUND)
    five = x[5]
    apart = ga.array(RNG.normal(size=(5, 8)))[:, ::2]  # whose numbers do not lie together
    for given in (five, apart):
        taken = step._versions.taken((given, w, 3), {})
        same(taken, (given @ w * 3).sum(0), BOUND)
    single, wide = ga.array(np.float32(five.numpy())), ga.ones((5, 5))
    leaf = ga.array(five.numpy(), requires_grad=True)
    for other in ((five.numpy(), w, 3), (single, w, 3), (leaf, w, 3), (five, w, 4), (wide, w, 3)):
        assert step._versions.taken(other, {}) is MISS
    same(step(five, w, 4), (five @ w * 4).sum(0), BOUND)
    with pytest.raises(ValueError, match="matmul"):
        step(wide, w, 3)


def test_arrays_that_disagree_about_the_number():
    step = ga.compile(lambda x, y: (x * y).sum(), dynamic=("x", "y"))
    for n in (9, 5, 5):
        step(np.ones(n), np.ones(n))
    with pytest.raises(ga.ShapeError, match="argument 0 has 5, argument 1 has 4"):
        step(np.ones(5), np.ones(4))


def test_threads_have_memory_of_their_own():
    step = ga.compile(lambda x: (x * x).sum(0), dynamic=True)
    sizes = [(5, 4000), (7, 4000)]
    for n, m in ((9, 4000), *sizes, *sizes):
        step(np.ones((n, m)))

    def called(k):
        x = np.full((sizes[k % 2][0], 4000), float(k))
        return [step(x).numpy() for _ in range(30)], len(x) * k * k

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found, expected in pool.map(called, range(16)):
            for y in found:
                np.testing.assert_array_equal(y, np.full(4000, float(expected)))


def test_a_data_set_that_grows_is_compiled_for_each_doubling(compiled):
    f = lambda x: (x * x).mean()
    step = ga.compile(f, dynamic="x")
    data = RNG.normal(size=(300, 2))
    for n in range(10, 300, 7):
        same(step(data[:n]), f(ga.array(data[:n])), BOUND)
    assert len(compiled) <= 1 + 6  # 16, 32, .. 512, and the first


@pytest.mark.parametrize("n", [0, 1])
def test_no_sample_and_one(n):
    f = lambda x: ((x * 2).sum(), x.mean(1), x @ W)
    step = ga.compile(f, dynamic=True)
    for k in (8, 5, n, 7, n):
        x = RNG.normal(size=(k, 4))
        same(step(x), f(ga.array(x)), BOUND)


def test_what_is_not_finite_stays_where_it_is():
    """Samples that fill up count for nothing, whatever they hold."""
    f = lambda x: (ga.log(x).sum(0), (1 / x).max(0), ga.grad(lambda x: ga.sqrt(x).sum())(x))
    step = ga.compile(f, dynamic=True)
    with np.errstate(all="ignore"):
        for n in SIZES:
            x = abs(RNG.normal(size=(n, 4)))
            x[-1] = 0.0, np.inf, 1.0, np.nan
            same(step(x), f(ga.array(x)), BOUND)


def test_a_branch_that_is_masked_is_masked_at_every_size():
    f = ga.grad(lambda x: ga.where(x > 0, ga.sqrt(x), 0.0).mean())
    step = ga.compile(f, dynamic=True)
    for n in SIZES:
        x = abs(RNG.normal(size=n))
        x[n // 2] = 0.0
        same(step(x), f(ga.array(x)), BOUND)


def test_errors_are_those_of_the_size_at_hand():
    step = training(lambda f: ga.compile(f, dynamic=("x", "y")))[1]
    for n in (16, 12, 9):
        x, y = ga.array(RNG.normal(size=(n, 4))), ga.array(RNG.integers(0, 3, n))
        step(x, y)
        y[n - 1] = 5
        with pytest.raises(IndexError, match=rf"label 5 at \[{n - 1}\] is out of range for 3"):
            step(x, y)
    with pytest.raises(ga.ShapeError, match="argument 0 has 6, argument 1 has 5"):
        step(x[:6], y[:5])


def test_which_arguments():
    def f(x, w, *, more):
        return (x @ w).mean() + more["a"].mean()

    w = RNG.normal(size=(4, 3))
    for dynamic in (True, ("x", "more"), (0, "more")):
        step = ga.compile(f, dynamic=dynamic)
        for n in (9, 7, 5):
            x, a = RNG.normal(size=(n, 4)), RNG.normal(size=(n, 2))
            same(step(x, w, more={"a": a}), f(ga.array(x), w, more={"a": ga.array(a)}), BOUND)
        assert len(step._versions) == 1
    for wrong in ("z", 7):
        with pytest.raises(ValueError, match="dynamic has"):
            ga.compile(lambda x, w: x, dynamic=wrong)
    with pytest.raises(TypeError, match="dynamic is True, or names or places"):
        ga.compile(f, dynamic=1.5)  # type: ignore[arg-type]


def test_methods_and_static_arguments():
    class Model:
        def __init__(self):
            self.w = ga.array([1.0, 2.0])

        @ga.compile(dynamic="x", static_argnames="times")
        def f(self, x, times):
            self.w += x.sum(0)
            return (x * self.w).mean() * times

    model, w = Model(), np.array([1.0, 2.0])
    for n in (9, 4, 6, 7):
        x = RNG.normal(size=(n, 2))
        w = w + x.sum(0)
        for times in (2, 3):
            if times == 3:
                w = w + x.sum(0)
            same(model.f(ga.array(x), times), ga.array((x * w).mean() * times), BOUND)
    same(model.w, ga.array(w), BOUND)


def test_fit_has_one_program_from_the_third_size_on(compiled):
    def model(eagerly):
        ga.random.seed(4)
        model = ga.Sequential(ga.nn.Linear(4, 8), ga.nn.Tanh(), ga.nn.Linear(8, 1)).double()
        model.compile(
            ga.optim.SGD(model.parameters(), lr=0.05), "mse", ["mae"], run_eagerly=eagerly
        )
        return model

    a, b = model(True), model(False)
    for n in (160, 150, 149, 145, 141, 138, 135):
        x = RNG.normal(size=(n, 4))
        for m in (a, b):
            ga.random.seed(n)
            found = m.fit(x, x[:, :1], batch_size=32, verbose=0).history
        for name, value in a.state_dict().items():
            np.testing.assert_allclose(b.state_dict()[name], value, 1e-11, 1e-12)
        np.testing.assert_allclose(a.history.history["mae"], found["mae"], 1e-11)
        np.testing.assert_allclose(a.predict(x), b.predict(x), 1e-11, 1e-12)
    # Steps of 32 and of 22 samples, and for any number; the same for predict.
    assert len(compiled) == 6
