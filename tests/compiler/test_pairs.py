"""Complex numbers in compiled code: as pairs of real ones, against NumPy and eager gradients."""

from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import tree

RNG = np.random.default_rng(0)
EPS = float(np.finfo(np.float64).eps)


def draw(*shape: int) -> Any:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def check(f: Any, *xs: Any, native: bool = True) -> None:
    """ga.compile(f) equals f, by native code alone, in the short way in, too."""
    arrays = [ga.array(x) for x in xs]
    step = ga.compile(f)
    expected = tree.flatten(f(*arrays))[0]
    for _ in range(2):
        found = tree.flatten(step(*arrays))[0]
        for y, z in zip(found, expected, strict=True):
            y, z = y.detach().numpy(), z.detach().numpy()
            assert y.shape == z.shape and y.dtype == z.dtype
            digits = 1e-12 if z.dtype.itemsize >= 8 and z.dtype != np.complex64 else 1e-5
            np.testing.assert_allclose(y, z, digits, digits * max(np.max(np.abs(z)), 1.0))
    if native:
        assert "on the host" not in step.show("loops")


NAMES = [
    "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "square", "abs", "conj",
    "real", "imag", "angle", "reciprocal", "sign", "negative", "isnan", "isfinite",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_functions(name: str):
    x = draw(3, 5)
    # On the axes, in all quadrants, near 0, and far out.
    x[0] = [2.0, -2.0, 2j, -2j, 0.5 - 1e-9j]
    x[1] = [1e-8 + 1e-8j, -3 + 40j, 25 + 1j, -25 - 2j, 1.0]
    f = getattr(ga, name)
    check(f, x)
    check(f, x.astype("c8"))
    check(f, x[1, 2])
    y = ga.compile(f)(ga.array(x)).numpy()
    np.testing.assert_allclose(y, getattr(np, name)(x), 64 * EPS)


@pytest.mark.parametrize("n", [0, 1, 2, 3, -1, -2, 5, 0.5, 1.5 - 2j])
def test_powers(n: Any):
    x = draw(4, 2)
    check(lambda x: x**n, x)
    check(lambda x, n: x**n, x, np.full(2, n + 0j))


def test_arithmetic_with_real_numbers_and_other_dtypes():
    x, y, r = draw(3, 4), draw(4), RNG.normal(size=(3, 1))
    check(lambda x, y, r: (x * y, x / y, x + r, r / x, x - 2.5, 1j * r, x * (1 + 2j)), x, y, r)
    check(lambda x, y: (x * 2j, x + y, x / np.float32(3)), x.astype("c8"), y)
    check(lambda x, y: (x == y, x != y, ga.where(x.real > 0, x, y.real)), x, y)
    check(lambda r: (r.astype(complex), r.astype("c8") != 0), r)
    check(lambda x: (x * ga.array([1j, 2, 3, 4]), x[0, 0] * 2), x)


def test_division_does_not_overflow():
    a, b = np.array([1e300 + 1e300j, 1e-300j, 3.0]), np.array([1e300 - 1e300j, 1e-300, 1e308j])
    np.testing.assert_allclose(ga.compile(lambda a, b: a / b)(a, b).numpy(), a / b, 8 * EPS)


def test_choices():
    for x, y in ((draw(3, 4), draw(4)), (np.complex128(1 + 2j), np.complex128(3 - 1j))):
        check(lambda x, y: ga.where(ga.real(x) > 0, x, y), x, y)
    check(ga.median, draw(4, 6), native=False)


def test_shapes_sums_and_products():
    x, m = draw(3, 4), draw(4, 4)
    check(lambda x: (x.sum(0), x.mean(), ga.cumsum(x, 1), x.T[1:, ::-1].reshape(-1)), x)
    check(lambda x: (ga.concatenate([x, x.real]), ga.stack([x, x], 1), x[np.array([0, 2, 2])]), x)
    check(lambda x, m: (x @ m, x.real @ m, ga.einsum("ij,ij->i", x, ga.conj(x))), x, m)
    check(lambda x, m: x @ m, draw(70, 80), draw(80, 90))
    check(lambda m: (ga.linalg.inv(m), ga.linalg.solve(m, m.real)), draw(2, 4, 4))
    check(lambda m: ga.linalg.solve(m, m[:, :2]), draw(20, 20))


def test_derivatives():
    x, m = draw(3, 4), draw(4, 4)
    f = lambda x, m: ga.square(ga.abs(ga.tanh(x @ m) * ga.exp(1j * x))).sum()
    check(ga.grad(f, (0, 1)), x, m)
    check(lambda x, m: ga.jvp(f, [x, m], [m[:3], x.T @ x]), x, m)
    check(ga.grad(lambda x: ga.abs(ga.grad(lambda x: f(x, x.T @ x))(x)).sum()), x)
    check(ga.grad(lambda x: ga.abs(ga.fft.fft(x)).sum()), x.real)


def test_loops_and_branches():
    x = draw(6, 4)

    def turn(c: Any, y: Any) -> Any:
        return c * y + 1j, ga.abs(c)

    check(lambda x: ga.scan(turn, x[0], x), x)
    check(ga.grad(lambda x: ga.abs(ga.scan(turn, x[0], x)[0]).sum()), x)
    check(lambda x: ga.while_loop(lambda c: ga.abs(c) < 10, lambda c: c * (1.1 + 0.1j), x[0, 0]), x)
    check(lambda x: ga.cond(x[0, 0].real > 0, lambda x: x * 1j, lambda x: -x, x), x)


def test_state():
    state, x = ga.array(np.ones(3, complex)), draw(3)

    @ga.compile
    def step(x: Any) -> Any:
        state[...] = state * x
        return ga.abs(state).sum()

    kept = state.numpy()
    for k in range(1, 4):
        size = step(ga.array(x))
        np.testing.assert_allclose(state.numpy(), x**k, 16 * EPS)
        np.testing.assert_allclose(size.numpy(), np.abs(x**k).sum(), 16 * EPS)
    assert (kept == 1).all()  # what was seen outside is not written to


def test_what_has_no_parts_is_called():
    f = lambda x: (ga.prod(x, 0), ga.linalg.det(x) * 2, ga.linalg.eig(x))
    check(f, draw(3, 3), native=False)
    with pytest.raises(np.linalg.LinAlgError):
        ga.compile(ga.linalg.inv)(ga.array(np.zeros((3, 3), complex)))


LENGTHS = [1, 2, 3, 4, 5, 6, 8, 12, 13, 17, 30, 34, 49, 64, 97, 100, 210, 1024, 1155, 2048]


@pytest.mark.parametrize("n", LENGTHS)
def test_fourier_transforms(n: int):
    x = draw(2, n)
    # A stage rounds each value a few times, and there are log2 n of them.
    bound = 8 * EPS * (np.log2(n) + 1)

    def close(y: Any, z: Any) -> None:
        assert np.max(np.abs(y - z)) <= bound * np.sqrt(np.sum(np.abs(z) ** 2))

    for name in ("fft", "ifft"):
        step = ga.compile(getattr(ga.fft, name))
        close(step(ga.array(x)).numpy(), getattr(np.fft, name)(x))
        close(step(ga.array(x.real)).numpy(), getattr(np.fft, name)(x.real))
        assert "on the host" not in step.show("loops")
    step = ga.compile(ga.fft.rfft)
    close(step(ga.array(x.real)).numpy(), np.fft.rfft(x.real))
    for m in (2 * n, 2 * n + 1):
        step = ga.compile(lambda x, m=m: ga.fft.irfft(x, m))
        close(step(ga.array(x)).numpy(), np.fft.irfft(x, m))


def test_fourier_transforms_along_axes_and_scaled():
    x = draw(3, 12, 10)
    check(lambda x: ga.fft.fftn(x, axes=(0, 2), norm="ortho"), x)
    check(lambda x: ga.fft.ifft2(x, norm="forward"), x)
    check(lambda x: ga.fft.irfft(x, axis=1, norm="ortho"), x)
    check(lambda x: ga.fft.hfft(x, axis=0, norm="forward"), x)
    check(lambda x: (ga.fft.ihfft(x.real), ga.fft.rfft2(x.real)), x)
    check(ga.fft.fft, x.astype("c8"))
    check(ga.fft.fft, draw(1021), native=False)  # a large prime: a call
