"""What the explainer watches: the user's names, and that watching changes nothing."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import gradarray as ga
from gradarray import graph
from gradarray.glass import record


def names(told):
    return [row.name for row in told.rows]


def results(told):
    return [row.name for row in told.rows if row.kind == "result"]


# Names --------------------------------------------------------------------------------------------


def test_assignments():
    def f(x):
        a = x**2
        b: ga.GradArray = ga.exp(a)
        b += a
        if (c := b * 2) is not None:
            return ga.log(c)
        return a

    assert results(ga.explain(f)(0.5)) == ["a", "b", "b_2", "c", "f"]


def test_a_loop_and_a_comprehension():
    def f(x):
        h = x
        for _ in range(3):
            h = ga.sin(h)
        parts = [h * k for k in (1.0, 2.0)]
        return parts[0] + parts[1]

    assert results(ga.explain(f)(0.5)) == ["h", "h_2", "h_3", "v1", "v2", "f"]


def test_targets_of_tuples_take_their_own_names():
    def f(x):
        a, b = ga.sin(x), ga.cos(x)
        return a * b

    assert results(ga.explain(f)(0.5)) == ["a", "b", "f"]


def test_results_of_one_op_take_the_names_of_a_tuple():
    def f(A):
        w, V = ga.linalg.eigh(A + A.T)
        return w.sum() + (V * V).sum()

    told = ga.explain(f)(np.array([[1.0, 2.0], [0.0, 4.0]]))
    made = {row.name: row.which for row in told.rows if row.op and row.op.name == "eigh"}
    assert made == {"w": 0, "V": 1}


def test_functions_calling_functions_and_methods():
    class Model:
        def __init__(self):
            self.scale = 2.0

        def hidden(self, x):
            y = x * self.scale
            return ga.tanh(y)

        def __call__(self, x):
            h = self.hidden(x)
            self.last = h * h
            return self.last

    model = Model()

    def f(x):
        out = model(x)
        return ga.exp(out)

    assert results(ga.explain(f)(0.5)) == ["y", "h", "last", "f"]


def test_a_lambda_and_no_source_at_all():
    assert results(ga.explain(lambda x: ga.sin(x) * 2)(0.5)) == ["v1", "y"]
    space = {"ga": ga}
    exec("def f(x):\n    a = ga.sin(x)\n    return a * 2", space)
    told = ga.explain(space["f"])(0.5)
    assert results(told) == ["v1", "f"]
    assert np.isclose(told.rows[0].adjoint, 2 * np.cos(0.5))


def test_arguments_have_their_names_and_keys():
    def f(x, *, p):
        return x * p["w"] * p["bias"][0]

    assert names(ga.explain(f)(2.0, p={"w": 3.0, "bias": [4.0]}))[:2] == ["x", "w"]


def test_parameters_have_their_paths():
    net = ga.nn.Sequential(ga.nn.Linear(2, 3), ga.nn.Tanh(), ga.nn.Linear(3, 1))
    told = ga.explain(lambda x: net(x).sum())(np.ones((4, 2), np.float32))
    kinds = {row.name: row.kind for row in told.rows}
    assert {n for n, k in kinds.items() if k == "parameter"} == {
        "0.weight", "0.bias", "2.weight", "2.bias"
    }  # fmt: skip


# Kept and not kept --------------------------------------------------------------------------------


def test_a_value_already_computed():
    x = ga.array(2.0, requires_grad=True)
    y = ga.exp(x) + 3
    told = ga.explain(y)
    assert told.result.name == "y" and told.result.value == np.exp(2.0) + 3
    assert [row.kind for row in told.rows] == ["input", "result", "constant", "result"]
    assert told.rows[2].value is None and "not kept" in str(told)  # no rule needs the 3
    assert told.rows[0].adjoint == np.exp(2.0)


@pytest.mark.parametrize("after", [False, True])
def test_keep_all_keeps_everything_also_after_a_backward(after):
    x = ga.array(2.0, requires_grad=True)
    with ga.keep_all():
        a = ga.exp(x)
        y = a + 3
        y.backward() if after else None
    told = ga.explain(y)
    assert all(row.value is not None for row in told.rows)
    assert [told["x"].adjoint, told["a"].adjoint] == [np.exp(2.0), 1.0]
    assert results(told) == ["a", "y"]


def test_a_backward_outside_frees():
    x = ga.array(2.0, requires_grad=True)
    y = ga.exp(x) * x
    y.backward()
    told = ga.explain(y)
    assert told.rows[0].adjoint is None and told.rows[0].freed
    assert "keep_all" in str(told)


# It changes nothing -------------------------------------------------------------------------------


def trained(explained):
    """A few steps with everything that has state: momentum, running statistics, dropout."""
    ga.random.seed(5)
    net = ga.nn.Sequential(
        ga.nn.Linear(4, 8), ga.nn.BatchNorm1d(8), ga.nn.ReLU(), ga.nn.Dropout(0.5),
        ga.nn.Linear(8, 3),
    )  # fmt: skip
    optimizer = ga.optim.Adam(net.parameters(), lr=1e-2)
    x = ga.random.normal(size=(16, 4)).astype("float32")
    y = ga.random.integers(0, 3, size=16)

    def loss():
        return ga.nn.functional.cross_entropy(net(x), y)

    for step in range(4):
        if explained:
            told = ga.explain(loss)()
            assert str(told) and str(told.orders())
        optimizer.zero_grad()
        value = loss()
        if explained and step % 2:
            assert str(ga.explain(value))
        value.backward()
        optimizer.step()
    state = [p.numpy().copy() for p in (*net.parameters(), *net.buffers())]
    return [*state, ga.random.normal(size=3).numpy()]


def test_training_continues_to_the_same_bits():
    for a, b in zip(trained(False), trained(True), strict=True):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()


def test_keep_all_changes_no_bit():
    def step():
        ga.random.seed(1)
        x = ga.random.normal(size=(5, 4))
        x.requires_grad = True
        y = ga.log(ga.softmax(x * 3).sum(axis=0)).mean()
        y.backward()
        return x.grad.numpy()

    plain = step()
    with ga.keep_all():
        kept = step()
    assert plain.tobytes() == kept.tobytes()


def test_an_error_inside_leaves_no_trace_either():
    ga.random.seed(2)
    net = ga.nn.Sequential(ga.nn.BatchNorm1d(2), ga.nn.Dropout(0.5))
    before = [b.numpy().copy() for b in net.buffers()]

    def f(x):
        y = net(x)
        raise ValueError("mine")
        return y

    with pytest.raises(ValueError, match="mine"):
        ga.explain(f)(np.ones((3, 2), np.float32))
    for b, old in zip(net.buffers(), before, strict=True):
        assert np.array_equal(b.numpy(), old)


class Count:
    """A watcher that counts ops, and steps of sweeps."""

    def __init__(self):
        self.sweeping = self.ops = self.steps = 0

    def forward(self, op, raw, params, y):
        self.ops += 1

    def recorded(self, node):
        pass

    def passed(self, node, came, went, direction):
        self.steps += 1


def counted(f, *args):
    count = Count()
    with graph.watching(count):
        f(*args)
    return count.ops, count.steps


def test_a_step_of_50_000_parameters_costs_one_step():
    """Explaining one takes as many ops and as many steps back as taking it."""
    net = ga.nn.Sequential(
        ga.nn.Linear(64, 256), ga.nn.ReLU(), ga.nn.Linear(256, 128), ga.nn.ReLU(),
        ga.nn.Linear(128, 10),
    )  # fmt: skip
    assert sum(p.size for p in net.parameters()) > 50_000
    x, y = ga.ones((32, 64), dtype="float32", requires_grad=True), ga.zeros(32, dtype=int)

    def loss(x):
        return ga.nn.functional.cross_entropy(net(x), y)

    taken = counted(lambda: loss(x).backward())
    assert taken[0] > 10 and taken[1] > 10
    net.zero_grad()
    assert counted(ga.explain(loss), x) == taken
    assert all(p.grad is None for p in net.parameters())


def test_importing_gradarray_imports_no_glass():
    code = "import sys, gradarray; print([m for m in sys.modules if 'glass' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What is held -------------------------------------------------------------------------------------


@pytest.mark.parametrize("swept", [False, True])
def test_what_keep_all_keeps_goes_with_the_graph(swept):
    x = ga.array([1.5, 0.5, 2.0], requires_grad=True)
    gc.collect()
    before = len(record._kept)

    def step():
        data = np.arange(3.0)
        with ga.keep_all():
            y = ga.sin(x) * ga.array(data) + x[ga.array([0, 0, 1])] * data
            if swept:
                y.sum().backward()
        assert len(record._kept) > before
        return weakref.ref(data)

    held = step()
    gc.collect()
    assert len(record._kept) == before and held() is None


def test_the_last_of_several_sweeps_is_told_and_its_contributions_are_its_own():
    x = ga.array([1.0, 2.0, 3.0], requires_grad=True)
    with ga.keep_all():
        z = x[ga.array([0, 0, 2])] * 2.0 + x[1:2]
        y = z.sum()
        (3.0 * z).sum().backward(retain_graph=True)
        y.backward()
    (row,) = (r for r in ga.explain(y).rows if r.kind == "input")
    # By hand: 2 for each of two uses of x[0] and one of x[2], and x[1] stands in all three sums.
    assert np.array_equal(row.adjoint, [4.0, 3.0, 2.0])
    assert sorted(np.asarray(t.bar).tolist() for t in row.terms) == [[0, 3, 0], [4, 0, 2]]
