"""Linear algebra against its identities: equations, determinants, factors.

What a declaration says is tested in test_registry.py (values against NumPy and SciPy, both modes,
differences, float32); here what it cannot say: identities, complex numbers, singular and empty
matrices, NumPy's functions on GradArrays, errors.
"""

import itertools

import numpy as np
import pytest

import gradarray as ga
from gradarray import linalg as la
from gradarray import registry

EPS = np.finfo(np.float64).eps

# Some tens of products of 4 by 4 matrices of condition up to 10: 64 roundings each.
CLOSE = {"rtol": 1e4 * EPS, "atol": 1e4 * EPS}


def drawn(*shape, seed=0, kind=float):
    rng = np.random.default_rng([seed, *shape])
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


def regular(*shape, seed=0, kind=float):
    """Well-conditioned square matrices."""
    return drawn(*shape, seed=seed, kind=kind) + 4 * np.eye(shape[-1])


def positive(*shape, seed=0, kind=float):
    x = drawn(*shape, seed=seed, kind=kind)
    return x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1])


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def pushed(f, *pairs):
    """The derivative of f along these tangents, as plain arrays."""
    y_dot = ga.jvp(f, [p[0] for p in pairs], [p[1] for p in pairs])[1]
    return ga.tree.map(lambda d: d.numpy(), y_dot)


KINDS = pytest.mark.parametrize("kind", [float, complex])


# Derivatives by identities ------------------------------------------------------------------------


@KINDS
def test_the_inverse_moves_by_its_identity(kind):
    x, d = regular(2, 4, 4, kind=kind), drawn(2, 4, 4, seed=1, kind=kind)
    y = np.linalg.inv(x)
    np.testing.assert_allclose(pushed(la.inv, (x, d)), -y @ d @ y, **CLOSE)
    # d^2 x^{-1} = 2 y d y d y.
    twice = pushed(lambda x: ga.jvp(la.inv, (x,), (ga.array(d),))[1], (x, d))
    np.testing.assert_allclose(twice, 2 * y @ d @ y @ d @ y, **CLOSE)


@KINDS
def test_a_solution_moves_so_that_the_equation_holds(kind):
    a, b = regular(3, 4, 4, kind=kind), drawn(4, 2, kind=kind)
    a_dot, b_dot = drawn(3, 4, 4, seed=1, kind=kind), drawn(4, 2, seed=2, kind=kind)
    y = la.solve(a, b).numpy()
    y_dot = pushed(la.solve, (a, a_dot), (b, b_dot))
    np.testing.assert_allclose(a_dot @ y + a @ y_dot, b_dot * np.ones((3, 1, 1)), **CLOSE)


@KINDS
@pytest.mark.parametrize("lower", [True, False])
def test_a_triangular_solution_reads_one_triangle(kind, lower):
    a, b = regular(4, 4, kind=kind), drawn(4, 2, kind=kind)
    t = np.tril(a) if lower else np.triu(a)
    y = la.solve_triangular(a, b, lower=lower)
    np.testing.assert_allclose(t @ y.numpy(), b, **CLOSE)
    bar = ga.vjp(lambda a: la.solve_triangular(a, b, lower=lower), a)[1](y)[0].numpy()
    assert (np.triu(bar, 1) if lower else np.tril(bar, -1)).any() == 0
    trans = la.solve_triangular(a, b, trans="C", lower=lower)
    np.testing.assert_allclose(adjoint(t) @ trans.numpy(), b, **CLOSE)


def test_one_matrix_for_many_right_hand_sides():
    a, b = regular(3, 3), drawn(5, 2, 3, 4)
    np.testing.assert_allclose(la.solve(a, b).numpy(), np.linalg.solve(a, b), **CLOSE)
    a_bar, b_bar = ga.grad(lambda a, b: (la.solve(a, b) ** 2).sum(), (0, 1))(a, b)
    y_bar = 2 * np.linalg.solve(a, b)
    lam = np.linalg.solve(a.T, y_bar)
    np.testing.assert_allclose(b_bar.numpy(), lam, **CLOSE)
    expected = -(lam @ np.swapaxes(np.linalg.solve(a, b), -1, -2)).sum((0, 1))
    np.testing.assert_allclose(a_bar.numpy(), expected, **CLOSE)


@KINDS
def test_cholesky_factors_move_with_their_product(kind):
    x, d = positive(2, 4, 4, kind=kind), drawn(2, 4, 4, seed=1, kind=kind)
    d = (d + adjoint(d)) / 2
    y, y_dot = la.cholesky(x).numpy(), pushed(la.cholesky, (x, d))
    np.testing.assert_allclose(y @ adjoint(y), x, **CLOSE)
    np.testing.assert_allclose(y_dot @ adjoint(y) + y @ adjoint(y_dot), d, **CLOSE)
    np.testing.assert_allclose(np.triu(y_dot, 1), 0)
    np.testing.assert_allclose(np.einsum("...ii->...i", y_dot).imag, 0, atol=1e3 * EPS)
    upper = la.cholesky(x, upper=True).numpy()
    np.testing.assert_allclose(upper, np.linalg.cholesky(x, upper=True), **CLOSE)


def test_gradients_of_hermitian_matrices_are_hermitian():
    x = positive(3, 3)
    for f in (la.cholesky, la.eigvalsh, lambda x: la.eigh(x).eigenvectors[0]):
        bar = ga.grad(lambda x, f=f: (f(x) ** 3).sum())(x).numpy()
        np.testing.assert_allclose(bar, bar.T, **CLOSE)


@KINDS
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_qr_factors_move_with_their_product(kind, shape, mode):
    x, d = drawn(*shape, kind=kind), drawn(*shape, seed=1, kind=kind)
    (q, r), (q_dot, r_dot) = (
        tuple(p.numpy() for p in la.qr(x, mode)),
        pushed(lambda x: tuple(la.qr(x, mode)), (x, d)),
    )
    np.testing.assert_allclose(q_dot @ r + q @ r_dot, d, **CLOSE)
    skew = adjoint(q) @ q_dot
    np.testing.assert_allclose(skew + adjoint(skew), 0, **CLOSE)
    np.testing.assert_allclose(np.tril(r_dot, -1), 0, atol=1e3 * EPS)
    diagonal = np.diagonal(r_dot, axis1=-2, axis2=-1)
    np.testing.assert_allclose(diagonal.imag, 0, atol=1e3 * EPS)


@KINDS
def test_the_pseudoinverse_at_a_matrix_of_lower_rank(kind):
    # Moved within the matrices of its rank, l r -> (l + t l') (r + t r').
    left, right = drawn(5, 2, kind=kind), drawn(2, 4, kind=kind)
    d_left, d_right = drawn(5, 2, seed=1, kind=kind), drawn(2, 4, seed=1, kind=kind)

    def through_factors(left, right):
        # (l r)^+ = r^H (r r^H)^{-1} (l^H l)^{-1} l^H.
        lh, rh = ga.conj(left).T, ga.conj(right).T
        return rh @ la.inv(right @ rh) @ la.inv(lh @ left) @ lh

    expected = pushed(through_factors, (left, d_left), (right, d_right))
    found = pushed(lambda a, b: la.pinv(a @ b), (left, d_left), (right, d_right))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_least_squares_follow_the_normal_equations():
    a, b = drawn(6, 3), drawn(6, 2)

    def normal(a, b):
        return la.solve(a.T @ a, a.T @ b)

    for found, expected in zip(
        ga.grad(lambda a, b: (la.lstsq(a, b).solution ** 2).sum(), (0, 1))(a, b),
        ga.grad(lambda a, b: (normal(a, b) ** 2).sum(), (0, 1))(a, b),
        strict=True,
    ):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-11, atol=1e-11)
    many = la.lstsq(drawn(2, 6, 3), drawn(2, 6, 1))
    for k in range(2):
        one = np.linalg.lstsq(drawn(2, 6, 3)[k], drawn(2, 6, 1)[k])
        for x, y in zip(many, one, strict=True):
            np.testing.assert_allclose(x.numpy()[k], y, **CLOSE)


# Determinants -------------------------------------------------------------------------------------


def leibniz(x):
    """The determinant by its definition, a polynomial: right at every matrix, to every order."""
    n, total = x.shape[-1], 0.0
    for p in itertools.permutations(range(n)):
        inversions = sum(p[i] > p[j] for i in range(n) for j in range(i + 1, n))
        term = (-1.0) ** inversions
        for i, j in enumerate(p):
            term = term * x[..., i, j]
        total = total + term
    return total


SPECTRA = [[1, 2, 3, 4], [1, 2, 3, 0], [1, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 1e-18]]


def with_spectrum(s, kind=float):
    (u, _), (v, _) = (np.linalg.qr(drawn(4, 4, seed=k, kind=kind)) for k in (5, 6))
    return u @ np.diag(s).astype(float) @ v


@pytest.mark.parametrize("s", SPECTRA, ids=str)
@KINDS
def test_det_has_every_derivative_at_every_rank(s, kind):
    x, tangents = with_spectrum(s, kind), drawn(4, 4, 4, kind=kind)
    f, g = la.det, leibniz
    for order in range(4):
        f, g = (
            (lambda x, f=f, d=tangents[order]: ga.jvp(f, (x,), (ga.array(d),))[1]) for f in (f, g)
        )
        # The value is a sum of 24 products of four numbers of order one.
        np.testing.assert_allclose(
            f(ga.array(x)).numpy(), g(ga.array(x)).numpy(), rtol=0, atol=1e4 * EPS
        )


def test_det_of_a_stack_with_singular_matrices_among_others():
    x = np.stack([with_spectrum(s) for s in SPECTRA])
    weights = np.arange(1.0, 7.0)

    def hessian_product(f):
        def slope(x):
            return (ga.grad(lambda x: (f(x) * weights).sum())(x) * drawn(6, 4, 4)).sum()

        return ga.grad(slope)(x).numpy()

    np.testing.assert_allclose(hessian_product(la.det), hessian_product(leibniz), atol=1e5 * EPS)


def test_slogdet_of_complex_matrices():
    x, d = regular(2, 3, 3, kind=complex), drawn(2, 3, 3, kind=complex)

    def by_det(x):
        y = leibniz(x)
        return y / ga.abs(y), ga.log(ga.abs(y))

    for found, expected in zip(
        pushed(lambda x: tuple(la.slogdet(x)), (x, d)), pushed(by_det, (x, d)), strict=True
    ):
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_slogdet_is_infinite_at_a_singular_matrix_and_nothing_where_it_is_masked():
    x = np.stack([np.ones((2, 2)), np.eye(2)])
    sign, log = la.slogdet(x)
    assert sign.tolist() == [0.0, 1.0]
    assert log.tolist() == [-np.inf, 0.0]
    bar = ga.grad(lambda x: la.slogdet(x).logabsdet.sum())(x)
    assert np.isinf(bar.numpy()[0]).all()
    assert bar.tolist()[1] == [[1.0, 0.0], [0.0, 1.0]]
    keep = np.array([False, True])
    masked = ga.grad(lambda x: ga.where(keep, la.slogdet(x).logabsdet, 0).sum())(x)
    assert masked.tolist() == [[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]]


# Forms --------------------------------------------------------------------------------------------

SQUARE = {
    name: getattr(la, name)
    for name in (
        *("inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals"),
        *("expm", "sqrtm", "logm", "pinv", "svd", "svdvals", "qr"),
    )
}


@pytest.mark.parametrize("name", SQUARE)
@pytest.mark.parametrize("shape", [(0, 0), (0, 3, 3), (2, 0, 0)])
def test_empty_matrices_have_empty_gradients(name, shape):
    x = ga.zeros(shape, requires_grad=True)
    parts = ga.tree.flatten(SQUARE[name](x))[0]
    reference = getattr(np.linalg, name, lambda x: x)
    expected = ga.tree.flatten(reference(np.zeros(shape)))[0]
    assert [p.shape for p in parts] == [np.shape(p) for p in expected]
    total = sum(ga.real(p).sum() for p in parts)
    total.backward()
    assert x.grad.shape == shape


def test_numpys_functions_are_these():
    x, b = ga.array(positive(3, 3)), ga.array(drawn(3))
    for name in [n for n in np.linalg.__all__ if n not in ("LinAlgError", "tensorinv")]:
        ours, theirs = getattr(la, name), getattr(np.linalg, name)
        args = {
            "solve": (x, b), "lstsq": (x, b), "matrix_power": (x, 3), "multi_dot": ([x, x, b],),
            "tensorsolve": (x, b), "outer": (b, b), "tensordot": (x, x), "matmul": (x, b),
            "cross": (b, b), "vecdot": (b, b),
        }.get(name, (x,))  # fmt: skip
        found, expected = theirs(*args), ours(*args)
        assert type(found) is type(expected)
        for p, q in zip(ga.tree.flatten(found)[0], ga.tree.flatten(expected)[0], strict=True):
            assert isinstance(p, ga.GradArray)
            np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert np.linalg.cholesky(x, upper=True).tolist() == la.cholesky(x, upper=True).tolist()
    assert np.linalg.tensorinv(ga.eye(4).reshape(4, 2, 2), ind=1).shape == (2, 2, 4)


@pytest.mark.parametrize("part", [la, ga.fft])
def test_every_name_is_declared_and_so_tested(part):
    declared = {entry.fn for entry in registry.functions.values()}
    functions = {n: getattr(part, n) for n in part.__all__ if n != "LinAlgError"}
    assert {n for n, fn in functions.items() if fn not in declared} == set()
    theirs = np.linalg if part is la else np.fft
    assert set(theirs.__all__) <= set(part.__all__)


def test_results_have_names():
    x = positive(2, 2)
    assert la.eigh(x)._fields == np.linalg.eigh(x)._fields
    assert la.eig(x)._fields == np.linalg.eig(x)._fields
    assert la.svd(x)._fields == np.linalg.svd(x)._fields
    assert la.qr(x)._fields == np.linalg.qr(x)._fields
    assert la.slogdet(x)._fields == np.linalg.slogdet(x)._fields


def test_integers_and_lists_are_float64():
    assert la.inv([[2, 0], [0, 4]]).tolist() == [[0.5, 0.0], [0.0, 0.25]]
    assert la.inv(np.eye(2, dtype=np.int32)).dtype == np.float64
    assert la.matrix_power(np.array([[1, 1], [0, 1]]), 3).dtype == np.int64


@pytest.mark.parametrize(("real", "complex_"), [(np.float32, np.complex64), (float, complex)])
def test_dtypes_of_complex_matrices(real, complex_):
    x = positive(3, 3, kind=complex).astype(complex_)
    assert la.eigvalsh(x).dtype == la.svdvals(x).dtype == la.slogdet(x)[1].dtype == real
    for f in (la.inv, la.det, la.cholesky, la.expm, la.sqrtm, la.logm, la.pinv, la.eigvals):
        y, pull = ga.vjp(f, x)
        assert y.dtype == pull(ga.ones_like(y))[0].dtype == complex_
    b = np.ones(3, real)
    assert ga.vjp(la.solve, x, b)[1](np.ones(3, complex_))[1].dtype == real


# Errors -------------------------------------------------------------------------------------------


def test_a_singular_matrix_is_named():
    x = np.stack([np.eye(2), np.ones((2, 2)), np.eye(2)])
    named = r"matrix \[1\] of the stack: it is singular"
    for f in (la.inv, lambda x: la.solve(x, np.ones(2))):
        with pytest.raises(np.linalg.LinAlgError, match=named):
            f(x)
    with pytest.raises(np.linalg.LinAlgError, match=named):
        la.solve_triangular(np.stack([np.eye(2), np.diag([1.0, 0.0])]), [1.0, 1.0])
    with pytest.raises(la.LinAlgError, match=r"solve: the matrix: it is singular.*Use pinv"):
        la.solve(np.zeros((2, 2)), np.ones(2))
    with pytest.raises(la.LinAlgError, match=r"cholesky: matrix \[1\].*not positive definite"):
        la.cholesky(x)
    with pytest.raises(la.LinAlgError, match=r"sqrtm: the matrix: it has no square root.*astype"):
        la.sqrtm(-np.eye(2))
    with pytest.raises(la.LinAlgError, match=r"logm: the matrix: it has no logarithm"):
        la.logm(np.zeros((2, 2)))
    with pytest.raises(la.LinAlgError, match=r"solve_sylvester.*eigenvalue in common"):
        la.solve_sylvester(np.eye(2), -np.eye(2), np.ones((2, 2)))


@pytest.mark.parametrize("name", SQUARE)
def test_what_is_no_matrix_is_refused(name):
    with pytest.raises(ga.ShapeError, match=rf"{name}: takes matrices along the last two axes"):
        SQUARE[name](np.ones(3))
    if name in ("pinv", "svd", "svdvals", "qr"):
        return
    with pytest.raises(ga.ShapeError, match=rf"{name}: takes square matrices, not 2 by 3"):
        SQUARE[name](np.ones((4, 2, 3)))


def test_right_hand_sides_that_do_not_fit():
    with pytest.raises(ga.ShapeError, match=r"solve: matrices of shape \(2, 2\).*\(3,\)"):
        la.solve(np.eye(2), np.ones(3))
    with pytest.raises(ga.ShapeError, match=r"lstsq.*as many rows: b is \(3,\)"):
        la.lstsq(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ga.ShapeError, match=r"solve_sylvester.*q is \(\.\., m, n\)"):
        la.solve_sylvester(np.eye(2), np.eye(3), np.eye(3))
    with pytest.raises(ga.ShapeError, match=r"tensorsolve.*not square"):
        la.tensorsolve(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ga.ShapeError, match="tensorinv"):
        la.tensorinv(np.ones((2, 3)), ind=1)


def test_options_that_do_not_exist():
    x = np.eye(2)
    with pytest.raises(ValueError, match=r"qr: mode='raw'.*'reduced'"):
        la.qr(x, "raw")
    with pytest.raises(ValueError, match="eigh: UPLO='A'"):
        la.eigh(x, "A")
    with pytest.raises(ValueError, match="solve_triangular: trans=5"):
        la.solve_triangular(x, x, trans=5)
    with pytest.raises(ValueError, match="pinv: rcond and rtol"):
        la.pinv(x, 1e-3, rtol=1e-3)
    with pytest.raises(ga.DTypeError, match="inv"):
        la.inv(np.eye(2, dtype=np.float16))
