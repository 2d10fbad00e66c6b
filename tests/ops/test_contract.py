"""Contractions: shared weights as one product, einsum against NumPy's for drawn subscripts."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gradarray as ga
from gradarray.testing import check

EPS = np.finfo(np.float64).eps
ONES = np.ones


def near(got, expected, terms):
    got = got.numpy() if isinstance(got, ga.GradArray) else got
    assert got.shape == expected.shape
    size = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=64 * EPS * terms * size)


# matmul -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [((5, 4, 3), (3, 2)), ((6, 5, 4, 3), (3, 2)), ((4, 3), (5, 3, 2)), ((4, 3), (6, 5, 3, 2))],
)
def test_shared_matrices_gather_the_sum_over_the_stack(a_shape, b_shape):
    """Against the products one by one."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=a_shape), rng.normal(size=b_shape)
    y, pull = ga.vjp(ga.matmul, a, b)
    near(y, np.einsum("...ik,...kj->...ij", a, b), 3)
    v = rng.normal(size=y.shape)
    a_bar, b_bar = pull(v)
    stack = y.shape[:-2]
    a_all, b_all = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b))
    a_sum, b_sum = np.zeros(a_shape), np.zeros(b_shape)
    for at in np.ndindex(*stack):
        a_sum[at if a.ndim > 2 else ...] += v[at] @ b_all[at].T
        b_sum[at if b.ndim > 2 else ...] += a_all[at].T @ v[at]
    near(a_bar, a_sum, 100)
    near(b_bar, b_sum, 100)


@pytest.mark.parametrize("shapes", [((0, 2, 3), (3, 4)), ((2, 0), (0, 3)), ((2, 3), (0, 3, 4))])
def test_empty_products(shapes):
    a, b = (ga.array(np.ones(s), requires_grad=True) for s in shapes)
    y = a @ b
    assert np.array_equal(y.numpy(), np.ones(shapes[0]) @ np.ones(shapes[1]))
    y.sum().backward()
    assert (a.grad.shape, b.grad.shape) == shapes


def test_numbers_in_dot_and_inner():
    x = np.array([[1.0, -2.0, 3.0]])
    assert ga.dot(2.0, x).tolist() == (2 * x).tolist()
    assert ga.inner(x, 2.0).tolist() == (2 * x).tolist()
    assert ga.tensordot([1.0, 2.0], [3.0, 4.0], axes=0).tolist() == [[3.0, 4.0], [6.0, 8.0]]
    assert check(ga.dot, 2.0, x).digits > 12


def test_complex_vectors_are_conjugated_where_numpy_does():
    a, b = np.array([1 + 2j, 3.0]), np.array([[2j, 1.0], [0.5, 1 - 1j]])
    for ours, theirs in ((ga.vdot, np.vdot), (ga.vecdot, np.vecdot)):
        near(ours(a, b[0]), np.asarray(theirs(a, b[0])), 2)
    near(ga.vecmat(a, b), np.conj(a) @ b, 2)
    near(ga.matvec(b, a), b @ a, 2)


def test_multi_dot_takes_the_cheapest_order():
    """The products made are counted: none of the other orders needs fewer multiplications."""
    rng = np.random.default_rng(0)
    lengths = (10, 2, 9, 1, 8, 3)
    xs = [rng.normal(size=pair) for pair in itertools.pairwise(lengths)]
    y = ga.multi_dot([ga.array(x, requires_grad=True) for x in xs])
    near(y, np.linalg.multi_dot(xs), 1000)
    made, stack = 0, [y._grad_op]
    while stack:
        node = stack.pop()
        if node.name == "matmul":
            a, b = (parent.shape for parent in node.inputs)
            made += a[0] * a[1] * b[1]
            stack += [parent._grad_op for parent in node.inputs if parent._grad_op]

    def cheapest(part):
        if len(part) == 2:
            return 0
        return min(
            cheapest(part[: k + 1]) + cheapest(part[k:]) + part[0] * part[k] * part[-1]
            for k in range(1, len(part) - 1)
        )

    assert made == cheapest(lengths)


# einsum -------------------------------------------------------------------------------------------


LENGTH = dict(zip("abcde", (2, 3, 4, 1, 2), strict=True))


@st.composite
def subscripts(draw):
    """A string of subscripts and the shapes that go with it."""
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        term = draw(st.text("abcde", max_size=3))
        shape = [LENGTH[k] for k in term]
        if draw(st.booleans()):
            cut = draw(st.integers(0, len(term)))
            hidden = draw(st.sampled_from([(), (2,), (3, 2), (1,), (1, 2)]))
            term, shape = f"{term[:cut]}...{term[cut:]}", [*shape[:cut], *hidden, *shape[cut:]]
        terms.append(term)
        shapes.append(tuple(shape))
    text = ",".join(terms)
    if draw(st.booleans()):
        letters = sorted(set(text) - set(",."))
        out = "".join(draw(st.permutations([k for k in letters if draw(st.booleans())])))
        text += "->" + ("..." if "..." in text else "") + out
    return text, shapes


@given(subscripts())
def test_einsum_is_numpys(drawn):
    text, shapes = drawn
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=shape) for shape in shapes]
    try:
        expected = np.einsum(text, *xs)
    except ValueError:
        assume(False)
    y, pull = ga.vjp(lambda *xs: ga.einsum(text, *xs), *xs)
    terms = int(np.prod([x.size for x in xs]))
    near(y, np.asarray(expected), terms)
    # Linear in each operand: <v, y> = <x_bar, x> for every one of them.
    v = rng.normal(size=y.shape)
    total = (v * expected).sum()
    for x, x_bar in zip(xs, pull(v), strict=True):
        bound = 64 * EPS * terms * (1 + np.abs(v).sum() + np.abs(x_bar.numpy() * x).sum())
        assert abs((x_bar.numpy() * x).sum() - total) <= bound


@pytest.mark.parametrize("optimize", [False, True, "greedy", "optimal"])
def test_every_order_of_contraction_gives_the_same(optimize):
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=s) for s in ((2, 3), (3, 4), (4, 2), (2, 5))]
    y = ga.einsum("ij,jk,kl,lm->im", *xs, optimize=optimize)
    near(y, xs[0] @ xs[1] @ xs[2] @ xs[3], 100)


def test_diagonals_and_broadcast_lengths():
    rng = np.random.default_rng(0)
    a, b, one = rng.normal(size=(3, 3)), rng.normal(size=(2, 2, 3)), rng.normal(size=(2, 1))
    assert ga.einsum("ii", a).item() == np.trace(a)
    assert np.array_equal(ga.einsum("ii->i", a).numpy(), np.diag(a))
    near(ga.einsum("ij,jk->ik", one, a), np.einsum("ij,jk->ik", one, a), 3)
    near(ga.einsum("iij,j->i", b, a[0]), np.einsum("iij,j->i", b, a[0]), 3)
    for text, xs in (("ii->i", (a,)), ("iij,j->i", (b, a[0])), ("ij,jk->ik", (one, a))):
        assert check(lambda *xs, text=text: ga.einsum(text, *xs), *xs).digits > 11


def test_einsum_keeps_dtypes():
    ints = np.array([[1, 2], [3, 4]], np.int32)
    assert ga.einsum("ij->i", ints).dtype == np.int32
    assert ga.einsum("ij,jk->ik", ints, ints).tolist() == (ints @ ints).tolist()
    flags = np.array([[True, False], [True, True]])
    assert ga.einsum("ij->i", flags).tolist() == np.einsum("ij->i", flags).tolist()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ga.einsum("ij,jk", ONES((2, 3)), ONES((4, 2))), "index 'j' has length 3, but 4"),
        (lambda: ga.einsum("ij", ONES((2, 3)), ONES(3)), "names 1 operands, 2 were given"),
        (lambda: ga.einsum("ij", ONES((2, 3, 4))), "names 2 axes, its operand has 3"),
        (lambda: ga.einsum("ijkl...", ONES((2, 3))), "names 4 axes, its operand has 2"),
        (lambda: ga.einsum("ij->k", ONES((2, 3))), "'k' of the output is in no operand"),
        (lambda: ga.einsum("ij->ii", ONES((2, 3))), "'i' of the output is there twice"),
        (lambda: ga.einsum("i1", ONES((2, 3))), "letters and one"),
        (lambda: ga.einsum("...,...", ONES(2), ONES(3)), r"axis -1 of '\.\.\.'"),
        (lambda: ga.matmul(ONES((2, 3)), ONES((4, 2))), "length 3, axis -2 of the right one 4"),
        (lambda: ga.matmul(ONES((2, 3)), 2.0), "0-d operand; use"),
        (lambda: ga.dot(ONES((2, 3)), ONES((2, 4, 5))), "length 3, axis -2 of the right one 4"),
        (lambda: ga.inner(ONES((2, 3)), ONES((2, 4))), "length 3, axis -1 of the right one 4"),
        (lambda: ga.vdot(ONES(2), ONES(3)), "hold 2 and 3 values"),
        (lambda: ga.vecdot(ONES(2), ONES(3)), "length 2"),
        (lambda: ga.tensordot(ONES((2, 3)), ONES((2, 3)), 1), "axis 1 of the left operand"),
        (lambda: ga.tensordot(ONES((2, 3)), ONES((2, 3)), 3), "axes=3 for arrays of 2 and 2"),
        (lambda: ga.tensordot(ONES((2, 2)), ONES((2, 2)), ([0, 0], [0, 1])), "distinct axes"),
        (lambda: ga.cross(ONES(2), ONES(2)), "give a vector in the plane a third one"),
        (lambda: ga.multi_dot([ONES((2, 3))]), "two or more arrays, not 1"),
        (lambda: ga.multi_dot([ONES((2, 3)), ONES(3), ONES((3, 2))]), "not a chain"),
        (lambda: ga.matvec(ONES(3), ONES(3)), "takes matrices"),
    ],
)
def test_errors_name_the_op_and_the_mend(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_einsum_without_a_string():
    with pytest.raises(TypeError, match="string of subscripts"):
        ga.einsum(ONES(2), [0])
