"""Linear algebra in compiled code: by its identities, as eagerly, errors included."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga

RNG = np.random.default_rng(0)
FORMS = [(1, 1), (2, 2), (3, 3), (5, 3, 3), (4, 6, 6), (2, 3, 20, 20), (70, 70)]


def regular(form: tuple[int, ...]) -> Any:
    return RNG.normal(size=form) + form[-1] * np.eye(form[-1])


def definite(form: tuple[int, ...]) -> Any:
    x = RNG.normal(size=form)
    return x @ np.swapaxes(x, -1, -2) + np.eye(form[-1])


def compiled(f: Callable[..., Any], *xs: Any) -> Any:
    """f(*xs) by native code alone, as NumPy arrays."""
    step = ga.compile(f)
    y = step(*map(ga.array, xs))
    assert "on the host" not in step.show("loops")
    parts = y if isinstance(y, tuple) else (y,)
    found = tuple(part.numpy() for part in parts)
    return found if isinstance(y, tuple) else found[0]


def close(x: Any, y: Any) -> None:
    """Equal to some tens of roundings for each row of the matrices."""
    np.testing.assert_allclose(x, y, 1e-12, 1e-12 * max(float(np.max(np.abs(y))), 1.0))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("columns", [1, 4])
def test_equations_hold(form: Any, columns: int):
    a, b = regular(form), RNG.normal(size=(*form[:-1], columns))
    close(a @ compiled(ga.linalg.solve, a, b), b)
    close(a @ compiled(ga.linalg.inv, a), np.broadcast_to(np.eye(form[-1]), form))
    for lower in (True, False):
        t = np.tril(a) if lower else np.triu(a)
        solve = lambda a, b, lower=lower: ga.linalg.solve_triangular(a, b, lower=lower)
        turned = lambda a, b, lower=lower: ga.linalg.solve_triangular(a, b, "T", lower=lower)
        close(t @ compiled(solve, a, b), b)
        close(np.swapaxes(t, -1, -2) @ compiled(turned, a, b), b)


@pytest.mark.parametrize("form", [(3, 3), (20, 20)])
def test_one_matrix_for_many_right_hand_sides(form: Any):
    a, b = regular(form), RNG.normal(size=(5, form[0], 2))
    close(a @ compiled(ga.linalg.solve, a, b), b)
    close(a @ compiled(ga.linalg.solve, a, b.astype("f4")), b.astype("f4"))


@pytest.mark.parametrize("form", FORMS)
def test_factors_give_the_matrix(form: Any):
    a, s = RNG.normal(size=form), definite(form)
    y = compiled(ga.linalg.cholesky, s)
    close(y @ np.swapaxes(y, -1, -2), s)
    assert (np.triu(y, 1) == 0).all()
    sign, size = compiled(lambda x: tuple(ga.linalg.slogdet(x)), a)
    close(np.stack([sign, size]), np.stack(np.linalg.slogdet(a)))
    close(compiled(ga.linalg.det, a / form[-1]), np.linalg.det(a / form[-1]))
    w, v = compiled(lambda x: tuple(ga.linalg.eigh(x)), s)
    close(s @ v, v * w[..., None, :])
    close(np.swapaxes(v, -1, -2) @ v, np.broadcast_to(np.eye(form[-1]), form))
    close(compiled(ga.linalg.eigvalsh, s), w)


@pytest.mark.parametrize("form", [(4, 2), (3, 2, 5), (30, 7), (2, 2, 12, 12)])
@pytest.mark.parametrize("whole", [False, True])
def test_orthogonal_factors(form: Any, whole: bool):
    x = RNG.normal(size=form)
    mode = "complete" if whole else "reduced"
    q, r = compiled(lambda x: tuple(ga.linalg.qr(x, mode)), x)
    k = q.shape[-1]
    close(q @ r, x)
    close(np.swapaxes(q, -1, -2) @ q, np.broadcast_to(np.eye(k), (*form[:-2], k, k)))
    assert (np.tril(r, -1) == 0).all()
    u, s, vh = compiled(lambda x: tuple(ga.linalg.svd(x, full_matrices=whole)), x)
    n = s.shape[-1]
    close(u[..., :n] * s[..., None, :] @ vh[..., :n, :], x)
    close(s, np.linalg.svd(x, compute_uv=False))
    close(compiled(ga.linalg.svdvals, x), s)


BAD = {
    "solve": (lambda x: ga.linalg.solve(x, x), [[1.0, 2.0], [2.0, 4.0]]),
    "inv": (ga.linalg.inv, [[1.0, 2.0], [2.0, 4.0]]),
    "solve_triangular": (lambda x: ga.linalg.solve_triangular(x, x), [[1.0, 2.0], [0.0, 0.0]]),
    "cholesky": (ga.linalg.cholesky, [[1.0, 2.0], [2.0, 1.0]]),
    "svd": (ga.linalg.svd, [[np.nan, 2.0], [2.0, 1.0]]),
}


@pytest.mark.parametrize("padding", [0, 10])
@pytest.mark.parametrize("name", BAD)
def test_a_matrix_that_fails_is_the_error_that_it_is_eagerly(name: str, padding: int):
    f, bad = BAD[name]
    n = 2 + padding
    good = np.broadcast_to(np.eye(n), (4, n, n)).copy()
    x = good.copy()
    x[2, :2, :2] = bad
    step = ga.compile(f)
    expected = step(ga.array(good))
    errors = []
    for run in (f, step, step):
        with pytest.raises(np.linalg.LinAlgError) as found:
            run(ga.array(x))
        errors.append(str(found.value).partition("\n")[0])
    assert errors[0] == errors[1] == errors[2]
    again = step(ga.array(good))  # nothing is left of it
    for y, z in zip(ga.tree.flatten(again)[0], ga.tree.flatten(expected)[0], strict=True):
        assert (y.numpy() == z.numpy()).all()


def test_state_is_as_it_was_when_a_matrix_fails():
    p = ga.array(np.eye(3), requires_grad=True)
    q = ga.array(1.0)
    optimizer = ga.optim.SGD([p], lr=0.1)

    @ga.compile
    def step(x: Any) -> Any:
        q[...] = q + 1
        optimizer.zero_grad()
        loss = ga.linalg.solve(p * x, x).sum()
        loss.backward()
        optimizer.step()
        return loss

    step(ga.array(np.eye(3)))
    before = p.numpy().copy()
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        step(ga.array(np.zeros((3, 3))))
    assert (p.numpy() == before).all() and float(q) == 2.0
    step(ga.array(np.eye(3)))
    assert (p.numpy() != before).any() and float(q) == 3.0


@pytest.mark.parametrize("n", [2, 12])
def test_in_a_derivative_a_singular_matrix_spoils_itself_alone(n: int):
    x = np.broadcast_to(np.eye(n), (3, n, n)).copy()
    x[1] = 1.0
    f = ga.grad(lambda x: (ga.linalg.slogdet(x).logabsdet * ga.array([1.0, 0.0, 2.0])).sum())
    g = ga.grad(lambda x: ga.linalg.slogdet(x).logabsdet.sum())
    for h in (f, g):
        with np.errstate(invalid="ignore"):
            expected = h(ga.array(x)).numpy()
        np.testing.assert_array_equal(ga.compile(h)(ga.array(x)).numpy(), expected)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_derivatives_of_determinants_are_right_at_singular_matrices(n: int):
    """Cofactors by their definition, as determinants of minors."""
    x = RNG.normal(size=(3, n, n))
    x[1, -1] = x[1, 0] * (n > 1)
    first = ga.grad(lambda x: (ga.linalg.det(x) * ga.array([1.0, 2.0, 3.0])).sum())
    step = ga.compile(first)
    for values in (x, x[[0, 2, 0]]):  # compiled, after a run op by op
        expected = np.empty_like(values)
        for m, i, j in np.ndindex(values.shape):
            minor = np.delete(np.delete(values[m], i, 0), j, 1)
            expected[m, i, j] = (m + 1) * (-1) ** (i + j) * np.linalg.det(minor)
        close(step(ga.array(values)).numpy(), expected)


def network(x: Any, w: Any) -> Any:
    """A matrix for each of many samples, from a product with weights."""
    return ga.tanh(x @ w).reshape((-1, 4, 4)) + 4 * ga.eye(4)


@pytest.mark.parametrize("name", ["solve", "slogdet", "cholesky", "eigvalsh", "svdvals", "qr"])
def test_samples_side_by_side(name: str):
    """Matrices of a tile of samples; the product alone is worth tiles."""
    x, w = RNG.normal(size=(300, 40)), RNG.normal(size=(40, 16)) / 8

    def loss(w: Any, x: Any) -> Any:
        m = network(x, w)
        m = m @ ga.matrix_transpose(m)
        f = getattr(ga.linalg, name)
        y = f(m, m[:, :, :1]) if name == "solve" else f(m)
        return ga.square(y[1] if isinstance(y, tuple) else y).sum()

    f = ga.value_and_grad(loss)
    step = ga.compile(f)
    for found, expected in zip(step(ga.array(w), ga.array(x)), f(ga.array(w), ga.array(x))):
        close(found.numpy(), expected.numpy())
    assert "for" in step.show("loops") and "on the host" not in step.show("loops")
    if name == "solve":
        bad = x.copy()
        bad[217] = 0
        singular = lambda w, x: ga.linalg.solve(
            network(x, w) - 4 * ga.eye(4), ga.ones((4, 1))
        ).sum()
        with pytest.raises(np.linalg.LinAlgError, match=r"matrix \[217\]"):
            ga.compile(singular)(ga.array(w), ga.array(bad))


def test_inside_a_loop():
    a = ga.array(regular((4, 4)))

    def f(a: Any) -> Any:
        def turn(x: Any, _: Any) -> Any:
            x = ga.linalg.solve(a, x)
            return x, ga.linalg.norm(x)

        return ga.scan(turn, ga.ones((4,)), length=5)[1].sum()

    close(ga.compile(ga.grad(f))(a).numpy(), ga.grad(f)(a).numpy())
    with pytest.raises(np.linalg.LinAlgError, match="solve"):
        ga.compile(f)(ga.zeros((4, 4)))


def test_scipy_is_imported_by_what_calls_a_routine():
    code = (
        "import sys, numpy as np, gradarray as ga\n"
        "ga.compile(ga.grad(lambda x: (x * ga.tanh(x)).sum()))(ga.array(np.ones(3)))\n"
        "assert 'scipy' not in sys.modules\n"
        "ga.compile(ga.linalg.cholesky)(ga.array(np.eye(20)))\n"
        "assert 'scipy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
