"""What fit, evaluate and predict refuse, and what they say."""

import numpy as np
import pytest

import gradarray as ga
from tests.train.common import LABELS, X, Y, equal, make, weights


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (lambda: ga.nn.LSTM(4, 3), r"0 \(LSTM\)"),
        (lambda: ga.nn.GRU(4, 3), r"0 \(GRU\)"),
        (lambda: ga.nn.RNN(4, 3), r"0 \(RNN\)"),
        (lambda: ga.nn.TransformerEncoderLayer(4, 2, 8), r"0 \(TransformerEncoderLayer\)"),
    ],
)
def test_layers_that_do_not_take_the_batch_first(layer, name):
    model = ga.Sequential(layer(), ga.nn.Linear(3, 1))
    model.compile("adam", "mse")
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=f"{name} has batch_first=False.*batch_first=True"):
            call(X[:, None], Y, verbose=0)
    with pytest.raises(ValueError, match=r"predict: .* has batch_first=False"):
        model.predict(X[:, None])


def test_attention_inside_a_module_is_named_by_its_path():
    class Net(ga.nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = ga.nn.MultiheadAttention(4, 2)

    model = ga.Model(Net())
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"module\.attend \(MultiheadAttention\) has batch_first="):
        model.fit(X, Y)


def test_a_recurrent_network_trains_with_the_batch_first():
    model = ga.Sequential(ga.nn.LSTM(4, 3, batch_first=True), ga.nn.Flatten(), ga.nn.Linear(3, 1))
    model.compile("adam", "mse")
    assert len(model.fit(X[:, None], Y, verbose=0).epoch) == 1  # Sequential passes on the first


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "bce_with_logits"])
def test_a_loss_does_not_broadcast(loss):
    model = make()
    model.compile("adam", loss)
    with pytest.raises(ga.ShapeError, match=r"\(32, 1\).*\(32,\)"):
        model.fit(X, (Y[:, 0] > 0).astype(float), verbose=0)


def test_a_function_does_not_broadcast_either():
    model = make()
    model.compile("adam", lambda y_true, y_pred: (y_true - y_pred) ** 2)
    with pytest.raises(ga.ShapeError, match=r"y_true has shape \(32,\), y_pred \(32, 1\)"):
        model.fit(X, Y[:, 0], verbose=0)

    def error(y_true, y_pred):
        return abs(y_true - y_pred)

    model.compile("adam", "mse", [error])
    with pytest.raises(ga.ShapeError, match=r"error: y_true has shape \(50,\), y_pred \(50, 1\)"):
        model.compute_metrics(None, ga.array(Y[:, 0]), ga.array(Y))


def test_a_label_out_of_range():
    model = make(3)
    model.compile("adam", "cross_entropy")
    before = weights(model)
    labels = LABELS.copy()
    labels[3] = 3
    with pytest.raises(IndexError, match=r"label 3 at \[3\] is out of range for 3 classes"):
        model.fit(X, labels, shuffle=False, verbose=0)
    assert equal(weights(model), before)
    assert model.history.history == {}


@pytest.mark.parametrize("loss", ["mse", lambda y_true, y_pred: (y_true - y_pred) ** 2])
def test_a_target_that_requires_a_gradient(loss):
    model = make()
    model.compile("adam", loss)
    x, target = ga.array(X), ga.array(Y, requires_grad=True)
    with pytest.raises(ValueError, match=r"requires a gradient. Were the arguments swapped\?"):
        model.fit([(x, target)], verbose=0)


def test_a_loss_function_in_numpy_has_no_gradient():
    model = make()
    model.compile("adam", lambda y_true, y_pred: float(((y_true - y_pred) ** 2).mean()))
    with pytest.raises(TypeError, match="returned a float, which has no gradient"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("args", "keywords", "error", "said"),
    [
        ((X, Y[:3]), {}, ValueError, "x has 50, y has 3"),
        ((X, Y), {"epochs": 1.5}, ValueError, "epochs is a number of epochs, not 1.5"),
        ((X, Y), {"epochs": -1}, ValueError, "epochs is a number of epochs, not -1"),
        ((X, Y), {"validation_freq": 0}, ValueError, "validation_freq is a number"),
        ((X, Y), {"batch_size": 0}, ValueError, "batch_size is at least 1, not 0"),
        ((X, Y), {"verbose": 3}, ValueError, "verbose is 0"),
        ((X, Y), {"validation_data": X}, TypeError, "validation_data is"),
        ((X, Y), {"validation_data": (X, Y, Y, Y)}, ValueError, "this one has 4 parts"),
        ((X, Y), {"callbacks": [ga.train.EarlyStopping]}, TypeError, "as an instance"),
        (([(X, Y)],), {"batch_size": 3}, ValueError, "batch_size was given beside batches"),
        (([(X, Y)],), {"sample_weight": Y}, ValueError, "sample_weight was given beside"),
        (([(X, Y)],), {"validation_split": 0.1}, ValueError, "validation_split was given beside"),
        ((ga.train.batches(X, Y), Y), {}, ValueError, "y was given beside batches"),
        (([(X, Y, Y, Y)],), {}, ValueError, "this one has 4 parts"),
        ((iter([(X, Y)]),), {"epochs": 2}, ValueError, "gone through once, and 2 passes"),
        ((iter([]),), {}, ValueError, "there is no batch"),
    ],
)
def test_what_fit_refuses(args, keywords, error, said):
    model = make()
    model.compile("adam", "mse")
    before = weights(model)
    with pytest.raises(error, match=said):
        model.fit(*args, **{"verbose": 0, **keywords})
    assert equal(weights(model), before)


def test_what_a_model_wraps():
    with pytest.raises(TypeError, match="wraps a module, not list"):
        ga.Model([ga.nn.Linear(1, 1)])
    with pytest.raises(NotImplementedError, match="Model does not define forward"):
        ga.Model()(X)


def test_a_subclass_need_not_call_the_constructor_of_model():
    class Net(ga.Model):
        def __init__(self):
            self.layer = ga.nn.Linear(4, 1)

        def forward(self, x):
            return self.layer(x)

    model = Net()
    model.compile("adam", "mse")
    assert len(model.fit(X, Y, verbose=0).epoch) == 1


def test_float64_data_does_not_make_a_float32_network_double():
    model = make()
    model.compile("adam", "mse")
    model.fit(X.astype(np.float64), Y.astype(np.float64), verbose=0)
    assert {value.dtype for value in weights(model).values()} == {np.dtype(np.float32)}
    assert model.predict(X.astype(np.float64)).dtype == np.float32


def test_sequential_takes_a_list_and_grows():
    model = ga.Sequential([ga.nn.Linear(4, 2)])
    model.add(ga.nn.ReLU())
    model.add(ga.nn.Linear(2, 1))
    assert [type(layer).__name__ for layer in model] == ["Linear", "ReLU", "Linear"]
    assert isinstance(model, ga.Model) and isinstance(model, ga.nn.Sequential)
    assert isinstance(model[:2], ga.Sequential)
