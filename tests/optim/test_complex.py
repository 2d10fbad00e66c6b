"""Complex parameters: a step is the one that real and imaginary part would take, and goes down."""

import math

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn, optim
from gradarray.optim.clip import clip_grad_norm_, clip_grad_value_, get_total_norm

RNG = np.random.default_rng(3)
A = RNG.normal(size=(6, 3)) + 1j * RNG.normal(size=(6, 3))
B = RNG.normal(size=6) + 1j * RNG.normal(size=6)
EXACT = np.linalg.lstsq(A, B, rcond=None)[0]
START = np.array([1.0 - 1j, 0.5j, -2.0])


def loss_of(z):
    r = A @ z - B
    return ga.real(ga.vdot(r, r))


def test_gradient_descent_converges_to_least_squares():
    # Of |Az - b|^2 the Hessian is 2 A^H A; with lr = 1 / L the error shrinks by 1 - s_n^2 / s_1^2.
    s = np.linalg.svd(A, compute_uv=False)
    steps = math.ceil(math.log(1e-12) / math.log(1 - (s[-1] / s[0]) ** 2))
    z = ga.array(START, requires_grad=True)
    optimizer = optim.SGD([z], lr=1 / (2 * s[0] ** 2))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(z)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(z.numpy(), EXACT, atol=1e-10)
    assert (np.diff(losses) <= 1e-14 * losses[0]).all()  # never uphill, to rounding


OPTIONS = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "Adagrad": {},
    "Adadelta": {},
    "LBFGS": {"line_search_fn": "strong_wolfe"},
}


def run(method, parameter, value):
    options = OPTIONS[method] | ({} if method == "Adadelta" else {"lr": 0.01})
    optimizer = getattr(optim, method)([parameter], **options)

    def closure():
        optimizer.zero_grad()
        loss = value(parameter)
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(8)]


@pytest.mark.parametrize("method", OPTIONS)
def test_every_method_moves_the_two_parts(method):
    z = ga.array(START, requires_grad=True)
    pair = ga.array(np.stack([START.real, START.imag], -1), requires_grad=True)
    ours = run(method, z, loss_of)
    theirs = run(method, pair, lambda p: loss_of(p[:, 0] + 1j * p[:, 1]))
    # Eight steps of the same arithmetic, in another order of sums.
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(z.numpy(), pair.numpy() @ [1, 1j], rtol=1e-9)
    assert ours[-1] < ours[0] and z.dtype == complex


def test_all_methods_are_here():
    methods = {n for n in dir(optim) if isinstance(getattr(optim, n), type)} - {"Optimizer"}
    assert {m for m in methods if issubclass(getattr(optim, m), optim.Optimizer)} == set(OPTIONS)


def test_complex64_and_a_0d_parameter():
    w = ga.array(np.complex64(3 + 4j), requires_grad=True)
    optimizer = optim.Adam([w], lr=0.5)
    (ga.abs(w) ** 2).backward()
    optimizer.step()
    # The first step of Adam is lr in the direction of the sign of each part.
    np.testing.assert_allclose(w.numpy(), 2.5 + 3.5j, rtol=1e-6)
    assert w.dtype == np.complex64 and w.shape == ()


def test_state_is_saved_and_loaded():
    states = []
    for split in (False, True):
        z = ga.array(START, requires_grad=True)
        optimizer = optim.Adam([z], lr=0.1)
        for step in range(4):
            if split and step == 2:
                saved, optimizer = optimizer.state_dict(), optim.Adam([z], lr=0.3)
                optimizer.load_state_dict(saved)
            optimizer.zero_grad()
            loss_of(z).backward()
            optimizer.step()
        states.append(z.tolist())
    assert states[0] == states[1]


def test_clipping():
    z = ga.array([3 + 4j, 0.0], requires_grad=True)
    g = np.array([3 + 4j, 12j])
    z.grad = ga.array(g)
    assert get_total_norm([z.grad]).item() == pytest.approx(13)
    assert get_total_norm([z.grad], math.inf).item() == 12
    assert get_total_norm([z.grad], 1.0).item() == 17
    assert clip_grad_norm_([z], 6.5).dtype == float
    np.testing.assert_allclose(z.grad.numpy(), g / 2, rtol=1e-6)
    clip_grad_value_([z], 2.0)
    np.testing.assert_allclose(z.grad.numpy(), [1.5 + 2j, 2j], rtol=1e-6)


def test_a_module_with_complex_parameters_trains():
    class Filter(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(ga.array(START))

        def forward(self, a):
            return a @ self.weight

    model = Filter()
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(1500):
        optimizer.zero_grad()
        (ga.abs(model(ga.array(A)) - B) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(model.weight.numpy(), EXACT, atol=1e-6)
