"""scan, loops and branches against Python's own, in both modes; checkpoints and their cost."""

import tracemalloc

import numpy as np
import pytest

import gradarray as ga
from gradarray.transforms.snapshots import fewest_advances


def modes(f, x):
    """First and second derivatives of a scalar function, by every mix of modes."""
    forward = lambda f: lambda x: ga.jvp(f, (x,), (1.0,))[1]
    yield from (ga.grad(f)(x), forward(f)(x))
    for outer in (ga.grad, forward):
        for inner in (ga.grad, forward):
            yield outer(inner(f))(x)


def test_scan_is_a_loop():
    xs = np.arange(1.0, 5.0)
    carry, ys = ga.scan(lambda c, x: (c * x, c + x), 1.0, xs)
    assert carry.item() == 24.0
    np.testing.assert_array_equal(ys.numpy(), [2.0, 3.0, 5.0, 10.0])
    carry, ys = ga.scan(lambda c, x: (c - x, c), 0.0, xs, reverse=True)
    np.testing.assert_array_equal(ys.numpy(), [-9.0, -7.0, -4.0, 0.0])


@pytest.mark.parametrize("snapshots", [None, 1, 2, 4, 100])
def test_a_power_as_a_loop_in_every_mode(snapshots):
    # c -> c x, 7 times, from x: x^8.
    f = lambda x: ga.scan(lambda c, _: (c * x, None), x, length=7, snapshots=snapshots)[0]
    x = 1.1
    first, second = 8 * x**7, 56 * x**6
    found = [v.item() for v in modes(f, x)]
    assert found == pytest.approx([first] * 2 + [second] * 4, rel=1e-13)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("snapshots", [1, 2, 3, 7, 50])
def test_snapshots_change_nothing(snapshots, reverse):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 3)) * 0.4, np.ones(3), rng.normal(size=(23, 3))]

    def loss(a, c, xs, **how):
        c, ys = ga.scan(lambda c, x: (ga.tanh(a @ c) + x, (c * c).sum()), c, xs, **how)
        return c.sum() + (ys * np.arange(23)).sum()

    plain = ga.grad(lambda *p: loss(*p, reverse=reverse), argnums=(0, 1, 2))(*arrays)
    kept = ga.grad(lambda *p: loss(*p, reverse=reverse, snapshots=snapshots), argnums=(0, 1, 2))
    for a, b in zip(plain, kept(*arrays), strict=True):
        # The same sums in another order.
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("steps", "snapshots", "advances"), [(10, 3, 15), (56, 5, 140), (100, 10, 222), (300, 10, 836)]
)
def test_the_published_least_number_of_steps(steps, snapshots, advances):
    calls = 0

    def body(c, _):
        nonlocal calls
        calls += 1
        return ga.sin(c), None

    x = ga.array(1.0, requires_grad=True)
    y = ga.scan(body, x, length=steps, snapshots=snapshots)[0]
    assert calls == steps  # the last one recorded
    y.backward()
    assert calls - steps == advances
    assert fewest_advances(steps, snapshots) == advances


def test_a_loop_with_snapshots_needs_little_memory():
    def peak(**how):
        x = ga.array(np.full(1000, 0.5), requires_grad=True)
        tracemalloc.start()
        try:
            ga.scan(lambda c, _: (ga.sin(c) * 1.01, None), x, length=500, **how)[0].sum().backward()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(snapshots=10) < peak() / 10


@pytest.mark.parametrize("snapshots", [1, 2, 5])
def test_a_loop_with_snapshots_finds_what_single_steps_take_from_around(snapshots):
    # c -> w_k c: the derivative by w_k is the product of the others.
    ws = [ga.array(w, requires_grad=True) for w in (2.0, 3.0, 5.0, 7.0)]
    body = lambda k, c: ws[k] * c if k != 2 else c * ws[k] * ws[0]
    ga.fori_loop(0, 4, body, 1.0, snapshots=snapshots).backward()
    assert [w.grad.item() for w in ws] == [2 * 2.0 * 105, 4.0 * 35, 4.0 * 21, 4.0 * 15]


@pytest.mark.parametrize("snapshots", [1, 2, 5])
def test_steps_that_are_run_again_draw_what_they_drew(snapshots):
    # c -> c u_k: the derivative is the product of the numbers drawn.
    f = lambda x: ga.scan(
        lambda c, _: (c * ga.random.uniform(), None), x, length=6, snapshots=snapshots
    )[0]
    ga.random.seed(4)
    drawn = [ga.random.uniform().item() for _ in range(7)]
    ga.random.seed(4)
    assert ga.grad(f)(1.0).item() == pytest.approx(np.prod(drawn[:6]), rel=1e-14)
    assert ga.random.uniform().item() == drawn[6]


def test_weights_from_around_a_checkpoint_get_their_gradient():
    w = ga.array([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = ga.array([0.1, -0.2])
    ga.checkpoint(lambda x: ga.tanh(w @ x))(x).sum().backward()
    expected = np.outer(1 - np.tanh(w.numpy() @ x.numpy()) ** 2, x.numpy())
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-14)


def test_a_checkpoint_in_every_mode():
    f = ga.checkpoint(lambda x: ga.sin(ga.exp(x)))
    x = 0.4
    e = np.exp(x)
    first, second = np.cos(e) * e, np.cos(e) * e - np.sin(e) * e * e
    assert [v.item() for v in modes(f, x)] == pytest.approx([first] * 2 + [second] * 4, rel=1e-13)


def test_random_numbers_repeat_in_a_checkpoint():
    net = ga.nn.Sequential(ga.nn.Linear(4, 4), ga.nn.Dropout(0.5))
    x = np.ones((3, 4), np.float32)
    gradients = []
    for f in (net, ga.checkpoint(net)):
        ga.random.seed(5)
        net.zero_grad()
        f(ga.array(x)).sum().backward()
        gradients.append(net[0].weight.grad.numpy().copy())
        after = ga.random.normal().item()
    np.testing.assert_array_equal(*gradients)
    ga.random.seed(5)
    net(ga.array(x))
    assert ga.random.normal().item() == after  # the stream went on as without a checkpoint


def test_pytrees_through_a_checkpoint():
    f = ga.checkpoint(lambda tree, k: {"sum": tree["a"] + k * tree["b"], "same": tree["a"]})
    g = ga.grad(lambda t: (f(t, 2.0)["sum"] * f(t, 2.0)["same"]).sum())
    found = g({"a": ga.array([1.0, 2.0]), "b": ga.array([3.0, 4.0])})
    np.testing.assert_allclose(found["a"].numpy(), [8.0, 12.0])
    np.testing.assert_allclose(found["b"].numpy(), [2.0, 4.0])


def test_while_loop_finds_its_length():
    # Newton's method for sqrt(a): the derivative of the result is 1/(2 sqrt a).
    def root(a):
        step = lambda x: 0.5 * (x + a / x)
        return ga.while_loop(lambda x: abs(x * x - a) > 1e-14 * a, step, a, max_steps=60)

    assert root(2.0).item() == pytest.approx(2**0.5, rel=1e-15)
    slopes = [ga.grad(root)(2.0).item(), ga.jvp(root, (2.0,), (1.0,))[1].item()]
    assert slopes == pytest.approx([0.5 / 2**0.5] * 2, rel=1e-10)


@pytest.mark.parametrize("snapshots", [1, 2, 3, 7, 100])
def test_while_loop_with_snapshots_in_every_mode(snapshots):
    # c -> c x from x while c < 50: 1.5^10 is the first above, so x^10 around there.
    how = {"snapshots": snapshots}
    f = lambda x: ga.while_loop(lambda c: c < 50, lambda c: c * x, x, **how)
    x = 1.5
    assert f(x).item() == pytest.approx(x**10, rel=1e-14)
    first, second = 10 * x**9, 90 * x**8
    found = [v.item() for v in modes(f, x)]
    assert found == pytest.approx([first] * 2 + [second] * 4, rel=1e-13)
    assert ga.grad(lambda x: ga.while_loop(lambda c: c < 1, lambda c: c * x, x, **how))(x) == 1
    with pytest.raises(ga.GraphError, match="not finished after 9 steps"):
        ga.grad(lambda x: ga.while_loop(lambda c: c > 0, lambda c: c, x, max_steps=9, **how))(x)
    with pytest.raises(ga.ShapeError, match="while_loop: the carry changes shape"):
        ga.grad(lambda x: ga.while_loop(lambda c: True, lambda c: c * np.ones(2), x, **how))(x)


@pytest.mark.parametrize("snapshots", [1, 4, 20])
def test_a_while_loop_keeps_no_more_than_its_snapshots(snapshots):
    def peak(**how):
        x = ga.array(np.full(10_000, 3.0), requires_grad=True)
        tracemalloc.start()
        try:
            y = ga.while_loop(lambda c: c[0] > 1, lambda c: ga.sin(c) * 0.01 + c * 0.98, x, **how)
            y.sum().backward()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Beside them: two recorded steps (7 arrays each), the cotangent on its way, the gradient.
    assert peak(snapshots=snapshots) < (snapshots + 20) * 80_000


@pytest.mark.parametrize(("steps", "snapshots"), [(300, 10), (1000, 5), (700, 40), (65, 64)])
def test_a_while_loop_runs_few_more_steps_again_than_a_loop_of_known_length(steps, snapshots):
    calls = 0

    def body(c):
        nonlocal calls
        calls += 1
        return c + 1.0

    ga.grad(lambda x: ga.while_loop(lambda c: c < steps, body, x, snapshots=snapshots))(0.0)
    assert steps + fewest_advances(steps, snapshots) <= calls
    assert calls <= 1.25 * (steps + fewest_advances(steps, snapshots))


def test_each_example_stops_by_itself():
    f = lambda x: ga.while_loop(lambda c: c < 100, lambda c: c * x, x)
    x = np.array([2.0, 3.0, 5.0, 200.0])
    np.testing.assert_array_equal(ga.vmap(f)(x).numpy(), [128.0, 243.0, 125.0, 200.0])
    np.testing.assert_array_equal(ga.vmap(ga.grad(f))(x).numpy(), [448.0, 405.0, 75.0, 1.0])


def test_branches():
    f = lambda x: ga.cond(x > 1, lambda x: x * x, lambda x: -x, x)
    assert ga.grad(f)(3.0).item() == 6.0 and ga.grad(f)(0.5).item() == -1.0
    np.testing.assert_array_equal(ga.vmap(ga.grad(f))(np.array([0.5, 3.0])).numpy(), [-1.0, 6.0])
    branches = [lambda x: x, lambda x: x * x, lambda x: -x]
    by_index = ga.vmap(lambda k, x: ga.switch(k, branches, x))
    x = np.full(5, 3.0)
    found = by_index(np.array([-1, 0, 1, 2, 9]), x)
    np.testing.assert_array_equal(found.numpy(), [3, 3, 9, -3, -3])
    # A branch that is not taken does no harm: 1/0 stays out of the gradient.
    safe = lambda x: ga.cond(x > 0, lambda x: 1 / x, lambda x: x, x)
    np.testing.assert_array_equal(ga.vmap(ga.grad(safe))(np.array([0.0, 2.0])).numpy(), [1, -0.25])


def test_fori_loop():
    f = lambda x: ga.fori_loop(0, 5, lambda k, c: c * x + k, 1.0)
    value = lambda x: x**5 + x**3 + 2 * x**2 + 3 * x + 4
    assert f(2.0).item() == value(2.0)
    for how in ({}, {"snapshots": 2}):
        g = ga.grad(lambda x, how=how: ga.fori_loop(0, 5, lambda k, c: c * x + k, 1.0, **how))
        assert g(2.0).item() == 5 * 16 + 3 * 4 + 4 * 2 + 3


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: ga.scan(lambda c, x: (c, c), 0.0), ga.ShapeError, "neither xs nor length"),
        (lambda: ga.scan(lambda c, x: c, 0.0, length=2), TypeError, "return .carry, y."),
        (lambda: ga.scan(lambda c, x: (c[None], c), 0.0, length=2), ga.ShapeError,
         r"changes shape, from \(\) to \(1,\)"),
        (lambda: ga.scan(lambda c, x: ((c, c), c), 0.0, length=2), TypeError, "changes structure"),
        (lambda: ga.scan(lambda c, x: (c.astype("float32"), c), 0.0, length=2), ga.DTypeError,
         "from float64 to float32"),
        (lambda: ga.scan(lambda c, x: (c, c), 0.0, np.ones(3), length=2), ga.ShapeError, "differ"),
        (lambda: ga.while_loop(lambda c: c > 0, lambda c: c, 1.0, max_steps=3), ga.GraphError,
         "after 3 steps"),
        (lambda: ga.cond(np.array([True]), lambda: 1, lambda: 2), ga.ShapeError, "one boolean"),
        (lambda: ga.switch(0.5, [lambda: 1]), ga.DTypeError, "one integer"),
        (lambda: ga.scan(lambda c, x: (c, c), 0.0, length=2, snapshots=0), ValueError,
         "at least 1"),
    ],
)  # fmt: skip
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
