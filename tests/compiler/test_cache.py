"""Object code on disk: found again, private, bounded, and never trusted when it is not whole."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import cache, machine

posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no modes of files here")


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADARRAY_CACHE", str(tmp_path / "code"))
    return tmp_path / "code"


def text(number: float) -> str:
    return (
        f"define void @f(ptr %x) {{\n  store double 0x{np.float64(number).view('u8'):016X}, "
        "ptr %x\n  ret void\n}\n"
    )


def run(code: bytes) -> float:
    import ctypes

    loaded = machine.Loaded(code, ("f",), {})
    x = np.zeros(1)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loaded.addresses["f"])(x.ctypes.data)
    return x[0]


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that LLVM is asked for from now on."""
    asked: list[str] = []
    parse = machine.llvm.parse_assembly
    monkeypatch.setattr(machine.llvm, "parse_assembly", lambda t: asked.append(t) or parse(t))
    return asked


def test_code_is_found_again(at: Path, monkeypatch: pytest.MonkeyPatch):
    asked = compiled(monkeypatch)
    assert run(machine.object_code(text(1.5))) == 1.5
    assert run(machine.object_code(text(2.5))) == 2.5
    assert run(machine.object_code(text(1.5))) == 1.5
    assert len(asked) == 2 and len(list(at.glob("*.o"))) == 2 and not list(at.glob("*.tmp"))


def test_what_code_depends_on_is_in_its_name():
    names = {cache.key("a", "b"), cache.key("ab", ""), cache.key("a", "c"), cache.key("", "ab")}
    assert len(names) == 4


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-7],
        lambda data: data[:40],
        lambda data: b"",
        lambda data: b"\x7fELF" + data,
        lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    ],
)
def test_what_is_not_whole_is_made_anew(at: Path, monkeypatch: pytest.MonkeyPatch, spoil):
    machine.object_code(text(3.5))
    (file,) = at.glob("*.o")
    good = file.read_bytes()
    file.write_bytes(spoil(good))
    asked = compiled(monkeypatch)
    assert run(machine.object_code(text(3.5))) == 3.5
    assert len(asked) == 1 and file.read_bytes() == good


def test_another_key_s_file_does_not_count(at: Path, monkeypatch: pytest.MonkeyPatch):
    machine.object_code(text(1.0))
    machine.object_code(text(2.0))
    one, two = sorted(at.glob("*.o"))
    one.write_bytes(two.read_bytes())
    asked = compiled(monkeypatch)
    assert [run(machine.object_code(text(x))) for x in (1.0, 2.0)] == [1.0, 2.0]
    assert len(asked) == 1


@posix
def test_the_folder_is_private(at: Path, monkeypatch: pytest.MonkeyPatch):
    machine.object_code(text(1.0))
    assert stat.S_IMODE(at.stat().st_mode) == 0o700
    at.chmod(0o777)
    asked = compiled(monkeypatch)
    assert run(machine.object_code(text(1.0))) == 1.0
    machine.object_code(text(7.0))
    assert len(asked) == 2 and len(list(at.glob("*.o"))) == 1
    at.chmod(0o700)


def test_the_oldest_go(at: Path, monkeypatch: pytest.MonkeyPatch):
    size = len(machine.object_code(text(0.0))) + 100
    monkeypatch.setattr(cache, "LIMIT", 8 * size)
    for k in range(30):
        machine.object_code(text(k + 1.0))
        assert sum(f.stat().st_size for f in at.glob("*.o")) <= 8 * size
    asked = compiled(monkeypatch)
    machine.object_code(text(30.0))  # the last is there still
    assert not asked


def test_it_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for off in ("off", "0", ""):
        monkeypatch.setenv("GRADARRAY_CACHE", off)
        assert cache.folder() is None
        assert run(machine.object_code(text(1.0))) == 1.0
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("GRADARRAY_CACHE")
    assert cache.folder() == tmp_path / "gradarray"


@pytest.mark.parametrize("where", ["/proc/nowhere/code", "\0", "/dev/null"])
def test_a_folder_that_cannot_be_is_no_error(monkeypatch: pytest.MonkeyPatch, where: str):
    if "\0" in where:
        monkeypatch.setattr(cache, "folder", lambda: Path(where))
    else:
        monkeypatch.setenv("GRADARRAY_CACHE", where)
    assert run(machine.object_code(text(4.0))) == 4.0


def test_a_second_process_compiles_nothing(at: Path):
    script = (
        "import numpy as np, gradarray as ga\n"
        "from gradarray.compiler import machine\n"
        "asked = []\n"
        "parse = machine.llvm.parse_assembly\n"
        "machine.llvm.parse_assembly = lambda t: asked.append(t) or parse(t)\n"
        "w = ga.array(np.arange(6.0).reshape(3, 2), requires_grad=True)\n"
        "def f(x):\n"
        "    return (ga.tanh(x @ w) ** 2).sum()\n"
        "step = ga.compile(ga.value_and_grad(f))\n"
        "v, g = step(np.ones((4, 3)))\n"
        "print(len(asked), v.item().hex(), g.numpy().tobytes().hex())\n"
    )
    env = {**os.environ, "GRADARRAY_CACHE": str(at)}
    one, two = (
        subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    )
    assert int(one[0]) > 0 and int(two[0]) == 0
    assert one[1:] == two[1:]


def test_several_threads_compile_at_once(at: Path):
    found: dict[int, float] = {}

    def one(k: int) -> None:
        step = ga.compile(lambda x: x * float(k % 3) + k)
        found[k] = step(ga.array(2.0)).item()

    threads = [threading.Thread(target=one, args=(k,)) for k in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {k: 2.0 * (k % 3) + k for k in range(12)}


def test_the_text_is_the_same_in_every_process():
    """Gradients of gradients, a recurrent network, an optimizer: whatever lies where in memory."""
    script = (
        "import hashlib, os, numpy as np, gradarray as ga\n"
        "ga.random.seed(0)\n"
        "seed = int(os.environ['PYTHONHASHSEED'])\n"
        "held = [list(range(n)) + [[0] * (k % 24)] for n in range(30) for k in range(7 * seed)]\n"
        "rng = np.random.default_rng(0)\n"
        "nn = ga.nn\n"
        "net = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(),\n"
        "                    nn.Linear(64, 1))\n"
        "x = rng.standard_normal((320, 4)).astype('f4')\n"
        "cell = nn.LSTM(3, 8, batch_first=True)\n"
        "series = rng.standard_normal((64, 5, 3)).astype('f4')\n"
        "opt = ga.optim.Adam([*net.parameters(), *cell.parameters()])\n"
        "@ga.compile\n"
        "def step(x, series):\n"
        "    opt.zero_grad()\n"
        "    slope = ga.grad(lambda x: net(x).sum())(x)\n"
        "    loss = (slope**2).mean() + (cell(series)[0] ** 2).mean()\n"
        "    loss.backward()\n"
        "    opt.step()\n"
        "    return loss\n"
        "step(x, series)\n"
        "print(hashlib.sha256(step.show('llvm').encode()).hexdigest())\n"
    )
    env = {**os.environ, "GRADARRAY_CACHE": "off"}
    found = [
        subprocess.run(
            [sys.executable, "-c", script], env={**env, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]  # fmt: skip
    assert found[0] == found[1] == found[2]
