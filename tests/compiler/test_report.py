"""What a compiled step shows of itself."""

import re
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler.expr import leaf, make
from gradarray.compiler.loop_text import text
from gradarray.compiler.loops import Access, Buffer, Nest, Store, Sum, Var


@pytest.fixture
def step() -> Any:
    w = ga.array(np.full((32, 16), 0.1), requires_grad=True)

    def f(x: Any) -> Any:
        w.zero_grad()
        loss = (ga.tanh(x @ w) ** 2).mean()
        loss.backward()
        with ga.no_grad():
            w[...] = w - 0.1 * w.grad  # type: ignore[operator]
        return loss

    step = ga.compile(f)
    step(np.ones((256, 32)))
    step.w = w
    return step


def number(report: str, line: str) -> float:
    found = re.search(rf"^{line} +([\d.]+)([kMG]?)", report, re.MULTILINE)
    assert found, report
    return float(found[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]]


def test_cost_counts_operations_and_bytes(step: Any):
    before = step.w.numpy().copy()
    report = step.show("cost")
    np.testing.assert_array_equal(step.w.numpy(), before)  # the run that is timed is on copies
    products = 2 * 2 * 256 * 32 * 16  # forward, and the gradient of w
    assert products < number(report, "operations") < products + 256 * 16 * 80
    outside = 8 * (256 * 32 + 3 * 32 * 16 + 1)  # x; w read, written, its gradient; the loss
    assert abs(number(report, "bytes touched.*of these") / 1e3 * 1e3 - outside) < 0.05 * outside
    assert "calls of the host     none" in report and "tanh" in report
    for line in ("limit", "measured", "peak memory", "this machine"):
        assert number(report, line) > 0


def test_a_call_of_the_host_has_its_reason():
    step = ga.compile(lambda x: ga.linalg.svd(x, compute_uv=False).sum() * 2)
    step(np.eye(3))
    report = step.show("cost")
    hosted = not re.search("calls of the host +none", report)
    assert hosted == any(not isinstance(p, list) for p in step._versions.last._run.parts)
    if hosted:
        assert re.search(r"svd\w*: .+ test_report.py:\d+", report)


def test_code_is_shown(step: Any):
    assert "define void @entry0(ptr %arena, ptr %table)" in step.show("llvm")
    assert "entry0:" in step.show("asm")
    assert step.show("loops").startswith("b0[:] = 0")
    assert step.show("graph").startswith("%0 = input")
    with pytest.raises(ValueError, match="'code' is none of graph, simplified, split, loops"):
        step.show("code")


def test_what_is_used_twice_has_a_name():
    i, j = Var(4, "i"), Var(3, "j")
    f = np.dtype("f8")
    x, y, z = (Buffer(12, f, name=n) for n in "xyz")
    a = leaf(0, f)
    square = make("mul", a, a)
    twice = make("add", make("sqrt", square), make("neg", square))
    nest = Nest(
        [i, j], {a: Access(x, 0, ((i, 3), (j, 1)))}, [Store(Access(y, 2, ((i, 3),)), twice)],
        [Sum(Access(z), square, "max", fresh=False)], label="sqrt, max",
    )  # fmt: skip
    assert text([nest]) == (
        "nest i < 4, j < 3:  # sqrt, max\n"
        "    t0 = x[3*i + j] * x[3*i + j]\n"
        "    y[2 + 3*i] = sqrt(t0) + -t0\n"
        "    z[0] += max(t0)"
    )


def test_text_grows_with_the_graph_not_with_its_paths():
    x = leaf(0, np.dtype("f8"))
    value = x
    for _ in range(60):
        value = make("add", make("mul", value, value), value)  # 3^60 when written out
    at = Access(Buffer(1, np.dtype("f8")))
    assert len(text([Nest([], {x: at}, [Store(at, value)])]).splitlines()) <= 122
