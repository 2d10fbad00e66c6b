"""Object code on disk: found again, private, bounded, and never trusted when it is not whole."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

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

    loaded = machine.Loaded([code], ("f",), {})
    x = np.zeros(1)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loaded.addresses["f"])(x.ctypes.data)
    return x[0]


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that LLVM is asked for from now on."""
    asked: list[str] = []
    parse = machine.llvm.parse_assembly
    seen = lambda t, *more: asked.append(t) or parse(t, *more)
    monkeypatch.setattr(machine.llvm, "parse_assembly", seen)
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


@pytest.mark.parametrize("why", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_takes_nothing_more_gives_what_it_has(
    at: Path, monkeypatch: pytest.MonkeyPatch, why: int
):
    machine.object_code(text(1.0))
    (file,) = at.glob("*.o")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    asked = compiled(monkeypatch)
    assert [run(machine.object_code(text(x))) for x in (1.0, 6.0)] == [1.0, 6.0]
    assert len(asked) == 1 and list(at.iterdir()) == [file]


def ran(script: str, **env: str | None) -> list[str]:
    """What a process prints."""
    given = {k: v for k, v in {**os.environ, **env}.items() if v is not None}
    done = subprocess.run(
        [sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


STEP = """
import numpy as np, gradarray as ga
f = lambda x: (ga.exp(ga.tanh(x)).sum(), x * 2.0)
values = [y.numpy().tobytes().hex() for y in ga.compile(f)(np.linspace(0, 1, 9))]
"""


@posix
def test_a_disk_that_is_full_in_the_middle_of_a_file(at: Path):
    """Files end after 100 bytes here: nothing is left of them, and the step is right."""
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    one = ran(full + STEP + "print(*values)")
    assert at.is_dir() and not list(at.iterdir())
    assert one == ran(STEP + "print(*values)") and list(at.glob("*.o"))


def test_many_processes_write_at_once(at: Path):
    script = STEP + "print(*values)"
    env = {**os.environ, "GRADARRAY_CACHE": str(at)}
    started = [
        subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    found = {p.communicate()[0] for p in started}
    assert len(found) == 1 and all(p.returncode == 0 for p in started)
    assert not list(at.glob("*.tmp"))
    assert all(cache.load(file.stem) is not None for file in at.glob("*.o"))


def test_writers_and_readers_of_one_entry_never_see_half_of_it(at: Path):
    """Entries of two lengths under one name, in turn: what is read is one of them, whole."""
    name, long, short = cache.key("one"), b"l" * 300_000, b"s" * 10
    cache.store(name, long)
    end, seen = time.monotonic() + 1.0, []

    def write(code: bytes) -> None:
        while time.monotonic() < end:
            cache.store(name, code)

    threads = [threading.Thread(target=write, args=(code,)) for code in (long, short)]
    for t in threads:
        t.start()
    while time.monotonic() < end:
        seen.append(cache.load(name))
    for t in threads:
        t.join()
    assert set(seen) == {long, short} and not list(at.glob("*.tmp"))


def test_what_else_lies_in_the_folder_is_let_alone(at: Path, monkeypatch: pytest.MonkeyPatch):
    name = machine.object_name(text(1.0))
    (at / f"{name}.o").mkdir(parents=True)
    at.chmod(0o700)
    (at / "notes.txt").write_text("mine")
    (at / "other.o").write_bytes(b"another program's")
    monkeypatch.setattr(cache, "LIMIT", 1)
    assert [run(machine.object_code(text(x))) for x in (1.0, 2.0)] == [1.0, 2.0]
    cache._tidy(at)
    assert (at / f"{name}.o").is_dir() and (at / "notes.txt").read_text() == "mine"
    assert not (at / "other.o").exists() and not list(at.glob("*.tmp"))


def test_what_a_writer_left_when_it_was_killed_goes(at: Path, monkeypatch: pytest.MonkeyPatch):
    machine.object_code(text(1.0))
    (at / "cut.tmp").write_bytes(b"half of one")
    os.utime(at / "cut.tmp", (0, 0))
    monkeypatch.setattr(cache, "LIMIT", 1)
    cache._tidy(at)
    assert not list(at.iterdir())


@posix
def test_a_folder_of_another_user_is_not_used(at: Path, monkeypatch: pytest.MonkeyPatch):
    machine.object_code(text(1.0))
    before = list(at.iterdir())
    monkeypatch.setattr(os, "getuid", lambda: at.stat().st_uid + 1)
    asked = compiled(monkeypatch)
    assert [run(machine.object_code(text(x))) for x in (1.0, 2.0)] == [1.0, 2.0]
    assert len(asked) == 2 and list(at.iterdir()) == before


@posix
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o770, 0o777])
def test_a_folder_that_others_write_to_is_not_used(
    at: Path, monkeypatch: pytest.MonkeyPatch, mode: int
):
    machine.object_code(text(1.0))
    at.chmod(mode)
    asked = compiled(monkeypatch)
    machine.object_code(text(1.0))
    assert len(asked) == 1


def test_where_there_is_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("GRADARRAY_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = cache.folder()  # the user's entry among the system's may say
    assert found is None or found.is_absolute()
    monkeypatch.setattr(os.path, "expanduser", lambda at: at)  # nobody knows
    assert cache.folder() is None
    assert run(machine.object_code(text(3.0))) == 3.0
    for empty in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", empty)
        assert cache.folder() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "gradarray"


def test_an_unknown_home_is_no_error(tmp_path: Path):
    script = "import os\nos.path.expanduser = lambda at: at\n" + STEP + "print(len(values))"
    nowhere: dict[str, str | None] = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "GRADARRAY_CACHE"))
    assert ran(script, **nowhere) == ["2"]


def test_what_else_code_depends_on_is_in_its_name(monkeypatch: pytest.MonkeyPatch):
    """The processor, its features, LLVM's version, the kind of machine; dtypes are in the text."""
    names, host = [machine.object_name(text(1.0))], machine.host()
    for change in ({"cpu": "another"}, {"features": host.features + ",+more"}):
        monkeypatch.setattr(machine, "host", lambda change=change: replace(host, **change))
        names.append(machine.object_name(text(1.0)))
    monkeypatch.setattr(machine, "host", lambda: host)
    monkeypatch.setattr(machine.llvm, "llvm_version_info", (99, 0, 0))
    names.append(machine.object_name(text(1.0)))
    monkeypatch.setattr(machine.llvm, "get_default_triple", lambda: "another-machine")
    names.append(machine.object_name(text(1.0)))
    assert len(set(names)) == len(names) == 5


def test_a_second_process_compiles_nothing(at: Path):
    script = (
        "import threading\n"
        "import numpy as np, gradarray as ga\n"
        "from gradarray.compiler import machine\n"
        "asked = []\n"
        "parse = machine.llvm.parse_assembly\n"
        "machine.llvm.parse_assembly = lambda t, *more: asked.append(t) or parse(t, *more)\n"
        "w = ga.array(np.arange(6.0).reshape(3, 2), requires_grad=True)\n"
        "def f(x):\n"
        "    return (ga.tanh(x @ w) ** 2).sum()\n"
        "step = ga.compile(ga.value_and_grad(f))\n"
        "v, g = step(np.ones((4, 3)))\n"
        "for thread in threading.enumerate():\n"  # what every step stands on is on the disk, too
        "    if thread.name == 'gradarray-ahead':\n"
        "        thread.join()\n"
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
