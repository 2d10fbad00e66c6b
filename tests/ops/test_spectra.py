"""Eigenvalues and singular values: their equations, what depends on no phase, and equal ones."""

import numpy as np
import pytest

import gradarray as ga
from gradarray import linalg as la
from gradarray.testing import check

EPS = np.finfo(np.float64).eps

# Some tens of products of 4 by 4 matrices, divided by gaps of about 0.1.
CLOSE = {"rtol": 1e5 * EPS, "atol": 1e5 * EPS}
KINDS = pytest.mark.parametrize("kind", [float, complex])


def drawn(*shape, seed=0, kind=float):
    rng = np.random.default_rng([seed, *shape])
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def hermitian(*shape, seed=0, kind=float):
    x = drawn(*shape, seed=seed, kind=kind)
    return x + adjoint(x)


def unitary(n, seed=0, kind=float):
    return np.linalg.qr(drawn(n, n, seed=seed, kind=kind))[0]


def pushed(f, x, d):
    return tuple(p.numpy() for p in ga.jvp(lambda x: tuple(f(x)), (x,), (d,))[1])


def values(result):
    return tuple(p.numpy() for p in result)


# The equations ------------------------------------------------------------------------------------


@KINDS
def test_eigh_moves_with_its_equation(kind):
    x, d = hermitian(2, 4, 4, kind=kind), hermitian(2, 4, 4, seed=1, kind=kind)
    (w, v), (w_dot, v_dot) = values(la.eigh(x)), pushed(la.eigh, x, d)
    left = d @ v + x @ v_dot
    right = v_dot * w[..., None, :] + v * w_dot[..., None, :]
    np.testing.assert_allclose(left, right, **CLOSE)
    # At right angles to itself: v_j^H v_dot_j = 0.
    np.testing.assert_allclose((np.conj(v) * v_dot).sum(-2), 0, **CLOSE)
    np.testing.assert_allclose(w_dot, ga.jvp(la.eigvalsh, (x,), (d,))[1].numpy(), **CLOSE)


@KINDS
def test_eig_moves_with_its_equation_and_keeps_its_scale(kind):
    x, d = drawn(2, 4, 4, kind=kind), drawn(2, 4, 4, seed=1, kind=kind)
    (w, v), (w_dot, v_dot) = values(la.eig(x)), pushed(la.eig, x, d)
    left = d @ v + x @ v_dot
    right = v_dot * w[..., None, :] + v * w_dot[..., None, :]
    np.testing.assert_allclose(left, right, **CLOSE)
    np.testing.assert_allclose((np.conj(v) * v_dot).sum(-2).real, 0, **CLOSE)
    largest = np.abs(v).argmax(-2)[..., None, :]
    np.testing.assert_allclose(np.take_along_axis(v, largest, -2).imag, 0)
    np.testing.assert_allclose(np.take_along_axis(v_dot, largest, -2).imag, 0, **CLOSE)


def test_eig_of_a_rotation_whose_largest_entries_are_two():
    def rotation(angle):
        c, s = ga.cos(angle), ga.sin(angle)
        return ga.stack([ga.stack([c, -s]), ga.stack([s, c])])

    # e^{+-i a}, and vectors that stay: (1, -+i) / sqrt 2.
    (w, _), (w_dot, v_dot) = ga.jvp(lambda a: tuple(la.eig(rotation(a))), (0.3,), (1.0,))
    np.testing.assert_allclose(w.numpy(), np.exp([0.3j, -0.3j]), rtol=64 * EPS)
    np.testing.assert_allclose(w_dot.numpy(), 1j * np.exp(0.3j) * np.array([1, 0])
                               - 1j * np.exp(-0.3j) * np.array([0, 1]), rtol=64 * EPS)  # fmt: skip
    np.testing.assert_allclose(v_dot.numpy(), 0, atol=64 * EPS)


@KINDS
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 3, 5)])
@pytest.mark.parametrize("full", [True, False])
def test_svd_moves_with_its_product(kind, shape, full):
    x, d = drawn(*shape, kind=kind), drawn(*shape, seed=1, kind=kind)

    def svd(x):
        return la.svd(x, full_matrices=full)

    (u, s, vh), (u_dot, s_dot, vh_dot) = values(svd(x)), pushed(svd, x, d)
    k = s.shape[-1]
    a, b, a_dot, b_dot = u[..., :k], vh[..., :k, :], u_dot[..., :k], vh_dot[..., :k, :]
    s, s_dot = s[..., None, :], s_dot[..., None, :]
    np.testing.assert_allclose((a_dot * s + a * s_dot) @ b + (a * s) @ b_dot, d, **CLOSE)
    for q, q_dot in ((u, u_dot), (adjoint(vh), adjoint(vh_dot))):
        skew = adjoint(q) @ q_dot
        np.testing.assert_allclose(skew + adjoint(skew), 0, **CLOSE)
    found = ga.jvp(la.svdvals, (x,), (d,))[1].numpy()
    np.testing.assert_allclose(found, s_dot[..., 0, :], **CLOSE)


@KINDS
def test_svd_of_a_hermitian_matrix(kind):
    x = hermitian(4, 4, kind=kind)
    u, s, vh = values(la.svd(x, hermitian=True))
    np.testing.assert_allclose((u * s) @ vh, x, **CLOSE)
    np.testing.assert_allclose(s, np.linalg.svd(x, hermitian=True).S, **CLOSE)
    alone = la.svd(x, hermitian=True, compute_uv=False)
    np.testing.assert_allclose(alone.numpy(), s, **CLOSE)
    d = hermitian(4, 4, seed=1, kind=kind)
    through_eigh = ga.jvp(lambda x: la.svd(x, hermitian=True).S, (x,), (d,))[1].numpy()
    np.testing.assert_allclose(through_eigh, ga.jvp(la.svdvals, (x,), (d,))[1].numpy(), **CLOSE)


# What depends on no phase: differences of LAPACK's own vectors agree in both orders ---------------


def sizes(v):
    return ga.real(v * ga.conj(v))


WEIGHTS = drawn(3, 3, seed=7)
PHASELESS = {
    "eigh": lambda x: (sizes(la.eigh(x).eigenvectors) * WEIGHTS).sum(),
    "eigh, a function of the matrix": lambda x: ga.real(
        ((v := la.eigh(x).eigenvectors) * ga.sin(la.eigh(x).eigenvalues)) @ ga.conj(v).T
    )[0, 1],
    "eigvalsh": lambda x: (la.eigvalsh(x) ** 3)[1],
    "svd": lambda x: (sizes(la.svd(x).Vh) * WEIGHTS).sum(),
    "polar": lambda x: ga.real((p := la.svd(x)).U @ p.Vh)[0, 2],
    "qr": lambda x: ga.imag(la.qr(x).Q[2, 0] * la.qr(x).R[0, 1]),
    "eig": lambda x: (sizes(la.eig(x).eigenvectors) * WEIGHTS).sum(),
    "nuclear norm": lambda x: ga.norm(x, "nuc"),
}


@pytest.mark.parametrize("name", PHASELESS)
def test_phaseless_functions_of_complex_matrices(name):
    f = PHASELESS[name]
    report = check(lambda re, im: f(re + 1j * im), drawn(3, 3), drawn(3, 3, seed=1))
    assert report.digits > 8


@pytest.mark.parametrize("shape", [(5, 2), (2, 5)])
def test_the_columns_that_complete_a_basis_span_the_right_space(shape):
    # The projector onto the space of the further columns is 1 minus that onto the first.
    x, d = drawn(*shape), drawn(*shape, seed=1)
    k = min(shape)

    def first(x):
        u = la.svd(x, full_matrices=False)
        q = u.U if shape[0] > k else u.Vh.T
        return q @ q.T

    def further(x):
        u = la.svd(x)
        q = u.U[:, k:] if shape[0] > k else u.Vh.T[:, k:]
        return q @ q.T

    def of_qr(x):
        q = la.qr(x if shape[0] > k else x.T, "complete").Q[:, k:]
        return q @ q.T

    expected = -ga.jvp(first, (x,), (d,))[1].numpy()
    weights = drawn(max(shape), max(shape), seed=2)
    for f in (further, of_qr):
        np.testing.assert_allclose(ga.jvp(f, (x,), (d,))[1].numpy(), expected, **CLOSE)
        bar = ga.grad(lambda x, f=f: (f(x) * weights).sum())(x).numpy()
        assert abs((bar * d).sum() - (expected * weights).sum()) < 1e5 * EPS


# Equal values -------------------------------------------------------------------------------------

EQUAL = np.array([1.0, 1.0, 1.0, 3.0])


def with_equal_values(exact, kind=float):
    """A Hermitian matrix with the eigenvalues 1, 1, 1, 3, equal exactly or to rounding."""
    if exact:
        return np.diag(EQUAL).astype(kind)
    q = unitary(4, kind=kind)
    return q * EQUAL @ adjoint(q)


@KINDS
@pytest.mark.parametrize("exact", [True, False])
def test_sums_over_equal_values_have_a_derivative(exact, kind):
    x, d = with_equal_values(exact, kind), hermitian(4, 4, seed=3, kind=kind)
    vector = np.linalg.eigh(x)[1][:, 3]
    alone = (np.conj(vector) @ d @ vector).real  # the simple eigenvalue, and the rest of the trace
    for f in (la.eigvalsh, lambda x: la.eigh(x).eigenvalues):
        three, one = ga.jvp(lambda x, f=f: (f(x)[:3].sum(), f(x)[3]), (x,), (d,))[1]
        np.testing.assert_allclose(one.numpy(), alone, **CLOSE)
        np.testing.assert_allclose(three.numpy(), np.trace(d).real - alone, **CLOSE)
        bar = ga.grad(lambda x, f=f: (f(x) ** 2).sum())(x)  # |x|^2
        np.testing.assert_allclose(bar.numpy(), 2 * x, **CLOSE)
    # Descending, the simple value is the first of the singular values, with the same vector.
    s_bar = ga.grad(lambda x: la.svdvals(x)[1:].sum())(x).numpy()
    np.testing.assert_allclose((np.conj(s_bar) * d).sum().real, np.trace(d).real - alone, **CLOSE)
    nuclear = ga.grad(lambda x: ga.norm(x, "nuc"))(x).numpy()
    np.testing.assert_allclose(nuclear, np.eye(4), **CLOSE)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", ["eigh", "svd"])
def test_vectors_of_equal_values_have_none_unless_they_may_be_taken_as_still(exact, name):
    x, d = with_equal_values(exact), hermitian(4, 4, seed=3)
    function, columns = {
        "eigh": (lambda x: la.eigh(x).eigenvectors, slice(0, 3)),
        "svd": (lambda x: la.svd(x).U, slice(1, 4)),
    }[name]

    def projector(x):
        q = function(x)[:, columns]
        return q @ q.T

    weights = hermitian(4, 4, seed=4)
    slope = lambda: ga.jvp(projector, (x,), (d,))[1].numpy()
    gradient = lambda: ga.grad(lambda x: (projector(x) * weights).sum())(x).numpy()
    assert not np.isfinite(slope()).all()
    assert not np.isfinite(gradient()).all()
    with ga.set_subgradient(name, 0.0):
        found, bar = slope(), gradient()
    # P moves by sum over the pairs across the gap: (P d R + R d P) / (1 - 3).
    p = projector(ga.array(x)).numpy()
    rest = np.eye(4) - p
    expected = (p @ d @ rest + rest @ d @ p) / (1.0 - 3.0)
    np.testing.assert_allclose(found, expected, **CLOSE)
    np.testing.assert_allclose((bar * d).sum(), (expected * weights).sum(), **CLOSE)


def test_second_derivatives_of_equal_values_are_not_finite():
    bar = ga.grad(lambda x: (ga.grad(lambda x: (la.eigvalsh(x) ** 2).sum())(x) * drawn(2, 2)).sum())
    assert not np.isfinite(bar(np.eye(2)).numpy()).all()


def test_one_matrix_with_equal_values_leaves_the_others_alone():
    x = np.stack([np.eye(3), hermitian(3, 3)])
    f = lambda x: (la.eigh(x).eigenvectors * WEIGHTS).sum()
    bar, alone = ga.grad(f)(x).numpy(), ga.grad(f)(x[1]).numpy()
    assert not np.isfinite(bar[0]).all()
    np.testing.assert_allclose(bar[1], alone, **CLOSE)
    keep = np.array([False, True])[:, None, None]
    g = lambda x: (ga.where(keep, la.eigh(x).eigenvectors, 0) * WEIGHTS).sum()
    masked = ga.grad(g)(x).numpy()
    np.testing.assert_allclose(masked, [np.zeros((3, 3)), alone], **CLOSE)


def test_a_defective_matrix_has_infinite_slopes():
    # Its eigenvalues move as the square root of a change: |slope| is about 1 / sqrt(eps) or more.
    bar = ga.grad(lambda x: ga.real(la.eigvals(x))[0])(np.array([[1.0, 1.0], [0.0, 1.0]])).numpy()
    assert not np.isfinite(bar).all() or np.abs(bar).max() > 1e7


def test_singular_value_zero_has_a_subgradient():
    x = np.diag([2.0, 0.0])
    bar = ga.grad(lambda x: la.svdvals(x).sum())(x).numpy()
    # A subgradient of the sum of singular values: spectral norm at most 1, <bar, x> = |x|.
    assert np.linalg.norm(bar, 2) <= 1 + 64 * EPS
    assert abs((bar * x).sum() - 2.0) <= 64 * EPS


# Rank and condition -------------------------------------------------------------------------------


def test_rank_has_no_derivative():
    x = ga.array(drawn(4, 2) @ drawn(2, 3), requires_grad=True)
    rank = la.matrix_rank(x)
    assert rank.item() == 2
    assert not rank.requires_grad
    assert la.matrix_rank([0.0, 0.0]).item() == 0
    assert la.matrix_rank(np.diag([1.0, 1e-3]), tol=1e-2).item() == 1


def test_the_condition_of_a_singular_matrix_is_infinite():
    x = np.stack([np.zeros((2, 2)), np.ones((2, 2)), np.diag([1.0, 2.0])])
    for p in (None, 1, "fro"):
        y = la.cond(x, p).numpy()
        np.testing.assert_array_equal(np.isinf(y), np.isinf(np.linalg.cond(x, p)))
    assert np.isnan(la.cond(np.full((2, 2), np.nan), 1).item())
    with pytest.raises(ga.ShapeError, match="empty matrix"):
        la.cond(np.zeros((0, 0)))
