"""functional_call: a module as a pure function of its parameters, under every transform."""

import threading

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))


def mlp():
    return nn.Sequential(
        nn.Linear(3, 5, dtype="float64"), nn.Tanh(), nn.Linear(5, 1, dtype="float64")
    )


def loss_of(model, x=X):
    return lambda params: nn.functional_call(model, params, x).sum()


def test_its_gradient_is_that_of_backward():
    model = mlp()
    gradient = ga.grad(loss_of(model))(model.parameters_dict())
    model(X).sum().backward()
    for name, parameter in model.named_parameters():
        assert np.array_equal(gradient[name].numpy(), parameter.grad.numpy())


def test_it_nests_in_every_order():
    # The second derivative of f(p) = sum W2 tanh(W1 x + b1) + b2 along v.
    model = mlp()
    params = {k: v.detach() for k, v in model.parameters_dict().items()}
    v = {k: ga.array(RNG.normal(size=p.shape)) for k, p in params.items()}
    loss = loss_of(model)

    def inner(p):
        g = ga.grad(loss)(p)
        return sum((g[k] * v[k]).sum() for k in g)

    reverse = ga.grad(inner)(params)
    _, forward = ga.jvp(ga.grad(loss), (params,), (v,))
    h = 1e-5
    above, below = (
        ga.grad(loss)({k: p + s * h * v[k] for k, p in params.items()}) for s in (1, -1)
    )
    for k in params:
        # Central differences: truncation of order h^2, rounding of eps / h = 2e-11.
        difference = (above[k] - below[k]).numpy() / (2 * h)
        assert np.allclose(reverse[k].numpy(), difference, atol=1e-8)
        assert np.allclose(reverse[k].numpy(), forward[k].numpy(), rtol=1e-12, atol=1e-13)


def test_a_call_inside_a_call_of_the_same_model():
    model = nn.Linear(1, 1, bias=False, dtype="float64")

    def outer(w):
        def inner(u):
            return nn.functional_call(model, {"weight": u}, [[1.0]]).sum() ** 2

        return nn.functional_call(model, {"weight": w}, [[3.0]]).sum() * ga.grad(inner)(w).sum()

    # 3 w * 2 w = 6 w^2, whose derivative is 12 w.
    assert float(ga.grad(outer)(ga.array([[2.0]]))[0, 0]) == 24.0


def test_the_model_is_as_before_also_after_an_error():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    handles = [*model.parameters(), *model.buffers()]
    before = model.state_dict()
    params = {k: v * 2 for k, v in model.parameters_dict().items()}
    nn.functional_call(model, params, ga.ones((4, 3)))
    with pytest.raises(ga.ShapeError):
        nn.functional_call(model, params, ga.ones((4, 7)))
    after = [*model.parameters(), *model.buffers()]
    assert [a is b for a, b in zip(handles, after, strict=True)] == [True] * len(handles)
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())


def test_buffers_come_back_on_request():
    model = nn.BatchNorm1d(2, momentum=0.5, dtype="float64")
    x = ga.array([[1.0, 4.0], [3.0, 8.0]])
    params = model.parameters_dict()
    y, buffers = nn.functional_call(model, params, x, return_buffers=True)
    assert list(buffers) == ["running_mean", "running_var", "num_batches_tracked"]
    assert buffers["running_mean"].tolist() == [1.0, 3.0]
    assert buffers["running_var"].tolist() == [1.5, 4.5]
    assert model.running_mean.tolist() == [0.0, 0.0]
    # They can be passed in again, and are not changed by the call that takes them.
    _, later = nn.functional_call(model, {**params, **buffers}, x, return_buffers=True)
    assert buffers["running_mean"].tolist() == [1.0, 3.0]
    assert later["running_mean"].tolist() == [1.5, 4.5]
    assert float(later["num_batches_tracked"]) == 2.0
    model(x)
    assert model.running_mean.tolist() == [1.0, 3.0]
    assert y.shape == (2, 2)


def test_has_aux_carries_buffers_through_a_gradient():
    model = nn.BatchNorm1d(2, dtype="float64")
    x = ga.array([[1.0, 4.0], [3.0, 8.0]])

    def loss(params):
        y, buffers = nn.functional_call(model, params, x, return_buffers=True)
        return (y**2).sum(), buffers

    gradient, buffers = ga.grad(loss, has_aux=True)(model.parameters_dict())
    assert set(gradient) == {"weight", "bias"}
    assert np.allclose(buffers["running_mean"].numpy(), [0.2, 0.6])
    assert not buffers["running_mean"].requires_grad


def test_a_shared_parameter_is_replaced_wherever_it_is_used():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    y = nn.functional_call(model, {"0.weight": 2 * np.eye(2)}, ga.array([1.0, 1.0]))
    assert y.tolist() == [4.0, 4.0]


def test_partly_given_parameters_and_bad_ones():
    model = mlp()
    y = nn.functional_call(model, {"2.bias": ga.array([100.0])}, X)
    assert np.allclose(y.numpy() - model(X).numpy(), 100.0 - model[2].bias.item())
    with pytest.raises(KeyError, match=r"no 'wieght'; its parameters are 0\.weight"):
        nn.functional_call(model, {"wieght": ga.array([1.0])}, X)
    with pytest.raises(ga.ShapeError, match=r"2\.bias has shape \(1,\)"):
        nn.functional_call(model, {"2.bias": ga.array([1.0, 2.0])}, X)


def test_threads_do_not_see_one_anothers_parameters():
    model = nn.Linear(1, 1, bias=False)
    wrong = []

    def run(value):
        for _ in range(50):
            y = nn.functional_call(model, {"weight": np.full((1, 1), value)}, [[1.0]])
            if y.item() != value:
                wrong.append((value, y.item()))

    threads = [threading.Thread(target=run, args=(float(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_gradients_of_each_sample():
    model = nn.Sequential(nn.Linear(3, 4, dtype="float64"), nn.Tanh(), nn.Linear(4, 2))
    model.double()
    labels = np.array([0, 1, 1, 0])
    params = {k: v.detach() for k, v in model.parameters_dict().items()}

    def loss(p, x, y):
        return nn.functional.cross_entropy(nn.functional_call(model, p, x), y)

    together = ga.vmap(ga.grad(loss), in_axes=(None, 0, 0))(params, X, labels)
    for n in range(4):
        alone = ga.grad(loss)(params, X[n], labels[n])
        for k in params:
            assert np.allclose(together[k].numpy()[n], alone[k].numpy(), rtol=1e-13, atol=1e-14)


def test_an_ensemble_of_parameters():
    models = [nn.Linear(3, 2, dtype="float64") for _ in range(3)]
    params = {
        k: np.stack([m.state_dict()[k] for m in models]) for k in models[0].parameters_dict()
    }
    y = ga.vmap(lambda p: nn.functional_call(models[0], p, X))(params)
    for k, model in enumerate(models):
        assert np.allclose(y.numpy()[k], model(X).numpy(), rtol=1e-14)


def test_state_that_would_differ_from_example_to_example():
    x = RNG.normal(size=(3, 4, 2))
    layer = nn.BatchNorm1d(2)
    with pytest.raises(ga.GraphError, match=r"differ from example to example.*eval"):
        ga.vmap(layer)(x)
    assert layer.running_mean.tolist() == [0.0, 0.0]
    assert float(layer.num_batches_tracked) == 0.0
    assert ga.vmap(layer.eval())(x).shape == (3, 4, 2)
    # Statistics of each example's own are no trouble.
    layers = {"running_mean": np.zeros((3, 2)), "running_var": np.ones((3, 2))}
    fresh = nn.BatchNorm1d(2, dtype="float64")
    call = lambda b, x: nn.functional_call(fresh, b, x, return_buffers=True)[1]
    buffers = ga.vmap(call)(layers, x)
    assert np.allclose(buffers["running_mean"].numpy(), 0.1 * x.mean(1))
