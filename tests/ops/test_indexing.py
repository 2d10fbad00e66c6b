"""x[i] and x[i] = v: values as NumPy's, derivatives as the map of indices says."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices

import gradarray as ga
from gradarray.ops.scatter import add_rows

T, F = True, False
SHAPE = (3, 4, 2)
KEYS = [
    0,
    -1,
    (1, 2),
    (1, 2, 0),
    slice(None),
    slice(2, None, -1),
    slice(0, 0),
    slice(None, None, -2),
    (slice(1), slice(None, None, 2)),
    Ellipsis,
    (),
    (Ellipsis, 1),
    (0, Ellipsis),
    (slice(None), None, 1),
    None,
    (None, Ellipsis, None),
    [0, 2, 2],
    [],
    [[0, 1], [2, -3]],
    np.array([2, 0]),
    np.array(1),
    np.uint8(2),
    (slice(None), [0, 3]),
    (Ellipsis, [1, 1, 0]),
    ([0, 2], [1, 3]),
    ([0, 2], [1, 3], [0, 1]),
    ([[0], [2]], [1, 3]),
    (0, [1, 3]),
    ([0, 2], 1),
    # Something stands between the arrays: NumPy puts their axes first.
    ([0, 2], slice(None), [1, 0]),
    (0, slice(None), [1, 0, 1]),
    ([0, 1], slice(1, 3), 1),
    ([0, 1], None, [1, 2]),
    ([0, 1], Ellipsis, [1, 0]),
    ([0, 1], Ellipsis, 0),
    ([0, 1], [1, 1], Ellipsis, [1, 0]),
    (slice(None, 2), [0, 1], None),
    (None, [0, 2], [[1], [2]]),
    [T, F, T],
    (slice(None), [T, F, F, T]),
    np.arange(24).reshape(SHAPE) % 5 == 0,
    np.arange(12).reshape(3, 4) % 3 == 0,
    (np.arange(12).reshape(3, 4) % 3 == 0, 1),
    (1, np.arange(8).reshape(4, 2) % 3 == 0),
    ([T, F, T], slice(None), [0, 1]),
    (np.arange(12).reshape(3, 4) < 2, [1, 0]),
    np.zeros(SHAPE, bool),
    True,
    False,
    (0, True),
    (slice(None), np.bool_(True), [0, 1]),
    ([0, 2], True),
]


def values(shape=SHAPE):
    return np.random.default_rng(0).standard_normal(shape)


def places(shape):
    """The number of every place, so that indexing it tells where each value comes from."""
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def check_get(shape, key):
    """Value, J^T w and J v of x[key], against the map of places that NumPy's indexing gives."""
    x, v = values(shape), np.random.default_rng(1).standard_normal(shape)
    where = places(shape)[key]
    y, pull = ga.vjp(lambda x: x[key], x)
    assert y.shape == where.shape
    assert np.array_equal(y.numpy(), x.ravel()[where])
    w = np.random.default_rng(2).standard_normal(where.shape)
    expected = np.bincount(where.ravel(), w.ravel(), x.size).reshape(shape)
    np.testing.assert_allclose(pull(w)[0].numpy(), expected, rtol=1e-15, atol=1e-15)
    _, y_dot = ga.jvp(lambda x: x[key], (x,), (v,))
    assert np.array_equal(y_dot.numpy(), v.ravel()[where])


def check_set(shape, key):
    """x[key] = v in values and derivatives: where each value of the result comes from."""
    x = values(shape)
    n = x.size
    v = np.random.default_rng(1).standard_normal(places(shape)[key].shape)
    source = places(shape).copy()
    source[key] = n + places(v.shape)

    def assigned(x, v):
        y = x * 1.0
        y[key] = v
        return y

    y, pull = ga.vjp(assigned, x, v)
    both = np.concatenate([x.ravel(), v.ravel()])
    assert np.array_equal(y.numpy(), both[source])
    w = np.random.default_rng(2).standard_normal(shape)
    found = np.concatenate([bar.numpy().ravel() for bar in pull(w)])
    assert np.array_equal(found, np.bincount(source.ravel(), w.ravel(), both.size))
    dots = (2.0 * x, v + 1)
    _, y_dot = ga.jvp(assigned, (x, v), dots)
    assert np.array_equal(y_dot.numpy(), np.concatenate([d.ravel() for d in dots])[source])


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_getting(key):
    check_get(SHAPE, key)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_setting(key):
    check_set(SHAPE, key)


def entries(length):
    """One part of an index for an axis of this length."""
    integers = st.integers(-length, length - 1)
    return st.one_of(
        integers,
        st.slices(length),
        st.lists(integers, min_size=2, max_size=2),
        integers.map(lambda n: [n]),
        st.lists(st.booleans(), min_size=length, max_size=length).map(
            lambda m: m if sum(m) == 2 else [n < 2 for n in range(length)]
        ),
    )


@st.composite
def keys(draw):
    shape = draw(array_shapes(min_dims=1, max_dims=4, min_side=2, max_side=4))
    used = draw(st.integers(0, len(shape)))
    parts = [draw(entries(n)) for n in shape[:used]]
    if draw(st.booleans()):
        parts.append(Ellipsis)
        parts += [draw(entries(n)) for n in shape[used:]]
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return shape, tuple(parts)


@settings(max_examples=300)
@given(keys())
def test_mixed_indices(drawn):
    check_get(*drawn)
    check_set(*drawn)


@given(st.data())
def test_basic_indices(data):
    shape = data.draw(array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    key = data.draw(basic_indices(shape, allow_newaxis=True))
    check_get(shape, key)
    check_set(shape, key)


@pytest.mark.parametrize("key", [[0, 2, 2], ([0, 2, 0], [1, 1, 1]), (slice(2), [1, 1])], ids=repr)
def test_second_order(key):
    # f = sum of x_j^3 over the indices j, each counted as often as it occurs, c_j times:
    # the gradient is 3 c x^2, and along v the Hessian gives 6 c x v.
    x, v = values(), values() + 1
    count = np.bincount(places(SHAPE)[key].ravel(), minlength=x.size).reshape(SHAPE)
    f = lambda x: (x[key] ** 3).sum()
    gradient = ga.grad(f)
    mixes = [
        ga.jvp(gradient, (x,), (v,))[1],
        ga.grad(lambda x: (gradient(x) * v).sum())(x),
        ga.grad(lambda x: ga.jvp(f, (x,), (v,))[1])(x),
        ga.jvp(lambda x: ga.jvp(f, (x,), (v,))[1], (x,), (v / v,))[1],
    ]
    np.testing.assert_allclose(gradient(x).numpy(), 3 * count * x**2, rtol=1e-14)
    for mix in mixes[:3]:
        np.testing.assert_allclose(mix.numpy(), 6 * count * x * v, rtol=1e-14)
    np.testing.assert_allclose(mixes[3].item(), (6 * count * x * v).sum(), rtol=1e-13)


@pytest.mark.parametrize("key", [0, (slice(None), 1), [0, 2, 2], ([0, 0], slice(None), [1, 1])])
def test_second_order_of_an_assignment(key):
    # Each value of the result is one of x or v, so f = sum y^3 has the Hessian 6 y there.
    x = values()
    v = values(places(SHAPE)[key].shape) + 2

    def f(x, v):
        y = x + 0.0
        y[key] = v
        return (y**3).sum()

    source = places(SHAPE).copy()
    source[key] = x.size + places(v.shape)
    used = np.bincount(source.ravel(), minlength=x.size + v.size)
    both = np.concatenate([x.ravel(), v.ravel()])
    along = np.random.default_rng(3).standard_normal(both.size)
    dots = (along[: x.size].reshape(SHAPE), along[x.size :].reshape(v.shape))
    gradient = ga.grad(f, argnums=(0, 1))
    found = ga.jvp(gradient, (x, v), dots)[1]
    found = np.concatenate([h.numpy().ravel() for h in found])
    np.testing.assert_allclose(found, 6 * used * both * along, rtol=1e-14)


# Indices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        lambda: ga.array([0, 2, 2]),
        lambda: (slice(None), ga.array([[0], [3]])),
        lambda: ga.array([True, False, True]),
        lambda: (ga.array(1), slice(None), ga.array([0, 0])),
        lambda: (slice(ga.array(1), ga.array(3)), ga.array(0)),
        lambda: [ga.array(0), ga.array(2)],
    ],
)
def test_gradarrays_as_indices(key):
    key, x = key(), ga.array(values(), requires_grad=True)

    def plain(k):
        if isinstance(k, slice):
            return slice(*(None if n is None else int(n) for n in (k.start, k.stop)))
        return np.asarray(k)

    expected = x.numpy()[tuple(map(plain, key)) if isinstance(key, tuple) else plain(key)]
    y = x[key]
    assert np.array_equal(y.numpy(), expected)
    y.sum().backward()
    assert x.grad.sum().item() == y.size


def test_a_comparison_as_index():
    x = ga.array([-1.0, 2.0, -3.0, 4.0], requires_grad=True)
    (x[x > 0] ** 2).sum().backward()
    assert x.grad.tolist() == [0, 4, 0, 8]


def test_the_callers_index_may_change():
    index, mask = np.array([0, 1]), np.array([True, False, True])
    x = ga.array([1.0, 2.0, 3.0], requires_grad=True)
    y = (x[index] * x[mask]).sum() + ga.take(x, index).sum()
    index[:], mask[:] = 2, False
    y.backward()
    # y = x_0^2 + x_1 x_2 + x_0 + x_1
    assert x.grad.tolist() == [2 + 1, 3 + 1, 2]


def test_a_scalar_result_is_0d():
    x = ga.array([1.0, 2.0])
    assert x[1].shape == () and x[1].item() == 2
    assert x[ga.array(1)].shape == ()
    assert ga.array(3.0)[()].item() == 3 and ga.array(3.0)[None].shape == (1,)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (3, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, -5), "index -5 is out of bounds for axis 1 with size 4"),
        ((0, 0, 0, 0), "too many indices: the array has 3 axes, 4 were indexed"),
        ((slice(None), [0, 4]), "index 4 is out of bounds for axis 1 with size 4"),
        (([0, 1], slice(None), [0, 2]), "index 2 is out of bounds for axis 2 with size 2"),
        (([0, 1], [0, 1, 2]), "could not be broadcast together with shapes"),
        ([0.0, 1.0], "must be of integers or booleans, not float64; convert it with .astype"),
        (1.5, "not float64"),
        ([True, False], "length 2 along axis 0, which has length 3"),
        ((0, [True] * 3), "length 3 along axis 1, which has length 4"),
        ((Ellipsis, Ellipsis), "single ellipsis"),
    ],
)
def test_bad_indices(key, words):
    x = ga.array(values())
    for access in (lambda: x[key], lambda: x.__setitem__(key, 1.0)):
        with pytest.raises(IndexError, match=words) as caught:
            access()
        assert "(an array of shape (3, 4, 2))" in str(caught.value)
        assert "test_indexing.py" in str(caught.value)


# Iteration ----------------------------------------------------------------------------------------


def test_iterating_is_one_operation():
    x = ga.array(values((500, 2)), requires_grad=True)
    rows = list(x)
    assert len({row._node.parents[0] for row in rows}) == 1
    total = sum(((row * row).sum() for row in rows[1:]), rows[0].sum())
    total.backward()
    expected = 2 * x.numpy()
    expected[0] = 1
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_iterating_is_linear_in_length():
    # The reverse sweep makes no array of the whole for a part: what it allocates grows with n.
    import tracemalloc

    def peak(n):
        x = ga.array(np.ones(n), requires_grad=True)
        y = ga.stack([v * v for v in x]).sum()
        tracemalloc.start()
        y.backward()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    assert peak(2000) < 6 * peak(500)  # 16 times if it were quadratic


def test_a_loop_over_indices_is_linear_in_length():
    def allocated(n):
        x = ga.array(np.ones((n, 4)), requires_grad=True)
        y = ga.zeros(4)
        for t in range(n):
            y = y + x[t] * x[t]
        made = np.zeros
        sizes = []

        def zeros(shape, dtype=float):
            sizes.append(np.prod(shape))
            return made(shape, dtype)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(np, "zeros", zeros)
            y.sum().backward()
        assert np.array_equal(x.grad.numpy(), np.full((n, 4), 2.0))
        return sum(sizes)

    assert allocated(100) == 100 * 4  # one array for all the parts


@given(st.lists(st.sampled_from([0, 1, slice(2), slice(None, None, 2), [0, 0], "all"]), max_size=6))
def test_parts_and_wholes_in_any_order(uses):
    # Cotangents of parts are added up in place; nobody else may see it.
    a = np.arange(1.0, 7.0).reshape(3, 2)

    def f(a, use):
        x = a * 1.0  # its cotangent goes to two parents at once
        x = x + x
        total = ga.zeros(())
        for n, key in enumerate(uses, 1):
            part = x if key == "all" else use(x, key)
            total = total + n * (part * part).sum()
        return total

    expected = np.zeros_like(a)
    for n, key in enumerate(uses, 1):
        where = places(a.shape) if key == "all" else places(a.shape)[key]
        count = np.bincount(where.ravel(), minlength=a.size).reshape(a.shape)
        expected += n * count * 8 * a  # d/da of n (2 a)^2
    gradient = ga.grad(lambda a: f(a, lambda x, key: x[key]))
    assert np.array_equal(gradient(a).numpy(), expected)
    along = ga.grad(lambda a: (gradient(a) * a).sum())(a)  # H a + gradient, and H a is it too
    np.testing.assert_allclose(along.numpy(), 2 * expected, rtol=1e-14)


def test_unpacking_and_len():
    (a, b), c = ga.array([[1.0, 2.0], [3.0, 4.0]])
    assert (a.item(), b.item(), c.tolist()) == (1, 2, [3, 4])
    with pytest.raises(TypeError, match="0-d array"):
        iter(ga.array(1.0))


def test_contains():
    x = ga.array([1.0, 2.0], requires_grad=True)
    assert 2.0 in x and 3.0 not in x and ga.array(1.0) in x


# Assignment ---------------------------------------------------------------------------------------


def test_an_earlier_result_keeps_its_values():
    x = ga.array([1.0, 2.0, 3.0], requires_grad=True)
    y = x * x
    z = y * y  # keeps y
    y[0] = 5.0
    y.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [0, 4, 6]
    x.zero_grad()
    z.sum().backward()
    assert x.grad.tolist() == [4, 32, 108]  # 4 x^3 of the values before the assignment
    assert y.tolist() == [5, 4, 9]


def test_repeated_indices_the_last_wins():
    v = ga.array([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    x = ga.zeros(3)
    x[[1, 0, 1, 1]] = v
    assert x.tolist() == [2, 4, 0]
    (x * ga.array([10.0, 20.0, 30.0])).sum().backward()
    assert v.grad.tolist() == [0, 10, 0, 20]


@settings(max_examples=60)
@given(data=st.data())
def test_the_last_wins_in_the_order_of_the_index(data):
    # Also where an index is stored in another order than it is read in.
    rows = st.lists(st.integers(0, 2), min_size=6, max_size=6)
    i = np.array(data.draw(rows)).reshape(2, 3)
    j = np.array(data.draw(rows)).reshape(3, 2).T
    v = np.arange(6.0).reshape(2, 3)
    x = ga.zeros((3, 3))
    x[i, j] = ga.array(v, requires_grad=True)
    expected = np.zeros((3, 3))
    for at in itertools.product(range(2), range(3)):
        expected[i[at], j[at]] = v[at]
    assert np.array_equal(x.numpy(), expected)


def test_adding_in_place():
    a = ga.array([1.0, 2.0, 3.0], requires_grad=True)
    x = a * 2
    x[1:] += a[:2]
    x[0] *= x[2]
    # x_0 = 2 a_0 (2 a_2 + a_1), x_1 = 2 a_1 + a_0, x_2 = 2 a_2 + a_1
    x.sum().backward()
    assert a.grad.tolist() == [2 * 8 + 1, 2 * 1 + 2 + 1, 4 * 1 + 2]


def test_adding_at_repeated_indices_adds_once():
    x = ga.zeros(2)
    x[[0, 0, 1]] += ga.array([1.0, 2.0, 3.0])
    assert x.tolist() == [2, 3]


def test_an_assigned_value_broadcasts():
    v = ga.array([[1.0], [2.0]], requires_grad=True)
    x = ga.zeros((3, 2, 4))
    x[:2] = v
    x.sum().backward()
    assert v.grad.tolist() == [[8], [8]]
    x = ga.zeros(3)
    x[1] = ga.array([[[7.0]]])  # NumPy lets leading axes of length 1 go
    assert x.tolist() == [0, 7, 0]


def test_a_leaf_that_requires_a_gradient():
    x = ga.array([1.0, 2.0], requires_grad=True)
    with pytest.raises(ga.GraphError, match="cannot be changed while operations are recorded"):
        x[0] = 3.0
    y = (x * x).sum()
    with ga.no_grad():
        x[0] = 3.0
    assert x.is_leaf and x.requires_grad and x.tolist() == [3, 2]
    y.backward()  # of the old binding: the handle is bound to another leaf
    assert x.grad is None
    (x * x).sum().backward()
    assert x.grad.tolist() == [6, 4]


def test_dtypes_stay():
    x = ga.zeros(3, dtype=np.float32)
    v = ga.array([1.0, 2.0], requires_grad=True)
    x[:2] = v
    assert x.dtype == np.float32
    x.sum().backward()
    assert v.grad.dtype == np.float64 and v.grad.tolist() == [1, 1]
    k = ga.array([1, 2, 3])
    k[0] = 7.9
    assert k.dtype == np.int64 and k.tolist() == [7, 2, 3]
    with pytest.raises(ga.DTypeError, match=r"into an array of int64.*astype"):
        k[0] = v[0]
    with pytest.raises(ga.DTypeError, match="complex"):
        x[0] = 1j


def test_a_value_that_does_not_fit():
    x = ga.zeros((3, 4))
    for key in (0, [0, 1]):
        with pytest.raises(ga.ShapeError, match=r"shape \(3,\) does not broadcast to the place"):
            x[key] = np.ones(3)


def test_memory_is_written_in_place_only_where_nobody_sees_it():
    def address(x):
        return x._data.__array_interface__["data"][0]

    x = ga.zeros(1000)
    before = address(x)
    x[3] = 1.0
    x[4:6] = ga.array([2.0, 3.0])
    assert address(x) == before  # alone: no copy
    for other in (x.detach(), x.numpy(), x[::2], x.reshape(10, 100), np.asarray(x)):
        seen = np.array(other)
        x[0] += 1.0
        assert np.array_equal(np.asarray(other), seen)
    assert x[0].item() == 5
    y = x
    y[1] = 9.0
    assert x[1].item() == 9  # one handle under two names
    a = ga.array(1.0, requires_grad=True)
    product = (a * x).sum()  # keeps the values of x
    total = x.sum().item()
    x[:] = 0.0
    product.backward()
    assert a.grad.item() == total


def test_the_callers_memory():
    mine = np.ones(3)
    x = ga.array(mine)
    x[0] = 2.0
    x[1:] = mine[1:]
    mine[:] = 7
    assert x.tolist() == [2, 1, 1]


def test_overlapping_values():
    x = ga.arange(5)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3]
    x[...] = x[::-1]
    assert x.tolist() == [3, 2, 1, 0, 0]


def test_fill():
    a = ga.array(2.0, requires_grad=True)
    x = ga.ones((2, 3))
    x.fill(a)
    x.sum().backward()
    assert a.grad.item() == 6


def test_put_along_axis():
    rng = np.random.default_rng(0)
    x, v = rng.standard_normal((2, 3)), rng.standard_normal((2, 2))
    index = np.array([[0, 2], [1, 1]])

    def f(x, v):
        y = x * 1.0
        ga.put_along_axis(y, index, v, axis=1)
        return y

    y, pull = ga.vjp(f, x, v)
    expected = x.copy()
    np.put_along_axis(expected, index, v, axis=1)
    assert np.array_equal(y.numpy(), expected)
    x_bar, v_bar = pull(np.arange(6.0).reshape(2, 3))
    assert x_bar.tolist() == [[0, 1, 0], [3, 0, 5]] and v_bar.tolist() == [[0, 2], [0, 4]]
    y = ga.array(x)
    np.put_along_axis(y, np.array([5, 0]), 1.0, axis=None)
    assert y[1, 2].item() == 1 and y[0, 0].item() == 1
    with pytest.raises(TypeError, match="only a GradArray"):
        ga.put_along_axis(np.zeros(2), np.array([0]), 1.0, 0)


# Sums by index ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "complex128"])
@pytest.mark.parametrize(("count", "width"), [(50, 1), (40, 3), (2000, 8), (700, 16), (0, 1)])
def test_adding_rows(count, width, dtype):
    rng = np.random.default_rng(0)
    # Small integers: every sum is exact in every dtype, in whatever order it is taken.
    x = rng.integers(-3, 4, (count, width)).astype(dtype)
    rows = rng.integers(0, 300, count)
    expected = np.zeros((300, width), dtype)
    for row, value in zip(rows, x, strict=True):
        expected[row] += value
    found = add_rows(x, rows, 300)
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


def test_an_embedding():
    # Rows of a table taken by a batch of indices, as a layer does: their gradients add up.
    table = ga.array(values((50, 16)).astype("float32"), requires_grad=True)
    index = np.random.default_rng(0).integers(0, 50, (20, 30))
    (table[index] * 2).sum().backward()
    expected = 2 * np.bincount(index.ravel(), minlength=50)
    assert table.grad.dtype == np.float32
    assert np.array_equal(table.grad.numpy(), np.tile(expected[:, None], 16))
