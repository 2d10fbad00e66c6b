"""Lesson 10: parameters through a simulated time loop; ReLUs bent by hand; both in one program."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import gradarray as ga

mp = mpmath.mp.clone()
mp.dps = 40
g = 9.81


def simulate(acceleration, angle, steps, h):
    speed, path = 0.0 * angle, [angle]
    for _ in range(steps):
        a1 = acceleration(angle, speed)
        v2 = speed + h / 2 * a1
        a2 = acceleration(angle + h / 2 * speed, v2)
        v3 = speed + h / 2 * a2
        a3 = acceleration(angle + h / 2 * v2, v3)
        v4 = speed + h * a3
        a4 = acceleration(angle + h * v3, v4)
        angle = angle + h / 6 * (speed + 2 * v2 + 2 * v3 + v4)
        speed = speed + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        path.append(angle)
    return path


def pendulum(L, c):
    return lambda angle, speed: -(g / L) * ga.sin(angle) - c * speed


def swing(L, c, seconds=4.0):
    return ga.stack(simulate(pendulum(L, c), 1.2, round(20 * seconds), 0.05)[::2])


# The derivative through the loop ------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_the_derivatives_through_the_loop_at_forty_digits(steps):
    def last(L, c):
        return simulate(pendulum(L, c), 1.2, steps, 0.05)[-1]

    def exact(L, c):
        force = lambda angle, speed: -(mp.mpf(g) / L) * mp.sin(angle) - c * speed
        return simulate(force, mp.mpf(1.2), steps, mp.mpf(0.05))[-1]

    value, pulled = ga.value_and_grad(last, argnums=(0, 1))(0.8, 0.15)
    pushed = [ga.jvp(last, (0.8, 0.15), d)[1].item() for d in ((1.0, 0.0), (0.0, 1.0))]
    at = (mp.mpf(0.8), mp.mpf(0.15))
    slopes = [float(mp.diff(exact, at, order)) for order in ((1, 0), (0, 1))]
    # Roundings of 40 steps of an angle of about 1 add up, in the value and in its derivatives.
    np.testing.assert_allclose(value.item(), float(exact(*at)), rtol=0, atol=1e-13)
    np.testing.assert_allclose([v.item() for v in pulled], slopes, rtol=1e-12)
    np.testing.assert_allclose(pushed, slopes, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 10, 60])
def test_a_linear_pendulum_in_closed_form(steps):
    # On z' = A z one step is the polynomial P(hA) = 1 + hA + .. + (hA)^4/24, and its eigenvalues
    # are P(h lambda), lambda^2 + c lambda + k = 0: the angle is a sum of two powers.
    def last(k, c):
        return simulate(lambda angle, speed: -k * angle - c * speed, 1.0, steps, 0.05)[-1]

    def exact(k, c):
        h, root = mp.mpf(0.05), mp.sqrt(c * c / 4 - k)
        one, two = -c / 2 + root, -c / 2 - root
        grown_one, grown_two = (
            mp.fsum((h * v) ** j / mp.factorial(j) for j in range(5)) ** steps for v in (one, two)
        )
        return mp.re((one * grown_two - two * grown_one) / (one - two))

    value, pulled = ga.value_and_grad(last, argnums=(0, 1))(12.0, 0.3)
    at = (mp.mpf(12), mp.mpf(0.3))
    slopes = [float(mp.diff(exact, at, order)) for order in ((1, 0), (0, 1))]
    np.testing.assert_allclose(value.item(), float(exact(*at)), rtol=1e-12)
    np.testing.assert_allclose([v.item() for v in pulled], slopes, rtol=1e-12)


def truth(L, c, times, start=1.2):
    solution = solve_ivp(
        lambda t, z: [z[1], -(g / L) * np.sin(z[0]) - c * z[1]],
        (0, times[-1]),
        [start, 0.0],
        method="DOP853",
        rtol=1e-12,
        atol=1e-12,
        t_eval=times,
    )
    return solution.y[0]


TIMES = np.arange(41) / 10


def test_the_loop_is_the_pendulum():
    exact = truth(0.8, 0.15, TIMES)
    coarse = np.abs(swing(0.8, 0.15).numpy() - exact).max()
    path = simulate(pendulum(0.8, 0.15), 1.2, 160, 0.025)
    fine = np.abs(ga.stack(path[::4]).numpy() - exact).max()
    assert coarse < 1e-4
    # The method has order 4: half the step, a sixteenth of the error.
    assert 12 < coarse / fine < 20


# Length and friction from a trajectory ------------------------------------------------------------


def fit(angles, L, c):
    L, c = ga.array(L, requires_grad=True), ga.array(c, requires_grad=True)
    seconds = (len(angles) - 1) / 10
    optimizer = ga.optim.LBFGS(
        [L, c],
        max_iter=50,
        tolerance_grad=1e-12,
        tolerance_change=1e-18,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        loss = ((swing(L, c, seconds) - angles) ** 2).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return np.array([L.item(), c.item()])


def test_without_noise_the_parameters_come_back():
    # The loss is a sum of squares of roundings at the minimum, but a line search cannot see changes
    # of a loss below its rounding: about half the digits are certain.
    found = fit(swing(0.8, 0.15).numpy(), 1.0, 0.0)
    np.testing.assert_allclose(found, [0.8, 0.15], rtol=1e-7)


def test_from_an_exact_trajectory_up_to_the_error_of_the_loop():
    found = fit(truth(0.8, 0.15, TIMES), 1.0, 0.0)
    np.testing.assert_allclose(found, [0.8, 0.15], atol=1e-4)


def jacobian(L, c):
    return np.stack([ga.jvp(swing, (L, c), d)[1].numpy() for d in ((1.0, 0.0), (0.0, 1.0))], axis=1)


def test_with_noise_the_errors_are_those_that_the_jacobian_foretells():
    exact = truth(0.8, 0.15, TIMES)
    J = jacobian(0.8, 0.15)
    sigma = np.sqrt(np.diag(0.02**2 * np.linalg.inv(J.T @ J)))
    standard = []
    for seed in range(8):
        angles = exact + 0.02 * np.random.default_rng(seed).normal(size=exact.shape)
        standard.append((fit(angles, 1.0, 0.0) - [0.8, 0.15]) / sigma)
    standard = np.array(standard)
    # 16 numbers, nearly normal with variance 1: their sum of squares is chi-squared with 16
    # degrees of freedom, between 3.9 and 39 with probability 0.998.
    assert np.abs(standard).max() < 4
    assert 3.9 < (standard**2).sum() < 39


LENGTHS = np.geomspace(0.3, 3.0, 401)


def landscape(seconds):
    path = simulate(pendulum(LENGTHS, 0.15), 1.2 + 0 * LENGTHS, 20 * seconds, 0.05)
    angles = truth(0.8, 0.15, np.arange(10 * seconds + 1) / 10)
    return ((ga.stack(path[::2]).numpy() - angles[:, None]) ** 2).mean(axis=0)


def test_a_longer_film_has_more_valleys_and_only_one_is_deep():
    counts = []
    for seconds in (1, 4, 16):
        loss = landscape(seconds)
        inner = loss[1:-1]
        found = np.flatnonzero((inner < loss[:-2]) & (inner < loss[2:])) + 1
        deepest = found[np.argmin(loss[found])]
        assert abs(LENGTHS[deepest] - 0.8) < 0.005
        assert np.all(np.delete(loss[found], np.argmin(loss[found])) > 0.2)
        counts.append(len(found))
    assert counts == [1, 2, 7]


def test_from_far_away_the_slope_of_a_long_film_leads_astray_and_a_short_one_does_not():
    slopes = []
    for seconds in (1, 16):
        angles = truth(0.8, 0.15, np.arange(10 * seconds + 1) / 10)
        loss = lambda L, s=seconds, a=angles: ((swing(L, 0.15, s) - a) ** 2).mean()
        slopes.append(ga.grad(loss)(1.4).item())
    assert slopes[0] > 0 > slopes[1]
    first = fit(truth(0.8, 0.15, TIMES)[:11], 1.4, 0.0)
    np.testing.assert_allclose(fit(truth(0.8, 0.15, TIMES), *first), [0.8, 0.15], atol=1e-4)


# A hidden layer bent by hand ----------------------------------------------------------------------


def network(n, seed=0):
    ga.random.seed(seed)
    return ga.nn.Sequential(
        ga.nn.Linear(1, n, dtype=np.float64),
        ga.nn.ReLU(),
        ga.nn.Linear(n, 1, dtype=np.float64),
    )


def by_hand(f, a, b, n):
    knots = np.linspace(a, b, n + 1)
    slopes = np.diff(f(knots)) / np.diff(knots)
    model = network(n)
    model.load_state_dict(
        {
            "0.weight": np.ones((n, 1)),
            "0.bias": -knots[:-1],
            "2.weight": np.diff(slopes, prepend=0.0)[None],
            "2.bias": f(knots[:1]),
        }
    )
    return model


def values(model, x):
    with ga.no_grad():
        return model(x[:, None]).numpy()[:, 0]


# f, from, to, the largest |f''| there
FUNCTIONS = {
    "sin": (np.sin, 0.0, 2 * np.pi, 1.0),
    "exp": (np.exp, 0.0, 1.0, np.e),
    "runge": (lambda x: 1 / (1 + 25 * x**2), -1.0, 1.0, 50.0),
    "square": (np.square, -1.0, 1.0, 2.0),
    "cubic": (lambda x: x**3 - x, -2.0, 1.0, 12.0),
    "wave": (lambda x: np.sin(7 * x) * np.cos(3 * x), 0.0, 2.0, 58.0),  # (100 + 16) / 2 at most
    "line": (lambda x: 3 - 2 * x, -1.0, 4.0, 0.0),
}
SIZES = [1, 2, 3, 5, 8, 16, 33, 64, 100, 256, 1000]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_n_relus_by_hand_interpolate_within_the_bound(name, n):
    f, a, b, bend = FUNCTIONS[name]
    model = by_hand(f, a, b, n)
    assert model[0].bias.shape == (n,)
    scale = np.abs(f(np.linspace(a, b, 101))).max()
    knots = np.linspace(a, b, n + 1)
    # A knot's value is a sum of up to n terms, each a bend times a distance: about n roundings.
    rounding = 1e-14 * max(n, 10) * scale
    np.testing.assert_allclose(values(model, knots), f(knots), rtol=0, atol=rounding)
    x = np.linspace(a, b, 16 * n + 1)
    assert np.abs(values(model, x) - f(x)).max() <= ((b - a) / n) ** 2 / 8 * bend + rounding


@pytest.mark.parametrize("n", SIZES)
def test_the_bound_is_reached_by_a_parabola_in_every_middle(n):
    f, a, b, _ = FUNCTIONS["square"]
    h = (b - a) / n
    middles = a + h * (np.arange(n) + 0.5)
    error = values(by_hand(f, a, b, n), middles) - f(middles)
    np.testing.assert_allclose(error, h**2 / 4, rtol=1e-12, atol=1e-15 * n)


@pytest.mark.parametrize("name", ["sin", "exp", "runge", "cubic", "wave"])
def test_four_times_the_neurons_a_sixteenth_of_the_error(name):
    f, a, b, _ = FUNCTIONS[name]
    errors = []
    for n in (128, 512):
        x = np.linspace(a, b, 16 * n + 1)
        errors.append(np.abs(values(by_hand(f, a, b, n), x) - f(x)).max())
    assert 15.5 < errors[0] / errors[1] < 16.5


def test_the_slope_of_the_network_is_that_of_the_chord():
    f, a, b, _ = FUNCTIONS["runge"]
    model = by_hand(f, a, b, 8)
    knots = np.linspace(a, b, 9)
    chords = np.diff(f(knots)) / np.diff(knots)
    middles = (knots[1:] + knots[:-1])[:, None] / 2
    slopes = ga.grad(lambda x: model(x).sum())(middles).numpy()[:, 0]
    np.testing.assert_allclose(slopes, chords, rtol=0, atol=1e-12 * np.abs(chords).max())


def test_continuous_is_enough_and_slower():
    # |f(x) - f(t)| <= w(h) for |x - t| <= h, and a chord differs by no more; here w(h) = sqrt(h).
    f, errors = (lambda x: np.sqrt(np.abs(x))), []
    for n in (5, 21, 85, 341):
        x = np.linspace(-1.0, 1.0, 64 * n + 1)
        errors.append(np.abs(values(by_hand(f, -1.0, 1.0, n), x) - f(x)).max())
        assert errors[-1] <= np.sqrt(2 / n)
    # Four times the neurons, half the error and not a sixteenth.
    assert np.all(
        (1.8 < np.divide(errors[:-1], errors[1:])) & (np.divide(errors[:-1], errors[1:]) < 2.2)
    )


# What the theorem does not say --------------------------------------------------------------------


def test_outside_the_knots_the_network_goes_straight_on():
    f, a, b, _ = FUNCTIONS["sin"]
    model = by_hand(f, a, b, 64)
    h = (b - a) / 64
    last = (np.sin(b) - np.sin(b - h)) / h
    x = b + np.array([0.5, 1.0, 10.0])
    np.testing.assert_allclose(values(model, x), last * (x - b), rtol=1e-10)
    np.testing.assert_allclose(values(model, a - np.array([1.0, 9.0])), np.sin(a), atol=1e-15)


@pytest.mark.parametrize("n", [11, 101, 1001])
def test_a_jump_of_one_costs_one_half(n):
    step = lambda x: np.where(x < 1.0, 0.0, 1.0)
    near = np.array([1 - 1e-9, 1.0])
    trained = network(n, seed=1)
    for model in (by_hand(step, 0.0, 2.0, n), trained):
        values_near = values(model, near)
        # The two values differ by the slope times 1e-9, so one is at least nearly 1/2 off.
        assert np.abs(values_near - step(near)).max() >= 0.5 - 1e-9 * n


@pytest.mark.parametrize("n", [5, 10, 100])
def test_polynomial_neurons_span_polynomials_however_many(n):
    rng = np.random.default_rng(n)
    x = np.linspace(-1, 1, 201)[:, None]
    s = x * rng.normal(size=n) + rng.normal(size=n)
    assert np.linalg.matrix_rank(s**2) == 3
    assert np.linalg.matrix_rank(np.maximum(s, 0)) > 3


X = np.linspace(0, 2 * np.pi, 257)[:, None]
Y = np.sin(X)


def descend(model, steps):
    optimizer = ga.optim.Adam(model.parameters(), lr=0.03)
    for k in range(steps):
        if k == 3000:
            optimizer.param_groups[0]["lr"] = 0.003
        loss = ((model(X) - Y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def sine_error(model):
    x = np.linspace(0, 2 * np.pi, 1025)
    return np.abs(values(model, x) - np.sin(x)).max()


def test_descent_does_not_find_the_weights_that_exist():
    exists = sine_error(by_hand(np.sin, 0.0, 2 * np.pi, 64))
    assert exists <= (2 * np.pi / 64) ** 2 / 8
    # Measured over six seeds after 600 steps: 0.03 to 0.12, against 0.0012.
    errors = [sine_error(descend(network(64, seed), 600)) for seed in range(6)]
    assert min(errors) > 15 * exists
    # It does learn: a constant would be 1 off.
    assert max(errors) < 0.5
    # Ten times as many steps: measured 0.021.
    assert sine_error(descend(network(64, 1), 6000)) > 6 * exists


def test_a_dead_layer_has_gradient_zero_and_stays():
    model = network(64)
    beyond = {"0.weight": np.ones((64, 1)), "0.bias": np.full(64, -10.0)}
    model.load_state_dict({**model.state_dict(), **beyond})
    ((model(X) - Y) ** 2).mean().backward()
    assert all(np.all(p.grad.numpy() == 0) for p in model[0].parameters())
    before = [p.numpy().copy() for p in model[0].parameters()]
    descend(model, 20)
    for p, was in zip(model[0].parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), was)
    assert np.ptp(values(model, X[:, 0])) == 0


# Both at once -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_force_that_is_a_network_inside_the_loop(seed):
    starts = np.linspace(-1.5, 1.5, 6)[:, None]
    exact = np.stack([truth(0.8, 0.15, np.arange(21) / 10, start) for start in starts[:, 0]])
    films = exact + 0.02 * np.random.default_rng(seed).normal(size=exact.shape)
    rng = np.random.default_rng(seed + 1)
    w, b, v = (
        ga.array(x, requires_grad=True)
        for x in (rng.normal(size=(1, 16)), rng.normal(size=16), rng.normal(size=(16, 1)) / 16)
    )
    c = ga.array(0.0, requires_grad=True)
    force = lambda angle: ga.tanh(angle * w + b) @ v
    optimizer = ga.optim.LBFGS([w, b, v, c], max_iter=40, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        path = simulate(lambda angle, speed: force(angle) - c * speed, starts, 20, 0.1)
        loss = ((ga.concatenate(path, axis=1) - films) ** 2).mean()
        loss.backward()
        return loss

    first = optimizer.step(closure).item()
    assert first > 0.1
    # It fits to the camera's error, of variance 0.0004.
    assert closure().item() < 0.0006
    # Measured over eight seeds: the friction within 0.02, the force within 0.1 of 12 in the mean.
    assert abs(c.item() - 0.15) < 0.05
    angle = np.linspace(-1.4, 1.4, 57)[:, None]
    error = force(angle).detach().numpy() + g / 0.8 * np.sin(angle)
    assert np.sqrt((error**2).mean()) < 0.3
    # Where no film has been it is far off.
    assert abs(force(np.array([[3.0]])).item() + g / 0.8 * np.sin(3.0)) > 5
