"""compile: by name, by class, as instances, as functions; and what it says of anything else."""

import numpy as np
import pytest

import gradarray as ga
from gradarray.train import metrics as m
from gradarray.train.named import LOSSES, OPTIMIZERS

X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])
Y = np.array([[1.0], [0.0], [1.0]])


def make(*layers):
    ga.random.seed(0)
    return ga.Sequential(*(layers or (ga.nn.Linear(2, 1),)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_by_name(name):
    model = make()
    model.compile(optimizer=name, loss="mse")
    by_hand = OPTIMIZERS[name](model.parameters())
    assert type(model.optimizer) is type(by_hand)
    assert repr(model.optimizer) == repr(by_hand)
    assert model.optimizer.param_groups[0].params == list(model.parameters())


def test_an_optimizer_as_class_and_as_instance():
    model = make()
    model.compile(optimizer=ga.optim.SGD, loss="mse")
    assert isinstance(model.optimizer, ga.optim.SGD)
    own = ga.optim.SGD(model.parameters(), lr=0.5)
    model.compile(optimizer=own, loss="mse")
    assert model.optimizer is own


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_name(name):
    model = make()
    model.compile(loss=name)
    logits, labels = ga.array(X), ga.array([0, 1, 1])
    shares, marks = ga.array([[0.25], [0.5], [0.75]]), ga.array(Y)
    if LOSSES[name] is ga.nn.NLLLoss:
        args = ga.log_softmax(logits, axis=1), labels
    elif LOSSES[name] is ga.nn.CrossEntropyLoss:
        args = logits, labels
    else:
        args = shares, marks
    assert model.compute_loss(y=args[1], y_pred=args[0]).item() == LOSSES[name]()(*args).item()


def test_a_loss_of_nn_takes_input_and_target_a_function_the_other_way_round():
    model = make()
    y, y_pred = ga.array([[1.0]]), ga.array([[3.0]])

    class Signed(ga.nn.Module):
        def forward(self, input, target):
            return (input - target).mean()

    model.compile(loss=Signed())
    assert model.compute_loss(y=y, y_pred=y_pred).item() == 2.0
    model.compile(loss=Signed)
    assert model.compute_loss(y=y, y_pred=y_pred).item() == 2.0
    model.compile(loss=lambda y_true, y_pred: y_true - y_pred)
    assert model.compute_loss(y=y, y_pred=y_pred).item() == -2.0


def test_metrics_by_name_class_instance_and_function():
    def largest(y_true, y_pred):
        return abs(y_true - y_pred).max()

    model = make()
    own = m.MeanAbsoluteError(name="mine")
    model.compile(loss="mse", metrics=["mae", m.RootMeanSquaredError, own, largest])
    assert [metric.name for metric in model.metrics] == [
        "loss", "mae", "root_mean_squared_error", "mine", "largest",
    ]  # fmt: skip
    assert model.metrics[3] is own
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    error = model.predict(X) - Y
    # float32 errors of the order of one.
    assert found["mae"] == pytest.approx(abs(error).mean(), rel=1e-5)
    assert found["mine"] == found["mae"]
    assert found["root_mean_squared_error"] == pytest.approx(found["loss"] ** 0.5, rel=1e-6)
    assert found["largest"] == pytest.approx(abs(error).max(), rel=1e-5)


@pytest.mark.parametrize("name", m.BY_NAME)
def test_every_metric_by_name(name):
    model = make()
    model.compile(loss="mse", metrics=[name])
    assert model.metrics[1].name == name
    model.compile(loss="mse", metrics=name)
    assert model.metrics[1].name == name


DECIDING = ["accuracy", "binary_accuracy", "precision", "recall", "f1", "auc"]


@pytest.mark.parametrize("name", DECIDING)
def test_metrics_by_name_read_logits_where_the_loss_does(name):
    """Scores z under BCEWithLogits are judged as their probabilities 1/(1 + e^-z) are."""
    z = np.array([[-2.0], [0.3], [0.2], [3.0], [-0.1], [-1.0]])
    y = np.array([[0.0], [1.0], [0.0], [1.0], [1.0], [0.0]])
    results = []
    for loss, values in (("bce_with_logits", z), ("bce", 1 / (1 + np.exp(-z)))):
        model = make()
        model.compile(loss=loss, metrics=[name])
        model.compute_metrics(None, ga.array(y), ga.array(values))
        results.append(model.metrics[1].result())
    assert results[0] == results[1] > 0.5


def test_classes_of_images_are_along_axis_one():
    scores, labels = np.zeros((2, 3, 4)), np.ones((2, 4), int)
    scores[:, 1] = 1.0
    model = make()
    model.compile(loss="cross_entropy", metrics=["accuracy"])
    model.compute_metrics(None, ga.array(labels), ga.array(scores))
    assert model.metrics[1].result() == 1.0


@pytest.mark.parametrize(
    ("keywords", "error", "said"),
    [
        ({"lr": 0.1}, TypeError, r"no lr= here.*ga\.optim\.Adam\(model\.parameters\(\), lr="),
        ({"learning_rate": 0.1}, TypeError, r"no learning_rate= here.*optim\.Adam\(.*lr=\.\.\.\)"),
        ({"criterion": "mse"}, TypeError, r"no criterion= here\. Write loss="),
        ({"metric": "mse"}, TypeError, r"Write metrics="),
        ({"jit_compile": True}, TypeError, "no jit_compile= here"),
        ({"optimizer": "adma"}, ValueError, r"is named 'adma'. Did you mean 'adam'\?"),
        ({"loss": "cross_entropie"}, ValueError, "Did you mean 'cross_entropy'?"),
        ({"metrics": ["acuracy"]}, ValueError, "Did you mean 'accuracy'?"),
        ({"optimizer": 0.1}, TypeError, "a name or an optimiser, not 0.1"),
        ({"loss": 3}, TypeError, "not 3"),
        ({"metrics": [3]}, TypeError, "3 is no metric"),
        ({"metrics": 3}, TypeError, "metrics is a list, not 3"),
        ({"metrics": ["mse", "mse"]}, ValueError, "two metrics are named 'mse'"),
        ({"metrics": ["mse"], "weighted_metrics": ["mse"]}, ValueError, "two metrics are named"),
    ],
)  # fmt: skip
def test_what_compile_refuses(keywords, error, said):
    model = make()
    model.compile(optimizer="adam", loss="mse")
    before = model.optimizer
    with pytest.raises(error, match=said):
        model.compile(**{"loss": "mse", **keywords})
    assert model.optimizer is before


@pytest.mark.parametrize(
    ("last", "loss", "said"),
    [
        (ga.nn.Softmax(1), "cross_entropy", "ends in Softmax. Leave it out"),
        (ga.nn.LogSoftmax(1), "cross_entropy", "ends in LogSoftmax.*loss='nll'"),
        (ga.nn.Sigmoid(), "bce_with_logits", "ends in a Sigmoid"),
    ],
)
def test_a_loss_on_logits_after_a_layer_that_gives_none(last, loss, said):
    for model in (make(ga.nn.Linear(2, 3), last), ga.Model(make(ga.nn.Linear(2, 3), last))):
        with pytest.raises(ValueError, match=said):
            model.compile(loss=loss)


def test_an_optimizer_of_another_model():
    with pytest.raises(ValueError, match="SGD holds none of this model's parameters"):
        make().compile(ga.optim.SGD(make().parameters(), lr=0.1), "mse")


def test_layers_added_after_compile_are_not_forgotten():
    model = make(ga.nn.Linear(2, 4), ga.nn.Tanh())
    model.compile("adam", "mse")
    model.add(ga.nn.Linear(4, 1))
    with pytest.raises(ValueError, match=r"added after compile.*2\.weight, 2\.bias. Call compile"):
        model.fit(X, Y, verbose=0)
    model.compile(ga.optim.Adam(model[2].parameters()), "mse")  # some only, as the user says
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_without_compile(call):
    with pytest.raises(RuntimeError, match=f"{call}: the model has not been compiled"):
        getattr(make(), call)(X, Y)


def test_without_a_loss_or_a_target():
    model = make()
    model.compile("adam")
    with pytest.raises(RuntimeError, match="compile was given no loss"):
        model.fit(X, Y, verbose=0)
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="there is no y to compare with"):
        model.fit(X, verbose=0)
