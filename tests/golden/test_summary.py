"""What `model.summary()` prints, kept word for word in a text file here."""

from pathlib import Path

import numpy as np

import gradarray as ga
from gradarray import nn

HERE = Path(__file__).parent


class Residual(nn.Module):
    """A module with a parameter of its own beside its parts."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.scale = nn.Parameter(np.ones((channels, 1, 1), np.float32))

    def forward(self, x):
        return x + self.scale * self.norm(self.conv(x))


def mlp():
    return ga.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn():
    model = ga.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), Residual(16), nn.Flatten(),
        nn.Linear(2704, 10),
    )  # fmt: skip
    model[0].requires_grad_(False)
    return model


def text():
    parts = []

    def show(title, model, *args):
        parts.append(f"{title}\n")
        model.summary(*args, print_fn=parts.append)
        parts.append("")

    show("with an array", mlp(), np.zeros((32, 784)))
    show("with a shape", cnn(), (8, 1, 28, 28))
    show("nothing seen yet", mlp())
    model = ga.Model(nn.Linear(3, 1, dtype="float64"))
    model.predict(np.zeros((5, 3)))
    show("after predict, float64, wrapped", model)
    show(
        "a tuple passed on, integers in",
        ga.Sequential(nn.Embedding(50, 8), nn.GRU(8, 4, batch_first=True), nn.Linear(4, 2)),
        np.zeros((2, 7), int),
    )
    show("no parameters", ga.Sequential(nn.Flatten(), nn.ReLU()), (2, 3, 4))
    return "\n".join(parts)


def test_summary(golden):
    golden(HERE / "summary.txt", text())


def test_a_summary_leaves_the_model_as_it_was():
    model = cnn()
    model[3].norm.eval()
    before = model.state_dict()
    modes = [module.training for module in model.modules()]
    model.summary((8, 1, 28, 28), print_fn=lambda text: None)
    assert [module.training for module in model.modules()] == modes
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    assert not any(module._hooks for module in model.modules())


def test_the_counts_are_those_of_the_parameters():
    model = cnn()
    table = []
    model.summary(print_fn=table.append)
    rows = [line.split() for line in table[0].splitlines()[4:-4]]
    counted = sum(int(row[-2].replace(",", "")) for row in rows)
    assert counted == sum(p.size for p in model.parameters())
