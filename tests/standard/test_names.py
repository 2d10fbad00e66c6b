"""The names and signatures of the Python array API standard, against `array_api_strict`.

That package takes only what the standard allows, so its names, signatures and dtypes are an
independent statement of it.
"""

import inspect

import array_api_strict as strict
import numpy as np
import pytest

import gradarray as ga

VERSION = "2024.12"
NEWER = {"broadcast_shapes", "isin"}  # in 2025.12, which array_api_strict also knows
OWN = {n for n in strict.__all__ if "strict" in n or n in ("ArrayAPIStrictFlags", "__version__")}
SPACES = {"": (strict, ga), "linalg": (strict.linalg, ga.linalg), "fft": (strict.fft, ga.fft)}
NAMES = [
    (space, name)
    for space, (theirs, _) in SPACES.items()
    for name in theirs.__all__
    if name not in OWN | NEWER | {"Device"}
]
FUNCTIONS = [(s, n) for s, n in NAMES if inspect.isfunction(getattr(SPACES[s][0], n))]
DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
]


@pytest.fixture(autouse=True)
def version():
    with strict.ArrayAPIStrictFlags(api_version=VERSION):
        yield


# Names and signatures -----------------------------------------------------------------------------


@pytest.mark.parametrize(("space", "name"), NAMES, ids=".".join)
def test_every_name_is_there(space, name):
    theirs, ours = (getattr(module, name) for module in SPACES[space])
    assert callable(ours) == callable(theirs) or name in DTYPES
    if isinstance(theirs, float):
        assert ours == theirs or (name == "nan" and ours != ours)


def test_the_list_of_names_is_that_of_the_standard():
    new = {"count_nonzero", "diff", "nextafter", "reciprocal", "take_along_axis"}  # in 2024.12
    old = {"unique_all", "searchsorted", "cumulative_prod", "from_dlpack", "isdtype", "hypot"}
    assert new | old <= {name for _, name in FUNCTIONS}
    assert {"svd", "vector_norm", "ihfft", "fftshift"} <= {name for _, name in FUNCTIONS}


@pytest.mark.parametrize(("space", "name"), FUNCTIONS, ids=".".join)
def test_the_standards_call_forms_are_taken(space, name):
    theirs, ours = (inspect.signature(getattr(module, name)) for module in SPACES[space])
    by_place, by_either, by_name = [], [], []
    for p in theirs.parameters.values():
        if p.kind is p.POSITIONAL_ONLY:
            by_place.append(p)
        elif p.kind is p.POSITIONAL_OR_KEYWORD:
            by_either.append(p.name)
        elif p.kind is p.KEYWORD_ONLY:
            by_name.append(p.name)
        else:
            by_place += [p, p]
    required = [p for p in by_place if p.default is p.empty]
    for count in range(len(required), len(by_place) + 1):
        named = dict.fromkeys(by_name)
        ours.bind(*[None] * (count + len(by_either)), **named)
        ours.bind(*[None] * count, **dict.fromkeys(by_either), **named)


def test_every_attribute_of_an_array_is_there():
    names = {n for n in dir(type(strict.asarray([1.0]))) if n not in dir(object)}
    private = {n for n in names if n.startswith("_") and not n.startswith("__")}
    python = {"__annotations__", "__slots__", "__weakref__", "__buffer__"}
    assert {n for n in names - private - python if not hasattr(ga.GradArray, n)} == set()


# Dtypes, devices, and the namespace itself --------------------------------------------------------


def test_result_type_and_can_cast():
    met = 0
    for a in DTYPES:
        for b in (*DTYPES, True, 1, 1.0, 1j):
            named = isinstance(b, str)
            try:
                theirs = strict.result_type(strict.ones(1, dtype=getattr(strict, a)),
                                            getattr(strict, b) if named else b)  # fmt: skip
            except TypeError:
                continue
            ours = ga.result_type(ga.ones(1, dtype=a), getattr(ga, b) if named else b)
            assert ours == theirs._np_dtype
            met += 1
            if named:
                cast = strict.can_cast(getattr(strict, a), getattr(strict, b))
                assert ga.can_cast(getattr(ga, a), getattr(ga, b)) == cast
    assert met > 90


KINDS = [
    *("bool", "signed integer", "unsigned integer", "integral", "real floating"),
    *("complex floating", "numeric"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_dtypes(kind):
    for name in DTYPES:
        assert ga.isdtype(getattr(ga, name), kind) == strict.isdtype(getattr(strict, name), kind)
    assert ga.isdtype(ga.zeros(1).dtype, (ga.float64, "bool"))
    ours = ga.__array_namespace_info__().dtypes(kind=kind)
    theirs = strict.__array_namespace_info__().dtypes(kind=kind)
    assert {n: d.name for n, d in ours.items()} == {n: d._np_dtype.name for n, d in theirs.items()}


def test_limits_of_dtypes():
    for name in DTYPES[1:]:
        which = "iinfo" if "int" in name else "finfo"
        ours, theirs = (getattr(xp, which)(getattr(xp, name)) for xp in (ga, strict))
        for limit in (
            "bits",
            "max",
            "min",
            *(("eps", "smallest_normal") if which == "finfo" else ()),
        ):
            assert getattr(ours, limit) == getattr(theirs, limit)
    assert ga.finfo(ga.ones(1, dtype="float32")).bits == 32
    assert ga.iinfo(ga.ones(1, dtype="int8")).bits == 8


def test_what_the_namespace_tells_of_itself():
    ours, theirs = (xp.__array_namespace_info__() for xp in (ga, strict))
    assert ours.capabilities() == theirs.capabilities()
    assert {k: d.name for k, d in ours.default_dtypes().items()} == {
        k: d._np_dtype.name for k, d in theirs.default_dtypes().items()
    }
    assert set(ours.dtypes()) == set(DTYPES) and ours.dtypes(kind=()) == {}
    assert set(ours.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert ours.devices() == [ours.default_device()] == [ga.ones(1).device]
    assert ga.__array_api_version__ == VERSION
    with pytest.raises(ValueError, match="there is no kind 'float'"):
        ours.dtypes(kind="float")


def test_an_array_gives_its_namespace():
    x = ga.array([1.0, 2.0], requires_grad=True)
    assert x.__array_namespace__() is ga
    assert x.__array_namespace__(api_version=VERSION) is ga
    with pytest.raises(ValueError, match=r"version '1999\.01' of the array API standard is not"):
        x.__array_namespace__(api_version="1999.01")
    found = ga.vmap(lambda row: row.__array_namespace__().sum(row))(ga.ones((2, 3)))
    assert found.tolist() == [3.0, 3.0]


def test_the_one_device():
    x = ga.array([1.0], requires_grad=True)
    assert x.to_device("cpu") is x and x.to_device(x.device, stream=None) is x
    assert ga.zeros_like(x, device=x.device).device == "cpu"
    for make in (
        lambda: x.to_device("gpu"), lambda: ga.zeros(2, device="gpu"), lambda: ga.eye(2, device=1),
        lambda: ga.linspace(0, 1, 2, device="gpu"), lambda: ga.asarray([1.0], device="gpu"),
        lambda: ga.astype(x, "float32", device="gpu"), lambda: ga.full(2, x[0], device="gpu"),
        lambda: ga.from_dlpack(np.ones(1), device="gpu"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"there is no device .*Leave device out"):
            make()
    with pytest.raises(ValueError, match="no streams"):
        x.to_device("cpu", stream=1)
