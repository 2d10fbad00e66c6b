"""Programs that were lowered before: found by what their code depends on, and by nothing less."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import passes, recall
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
