"""Sequential, ModuleList, ModuleDict."""

from collections import OrderedDict

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn


def test_sequential_is_one_after_another():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = ga.ones((5, 3))
    assert np.array_equal(model(x).numpy(), model[2](model[1](model[0](x))).numpy())
    assert len(model) == 3
    assert list(model)[1] is model[1]
    assert model[-1] is model[2]


def test_sequential_takes_names():
    model = nn.Sequential(OrderedDict(first=nn.Linear(2, 2), act=nn.ReLU()))
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    assert model.first is model[0]


def test_sequential_passes_on_the_first_of_a_tuple():
    model = nn.Sequential(nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1))
    assert model(ga.ones((2, 5, 3))).shape == (2, 5, 1)
    output, (h, _) = nn.Sequential(nn.LSTM(3, 4))(ga.ones((5, 2, 3)))
    assert output.shape == (5, 2, 4)
    assert h.shape == (1, 2, 4)


def test_sequential_is_edited_like_a_list():
    model = nn.Sequential(nn.Linear(2, 2))
    model.append(nn.ReLU()).append(nn.Linear(2, 1)).insert(1, nn.Tanh())
    assert [type(m).__name__ for m in model] == ["Linear", "Tanh", "ReLU", "Linear"]
    del model[1]
    assert [name for name, _ in model.named_children()] == ["0", "1", "2"]
    last = model[-1]
    assert model.pop(-1) is last and len(model) == 2
    longer = model + nn.Sequential(nn.Tanh())
    assert [type(m).__name__ for m in longer] == ["Linear", "ReLU", "Tanh"] and len(model) == 2
    model += [nn.Tanh()]
    assert len(model) == 3
    model[1] = nn.Sigmoid()
    assert isinstance(model[1], nn.Sigmoid)
    head = model[:2]
    assert isinstance(head, nn.Sequential)
    assert head[0] is model[0]
    del model[1:]
    assert len(model) == 1
    with pytest.raises(IndexError, match="index 3 is out of range for a Sequential of 1"):
        model[3]


def test_sequential_refuses_a_list():
    with pytest.raises(TypeError, match=r"write Sequential\(\*layers\)"):
        nn.Sequential([nn.ReLU()])
    with pytest.raises(TypeError, match="not a Module"):
        nn.Sequential(nn.ReLU(), 3)


def test_module_list():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.ReLU()])
    layers.append(nn.Linear(2, 1))
    layers.insert(0, nn.Tanh())
    assert [type(m).__name__ for m in layers] == ["Tanh", "Linear", "ReLU", "Linear"]
    assert list(layers.state_dict()) == ["1.weight", "1.bias", "3.weight", "3.bias"]
    del layers[0]
    layers[-1] = nn.Identity()
    assert [type(m).__name__ for m in layers[1:]] == ["ReLU", "Identity"]
    with pytest.raises(NotImplementedError, match="ModuleList does not define forward"):
        layers(1.0)


def test_module_list_prints_neighbours_that_are_alike_once():
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()])
    assert repr(layers) == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)"


def test_module_dict():
    heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
    heads["b"] = nn.ReLU()
    heads.update([("c", nn.Tanh())])
    assert list(heads) == list(heads.keys()) == ["a", "b", "c"]
    assert "b" in heads
    assert len(heads) == 3
    assert isinstance(heads.pop("b"), nn.ReLU)
    del heads["c"]
    assert [(k, type(v)) for k, v in heads.items()] == [("a", nn.Linear)]
    assert list(heads.state_dict()) == ["a.weight", "a.bias"]
    heads.clear()
    assert list(heads.values()) == []


def test_containers_are_rebuilt_from_their_config():
    layers = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    assert repr(nn.ModuleList.from_config(layers.get_config())) == repr(layers)
    heads = nn.ModuleDict({"a": nn.ReLU()})
    assert repr(nn.ModuleDict.from_config(heads.get_config())) == repr(heads)


def test_module_list_pops_and_adds():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.ReLU()])
    last = layers[1]
    assert layers.pop() is last and len(layers) == 1
    other = nn.ModuleList([nn.Tanh()])
    assert len(layers + other) == 2 and len(layers) == 1
    layers += [nn.Tanh()]
    assert [name for name, _ in layers.named_children()] == ["0", "1"]
