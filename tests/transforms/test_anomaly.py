"""detect_anomaly names the op, the line, the inputs and the cause; nothing where all is well."""

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn
from gradarray.registry import functions
from gradarray.testing.draw import calls_of, float_results, handle, results


def anomaly(f):
    with pytest.raises(ga.AnomalyError) as caught, ga.detect_anomaly():
        f()
    return str(caught.value)


X = ga.array([1.0, -2.0, 0.0], requires_grad=True)
INF = ga.array(np.inf)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda: ga.log(X), ("log: made nan", "x = -2.0", "(1,)", "negative number")),
        (lambda: ga.log(ga.relu(X)), ("log: made -inf", "logarithm of 0")),
        (lambda: ga.sqrt(X), ("sqrt: made nan", "x = -2.0", "negative")),
        (lambda: ga.exp(1000 * X), ("exp: made inf", "x = 1000.0", "overflows")),
        (lambda: 1 / X, ("divide: made inf", "b = 0.0", "(2,)", "by 0")),
        (lambda: (X * 0) / X, ("divide: made nan", "0 / 0")),
        (lambda: ga.power(X, 0.5), ("power: made nan", "broken power")),
        (lambda: X ** (1 / 3), ("fixed_power: made nan", "n = 0.33", "broken power")),
        (lambda: ga.arcsin(X), ("arcsin", "outside [-1, 1]")),
        (lambda: ga.arctanh(X), ("arctanh: made inf", "infinite at -1 and 1")),
        (lambda: ga.log1p(X - 1), ("log1p: made nan", "the logarithm of 1 + x, a negative")),
        (lambda: ga.special.gammaln(X), ("gammaln: made inf", "infinite at 0, -1, -2")),
        (lambda: (X * 1e300).astype("float32"), ("astype: made inf", "overflows float32")),
        (lambda: ga.exp(ga.array([100.0], dtype="float32")), ("overflows float32", "3.4e+38")),
        (lambda: ga.sum(X * X * 1e308), ("multiply: made inf", "overflows float64")),
        (lambda: ga.sum(ga.array([1e308, 1e308])), ("sum: made inf", "from 1e+308 to 1e+308")),
        # Infinities that came from outside are none of its business; a NaN made of them is.
        (lambda: INF - INF, ("subtract: made nan from a = inf, b = inf", ": inf - inf.")),
        (lambda: (X - X) * INF, ("multiply: made nan from a = 0.0, b = inf", ": 0 * inf.")),
        (lambda: ga.sum(ga.stack([INF, -INF])), ("sum: made nan", "from -inf to inf")),
        (lambda: ga.sin(INF), ("sin: made nan", "no value at an infinity")),
        (lambda: ga.softmax(ga.full((2,), -np.inf)), ("divide: made nan", "0 / 0")),
    ],
)
def test_forward(f, words):
    text = anomaly(f)
    assert all(word in text for word in words), text
    assert "test_anomaly.py" in text


def steep(x):
    return (x * 1e200) * 1e200  # 0 at 0, with a slope that overflows


def test_backward_names_the_line_that_recorded():
    text = anomaly(lambda: steep(ga.array([0.0], requires_grad=True)).sum().backward())
    assert text.startswith("multiply: its derivative, backward, is inf")
    assert "overflows" in text and "# 0 at 0, with a slope" in text


def test_forward_mode_and_higher_orders():
    zeros = ga.zeros(2)
    for text in (
        anomaly(lambda: ga.jvp(steep, (0.0,), (1.0,))),
        anomaly(lambda: ga.grad(ga.grad(lambda x: steep(x * x)))(0.0)),
        anomaly(lambda: ga.jacfwd(steep)(zeros)),
        anomaly(lambda: ga.jacrev(steep)(zeros)),
        anomaly(lambda: ga.hessian(lambda x: steep(x * x).sum())(zeros)),
        anomaly(lambda: ga.hvp(lambda x: steep(x * x).sum())(zeros, zeros + 1)),
        anomaly(lambda: ga.jet(steep, (0.0,), ([1.0, 0.0],))),
        anomaly(lambda: ga.laplacian(lambda x: steep(x * x).sum())(zeros)),
        anomaly(lambda: ga.vmap(ga.grad(steep))(zeros)),
        anomaly(lambda: ga.checkpoint(steep)(ga.array(0.0, requires_grad=True)).backward()),
        anomaly(lambda: ga.grad(lambda x: ga.fori_loop(0, 2, lambda k, c: c * 1e200, x))(0.0)),
    ):
        assert "its derivative" in text and "inf" in text and "overflows" in text, text
        assert "test_anomaly.py" in text, text


def test_a_masked_branch_is_no_anomaly():
    with ga.detect_anomaly():
        g = ga.grad(lambda x: ga.where(x > 0, ga.sqrt(ga.relu(x)), 0.0).sum())(X)
    np.testing.assert_array_equal(g.numpy(), [0.5, 0.0, 0.0])


def test_what_comes_in_is_no_anomaly():
    with ga.detect_anomaly():
        y = ga.array([np.nan, np.inf]) * 2 + 1
    assert np.isnan(y.numpy()[0])
    with ga.detect_anomaly(check_inf=False):
        ga.exp(ga.array(1000.0))


def test_a_cotangent_that_came_infinite_is_not_the_ops_doing():
    x = ga.array([1.0, 2.0], requires_grad=True)
    with ga.detect_anomaly():
        (x * 3).backward(ga.array([np.inf, 1.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [np.inf, 3.0])


class Net(nn.Module):
    def __init__(self, inner):
        self.first = nn.Linear(2, 2)
        self.rest = nn.Sequential(nn.Linear(2, 2), inner)

    def forward(self, x):
        return self.rest(self.first(x))


class Log(nn.Module):
    def forward(self, x):
        return ga.log(-ga.abs(x) - 1)


class Steep(nn.Module):
    def forward(self, x):
        return steep(x.astype("float64") * 0)


def test_a_layer_is_named_forward_and_backward():
    x = np.ones((3, 2), np.float32)
    assert anomaly(lambda: Net(Log())(x)).startswith("in model.rest.1 (Log): log: made nan")
    assert anomaly(lambda: Log()(x)).startswith("in Log: log: made nan")
    text = anomaly(lambda: Net(Steep())(x).sum().backward())
    assert text.startswith("in model.rest.1 (Steep): multiply: its derivative, backward, is inf")


def test_a_step_of_an_optimizer_is_watched():
    w = ga.array([1.0], requires_grad=True)
    optimizer = ga.optim.SGD([w], lr=1e300)
    (w * 1e300).sum().backward()
    text = anomaly(optimizer.step)
    assert text.startswith("SGD.step: made -inf from parameter = 1.0, gradient = 1e+300")
    assert "SGD.step overflows float64" in text and "test_anomaly.py" in text
    np.testing.assert_array_equal(w.numpy(), [1.0])  # nothing has moved


def test_fit_names_the_layer():
    ga.random.seed(0)
    model = ga.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model.compile(ga.optim.SGD(model.parameters(), lr=1e3), "mse")
    x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    text = anomaly(lambda: model.fit(x, y, epochs=100, verbose=0))
    assert "overflows float32" in text and "test_anomaly.py" in text


def test_what_the_data_brings_is_no_anomaly_in_training():
    model = ga.Sequential(nn.Linear(2, 1))
    model.compile("sgd", "mse")
    x = np.array([[np.nan, 1.0]], np.float32)
    with ga.detect_anomaly():
        model.fit(x, np.ones((1, 1), np.float32), verbose=0)


def finite_calls():
    for entry in {e.name: e for e in functions.values()}.values():
        for call in calls_of(entry):
            xs = call.draw()
            ys = results(call.run(entry.fn, xs))
            if all(np.isfinite(y).all() for y in ys if y.dtype.kind in "fc"):
                yield call, xs


def test_no_function_of_the_library_makes_one_on_the_way_to_a_finite_result():
    seen = 0
    for call, xs in finite_calls():
        moving = [handle(xs[k]) for k in call.moving]

        def total(*ys, call=call, xs=xs):
            full = list(map(handle, xs))
            for k, y in zip(call.moving, ys, strict=True):
                full[k] = y
            return sum(ga.real(y).sum() for y in float_results(call.run(call.entry.fn, full)))

        with ga.detect_anomaly():
            call.run(call.entry.fn, list(map(handle, xs)))
            if moving:
                ga.grad(total, tuple(range(len(moving))))(*moving)
                ga.jvp(total, moving, moving)
        seen += 1
    assert seen > 900


def test_the_mode_ends_with_the_block():
    with pytest.raises(ga.AnomalyError), ga.detect_anomaly():
        ga.log(X)
    with np.errstate(all="ignore"):
        assert np.isnan(ga.log(X).numpy()[1])
