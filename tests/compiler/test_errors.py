"""What a function does that cannot be compiled: the words, the line, the way out."""

import re

import numpy as np
import pytest

import gradarray as ga
from gradarray.array import wrap
from gradarray.compiler import check as checking
from tests.compiler.common import same

X = ga.array([1.0, 2.0, 3.0])
WHEN = "while the function is recorded, an array {} that has values only when it runs."
NUMBER = (
    "a value was read as a Python number (float(), int(), .item(), .tolist()) ",
    "Compute with the array itself, declare an argument static (static_argnames), or return the "
    "array and read it outside.",
)
TRUTH = (
    "`if`, `while`, `and`, `or`, `not` or `assert` asked for a truth ",
    "Choose with ga.where or ga.cond, loop with ga.while_loop, or declare the argument that it "
    "depends on static (static_argnames).",
)
TEXT = (
    "an array was printed, or put into a text, ",
    "Return it and print it outside, or look at it with ga.compile(..., run_eagerly=True).",
)
VALUES = (
    "values were read as a NumPy array (.numpy(), np.array(), a NumPy function) ",
    "Use the ga function in its place, or return the array and read it outside.",
)
INDEX = (
    "an array was used as a Python integer (in range(), as a shape, as an index of a list) ",
    "Declare the argument that it comes from static (static_argnames), or loop with ga.fori_loop "
    "or ga.scan; an array is indexed by an array as it is.",
)
READS = {
    "if": (lambda x: x if x.sum() > 0 else -x, TRUTH, "bool[]"),
    "and": (lambda x: (x.sum() > 0) and x, TRUTH, "bool[]"),
    "float": (lambda x: x * float(x.sum()), NUMBER, "float64[]"),
    "item": (lambda x: x * x.sum().item(), NUMBER, "float64[]"),
    "tolist": (lambda x: x.tolist(), NUMBER, "float64[3]"),
    "format": (lambda x: f"{x.sum():.3f}", NUMBER, "float64[]"),
    "print": (lambda x: print(x), TEXT, "float64[3]"),
    "text": (lambda x: f"{x}", TEXT, "float64[3]"),
    "numpy": (lambda x: x.numpy() + 1, VALUES, "float64[3]"),
    "np.array": (lambda x: np.array(x) + 1, VALUES, "float64[3]"),
    "range": (lambda x: sum(range(x.argmax())), INDEX, "int64[]"),
}


@pytest.mark.parametrize("name", READS)
def test_what_reads_a_value_names_the_line_and_the_way_out(name):
    f, (what, mend), form = READS[name]
    with pytest.raises(ga.GraphError) as told:
        ga.compile(f)(X)
    text, _, line = str(told.value).partition("\n")
    assert text == f"compile: {what}{WHEN.format(form)} {mend}"
    source = '"format": (lambda' if name == "format" else f'"{name}": (lambda'
    assert re.fullmatch(r"  at test_errors\.py:\d+: .*", line) and source in line


def test_what_only_asks_for_the_form_is_no_reading():
    def f(x):
        assert np.shape(x) == (3,) and np.ndim(x) == 1 and np.size(x) == len(x) == 3
        assert np.result_type(x, np.float32) == np.float64 and not np.iscomplexobj(x)
        return x * x.shape[0] if x.ndim == 1 else x

    same(ga.compile(f)(X), 3 * X)


STORES = {
    "an attribute": "the attribute 'y' of a Box",
    "a list": "a list that is not its own",
    "a variable": "a variable of the function around it",
}


class Box:
    y = None


@pytest.mark.parametrize("name", STORES)
def test_an_array_that_is_stored_outside_is_refused_and_named(name):
    box, kept, variable = Box(), [], None

    def f(x):
        nonlocal variable
        y = x * 2
        if name == "an attribute":
            box.y = y
        elif name == "a list":
            kept.append(y)
        else:
            variable = y
        return x + 1

    with pytest.raises(ga.GraphError) as told:
        ga.compile(f)(X)
    assert "stores an array float64[3], made at test_errors.py:" in str(told.value)
    assert f"y = x * 2, in {STORES[name]}; a compiled function would store it once" in str(
        told.value
    )


def test_a_numpy_draw_is_told_once_and_ga_random_is_not():
    g = ga.compile(lambda x: x + np.random.default_rng().normal(size=3))
    with pytest.warns(UserWarning, match="does not do the same at every call: an array") as told:
        first = g(X)
        same(g(X), first)
    assert [one.filename for one in told] == [__file__]
    drawn = ga.compile(lambda x: x + ga.random.normal(size=3))
    assert (drawn(X).numpy() != drawn(X).numpy()).all()


def test_a_large_constant_is_told_once():
    big = np.arange(200_000.0)
    g = ga.compile(lambda x: x.sum() + big)
    words = r"captures an array float64\[200000\] of 1\.5 MiB by value"
    with pytest.warns(UserWarning, match=words) as told:
        g(X)
        g(X)
    assert [one.filename for one in told] == [__file__]


def test_a_read_only_array_that_would_be_changed():
    def f(x):
        x[0] = 5.0
        return x.sum()

    writable = np.ones(3)
    same(ga.compile(f)(writable), ga.array(7.0))
    np.testing.assert_array_equal(writable, [5.0, 1.0, 1.0])
    frozen = np.ones(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writes into argument 0, a NumPy array that is read-only"):
        ga.compile(f)(frozen)


def added(a, b):
    a[...] = a + b
    return (b * 1).sum()


SHARED = {
    "a part of each": lambda m: (m[:4], m[2:]),
    "one array twice": lambda m: (m, m),
    "turned over": lambda m: (m, m[::-1]),
    "behind a handle": lambda m: (m[:4], wrap(m[2:])),
}


@pytest.mark.parametrize("name", SHARED)
def test_an_array_that_is_written_and_shares_memory(name):
    memory = np.arange(6.0)
    what = r"writes into argument 0, which shares memory with argument 1\. Give a copy"
    step = ga.compile(added)
    with pytest.raises(ValueError, match=what) as told:
        step(*SHARED[name](memory))
    assert "test_errors.py" in str(told.value)
    np.testing.assert_array_equal(memory, np.arange(6.0))
    # Beside one another, and between one another, they share nothing.
    for pair in ((memory[:3], memory[3:]), (memory[::2], memory[1::2])):
        before = pair[0] + pair[1]
        step(*pair)
        np.testing.assert_array_equal(pair[0], before)


def test_an_array_that_is_written_and_shares_memory_with_what_is_outside():
    memory = np.arange(4.0)
    outside = wrap(memory)

    def f(x):
        x[...] = 2 * x
        return (x + outside).sum()

    with pytest.raises(ValueError, match=r"an array float64\[4\] that it takes from out"):
        ga.compile(f)(memory)
    np.testing.assert_array_equal(memory, np.arange(4.0))


def shared_memory(how, model):
    """Data of a step, where arrays have memory in common."""
    weight, bias = model.weight, model.bias
    if how == "the parameter's own memory":
        return weight._array
    if how == "a view of it":
        return weight._array[:, ::-1]
    if how == "a handle on it":
        return weight.detach()
    if how == "two parameters in one piece of memory":
        memory = np.linspace(-1, 1, 8)
        weight._data, bias._data = memory[:6].reshape(2, 3), memory[4:6]
    if how == "a parameter that is read-only":
        weight._data = weight._array.copy()
        weight._data.flags.writeable = False
    return np.linspace(0, 1, 6).reshape(2, 3)


@pytest.mark.parametrize(
    "how",
    [
        *("the parameter's own memory", "a view of it", "a handle on it"),
        *("two parameters in one piece of memory", "a parameter that is read-only"),
    ],
)
def test_state_is_never_written_where_others_look(how):
    found = []
    for wrapped in (ga.compile, lambda f: f):
        ga.random.seed(0)
        model = ga.nn.Linear(3, 2, dtype="float64")
        optimizer = ga.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()

        data = shared_memory(how, model)
        before, step = np.array(data), wrapped(step)
        for _ in range(3):
            step(data)
        np.testing.assert_array_equal(np.asarray(data), before)
        found.append((model.weight.detach(), model.bias.detach()))
    same(*found)


def test_a_batch_that_does_not_fit_leaves_parameters():
    model = ga.nn.Linear(3, 2)
    optimizer = ga.optim.SGD(model.parameters(), lr=0.1)

    @ga.compile
    def step(x):
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()

    step(np.ones((4, 3), np.float32))
    before = model.weight.numpy().copy()
    with pytest.raises(ga.ShapeError, match=r"in Linear: .* shape \(4, 2\), weight .*\(2, 3\)"):
        step(np.ones((4, 2), np.float32))
    with pytest.raises(ga.DTypeError, match=r"in Linear: .*layer of float32\. Cast it"):
        step(np.full((4, 3), "a"))
    np.testing.assert_array_equal(model.weight.numpy(), before)
    # float64 numbers and lists are taken as eagerly: parameters keep their dtype.
    step(np.ones((4, 3)))
    step([[1.0, 2.0, 3.0]])
    assert model.weight.dtype == np.float32
    assert (model.weight.numpy() != before).any()


def test_backward_through_what_was_computed_outside():
    w = ga.array([1.0, 2.0], requires_grad=True)
    y = w * w

    def f(x):
        (x * y).sum().backward()
        return x

    with pytest.raises(ga.GraphError, match=r"backward\(\) came to an array float64\[2\] that was"):
        ga.compile(f)(ga.array([1.0, 1.0]))
    assert w.grad is None and y.grad is None


def test_an_error_while_recording_leaves_all_as_it_was():
    w = ga.array([1.0, 2.0], requires_grad=True)
    before = ga.random.default_generator.state_dict()["counter"].tolist()

    def f(x):
        with ga.no_grad():
            w[...] = 0.0
        ga.random.normal()
        w.grad = x
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ga.compile(f)(ga.array([1.0, 1.0]))
    same(w.detach(), ga.array([1.0, 2.0]))
    assert w.grad is None and w.is_leaf
    assert ga.random.default_generator.state_dict()["counter"].tolist() == before


# check=True ---------------------------------------------------------------------------------------


def test_check_passes_what_rounding_explains_and_names_what_differs(monkeypatch):
    def f(x):
        y = ga.exp(x)
        z = y * 3.0
        return (z - 1.0).sum()

    same(ga.compile(f, check=True)(X), f(X))

    class Wrong(checking.Native):
        """Compiled code in which every product is a little off."""

        def __call__(self, inputs):
            values = super().__call__(inputs)
            made = {id(v): s for s in self.program.steps for v in s.values}
            off = 1 + 1e-9
            late = {"multiply", "subtract", "sum"}
            return [
                v * off if getattr(made.get(id(y)), "op", None) and made[id(y)].op.name in late
                else v
                for v, y in zip(values, self.program.outputs, strict=True)
            ]  # fmt: skip

        def __init__(self, program, *args):
            self.program = program
            super().__init__(program, *args)

    monkeypatch.setattr(checking, "Native", Wrong)
    with pytest.raises(ArithmeticError) as told:
        ga.compile(f, check=True)(X)
    assert "check: multiply(float64[3], 3.0) -> float64[3], at test_errors.py" in str(told.value)
    assert "z = y * 3.0 is the first operation that differs" in str(told.value)
