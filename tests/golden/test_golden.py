"""What people read: representations and error messages, kept word for word in text files here."""

import linecache
import re
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga

HERE = Path(__file__).parent

FORMS = """
ga.array([1.0, 2.0])
ga.array([1.0, 2.0], requires_grad=True)
ga.array(3.5)
ga.array(3.5, requires_grad=True)
ga.array([[1, 2], [3, 4]])
ga.array([True, False])
ga.array([0.1, 1e-20, 1e20], dtype="float32")
ga.array([1 + 2j, 0.5])
ga.array([])
ga.array(np.zeros((0, 3)), requires_grad=True)
ga.array(np.arange(2000.0))
ga.array(np.arange(1200.0).reshape(40, 30))
ga.array([np.nan, np.inf, -0.0])
leaf * 2.0
leaf.sum()
ga.exp(leaf)
leaf @ leaf
leaf > 1.5
leaf.detach()
[leaf, leaf.sum()]
(leaf * 2.0)._grad_op
f"{leaf.sum():.3f}"
f"{leaf}"
ga.grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
ga.value_and_grad(lambda p: p["w"] * p["b"])({"w": 2.0, "b": 3.0})
ga.vjp(ga.sin, 0.0)[0]
"""

ERRORS = """
ga.array([1.0, 2.0]) + ga.array([1.0, 2.0, 3.0])
ga.array(np.ones((2, 3))) * np.ones((3, 2))
ga.array(np.ones((2, 3))) @ ga.array(np.ones((2, 3)))
ga.array(np.ones((4, 2, 3))) @ np.ones(2)
ga.matmul(1.0, leaf)
leaf.reshape(3)
ga.transpose(leaf, (0, 1))
ga.sum(leaf, axis=1)
ga.sum(leaf, axis=(0, 0))
ga.sum(leaf, axis="rows")
ga.concatenate([leaf, np.ones((2, 2))])
leaf[5]
leaf[0, 0]
leaf["a"]
ga.array("text")
ga.array([[1.0], [1.0, 2.0]])
ga.array([1, 2], requires_grad=True)
ga.array([True]).requires_grad_()
(leaf * 2.0).requires_grad_(False)
bool(leaf)
leaf.item()
len(ga.array(1.0))
[1, 2][ga.array(0.5)]
leaf += 1.0
leaf[0] = 1.0
np.asarray(leaf)
np.asarray(leaf * 2.0)
np.histogram2d(leaf, leaf)
np.busday_count(leaf, leaf)
np.add(leaf, 1.0, out=np.ones(2))
np.exp.at(leaf, 0)
leaf.grad = np.ones(3)
(leaf * 2.0).backward()
(leaf * 2.0).backward([1.0, 2.0, 3.0])
ga.array(1.0).backward()
ga.array([1, 2]).backward()
freed.backward()
freed._grad_op.backward(1.0)
frozen.backward()
ga.array(1.0).retain_grad()
copy.deepcopy(leaf * 2.0)
pickle.dumps(leaf * 2.0)
ga.GradArray([1.0])
ga.grad(lambda x: x * 2.0)(np.ones(3))
ga.grad(lambda x: (x, x))(1.0)
ga.grad(lambda x: None)(1.0)
ga.grad(lambda x: x > 0)(1.0)
ga.grad(lambda x: x * 1j)(1.0)
ga.grad(lambda x: x * x, has_aux=True)(1.0)
ga.grad(lambda x: x * x, argnums=1)(1.0)
ga.grad(lambda p: p["n"] * 1.0)({"n": np.array([1, 2])})
ga.grad(lambda p: 1.0)({})
ga.jvp(lambda x: x, 1.0, 1.0)
ga.jvp(lambda x: x, (np.ones(2),), (np.ones(3),))
ga.jvp(lambda p: p["w"], ({"w": 1.0},), ([1.0],))
ga.vjp(lambda x: (x, x), 1.0)[1](1.0)
ga.tree.map(lambda a, b: a, [1, 2], [1, [2]])
Unconnected.apply(leaf).sum().backward()
WrongCount.apply(leaf).sum().backward()
WrongShape.apply(leaf).sum().backward()
Unconnected.apply(leaf, leaf)
Unconnected.apply(leaf, scale=2.0)
ga.set_subgradient("relu", 2.0).__enter__()
"""

SETTING = """
import copy, pickle
leaf = ga.array([1.0, 2.0], requires_grad=True)
freed = ga.exp(leaf).sum()
freed.backward()
leaf.zero_grad()
with ga.no_grad():
    frozen = leaf * 2.0

class Unconnected(ga.Grad):
    def forward(x):
        return np.exp(x)
    def backward(y_bar, x):
        return ga.exp(1.0)

class WrongCount(ga.Grad):
    def forward(x):
        return np.exp(x)
    def backward(y_bar, y):
        return y_bar * y, y_bar

class WrongShape(ga.Grad):
    def forward(x):
        return np.exp(x)
    def backward(y_bar, y):
        return ga.concatenate([y_bar * y, y])
"""


def run(line: str, names: dict) -> object:
    """Run one line as if it stood in a file, so that errors can show it."""
    linecache.cache["example.py"] = (len(line), None, [line + "\n"], "example.py")
    try:
        code = compile(line, "example.py", "eval")
    except SyntaxError:
        code = compile(line, "example.py", "exec")
    return eval(code, names)


def told(lines: str, tell) -> str:
    """Each line and what comes of it, as a session at a prompt."""
    out = []
    for line in lines.strip().splitlines():
        names = {"ga": ga, "np": np}
        exec(SETTING, names)
        out.append(f">>> {line}\n{tell(line, names)}\n")
    # Nodes are numbered in the order of a whole program.
    return re.sub(r"(<\w+ #)\d+>", r"\1N>", "\n".join(out))


def raised(line: str, names: dict) -> str:
    with pytest.raises(Exception) as caught:  # the golden text says which
        run(line, names)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_forms(golden):
    golden(HERE / "forms.txt", told(FORMS, lambda line, names: repr(run(line, names))))


def test_errors(golden):
    golden(HERE / "errors.txt", told(ERRORS, raised))
