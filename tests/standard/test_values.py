"""The functions of the Python array API standard: values and dtypes are `array_api_strict`'s.

What that package accepts is a call of the standard; it computes with NumPy.
"""

import inspect
import operator

import array_api_strict as strict
import numpy as np
import pytest

import gradarray as ga

VERSION = "2024.12"
RNG = np.random.default_rng(5)
DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
]


@pytest.fixture(autouse=True)
def version():
    with strict.ArrayAPIStrictFlags(api_version=VERSION):
        yield


# Elementwise functions ----------------------------------------------------------------------------

ELEMENTWISE = [
    name
    for name in strict.__all__
    if inspect.isfunction(fn := getattr(strict, name))
    and "_elementwise" in inspect.unwrap(fn).__module__
]
INTEGERS = [0, 1, 2, 3, 5, 7]


def drawn(dtype: str) -> np.ndarray:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.array([True, False, True, True, False, False])
    if kind == "u":
        return np.array(INTEGERS, dtype)
    if kind == "i":
        return np.array([-3, *INTEGERS[:-1]], dtype)
    x = np.array([-2.5, -0.0, 0.0, 0.5, 1.0, 3.25], dtype)
    return x if kind == "f" else x + x[::-1] * np.array(1j, dtype)


def same(ours, theirs):
    """Equal in form; in values to a few roundings, where ours is not NumPy's own function."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
        if hasattr(theirs, "_fields"):
            assert ours._fields == theirs._fields
        return
    assert isinstance(ours, ga.GradArray)
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    if theirs.dtype.kind in "biu":
        np.testing.assert_array_equal(ours.numpy(), theirs)
    else:
        eps = np.finfo(theirs.dtype).eps
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=64 * eps, atol=16 * eps)


def outcome(xp, name, *arrays):
    try:
        with np.errstate(all="ignore"):
            return getattr(xp, name)(*map(xp.asarray, arrays))
    except TypeError:
        return None


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_functions(name):
    # Every pair of dtypes that the standard lets meet, so promotion is tested too.
    operands = len(inspect.signature(getattr(strict, name)).parameters)
    met = 0
    for first in DTYPES:
        x = drawn(first)
        others = [()] if operands != 2 else [(abs(drawn(d)[::-1]).astype(d),) for d in DTYPES]
        for other in others:
            expected = outcome(strict, name, x, *other)
            if expected is None:
                continue  # no call of the standard
            if "shift" in name:
                other = (np.minimum(other[0], 5),)
                expected = outcome(strict, name, x, *other)
            with np.errstate(all="ignore"):
                same(getattr(ga, name)(ga.asarray(x), *map(ga.asarray, other)), expected)
            met += 1
    assert met


OPERATORS = [
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor"),
    *("lshift", "rshift", "lt", "le", "gt", "ge", "eq", "ne"),
]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_with_arrays_and_numbers(name):
    op, met = getattr(operator, name), 0
    for dtype in DTYPES:
        x = drawn(dtype)
        for other in (x[::-1].copy(), True, 2, 1.5, 1 + 2j):
            if name in ("lshift", "rshift") and isinstance(other, np.ndarray):
                other = abs(other).astype(dtype)
            values = isinstance(other, np.ndarray)
            for call in (op,) if values else (op, lambda x, other: op(other, x)):
                with np.errstate(all="ignore"):
                    try:
                        theirs = call(strict.asarray(x), strict.asarray(other) if values else other)
                    except (TypeError, OverflowError, ValueError):  # 2 ** -1 has no integer value
                        continue
                    same(call(ga.asarray(x), ga.asarray(other) if values else other), theirs)
                met += 1
    assert met >= 2


@pytest.mark.parametrize("name", OPERATORS[:12])
def test_operators_in_place(name):
    for dtype in ("bool", "int32", "float32", "complex64"):
        x = abs(drawn(dtype)).astype(dtype)
        ours, theirs = ga.asarray(x), strict.asarray(x.copy())
        op = getattr(operator, "i" + name.strip("_"))
        with np.errstate(all="ignore"):
            try:
                theirs = op(theirs, strict.asarray(x[::-1].copy()))
            except TypeError:
                continue
            same(op(ours, ga.asarray(x[::-1].copy())), theirs)


# All the others -----------------------------------------------------------------------------------

M = RNG.normal(size=(3, 3))
POSITIVE = M @ M.T + np.eye(3)
X = RNG.normal(size=(2, 3, 4))
TIED = np.array([[3, 1, 2, 1], [0, 3, 3, 2]])
HERMITIAN = POSITIVE + 1j * (M - M.T)

CALLS = {
    "arange": lambda xp, a: [xp.arange(5), xp.arange(1, stop=7, step=2), xp.arange(0.0, 1.0, 0.25)],
    "arange dtype": lambda xp, a: xp.arange(3, dtype=xp.float32, device=None),
    "asarray": lambda xp, a: [
        a(2.0), a([1, 2], dtype=xp.float64), a([[True]]), a(1j),
        a(a([1.0]), copy=True), a(a([1.0]), copy=False),
    ],
    "empty": lambda xp, a: [0 * xp.empty((2, 3)), 0 * xp.empty(3, dtype=xp.int32)],
    "empty_like": lambda xp, a: 0 * xp.empty_like(a([1, 2]), dtype=xp.float32),
    "eye": lambda xp, a: [xp.eye(3), xp.eye(2, 4, k=1), xp.eye(2, dtype=xp.int8, device=None)],
    "full": lambda xp, a: [xp.full((2,), 1.0), xp.full(2, 3), xp.full((), True), xp.full((2,), 1j)],
    "full dtype": lambda xp, a: xp.full((2, 1), 7, dtype=xp.float32, device=None),
    "full_like": lambda xp, a: xp.full_like(a([1.0, 2.0]), 3, dtype=xp.int16),
    "linspace": lambda xp, a: [xp.linspace(0, 1, 5), xp.linspace(0.0, 1.0, num=3, endpoint=False)],
    "linspace dtype": lambda xp, a: [
        xp.linspace(0, 1, 3, dtype=xp.float32), xp.linspace(0.0, 1j, 3, device=None),
    ],
    "meshgrid": lambda xp, a: [
        xp.meshgrid(xp.arange(2), xp.arange(3), indexing=how) for how in ("xy", "ij")
    ],
    "ones": lambda xp, a: [xp.ones(3), xp.ones((2, 1), dtype=xp.uint8, device=None)],
    "ones_like": lambda xp, a: xp.ones_like(a([1, 2]), dtype=xp.complex64),
    "zeros": lambda xp, a: [xp.zeros((0, 2)), xp.zeros((2, 1), dtype=xp.bool, device=None)],
    "zeros_like": lambda xp, a: xp.zeros_like(a([1, 2])),
    "tril": lambda xp, a: [xp.tril(a(X)), xp.tril(a(X), k=-1)],
    "triu": lambda xp, a: [xp.triu(a(X)), xp.triu(a(X), k=1)],
    "astype": lambda xp, a: [
        xp.astype(a([1.7, -1.7]), xp.int32), xp.astype(a([0, 2]), xp.bool),
        xp.astype(a([1.0]), xp.float64, copy=False),
        xp.astype(a([1.0]), xp.complex64, copy=True),
    ],
    "broadcast_arrays": lambda xp, a: xp.broadcast_arrays(xp.ones((2, 1)), xp.zeros(3)),
    "broadcast_to": lambda xp, a: xp.broadcast_to(a([1, 2]), shape=(3, 2)),
    "matmul": lambda xp, a: [
        xp.matmul(a(X), xp.ones(4)), a(X) @ xp.ones((2, 4, 1)),
        xp.matmul(a([1, 2]), a([3, 4])),
    ],
    "matrix_transpose": lambda xp, a: [xp.matrix_transpose(a(X)), a(X).mT],
    "T": lambda xp, a: a(M).T,
    "tensordot": lambda xp, a: [
        xp.tensordot(a(X), a(X), axes=((0, 1), (0, 1))),
        xp.tensordot(a(M), a(M), axes=1), xp.tensordot(xp.ones(2), xp.ones(2), axes=0),
    ],
    "vecdot": lambda xp, a: [
        xp.vecdot(a(X), a(X)), xp.vecdot(a(X), a(X), axis=-2),
        xp.vecdot(a([1j, 2.0]), a([3.0, 1j])),
    ],
    "concat": lambda xp, a: [
        xp.concat([a(X), a(X)], axis=1), xp.concat((xp.ones(2), xp.ones(1))),
        xp.concat([a(X), a(X)], axis=None),
        xp.concat([xp.ones(1, dtype=xp.int8), xp.ones(1, dtype=xp.int32)]),
    ],
    "expand_dims": lambda xp, a: [xp.expand_dims(a(X), axis=k) for k in (0, 1, -1)],
    "flip": lambda xp, a: [xp.flip(a(X), axis=k) for k in (None, 0, (0, -1))],
    "moveaxis": lambda xp, a: xp.moveaxis(a(X), (0, 1), (-1, 0)),
    "permute_dims": lambda xp, a: xp.permute_dims(a(X), axes=(2, 0, 1)),
    "repeat": lambda xp, a: [
        xp.repeat(a(X), 2), xp.repeat(a(X), 2, axis=1),
        xp.repeat(a(X), a([1, 2]), axis=0),
    ],
    "reshape": lambda xp, a: [
        xp.reshape(a(X), (4, -1)), xp.reshape(a(X), shape=(24,), copy=True),
        xp.reshape(a(X), (6, 4), copy=False), xp.reshape(a(X), (8, 3), copy=None),
    ],
    "roll": lambda xp, a: [
        xp.roll(a(X), 1), xp.roll(a(X), shift=(1, -1), axis=(0, 2)),
    ],
    "squeeze": lambda xp, a: [xp.squeeze(xp.ones((1, 2, 1)), axis=k) for k in (0, (0, 2))],
    "stack": lambda xp, a: [xp.stack([xp.ones(2), xp.zeros(2)], axis=k) for k in (0, -1)],
    "tile": lambda xp, a: [xp.tile(a(M), (2, 1)), xp.tile(a(M), (2, 1, 2))],
    "unstack": lambda xp, a: [xp.unstack(a(X)), xp.unstack(a(X), axis=-1)],
    "argmax": lambda xp, a: [
        xp.argmax(a(X)), xp.argmax(a(X), axis=1, keepdims=True),
    ],
    "argmin": lambda xp, a: [
        xp.argmin(a(X)), xp.argmin(a(X), axis=-1, keepdims=True),
    ],
    "count_nonzero": lambda xp, a: [
        xp.count_nonzero(a(TIED)), xp.count_nonzero(a(TIED), axis=1),
        xp.count_nonzero(a(TIED), axis=(0, 1), keepdims=True),
    ],
    "nonzero": lambda xp, a: xp.nonzero(a(TIED)),
    "searchsorted": lambda xp, a: [
        xp.searchsorted(a([1.0, 2.0, 3.0]), a([2.0, 9.0]), side=side)
        for side in ("left", "right")
    ],
    "searchsorted sorter": lambda xp, a: xp.searchsorted(
        a([3.0, 1.0, 2.0]), a([2.5]), sorter=a([1, 2, 0])
    ),
    "where": lambda xp, a: [
        xp.where(a(X) > 0, a(X), xp.zeros(4)),
        xp.where(a([True, False]), xp.ones(2, dtype=xp.int8), xp.ones(2, dtype=xp.int32)),
        xp.where(a([True, False]), xp.ones(2, dtype=xp.float32), 2.0),
    ],
    "unique_all": lambda xp, a: xp.unique_all(a(TIED)),
    "unique_counts": lambda xp, a: xp.unique_counts(a([0.0, np.nan, np.nan, -0.0])),
    "unique_inverse": lambda xp, a: xp.unique_inverse(a(TIED)),
    "unique_values": lambda xp, a: xp.unique_values(a(TIED)),
    "argsort": lambda xp, a: [
        xp.argsort(a(TIED), axis=k, descending=d) for k in (0, -1) for d in (False, True)
    ],
    "sort": lambda xp, a: [
        xp.sort(a(TIED), axis=k, descending=d, stable=True)
        for k in (0, -1) for d in (False, True)
    ],
    "cumulative_sum": lambda xp, a: [
        xp.cumulative_sum(a([1, 2, 3], dtype=xp.int8)),
        xp.cumulative_sum(a(X), axis=1, include_initial=True),
        xp.cumulative_sum(a([1, 2]), dtype=xp.float32),
    ],
    "cumulative_prod": lambda xp, a: [
        xp.cumulative_prod(a([1, 2, 3], dtype=xp.uint8)),
        xp.cumulative_prod(a(X), axis=-1, include_initial=True),
    ],
    "diff": lambda xp, a: [
        xp.diff(a(X)), xp.diff(a(X), axis=1, n=2),
        xp.diff(a(TIED), prepend=xp.zeros((2, 1), dtype=xp.int64)),
        xp.diff(a(TIED), append=xp.zeros((2, 2), dtype=xp.int64), axis=-1),
    ],
    "take": lambda xp, a: [
        xp.take(a(X), a([2, 0, -1]), axis=1),
        xp.take(a([5, 6]), a([1, 1])),
    ],
    "take_along_axis": lambda xp, a: [
        xp.take_along_axis(a(X), xp.argsort(a(X), axis=1), axis=1),
        xp.take_along_axis(a(X), xp.argsort(a(X))),
    ],
    "clip": lambda xp, a: [
        xp.clip(a(X), -0.5, 0.5), xp.clip(a(X), max=0.5),
        xp.clip(a(X), min=0.0), xp.clip(a(X)),
        xp.clip(a(TIED), a([1, 0, 0, 2]), 2),
    ],
    "index": lambda xp, a: [
        a(X)[0, ..., 1:3], a(X)[:, None, -1, ...], a(X)[a(X) > 0],
        a(X)[xp.newaxis, ..., ::-2], a(X)[a([1, 0]), 1, 2],
    ],
    "det": lambda xp, a: xp.linalg.det(a(X[:, :, :3])),
    "cholesky": lambda xp, a: [xp.linalg.cholesky(a(POSITIVE), upper=u) for u in (False, True)],
    "cross": lambda xp, a: [
        xp.linalg.cross(a(M), a(M[::-1].copy())),
        xp.linalg.cross(a(M), a(M[::-1].copy()), axis=-2),
    ],
    "diagonal": lambda xp, a: [xp.linalg.diagonal(a(X)), xp.linalg.diagonal(a(X), offset=1)],
    "eigh": lambda xp, a: [
        xp.linalg.eigh(a(HERMITIAN)).eigenvalues, xp.linalg.eigvalsh(a(POSITIVE)),
    ],
    "inv": lambda xp, a: xp.linalg.inv(a(POSITIVE)),
    "matrix_norm": lambda xp, a: [
        xp.linalg.matrix_norm(a(X), ord=o, keepdims=k)
        for o in ("fro", "nuc", 1, 2, np.inf, -1, -2, -np.inf) for k in (False, True)
    ],
    "matrix_power": lambda xp, a: [xp.linalg.matrix_power(a(POSITIVE), n) for n in (0, 3, -1)],
    "matrix_rank": lambda xp, a: [
        xp.linalg.matrix_rank(a(POSITIVE)), xp.linalg.matrix_rank(xp.ones((2, 3, 3)), rtol=0.1),
    ],
    "linalg.outer": lambda xp, a: xp.linalg.outer(a([1.0, 2.0]), a([3.0, 4.0])),
    "pinv": lambda xp, a: [xp.linalg.pinv(a(X)), xp.linalg.pinv(a(X), rtol=0.5)],
    "qr": lambda xp, a: [
        abs(xp.linalg.qr(a(X), mode=mode).R) for mode in ("reduced", "complete")
    ],
    "slogdet": lambda xp, a: xp.linalg.slogdet(a(M)),
    "solve": lambda xp, a: [
        xp.linalg.solve(a(POSITIVE), xp.ones(3)), xp.linalg.solve(a(POSITIVE), xp.ones((3, 2))),
    ],
    "svd": lambda xp, a: [xp.linalg.svd(a(X), full_matrices=f).S for f in (False, True)],
    "svdvals": lambda xp, a: xp.linalg.svdvals(a(X)),
    "trace": lambda xp, a: [
        xp.linalg.trace(a(X)), xp.linalg.trace(a(TIED), offset=1, dtype=xp.float64),
    ],
    "vector_norm": lambda xp, a: [
        xp.linalg.vector_norm(a(X), axis=k, ord=o, keepdims=d)
        for k in (None, 1, (0, 2)) for o in (2, 1, np.inf, -np.inf, 0, 3) for d in (False, True)
    ],
    "fft": lambda xp, a: [
        getattr(xp.fft, name)(a(X + 0j), n=n, axis=1, norm=norm)
        for name in ("fft", "ifft", "irfft", "hfft") for n in (None, 5)
        for norm in ("backward", "ortho", "forward")
    ],
    "rfft": lambda xp, a: [getattr(xp.fft, name)(a(X)) for name in ("rfft", "ihfft", "rfftn")],
    "fftn": lambda xp, a: [
        getattr(xp.fft, name)(a(X + 0j), s=(2, 2), axes=(0, 1), norm="ortho")
        for name in ("fftn", "ifftn", "irfftn")
    ],
    "fftfreq": lambda xp, a: [
        xp.fft.fftfreq(5, d=0.5), xp.fft.rfftfreq(5, dtype=xp.float32, device=None),
    ],
    "fftshift": lambda xp, a: [
        xp.fft.fftshift(a(X)), xp.fft.ifftshift(a(X), axes=(0, 2)),
    ],
}  # fmt: skip
REDUCTIONS = ["sum", "prod", "max", "min", "mean", "var", "std", "any", "all"]


@pytest.mark.parametrize("name", CALLS)
def test_other_functions(name):
    same(CALLS[name](ga, ga.asarray), CALLS[name](strict, strict.asarray))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_over_every_dtype(name):
    met = 0
    for dtype in DTYPES:
        x = drawn(dtype).reshape(2, 3)
        forms = [{}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}]
        forms += [{"correction": 1, "axis": 1}] if name in ("var", "std") else []
        forms += [{"dtype": "complex128"}] if name in ("sum", "prod") else []
        for form in forms:
            theirs, ours = (
                {k: getattr(xp, v) if k == "dtype" else v for k, v in form.items()}
                for xp in (strict, ga)
            )
            try:
                expected = getattr(strict, name)(strict.asarray(x), **theirs)
            except TypeError:
                continue
            same(getattr(ga, name)(ga.asarray(x), **ours), expected)
            met += 1
    assert met


# Copies and derivatives ---------------------------------------------------------------------------


def test_copies_that_may_not_be():
    x = ga.arange(6.0)
    with pytest.raises(ValueError, match=r"asarray: a list does not become a GradArray without"):
        ga.asarray([1.0], copy=False)
    with pytest.raises(ValueError, match=r"of dtype float32 without a copy"):
        ga.asarray(x, dtype="float32", copy=False)
    with pytest.raises(ValueError, match=r"reshape: the values .* cannot stay where they are"):
        ga.reshape(ga.reshape(x, (2, 3)).T, (6,), copy=False)
    y = ga.reshape(x, (2, 3), copy=True)
    assert not np.shares_memory(y.numpy(), x.numpy())
    assert ga.astype(x, x.dtype, copy=False) is x
    with pytest.raises(ga.ShapeError, match=r"cumulative_sum: .*\(2, 3\) has no one axis"):
        ga.cumulative_sum(y)
    with pytest.raises(ValueError, match="two names of one number"):
        ga.var(x, ddof=1, correction=1)


def test_derivatives_pass_through_what_the_standard_adds():
    x = ga.array([3.0, 1.0, 2.0])
    weights = np.array([1.0, 2.0, 4.0])
    assert ga.grad(lambda x: (ga.sort(x, descending=True) * weights).sum())(x).tolist() == [1, 4, 2]
    # y_t sums x_s for s <= t, so x_s counts in all weights from s on.
    f = lambda x: (ga.cumulative_sum(x, include_initial=True) * [9.0, *weights]).sum()
    assert ga.grad(f)(x).tolist() == [7, 6, 4]
    f = lambda x: (ga.cumulative_prod(x, include_initial=True) * [9.0, *weights]).sum()
    assert ga.grad(f)(x).tolist() == [1 + 2 * 1 + 4 * 2, 2 * 3 + 4 * 6, 4 * 3]
    assert ga.grad(lambda x: ga.unique_values(x).sum())(ga.array([1.0, 1.0])).tolist() == [1, 0]
    exact = (np.array([3.0, 1, 2]) - 2) / 1.0 / 2  # (x - m) / ((n - 1) s)
    np.testing.assert_allclose(ga.grad(lambda x: ga.std(x, correction=1))(x).numpy(), exact)
