"""Fourier transforms: against the matrix of the definition, as adjoints, and at the edges.

Values against NumPy, for every length, axis and scaling declared, are tested in test_registry.py.
"""

import numpy as np
import pytest

import gradarray as ga
from gradarray import fft

EPS = np.finfo(np.float64).eps
LENGTHS = [1, 2, 3, 4, 5, 8]
NORMS = ["backward", "ortho", "forward"]
CLOSE = {"rtol": 64 * EPS, "atol": 64 * EPS}  # sums of up to 8 numbers of order one


def drawn(*shape, seed=0, kind=float):
    rng = np.random.default_rng([seed, *shape])
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


def matrix(n, norm, inverse=False):
    """The transform by its definition."""
    k = np.arange(n)
    f = np.exp((2j if inverse else -2j) * np.pi * np.outer(k, k) / n)
    whole = {"backward": inverse, "forward": not inverse, "ortho": None}[norm]
    return f / (np.sqrt(n) if whole is None else n if whole else 1)


def pulled(f, x, c):
    return ga.vjp(f, x)[1](c)[0].numpy()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", LENGTHS)
def test_a_transform_and_its_gradient_are_products_with_a_matrix_and_its_adjoint(n, norm):
    x, c = drawn(2, n, kind=complex), drawn(2, n, seed=1, kind=complex)
    for f, inverse in ((fft.fft, False), (fft.ifft, True)):
        a = matrix(n, norm, inverse)
        np.testing.assert_allclose(f(x, norm=norm).numpy(), x @ a.T, **CLOSE)
        # Outside a walk cotangents pair as Re <c, y>: the pull is a product with a^H.
        found = pulled(lambda x, f=f: f(x, norm=norm), x, c)
        np.testing.assert_allclose(found, c @ a.conj(), **CLOSE)
        real = pulled(lambda x, f=f: f(x, norm=norm), x.real, c)
        assert real.dtype == np.float64
        np.testing.assert_allclose(real, (c @ a.conj()).real, **CLOSE)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", LENGTHS)
def test_a_real_transform_is_the_first_half_of_the_matrix(n, norm):
    m = n // 2 + 1
    x, c = drawn(n), drawn(m, seed=1, kind=complex)
    a = matrix(n, norm)[:m]
    np.testing.assert_allclose(fft.rfft(x, norm=norm).numpy(), a @ x, **CLOSE)
    found = pulled(lambda x: fft.rfft(x, norm=norm), x, c)
    np.testing.assert_allclose(found, (a.conj().T @ c).real, **CLOSE)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", LENGTHS)
def test_a_half_spectrum_counts_twice_but_at_its_ends(n, norm):
    m = n // 2 + 1
    z, c = drawn(m, kind=complex), drawn(n, seed=1)
    twice = np.full(m, 2.0)
    twice[0] = 1
    if n % 2 == 0:
        twice[-1] = 1
    b = matrix(n, norm, inverse=True)[:, :m] * twice
    np.testing.assert_allclose(fft.irfft(z, n, norm=norm).numpy(), (b @ z).real, **CLOSE)
    bar = pulled(lambda z: fft.irfft(z, n, norm=norm), z, c)
    np.testing.assert_allclose(bar, b.conj().T @ c, **CLOSE)
    # What cannot be seen has no gradient: the imaginary part at frequency 0, and at n / 2.
    assert bar.imag[0] == 0
    if n % 2 == 0:
        assert abs(bar.imag[-1]) <= 64 * EPS


TRANSFORMS = {
    "fft": (fft.fft, (2, 6), complex),
    "fft, cut": (lambda x: fft.fft(x, 4), (2, 6), complex),
    "fft, filled up": (lambda x: fft.fft(x, 9), (2, 6), complex),
    "ifft": (lambda x: fft.ifft(x, axis=0, norm="ortho"), (5, 2), complex),
    "rfft": (fft.rfft, (2, 7), float),
    "rfft, cut": (lambda x: fft.rfft(x, 4), (2, 7), float),
    "irfft": (fft.irfft, (2, 5), complex),
    "irfft, odd": (lambda x: fft.irfft(x, 7), (2, 5), complex),
    "hfft": (lambda x: fft.hfft(x, 7, norm="forward"), (2, 4), complex),
    "ihfft": (lambda x: fft.ihfft(x, norm="ortho"), (2, 6), float),
    "fftn": (fft.fftn, (2, 3, 4), complex),
    "fft2": (lambda x: fft.fft2(x, (2, 5)), (3, 3, 4), complex),
    "ifftn": (lambda x: fft.ifftn(x, axes=(0, 2), norm="ortho"), (2, 3, 4), complex),
    "ifft2": (fft.ifft2, (3, 4), complex),
    "rfftn": (fft.rfftn, (2, 3, 4), float),
    "rfft2": (lambda x: fft.rfft2(x, axes=(1, 0), norm="forward"), (3, 4), float),
    "irfftn": (lambda x: fft.irfftn(x, (2, 3, 5)), (2, 3, 3), complex),
    "irfft2": (lambda x: fft.irfft2(x, norm="ortho"), (3, 3), complex),
    "fftshift": (fft.fftshift, (3, 4), complex),
    "ifftshift": (lambda x: fft.ifftshift(x, 0), (3, 4), complex),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_adjoint_identity(name):
    f, shape, kind = TRANSFORMS[name]
    x = drawn(*shape, kind=kind)
    y = f(x)
    v = drawn(*y.shape, seed=1, kind=complex if y.dtype.kind == "c" else float)
    w = drawn(*shape, seed=2, kind=kind)
    y_dot = ga.jvp(f, (x,), (w,))[1].numpy()
    np.testing.assert_array_equal(y_dot, f(w).numpy())  # linear: the derivative is f itself
    left, right = np.vdot(v, y_dot).real, np.vdot(pulled(f, x, v), w).real
    scale = np.abs(np.conj(v) * y_dot).sum() + np.abs(np.conj(pulled(f, x, v)) * w).sum()
    assert abs(left - right) <= 64 * EPS * scale


@pytest.mark.parametrize("name", TRANSFORMS)
def test_float32_stays_float32(name):
    f, shape, kind = TRANSFORMS[name]
    x = drawn(*shape, kind=kind).astype(np.complex64 if kind is complex else np.float32)
    y = f(x)
    assert y.dtype in (np.complex64, np.float32)
    assert pulled(f, x, np.ones(y.shape, y.dtype)).dtype == x.dtype


def test_a_convolution_by_transforms_has_the_gradient_of_the_sum():
    x, k = drawn(6), drawn(6, seed=1)

    def through_spectrum(x, k):
        return (fft.irfft(fft.rfft(x) * fft.rfft(k), 6) ** 2).sum()

    def directly(x, k):
        rows = ga.stack([ga.roll(k[::-1], n + 1) for n in range(6)])
        return ((rows @ x) ** 2).sum()

    for order in (1, 2):
        f, g = through_spectrum, directly
        for _ in range(order - 1):
            f, g = (
                (lambda x, k, f=f: (ga.grad(f)(x, k) * drawn(6, seed=2)).sum()) for f in (f, g)
            )
        for one, other in zip(ga.grad(f, (0, 1))(x, k), ga.grad(g, (0, 1))(x, k), strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=0, atol=1e4 * EPS)


def test_a_power_spectrum_has_parsevals_gradient():
    # sum |y|^2 = n sum x^2.
    x = drawn(8)
    bar = ga.grad(lambda x: (ga.abs(fft.fft(x)) ** 2).sum())(x)
    np.testing.assert_allclose(bar.numpy(), 16 * x, rtol=1e3 * EPS)


def test_the_derivative_of_a_periodic_function_by_its_spectrum():
    t = 2 * np.pi * np.arange(16) / 16
    k = fft.fftfreq(16, d=1 / 16)
    y = ga.real(fft.ifft(fft.fft(np.sin(3 * t)) * (1j * k)))
    np.testing.assert_allclose(y.numpy(), 3 * np.cos(3 * t), atol=1e3 * EPS)


def test_numpys_functions_are_these():
    x = ga.array(drawn(4, 4))
    for name in np.fft.__all__:
        if name.endswith("freq"):
            np.testing.assert_array_equal(getattr(fft, name)(5).numpy(), getattr(np.fft, name)(5))
            continue
        found = getattr(np.fft, name)(x)
        assert isinstance(found, ga.GradArray)
        np.testing.assert_array_equal(found.numpy(), getattr(fft, name)(x).numpy())


def test_empty_stacks():
    x = ga.zeros((0, 4), requires_grad=True)
    ga.real(fft.rfft(x)).sum().backward()
    assert x.grad.shape == (0, 4)


def test_what_is_refused():
    with pytest.raises(ga.ShapeError, match=r"fft: a transform of length 0 along axis -1"):
        fft.fft(np.zeros((2, 0)))
    with pytest.raises(ga.ShapeError, match=r"irfft: a transform of length 0"):
        fft.irfft([1.0])
    with pytest.raises(ga.DTypeError, match="rfft"):
        fft.rfft([1j, 2.0])
    with pytest.raises(ValueError, match=r"fft: norm='unitary'; known are 'backward'"):
        fft.fft([1.0], norm="unitary")
    with pytest.raises(ValueError, match="fftn: 1 lengths for 2 axes"):
        fft.fftn(np.ones((2, 2)), (2,), (0, 1))
    with pytest.raises(np.exceptions.AxisError, match="fft2: axis -2 is out of bounds"):
        fft.fft2([1.0])
    with pytest.raises(ValueError, match="rfftn: needs at least one axis"):
        fft.rfftn(1.0)
    with pytest.raises(ValueError, match="fftfreq: n is 0"):
        fft.fftfreq(0)
    with pytest.raises(ValueError, match=r"rfftfreq: device='gpu'"):
        fft.rfftfreq(4, device="gpu")
