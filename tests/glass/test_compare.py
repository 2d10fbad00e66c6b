"""compare_grad against slips made on purpose in a backward pass written by hand, with NumPy."""

import numpy as np
import pytest

import gradarray as ga

RNG = np.random.default_rng(7)
N, D, H, K = 6, 3, 4, 2
X, Y = RNG.normal(size=(N, D)), RNG.uniform(0.1, 0.9, (N, K))


class Net:
    """A two-layer network, its loss, and everything that a learner would compute of it."""

    def __init__(self, keep=True, loss="cross"):
        rng = np.random.default_rng(3)
        shapes = {"W": (D, H), "b": (H,), "V": (H, K), "c": (K,)}
        p = {k: ga.array(rng.normal(size=s), requires_grad=True) for k, s in shapes.items()}
        with ga.keep_all() if keep else ga.enable_grad():
            self.z = ga.array(X) @ p["W"] + p["b"]
            self.z.retain_grad()
            self.h = ga.tanh(self.z)
            self.h.retain_grad()
            self.o = self.h @ p["V"] + p["c"]
            self.o.retain_grad()
            self.p = ga.sigmoid(self.o)
            self.p.retain_grad()
            if loss == "cross":
                self.loss = -(ga.array(Y) * ga.log(self.p)).mean()
            else:
                self.loss = ((self.p - ga.array(Y)) ** 2).sum() / N
        self.loss.backward(retain_graph=not keep)
        self.__dict__.update(p)
        z, h, q = (v.numpy() for v in (self.z, self.h, self.p))
        self.dp = -Y / q / (N * K) if loss == "cross" else 2 * (q - Y) / N
        self.do = self.dp * q * (1 - q)
        self.dV, self.dc = h.T @ self.do, self.do.sum(0)
        self.dh = self.do @ self.V.numpy().T
        self.dz = self.dh * (1 - h**2)
        self.dW, self.db = X.T @ self.dz, self.dz.sum(0)
        self.raw_z, self.raw_h, self.raw_p = z, h, q


NAMES = ["p", "o", "V", "c", "h", "z", "W", "b"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("keep", [True, False])
def test_right_ones_are_close_and_their_own_are_exact(name, keep):
    net = Net(keep)
    value = getattr(net, name)
    assert ga.compare_grad(name, value.grad, value).verdict == "exact"
    found = ga.compare_grad(name, getattr(net, "d" + name), value)
    assert found.verdict in ("close", "exact") and found and not found.hint
    assert found.difference < 1e-15


SLIPS = {
    "transposed": ("W", lambda n: n.dW.T, "transposed"),
    "transposed, of a square": ("V", lambda n: n.dV.T, "transposed"),
    "a sum over the broadcast axis": ("b", lambda n: n.dz, "a sum over axis 0 is missing"),
    "a sum over the batch": (
        "W", lambda n: np.einsum("ni,nj->nij", X, n.dz), "a sum over the batch is missing"
    ),
    "a pre-activation for an activation": (
        "V", lambda n: n.raw_z.T @ n.do, "the input of tanh, was used in place of"
    ),
    "its slope": ("z", lambda n: n.dh, "the local derivative of tanh is missing"),
    "the slope of the last": ("o", lambda n: n.dp, "the local derivative of sigmoid is missing"),
    "swapped arguments": ("p", lambda n: -np.log(Y) / (N * K), "swapped in the loss"),
    "a sign": ("W", lambda n: -n.dW, "sign"),
    "a factor of 2": ("b", lambda n: n.db / 2, "a factor of 2 is missing"),
    "twice": ("b", lambda n: n.db * 2, "2 times too large"),
    "a factor of N": ("V", lambda n: n.dV * N, "6 times too large"),
    "1/N": ("V", lambda n: n.dV / N, "a factor of 6 is missing"),
    "two at once": ("W", lambda n: -n.dW.T, "transposed; and its sign is wrong"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_each_slip_is_named(slip):
    name, wrong, words = SLIPS[slip]
    net = Net()
    found = ga.compare_grad(name, wrong(net), getattr(net, name))
    assert found.verdict == "wrong" and not found
    assert words in found.hint, found.hint
    assert words in str(found)


@pytest.mark.parametrize("slip", SLIPS)
def test_with_the_loss_given_nothing_need_be_kept(slip):
    name, wrong, words = SLIPS[slip]
    net = Net(keep=False)
    assert words in ga.compare_grad(name, wrong(net), getattr(net, name), net.loss).hint


def test_swapped_in_a_squared_loss_is_a_sign():
    net = Net(loss="square")
    found = ga.compare_grad("p", -net.dp, net.p)
    assert "sign" in found.hint and "swapped" in found.hint
    assert ga.compare_grad("p", net.dp / 2, net.p).hint.startswith("a factor of 2 is missing")


def test_the_first_difference_is_where_it_is():
    net = Net()
    wrong = net.W.grad.numpy().copy()
    wrong[1, 2] += 1.0
    found = ga.compare_grad("W", wrong, net.W)
    assert found.index == (1, 2) and found.hint == ""
    assert "wrong at 1 of 12, first at [1, 2]" in str(found)


def test_noise_gets_no_hint():
    net, rng = Net(), np.random.default_rng(11)
    for k in range(200):
        name = NAMES[k % len(NAMES)]
        value = getattr(net, name)
        found = ga.compare_grad(name, rng.normal(size=value.shape), value)
        assert found.verdict == "wrong" and found.hint == "", (k, found.hint)


def test_of_another_shape_too():
    net, rng = Net(), np.random.default_rng(12)
    for shape in [(5,), (3, 5), (2, 3, 4), (), (4, 4)]:
        found = ga.compare_grad("W", rng.normal(size=shape), net.W)
        assert found.verdict == "wrong" and found.index is None and found.hint == "", found.hint


def test_nan_is_not_close():
    net = Net()
    wrong = net.b.grad.numpy().copy()
    wrong[0] = np.nan
    assert ga.compare_grad("b", wrong, net.b).verdict == "wrong"


def test_single_numbers_and_float32():
    x = ga.array(3.0, requires_grad=True)
    (x * x).backward()
    assert ga.compare_grad("x", 6.0, x).verdict == "exact"
    assert "a factor of 2" in ga.compare_grad("x", 3.0, x).hint
    w = ga.array(np.float32([0.1, 0.7]), requires_grad=True)
    (ga.exp(w) * w).sum().backward()
    right = np.exp(np.float64([0.1, 0.7])) * (1 + np.float64([0.1, 0.7]))
    assert ga.compare_grad("w", right, w).verdict == "close"


def test_refusals():
    x = ga.array(3.0, requires_grad=True)
    with pytest.raises(ga.GraphError, match="retain_grad"):
        ga.compare_grad("x", 1.0, x)
    with pytest.raises(TypeError, match="the value itself"):
        ga.compare_grad("x", 1.0, 2.0)
