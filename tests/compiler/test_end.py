"""The end of a process: whatever is still there of compiled code, it ends as it should.

Memory that is freed is filled with ones (by glibc), so that what reads it is seen.
"""

import os
import subprocess
import sys

import pytest

START = """
import atexit, builtins, gc, os, sys, threading, time
import numpy as np, gradarray as ga
ga.set_threads(2)
layer = ga.nn.Linear(2, 32)
optimizer = ga.optim.SGD(layer.parameters(), lr=0.1)
x = np.ones((4099, 2))
@ga.compile
def step(x):
    optimizer.zero_grad()
    loss = (ga.tanh(layer(x)) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss
wide = ga.compile(lambda x: (ga.exp(ga.tanh(x)), ga.take(x, np.arange(9))))
for _ in range(3):
    step(x), wide(x[:, 0].repeat(40))
"""

ENDS = {
    "as it is": "",
    "a version in a cycle": "step.me = step, step._versions.last",
    "called when it is collected": (
        "class Call:\n"
        "    def __init__(self, *all): self.f, *self.args = all\n"
        "    def __del__(self): print('called', self.f(*self.args).size)\n"
        "builtins.last = Call(step, x)\n"
        "held = Call(step, x); held.me = held; del held\n"
    ),
    "called at exit": "atexit.register(gc.collect); atexit.register(step, x)",
    "a thread that exits": (
        "threading.Thread(target=lambda: (step(x), sys.exit(3))).start()\nsys.exit(0)"
    ),
    "threads that go on": (
        "def on():\n"
        "    while True: wide(x[:, 0].repeat(400))\n"
        "for _ in range(2): threading.Thread(target=on, daemon=True).start()\n"
        "time.sleep(0.05)\n"
    ),
    "a fork": (
        "child = os.fork()\n"
        "if child: assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "else: step(x); ga.compile(ga.sin)(x); sys.exit(7)\n"
    ),
    "a profile": (
        "import cProfile; builtins.seen = cProfile.Profile(); seen.enable(); step(x)\n"
    ),
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.replace(" ", "_"))
def test_it_ends(end: str) -> None:
    if end == "a fork" and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    env = {**os.environ, "PYTHONMALLOC": "malloc", "MALLOC_PERTURB_": "255"}
    found = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", START + ENDS[end]],
        env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.count("called") == 2 * (end == "called when it is collected")
