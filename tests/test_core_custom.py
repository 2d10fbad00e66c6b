"""An op of the user: one rule is enough, both modes and every order follow, faults are said."""

import itertools

import numpy as np
import pytest

import gradarray as ga

RULE_PULL = lambda y_bar, x: y_bar * 3 * x**2
RULE_PUSH = lambda x, x_dot: x_dot * 3 * x**2


class PullOnly(ga.Grad):
    def forward(x):
        return x**3

    def pull(y_bar, x):
        return RULE_PULL(y_bar, x)


class PushOnly(ga.Grad):
    def forward(x):
        return x**3

    def push(x, x_dot):
        return RULE_PUSH(x, x_dot)


class Both(ga.Custom):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def backward(y_bar, x):
        return RULE_PULL(y_bar, x)

    @staticmethod
    def push(x, x_dot):
        return RULE_PUSH(x, x_dot)


class WithSelf(ga.Grad):
    power = 3

    def forward(self, x):
        return x**self.power

    def backward(self, y_bar, x, y):
        return y_bar * self.power * y / x


CUBES = {op.__name__: op.apply for op in (PullOnly, PushOnly, Both, WithSelf)}
MODES = {
    "grad": lambda f: ga.grad(f),
    "jvp": lambda f: lambda x: ga.jvp(f, (x,), (1.0,))[1],
}
MIXES = [mix for n in (1, 2, 3) for mix in itertools.product(MODES, repeat=n)]


@pytest.mark.parametrize("mix", MIXES, ids="-".join)
@pytest.mark.parametrize("name", CUBES)
def test_every_mix_to_the_third_order(name, mix):
    f = CUBES[name]
    for mode in mix:
        f = MODES[mode](f)
    # x^3 at 2: 8, 12, 12, 6.
    assert f(2.0).item() == pytest.approx([8, 12, 12, 6][len(mix)], rel=1e-14)


@pytest.mark.parametrize("name", CUBES)
def test_backward_and_float32(name):
    x = ga.array([1.0, 2.0], dtype=np.float32, requires_grad=True)
    CUBES[name](x).sum().backward()
    assert x.grad.dtype == np.float32 and x.grad.tolist() == [3, 12]


@pytest.mark.parametrize("name", CUBES)
def test_the_nodes_own_backward(name):
    x = ga.array(2.0, requires_grad=True)
    y = CUBES[name](x)
    assert y._grad_op.inputs[0] is x
    (x_bar,) = y._grad_op.backward(10.0)
    assert x_bar.item() == pytest.approx(120)


def test_its_name_and_what_it_is():
    assert issubclass(PullOnly, ga.Custom) and issubclass(PullOnly, ga.Grad)
    assert PullOnly.name == "pullonly" and PullOnly.operands == ("x",)
    y = PullOnly.apply(ga.array(1.0, requires_grad=True))
    assert type(y._grad_op) is PullOnly and "grad_op=PullOnly" in repr(y)


def test_plain_values_are_taken_and_constants_need_no_graph():
    y = PullOnly.apply(np.array([1.0, 2.0]))
    assert isinstance(y, ga.GradArray) and not y.requires_grad and y.tolist() == [1, 8]


# Several inputs and results -----------------------------------------------------------------------


class Scaled(ga.Grad):
    """y = scale a b, with a static parameter and an input whose rule is broadcast back."""

    def forward(a, b, *, scale=2.0):
        return scale * a * b

    def backward(y_bar, a, b, scale):
        return y_bar * b * scale, y_bar * a * scale


def test_two_inputs_a_static_parameter_and_broadcasting():
    a, b = np.array([[1.0], [2.0]]), np.array([3.0, 4.0, 5.0])
    y, pull = ga.vjp(lambda a, b: Scaled.apply(a, b, scale=10.0), a, b)
    assert y.tolist() == (10 * a * b).tolist()
    a_bar, b_bar = pull(np.ones((2, 3)))
    assert a_bar.tolist() == [[120], [120]] and b_bar.tolist() == [30, 30, 30]
    assert Scaled.apply(1.0, 1.0).item() == 2
    assert ga.grad(lambda a: Scaled.apply(a, 3.0))(1.0).item() == 6
    assert ga.jvp(lambda b: Scaled.apply(2.0, b), (1.0,), (1.0,))[1].item() == 4


class Polar(ga.Grad):
    """(r, theta) of (x, y): two results, each of which may be used or not."""

    def forward(x, y):
        return np.hypot(x, y), np.arctan2(y, x)

    def backward(bars, x, y):
        r_bar, t_bar = bars
        r2 = x * x + y * y
        r = ga.sqrt(r2)
        return r_bar * x / r - t_bar * y / r2, r_bar * y / r + t_bar * x / r2


class PolarPush(ga.Grad):
    def forward(x, y):
        return np.hypot(x, y), np.arctan2(y, x)

    def push(x, y, x_dot, y_dot):
        r2 = x * x + y * y
        return (x * x_dot + y * y_dot) / ga.sqrt(r2), (x * y_dot - y * x_dot) / r2


JACOBIAN = np.array([[0.6, 0.8], [-0.16, 0.12]])  # at (3, 4)


@pytest.mark.parametrize("op", [Polar, PolarPush])
def test_several_results(op):
    f = lambda x, y: op.apply(x, y)
    (r, t), pull = ga.vjp(f, 3.0, 4.0)
    assert (r.item(), t.item()) == pytest.approx((5, np.arctan2(4, 3)))
    rows = [[v.item() for v in pull(e)] for e in ((1.0, 0.0), (0.0, 1.0))]
    np.testing.assert_allclose(rows, JACOBIAN, rtol=1e-14)
    columns = [[d.item() for d in ga.jvp(f, (3.0, 4.0), e)[1]] for e in ((1.0, 0.0), (0.0, 1.0))]
    np.testing.assert_allclose(np.transpose(columns), JACOBIAN, rtol=1e-14)


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(MODES, repeat=2)))
@pytest.mark.parametrize("op", [Polar, PolarPush])
def test_second_order_of_several_results(op, outer, inner):
    # d2/dx2 of r theta by (x, 4) at 3, from the closed form r = sqrt(x^2+16), theta = atan2(4, x).
    f = lambda x: op.apply(x, 4.0)[0] * op.apply(x, 4.0)[1]
    x, y, r = 3.0, 4.0, 5.0
    t = np.arctan2(y, x)
    r1, t1 = x / r, -y / r**2
    r2, t2 = y**2 / r**3, 2 * x * y / r**4
    closed = r2 * t + 2 * r1 * t1 + r * t2
    assert MODES[outer](MODES[inner](f))(3.0).item() == pytest.approx(closed, rel=1e-13)


def test_one_of_several_results_alone():
    x = ga.array(3.0, requires_grad=True)
    r, _ = Polar.apply(x, 4.0)
    r.backward()
    assert x.grad.item() == pytest.approx(0.6)


# What is kept -------------------------------------------------------------------------------------


def test_only_what_the_rule_names_is_kept():
    class NamesY(ga.Grad):
        def forward(x, w):
            return np.exp(x) * w

        def backward(y_bar, y, w):
            return y_bar * y, y_bar * y / w

    x = ga.array(1.0, requires_grad=True)
    w = ga.array(2.0, requires_grad=True)
    y = NamesY.apply(x, w)
    node = y._grad_op
    assert [node.plan.keep, node.plan.keep_y] == [(1,), True]
    y.backward()
    assert (x.grad.item(), w.grad.item()) == pytest.approx((2 * np.e, np.e))


def test_inputs_by_other_names_are_taken_in_order():
    class Renamed(ga.Grad):
        def forward(u, v):
            return u * v

        def backward(g, first, second, out):
            return g * second, g * first

    grads = ga.grad(lambda u, v: Renamed.apply(u, v), (0, 1))(2.0, 5.0)
    assert [g.item() for g in grads] == [5, 2]


def test_no_rule_is_no_derivative():
    class Sign(ga.Grad):
        def forward(x):
            return np.sign(x)

        backward = None

    assert not Sign.apply(ga.array(2.0, requires_grad=True)).requires_grad
    assert ga.grad(lambda x: Sign.apply(x) * x)(2.0).item() == 1


def test_none_for_an_input_without_derivative():
    class Shift(ga.Grad):
        def forward(x, k):
            return x + np.floor(k)

        def backward(y_bar, x, k):
            return y_bar, None

    gx, gk = ga.grad(lambda x, k: Shift.apply(x, k), (0, 1))(1.0, 2.5)
    assert (gx.item(), gk.item()) == (1, 0)


def test_forward_may_give_a_python_number_or_a_list():
    class Total(ga.Grad):
        def forward(x):
            return float(x.sum())

        def backward(y_bar, x_like):
            return ga.broadcast_to(y_bar, x_like.shape)

    x = ga.array([1.0, 2.0], requires_grad=True)
    y = Total.apply(x)
    y.backward()
    assert y.shape == () and y.item() == 3 and x.grad.tolist() == [1, 1]
    listed = make(lambda x: [x, 2 * x])
    assert listed.apply(1.0).tolist() == [1, 2]


# Faults -------------------------------------------------------------------------------------------


def make(forward=lambda x: np.exp(x), **rules):
    return type(
        "Faulty",
        (ga.Grad,),
        {"forward": staticmethod(forward)}
        | {name: staticmethod(rule) for name, rule in rules.items()},
    )


def run_backward(op):
    ga.grad(lambda x: op.apply(x).sum())(np.ones((2, 3)))


def run_push(op):
    ga.jvp(op.apply, (np.ones((2, 3)),), (np.ones((2, 3)),))


@pytest.mark.parametrize("run", [run_backward, run_push])
def test_a_rule_in_raw_numpy_raises_in_both_modes(run):
    numpy_inside = make(backward=lambda y_bar, x: ga.array(np.exp(x.detach().numpy())))
    with pytest.raises(ga.RuleError, match="faulty: the result of its rule `backward` is not conn"):
        run(numpy_inside)


def test_a_push_in_raw_numpy_raises():
    cut = make(push=lambda x, x_dot: ga.exp(x))
    for run in (run_push, run_backward):
        with pytest.raises((ga.RuleError, ga.GraphError), match="faulty"):
            run(cut)


@pytest.mark.parametrize("leave", ["numpy", "item"])
def test_a_value_taken_out_of_the_graph_raises(leave):
    def rule(y_bar, x):
        return y_bar * (x.numpy() if leave == "numpy" else x.sum().item())

    with pytest.raises(ga.GraphError, match="faulty: a derivative rule took a value out"):
        run_backward(make(backward=rule))


def test_np_asarray_in_a_rule_raises():
    with pytest.raises(ga.GraphError):
        run_backward(make(backward=lambda y_bar, x: y_bar * np.asarray(x)))


def test_a_result_of_the_wrong_shape():
    with pytest.raises(ga.RuleError, match=r"gave shape \(3, 2\) for x, of shape \(2, 3\)"):
        run_backward(make(backward=lambda y_bar, x: (y_bar * x).reshape(3, 2)))
    wrong = make(push=lambda x, x_dot: (x_dot * x).reshape(6))
    with pytest.raises(ga.RuleError, match=r"gave shape \(6,\) for the result, of shape \(2, 3\)"):
        run_push(wrong)


def test_the_wrong_number_of_cotangents():
    with pytest.raises(ga.RuleError, match="gave 2 cotangents for 1 inputs"):
        run_backward(make(backward=lambda y_bar, x: (y_bar, y_bar)))


def test_state_on_self_is_refused():
    class Stateful(ga.Grad):
        def forward(self, x):
            self.x = x
            return x

        def backward(self, y_bar):
            return y_bar

    with pytest.raises(ga.RuleError, match=r"self\.x = \.\.\. in a rule.*Name what the rule needs"):
        Stateful.apply(1.0)


def test_forward_works_on_raw_arrays_and_leaves_them_as_they_are():
    def in_place(x):
        x *= 2
        return x

    x = ga.array([1.0, 2.0])
    with pytest.raises(ga.RuleError, match="changed an input in place"):
        make(in_place).apply(x)
    assert x.tolist() == [1, 2]
    with pytest.raises(ga.RuleError, match="forward gave a GradArray"):
        make(lambda x: ga.exp(x)).apply(x)
    with pytest.raises(ga.RuleError, match="no number"):
        make(lambda x: "text").apply(x)


def test_forward_gets_an_ndarray_also_where_0_d_and_a_python_number_as_it_is():
    seen = []

    class Seen(ga.Grad):
        def forward(x, n):
            seen.append((type(x), type(n)))
            return x * n

        def backward(y_bar, x, n):
            return y_bar * n, None

    assert ga.grad(Seen.apply)(1.5, 2).item() == 2.0
    y = Seen.apply(ga.array([1.5], dtype="float32"), 2.5)
    assert seen == [(np.ndarray, int), (np.ndarray, float)] and y.dtype == np.float32


def test_unknown_names_are_refused_when_the_op_is_defined():
    with pytest.raises(TypeError, match="asks for z; it can name"):
        make(push=lambda x, z: x)
    with pytest.raises(TypeError, match=r"name each array; \*xs"):
        make(forward=lambda *xs: xs[0])


def test_forward_may_be_a_ufunc_of_numpy():
    class Sine(ga.Grad):
        forward = staticmethod(np.sin)
        backward = staticmethod(lambda y_bar, x: y_bar * ga.cos(x))

    class Hypotenuse(ga.Grad):
        forward = np.hypot
        backward = staticmethod(lambda y_bar, x1, x2, y: (y_bar * x1 / y, y_bar * x2 / y))

    assert ga.grad(Sine.apply)(0.5).item() == pytest.approx(np.cos(0.5))
    assert [g.item() for g in ga.grad(Hypotenuse.apply, (0, 1))(3.0, 4.0)] == [0.6, 0.8]


def test_calls_that_do_not_fit():
    with pytest.raises(TypeError, match=r"takes 2 arrays \(a, b\), 1 given"):
        Scaled.apply(1.0)
    with pytest.raises(TypeError, match="has no parameter factor"):
        Scaled.apply(1.0, 2.0, factor=3.0)


def test_grad_itself_is_abstract():
    with pytest.raises(TypeError):
        ga.Grad()

    class Nothing(ga.Grad):
        pass

    with pytest.raises(TypeError):
        Nothing.apply(1.0)


def test_a_rule_is_left_cleanly_after_a_fault():
    with pytest.raises(ga.RuleError):
        run_backward(make(backward=lambda y_bar, x: (y_bar, y_bar)))
    x = ga.array(2.0, requires_grad=True)
    (x * x).backward()
    assert x.numpy() == 2 and x.grad.item() == 4
