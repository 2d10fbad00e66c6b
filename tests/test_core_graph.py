"""The recorded graph: what a node holds, when it goes, how deep it may be, and who records."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import gradarray as ga
from gradarray import graph

# What a node is -----------------------------------------------------------------------------------


def test_the_inputs_of_a_node_are_the_leaves_themselves_while_they_live():
    x = ga.array(2.0, requires_grad=True)
    y = x * 3.0
    assert y._grad_op.inputs[0] is x
    w = ga.array([1.0, 2.0], requires_grad=True)
    product = x * w
    assert product._grad_op.inputs[0] is x and product._grad_op.inputs[1] is w


def test_the_inputs_of_a_node_after_its_leaf_was_bound_to_another_value():
    x = ga.array(2.0, requires_grad=True)
    y = x * x
    with ga.no_grad():
        x += 1.0
    old = y._grad_op.inputs[0]
    assert old is not x and old.item() == 2.0


def test_an_input_that_no_rule_keeps_says_so():
    x = ga.array(2.0, requires_grad=True)
    y = ga.exp(x * 3.0)  # the rule of exp names y alone
    (hidden,) = y._grad_op.inputs
    with pytest.raises(ga.GraphError, match="input 0 of exp was not kept"):
        hidden.item()


def test_a_node_has_a_backward_of_its_own():
    x = ga.array(2.0, requires_grad=True)
    w = ga.array([1.0, 4.0], requires_grad=True)
    y = x * w
    x_bar, w_bar = y._grad_op.backward([1.0, 10.0])
    assert x_bar.item() == 41 and w_bar.tolist() == [2, 20]
    # It is recorded: a derivative of a derivative goes through it.
    w_bar.sum().backward()
    assert x.grad.item() == 11
    assert (ga.exp(x))._grad_op.backward(ga.array(2.0))[0].item() == 2 * np.exp(2.0)


def test_a_constant_operand_has_no_cotangent():
    x = ga.array(2.0, requires_grad=True)
    first, second = (x * np.array([1.0, 2.0]))._grad_op.backward([1.0, 1.0])
    assert first.item() == 3 and second is None


def test_grad_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        ga.Grad()


def test_what_no_rule_names_is_not_kept():
    x = ga.array(np.ones(1000), requires_grad=True)
    a = x * 2.0
    values = weakref.ref(a._array)
    y = a + 1.0  # the rule of + names nothing
    del a
    assert values() is None
    y.sum().backward()
    assert x.grad.tolist() == [2.0] * 1000


def test_a_constant_that_is_needed_is_kept_and_the_variable_that_is_not_is_not():
    data = ga.array(np.ones((3, 2)))
    w = ga.array(np.ones((2, 4)), requires_grad=True)
    values = weakref.ref(w._array)
    y = data @ w
    with ga.no_grad():
        w.grad = None
        w -= 1.0
    assert values() is None
    y.sum().backward()  # to the old binding of w, which has no handle any more
    assert w.grad is None


# When it goes -------------------------------------------------------------------------------------


@pytest.fixture
def no_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def build(x):
    a = ga.exp(x)
    b, c = a * x, ga.tanh(a + x)
    return (b @ c) + a.sum() + x[0] * 2.0


@pytest.mark.parametrize(
    "use",
    [
        lambda x: build(x),
        lambda x: build(x).backward(),
        lambda x: build(x).backward(retain_graph=True),
        lambda x: build(x).backward(create_graph=True),
        lambda x: ga.grad(build)(x.detach()),
        lambda x: ga.grad(lambda z: ga.grad(build)(z).sum())(x),
        lambda x: ga.jvp(build, (x,), (np.ones(3),)),
        lambda x: ga.vjp(build, x)[1](1.0),
        lambda x: build(x)._grad_op.inputs,
    ],
    ids=["record", "backward", "retain", "create", "grad", "twice", "jvp", "vjp", "inputs"],
)
def test_nothing_is_left_for_the_garbage_collector(no_gc, use):
    x = ga.array([0.1, 0.2, 0.3], requires_grad=True)
    use(x)  # what is written on first use stays for good
    x.zero_grad()
    gc.collect()
    x = ga.array([0.1, 0.2, 0.3], requires_grad=True)
    use(x)
    x.zero_grad()
    assert gc.collect() == 0


def test_a_node_dies_with_its_last_handle(no_gc):
    x = ga.array(1.0, requires_grad=True)
    y = ga.exp(x)
    z = y * 2.0
    node = weakref.ref(y._node)
    del y
    assert node() is not None  # z was made from it
    del z
    assert node() is None


def test_a_graph_100_000_nodes_deep(no_gc):
    depth = 100_000
    x = ga.array(1.0, requires_grad=True)
    y = x
    for _ in range(depth):
        y = y * 1.00001
    middle = weakref.ref(y._node.parents[0].parents[0])
    y.backward()
    assert x.grad.item() == pytest.approx(1.00001**depth, rel=1e-10)
    assert middle() is not None
    del y
    assert middle() is None
    assert gc.collect() == 0


def test_a_deep_graph_in_forward_mode_and_in_a_recorded_sweep(no_gc):
    depth = 20_000

    def power(x):
        y = x
        for _ in range(depth):
            y = y * x
        return y

    x = 1.0 + 1e-5
    _, slope = ga.jvp(power, (x,), (1.0,))
    assert slope.item() == pytest.approx((depth + 1) * x**depth, rel=1e-9)
    leaf = ga.array(x, requires_grad=True)
    power(leaf).backward(create_graph=True)
    first = leaf.grad
    leaf.zero_grad()
    first.backward()
    expected = (depth + 1) * depth * x ** (depth - 1)
    assert leaf.grad.item() == pytest.approx(expected, rel=1e-9)
    leaf.zero_grad()
    del first
    assert gc.collect() == 0


def test_memory_does_not_grow_over_10_000_steps(no_gc):
    w = ga.array([0.5, -0.5], requires_grad=True)
    data = np.array([1.0, 2.0])

    def steps(count):
        nonlocal w
        for _ in range(count):
            w.zero_grad()
            (ga.tanh(w * data).sum() ** 2).backward()
            with ga.no_grad():
                w -= w.grad * 1e-3
        return tracemalloc.get_traced_memory()[0]

    steps(2_500)  # fills Python's own lists of tuples to be used again
    tracemalloc.start()
    try:
        before = steps(100)
        after = steps(7_400)
    finally:
        tracemalloc.stop()
    # A leak of one number a step would be 7,400 times 24 bytes, 178 kB; Python's own tables and
    # caches may grow once by some kB.
    assert after - before < 60_000


def test_cost_does_not_grow_with_what_was_recorded_before():
    # A transform stops at its own arguments: the nodes visited are those of the inner function.
    w = ga.array(1.0, requires_grad=True)
    y = w
    for _ in range(1000):
        y = y * 1.0
    inner = y * 2.0
    floor = inner._node.seq
    order, older = graph.ancestry([inner._node], floor)
    assert len(order) == 1 and older


# Who records --------------------------------------------------------------------------------------


def test_no_grad_and_enable_grad_nest_and_are_restored():
    x = ga.array(1.0, requires_grad=True)
    assert ga.is_grad_enabled() and (x * 2).requires_grad
    with ga.no_grad():
        assert not ga.is_grad_enabled() and not (x * 2).requires_grad
        with ga.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_the_mode_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), ga.no_grad():
        1 / 0
    assert ga.is_grad_enabled()
    assert graph.flags.special == 0


def test_as_a_decorator():
    x = ga.array(1.0, requires_grad=True)

    @ga.no_grad()
    def frozen(depth):
        return x * 2 if not depth else frozen(depth - 1)

    assert not frozen(2).requires_grad and ga.is_grad_enabled()


def test_one_instance_used_again_and_inside_itself():
    block = ga.no_grad()
    with block:
        with block:
            assert not ga.is_grad_enabled()
        assert not ga.is_grad_enabled()
    assert ga.is_grad_enabled()


def test_no_grad_in_one_thread_does_not_reach_another():
    x = ga.array(1.0, requires_grad=True)
    inside, done = threading.Event(), threading.Event()
    seen = {}

    def other():
        with ga.no_grad():
            inside.set()
            done.wait(10)
            seen["other"] = (x * 2).requires_grad

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    seen["here"] = (x * 2).requires_grad
    seen["grad"] = ga.grad(lambda z: z * z)(3.0).item()
    (x * 2).backward()
    done.set()
    thread.join()
    assert seen == {"here": True, "grad": 6, "other": False}
    assert x.grad.item() == 2 and graph.flags.special == 0


def test_threads_record_and_sweep_side_by_side():
    results = {}

    def work(k):
        f = lambda x: ga.sin(x * float(k)) * x
        results[k] = [ga.grad(ga.grad(f))(0.1 * n).item() for n in range(50)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        x = 0.1 * np.arange(50)
        closed = 2 * k * np.cos(k * x) - k * k * x * np.sin(k * x)
        np.testing.assert_allclose(results[k], closed, rtol=1e-13, atol=1e-13)
