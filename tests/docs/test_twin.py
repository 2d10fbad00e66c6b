"""The twin (docs/twin) against closed forms, against gradarray, and against its own promises."""

from __future__ import annotations

import ast
import gc
import importlib
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga

TWIN = Path(__file__).parents[2] / "docs" / "twin"
CHAPTERS = sorted(TWIN.glob("chapter*.py"))
EPS = np.finfo(float).eps

sys.path.insert(0, str(TWIN))
try:
    record, kinds, ops, walks, network = (importlib.import_module(p.stem) for p in CHAPTERS)
finally:
    sys.path.remove(str(TWIN))

GradArray, reach = record.GradArray, record.reach
grad, jvp, vjp = walks.grad, walks.jvp, walks.vjp
POINTS = (-1.3, -0.2, 0.0, 0.5, 1.1)


def value(x):
    return x._array


def close(got, expected, factor=64):
    """Equal up to `factor` roundings of the largest entry: sums of rounded terms, no cancellation
    worse than the closed form's own."""
    got = value(got) if isinstance(got, GradArray) else np.asarray(got)
    expected = np.asarray(expected)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=factor * EPS * np.abs(expected).max())


def parameter(array):
    return GradArray(array, requires_grad=True)


# The textbook function ----------------------------------------------------------------------------


def textbook(module, x):
    return module.sqrt(x**2 + module.exp(x**2)) + module.cos(x**2 + module.exp(x**2))


def f(x):
    return textbook(ops, x)


def closed_forms(x):
    """f' and f'' of sqrt(s) + cos(s) with s = x^2 + exp(x^2), by hand."""
    e = np.exp(x * x)
    s, ds, d2s = x * x + e, 2 * x * (1 + e), 2 * (1 + e) + 4 * x * x * e
    h, dh = 1 / (2 * np.sqrt(s)) - np.sin(s), -(s**-1.5) / 4 - np.cos(s)
    return h * ds, dh * ds**2 + h * d2s


def slope(f):
    return lambda x: jvp(f, [x], [1.0])[1]


@pytest.mark.parametrize("x", POINTS)
def test_first_derivative_is_the_closed_form_in_both_directions(x):
    first, _ = closed_forms(x)
    close(grad(f)(x), first)
    close(slope(f)(x), first)
    leaf = parameter(x)
    f(leaf).backward()
    close(leaf._grad, first)


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize("outer", [grad, slope])
@pytest.mark.parametrize("inner", [grad, slope])
def test_second_derivative_is_the_closed_form_in_every_mix(x, outer, inner):
    close(outer(inner(f))(x), closed_forms(x)[1])


def test_second_derivative_through_a_recorded_backward():
    x = parameter(0.5)
    walks.backward(f(x), create_graph=True)
    first, x._grad = x._grad, None
    first.backward()
    close(x._grad, closed_forms(0.5)[1])


@pytest.mark.parametrize(
    "modes", [(a, b, c) for a in (grad, slope) for b in (grad, slope) for c in (grad, slope)]
)
def test_third_derivative_of_tanh_in_every_mix(modes):
    g = ops.tanh
    for mode in modes:
        g = mode(g)
    y = np.tanh(0.5)
    close(g(0.5), -2 * (1 - y * y) * (1 - 3 * y * y))


# The perceptron and the multilayer perceptron -----------------------------------------------------


def test_perceptron_with_mean_squared_error():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(7, 3)), rng.integers(0, 2, size=(7, 1))
    w, b = parameter(rng.normal(size=(3, 1))), parameter(0.3)
    ops.mean((ops.sigmoid(GradArray(X) @ w + b) - y) ** 2).backward()
    s = 1 / (1 + np.exp(-(X @ value(w) + 0.3)))
    delta = 2 / len(X) * (s - y) * s * (1 - s)
    close(w._grad, X.T @ delta)
    close(b._grad, delta.sum())


def by_recursion(W, b, x, target):
    """The loss mean((y - t)^2) of the MLP and its gradients by the layer recursion, layer by layer.

    With rows as samples: db_d = g_{d+1} * f'(s_d), dW_d = h_{d-1}^T db_d, g_d = db_d W_d^T.
    """
    h = [x]
    for k, (Wk, bk) in enumerate(zip(W, b, strict=True)):
        s = h[-1] @ Wk + bk
        h.append(np.tanh(s) if k < len(W) - 1 else s)
    g = 2 * (h[-1] - target) / target.size
    dW, db = [], []
    for k in reversed(range(len(W))):
        delta = g * (1 - h[k + 1] ** 2) if k < len(W) - 1 else g
        dW.insert(0, h[k].T @ delta)
        db.insert(0, delta.sum(axis=0))
        g = delta @ W[k].T
    return ((h[-1] - target) ** 2).mean(), dW, db, g


@pytest.fixture(params=[[3, 1], [3, 5, 2], [3, 8, 8, 4, 2]])
def case(request):
    rng = np.random.default_rng(2)
    widths = request.param
    net = network.MLP(widths, rng)
    for b in net.b:
        b.assign(rng.normal(size=b.shape))
    return net, rng.normal(size=(6, 3)), rng.normal(size=(6, widths[-1]))


def test_mlp_gradients_are_the_layer_recursion(case):
    net, x, target = case
    inputs = parameter(x)
    loss = ops.mean((net(inputs) - target) ** 2)
    loss.backward()
    expected, dW, db, dx = by_recursion([*map(value, net.W)], [*map(value, net.b)], x, target)
    close(loss, expected)
    for got, want in zip(net.W + net.b, dW + db, strict=True):
        close(got._grad, want)
    close(inputs._grad, dx)


def test_pushing_through_an_mlp_agrees_with_pulling_and_with_differences(case):
    net, x, target = case
    v = np.random.default_rng(3).normal(size=x.shape)

    def loss(x):
        return ops.mean((net(x) - target) ** 2)

    pushed = value(jvp(loss, [x], [v])[1])
    pulled = (value(grad(loss)(x)) * v).sum()
    np.testing.assert_allclose(pushed, pulled, rtol=1e-13)
    h = 1e-5  # error h^2 f'''/6 + eps f/h, both about 1e-11 for values of order 1
    differences = (value(loss(GradArray(x + h * v))) - value(loss(GradArray(x - h * v)))) / (2 * h)
    np.testing.assert_allclose(pushed, differences, rtol=1e-6)


# The same numbers as gradarray --------------------------------------------------------------------


@pytest.mark.parametrize("x", POINTS)
def test_textbook_function_as_gradarray_gives_it(x):
    def g(x):
        return textbook(ga, x)

    def same(mine, theirs):
        np.testing.assert_allclose(value(mine), theirs.numpy(), rtol=1e-12, atol=1e-15)

    same(f(GradArray(x)), ga.value_and_grad(g)(x)[0])
    same(grad(f)(x), ga.grad(g)(x))
    same(jvp(f, [x], [0.7])[1], ga.jvp(g, (x,), (0.7,))[1])
    same(grad(grad(f))(x), ga.grad(ga.grad(g))(x))
    leaf, theirs = parameter(x), ga.array(x, requires_grad=True)
    f(leaf).backward()
    g(theirs).backward()
    same(leaf._grad, theirs.grad)


def test_mlp_as_gradarray_gives_it(case):
    net, x, target = case
    W = [ga.array(value(w), requires_grad=True) for w in net.W]
    b = [ga.array(value(v), requires_grad=True) for v in net.b]

    def theirs(x):
        for Wk, bk in zip(W[:-1], b[:-1], strict=True):
            x = ga.tanh(x @ Wk + bk)
        return (((x @ W[-1] + b[-1]) - target) ** 2).sum() / target.size

    def mine(x):
        return ops.mean((net(x) - target) ** 2)

    loss, loss_theirs = mine(GradArray(x)), theirs(ga.array(x))
    loss.backward()
    loss_theirs.backward()
    np.testing.assert_allclose(value(loss), loss_theirs.item(), rtol=1e-12)

    def same(mine, theirs):  # relative to the largest entry: small ones are differences of large
        np.testing.assert_allclose(value(mine), theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())

    for got, want in zip(net.W + net.b, W + b, strict=True):
        same(got._grad, want.grad.numpy())
    v = np.random.default_rng(4).normal(size=x.shape)
    same(jvp(mine, [x], [v])[1], ga.jvp(theirs, (x,), (v,))[1].numpy())
    # The Hessian-vector product, a push of a pull: second derivatives of the whole network.
    same(jvp(grad(mine), [x], [v])[1], ga.jvp(ga.grad(theirs), (x,), (v,))[1].numpy())


# The algebra --------------------------------------------------------------------------------------

_rng = np.random.default_rng(5)
MATRIX, ROW, COLUMN = (_rng.uniform(0.2, 2, size=s) for s in [(3, 4), (4,), (3, 1)])
SQUARE = MATRIX[:, :3] + 2 * np.eye(3)
APPLICATIONS = {
    "add": (lambda a, b: a + b, MATRIX, ROW),
    "sub": (lambda a, b: a - b, COLUMN, MATRIX),
    "mul": (lambda a, b: a * b, COLUMN, ROW),
    "div": (lambda a, b: a / b, ROW, MATRIX),
    "neg": (lambda x: -x, MATRIX),
    "power": (lambda x: x**3, MATRIX),
    "matmul": (lambda a, b: a @ b, MATRIX, MATRIX.T),
    "transpose": (lambda x: x.T, MATRIX),
    "reshape": (lambda x: kinds.reshape(x, shape=(2, 6)), MATRIX),
    "expand": (lambda x: kinds.expand(x, shape=(2, 3, 4)), COLUMN),
    "sum": (lambda x: x.sum(axis=0), MATRIX),
    "logsumexp": (lambda x: ops.logsumexp(x, axis=-1), MATRIX),
    "alias": (walks.alias, MATRIX),
    "inverse": (walks.inverse, SQUARE),
}
for _name in ("sqrt", "exp", "log", "sin", "cos", "tanh", "sech", "relu", "step"):
    APPLICATIONS[_name] = (getattr(ops, _name), MATRIX - (1 if _name in ("relu", "step") else 0))


def test_the_table_of_applications_covers_every_op():
    # WORDS holds the ops and one walk; ops that a test below declares carry a mark.
    declared = {w for w in record.WORDS if w != "backward" and not w.startswith("test")}
    assert declared == set(APPLICATIONS)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_each_op_pushes_what_differences_show_and_pulls_the_transpose(name):
    f, *arrays = APPLICATIONS[name]
    rng = np.random.default_rng(6)
    x_dots = [rng.normal(size=a.shape) for a in arrays]
    y, y_dot = jvp(f, arrays, x_dots)
    h = 1e-5  # a central difference is off by about h^2 and eps/h, both near 1e-10
    plus, minus = (
        f(*[GradArray(a + s * h * d) for a, d in zip(arrays, x_dots, strict=True)]) for s in (1, -1)
    )
    np.testing.assert_allclose(value(y_dot), (value(plus) - value(minus)) / (2 * h), atol=1e-8)
    y_bar = rng.normal(size=y.shape)
    x_bars = vjp(f, *arrays)[1](y_bar)
    assert [x_bar.shape for x_bar in x_bars] == [a.shape for a in arrays]
    pulled = sum((value(x_bar) * d).sum() for x_bar, d in zip(x_bars, x_dots, strict=True))
    scale = np.abs(value(y_dot) * y_bar).sum() + 1
    assert abs((value(y_dot) * y_bar).sum() - pulled) <= 64 * EPS * scale


@pytest.mark.parametrize("name", APPLICATIONS)
def test_second_derivatives_do_not_depend_on_the_order_of_the_walks(name):
    f, *arrays = APPLICATIONS[name]
    rng = np.random.default_rng(7)
    v = [rng.normal(size=a.shape) for a in arrays]

    def g(*xs):
        return kinds.total(ops.sin(f(*xs)))

    def pulled(*xs):
        return vjp(g, *xs)[1](1.0)

    def pushed(*xs):
        return jvp(g, xs, v)[1]

    of_pull = [
        value(jvp(lambda *xs, k=k: pulled(*xs)[k], arrays, v)[1]) for k in range(len(arrays))
    ]
    of_push = [value(x_bar) for x_bar in vjp(pushed, *arrays)[1](1.0)]
    for a, b in zip(of_pull, of_push, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_a_node_keeps_what_the_rules_name_and_nothing_else():
    x, constant = parameter(MATRIX), GradArray(MATRIX)
    assert set((x * x).node.saved) == {"a", "b"}
    assert set((x * constant).node.saved) == {"b"}
    assert set((constant @ parameter(MATRIX.T)).node.saved) == {"a"}
    assert set(ops.exp(x).node.saved) == {"y"}
    assert not (x + x).node.saved
    assert not reach(x.sum())[1].saved
    assert (constant * 2).node is None


def test_tanh_keeps_its_derivative_where_it_saturates():
    sech = 1 / np.cosh(20.0)
    close(grad(ops.tanh)(20.0), sech**2)
    close(grad(grad(ops.tanh))(20.0), -2 * sech**2 * np.tanh(20.0))


def test_relu_has_derivative_zero_at_zero():
    (x_bar,) = vjp(ops.relu, np.array([-1.0, 0.0, 2.0]))[1](np.ones(3))
    np.testing.assert_array_equal(value(x_bar), [0, 0, 1])


# Nesting, aliases, order --------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [grad, slope])
@pytest.mark.parametrize("outer", [grad, slope])
def test_nested_derivatives_do_not_take_each_others_input(inner, outer):
    # d/dx [x * d/dz (x + z) at z = 1] = 1, which a walk that confused x and z would call 2.
    close(outer(lambda x: x * inner(lambda z: x + z)(1.0))(3.0), 1.0)
    close(outer(lambda x: x * inner(lambda z: x * z)(x))(3.0), 6.0)


def test_a_walk_stops_at_its_alias():
    visited = []
    original = walks.reach
    state = parameter(1.0)
    try:
        walks.reach = lambda y, floor=0: visited.append(original(y, floor)) or visited[-1]
        for _ in range(20):
            state = state - 0.1 * grad(lambda q: q * q * 0.5)(state)
    finally:
        walks.reach = original
    assert len({len(nodes) for nodes in visited}) == 1  # as many in the last step as in the first
    assert len(reach(state)) > 10 * len(visited[-1])


def test_a_derivative_through_steps_that_take_gradients_themselves():
    def run(q):
        for _ in range(20):
            q = q - 0.1 * grad(lambda q: q * q * 0.5)(q)
        return q

    close(grad(run)(1.0), 0.9**20)


def test_a_sweep_is_recorded_only_if_something_older_can_depend_on_it():
    x = parameter(2.0)
    assert grad(lambda z: z**3)(2.0).node is None
    assert grad(lambda z: z**3)(x).node is not None
    assert grad(lambda z: z * x)(5.0).node is not None
    (x**3).backward()
    assert x._grad.node is None


def test_a_constant_result_has_derivative_zero():
    close(grad(lambda x: GradArray(3.0))(1.0), 0.0, factor=0)
    close(jvp(lambda x: 3.0, [np.ones(2)], [np.ones(2)])[1], 0.0, factor=0)


def test_an_old_graph_does_not_notice_that_a_parameter_was_bound_anew():
    w = parameter(3.0)
    loss = w * w
    w.assign(10.0)
    close(grad(lambda z: z * z)(3.0), 6.0)
    (bar,) = (bar for node, bar in walks.pull(loss, GradArray(1.0)).items() if not node.parents)
    close(bar, 6.0)


def test_gradients_add_up_and_memory_of_the_caller_is_not_shared():
    data = np.array([1.0, 2.0])
    x = parameter(data)
    loss = (x * x).sum()
    data[:] = 100
    loss.backward()
    loss.backward()
    close(x._grad, [4.0, 8.0])


def test_deep_graphs_need_no_recursion_and_leave_no_cycles():
    while gc.collect():  # what finalizers of other tests leave, too
        pass
    gc.disable()
    try:
        x = parameter(0.5)
        y = x
        for _ in range(20_000):
            y = y + 1
        y.backward()
        close(x._grad, 1.0)
        grad(grad(f))(0.5)
        del x, y
        assert gc.collect() == 0
    finally:
        gc.enable()


# Custom ops and errors ----------------------------------------------------------------------------


def declare(name, *rules, forward=np.cbrt):
    record.WORDS.pop(f"test{name}", None)
    return kinds.op(walks.Custom, f"Test{name}", forward, *rules)


@pytest.mark.parametrize(
    "rule", [lambda x_dot, y: x_dot / (3 * y * y), lambda y_bar, y: y_bar / (3 * y * y)]
)
def test_a_custom_op_with_one_direction_has_both_to_any_order(rule):
    cube_root = declare("Cbrt", rule)
    for first in (grad, slope):
        close(first(cube_root)(8.0), 1 / 12)
        for second in (grad, slope):
            close(second(first(cube_root))(8.0), -2 / 9 / 32)
    x = parameter(8.0)
    cube_root(x).backward()
    assert x._grad.node is None


def test_solve_as_a_custom_op():
    # The third exercise of the README.
    inverse = walks.inverse
    solve = declare(
        "Solve",
        lambda x_dot, a, y: -(inverse(a) @ x_dot @ y),
        lambda x_dot, a: inverse(a) @ x_dot,
        forward=np.linalg.solve,
    )
    rng = np.random.default_rng(8)
    b, A_dot, b_dot, y_bar = (rng.normal(size=s) for s in [(3, 2), (3, 3), (3, 2), (3, 2)])
    x, x_dot = jvp(solve, [SQUARE, b], [A_dot, b_dot])
    close(x_dot, np.linalg.solve(SQUARE, b_dot - A_dot @ value(x)), factor=512)
    A_bar, b_bar = vjp(solve, SQUARE, b)[1](y_bar)
    close(b_bar, np.linalg.solve(SQUARE.T, y_bar), factor=512)
    close(A_bar, -np.linalg.solve(SQUARE.T, y_bar) @ value(x).T, factor=512)


def test_a_custom_rule_that_is_not_connected_raises():
    lost = declare("Lost", lambda x_dot, y: GradArray(x_dot._array) / (3 * y * y))
    with pytest.raises(TypeError, match="TestLostGrad: its rule does not use x_dot in these ops"):
        grad(lost)(8.0)
    raw = declare("Raw", lambda x_dot, y: np.cbrt(x_dot))
    with pytest.raises(TypeError, match="does not support ufuncs"):
        grad(raw)(8.0)


def test_errors_name_the_shapes_and_the_mend():
    x = parameter(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"\(2, 3\): sum it to a number"):
        x.backward()
    with pytest.raises(ValueError, match=r"\(2, 3\): sum it to a number"):
        grad(lambda x: x)(x)
    with pytest.raises(ValueError, match=r"\(2, 3\) @ \(2, 3\) do not fit"):
        x @ x
    with pytest.raises(ValueError, match="requires_grad=True"):
        GradArray(1.0).backward()


# The promises of the README -----------------------------------------------------------------------


def code_lines(source):
    """Lines that hold a token of code: no comments, no docstrings, no blank lines."""
    layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines, statement_starts = set(), True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or token.type in layout:
            statement_starts = statement_starts or token.type == tokenize.NEWLINE
        elif not (token.type == tokenize.STRING and statement_starts):
            statement_starts = False
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def test_counting_leaves_prose_out():
    assert code_lines('"""A\nB."""\n\n# C\nx = (1,  # D\n     2)\n') == 2


def test_about_three_hundred_lines():
    assert len(CHAPTERS) == 5
    assert 250 <= sum(code_lines(path.read_text("utf-8")) for path in CHAPTERS) <= 330


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_imports_numpy_the_standard_library_and_earlier_chapters(path):
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    earlier = {other.stem for other in CHAPTERS if other < path}
    assert {n.split(".")[0] for n in imported} <= {"numpy", *sys.stdlib_module_names, *earlier}
    assert ast.get_docstring(tree).startswith(f"Chapter {CHAPTERS.index(path) + 1}. ")


@pytest.fixture(scope="module")
def printed():
    """What each chapter prints when it is run as a script, with warnings as errors."""
    out = {}
    for path in CHAPTERS:
        run = subprocess.run(
            [sys.executable, "-W", "error", str(path)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        out[path.stem] = run.stdout
    return out


def test_each_chapter_tells_its_story(printed):
    assert "#4 AddGrad    made from [2, 3]" in printed["chapter1_record"]
    assert "Sum declares the number 1, so it keeps nothing" in printed["chapter2_kinds"]
    assert f"tanh'(20) = {1 / np.cosh(20.0) ** 2:.10e}"[:22] in printed["chapter3_ops"]
    assert f"closed form {closed_forms(0.5)[0]:+.15f}" in printed["chapter4_walks"]


def test_the_network_learns_from_values_and_from_slopes(printed):
    told = printed["chapter5_network"].splitlines()
    assert len(told) == 2
    for line in told:
        assert float(line.split("at most ")[1].split()[0]) < 0.05


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_what_the_readme_tells_to_try_is_what_it_says(name):
    text = (TWIN / name).read_text("utf-8")
    block = text.split("```python\n")[1].split("```")[0]
    tree = ast.parse(block)
    scope = {}
    exec(compile(ast.Module(tree.body[:2], []), name, "exec"), scope)
    first, third, both = (
        eval(compile(ast.Expression(line.value), name, "eval"), scope) for line in tree.body[2:]
    )
    y = np.tanh(0.5)
    close(first, 2 * np.e)
    close(third, -2 * (1 - y * y) * (1 - 3 * y * y))
    close(both[0], y * y)
    close(both[1], 2 * y * (1 - y * y))
    assert all(f"({path.name})" in text for path in CHAPTERS)
