"""ga.compile: what a compiled function takes and gives, and what is compiled anew."""

import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import gradarray as ga
from tests.compiler.common import same

X = ga.array([1.0, 2.0, 3.0])


def f(x):
    return (ga.sin(x) * x * x).sum()


# Arguments and results ----------------------------------------------------------------------------


def test_pytrees_static_values_none_and_numpy_arrays():
    @ga.compile
    def g(data, scale, *, shift=None, name="up"):
        x, (y, n) = data["x"], data["rest"]
        out = x * scale + y**n
        if shift is not None:
            out = out + shift
        return {"out": out, "name": name, "n": n, "none": None, "list": [out.sum(), 2.5]}

    data = {"x": X, "rest": (np.array([1.0, 0.0, -1.0]), 2)}
    found = g(data, 0.5)
    same(found["out"], ga.array([1.5, 1.0, 2.5]))
    assert found["name"] == "up" and found["n"] == 2 and found["none"] is None
    same(found["list"], [ga.array(5.0), 2.5])
    same(g(data, 0.5, shift=np.float64(1), name="down")["out"], ga.array([2.5, 2.0, 3.5]))


def test_python_floats_are_arguments_and_weak():
    seen = []

    @ga.compile
    def g(x, a):
        seen.append(a)
        return x * a

    x = ga.array([1.0, 2.0], dtype="float32")
    assert g(x, 0.5).dtype == np.float32
    before = len(seen)
    same(g(x, 0.25), ga.array([0.25, 0.5], dtype="float32"))
    assert len(seen) == before  # another float is no new program


def test_a_new_shape_dtype_or_static_value_compiles_once_and_is_remembered():
    runs = []

    @ga.compile
    def g(x, n):
        runs.append(n)
        return x * n

    calls = [(X, 2), (X[:2], 2), (ga.array([1, 2, 3]), 2), (X, 3), (X, True)]
    for x, n in calls:
        before = len(runs)
        same(g(x, n), x * n)
        assert len(runs) > before
    before = len(runs)
    for x, n in calls * 2:
        same(g(x, n), x * n)
    assert len(runs) == before


def test_static_arguments_by_number_and_name():
    def g(x, mode="plus", k=1.5):
        return x + k if mode == "plus" else x - k

    for compiled in (
        ga.compile(g, static_argnums=(1, 2)),
        ga.compile(g, static_argnames=("mode", "k")),
        ga.compile(static_argnames="mode")(g),
    ):
        same(compiled(X), X + 1.5)
        same(compiled(X, "minus", 0.5), X - 0.5)
        same(compiled(X, k=2.0, mode="minus"), X - 2.0)
    seen = []
    by_value = ga.compile(lambda x, k: (seen.append(k), x * k)[1], static_argnums=1)
    same(by_value(X, 2.0), 2 * X)
    assert seen and all(k == 2.0 and type(k) is float for k in seen)
    with pytest.raises(ValueError, match="static_argnames has 'mood', which is no argument"):
        ga.compile(g, static_argnames="mood")
    with pytest.raises(ValueError, match="static_argnums has 3, of 3 arguments"):
        ga.compile(g, static_argnums=3)
    with pytest.raises(TypeError, match="argument 1 was declared static, and a GradArray is no"):
        by_value(X, X)


def test_a_static_value_that_changes_often_is_told_once():
    g = ga.compile(lambda x, n: x * n)
    words = "was compiled 8 times for values of argument 1, the last 7"
    with pytest.warns(UserWarning, match=words) as told:
        for n in range(12):
            same(g(X, n), X * n)
    assert [one.filename for one in told] == [__file__]


def test_one_array_given_twice():
    def g(x, y):
        x[0] = 5.0
        return x + y

    a, b = ga.array([1.0, 2.0]), ga.array([1.0, 2.0])
    compiled = ga.compile(g)
    same(compiled(a, a), g(b, b))
    same(a, b)


# Methods ------------------------------------------------------------------------------------------


class Scaled:
    def __init__(self, c):
        self.c = ga.array(c)

    @ga.compile
    def step(self, x):
        self.c += 1.0
        return x * self.c

    @ga.compile(static_argnames="power")
    def raised(self, x, power=1):
        return (x * self.c) ** power


def test_methods_are_bound_and_each_instance_has_its_own_state():
    a, b = Scaled(1.0), Scaled(10.0)
    same(a.step(X), 2 * X)
    same(a.step(X), 3 * X)
    same(b.step(X), 11 * X)
    same(b.raised(X, power=2), (11 * X) ** 2)
    assert "multiply" in a.step.show("graph")
    gone = weakref.ref(a)
    del a
    gc.collect()
    assert gone() is None  # what was compiled for it does not keep it


def test_a_module_as_self_is_static_by_identity():
    class Net(ga.nn.Module):
        def __init__(self, k):
            super().__init__()
            self.layer = ga.nn.Linear(3, 2)
            self.k = k

        @ga.compile
        def forward(self, x):
            return self.layer(x) * self.k

    a, b = Net(1.0), Net(2.0)
    x = ga.ones((4, 3), dtype="float32")
    same(a(x), a.layer(x), 1e-6)
    same(b(x), 2 * b.layer(x), 1e-6)
    other = copy.deepcopy(a)
    with ga.no_grad():
        other.layer.bias += 1.0
    same(other(x), other.layer(x), 1e-6)


# Transforms of it, in it, around it ---------------------------------------------------------------

ALONG = {
    "grad": ga.grad,
    "value_and_grad": ga.value_and_grad,
    "grad of grad": lambda f: ga.grad(lambda x: (ga.grad(f)(x) ** 2).sum()),
    "third": lambda f: ga.grad(
        lambda x: (ga.grad(lambda x: (ga.grad(f)(x) ** 2).sum())(x) ** 2).sum()
    ),
    "hessian": ga.hessian,
    "jacfwd": ga.jacfwd,
    "jacrev": ga.jacrev,
    "jvp": lambda f: lambda x: ga.jvp(f, (x,), (ga.cos(x),)),
    "jvp of grad": lambda f: lambda x: ga.jvp(ga.grad(f), (x,), (ga.cos(x),)),
    "vjp": lambda f: lambda x: ga.vjp(f, x)[1](2.0),
    "jet": lambda f: lambda x: ga.jet(f, (x,), ([x, ga.cos(x), x * x],)),
    "laplacian": ga.laplacian,
    "checkpoint": lambda f: ga.grad(ga.checkpoint(f)),
    "vmap of grad": lambda f: lambda x: ga.vmap(ga.grad(f))(ga.stack([x, 2 * x])),
}


@pytest.mark.parametrize("name", ALONG)
def test_transforms_compiled_and_of_compiled_functions(name):
    transform = ALONG[name]
    expected = transform(f)(X)
    same(ga.compile(transform(f))(X), expected)
    same(transform(ga.compile(f))(X), expected)
    same(ga.compile(transform(ga.compile(f)))(X), expected)


def test_a_compiled_function_in_another_is_part_of_it():
    inner = ga.compile(ga.sin)
    outer = ga.compile(lambda x: inner(x) * 2)
    same(outer(X), 2 * ga.sin(X))
    assert outer.show().count("sin(") == 1


def test_derivatives_of_a_result_in_what_was_given():
    x = ga.array([0.3, -0.2], requires_grad=True)
    g = ga.compile(lambda x, k: ((x**3).sum() * k, x.detach().sum()))
    y, still = g(x, 2.0)
    assert y.requires_grad and not still.requires_grad
    y.backward()
    same(x.grad, 6 * x.detach() ** 2)
    z = x * x
    x.zero_grad()
    (g(z, 1.0)[0] + z.sum()).backward()  # through what is older
    same(x.grad, 6 * x.detach() ** 5 + 2 * x.detach())


def test_derivatives_in_what_is_captured_to_second_order():
    w = ga.array([0.3, 0.2, 0.1], requires_grad=True)
    g = lambda x: (ga.tanh(x * w) * ga.exp(x)).sum()
    grads = []
    for run in (g, ga.compile(g)):
        w.zero_grad()
        run(X).backward(create_graph=True)
        first = w.grad
        w.zero_grad()
        (first**2).sum().backward()
        grads.append((first.detach(), w.grad.detach()))
    same(grads[1], grads[0])


def test_a_graph_is_freed_by_backward_and_kept_when_asked():
    x = ga.array([1.0, 2.0], requires_grad=True)
    y = ga.compile(lambda x: (x * x).sum())(x)
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, 4 * x.detach())
    with pytest.raises(RuntimeError, match="was freed by an earlier backward"):
        y.backward()


def test_a_later_change_of_an_array_does_not_reach_an_earlier_graph():
    w = ga.array([1.0, 2.0], requires_grad=True)
    x = ga.array([3.0, 4.0], requires_grad=True)
    y = ga.compile(lambda x: (x * w).sum())(x)
    with ga.no_grad():
        w[...] = 0.0
    y.backward()
    same(x.grad, ga.array([1.0, 2.0]))


def test_what_is_computed_without_a_graph_has_none():
    x = ga.array([1.0, 2.0], requires_grad=True)
    g = ga.compile(lambda x: x * x)
    with ga.no_grad():
        assert not g(x).requires_grad
    assert g(x).requires_grad
    assert not ga.compile(lambda x: ga.stop_gradient(x) * 2)(x).requires_grad


def test_a_masked_branch_stays_masked():
    """0 times infinity in a rule: the program runs again, absorbing."""
    g = ga.compile(ga.grad(lambda x: ga.where(x > 0, ga.sqrt(x), 0.0).sum()))
    same(g(ga.array([0.0, 4.0])), ga.array([0.0, 0.25]))
    same(g(ga.array([1.0, 4.0])), ga.array([0.5, 0.25]))


# Options ------------------------------------------------------------------------------------------


def test_run_eagerly():
    seen = []
    g = ga.compile(lambda x: (seen.append(float(x.sum())), x * 2)[1], run_eagerly=True)
    same(g(X), 2 * X)
    assert seen == [6.0]


def test_the_graph_as_text():
    g = ga.compile(lambda x: ga.exp(x) * 2)
    with pytest.raises(RuntimeError, match="nothing is compiled yet"):
        g.show()
    g(X)
    assert g.show("graph") == (
        "%0 = input float64[3]\n%1 = exp(%0)  float64[3]\n%2 = multiply(%1, 2)  float64[3]\n"
        "return %2"
    )
    with pytest.raises(ValueError, match="'grap' is none of graph"):
        g.show("grap")


def test_a_compiled_function_is_copied_as_functions_are_and_not_pickled():
    g = ga.compile(f)
    assert copy.deepcopy(g) is g and g.__name__ == "f"
    with pytest.raises(TypeError, match="a compiled function is not pickled"):
        pickle.dumps(g)
    with pytest.raises(TypeError, match="takes a function, not GradArray"):
        ga.compile(X)


def test_import_does_not_load_the_compiler():
    code = "import sys, gradarray; print([m for m in sys.modules if 'llvmlite' in m])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# Threads ------------------------------------------------------------------------------------------


def test_threads_compile_and_run_the_same_and_different_functions():
    w = ga.array(np.linspace(0.1, 1.0, 50))
    shared = ga.compile(lambda x, n: (ga.tanh(x * w) ** n).sum())
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        own = ga.compile(lambda x: (ga.sin(x * w) * seed).sum())
        for n in (1, 2, 3, 1, 2, 3):
            x = rng.normal(size=50)
            pairs = [
                (shared(x, n), (np.tanh(x * w.numpy()) ** n).sum()),
                (own(x), (np.sin(x * w.numpy()) * seed).sum()),
            ]
            for found, expected in pairs:
                if not abs(found.item() - expected) <= 1e-12 * 50:
                    wrong.append((seed, n, found.item(), expected))

    wrong_errors = []

    def guarded(seed):
        try:
            work(seed)
        except Exception as error:
            wrong_errors.append(error)

    threads = [threading.Thread(target=guarded, args=(k + 1,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong_errors and not wrong
