"""Module: what it registers, saves, loads, prints and says when something does not fit."""

import copy
import gc
import pickle
import re
import weakref

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn


class Net(nn.Module):
    def __init__(self, hidden=4, *, scale=2.0):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, 2)])
        self.scale = scale
        self.register_buffer("steps", np.zeros(2, np.float32))
        self.register_buffer("scratch", ga.array(1.0), persistent=False)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.scale


NAMES = ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]


def test_assigned_parameters_modules_and_buffers_are_found_by_path():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_buffers()] == ["steps", "scratch"]
    paths = [name for name, _ in net.named_modules()]
    assert paths == ["", "layers", "layers.0", "layers.1", "layers.2"]
    assert [name for name, _ in net.named_children()] == ["layers"]
    assert list(net.children()) == [net.layers]
    assert list(net.modules())[2] is net.layers[0]
    assert net.get_submodule("layers.2") is net.layers[2]
    assert net.get_parameter("layers.2.bias") is net.layers[2].bias
    assert list(net.parameters_dict()) == NAMES
    assert list(net.parameters(recurse=False)) == []


def test_a_shared_parameter_comes_once_and_is_saved_under_each_name():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    both = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert both == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_assignment_replaces_what_stood_under_the_name():
    net = nn.Module()
    net.part = nn.ReLU()
    net.part = nn.Parameter([1.0])
    assert [name for name, _ in net.named_modules()] == [""]
    assert [name for name, _ in net.named_parameters()] == ["part"]
    net.part = None
    assert net.part is None
    assert list(net.parameters()) == []
    with pytest.raises(TypeError, match=r"part is a Parameter; a list cannot"):
        net.part = [1.0]
    del net.part
    with pytest.raises(AttributeError, match="no attribute 'part'"):
        _ = net.part
    net.plain = 3
    net.plain = nn.Parameter([1.0])
    assert [name for name, _ in net.named_parameters()] == ["plain"]


def test_names_that_cannot_be_parts_raise():
    net = nn.Module()
    for name in ("", "a.b"):
        with pytest.raises(KeyError, match="without dots"):
            net.add_module(name, nn.ReLU())
    with pytest.raises(KeyError, match="'forward' of its own"):
        net.add_module("forward", nn.ReLU())
    with pytest.raises(TypeError, match="not a Module"):
        net.add_module("part", 3)
    with pytest.raises(TypeError, match=r"use ga\.nn\.Parameter"):
        net.register_parameter("part", ga.array([1.0]))


def test_parameters_are_made_in_float32_and_copied():
    values = np.array([1.0, 2.0])
    parameter = nn.Parameter(values)
    values[0] = 9
    assert parameter.tolist() == [1.0, 2.0]
    assert parameter.dtype == np.float64
    assert nn.Parameter([1.0, 2.0]).dtype == np.float32
    assert nn.Parameter(0.5).shape == ()
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    assert isinstance(parameter, ga.GradArray)
    assert repr(nn.Parameter([1.0])) == "Parameter([1.], dtype=float32, requires_grad=True)"
    with pytest.raises(ga.DTypeError, match="no derivative"):
        nn.Parameter(np.array([1, 2]))
    assert not nn.Parameter(np.array([1, 2]), requires_grad=False).requires_grad


def test_a_buffer_keeps_its_handle_and_dtype_when_it_is_assigned():
    net = Net()
    handle = net.steps
    net.steps = net.steps + 1
    assert net.steps is handle
    assert handle.tolist() == [1.0, 1.0]
    net.steps = np.array([2.0, 3.0])
    assert handle.tolist() == [2.0, 3.0]
    assert handle.dtype == np.float32
    net.steps = np.zeros(3)
    assert net.steps.shape == (3,)


def test_train_eval_apply_requires_grad_zero_grad():
    net = Net()
    assert net.eval() is net
    assert [m.training for m in net.modules()] == [False] * 5
    assert all(m.training for m in net.train().modules())
    with pytest.raises(TypeError, match="True or False"):
        net.train("yes")
    seen = []
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "ModuleList", "Net"]
    net(ga.ones((1, 3))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.layers[0].requires_grad_(False)
    assert [p.requires_grad for p in net.parameters()] == [False, False, True, True]


def test_to_casts_parameters_and_buffers_in_place():
    net = Net()
    handles = list(net.parameters())
    net(ga.ones((1, 3))).sum().backward()
    assert net.to("float64") is net
    assert [a is b for a, b in zip(net.parameters(), handles, strict=True)] == [True] * 4
    assert {p.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert {p.grad.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert net.steps.dtype == np.float64
    assert net(ga.ones((1, 3))).dtype == np.float64
    assert {p.dtype for p in net.half().parameters()} == {np.dtype("float16")}
    assert {p.dtype for p in net.float().parameters()} == {np.dtype("float32")}
    assert net.double().layers[0].weight.requires_grad
    for word in ("cuda", "int32", None):
        with pytest.raises(ga.DTypeError, match="not a floating dtype"):
            net.to(word)


def test_zero_dimensional_state_stays_float64():
    layer = nn.BatchNorm1d(2)
    assert layer.num_batches_tracked.dtype == np.float64
    layer.half()
    assert layer.num_batches_tracked.dtype == np.float64
    assert layer.running_mean.dtype == np.float16


def test_the_state_is_a_snapshot():
    net = Net()
    state = net.state_dict()
    assert list(state) == ["steps", *NAMES]
    before = state["layers.0.weight"].copy()
    nn.init.zeros_(net.layers[0].weight)
    assert np.array_equal(state["layers.0.weight"], before)
    assert net.load_state_dict(state) == ([], [])
    assert np.array_equal(net.layers[0].weight.numpy(), before)
    assert repr(net.load_state_dict(state)) == "<All keys matched successfully>"


def test_loading_keeps_handles_dtypes_and_requires_grad():
    net = Net()
    weight = net.layers[0].weight
    state = {k: v.astype(np.float64) + 1 for k, v in net.state_dict().items()}
    net.load_state_dict(state)
    assert net.layers[0].weight is weight
    assert weight.dtype == np.float32
    assert weight.requires_grad
    assert weight.is_leaf
    assert np.allclose(weight.numpy(), state["layers.0.weight"])
    state["layers.0.weight"][:] = 7
    assert not np.any(weight.numpy() == 7)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda s: s.pop("layers.2.bias"), ["missing: layers.2.bias"]),
        (lambda s: s.update(extra=np.ones(2)), ["unexpected: extra"]),
        (
            lambda s: s.update({"layers.0.weight": np.ones((4, 4))}),
            [r"layers.0.weight has shape (4, 4), this model's is (4, 3)"],
        ),
        (
            lambda s: s.update({"layers.0.bias": np.ones(4, complex)}),
            ["layers.0.bias has dtype complex128, this model's is float32"],
        ),
        (
            lambda s: s.update({"layers.0.bias": np.array(["a"] * 4)}),
            ["layers.0.bias has dtype <U1"],
        ),
    ],
)
def test_a_state_that_does_not_fit_raises_and_changes_nothing(change, names):
    net = Net()
    before = net.state_dict()
    state = {k: v + 1 for k, v in before.items()}
    change(state)
    with pytest.raises(ValueError, match="nothing was changed") as caught:
        net.load_state_dict(state)
    for name in names:
        assert name in str(caught.value)
    after = net.state_dict()
    assert all(np.array_equal(before[k], after[k]) for k in before)


def test_strict_false_passes_over_names_but_not_over_shapes():
    net = Net()
    result = net.load_state_dict({"layers.0.bias": np.ones(4), "extra": np.ones(1)}, strict=False)
    assert result.missing_keys == ["steps", NAMES[0], *NAMES[2:]]
    assert result.unexpected_keys == ["extra"]
    assert net.layers[0].bias.tolist() == [1.0] * 4
    with pytest.raises(ValueError, match="shape"):
        net.load_state_dict({"layers.0.bias": np.ones(5)}, strict=False)
    with pytest.raises(TypeError, match="a mapping"):
        net.load_state_dict([1, 2])


def test_a_deep_copy_is_a_model_of_its_own():
    net = Net()
    net.layers[2].bias = net.layers[2].bias
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == list(net.state_dict())
    nn.init.zeros_(net.layers[0].weight)
    assert np.any(twin.layers[0].weight.numpy() != 0)
    twin(ga.ones((1, 3))).sum().backward()
    assert twin.layers[0].weight.grad is not None
    assert net.layers[0].weight.grad is None
    assert isinstance(twin.layers[0].weight, nn.Parameter)


def test_a_module_is_pickled_with_its_values():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    twin = pickle.loads(pickle.dumps(net))
    for name, value in net.state_dict().items():
        assert np.array_equal(value, twin.state_dict()[name])
    assert twin[0].weight.requires_grad


def test_hooks_see_and_replace():
    layer = nn.Linear(2, 2)
    seen = []
    pre = layer.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    handle = layer.register_forward_hook(lambda m, args, y: seen.append((m, args[0].tolist(), y)))
    y = layer(ga.array([1.0, 1.0]))
    assert seen[0][0] is layer
    assert seen[0][1] == [2.0, 2.0]
    assert seen[0][2] is y
    handle.remove()
    handle.remove()
    pre.remove()
    assert np.array_equal(layer(ga.array([2.0, 2.0])).numpy(), y.numpy())
    assert len(seen) == 1
    layer.register_forward_hook(lambda m, args, y: y * 0)
    layer.register_forward_hook(lambda m, args, y: y + 1, prepend=True)
    assert layer(ga.array([2.0, 2.0])).tolist() == [0.0, 0.0]


def test_hooks_with_keywords():
    class Add(nn.Module):
        def forward(self, x, other=0.0):
            return x + other

    layer = Add()
    more = lambda m, a, k: (a, {"other": k["other"] + 1})
    layer.register_forward_pre_hook(more, with_kwargs=True)
    layer.register_forward_hook(lambda m, a, k, y: y * k["other"], with_kwargs=True)
    assert layer(2.0, other=4.0) == 35.0


def test_an_error_from_inside_names_the_layer():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 1))

        def forward(self, x):
            return self.layers(x)

    with pytest.raises(ga.ShapeError) as caught:
        Model()(ga.ones((5, 2)))
    text = str(caught.value)
    assert text.startswith("in model.layers.2 (Linear): linear: input of shape (5, 3)")
    assert "weight (out_features, in_features) of shape (1, 4)" in text
    assert "test_module.py" in text
    with pytest.raises(ga.DTypeError, match=r"^in model\.layers\.0 \(Linear\): input: dtype int64"):
        Model()(ga.ones((5, 2), dtype=int))
    with pytest.raises(ga.ShapeError, match=r"^in Linear: linear: "):
        nn.Linear(2, 2)(ga.ones(3))
    with pytest.raises(IndexError, match=r"^in model\.0 \(Embedding\).*index 9 at"):
        nn.Sequential(nn.Embedding(5, 2))(ga.array([1, 9]))


def test_repr_is_a_tree():
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.25), Net()
    )
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "  (1): BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, bias=True, "
        "track_running_stats=True)\n"
        "  (2): ReLU()\n"
        "  (3): Dropout(p=0.25, inplace=False)\n"
        "  (4): Net(\n"
        "    (layers): ModuleList(\n"
        "      (0): Linear(in_features=3, out_features=4, bias=True)\n"
        "      (1): ReLU()\n"
        "      (2): Linear(in_features=4, out_features=2, bias=True)\n"
        "    )\n"
        "  )\n"
        ")"
    )


def test_the_arguments_of_a_layer_can_be_had_back():
    layer = nn.Linear(3, 2, bias=False)
    assert layer.get_config() == {"in_features": 3, "out_features": 2, "bias": False}
    assert repr(nn.Linear.from_config(layer.get_config())) == repr(layer)
    assert layer.double().get_config()["dtype"] == "float64"
    assert Net(5, scale=1.0).get_config() == {"hidden": 5, "scale": 1.0}
    assert Net().get_config() == {}
    assert nn.LSTM(3, 4, bidirectional=True).get_config() == {
        "input_size": 3,
        "hidden_size": 4,
        "bidirectional": True,
    }
    config = nn.Sequential(nn.ReLU(), nn.Linear(1, 1)).get_config()
    twin = nn.Sequential.from_config(config)
    assert [type(m).__name__ for m in twin] == ["ReLU", "Linear"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.Linear(3, units=2), "no argument 'units'. Here it is called 'out_features'"),
        (lambda: nn.Conv2d(1, filters=2, kernel_size=3), "called 'out_channels'"),
        (lambda: nn.Conv2d(1, 2, 3, strides=2), "called 'stride'"),
        (lambda: nn.Linear(3, 2, use_bias=False), "called 'bias'"),
        (lambda: nn.Dropout(rate=0.5), "called 'p'"),
        (lambda: nn.LSTM(3, units=2), "called 'hidden_size'"),
        (lambda: nn.Softmax(axis=1), "called 'dim'"),
        (lambda: nn.LayerNorm(3, epsilon=1e-3), "called 'eps'"),
        (lambda: nn.Linear(3, 2, activation="relu"), "a layer of its own"),
        (lambda: nn.CrossEntropyLoss(from_logits=True), "CrossEntropyLoss and BCEWithLogitsLoss"),
        (lambda: nn.MSELoss(size_average=False), 'reduction="mean" or "sum"'),
        (lambda: nn.Linear(3, 2, device="cpu"), "machine's memory"),
        (lambda: nn.functional.softmax(ga.ones(2), axis=0), "no argument 'axis'. Here it is 'dim'"),
    ],
)
def test_a_keyword_of_the_other_face_names_the_right_one(make, says):
    with pytest.raises(TypeError, match=re.escape(says)):
        make()


def test_a_class_of_the_other_face_names_the_right_one():
    with pytest.raises(AttributeError, match=r"no Dense; here it is Linear"):
        _ = nn.Dense
    with pytest.raises(AttributeError, match="Conv2d"):
        _ = nn.Conv2D
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = nn.Nothing


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        nn.Module()(1.0)


def test_modules_are_freed_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        net = Net()
        net(ga.ones((1, 3))).sum().backward()
        gone = weakref.ref(net)
        del net
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("name", "right"),
    [("trainable_weights", "parameters()"), ("set_weights", "load_state_dict"), ("cuda", "to(")],
)
def test_an_attribute_of_the_other_face_names_the_right_one(name, right):
    with pytest.raises(AttributeError, match=re.escape(right)):
        getattr(nn.Linear(1, 1), name)


def test_zero_grad_may_leave_zeros():
    net = nn.Linear(2, 1)
    net(ga.ones((3, 2))).sum().backward()
    net.bias.zero_grad()
    net.zero_grad(set_to_none=False)
    assert net.weight.grad.tolist() == [[0.0, 0.0]] and net.weight.grad.dtype == np.float32
    assert net.bias.grad is None


def test_backward_hooks_of_modules_are_named():
    with pytest.raises(AttributeError, match=r"forward hook that calls output\.register_hook"):
        nn.Linear(2, 1).register_full_backward_hook(print)
    seen = []
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    net[0].register_forward_hook(lambda m, args, y: y.register_hook(seen.append) and None)
    net(ga.ones((3, 2))).sum().backward()
    assert seen[0].shape == (3, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.functional.relu([1.0], inplace=True),
        lambda: nn.Embedding(3, 2, sparse=True),
        lambda: nn.TripletMarginLoss(swap=True),
    ],
)
def test_arguments_of_pytorch_that_are_not_here_are_answered(make):
    with pytest.raises(TypeError, match=r"has no argument '\w+'\. [A-Z]"):
        make()
