"""explain of a compiled function: the same graph, and the loop into which each value was fused."""

from typing import Any

import numpy as np

import gradarray as ga
from gradarray.glass.explain import Explain

explain = Explain()


def test_one_loop_for_a_chain_of_pointwise_ops():
    @ga.compile
    def f(x: Any) -> Any:
        a = x**2
        b = ga.exp(a)
        c = a + b
        return (ga.sqrt(c) + ga.cos(c)).sum()

    told = explain(f)(np.ones(100))
    plain = explain(f._f)(np.ones(100))
    assert [r.name for r in told.rows] == [r.name for r in plain.rows]
    loops = {row.name: row.loops for row in told.rows if row.kind == "result"}
    assert set(loops.values()) == {loops["a"]}  # all in one
    assert loops["a"][0].startswith("loop 1: nest 100: square, exp")
    assert "Compiled\n  loop 1: nest 100" in str(told)
    assert "Compiled" not in str(plain)


def test_products_are_loops_of_their_own_and_methods_are_known():
    class Net(ga.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = ga.nn.Linear(30, 40)

        @ga.compile
        def loss(self, x: Any) -> Any:
            h = ga.tanh(self.a(x))
            return h.sum()

    told = explain(Net().loss)(np.ones((256, 30), np.float32))
    product = next(r for r in told.rows if r.op is not None and r.op.name == "matmul")
    assert any("product" in loop for loop in product.loops or ())
    assert "tanh" in (told["h"].loops or ("",))[0]
    transpose = next(r for r in told.rows if r.op is not None and r.op.name == "transpose")
    assert transpose.loops == ()  # only another way of reading
    assert "simplified away" in str(told)


def test_explaining_compiles_and_does_not_run_twice():
    calls = []
    w = ga.array(1.0, requires_grad=True)

    @ga.compile
    def f(x: Any) -> Any:
        calls.append(1)
        return w * x

    explain(f)(2.0)
    assert w.grad is None
    assert w.item() == 1.0
