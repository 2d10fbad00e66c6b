"""The compiler's elementary functions: ulps against mpmath, special values, NumPy's tables."""

from importlib import resources
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradarray as ga
from gradarray.compiler.expr import Expr, const, topological
from gradarray.compiler.functions import FUNCTIONS
from gradarray.testing import approximate
from gradarray.testing.ulp_cases import CASES, Case
from gradarray.testing.ulps import DTYPES, error, measure, native

PAGE = (Path(__file__).parents[2] / "docs" / "functions.md").read_text(encoding="utf-8")
NAMES = sorted(FUNCTIONS)


def ufunc(name: str) -> Any:
    return getattr(np, name, None) or getattr(scipy.special, name)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_ulps(case: Case, dtype: np.dtype) -> None:
    found = measure(case, dtype, seed=1)
    assert found.worst <= case.limit, f"{case.name}{found.at} is {found.worst} ulps off"


def test_every_function_is_measured() -> None:
    measured = {case.name.partition(",")[0] for case in CASES}
    exact = {"nextafter"}
    assert measured | exact | {"float_power"} == set(NAMES)  # float_power is power


def test_the_measure_sees_an_ulp(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is off by three ulps does not pass.
    exact = FUNCTIONS["exp"]

    def off(x: Expr) -> Expr:
        y = exact(x)
        for _ in range(3):
            y = FUNCTIONS["nextafter"](y, const(np.inf, y.dtype))
        return y

    monkeypatch.setitem(FUNCTIONS, "exp", off)
    case = next(case for case in CASES if case.name == "exp")
    assert measure(case, DTYPES[1], 200).worst > case.limit


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_next_to_multiples_of_a_right_angle(name: str, dtype: np.dtype) -> None:
    # There almost all digits of x are lost in the remainder.
    n = np.unique(np.geomspace(1, 63662, 400).astype(int))
    x = np.concatenate([(n * (np.pi / 2)).astype(dtype), (-n * (np.pi / 2)).astype(dtype)])
    case = next(case for case in CASES if case.name == name)
    y = native(FUNCTIONS[name], x)
    with mpmath.workdps(60):
        worst = max(error(case, a, (b,), dtype) for a, b in zip(y, x, strict=True))
    assert worst <= case.limit


# The page -----------------------------------------------------------------------------------------


def rows() -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def test_the_page_has_every_function_and_holds_its_limits() -> None:
    table = rows()
    assert list(table) == [case.name for case in CASES], "write it anew: make proof"
    for case in CASES:
        *_, single, double, limit = table[case.name]
        assert float(limit) == case.limit
        assert 0 < float(single) <= case.limit and 0 < float(double) <= case.limit


def test_the_coefficients_are_those_of_the_program() -> None:
    assert approximate.TARGET.read_text(encoding="utf-8") == approximate.text()


# Special values -----------------------------------------------------------------------------------


def special(dtype: np.dtype) -> np.ndarray:
    info = np.finfo(dtype)
    tiny, least, most = float(info.tiny), float(info.smallest_subnormal), float(info.max)
    eps = float(info.eps)
    half = [
        *(0.0, np.inf, 1.0, 0.5, 2.0, 3.0, 2.5, 0.75, tiny, least, 0.3 * tiny, most, most / 2),
        *(100.0, 1000.0, 1e4, 1e30, 20.0, 1e-3, 1 + eps, 1 - eps / 2, 1e-20, 88.5, 709.0),
    ]
    return np.array([*half, *(-x for x in half), np.nan], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", [n for n in NAMES if n != "float_power"])
def test_special_values(name: str, dtype: np.dtype) -> None:
    fn = ufunc(name)
    s = special(dtype)
    xs = [s] if fn.nin == 1 else [x.ravel() for x in np.meshgrid(s, s)]
    with np.errstate(all="ignore"):
        if name == "nextafter":
            expected = fn(*xs)
        else:
            expected = fn(*[x.astype(np.float64) for x in xs]).astype(dtype)
    got = native(FUNCTIONS[name], *xs)
    size = np.abs(expected)
    if name == "gammaln":  # SciPy's loses digits near 1 and 2, and is infinite below 1e-308
        near = (s > 0) & (s < 3)
        expected[near] = scipy.special.loggamma(s[near].astype(complex)).real + 0.0
        small = (s != 0) & (np.abs(s) < np.finfo(dtype).tiny)
        expected[small] = -np.log(np.abs(s[small]))
    elif name.startswith("logaddexp"):
        size = np.maximum(size, np.maximum(*map(np.abs, xs)))
    elif name == "psi":  # SciPy's has no digits next to its poles
        size = np.where(s < 0, np.inf, size)
    info = np.finfo(dtype)
    same = (np.isnan(got) == np.isnan(expected)) & (np.isinf(got) == np.isinf(expected))
    ends = ((got == 0) & (expected == 0)) | np.isinf(expected)
    same &= ~ends | (np.signbit(got) == np.signbit(expected))
    with np.errstate(all="ignore"):
        off = np.abs(got.astype(np.float64) - expected)
        bound = max(1e-13, 2 * float(info.eps)) * size + 2 * float(info.smallest_subnormal)
        wrong = ~same | (np.isfinite(expected) & ~(off <= bound))
    assert not wrong.any(), [
        (*(x[k] for x in xs), got[k], expected[k]) for k in np.flatnonzero(wrong)[:4]
    ]


@pytest.mark.parametrize("name", ["exp", "sin", "log", "tanh", "power", "erf"])
def test_nothing_depends_on_the_neighbours(name: str) -> None:
    # Rare cases are branches of a whole vector: what one lane asks for changes no other.
    s = special(np.dtype(np.float64))
    xs = [s] if ufunc(name).nin == 1 else [s, s[::-1].copy()]
    together = native(FUNCTIONS[name], *xs)
    for k in range(s.size):
        alone = native(FUNCTIONS[name], *[x[k : k + 1] for x in xs])
        np.testing.assert_array_equal(alone, together[k : k + 1])


NUMPY = [
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "cos", "cosh", "exp"),
    *("exp2", "expm1", "log", "log10", "log1p", "log2", "sin", "sinh", "tan", "tanh"),
]


@pytest.mark.parametrize("name", NUMPY)
def test_validation_sets(name: str) -> None:
    path = resources.files("numpy") / f"_core/tests/data/umath-validation-set-{name}.csv"
    if not path.is_file():
        pytest.skip(f"this wheel of numpy {np.__version__} has no {path.name}")
    table = [line.split(",") for line in path.read_text().splitlines()[1:] if line[:1] == "n"]
    for dtype in DTYPES:
        mine = [row for row in table if row[0] == f"np.{dtype}"]
        x, expected = (
            np.array([int(row[k], 16) for row in mine], f"u{dtype.itemsize}").view(dtype)
            for k in (1, 2)
        )
        y = native(FUNCTIONS[name], x)
        same = (y == expected) | (np.isnan(y) & np.isnan(expected))
        with np.errstate(all="ignore"):
            off = np.abs(y.astype(np.float64) - expected) / np.spacing(np.abs(expected))
        wrong = ~same & ~(off <= np.array([int(row[3]) for row in mine]))
        assert not wrong.any(), (x[wrong][:3], y[wrong][:3], expected[wrong][:3])


# In compiled functions ----------------------------------------------------------------------------


def powers_of_two(f: Any, *xs: Any) -> int:
    """How many different powers of 2 the nests of a compiled function make."""
    step = ga.compile(f)
    step(*xs)
    ((version,),) = step._versions.of.values()
    values = [
        out.value
        for body in version._run.bodies
        for nest in body
        for out in (*getattr(nest, "stores", ()), *getattr(nest, "sums", ()))
    ]
    return sum(x.op == "bits" and x.args[0].op == "shl" for x in topological(values))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tanh_and_its_derivatives_have_one_exponential(dtype: np.dtype) -> None:
    x = ga.array(np.linspace(-3, 3, 64).astype(dtype))

    def value_and_slope(x: Any) -> Any:
        return ga.value_and_grad(lambda x: ga.tanh(x).sum())(x)

    def curvature(x: Any) -> Any:
        return ga.grad(lambda x: ga.grad(lambda x: ga.tanh(x).sum())(x).sum())(x)

    assert powers_of_two(lambda x: ga.tanh(x), x) == 1
    assert powers_of_two(value_and_slope, x) == 1
    assert powers_of_two(curvature, x) == 1


def test_sech_far_out() -> None:
    x = np.array([0.0, 1.0, 20.0, 40.0, 44.0, 60.0, 90.0, 300.0, 354.0, 700.0, -3.0, np.inf])
    for dtype in DTYPES:
        at = ga.array(x.astype(dtype))
        expected = (1 / np.cosh(x)).astype(dtype)
        got = ga.compile(ga.sech)(at).numpy()
        eps = float(np.finfo(dtype).eps)
        np.testing.assert_allclose(got, expected, 4 * eps)
        slope = ga.compile(ga.grad(lambda x: ga.tanh(x).sum()))(at).numpy()
        tiny = float(np.finfo(dtype).tiny)
        np.testing.assert_allclose(slope, expected**2, 8 * eps, tiny)


@pytest.mark.parametrize("name", ["nan_to_num", "round", "isposinf", "isneginf", "sinc"])
def test_what_numpy_composes(name: str) -> None:
    x = np.array([0.0, -0.0, 1.25, 2.5, -3.5, 1e300, np.nan, np.inf, -np.inf])
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x)
    got = ga.compile(getattr(ga, name))(ga.array(x)).numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, 1e-15 if name == "sinc" else 0)
    if got.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


def _pairs(dtype: np.dtype) -> Any:
    """Dividends and divisors: special values, all magnitudes, next to multiples, subnormals."""
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    small = info.smallest_subnormal
    ends = [0.0, 1.0, 3.0, 0.1, np.inf, np.nan, info.max, info.tiny, small, 1 + info.eps]
    ends = np.array([*ends, *(-x for x in ends)], dtype)
    yield [m.ravel() for m in np.meshgrid(ends, ends)]
    n = 20_000
    wide = [(10.0 ** rng.uniform(-37, 37, n) * rng.choice([-1, 1], n)).astype(dtype) for _ in "ab"]
    yield wide
    b = rng.normal(size=n).astype(dtype)
    multiple = rng.integers(1, 10**6, n).astype(dtype) * b
    for towards in (-np.inf, 0.0, np.inf):
        yield np.nextafter(multiple, dtype.type(towards)), b
    yield multiple, b
    yield [(rng.integers(-k, k, n) * small).astype(dtype) for k in (1000, 50)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_remainders_are_exact(name: str, dtype: np.dtype) -> None:
    """Quotients of fewer digits than a number go another way than the C library's; same bits."""
    f = ga.compile(getattr(ga, name))
    for a, b in _pairs(np.dtype(dtype)):
        with np.errstate(all="ignore"):
            exact = getattr(np, name)(a, b)
        found = f(a, b).numpy()
        np.testing.assert_array_equal(found, exact)
        there = ~np.isnan(exact)
        np.testing.assert_array_equal(np.signbit(found)[there], np.signbit(exact)[there])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["frexp", "modf"])
def test_parts_of_numbers_are_exact(name: str, dtype: np.dtype) -> None:
    f = ga.compile(getattr(ga, name))
    for x, _ in _pairs(np.dtype(dtype)):
        for found, exact in zip(f(x), getattr(np, name)(x), strict=True):
            there = np.isfinite(x)  # the exponent of what is not finite is not said by C
            kept = found.numpy()[there]
            assert found.dtype == exact.dtype
            np.testing.assert_array_equal(kept, exact[there])
            np.testing.assert_array_equal(np.signbit(kept), np.signbit(exact[there]))
    ends = np.array([np.inf, -np.inf, np.nan], dtype)
    first = {"frexp": ends, "modf": np.array([0.0, -0.0, np.nan], dtype)}[name]
    np.testing.assert_array_equal(f(ends)[0].numpy(), first)
