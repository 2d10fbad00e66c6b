"""Model files: what is rebuilt, what loads from elsewhere, and what a bad file can do (nothing)."""

import json

import numpy as np
import pytest
import safetensors.numpy

import gradarray as ga
from gradarray import nn
from gradarray.train import safetensors as own
from gradarray.train.safetensors import ModelFileError
from tests.train.common import X, Y, equal, make, weights


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def config_of(path):
    return json.loads(own.read(path)[1]["config"])


def rewrite(path, change):
    """The file again, with another configuration."""
    arrays, metadata = own.read(path)
    config = json.loads(metadata["config"])
    config = change(config) or config
    own.write(path, arrays, {**metadata, "config": json.dumps(config)})


IMAGES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
SEQUENCE = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)

MODELS = {
    "mlp": (lambda: make(3), X),
    "float64": (lambda: make(3, dtype="float64"), X),
    "cast": (lambda: make(3).double(), X),
    "wrapped": (lambda: ga.Model(nn.Sequential(nn.Linear(4, 2, bias=False), nn.GELU())), X),
    "named": (
        lambda: ga.Sequential(nn.Sequential({"first": nn.Linear(4, 3), "then": nn.PReLU(3)})), X
    ),
    "cnn": (
        lambda: ga.Sequential(
            nn.Conv2d(3, 4, (3, 3), stride=2, padding=1, groups=1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25), nn.Linear(16, 5),
        ),
        IMAGES,
    ),
    "norms": (
        lambda: ga.Sequential(
            nn.GroupNorm(3, 3), nn.LayerNorm((3, 8, 8)), nn.RMSNorm([8]),
            nn.ConvTranspose2d(3, 2, 2), nn.AdaptiveAvgPool2d((1, 1)),
        ),
        IMAGES,
    ),
    "recurrent": (
        lambda: ga.Sequential(
            nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True), nn.Linear(12, 2)
        ),
        SEQUENCE,
    ),
    "transformer": (
        lambda: ga.Sequential(
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True), 2,
                norm=nn.LayerNorm(8),
            ),
        ),
        SEQUENCE,
    ),
    "embedding": (
        lambda: ga.Sequential(nn.Embedding(11, 4, padding_idx=0), nn.Flatten(), nn.Linear(12, 1)),
        np.array([[1, 2, 3], [0, 10, 5]]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_rebuilt(name, path):
    ga.random.seed(3)
    build, x = MODELS[name]
    model = build()
    model.save(path)
    stream = ga.random.default_generator.state_dict()
    again = ga.load(path)
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    assert equal(weights(again), weights(model))
    assert (again.predict(x) == model.predict(x)).all()
    now = ga.random.default_generator.state_dict()
    assert all((now[part] == stream[part]).all() for part in stream)
    # The arrays are what the safetensors package reads.
    assert equal(safetensors.numpy.load_file(path), weights(model))


def test_a_loaded_model_trains_on(path):
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(path)
    again = ga.load(path)
    again.compile("adam", "mse")
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert len(again.fit(X, Y, epochs=2, verbose=0).epoch) == 2
    assert not equal(weights(again), weights(model))


def test_modes_frozen_parameters_and_shared_ones_come_back(path):
    shared = nn.Linear(4, 4)
    model = ga.Sequential(shared, nn.Tanh(), shared, nn.BatchNorm1d(4))
    model[3].eval()
    shared.bias.requires_grad_(False)
    model.save(path)
    again = ga.load(path)
    assert [m.training for m in again] == [True, True, True, False]
    assert again[0].weight is again[2].weight
    assert again[0].weight.requires_grad and not again[0].bias.requires_grad
    assert len(list(again.parameters())) == len(list(model.parameters()))


class Plain(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(4, width)

    def forward(self, x):
        return self.layer(x)


@ga.train.register
class Known(nn.Module):
    def __init__(self, width, *, inner, scale=1.0):
        super().__init__()
        self.first, self.inner, self.scale = nn.Linear(4, width), inner, scale

    def forward(self, x):
        return self.inner(self.first(x)) * self.scale


def test_a_class_of_the_users_is_rebuilt_once_it_is_registered(path):
    model = ga.Model(Known(3, inner=nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), scale=0.5))
    model.save(path)
    again = ga.load(path)
    assert isinstance(again.module, Known) and again.module.scale == 0.5
    assert (again.predict(X) == model.predict(X)).all()
    assert list(own.read(path)[0]) == list(weights(model))  # a wrapper adds nothing to the names


def test_other_classes_are_read_into_a_model_of_the_users(path):
    model = ga.Model(Plain(3))
    model.save(path)
    with pytest.raises(ModelFileError, match=r"holds a Plain.*ga\.train\.register.*into=model"):
        ga.load(path)
    again = Plain(3)
    assert ga.load(path, into=again) is again
    assert equal(weights(again), weights(model))


def test_any_module_is_saved_by_the_function(path):
    module = nn.Sequential(nn.Linear(4, 2))
    ga.train.save(module, path)
    assert type(ga.load(path)) is nn.Sequential


def test_two_classes_of_one_name():
    other = type("Known", (nn.Module,), {"__qualname__": "elsewhere.Known"})
    with pytest.raises(ValueError, match=r"Known is registered already, by .*Rename"):
        ga.train.register(other)
    assert ga.train.register(Known) is Known  # a cell of a notebook, run once more


def test_an_argument_that_json_cannot_hold(path):
    layer = nn.TransformerEncoderLayer(4, 2, 8, activation=ga.tanh)
    with pytest.raises(TypeError, match=r"cannot be written as JSON.*use save_weights"):
        ga.train.save(layer, path)
    assert not path.exists()


def test_numpy_arguments_are_written_as_numbers(path):
    model = ga.Sequential(nn.Linear(int(np.int64(4)), 2, dtype=np.float64), nn.ELU(np.float64(0.5)))
    model.save(path)
    assert ga.load(path)[0].weight.dtype == np.float64
    assert type(ga.load(path)[1].alpha) is float


def test_keys_of_a_dict_are_never_taken_for_classes(path):
    names = ("$module", "$tuple", "$$", "plain")
    heads = nn.ModuleDict({name: nn.Linear(1, 1) for name in names})
    ga.train.save(heads, path)
    assert tuple(ga.load(path)) == names


# What does not fit --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: make(2), r"2\.weight has shape \(1, 8\), this model's is \(2, 8\)"),
        (
            lambda: ga.Sequential(nn.Linear(4, 8)),
            r"4 arrays for the 2 of Sequential.*unexpected: 2\.weight, 2\.bias",
        ),
        (
            lambda: ga.Sequential(*make(), nn.Linear(1, 1)),
            r"4 arrays for the 6 of Sequential.*missing: 3\.weight, 3\.bias",
        ),
    ],
)
def test_arrays_that_do_not_fit_change_nothing(other, said, path):
    make().save(path)
    model = other()
    before = weights(model)
    for load in (lambda: ga.load(path, into=model), lambda: model.load_weights(path)):
        with pytest.raises(ValueError, match=f"(?s){said}"):
            load()
        assert equal(weights(model), before)


def test_weights_alone(path):
    model, other = make(), ga.Sequential(nn.Linear(4, 8))
    model.save_weights(path)
    with pytest.raises(ModelFileError, match=r"no configuration of a model.*into=model"):
        ga.load(path)
    assert other.load_weights(path, strict=False).unexpected_keys == ["2.weight", "2.bias"]
    assert (other[0].weight.numpy() == model[0].weight.numpy()).all()


def test_files_with_the_names_of_pytorch(path):
    """As torch's Sequential(Linear, BatchNorm1d, ReLU), LSTM and MultiheadAttention name them."""
    rng = np.random.default_rng(1)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    state = {
        "0.weight": draw(6, 4), "0.bias": draw(6),
        "1.weight": draw(6), "1.bias": draw(6), "1.running_mean": draw(6),
        "1.running_var": draw(6) ** 2, "1.num_batches_tracked": np.array(7, np.int64),
    }  # fmt: skip
    safetensors.numpy.save_file(state, path, {"format": "pt"})
    model = ga.load(path, into=ga.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU()))
    z = X @ state["0.weight"].T + state["0.bias"]
    z = (z - state["1.running_mean"]) / np.sqrt(state["1.running_var"] + 1e-5)
    expected = np.maximum(z * state["1.weight"] + state["1.bias"], 0)
    # A few float32 operations on numbers of the order of ten.
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-5)
    assert model[1].num_batches_tracked.item() == 7

    names = {
        "weight_ih_l0": (12, 4), "weight_hh_l0": (12, 3), "bias_ih_l0": (12,),
        "bias_hh_l0": (12,), "weight_ih_l0_reverse": (12, 4), "weight_hh_l0_reverse": (12, 3),
        "bias_ih_l0_reverse": (12,), "bias_hh_l0_reverse": (12,),
    }  # fmt: skip
    safetensors.numpy.save_file({name: draw(*shape) for name, shape in names.items()}, path)
    ga.load(path, into=nn.LSTM(4, 3, bidirectional=True))
    names = {
        "in_proj_weight": (12, 4), "in_proj_bias": (12,),
        "out_proj.weight": (4, 4), "out_proj.bias": (4,),
    }  # fmt: skip
    safetensors.numpy.save_file({name: draw(*shape) for name, shape in names.items()}, path)
    ga.load(path, into=nn.MultiheadAttention(4, 2))


# Bad files ----------------------------------------------------------------------------------------


def layer(config):
    return config["model"]["config"]["layers"]["0"]


def replace(config, name, **arguments):
    layer(config).update({"$module": name, "config": arguments})


BAD = {
    "no dict": lambda c: [1, 2],
    "no model": lambda c: {"shared": [], "frozen": []},
    "not a module": lambda c: {**c, "model": 3},
    "no class": lambda c: c["model"].pop("$module"),
    "no arguments": lambda c: c["model"].pop("config"),
    "arguments of another kind": lambda c: c["model"].update(config=[1]),
    "a class that is a function": lambda c: layer(c).update({"$module": "nn.functional_call"}),
    "a class that is a module": lambda c: layer(c).update({"$module": "nn.init"}),
    "a private class": lambda c: layer(c).update({"$module": "nn.__class__"}),
    "a class of another package": lambda c: layer(c).update({"$module": "os.system"}),
    "an unknown argument": lambda c: layer(c)["config"].update(evil=1),
    "an argument of another type": lambda c: layer(c)["config"].update(in_features="x" * 10),
    "a negative size": lambda c: layer(c)["config"].update(in_features=-4),
    "another size": lambda c: layer(c)["config"].update(in_features=3),
    "a terabyte of weights": lambda c: layer(c)["config"].update(in_features=10**11),
    "a terabyte of statistics": lambda c: replace(
        c, "nn.BatchNorm1d", num_features=10**12, affine=False
    ),
    "an endless network": lambda c: replace(
        c, "nn.RNN", input_size=0, hidden_size=0, num_layers=10**12
    ),
    "endless copies": lambda c: replace(
        c, "nn.TransformerEncoder", num_layers=10**12,
        encoder_layer={"$module": "nn.ReLU", "config": {}},
    ),
    "one more layer": lambda c: c["model"]["config"]["layers"].update(
        {"9": {"$module": "nn.Linear", "config": {"in_features": 2, "out_features": 1}}}
    ),
    "shared with nothing": lambda c: c.update(shared=[["0.weight", "7.weight"]]),
    "shared with another shape": lambda c: c.update(shared=[["0.weight", "0.bias"]]),
    "shared, no list": lambda c: c.update(shared=5),
    "frozen, and not there": lambda c: c.update(frozen=["5.weight"]),
    "a tuple of nothing": lambda c: layer(c)["config"].update(out_features={"$tuple": 3}),
}  # fmt: skip


@pytest.mark.parametrize("change", BAD.values(), ids=list(BAD))
def test_a_configuration_that_is_damaged(change, path):
    make().save(path)

    def damage(config):
        found = change(config)
        return found if isinstance(found, (list, dict)) and "$module" not in found else None

    rewrite(path, damage)
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        ga.load(path)


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000 + "]" * 100_000, "\x00"])
def test_a_configuration_that_is_no_json(text, path):
    make().save(path)
    arrays, metadata = own.read(path)
    own.write(path, arrays, {**metadata, "config": text})
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        ga.load(path)


def test_a_configuration_that_is_nested_deeply(path):
    make().save(path)
    arrays, metadata = own.read(path)
    inner = '{"$module": "train.Model", "config": {"module": ' * 5000 + "1" + "}}" * 5000
    own.write(path, arrays, {**metadata, "config": f'{{"model": {inner}}}'})
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        ga.load(path)


def test_a_newer_version(path):
    make().save(path)
    arrays, metadata = own.read(path)
    own.write(path, arrays, {**metadata, "version": "2"})
    with pytest.raises(ModelFileError, match="version '2' of the format; this release reads"):
        ga.load(path)


def test_a_truncated_file_leaves_the_model_as_it_was(path):
    make().save(path)
    path.write_bytes(path.read_bytes()[:-4])
    model = make(1)
    before = weights(model)
    with pytest.raises(ModelFileError, match="truncated"):
        ga.load(path, into=model)
    assert equal(weights(model), before)


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch):
    make().save(path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        make(3).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_there_is_no_pickle():
    import pathlib

    folder = pathlib.Path(ga.__file__).parent / "train"
    for file in folder.rglob("*.py"):
        assert "import pickle" not in file.read_text(), file
