"""One network for each fault that people look for by hand, and a healthy one."""

import numpy as np
import pytest

import gradarray as ga

nn = ga.nn


def batch(n=32, features=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, features)).astype(np.float32)
    return X, rng.integers(0, classes, n)


def healthy():
    ga.random.seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))


def faults(found):
    return {one.check for one in found.findings if not one.fine}


def diagnosed(model, X=None, y=None, loss=None, **kwargs):
    x0, y0 = batch()
    X, y = (x0 if X is None else X), (y0 if y is None else y)
    return ga.diagnose(model, X, y, loss or nn.CrossEntropyLoss(), **kwargs)


def test_a_healthy_network_is_well():
    found = diagnosed(healthy())
    assert found and faults(found) == set()
    assert "log 3" in found["initial loss"][0].found
    assert all(line.startswith("ok ") for line in str(found).splitlines())


def scaled(model, index, factor, shift=0.0):
    with ga.no_grad():
        layer = model[index]
        layer.weight *= factor
        layer.bias += shift
    return model


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(ga.tanh(self.first(x)).detach())


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.spare = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.used(x)


class Zeroed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x * 0.0)


def deep(factor):
    ga.random.seed(0)
    layers = [nn.Linear(4, 16)]
    for _ in range(8):
        layers += [nn.Linear(16, 16)]
    model = nn.Sequential(*layers, nn.Linear(16, 3))
    with ga.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p *= factor
    return model


FAULTS = {
    "initial loss": lambda: scaled(healthy(), 2, 60.0),
    "dead ReLUs": lambda: scaled(healthy(), 0, 1.0, -100.0),
    "saturated units": lambda: scaled(
        nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), 0, 100.0
    ),
    "gradient to weight": lambda: scaled(healthy(), 0, 1e-5),
    "adjoints along the layers": lambda: deep(0.2),
    "unused parameters": Unused,
    "gradient of the input": Zeroed,
}


@pytest.mark.parametrize("check", FAULTS)
def test_each_fault_is_found_and_comes_with_advice(check):
    found = diagnosed(FAULTS[check](), overfit=0)
    assert not found and check in faults(found), str(found)
    for one in found.findings:
        assert bool(one.advice) != one.fine
    assert "!!" in str(found)


def test_vanishing_and_exploding_are_told_apart():
    assert "vanishing" in diagnosed(deep(0.2), overfit=0)["adjoints along the layers"][0].found

    class Waves(nn.Module):
        """Values stay below 1; each layer multiplies what comes back by its large weights."""

        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 16), *(nn.Linear(16, 16) for _ in range(6))])
            self.last = nn.Linear(16, 3)

        def forward(self, x):
            for layer in self.layers:
                x = ga.sin(layer(x) * 30.0)
            return self.last(x)

    ga.random.seed(0)
    told = diagnosed(Waves(), overfit=0)["adjoints along the layers"][0].found
    assert "exploding" in told


def test_a_detached_value_leaves_layers_without_gradient():
    found = diagnosed(Detached(), overfit=0)
    assert "first.weight" in found["unused parameters"][0].found
    assert {"unused parameters", "gradient of the input"} <= faults(found)


def test_a_loss_that_does_not_fall():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(ga.ones(3))

        def forward(self, x):
            return ga.zeros((len(x), 3)) + self.w * 0.0

    found = diagnosed(Constant())
    assert "loss on one batch" in faults(found)
    assert "loss on one batch" not in faults(diagnosed(healthy()))


def test_a_regression_and_a_loss_that_is_not_finite():
    X, _ = batch()
    y = np.random.default_rng(1).normal(size=(32, 1)).astype(np.float32)
    ga.random.seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    found = ga.diagnose(model, X, y, nn.MSELoss())
    assert found and "variance of the targets" in found["initial loss"][0].found
    bad = ga.diagnose(model, X * np.float32(np.nan), y, nn.MSELoss(), overfit=0)
    assert "not finite" in bad["initial loss"][0].found and not bad


def test_the_model_and_random_numbers_are_as_before():
    ga.random.seed(4)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )
    before = [p.numpy().copy() for p in (*model.parameters(), *model.buffers())]
    mode = [layer.training for layer in model]
    ga.random.seed(9)
    first = ga.random.normal(size=3).numpy()
    ga.random.seed(9)
    diagnosed(model)
    X, y = batch()
    ga.overfit_batch(model, X, y, nn.CrossEntropyLoss(), steps=3)
    assert np.array_equal(ga.random.normal(size=3).numpy(), first)
    for p, old in zip((*model.parameters(), *model.buffers()), before, strict=True):
        assert p.numpy().tobytes() == old.tobytes()
    assert all(p.grad is None for p in model.parameters())
    assert [layer.training for layer in model] == mode


def test_overfitting_brings_the_loss_down():
    X, y = batch(n=8)
    losses = ga.overfit_batch(healthy(), X, y, nn.CrossEntropyLoss(), steps=60)
    assert len(losses) == 61 and losses[-1] < 0.1 * losses[0]


def test_the_loss_must_be_one_number():
    with pytest.raises(ga.ShapeError, match="mean"):
        diagnosed(healthy(), loss=nn.CrossEntropyLoss(reduction="none"))
