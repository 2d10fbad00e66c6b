"""Lesson 8: an energy's slopes are a motion; a network as the energy; what its form conserves."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradarray as ga

mp = mpmath.mp.clone()
mp.dps = 40
SPRINGS = [(0.5, 2.0), (1.0, 1.0), (2.0, 3.0), (0.3, 0.7)]


def same(got, expected):
    """12 digits of the largest entry: the entries are sums of terms of that size."""
    got = got.numpy() if isinstance(got, ga.GradArray) else np.asarray(got)
    expected = np.asarray(expected, float)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def motion(H, signs=(1, -1)):
    slopes = ga.grad(lambda z: H(z).sum())

    def velocity(z):
        dH = slopes(z)
        return ga.stack([signs[0] * dH[:, 1], signs[1] * dH[:, 0]], axis=1)

    return velocity


def spring(m, k):
    return lambda z: z[:, 1] ** 2 / (2 * m) + k * z[:, 0] ** 2 / 2


def states(n=7, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


# Signs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "k"), SPRINGS)
def test_the_slopes_are_velocity_and_force(m, k):
    z = states()
    same(motion(spring(m, k))(z), np.stack([z[:, 1] / m, -k * z[:, 0]], axis=1))


def newton(t, m, k, q0, p0, lib):
    omega = lib.sqrt(lib.mpf(k) / lib.mpf(m)) if lib is mp else np.sqrt(k / m)
    q = q0 * lib.cos(omega * t) + p0 / (m * omega) * lib.sin(omega * t)
    return q, p0 * lib.cos(omega * t) - m * omega * q0 * lib.sin(omega * t)


@pytest.mark.parametrize(("m", "k"), SPRINGS)
@pytest.mark.parametrize("t", [0.0, 0.7, 1.9, 12.5])
def test_the_motion_is_the_one_that_newton_gives(m, k, t):
    # The derivative by time is taken at 40 digits, of a solution that knows no energy.
    with mp.workdps(60):
        exact = [
            float(mp.diff(lambda t, i=i: newton(t, m, k, 1, mp.mpf(0.4), mp)[i], t)) for i in (0, 1)
        ]
    pushed = ga.jvp(lambda t: ga.stack(newton(t, m, k, 1.0, 0.4, ga)), (t,), (1.0,))
    same(pushed[1], exact)
    same(motion(spring(m, k))(pushed[0][None])[0], exact)


def test_energy_does_not_see_both_signs_flipped_but_newton_does():
    z = states()
    H = spring(0.5, 2.0)
    right, backward, one = (motion(H, signs)(z).numpy() for signs in ((1, -1), (-1, 1), (1, 1)))
    slopes = ga.grad(lambda z: H(z).sum())(z).numpy()
    assert np.all((slopes * right).sum(axis=1) == 0)
    assert np.all((slopes * backward).sum(axis=1) == 0)
    same(right, -backward)
    # dH/dt = 2 dH/dq dH/dp = 2 (k q)(p / m) with one sign flipped
    same((slopes * one).sum(axis=1), 2 * (2.0 * z[:, 0]) * (z[:, 1] / 0.5))


def test_one_sign_flipped_pushes_the_mass_away():
    # q'' = +omega^2 q: from rest at 1 the position is cosh(omega t).
    h, steps, omega = 0.01, 200, 2.0
    z = rollout(motion(spring(0.5, 2.0), (1, 1)), steps, h)
    exact = np.cosh(omega * h * steps)
    # The method's relative error is at most t/h times (omega h)^5 / 5! a step.
    assert abs(z[-1, 0] / exact - 1) < steps * (omega * h) ** 5 / 120


def test_a_pendulum_has_its_force_from_its_energy():
    z = states()
    H = lambda z: z[:, 1] ** 2 / 2 - ga.cos(z[:, 0])
    same(motion(H)(z), np.stack([z[:, 1], -np.sin(z[:, 0])], axis=1))


# The energy as a network --------------------------------------------------------------------------


def network(outputs, seed, width=32):
    ga.random.seed(seed)
    return ga.nn.Sequential(
        ga.nn.Linear(2, width, dtype=np.float64),
        ga.nn.Tanh(),
        ga.nn.Linear(width, outputs, dtype=np.float64),
    )


def weights(model):
    return [parameter.numpy() for parameter in model.parameters()]


@pytest.mark.parametrize("seed", range(5))
def test_any_network_conserves_its_own_energy_exactly(seed):
    ga.random.seed(seed)
    deep = ga.nn.Sequential(
        ga.nn.Linear(2, 9), ga.nn.Tanh(), ga.nn.Linear(9, 9), ga.nn.SiLU(), ga.nn.Linear(9, 1)
    )
    for H, z in ((network(1, seed), states()), (deep, states().astype(np.float32))):
        slopes = ga.grad(lambda z, H=H: H(z).sum())(z).numpy()
        assert np.all(np.abs(slopes) > 0)
        assert np.all((slopes * motion(H)(z).numpy()).sum(axis=1) == 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_slopes_of_one_hidden_layer(seed):
    H, z = network(1, seed), states()
    W, b, w, _ = weights(H)
    slopes = ga.grad(lambda z: H(z).sum())(z)
    same(slopes, (w[0] / np.cosh(z @ W.T + b) ** 2) @ W)


def watched(seed, N=50, noise=0.1):
    rng = np.random.default_rng(seed)
    r, angle = np.sqrt(rng.uniform(0, 2, N)), rng.uniform(0, 2 * np.pi, N)
    z = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
    exact = np.stack([2 * z[:, 1], -2 * z[:, 0]], axis=1)
    return z, exact + noise * rng.normal(size=z.shape)


def loss_of(velocity, z, z_dot):
    return ((velocity(z) - z_dot) ** 2).mean()


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_loss_on_slopes_in_closed_form(seed):
    H, (z, z_dot) = network(1, seed, width=6), watched(seed, N=8)
    loss_of(motion(H), z, z_dot).backward()
    W, b, w, _ = weights(H)
    w = w[0]
    tanh = np.tanh(z @ W.T + b)
    slope = 1 / np.cosh(z @ W.T + b) ** 2
    bend = -2 * tanh * slope  # the second derivative of tanh
    R = motion(H)(z).numpy() - z_dot
    C = np.stack([-R[:, 1], R[:, 0]], axis=1) / len(z)  # dL by the slopes of H
    u = C @ W.T
    dW = w[:, None] * (slope.T @ C + (u * bend).T @ z)
    same(H[0].weight.grad, dW)
    same(H[0].bias.grad, w * (u * bend).sum(axis=0))
    same(H[2].weight.grad, (u * slope).sum(axis=0)[None])


def test_the_gradient_of_the_loss_on_slopes_at_forty_digits():
    H, (z, z_dot) = network(1, 5, width=3), watched(5, N=4)
    loss_of(motion(H), z, z_dot).backward()
    W, b, w, _ = (v.tolist() for v in weights(H))
    targets = z_dot.tolist()

    def exact(W, b, w):
        total = mp.mpf(0)
        for (q, p), (q_dot, p_dot) in zip(z.tolist(), targets, strict=True):
            s = [mp.mpf(row[0]) * q + mp.mpf(row[1]) * p + c for row, c in zip(W, b, strict=True)]
            dH = [
                mp.fsum(v * row[i] / mp.cosh(x) ** 2 for v, row, x in zip(w, W, s, strict=True))
                for i in (0, 1)
            ]
            total += (dH[1] - q_dot) ** 2 + (-dH[0] - p_dot) ** 2
        return total / (2 * len(targets))

    def entry(j, i):
        def at(value):
            changed = [list(row) for row in W]
            changed[j][i] = value
            return exact(changed, b, w[0])

        return float(mp.diff(at, W[j][i]))

    same(H[0].weight.grad, [[entry(j, i) for i in (0, 1)] for j in range(3)])


def test_a_constant_energy_moves_nothing_and_has_no_gradient():
    H, (z, z_dot) = network(1, 0), watched(0)
    loss_of(motion(H), z, z_dot).backward()
    assert H[2].bias.grad is None
    assert all(p.grad is not None for name, p in H.named_parameters() if name != "2.bias")

    def loss(params):
        return loss_of(motion(lambda z: ga.nn.functional_call(H, params, z)), z, z_dot)

    gradient = ga.grad(loss)(H.parameters_dict())
    assert gradient["2.bias"].numpy().tolist() == [0.0]
    same(gradient["0.weight"], H[0].weight.grad.numpy())


@pytest.mark.parametrize("seed", range(3))
def test_pushing_and_pulling_the_loss_on_slopes_agree(seed):
    H, (z, z_dot) = network(1, seed), watched(seed)
    params = {name: p.numpy() for name, p in H.parameters_dict().items()}
    rng = np.random.default_rng(seed)
    v = {name: rng.normal(size=p.shape) for name, p in params.items()}

    def loss(params):
        return loss_of(motion(lambda z: ga.nn.functional_call(H, params, z)), z, z_dot)

    gradient = ga.grad(loss)(params)
    slope = ga.jvp(loss, (params,), (v,))[1].item()
    terms = np.concatenate([(gradient[name].numpy() * v[name]).ravel() for name in params])
    assert abs(slope - terms.sum()) <= 1e-12 * np.abs(terms).sum()


# Energy along the rollout -------------------------------------------------------------------------


def rollout(velocity, steps=314, h=0.1):
    z = ga.array([[1.0, 0.0]])
    path = [z]
    with ga.no_grad():
        for _ in range(steps):
            a = velocity(z)
            b = velocity(z + h / 2 * a)
            c = velocity(z + h / 2 * b)
            d = velocity(z + h * c)
            z = z + h / 6 * (a + 2 * b + 2 * c + d)
            path.append(z)
    return ga.concatenate(path).numpy()


def test_the_method_loses_the_energy_that_its_polynomial_loses():
    # On z' = i w z one step multiplies by 1 + iy - y^2/2 - iy^3/6 + y^4/24, y = w h, whose squared
    # modulus is 1 - y^6/72 + y^8/576.
    y = 2.0 * 0.1
    path = rollout(motion(spring(0.5, 2.0)))
    energy = (path**2).sum(axis=1)
    np.testing.assert_allclose(energy, (1 - y**6 / 72 + y**8 / 576) ** np.arange(315), rtol=1e-12)


def train(model, velocity, z, z_dot, steps=300):
    optimizer = ga.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(steps):
        loss = loss_of(velocity, z, z_dot)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_energy_drifts_less_along_the_rollout_of_an_energy_network():
    drifts, losses = [], []
    for seed in range(12):
        z, z_dot = watched(seed)
        H, plain = network(1, seed), network(2, seed)
        losses.append((train(H, motion(H), z, z_dot), train(plain, plain, z, z_dot)))
        paths = rollout(motion(H)), rollout(plain)
        drifts.append([np.abs((path**2).sum(axis=1) - 1).max() for path in paths])
        with ga.no_grad():
            own = H(paths[0]).numpy()
        # What it does conserve is its own energy, up to the method's error on the true spring,
        # 0.0003 of an energy that is 1; the learned one has the same scale.
        assert np.abs(own - own[0]).max() < 0.001
    # Measured: 0.033 to 0.086 against 0.29 to 3.1, the ratio from 7.5 to 64; the margins leave
    # room for other machines' rounding, which training amplifies.
    energy, plain = np.array(drifts).T
    assert energy.max() < 0.12
    assert plain.min() > 0.2
    assert (plain / energy).min() > 5
    assert np.median(plain / energy) > 10
    # Both fit the data, whose noise has variance 0.01, and neither fits them better by much.
    losses = np.array(losses)
    assert np.all((losses > 0.005) & (losses < 0.012))
    assert np.all(losses[:, 0] / losses[:, 1] > 0.8)
