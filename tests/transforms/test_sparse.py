"""Sparse Jacobians and Hessians: patterns, colourings, products counted, values against dense."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import rosen_hess

import gradarray as ga
from gradarray import registry
from gradarray.testing.draw import calls_of, results
from gradarray.transforms import sparse as module
from gradarray.transforms.coloring import column_coloring, star_coloring
from gradarray.transforms.linearize import Recording
from gradarray.transforms.sparse import colored
from gradarray.transforms.sparsity import dependencies

EPS = np.finfo(float).eps
RNG = np.random.default_rng(9)


def tridiagonal(u):
    inner = u[:-2] * u[1:-1] * u[2:] - ga.sin(u[1:-1])
    return ga.concatenate([u[:1] * u[1:2], inner, u[-1:] ** 2])


def burgers(u, dx=0.1, nu=0.01):
    """u_t = - u u_x + nu u_xx on a ring."""
    left, right = ga.roll(u, 1), ga.roll(u, -1)
    return -u * (right - left) / (2 * dx) + nu * (right - 2 * u + left) / dx**2


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.fixture
def products(monkeypatch):
    """How many tangents and cotangents go through recordings."""
    count = {"push": 0, "pull": 0}
    inner = module._products

    def counted(product, ends, seeds):
        count[product.__name__] += len(seeds)
        return inner(product, ends, seeds)

    monkeypatch.setattr(module, "_products", counted)
    return count


# Products, counted --------------------------------------------------------------------------------


def test_a_tridiagonal_jacobian_of_size_10000_costs_3_products(products):
    n = 10_000
    u = RNG.normal(size=n)
    jac = ga.sparse_jacobian(tridiagonal)(u)
    assert products == {"push": 3, "pull": 0}
    assert isinstance(jac, sparse.csr_array) and jac.shape == (n, n) and jac.nnz == 3 * n - 3
    lower, middle, upper = (jac.diagonal(k) for k in (-1, 0, 1))
    inner = slice(1, -1)
    np.testing.assert_allclose(lower[:-1], u[1:-1] * u[2:], rtol=4 * EPS)
    np.testing.assert_allclose(upper[1:], u[:-2] * u[1:-1], rtol=4 * EPS)
    np.testing.assert_allclose(
        middle[inner], u[:-2] * u[2:] - np.cos(u[inner]), rtol=0, atol=16 * EPS * 16
    )
    assert (middle[0], upper[0], lower[-1], middle[-1]) == (u[1], u[0], 0, 2 * u[-1])


def test_products_of_other_shapes(products):
    x = RNG.normal(size=40)
    cases = [
        (lambda x: x**2, 1, "push"),
        (lambda x: x[1:] * x[:-1], 2, "push"),
        (lambda x: x.sum() * ga.ones(3), 3, "pull"),  # 3 rows, 40 columns
        (lambda x: ga.concatenate([x**2, x.sum()[None]]), 2, "pull"),  # one full row
        (lambda x: x * x[0], 2, "push"),  # one full column
        (lambda x: ga.array([1.0, 2.0]), 0, "push"),
    ]
    for f, count, way in cases:
        products.update(push=0, pull=0)
        jac = ga.sparse_jacobian(f)(x)
        assert (products[way], sum(products.values())) == (count, count)
        np.testing.assert_allclose(jac.toarray(), ga.jacfwd(f)(x).numpy(), rtol=4 * EPS)


def test_a_hessian_needs_fewer_colours_than_its_columns(products):
    n = 2000
    x = RNG.normal(size=n)
    arrow = lambda x: (x[0] * x[1:] ** 2).sum() + x[0] ** 4
    hess = ga.sparse_hessian(arrow)(x)
    assert products == {"push": 2, "pull": 0}
    np.testing.assert_allclose(hess.diagonal()[1:], 2 * x[0], rtol=4 * EPS)
    np.testing.assert_allclose(hess[[0]].toarray()[0, 1:], 2 * x[1:], rtol=4 * EPS)
    assert column_coloring(hess).max() == n - 1
    products.update(push=0)
    np.testing.assert_allclose(
        ga.sparse_hessian(rosenbrock)(x[:300]).toarray(), rosen_hess(x[:300]), rtol=0, atol=1e-11
    )
    assert products["push"] == 3


def test_pattern_and_colouring_are_found_once(monkeypatch, products):
    u = RNG.normal(size=50)
    sparsity = ga.jacobian_sparsity(tridiagonal)(u)
    bent = ga.hessian_sparsity(rosenbrock)(u)
    for name in ("dependencies", "column_coloring", "star_coloring"):
        monkeypatch.setattr(module, name, lambda *args: pytest.fail("found anew"))
    for point in RNG.normal(size=(3, 50)):
        jac = ga.sparse_jacobian(tridiagonal, sparsity=sparsity)(point)
        np.testing.assert_allclose(jac.toarray(), ga.jacfwd(tridiagonal)(point).numpy())
        hess = ga.sparse_hessian(rosenbrock, sparsity=bent)(point)
        np.testing.assert_allclose(hess.toarray(), rosen_hess(point), rtol=1e-12, atol=1e-10)
    assert products["push"] == 3 * (3 + 3)


def test_a_thousand_cells_of_burgers():
    u = np.sin(np.linspace(0, 2 * np.pi, 1000, endpoint=False)) + 0.1 * RNG.normal(size=1000)
    jac = ga.sparse_jacobian(burgers)(u)
    assert ga.jacobian_sparsity(burgers)(u).products <= 5  # a ring of 1000 is not divisible by 3
    assert jac.nnz == 3000
    np.testing.assert_array_equal(jac.toarray(), ga.jacfwd(burgers)(u).numpy())


# Patterns -----------------------------------------------------------------------------------------

CALLS = [
    call
    for name, entry in registry.functions.items()
    if name == entry.name and entry.differentiable
    for call in calls_of(entry)
    if call.moving
]

# Exactly the entries that are nonzero for drawn arguments: what only moves, adds or maps values.
EXACT = {
    "add", "arctan2", "array_split", "atan2", "broadcast_to", "concatenate", "cross", "cumsum",
    "diag", "diagonal", "diff", "dot", "dstack", "exp", "expand_dims", "flip", "gather", "hypot",
    "kron", "log1p", "matmul", "mean", "moveaxis", "multiply", "outer", "permute_dims", "prod",
    "ravel", "repeat", "reshape", "roll", "rot90", "sin", "split", "squeeze", "stack", "sum",
    "swapaxes", "take", "tanh", "tensordot", "tile", "trace", "transpose", "tril", "triu",
    "unstack", "vecdot", "vstack",
}  # fmt: skip


def real_parts(ys):
    """What has a real Jacobian: complex results as their two parts, integers left out."""
    parts = [(ga.real(y), ga.imag(y)) if y.dtype.kind == "c" else (y,) for y in ys]
    return [y for both in parts for y in both if y.dtype.kind == "f"]


def pattern_and_jacobian(f, xs, zeros=False):
    record = Recording(f, tuple(xs), {}, tuple(range(len(xs))), False, "test")
    pattern = dependencies(record.ys, record.xs, record.arguments.floor, zeros)
    blocks = ga.jacfwd(f, tuple(range(len(xs))))(*xs)
    dense = np.concatenate(
        [
            np.concatenate([b.numpy().reshape(y.size, x.size) for b, x in zip(row, xs)], 1)
            for row, y in zip(blocks, record.ys, strict=True)
        ]
    )
    return pattern.toarray(), dense


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_the_pattern_holds_every_entry_of_every_op(call):
    arrays, moving = call.draw(rng=call.rng()), call.moving

    def f(*xs):
        full = list(arrays)
        for k, x in zip(moving, xs, strict=True):
            full[k] = x
        return real_parts(results(call.run(call.entry.fn, full)))

    xs = [arrays[k] for k in moving]
    assert f(*map(ga.array, xs))
    for zeros in (False, True):
        pattern, dense = pattern_and_jacobian(f, xs, zeros)
        assert not (dense[~pattern] != 0).any()
        if call.entry.name in EXACT and not np.isnan(dense).any():
            missing = pattern & (dense == 0)
            # np.tril and the like multiply by nothing: their zeros are not in the pattern.
            assert not missing.any()


def test_patterns_of_compositions():
    a = np.diag([1.0, 2.0, 3.0]) + np.diag([4.0, 5.0], 1)
    kernel = np.array([[[1.0, 0.0, -1.0]]])
    x = RNG.normal(size=6)
    pairs = np.kron(np.eye(3), np.ones((2, 2)))
    cases = [
        (lambda x: ga.sort(x), ga.jacfwd(ga.sort)(x).numpy() != 0),
        (lambda x: x.reshape(3, 2).sum(1), np.kron(np.eye(3), np.ones(2))),
        (lambda x: ga.cumsum(x.reshape(3, 2), axis=1).ravel(), pairs),
        (lambda x: ga.softmax(x.reshape(3, 2), axis=-1).ravel(), pairs),
        (lambda x: ga.linalg.inv(x.reshape(1, 1, 6)[:, :, :1]).ravel(), np.eye(1, 6)),
        (lambda x: ga.where(x > 0, x, 0) * 2, np.eye(6)),
        (lambda x: ga.floor(x) + x, np.eye(6)),
        (lambda x: ga.floor(x) * 2.0, np.zeros((6, 6))),
        (lambda x: ga.stop_gradient(x) * x[::-1], np.fliplr(np.eye(6))),
        (lambda x: x.at if False else x[np.array([0, 0, 5])], np.eye(6)[[0, 0, 5]]),
        (
            lambda x: ga.nn.functional.conv1d(x[None, None], ga.array(kernel), padding=1).ravel(),
            np.eye(6, k=1) + np.eye(6) + np.eye(6, k=-1),
        ),
        (lambda x: ga.vmap(lambda r: r * r.sum())(x.reshape(3, 2)).ravel(), pairs),
        (lambda x: ga.scan(lambda c, v: (c, v * v), 0.0, x)[1], np.eye(6)),
        (lambda x: ga.matmul(a, x.reshape(3, 2)).ravel(), np.kron(np.ones((3, 3)), np.eye(2))),
    ]
    for f, expected in cases:
        found = ga.jacobian_sparsity(f)(x).pattern.toarray()
        np.testing.assert_array_equal(found, np.asarray(expected) != 0)
        np.testing.assert_allclose(
            ga.sparse_jacobian(f, check=True)(x).toarray(), ga.jacfwd(f)(x).numpy(), rtol=64 * EPS
        )


def test_zeros_of_constant_factors():
    d = np.eye(50, k=1) - np.eye(50)
    f = lambda u: ga.matmul(d, u) * u
    u = RNG.normal(size=50)
    assert ga.jacobian_sparsity(f)(u).products == 50
    assert ga.jacobian_sparsity(f, zeros=True)(u).products == 2
    jac = ga.sparse_jacobian(f, zeros=True, check=True)(u).toarray()
    np.testing.assert_allclose(jac, ga.jacfwd(f)(u).numpy(), rtol=0, atol=64 * EPS)
    mask = (np.arange(50) % 2).astype(float)
    assert ga.jacobian_sparsity(lambda u: mask * u, zeros=True)(u).pattern.nnz == 25
    b = np.zeros((3, 4))
    b[1, 2] = 1
    g = lambda x: ga.einsum("ij,jk->ik", x, b)
    assert ga.jacobian_sparsity(g, zeros=True)(np.ones((2, 3))).pattern.nnz == 2


def test_custom_ops_couple_everything():
    class Cube(ga.Grad):
        def forward(x):
            return x**3

        def backward(y_bar, x):
            return y_bar * 3 * x**2

    x = RNG.normal(size=4)
    f = lambda x: Cube.apply(x)
    assert ga.jacobian_sparsity(f)(x).pattern.toarray().all()
    np.testing.assert_allclose(
        ga.sparse_jacobian(f)(x).toarray(), np.diag(3 * x**2), rtol=4 * EPS
    )
    g = lambda x: ga.checkpoint(lambda x: x**3)(x)
    np.testing.assert_allclose(
        ga.sparse_jacobian(g)(x).toarray(), np.diag(3 * x**2), rtol=4 * EPS
    )


# Colourings ---------------------------------------------------------------------------------------


def random_patterns(count, symmetric):
    for _ in range(count):
        m, n = RNG.integers(1, 9, 2)
        a = RNG.random((n if symmetric else m, n)) < RNG.random()
        yield a | a.T if symmetric else a


def test_column_colourings_are_proper():
    for a in random_patterns(200, False):
        colors = column_coloring(sparse.csr_array(a))
        for row in a:
            assert len(set(colors[row])) == row.sum()


def test_star_colourings_by_their_definition():
    for a in random_patterns(300, True):
        colors = star_coloring(sparse.csr_array(a))
        near = a & ~np.eye(len(a), dtype=bool)
        for i, j in itertools.permutations(range(len(a)), 2):
            assert not near[i, j] or colors[i] != colors[j]
        for p in itertools.permutations(range(len(a)), 4):
            if all(near[i, j] for i, j in itertools.pairwise(p)):
                assert len({colors[k] for k in p}) > 2


def test_every_symmetric_matrix_is_recovered_from_its_products():
    for a in random_patterns(100, True):
        h = np.where(a, RNG.normal(size=a.shape), 0)
        h = h + h.T
        known = colored(h != 0, "symmetric")
        f = lambda x, h=h: (x * ga.matmul(h, x)).sum() / 2
        found = ga.sparse_hessian(f, sparsity=known, check=True)(np.zeros(len(a)))
        np.testing.assert_allclose(found.toarray(), h, rtol=0, atol=16 * EPS * 8)


def test_colours_of_well_known_patterns():
    for n, band in ((50, 1), (50, 2), (50, 5)):
        a = sum(np.eye(n, k=k) for k in range(-band, band + 1))
        assert colored(a).products == 2 * band + 1  # as many as a row has entries
    assert colored(np.eye(20), "symmetric").products == 1
    assert colored(np.ones((3, 7))).direction == "reverse"
    assert colored(np.ones((7, 3))).direction == "forward"
    grid = sparse.kron(np.eye(8), np.eye(8, k=1) + np.eye(8, k=-1))
    grid = grid + sparse.kron(np.eye(8, k=1) + np.eye(8, k=-1), np.eye(8)) + sparse.eye(64)
    assert 5 <= colored(grid).products <= 8  # the five-point stencil
    assert colored(grid, "symmetric").products <= colored(grid).products


# Structure, options, errors -----------------------------------------------------------------------


def test_pytrees_argnums_aux_and_dtypes():
    p = {"a": RNG.normal(size=(2, 2)), "b": RNG.normal(size=3)}
    f = lambda p, s: ({"u": p["a"] ** 2 * s, "v": p["b"][1:] * p["a"][0]}, "aux")
    jac, aux = ga.sparse_jacobian(f, has_aux=True, check=True)(p, 2.0)
    dense = ga.jacfwd(f, has_aux=True)(p, 2.0)[0]
    rows = [
        np.concatenate([dense[k][j].numpy().reshape(n, -1) for j in "ab"], 1)
        for k, n in (("u", 4), ("v", 2))
    ]
    assert aux == "aux"
    np.testing.assert_allclose(jac.toarray(), np.concatenate(rows), rtol=4 * EPS)
    both = ga.sparse_jacobian(lambda x, y: x * y, (1, 0))(np.ones(2), np.array([3.0, 5.0]))
    np.testing.assert_array_equal(both.toarray(), [[1, 0, 3, 0], [0, 1, 0, 5]])
    single = ga.sparse_jacobian(lambda x: x**2)(np.ones(3, "float32"))
    assert single.dtype == np.float32
    hess, aux = ga.sparse_hessian(
        lambda p: ((p["a"] ** 2).sum() * p["b"][0], "aux"), has_aux=True, check=True
    )(p)
    assert aux == "aux" and hess.shape == (7, 7)
    np.testing.assert_allclose(hess[[4]].toarray()[0, :4], 2 * p["a"].ravel(), rtol=4 * EPS)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_the_direction_may_be_chosen(products, direction):
    u = RNG.normal(size=20)
    jac = ga.sparse_jacobian(tridiagonal, direction=direction)(u)
    forward = direction == "forward"
    assert products == {"push": 3 if forward else 0, "pull": 0 if forward else 3}
    np.testing.assert_allclose(jac.toarray(), ga.jacfwd(tridiagonal)(u).numpy(), rtol=4 * EPS)


def test_what_requires_a_gradient_around_gives_numbers():
    w = ga.array(2.0, requires_grad=True)
    x = np.array([1.0, 2.0])
    jac = ga.sparse_jacobian(lambda x: w * x**2)(x)
    np.testing.assert_array_equal(jac.toarray(), np.diag(4 * x))
    np.testing.assert_array_equal(
        ga.sparse_hessian(lambda x: (w * x**3).sum())(x).toarray(), np.diag(12 * x)
    )


def test_a_pattern_that_lacks_entries_is_noticed_on_request():
    u = RNG.normal(size=10)
    wrong = colored(np.eye(10))
    with pytest.raises(ga.RuleError, match="sparse_jacobian: the sparsity lacks entries: row 0"):
        ga.sparse_jacobian(tridiagonal, sparsity=wrong, check=True)(u)
    with pytest.raises(ga.RuleError, match="sparse_hessian: the sparsity lacks entries"):
        ga.sparse_hessian(
            rosenbrock, sparsity=colored(np.eye(10), "symmetric"), check=True
        )(u)


def test_errors():
    u = np.ones(4)
    known = ga.jacobian_sparsity(tridiagonal)(u)
    with pytest.raises(ga.ShapeError, match=r"matrix of shape \(4, 4\), this one has shape \(5, 5"):
        ga.sparse_jacobian(tridiagonal, sparsity=known)(np.ones(5))
    with pytest.raises(ValueError, match=r"coloured for 'forward'.*ga\.hessian_sparsity"):
        ga.sparse_hessian(rosenbrock, sparsity=known)(u)
    with pytest.raises(ga.ShapeError, match=r"sparse_hessian: the function returned shape \(4,\)"):
        ga.sparse_hessian(tridiagonal)(u)
    with pytest.raises(ga.DTypeError, match="sparse_jacobian: argument 0 has dtype int64"):
        ga.sparse_jacobian(tridiagonal)(np.arange(4))
    with pytest.raises(ga.DTypeError, match="sparse_jacobian: an argument has dtype complex128"):
        ga.sparse_jacobian(lambda z: z * z)(u * 1j)
    with pytest.raises(ga.GraphError, match="sparse_jacobian: called inside vmap"):
        ga.vmap(ga.sparse_jacobian(tridiagonal))(np.ones((2, 4)))
    with pytest.raises(ValueError, match="colored: direction is"):
        ga.sparse_jacobian(tridiagonal, direction="sideways")(u)
    with pytest.raises(ga.ShapeError, match="a Hessian's pattern is square"):
        colored(np.ones((2, 3)), "symmetric")
