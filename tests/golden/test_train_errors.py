"""What training says when it refuses something, kept word for word in a text file here."""

import re
from pathlib import Path

import numpy as np

import gradarray as ga
from gradarray import nn

HERE = Path(__file__).parent
X = np.linspace(0, 1, 12, dtype=np.float32).reshape(6, 2)
Y = np.ones((6, 1), np.float32)
LABELS = np.array([0, 1, 2, 3, 1, 0])


def make(outputs=1, loss="mse"):
    ga.random.seed(0)
    model = ga.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, outputs))
    model.compile("adam", loss)
    return model


def compiled(layer):
    model = ga.Sequential(layer, nn.Flatten())
    model.compile("adam", "mse")
    return model


def broken(change):
    """A file whose configuration was changed."""
    from gradarray.train import safetensors

    make().save("broken.safetensors")
    arrays, metadata = safetensors.read("broken.safetensors")
    safetensors.write(
        "broken.safetensors", arrays, {**metadata, "config": change(metadata["config"])}
    )
    return "broken.safetensors"


def truncated():
    path = Path("short.safetensors")
    make().save(path)
    path.write_bytes(path.read_bytes()[:-4])
    return path


def weights_only():
    make().save_weights("weights.safetensors")
    return "weights.safetensors"


def saved(model):
    model.save("model.safetensors")
    return "model.safetensors"


def function(y_true, y_pred):
    return (y_true - y_pred) ** 2


CASES = """
make().compile(lr=0.1)
make().compile(optimizer="adma")
make().compile(loss="cross_entropie")
make().compile(metrics=["acuracy"])
ga.Sequential(nn.Linear(2, 1)).fit(X, Y)
make().fit(X, Y[:5])
make().fit(X, Y[:, 0], verbose=0)
make(loss=function).fit(X, Y[:, 0], verbose=0)
make(3, "cross_entropy").fit(X, LABELS, shuffle=False, verbose=0)
make(3, "cross_entropy").fit(X, LABELS[:, None] % 3, verbose=0)
make().fit(X[:, :1], Y, verbose=0)
make().fit(X, Y, sample_weight=Y, verbose=0)
make().fit(X, Y, verbose=0, callbacks=ga.train.EarlyStopping())
make().fit(iter([(X, Y)]), epochs=3)
make().fit([(X, Y)], batch_size=2)
make().fit([(X, ga.array(Y, requires_grad=True))], verbose=0)
compiled(nn.LSTM(2, 1)).fit(X[:, None], Y)
ga.Sequential(nn.Linear(2, 2), nn.Softmax(1)).compile("adam", "cross_entropy")
ga.load(saved(make()), into=make(2))
ga.load(saved(make()), into=ga.Sequential(nn.Linear(2, 4)))
ga.load(weights_only())
ga.load(truncated())
ga.load(broken(lambda text: text.replace("nn.Linear", "nobodys.Unknown")))
ga.load(broken(lambda text: text.replace('"in_features": 2', '"in_features": 100000000000')))
ga.train.History().plot()
"""


def told(source):
    try:
        eval(source, globals())
    except Exception as error:
        return f">>> {source}\n{type(error).__name__}: {error}\n"
    raise AssertionError(f"{source} raised nothing")


def test_errors_of_training(golden, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(told(source) for source in CASES.strip().splitlines())
    golden(HERE / "train-errors.txt", re.sub(r"\n  at <string>:1", "", text))
