"""Programs that were lowered before: found by what their code depends on, and by nothing less."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import loaded
from gradarray.compiler import cache, passes, recall
from gradarray.compiler.native import Native
from gradarray.compiler.record import record


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADARRAY_CACHE", str(tmp_path / "code"))
    monkeypatch.setattr(recall, "enabled", True)


def program(f: Any, *args: Any) -> Any:
    leaves, form = ga.tree.flatten((args, {}))
    return record(f, leaves, form).program


def key(f: Any, *args: Any) -> str | None:
    return recall.key(program(f, *args), 0, {})


X = ga.array(np.linspace(-1, 1, 12).reshape(3, 4))


def test_equal_programs_have_one_name():
    assert key(lambda x: (ga.tanh(x) @ x.T).sum(), X) == key(lambda x: (ga.tanh(x) @ x.T).sum(), X)


@pytest.mark.parametrize(
    "other",
    [
        lambda x: (ga.sin(x) @ x.T).sum(),
        lambda x: (ga.tanh(x) @ x.T).sum(0),
        lambda x: (ga.tanh(x) @ (2 * x).T).sum(),
        lambda x: (ga.tanh(x) @ x.T + np.ones(3)).sum(),
        lambda x: (x @ ga.tanh(x).T).sum(),
        lambda x: ((ga.tanh(x) @ x.T).sum(), x.sum()),
        lambda x: (ga.tanh(x) @ x.T).astype(np.float32).sum(),
    ],
)
def test_other_programs_have_other_names(other: Any):
    assert key(lambda x: (ga.tanh(x) @ x.T).sum(), X) != key(other, X)


def test_what_code_depends_on_beside_the_program_counts(monkeypatch: pytest.MonkeyPatch):
    p = program(lambda x: (ga.relu(x) ** 2).sum(), X)
    names = [recall.key(p, 0, {}), recall.key(p, 1, {}), recall.key(p, 0, {0: 0})]
    with passes.without("split"):
        names.append(recall.key(p, 0, {}))
    with ga.set_subgradient(ga.relu, 0.5):
        names.append(recall.key(p, 0, {}))
    monkeypatch.setattr(recall, "_library", lambda: "another one")
    names.append(recall.key(p, 0, {}))
    assert None not in names and len(set(names)) == len(names)


def test_constants_count():
    assert key(lambda x: x * np.arange(4.0), X) != key(lambda x: x * np.arange(1.0, 5.0), X)
    large = np.zeros(recall.LARGE // 8 + 1)
    assert key(lambda x: x.sum() + large, X) is None


def test_what_is_not_the_library_s_has_no_name():
    class Mine(ga.Elementwise):
        forward = staticmethod(lambda x: 2 * x)
        partials = (2.0,)

    assert key(lambda x: Mine.apply(x), X) is None


def test_a_class_that_bears_the_name_of_another_has_no_name():
    class SinGrad(ga.Elementwise):
        forward = staticmethod(lambda x: 2 * x)
        partials = (2.0,)

    SinGrad.__module__ = "gradarray.ops.trigonometric"
    assert key(lambda x: SinGrad.apply(x), X) is None
    SinGrad.__qualname__ = "SinGrad"
    assert key(lambda x: SinGrad.apply(x), X) is None
    assert key(ga.sin, X) is not None


def test_the_sign_of_a_nan_counts():
    nan = np.copysign(np.nan, -1.0)
    assert np.signbit(nan) and not np.signbit(np.nan)
    words = {recall._Words({}).word(float(x)) for x in (nan, np.nan, 0.0, -0.0)}
    words |= {recall._Words({}).word(complex(0.0, x)) for x in (nan, np.nan, 0.0, -0.0)}
    assert len(words) == 8


def library(monkeypatch: pytest.MonkeyPatch, root: Path) -> str | None:
    monkeypatch.setattr(recall, "__file__", str(root / "compiler" / "recall.py"))
    return recall._library.__wrapped__()


@pytest.mark.skipif(os.name == "nt", reason="no dates of entries here")
def test_every_change_of_the_library_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loaded, "at", float("inf"))
    root = tmp_path / "library"
    (root / "compiler").mkdir(parents=True)
    file = root / "compiler" / "one.py"
    file.write_text("x = 1\n")
    found = [library(monkeypatch, root)]
    dates = file.stat().st_atime_ns, file.stat().st_mtime_ns
    time.sleep(0.05)  # the clock of files ticks
    file.write_text("x = 2\n")
    os.utime(file, ns=dates)  # as an archive's files have, of whatever version
    found.append(library(monkeypatch, root))
    (root / "two.py").write_text("")
    found.append(library(monkeypatch, root))
    monkeypatch.setattr(np, "__version__", "another")
    found.append(library(monkeypatch, root))
    assert None not in found and len(set(found)) == 4


def test_a_library_that_is_not_known_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    p = program(lambda x: x * 2.0 + 1.0, X)
    assert library(monkeypatch, tmp_path / "not there") is None  # in an archive
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "compiled.pyc").write_bytes(b"")
    assert library(monkeypatch, tmp_path / "only") is None
    monkeypatch.undo()
    monkeypatch.setattr(recall, "enabled", True)
    monkeypatch.setattr(loaded, "at", 0.0)  # what runs here is what was there before
    monkeypatch.setattr(recall, "_library", recall._library.__wrapped__)
    assert recall.key(p, 0, {}) is None
    np.testing.assert_array_equal((Native(p)([X.numpy()]) or [])[0], 2 * X.numpy() + 1)


def test_a_loop_is_known_by_its_body():
    def turns(n: float) -> Any:
        return lambda x: ga.fori_loop(0, 5, lambda k, c: ga.sin(c) * n, x)

    assert key(turns(2.0), X) == key(turns(2.0), X) != key(turns(3.0), X)
    assert key(turns(2.0), X) is not None


def test_what_is_recalled_is_what_was_made(monkeypatch: pytest.MonkeyPatch):
    f = lambda x, i: (ga.exp(x) @ x.T, ga.take(x, i, 0), np.arange(3.0))
    i = ga.array(np.array([0, 2]))
    p = program(f, X, i)
    made, given = Native(p), [X.numpy(), i.numpy()]
    monkeypatch.setattr("gradarray.compiler.native.assemble", None)
    again = Native(p)
    for x, y in zip(made(given) or [], again(given) or [], strict=True):
        np.testing.assert_array_equal(x, y)
    with pytest.raises(IndexError, match="out of bounds"):
        again([X.numpy(), np.array([0, 3])])
    monkeypatch.undo()
    assert again.whole().text == made.text and made.whole() is made


def test_what_is_made_again_is_made_as_it_was():
    """Under other choices a recalled step shows and exports the code that runs."""
    with ga.set_subgradient("relu", 0.25), passes.without("fuse"):
        p = program(ga.grad(lambda x: (ga.relu(x) ** 2 + ga.relu(x)).sum()), X)
        made, again = Native(p), Native(p)
    assert again.is_recalled and Native(p, recalled=False).text != made.text
    assert again.whole().text == made.text
    assert passes.is_on("fuse") and ga.choices.table["relu"].value == 0.0


def kept(name: str) -> Path:
    folder = cache.folder()
    assert folder is not None
    return folder / f"{name}.o"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda name, code: cache.store(name, b"not a pickle"),
        lambda name, code: cache.store(name, pickle.dumps(None)[:-1]),
        lambda name, code: cache.store(name, pickle.dumps(["another", "thing"])),
        lambda name, code: cache.store(name, pickle.dumps({"codes": [code]})),
        lambda name, code: kept(code).unlink(),
        lambda name, code: kept(name).write_bytes(kept(code).read_bytes()),
    ],
    ids=["no pickle", "cut short", "a list", "in part", "no code", "another's"],
)
def test_what_is_kept_and_not_whole_is_made_anew(spoil: Any):
    p = program(lambda x: x * 2.0 + 1.0, X)
    made, name = Native(p), recall.key(p, 0, {})
    assert name is not None and Native(p).is_recalled
    spoil(name, made.codes[0])
    again = Native(p)
    assert not again.is_recalled and again.text == made.text
    np.testing.assert_array_equal((again([X.numpy()]) or [])[0], 2 * X.numpy() + 1)
    assert Native(p).is_recalled


def test_code_has_one_name_whatever_was_compiled_before():
    """The turns of a parallel loop were named by a number that counts all loops of a process."""
    p = program(lambda x: ga.exp(ga.tanh(x)).sum(), ga.zeros(200_000))
    one = Native(p, recalled=False)
    Native(program(ga.sin, ga.zeros(100_000)))
    assert one.shares and one.text == Native(p, recalled=False).text


SCRIPT = """
import sys, numpy as np, gradarray as ga
from gradarray.compiler import native
made = []
assemble = native.assemble
native.assemble = lambda *args, **rest: made.append(args) or assemble(*args, **rest)
rng = np.random.default_rng(0)
ga.random.seed(0)
net = ga.nn.Sequential(ga.nn.Linear(3, 8), ga.nn.Tanh(), ga.nn.Dropout(0.1), ga.nn.Linear(8, 1))
optimizer = ga.optim.Adam(net.parameters())
x, y = rng.standard_normal((64, 3)), rng.standard_normal((64, 1))
@ga.compile
def step(x, y):
    optimizer.zero_grad()
    loss = ((net(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss
losses = [step(x, y).item().hex() for _ in range(5)]
print(len(made), *losses, *[p.numpy().tobytes().hex() for p in net.parameters()])
print(*[hash(step.show(what)) for what in ("loops", "llvm")], "peak" in step.show("cost"))
step.export(sys.argv[1], "step")
print(*[(len((__import__("pathlib").Path(sys.argv[1]) / f"step.{k}").read_bytes())) for k in "oh"])
"""


def test_a_second_process_lowers_nothing(tmp_path: Path):
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    one, two = (
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / str(k))], env=env, capture_output=True,
            text=True, check=True,
        ).stdout.split()
        for k in range(2)
    )  # fmt: skip
    assert int(one[0]) > 0 and int(two[0]) == 0
    assert one[1:] == two[1:]


def test_blas_is_found_without_scipy_linalg():
    script = (
        "import sys\n"
        "from gradarray.compiler.addresses import address\n"
        "at = address('dgemm')\n"
        "assert 'scipy.linalg' not in sys.modules\n"
        "assert address('dpotrf') != at and 'scipy.linalg' not in sys.modules\n"
        "import scipy.linalg, scipy.linalg.cython_blas\n"
        "assert scipy.linalg.cython_blas.__pyx_capi__\n"
        "address.cache_clear()\n"
        "assert address('dgemm') == at\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
