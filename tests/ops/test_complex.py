"""Complex numbers inside real functions of real numbers, against their real formulas.

x and y go in, z = x + iy is worked with, a real number comes out: whatever the convention for
complex gradients, the derivatives in x and y are those of the real formula.
"""

import itertools

import numpy as np
import pytest

import gradarray as ga

EPS = np.finfo(np.float64).eps

# (through complex numbers, the same in real ones)
PAIRS = {
    "absolute": (lambda z: ga.absolute(z), lambda x, y: ga.hypot(x, y)),
    "angle": (lambda z: ga.angle(z), lambda x, y: ga.arctan2(y, x)),
    "angle in degrees": (
        lambda z: ga.angle(z, deg=True),
        lambda x, y: ga.rad2deg(ga.arctan2(y, x)),
    ),
    "sign": (lambda z: ga.sign(z).real, lambda x, y: x / ga.hypot(x, y)),
    "conj": (lambda z: (z.conj() * z).real, lambda x, y: x**2 + y**2),
    "imag of conj": (lambda z: ga.imag(ga.conj(z) ** 2), lambda x, y: -2 * x * y),
    "exp": (lambda z: ga.exp(z).real, lambda x, y: ga.exp(x) * ga.cos(y)),
    "log": (lambda z: ga.log(z).imag, lambda x, y: ga.arctan2(y, x)),
    "sin": (lambda z: ga.sin(z).imag, lambda x, y: ga.cos(x) * ga.sinh(y)),
    "cos": (lambda z: ga.cos(z).real, lambda x, y: ga.cos(x) * ga.cosh(y)),
    "sinh": (lambda z: ga.sinh(z).real, lambda x, y: ga.sinh(x) * ga.cos(y)),
    "cosh": (lambda z: ga.cosh(z).imag, lambda x, y: ga.sinh(x) * ga.sin(y)),
    "tanh": (
        lambda z: ga.tanh(z).real,
        lambda x, y: ga.sinh(2 * x) / (ga.cosh(2 * x) + ga.cos(2 * y)),
    ),
    "tan": (
        lambda z: ga.tan(z).imag,
        lambda x, y: ga.sinh(2 * y) / (ga.cos(2 * x) + ga.cosh(2 * y)),
    ),
    "sech": (
        lambda z: ga.sech(z).real,
        lambda x, y: 2 * ga.cosh(x) * ga.cos(y) / (ga.cosh(2 * x) + ga.cos(2 * y)),
    ),
    "sigmoid": (
        lambda z: ga.sigmoid(2 * z).real,
        lambda x, y: (1 + ga.sinh(2 * x) / (ga.cosh(2 * x) + ga.cos(2 * y))) / 2,
    ),
    "square": (lambda z: ga.square(z).imag, lambda x, y: 2 * x * y),
    "cube": (lambda z: (z**3).real, lambda x, y: x**3 - 3 * x * y**2),
    "reciprocal": (lambda z: (1 / z).real, lambda x, y: x / (x**2 + y**2)),
    "sqrt": (lambda z: ga.sqrt(z).real, lambda x, y: ga.sqrt((ga.hypot(x, y) + x) / 2)),
    "power": (
        lambda z: ga.power(z, 1.5 + 0j).real,
        lambda x, y: ga.hypot(x, y) ** 1.5 * ga.cos(1.5 * ga.arctan2(y, x)),
    ),
    "arctan": (
        lambda z: ga.arctan(z).imag,
        lambda x, y: ga.log((x**2 + (1 + y) ** 2) / (x**2 + (1 - y) ** 2)) / 4,
    ),
    "arcsinh": (lambda z: ga.sinh(ga.arcsinh(z)).real, lambda x, y: x + 0 * y),
    "arccosh": (lambda z: ga.cosh(ga.arccosh(z)).imag, lambda x, y: y + 0 * x),
    "arctanh": (
        lambda z: ga.arctanh(z).real,
        lambda x, y: ga.log(((1 + x) ** 2 + y**2) / ((1 - x) ** 2 + y**2)) / 4,
    ),
    "arcsin": (lambda z: ga.sin(ga.arcsin(z)).imag, lambda x, y: y + 0 * x),
    "arccos": (lambda z: ga.cos(ga.arccos(z)).real, lambda x, y: x + 0 * y),
    "nan_to_num": (lambda z: ga.nan_to_num(z).imag, lambda x, y: y + 0 * x),
    "where": (lambda z: ga.where(z.real > 0, z, 1j * z).imag, lambda x, y: ga.where(x > 0, y, x)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("x", "y"), [(0.6, 0.3), (-0.4, 0.7)])
def test_complex_numbers_inside_a_real_function(name, x, y):
    through, plainly = PAIRS[name]

    def f(x, y):
        return through(x + 1j * y)

    at, along = (x, y), (0.75, -1.25)
    # Two different formulas of some ten operations on numbers of order one.
    close = {"rtol": 64 * EPS, "atol": 64 * EPS}
    np.testing.assert_allclose(
        float(f(*map(ga.array, at))), float(plainly(*map(ga.array, at))), **close
    )
    for one, other in zip(ga.grad(f, (0, 1))(*at), ga.grad(plainly, (0, 1))(*at), strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(float(one), float(other), **close)
    one, other = (ga.jvp(g, at, along)[1] for g in (f, plainly))
    assert one.dtype == np.float64
    np.testing.assert_allclose(float(one), float(other), **close)
    for i, j in itertools.product((0, 1), repeat=2):
        one, other = (ga.grad(ga.grad(g, i), j)(*at) for g in (f, plainly))
        np.testing.assert_allclose(float(one), float(other), rtol=512 * EPS, atol=512 * EPS)


def test_the_origin_has_a_finite_slope():
    for f in (ga.absolute, ga.angle):
        slopes = ga.grad(lambda x, y, f=f: f(x + 1j * y), (0, 1))(0.0, 0.0)
        assert [float(s) for s in slopes] == [0.0, 0.0]


def test_parts_have_numpys_dtypes():
    z = ga.array(np.complex64([1 + 2j, -3j]))
    assert [p.dtype for p in (z.real, z.imag, abs(z), ga.angle(z))] == [np.float32] * 4
    assert z.conj().dtype == ga.sign(z).dtype == np.complex64
    x = ga.array(np.float32([1.0, -2.0]))
    assert [p.dtype for p in (x.real, x.imag, x.conj())] == [np.float32] * 3
    assert x.imag.tolist() == [0.0, 0.0]
    assert ga.isreal(z).tolist() == [False, False]
    assert ga.iscomplex([1 + 0j, 1j]).tolist() == [False, True]


def test_an_array_of_order_is_refused_for_complex_numbers_where_numpy_refuses():
    for f in (ga.floor, ga.fabs, ga.cbrt, ga.arctan2):
        with pytest.raises(TypeError, match=f.__name__):
            f(*[ga.array([1j])] * (2 if f is ga.arctan2 else 1))
