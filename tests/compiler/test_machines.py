"""Other machines than this one: processors, systems, and installations without LLVM."""

import os
import platform
import subprocess
import sys
import textwrap

import pytest

intel = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="runs code for processors of this kind"
)


def child(*parts: str) -> str:
    """What a new process prints, with its warnings."""
    code = "\n".join(map(textwrap.dedent, parts))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
        env={**os.environ, "GRADARRAY_CACHE": "off"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# A network's steps, functions, sorting, linear algebra and loops, against eager arithmetic.
WORK = """
import numpy as np
import gradarray as ga

def step_of(compiled, dtype):
    ga.random.seed(0)
    nn = ga.nn
    model = ga.Sequential(
        nn.Conv2d(1, 4, 3, dtype=dtype), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(36, 20, dtype=dtype), nn.Tanh(), nn.Dropout(0.1), nn.Linear(20, 3, dtype=dtype),
    )
    optimizer = ga.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(130, 1, 8, 8)).astype(dtype), rng.integers(0, 3, 130)

    def step():
        loss = nn.CrossEntropyLoss()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    run = ga.compile(step) if compiled else step
    for _ in range(3):
        run()
    return [p.detach().numpy() for p in model.parameters()]

for dtype, most in (("float32", 1e-5), ("float64", 1e-12)):
    for mine, theirs in zip(step_of(True, dtype), step_of(False, dtype)):
        assert np.abs(mine - theirs).max() < most * max(1, np.abs(theirs).max())

a = np.random.default_rng(1).normal(size=(20, 20))
a = a @ a.T + 20 * np.eye(20)
for f in (
    lambda a: ga.sort(a, axis=0), lambda a: ga.linalg.solve(a, a[:, 0]),
    lambda a: ga.fft.fft(a).real, lambda a: ga.softmax(a @ a.T / 100, axis=-1) @ a,
    lambda a: ga.scan(lambda c, u: (ga.tanh(c + u), c), a[0], a)[1], lambda a: ga.erf(ga.sin(a)),
):
    for g in (f, ga.grad(lambda a: ga.sum(f(a) ** 2))):
        mine, theirs = ga.compile(g)(a).numpy(), g(ga.array(a)).numpy()
        assert np.abs(mine - theirs).max() < 1e-10 * np.abs(theirs).max()
"""

# LLVM is told that this is another processor.
PROCESSOR = """
from gradarray.compiler import machine
machine._start()
machine._processor = lambda: machine.Target({cpu!r}, "", {size}, {registers})
"""


@intel
@pytest.mark.parametrize(
    ("cpu", "size", "register"),
    [("haswell", 32, "ymm"), ("nehalem", 16, "xmm"), ("x86-64", 16, "xmm")],
)
def test_processors_without_avx_512(cpu: str, size: int, register: str) -> None:
    asm = "print(f.show('asm'))"
    function = "f = ga.compile(lambda x: ga.sum(ga.exp(x)))\nf(np.ones(1000))\n"
    code = child(PROCESSOR.format(cpu=cpu, size=size, registers=16), WORK, function, asm)
    wider = {"ymm": ("zmm",), "xmm": ("ymm", "zmm")}[register]
    assert register in code and not any(name in code for name in wider)


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "arm64-apple-darwin23"])
def test_the_text_for_aarch64_becomes_code_for_it(triple: str) -> None:
    """All that the work above is made of, at 16 bytes a vector; it cannot be run here. But for the
    pool, whose text is written for the system that it runs on."""
    made = child(
        """
        import threading
        import llvmlite.binding as llvm
        from gradarray.compiler import machine
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        """,
        f"""
        there = llvm.Target.from_triple({triple!r}).create_target_machine(
            opt=2, reloc="pic", codemodel="small")
        """,
        """
        verified, sizes, one_by_one = machine.verified, [], threading.Lock()
        def both(text, *context):
            with one_by_one:
                if "llvm.x86" not in text:
                    sizes.append(len(there.emit_object(verified(text))))
                return verified(text, *context)
        machine.verified = both
        machine.VECTOR = 16
        """,
        WORK,
        "print(len(sizes), min(sizes))",
    )
    count, least = map(int, made.split()[-2:])
    assert count > 10 and least > 100


# What Python says of a system, after it has loaded what it needs of this one.
SYSTEM = """
import concurrent.futures, ctypes, logging, os, platform, random, sys, tempfile
import llvmlite.binding, scipy.linalg
"""
SYSTEMS = {
    "macOS": "sys.platform = 'darwin'\nplatform.system = lambda: 'Darwin'",
    "Windows": """
    sys.platform = 'win32'
    platform.system = lambda: 'Windows'
    for name in ('register_at_fork', 'fork', 'getuid', 'geteuid', 'sched_getaffinity'):
        if hasattr(os, name):
            delattr(os, name)
    load = ctypes.CDLL
    def windows_load(name, *args, **options):
        if name is None:
            raise TypeError('bad argument type for built-in operation')
        return load(name, *args, **options)
    ctypes.CDLL = windows_load
    """,
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_other_systems_have_one_thread(name: str) -> None:
    told = child(
        SYSTEM, SYSTEMS[name], WORK,
        """
        from gradarray.compiler import pool
        ga.set_threads(2)
        f = ga.compile(lambda a: ga.sum(ga.sin(a)))
        assert abs(f(np.ones((500, 900))).item() / (450_000 * np.sin(1)) - 1) < 1e-12
        print('shared:', pool.can_share())
        """,
    )  # fmt: skip
    assert "shared: False" in told


MISSING = {
    "not installed": "import sys\nsys.modules['llvmlite'] = None",
    "its library does not load": """
    import ctypes
    load = ctypes.CDLL
    def fail(name, *args, **options):
        if 'llvmlite' in str(name):
            raise OSError('cannot open shared object file')
        return load(name, *args, **options)
    ctypes.CDLL = fail
    """,
}
TRAINED = """
import numpy as np
import gradarray as ga
x = ga.array(2.0, requires_grad=True)
(x * x).backward()
assert x.grad.item() == 4
ga.random.seed(0)
model = ga.Sequential(ga.nn.Linear(4, 3))
model.compile(optimizer='adam', loss='mse', run_eagerly={eagerly})
x, y = np.ones((10, 4), 'float32'), np.ones((10, 3), 'float32')
history = model.fit(x, y, epochs=3, verbose=0)
assert history.history['loss'][-1] < history.history['loss'][0]
assert model.predict(x).shape == (10, 3)
"""


@pytest.mark.parametrize("why", MISSING)
def test_without_llvm_all_is_eager(why: str) -> None:
    told = child(MISSING[why], TRAINED.format(eagerly=False))
    assert "train_step cannot be compiled, and runs op by op" in told
    assert "llvmlite, which makes native code, cannot be loaded" in told
    assert "Warning" not in child(MISSING[why], TRAINED.format(eagerly=True))
    refused = child(
        MISSING[why],
        """
        import gradarray as ga
        for use in (lambda: ga.compile(ga.sin), lambda: ga.set_threads(2)):
            try:
                use()
            except ImportError as error:
                print(error)
        """,
    )
    assert refused.count("cannot be loaded") == 2 and refused.count("Install it anew") == 2
    assert "frozen" not in refused
