"""Complex arguments and results of every transform: closed forms, and differences in re and im."""

import numpy as np
import pytest

import gradarray as ga

RNG = np.random.default_rng(11)
EPS = np.finfo(float).eps


def drawn(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


A, B, Z, V, W = drawn(4, 3), drawn(4), drawn(3), drawn(3), drawn(4)
AH = A.conj().T


def residual(z):
    return A @ z - B


def loss(z):
    r = residual(z)
    return ga.real(ga.vdot(r, r))


SLOPE = 2 * AH @ (A @ Z - B)  # of |Az - b|^2, by hand


def close(found, exact, rtol=256 * EPS):
    scale = np.abs(exact).max()
    np.testing.assert_allclose(ga.asarray(found).numpy(), exact, rtol=rtol, atol=rtol * scale)


# Real functions -----------------------------------------------------------------------------------

# Each is real, and none is analytic; differences are taken in re and im apart.
REAL = {
    "squares": loss,
    "abs": lambda z: ga.abs(residual(z)).sum(),
    "angle": lambda z: ga.angle(z * (3 + 1j)).sum(),
    "real": lambda z: ga.real(ga.exp(z) * z[0]).sum(),
    "imag": lambda z: ga.imag(ga.log(z) / z[::-1]).sum(),
    "conj": lambda z: ga.real(ga.conj(z) ** 3 * z[1]).sum(),
    "log det": lambda z: ga.linalg.slogdet(ga.outer(z, ga.conj(z)) + 4 * np.eye(3))[1],
    "eigenvalues": lambda z: ga.linalg.eigvalsh(ga.outer(z, ga.conj(z)) + np.diag([1.0, 2, 3]))[0],
    "solve": lambda z: ga.norm(ga.linalg.solve(ga.diag(z) + 4 * np.eye(3) + 1j, z)),
    "fft": lambda z: (ga.abs(ga.fft.fft(ga.sin(z))) ** 2).prod(),
    "real between": lambda z: ga.sinh(ga.real(z) * ga.imag(z[::-1])).sum(),
    "loop": lambda z: ga.abs(ga.scan(lambda c, x: (c * x + z[0], c), z[1], A[:, 0])[0]),
    "checkpoint": lambda z: ga.checkpoint(lambda z: ga.abs(ga.exp(z) @ z) ** 2)(z),
    "float32 inside": lambda z: ga.real(z).sum() * ga.abs(z).max(),
}


def differences(f, z, h=1e-5):
    """df/du + i df/dv by central differences."""
    slope = np.zeros(z.shape, complex)
    for at in np.ndindex(z.shape):
        for unit in (1, 1j):
            step = np.zeros(z.shape, complex)
            step[at] = h * unit
            up, down = (f(ga.array(z + s * step)).item() for s in (1, -1))
            slope[at] += unit * (up - down) / (2 * h)
    return slope


@pytest.mark.parametrize("name", REAL)
def test_the_gradient_of_a_real_function(name):
    f = REAL[name]
    # h^2 / 6 of third derivatives below 1e3, and rounding of values below 1e3 over h.
    expected = differences(f, Z)
    close(ga.grad(f)(Z), expected, 1e-7)
    close(ga.value_and_grad(f)(Z)[1], expected, 1e-7)
    z = ga.array(Z, requires_grad=True)
    f(z).backward()
    close(z.grad, expected, 1e-7)
    close(ga.vmap(ga.grad(f))(np.stack([Z, V]))[0], expected, 1e-7)
    # A push along v gives Re(g^* v), whatever the direction.
    y_dot = ga.jvp(f, (Z,), (V,))[1]
    assert y_dot.dtype == float
    close(y_dot, np.vdot(expected, V).real, 1e-7)
    close(ga.directional(f, Z, V), np.vdot(expected, V).real, 1e-7)


@pytest.mark.parametrize("name", REAL)
def test_second_derivatives_of_a_real_function(name):
    f, h = REAL[name], 1e-5
    expected = (ga.grad(f)(Z + h * V) - ga.grad(f)(Z - h * V)).numpy() / (2 * h)
    close(ga.hvp(f)(Z, V), expected, 1e-6)
    close(ga.directional(f, Z, V, order=2), np.vdot(expected, V).real, 1e-6)
    _, pull = ga.vjp(ga.grad(f), Z)  # the Hessian is symmetric in the real inner product
    close(pull(V)[0], expected, 1e-6)
    z = ga.array(Z, requires_grad=True)
    f(z).backward(create_graph=True)
    first, z.grad = z.grad, None
    first.backward(grad=V)
    close(z.grad, expected, 1e-6)


def test_least_squares_by_hand():
    close(ga.grad(loss)(Z), SLOPE)
    close(ga.hvp(loss)(Z, V), 2 * AH @ A @ V)
    close(ga.gnvp(residual, lambda r: ga.real(ga.vdot(r, r)))(Z, V), 2 * AH @ A @ V)
    assert ga.grad(loss)(Z.astype(np.complex64)).dtype == np.complex64
    close(ga.grad(loss)(Z.astype(np.complex64)), SLOPE, 1e-5)
    norm = lambda z: ga.abs(z) ** 4  # g = 4 |z|^2 z, and dg along v by the product rule
    z, v = Z[0], V[0]
    close(ga.grad(norm)(z), 4 * abs(z) ** 2 * z)
    close(ga.hvp(norm)(z, v), 8 * (z.conjugate() * v).real * z + 4 * abs(z) ** 2 * v)


def test_products_with_the_matrix_and_its_adjoint():
    _, pull = ga.vjp(residual, Z)
    close(pull(W)[0], AH @ W)
    z = ga.array(Z, requires_grad=True)
    residual(z).backward(grad=W)
    close(z.grad, AH @ W)
    _, push = ga.linearize(residual, Z)
    close(push(V), A @ V)
    both = np.stack([V, 1j * V])
    close(ga.vmap(push)(both), both @ A.T)
    close(ga.jvp(lambda z: ga.conj(z) * z, (Z,), (V,))[1], V.conj() * Z + Z.conj() * V)
    _, (_, y2) = ga.jet(lambda z: ga.conj(z) * z, (Z,), ([V, np.zeros(3)],))
    close(y2, 2 * V.conj() * V)


def test_a_real_argument_of_complex_functions_has_a_real_gradient():
    x = np.array([0.3, -0.7])
    found = ga.grad(lambda x: ga.abs(ga.exp(1j * x).sum()) ** 2)(x)
    assert found.dtype == float  # |e^{ia} + e^{ib}|^2 = 2 + 2 cos(a - b)
    close(found, np.array([-2, 2]) * np.sin(x[0] - x[1]))
    # J^H J for y = e^{ix}, L = |y - 2|^2 = 5 - 4 cos x: the Gauss-Newton part is 2.
    close(
        ga.gnvp(lambda x: ga.exp(1j * x), lambda y: (ga.abs(y - 2) ** 2).sum())(x, np.ones(2)),
        [2, 2],
    )


def test_a_hook_and_a_rule_of_ones_own_see_the_gradient():
    seen = []
    z = ga.array(Z, requires_grad=True)
    w = z * z
    w.register_hook(seen.append)
    ga.real(w @ W[:3]).backward()
    close(seen[0], W[:3].conj())
    close(z.grad, W[:3].conj() * 2 * Z.conj())

    class Conjugate(ga.Grad):
        forward = staticmethod(np.conj)
        # L(z^*) has the gradient g^* at z, g being that at z^*.
        backward = staticmethod(lambda y_bar: ga.conj(y_bar))

    close(ga.grad(lambda z: ga.real(Conjugate.apply(z) @ W[:3]))(Z), W[:3])


# Analytic functions -------------------------------------------------------------------------------

S = 0.4 - 0.3j
ANALYTIC = [  # f, f', f''
    (lambda z: z**3, lambda z: 3 * z**2, lambda z: 6 * z),
    (lambda z: ga.exp(2 * z), lambda z: 2 * np.exp(2 * z), lambda z: 4 * np.exp(2 * z)),
    (lambda z: 1 / (1 + z), lambda z: -1 / (1 + z) ** 2, lambda z: 2 / (1 + z) ** 3),
    (lambda z: ga.sqrt(z), lambda z: 0.5 / np.sqrt(z), lambda z: -0.25 * z**-1.5),
    (lambda z: ga.log(z), lambda z: 1 / z, lambda z: -1 / z**2),
    (lambda z: ga.tan(z), lambda z: 1 / np.cos(z) ** 2, lambda z: 2 * np.tan(z) / np.cos(z) ** 2),
    (lambda z: ga.sinh(z) * z, lambda z: np.cosh(z) * z + np.sinh(z),
     lambda z: np.sinh(z) * z + 2 * np.cosh(z)),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(ANALYTIC)))
def test_an_analytic_function_in_every_transform(case):
    f, first, second = ANALYTIC[case]
    close(ga.grad(f, holomorphic=True)(S), first(S))
    value, slope = ga.value_and_grad(f, holomorphic=True)(S)
    close(value, f(ga.array(S)).item())
    close(slope, first(S))
    close(ga.grad(ga.grad(f, holomorphic=True), holomorphic=True)(S), second(S))
    close(ga.derivative(f, holomorphic=True)(S), first(S))
    close(ga.derivative(f, 2, holomorphic=True)(S), second(S))
    close(ga.hessian(f, holomorphic=True)(S), second(S))
    points = np.array([S, 1 + 1j, 0.2 - 2j])
    close(ga.elementwise_grad(f, holomorphic=True)(points), first(points))
    close(ga.derivative(f, 2, holomorphic=True)(points), second(points))
    close(ga.vmap(ga.grad(f, holomorphic=True))(points), first(points))
    for way in (ga.jacfwd, ga.jacrev, ga.jacobian):
        close(way(f, holomorphic=True)(points), np.diag(first(points)))
    close(ga.jvp(f, (S,), (1j,))[1], 1j * first(S))
    close(ga.jet(f, (S,), ([1j, 0j],))[1][1], -second(S))
    # The gradient of Re f and Im f, from the same f' (Cauchy and Riemann).
    close(ga.grad(lambda z: ga.real(f(z)))(S), np.conj(first(S)))
    close(ga.grad(lambda z: ga.imag(f(z)))(S), 1j * np.conj(first(S)))


def test_holomorphic_with_pytrees_argnums_and_aux():
    f = lambda p, w: (ga.exp(p["a"]) * w, "aux")
    (by_p, by_w), aux = ga.grad(f, (0, 1), has_aux=True, holomorphic=True)({"a": S}, 2j)
    assert aux == "aux"
    close(by_p["a"], np.exp(S) * 2j)
    close(by_w, np.exp(S))


def test_implicit_functions_of_complex_numbers():
    root = lambda a: ga.implicit.root(lambda x, a: x * x - a)(1 + 0.5j, a)
    a = 2 + 1j
    close(root(a), np.sqrt(a), 1e-12)
    close(ga.grad(root, holomorphic=True)(a), 0.5 / np.sqrt(a), 1e-12)
    close(ga.derivative(root, 2, holomorphic=True)(a), -0.25 * a**-1.5, 1e-12)
    close(ga.grad(lambda a: ga.real(root(a)))(a), np.conj(0.5 / np.sqrt(a)), 1e-12)
    best = lambda b: ga.implicit.minimize(lambda z, b: ga.real(ga.vdot(A @ z - b, A @ z - b)))(
        np.zeros(3, complex), b
    )
    inverse = np.linalg.pinv(A)
    close(best(B), inverse @ B, 1e-10)
    close(ga.grad(lambda b: ga.real(best(b)[0]))(B), inverse[0].conj(), 1e-10)
    close(ga.jvp(best, (B,), (W,))[1], inverse @ W, 1e-10)
    for found in (ga.minimize(loss, np.zeros(3, complex)),
                  ga.least_squares(residual, np.zeros(3, complex))):  # fmt: skip
        close(found.x, inverse @ B, 1e-5)


def test_partials_with_complex_values_never_go_through_their_real_part():
    X = RNG.normal(size=(3, 6))
    f = lambda X: ga.exp(1j * X.sum(-1))
    for mode in ("auto", "taylor", "forward"):  # auto would go in reverse for a real f
        close(ga.partials(f, X, "abcdef", "a", mode=mode)["a"], 1j * np.exp(1j * X.sum(-1)))
    assert ga.partials(lambda X: ga.exp(X.sum(-1)), X, "abcdef", "a").plan.costs["reverse"] < 7
    with pytest.raises(ga.DTypeError, match="partials: the result has dtype complex128"):
        ga.partials(f, X, "abcdef", "a", mode="reverse")
    with pytest.raises(ga.DTypeError, match="partials: an argument has dtype complex128"):
        ga.partials(f, X + 0j, "abcdef", "a")


# Errors -------------------------------------------------------------------------------------------


def test_a_complex_result_asks_for_holomorphic():
    for way in (ga.grad, ga.value_and_grad):
        with pytest.raises(ga.DTypeError, match=r"grad: .*complex128.*say holomorphic=True"):
            way(lambda z: z * z)(S)
    with pytest.raises(ga.DTypeError, match=r"hvp: .*complex128; a gradient .*or use vjp or jvp"):
        ga.hvp(lambda z: z * z)(S, S)
    with pytest.raises(ga.DTypeError, match=r"backward: .*complex128.*give y\.backward\(grad="):
        (ga.array(S, requires_grad=True) * 2).backward()


@pytest.mark.parametrize("name", ["derivative", "elementwise_grad", "jacfwd", "jacrev", "hessian"])
def test_complex_arguments_ask_for_holomorphic(name):
    with pytest.raises(ga.DTypeError, match=rf"{name}: an argument .*Say holomorphic=True if it"):
        getattr(ga, name)(lambda z: z * z)(S)


@pytest.mark.parametrize("name", ["divergence", "laplacian", "sparse_jacobian", "sparse_hessian"])
def test_transforms_without_the_keyword_name_one_that_has_it(name):
    with pytest.raises(ga.DTypeError, match=rf"{name}: an argument .*Use ga\.jacobian with holom"):
        getattr(ga, name)(lambda z: loss(z) if "hessian" in name else z * z)(Z)


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "derivative", "elementwise_grad"])
def test_holomorphic_is_about_complex_numbers(name):
    way = lambda f: getattr(ga, name)(f, holomorphic=True)
    shown = "grad" if name == "value_and_grad" else name
    with pytest.raises(
        ga.DTypeError, match=rf"{shown}: holomorphic=True, but an argument is float"
    ):
        way(lambda x: ga.exp(1j * x))(2.0)
    with pytest.raises(
        ga.DTypeError, match=rf"{shown}: holomorphic=True, but the result has dtype"
    ):
        way(ga.abs)(S)
