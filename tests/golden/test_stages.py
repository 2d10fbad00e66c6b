"""What small programs become, stage by stage, word for word: the form of the compiler's work.

Numbers are tested elsewhere. The text is that of a machine whose vectors have 32 bytes, which
every machine can run; `pytest --update-golden` writes it anew, to be read in a diff.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import machine, split

HERE = Path(__file__).parent / "stages"


def _chain() -> tuple[Any, ...]:
    """The function of the first chapter, and its derivative."""

    def f(x: Any) -> Any:
        u = x**2
        v = u + ga.exp(u)
        return ga.sqrt(v) + ga.cos(v)

    return ga.value_and_grad(f), 0.5


def _points() -> tuple[Any, ...]:
    f = lambda x, b: ga.sum(ga.square(x - b))
    return ga.grad(f, 1), np.linspace(0.0, 1.0, 60).reshape(20, 3), np.zeros(3)


def _layer() -> tuple[Any, ...]:
    """Half of a step of a layer, sample by sample."""

    def loss(w: Any, x: Any, y: Any) -> Any:
        return ga.mean((ga.relu(x @ w) - y) ** 2)

    rng = np.random.default_rng(0)
    return ga.grad(loss), rng.random((3, 4)), rng.random((40, 3)), rng.random((40, 4))


def _loop() -> tuple[Any, ...]:
    f = lambda a, x: ga.sum(ga.fori_loop(0, 10, lambda k, c: ga.relu(a @ c) + x, x))
    return ga.grad(f), np.eye(2), np.ones(2)


def _step() -> tuple[Any, ...]:
    """State: a parameter and its momentum, written where they lie."""
    w = ga.array([1.0, 2.0, 3.0], requires_grad=True)
    optimiser = ga.optim.SGD([w], lr=0.1, momentum=0.5)

    def step(x: Any) -> Any:
        optimiser.zero_grad()
        loss = ga.sum((w * x) ** 2)
        loss.backward()
        optimiser.step()
        return loss

    step(np.ones(3))
    return step, np.ones(3)


PROGRAMS = {"chain": _chain, "points": _points, "layer": _layer, "loop": _loop, "step": _step}


def _head(llvm: str) -> str:
    """The functions that there are, and what the entry calls, without the code of the kernels."""
    lines, inside = [], False
    for line in llvm.splitlines():
        if line.startswith("define"):
            inside = line.startswith("define void @")
            lines.append(re.sub(r"\(.*", "(..)", line) if not inside else line)
        elif inside or line.startswith("attributes"):
            lines.append(line)
            inside = inside and line != "}"
    return "\n".join(lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_stages_of_a_small_program(
    name: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "VECTOR", 32)
    monkeypatch.setattr(split, "LEAST", 1)
    f, *args = PROGRAMS[name]()
    compiled = ga.compile(f)
    compiled(*args)
    text = ""
    for stage in ("graph", "simplified", "split", "loops", "llvm"):
        shown = compiled.show(stage)
        shown = _head(shown) if stage == "llvm" else shown
        text += f"---- {stage}\n{shown}\n"
    golden(HERE / f"{name}.txt", text)
