"""interp, gradient, convolve, correlate, histogram: closed forms, and NumPy at its edges."""

import itertools

import numpy as np
import pytest

import gradarray as ga

rng = np.random.default_rng(3)
XP, FP = np.array([0.0, 1.0, 3.0, 4.0]), np.array([1.0, -1.0, 5.0, 2.0])


def test_slopes_of_interp():
    x = np.array([0.25, 2.0, 3.5, -1.0, 9.0])
    by_x, by_xp, by_fp = ga.jacrev(ga.interp, argnums=(0, 1, 2))(x, XP, FP)
    np.testing.assert_allclose(np.diag(by_x.numpy()), [-2.0, 3.0, -3.0, 0.0, 0.0])
    # Hat functions in fp; minus the slope times them in xp, inside.
    hats = np.array([
        [0.75, 0.25, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5], [1, 0, 0, 0], [0, 0, 0, 1]
    ])  # fmt: skip
    np.testing.assert_allclose(by_fp.numpy(), hats, atol=1e-15)
    slopes = np.array([-2.0, 3.0, -3.0, 0.0, 0.0])
    np.testing.assert_allclose(by_xp.numpy(), -slopes[:, None] * hats, atol=1e-14)


def test_a_knot_takes_the_slope_to_its_right():
    slope = ga.vmap(ga.grad(lambda x: ga.interp(x, XP, FP)))(XP)
    np.testing.assert_array_equal(slope.numpy(), [-2.0, 3.0, -3.0, 0.0])
    with ga.kinks() as report:
        ga.grad(lambda x: ga.interp(x, XP, FP))(1.0)
    assert report.times("interp") == 1


@pytest.mark.parametrize("how", [{}, {"left": -7.0}, {"right": 8.0}, {"period": 3.5}])
def test_interp_is_numpys_everywhere(how):
    far = [] if "period" in how else [-np.inf, np.inf, np.nan]
    x = np.concatenate([XP, XP + 1e-9, far, [-5.0, 17.0, 2.2]])
    found = ga.interp(x, XP, FP, **how).numpy()
    np.testing.assert_allclose(found, np.interp(x, XP, FP, **how), rtol=1e-14, atol=1e-14)
    bent = FP + 1j * FP**2
    expected = np.interp(x, XP, bent, **how)
    np.testing.assert_allclose(ga.interp(x, XP, bent, **how).numpy(), expected, rtol=1e-14)


def test_interp_in_each_example():
    xs, fps = rng.uniform(0, 4, (5, 3)), rng.normal(size=(5, 4))
    expected = [np.interp(x, XP, fp) for x, fp in zip(xs, fps, strict=True)]
    found = ga.vmap(lambda x, fp: ga.interp(x, XP, fp))(xs, fps).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    own = XP + 0.1 * np.arange(5)[:, None]
    expected = [np.interp(x, xp, FP) for x, xp in zip(xs, own, strict=True)]
    found = ga.vmap(lambda x, xp: ga.interp(x, xp, FP))(xs, own).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_table_is_fitted():
    # Knots on the parabola minimise the misfit to its values at the knots and between.
    x = np.linspace(0, 4, 41)
    loss = lambda fp: ((ga.interp(x, XP, fp) - x**2) ** 2).sum()
    A = np.array([np.interp(x, XP, e) for e in np.eye(4)]).T
    best = np.linalg.lstsq(A, x**2, rcond=None)[0]
    np.testing.assert_allclose(ga.grad(loss)(best).numpy(), 0, atol=1e-10)
    np.testing.assert_allclose(ga.hessian(loss)(FP).numpy(), 2 * A.T @ A, rtol=1e-13)


@pytest.mark.parametrize("order", [1, 2])
def test_gradient_is_exact_for_parabolas(order):
    x = np.array([0.0, 0.5, 2.0, 2.25, 4.0])
    f = 3 * x**2 - x + 2
    found = ga.gradient(f, x, edge_order=order).numpy()
    inner = slice(None) if order == 2 else slice(1, -1)
    np.testing.assert_allclose(found[inner], (6 * x - 1)[inner], rtol=1e-13)
    np.testing.assert_allclose(found, np.gradient(f, x, edge_order=order), rtol=1e-13)


def test_gradient_by_its_places():
    # (f_1 - f_0) / (x_1 - x_0) at the first end.
    f, x = np.array([1.0, 4.0, 5.0]), np.array([0.0, 2.0, 3.0])
    slope = ga.grad(lambda x: ga.gradient(f, x)[0])(x)
    np.testing.assert_allclose(slope.numpy(), [3 / 4, -3 / 4, 0.0])
    h = ga.grad(lambda h: ga.gradient(f, h)[1])(0.5)
    assert h.item() == pytest.approx(-(5 - 1) / (2 * 0.25))


SIZES = list(itertools.product([1, 2, 3, 5], [1, 2, 4, 5], ["full", "same", "valid"]))


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize(("n", "m", "mode"), SIZES)
def test_products_of_shifted_vectors_are_numpys_and_their_gradients_are_adjoint(name, n, m, mode):
    ours, numpys = getattr(ga, name), getattr(np, name)
    a = rng.normal(size=n) + 1j * rng.normal(size=n)
    v = rng.normal(size=m) + 1j * rng.normal(size=m)
    y = numpys(a, v, mode)
    np.testing.assert_allclose(ours(a, v, mode).numpy(), y, rtol=1e-13, atol=1e-14)
    # Linear in each: the slope along d is the function of d.
    a, v, d, w = a.real, v.real, rng.normal(size=n), rng.normal(size=y.shape)
    push = ga.jvp(lambda a: ours(a, v, mode), (a,), (d,))[1].numpy()
    np.testing.assert_allclose(push, numpys(d, v, mode), rtol=1e-13, atol=1e-14)
    pull = ga.grad(lambda a: ours(a, v, mode) @ w)(a).numpy()
    assert pull @ d == pytest.approx(push @ w, rel=1e-12, abs=1e-13)


def test_a_filter_is_found():
    signal, true = rng.normal(size=60), np.array([0.5, -1.0, 0.25])
    heard = np.convolve(signal, true)
    loss = lambda w: ((ga.convolve(signal, w) - heard) ** 2).sum()
    found = ga.minimize(loss, np.zeros(3), method="trust-exact").x.numpy()
    np.testing.assert_allclose(found, true, atol=1e-8)


def test_histogram_has_no_derivative_and_says_so():
    x = rng.normal(size=20)
    y, edges = ga.histogram(x, 5)
    expected = np.histogram(x, 5)
    np.testing.assert_array_equal(y.numpy(), expected[0])
    np.testing.assert_allclose(edges.numpy(), expected[1], rtol=1e-15)
    assert "no derivative" in (ga.histogram.__doc__ or "")
    t = ga.array(x, requires_grad=True)
    counts, edges = ga.histogram(t, 5, density=True)
    assert not counts.requires_grad and not edges.requires_grad
    several = rng.normal(size=(4, 20))
    rows = ga.vmap(lambda x: ga.histogram(x, 5)[0])(several).numpy()
    np.testing.assert_array_equal(rows, [np.histogram(x, 5)[0] for x in several])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ga.interp(0.5, [0.0, 1.0], [1.0]), ga.ShapeError, "vectors of one length"),
        (lambda: ga.interp(0.5, [], []), ValueError, "no points to go through"),
        (lambda: ga.interp(0.5, [0.0], [1.0], period=0), ValueError, "the period is 0"),
        (lambda: ga.gradient([1.0]), ValueError, "1 values along axis 0: at least 2"),
        (lambda: ga.gradient(np.ones((3, 3)), 1.0, 1.0, 1.0), TypeError, "3 spacings for 2 axes"),
        (lambda: ga.gradient([1.0, 2.0], [1.0]), ga.ShapeError, r"places of shape \(1,\) for 2"),
        (lambda: ga.gradient([1.0, 2.0], edge_order=3), ValueError, "edge_order=3"),
        (lambda: ga.convolve([[1.0]], [1.0]), ga.ShapeError, "takes two vectors"),
        (lambda: ga.convolve([], [1.0]), ValueError, "no empty vector"),
        (lambda: ga.correlate([1.0], [1.0], "some"), ValueError, "mode='some'"),
        (lambda: ga.histogram([1.0], 0), ValueError, "bins=0"),
        (lambda: ga.histogram([1.0, np.nan]), ValueError, "Give a range"),
        (lambda: ga.histogram([1.0], [2.0, 1.0]), ValueError, "do not ascend"),
        (lambda: ga.histogram([1.0], weights=[1.0, 2.0]), ga.ShapeError, "weights of shape"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
