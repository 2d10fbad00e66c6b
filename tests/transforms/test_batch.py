"""vmap against a Python loop: every public function, every way of sharing, every nesting."""

import numpy as np
import pytest

import gradarray as ga
from gradarray import registry
from gradarray.testing.draw import calls_of, results

EXAMPLES = 3

# Their results' shapes depend on values, or they make arrays from nothing.
DATA_DEPENDENT = {
    "argwhere", "bincount", "choice", "compress", "extract", "flatnonzero", "nonzero", "unique",
    "unique_all", "unique_counts", "unique_inverse", "unique_values", "delete", "insert",
    "trim_zeros",
}  # fmt: skip

# Their answer is Python's, or its shape or the places they gather depend on values: these say so.
SAYS_SO = (
    "allclose", "array_equal", "one_hot(array[4] int)", "quantile(array[4] distinct, array",
    "histogram(array[8], 'sturges')",
)  # fmt: skip

CALLS = [
    call
    for name, entry in registry.functions.items()
    if name == entry.name and name not in DATA_DEPENDENT
    for call in calls_of(entry)
    if call.samples and not str(call).startswith(SAYS_SO)
]


def test_what_needs_values_says_so():
    x = np.ones((2, 3))
    for f in (
        lambda x: ga.allclose(x, x),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * float(x[0]),
        lambda x: x[x > 0],
        lambda x: x.numpy(),
        lambda x: ga.histogram(x, "sturges"),
    ):
        with pytest.raises(ga.GraphError, match=r"differs from example to example.*ga\.where"):
            ga.vmap(f)(x)


def test_places_of_quantiles_may_differ():
    q = np.array([[0.1, 0.5], [0.25, 1.0]])
    x = np.array([1.0, 2.0, 5.0])
    found = ga.vmap(lambda q: ga.quantile(ga.array(x), q))(q)
    np.testing.assert_allclose(found, np.quantile(x, q), rtol=1e-15)


def draw_examples(call):
    rng = call.rng()
    return [call.draw(rng=rng) for _ in range(EXAMPLES)]


def bound(call, looped):
    # The batched op may sum in another order, in a product of another shape: n terms at most.
    scale = max((float(np.max(np.abs(x))) for x in looped if x.size and x.dtype.kind in "fc"),
                default=1.0)  # fmt: skip
    return 1e3 * np.finfo(float).eps * max(scale, 1.0)


def compare(call, batched, looped):
    assert len(batched) == len(looped[0])
    for k, found in enumerate(batched):
        expected = np.stack([row[k] for row in looped])
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound(call, [expected]))


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_values(call):
    examples = draw_examples(call)
    looped = [results(call.run(call.entry.fn, [ga.array(x) for x in row])) for row in examples]
    stacked = [np.stack(column) for column in zip(*examples, strict=True)]
    mapped = ga.vmap(lambda *arrays: call.run(call.entry.fn, arrays))(*stacked)
    compare(call, results(mapped), looped)


@pytest.mark.parametrize("call", [c for c in CALLS if len(c.samples) > 1], ids=str)
def test_one_operand_shared(call):
    first, *others = draw_examples(call)
    for shared in range(len(call.samples)):
        rows = [
            [first[k] if k == shared else row[k] for k in range(len(row))]
            for row in (first, *others)
        ]
        looped = [results(call.run(call.entry.fn, [ga.array(x) for x in row])) for row in rows]
        columns = [np.stack(column) for column in zip(*rows, strict=True)]
        columns[shared] = first[shared]
        axes = tuple(None if k == shared else 0 for k in range(len(columns)))
        mapped = ga.vmap(lambda *arrays: call.run(call.entry.fn, arrays), in_axes=axes)(*columns)
        compare(call, results(mapped), looped)


def pulled(call):
    """The gradient of a weighted sum of all results, for one example."""

    def loss(moving, still):
        arrays, rest = list(still), iter(moving)
        for k in call.moving:
            arrays[k] = next(rest)
        y = call.run(call.entry.fn, arrays)
        leaves = [p for p in ga.tree.flatten(y)[0] if p.dtype.kind == "f"]
        return sum((p * np.cos(np.arange(p.size)).reshape(p.shape)).sum() for p in leaves)

    return lambda *arrays: ga.grad(loss)([arrays[k] for k in call.moving], arrays)


@pytest.mark.parametrize("call", [c for c in CALLS if c.moving], ids=str)
def test_gradients(call):
    examples = draw_examples(call)
    gradient = pulled(call)
    looped = [results(gradient(*[ga.array(x) for x in row])) for row in examples]
    stacked = [np.stack(column) for column in zip(*examples, strict=True)]
    compare(call, results(ga.vmap(gradient)(*stacked)), looped)


# Nesting, sharing and form ------------------------------------------------------------------------


def test_axes_and_pytrees():
    x = {"a": np.arange(6.0).reshape(3, 2), "b": [np.arange(3.0)]}

    def f(tree, scale):
        return {"sum": tree["a"].sum() * scale, "both": (tree["b"][0], scale)}

    ins, outs = ({"a": 0, "b": [0]}, None), {"sum": 0, "both": (0, None)}
    y = ga.vmap(f, in_axes=ins, out_axes=outs)(x, 2.0)
    np.testing.assert_array_equal(y["sum"].numpy(), x["a"].sum(1) * 2)
    assert y["both"][0].shape == (3,) and y["both"][1] == 2.0
    turned = ga.vmap(lambda v: v * 2, in_axes=1, out_axes=1)(x["a"])
    np.testing.assert_array_equal(turned.numpy(), x["a"] * 2)


def test_nested_maps_make_all_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    kernel = lambda u, v: ga.exp(-((u - v) ** 2).sum())
    k = ga.vmap(lambda u: ga.vmap(lambda v: kernel(u, v))(b))(a)
    expected = np.exp(-((a[:, None] - b[None]) ** 2).sum(-1))
    np.testing.assert_allclose(k.numpy(), expected, rtol=1e-14)
    slope = ga.vmap(lambda u: ga.vmap(ga.grad(lambda v: kernel(u, v)))(b))(a)
    np.testing.assert_allclose(
        slope.numpy(), 2 * (a[:, None] - b[None]) * expected[..., None], rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("outer", ["reverse", "forward"])
@pytest.mark.parametrize("inner", ["reverse", "forward"])
def test_second_derivatives_inside_and_outside(inner, outer):
    x = np.array([0.3, -0.7, 1.2])
    slopes = {
        "reverse": ga.grad,
        "forward": lambda f: lambda x: ga.jvp(f, (x,), (1.0,))[1],
    }
    second = ga.vmap(slopes[outer](slopes[inner](lambda x: ga.sin(x * x))))(x)
    expected = 2 * np.cos(x * x) - 4 * x * x * np.sin(x * x)
    np.testing.assert_allclose(second.numpy(), expected, rtol=1e-13)
    total = lambda x: ga.vmap(slopes[inner](lambda x: ga.sin(x * x)))(x).sum()
    np.testing.assert_allclose(ga.grad(total)(x).numpy(), expected, rtol=1e-13)


def test_an_inner_derivative_is_each_examples_own():
    # x is shared by all, but its derivative inside must not be summed over the examples.
    y = ga.vmap(lambda a: ga.grad(lambda x: x * a)(1.0))(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(y.numpy(), [1.0, 2.0, 3.0])


def test_per_sample_gradients_of_a_network():
    rng = np.random.default_rng(1)
    net = ga.nn.Sequential(ga.nn.Linear(3, 8, dtype="float64"), ga.nn.Tanh(),
                           ga.nn.Linear(8, 2, dtype="float64"))  # fmt: skip
    x, labels = rng.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    loss = ga.nn.CrossEntropyLoss()

    def one(p, x, t):
        return loss(ga.nn.functional_call(net, p, x.reshape(1, -1)), t.reshape(1))

    p = net.parameters_dict()
    each = ga.vmap(ga.grad(one), in_axes=(None, 0, 0))(p, x, labels)
    for k in range(5):
        alone = ga.grad(one)(p, ga.array(x[k]), ga.array(labels[k]))
        for name in p:
            np.testing.assert_allclose(each[name].numpy()[k], alone[name].numpy(), atol=1e-15)


def test_assignment():
    def f(x, v):
        y = x * 1.0
        y[1] = v
        y[:1] += v
        return y

    x, v = np.arange(6.0).reshape(2, 3), np.array([10.0, 20.0])
    np.testing.assert_array_equal(ga.vmap(f)(x, v).numpy(), [[10, 10, 2], [23, 20, 5]])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ga.vmap(lambda a, b: a + b)(np.ones(2), np.ones(3)), "has 2.*has 3"),
        (lambda: ga.vmap(lambda a: a)(1.0), "has no axis 0"),
        (lambda: ga.vmap(lambda a: a, in_axes=(0, 0))(np.ones(2)), "for 1 arguments"),
        (lambda: ga.vmap(lambda a: a, in_axes=None)(np.ones(2)), "nothing to map"),
        (lambda: ga.vmap(lambda a: a, out_axes=None)(np.ones(2)), "out_axes=None"),
        (lambda: ga.vmap(lambda a: ga.random.normal())(np.ones(2)), "randomness"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises((ValueError, ga.GraphError), match=match):
        call()


def test_an_array_that_escaped_says_so():
    kept = []
    ga.vmap(lambda x: kept.append(x) or x)(np.ones(2))
    with pytest.raises(ga.GraphError, match="used outside"):
        kept[0] + 1


def test_random_numbers_same_or_different():
    ga.random.seed(3)
    same = ga.vmap(lambda x: x + ga.random.normal(size=2), randomness="same")(np.zeros(3)).numpy()
    assert (same == same[0]).all()
    different = ga.vmap(lambda x: x + ga.random.normal(size=2), randomness="different")(np.zeros(4))
    assert len(np.unique(different.numpy())) == 8
