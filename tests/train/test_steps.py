"""train_step of a subclass, in plain GradArray code."""

import pytest

import gradarray as ga
from tests.train.common import X, Y, equal, make, weights


class OwnStep(ga.Sequential):
    def train_step(self, data):
        x, y = data
        loss = ((self(x) - y) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss, "size": len(x)}


def test_a_step_of_ones_own_trains_as_the_usual_one():
    ga.random.seed(7)
    own = OwnStep(ga.nn.Linear(4, 8), ga.nn.Tanh(), ga.nn.Linear(8, 1))
    usual = make()
    assert equal(weights(own), weights(usual))
    own.compile(ga.optim.SGD(own.parameters(), lr=0.1))
    usual.compile(ga.optim.SGD(usual.parameters(), lr=0.1), "mse")
    a = own.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    b = usual.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    assert equal(weights(own), weights(usual))
    assert a["loss"] == b["loss"]  # GradArrays are averaged over the samples of the epoch
    assert a["size"] == [2.0, 2.0]  # numbers are told as they are: the last batch had 2


def test_a_step_as_keras_users_write_it():
    class Own(ga.Sequential):
        def train_step(self, data):
            x, y = data
            y_pred = self(x)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}

    ga.random.seed(7)
    own = Own(ga.nn.Linear(4, 8), ga.nn.Tanh(), ga.nn.Linear(8, 1))
    own.compile("adam", "mse", ["mae"], run_eagerly=True)  # it reads the metrics' values
    usual = make()
    usual.compile("adam", "mse", ["mae"], run_eagerly=True)
    a = own.fit(X, Y, batch_size=25, shuffle=False, verbose=0).history
    b = usual.fit(X, Y, batch_size=25, shuffle=False, verbose=0).history
    assert a == b


def test_a_step_of_ones_own_without_test_step_says_so_at_validation():
    model = OwnStep(ga.nn.Linear(4, 1))
    model.compile("adam")
    with pytest.raises(RuntimeError, match=r"define train_step \(and test_step for validation"):
        model.fit(X, Y, validation_split=0.2, verbose=0)
