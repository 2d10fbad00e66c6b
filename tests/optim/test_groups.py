"""Groups of parameters, their options, and what an optimizer refuses."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import optim

ALL = [
    optim.SGD,
    optim.Adam,
    optim.AdamW,
    optim.Adamax,
    optim.NAdam,
    optim.RAdam,
    optim.RMSprop,
    optim.Adagrad,
    optim.Adadelta,
    optim.LBFGS,
]


def leaf(*values: float) -> ga.GradArray:
    return ga.array(list(values), requires_grad=True)


def test_groups_have_options_of_their_own() -> None:
    a, b = leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    (a + b).sum().backward()
    optimizer.step()
    assert (a.item(), b.item()) == (0.9, 0.5)
    c = leaf(1.0)
    optimizer.add_param_group({"params": iter([c]), "lr": 0.25})
    c.grad = ga.array([1.0])
    optimizer.step()
    assert c.item() == 0.75


def test_named_parameters() -> None:
    a, b = leaf(1.0), leaf(2.0)
    optimizer = optim.SGD([("a", a), ("b", b)], lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["a", "b"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ValueError, match="parameter 'twice' is given twice"):
        optim.SGD([("a", a), ("twice", a)])


@pytest.mark.parametrize("method", ALL)
def test_the_rate_is_written_into_its_array(method: Any) -> None:
    w = leaf(1.0)
    group = method([w], lr=0.5).param_groups[0]
    rate = group["lr"]
    assert isinstance(rate, ga.GradArray)
    assert rate.dtype == np.float64
    assert rate.shape == ()
    group["lr"] = 0.125
    assert group["lr"] is rate
    assert rate.item() == 0.125
    group["lr"] = ga.array(0.25)
    group["lr"] *= 2
    assert group["lr"] is rate
    assert float(rate) == 0.5


def test_betas_are_two_arrays() -> None:
    group = optim.Adam([leaf(1.0)]).param_groups[0]
    first, second = group["betas"]
    group["betas"] = [0.5, 0.75]
    assert (first.item(), second.item()) == (0.5, 0.75)
    with pytest.raises(TypeError, match="betas is 2 numbers"):
        group["betas"] = 0.5
    with pytest.raises(ValueError, match=r"betas is a number from 0 to 1, below 1, not 1\.0"):
        group["betas"] = (0.25, 1.0)
    assert (first.item(), second.item()) == (0.5, 0.75)


def test_a_new_rate_counts_from_the_next_step() -> None:
    w = leaf(1.0)
    optimizer = optim.SGD([w], lr=0.1)
    w.grad = ga.array([1.0])
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert w.item() == 0.5


def test_weight_decay_can_be_turned_on_and_off() -> None:
    w = leaf(1.0)
    optimizer = optim.SGD([w], lr=0.5)
    w.grad = ga.array([0.0])
    optimizer.param_groups[0]["weight_decay"] = 0.5
    optimizer.step()
    assert w.item() == 0.75
    optimizer.param_groups[0]["weight_decay"] = 0
    optimizer.step()
    assert w.item() == 0.75


def test_momentum_turned_on_makes_its_slot() -> None:
    w = leaf(0.0)
    optimizer = optim.SGD([w], lr=1.0)
    assert "momentum_buffer" not in optimizer.state[w]
    optimizer.param_groups[0]["momentum"] = 0.5
    w.grad = ga.array([1.0])
    optimizer.step()
    optimizer.step()
    assert w.item() == -(1.0 + 1.5)


def test_a_group_is_a_mapping() -> None:
    w = leaf(1.0)
    group = optim.SGD([w], lr=0.1).param_groups[0]
    assert list(group) == [
        "params",
        "lr",
        "momentum",
        "dampening",
        "weight_decay",
        "nesterov",
        "maximize",
    ]
    assert len(group) == 7
    assert group["params"][0] is w
    group["note"] = "mine"
    assert group["note"] == "mine"
    assert "lr=0.1" in repr(group)
    with pytest.raises(TypeError, match="cannot be removed"):
        del group["lr"]
    with pytest.raises(TypeError, match="add_param_group"):
        group["params"] = []
    with pytest.raises(KeyError):
        group["rate"]


def test_repr_shows_the_method_and_its_groups() -> None:
    assert repr(optim.Adagrad([leaf(1.0)])) == (
        "Adagrad (\n  Group(1 parameters, lr=0.01, lr_decay=0.0, weight_decay=0.0, "
        "initial_accumulator_value=0.0, eps=1e-10, maximize=False)\n)"
    )


def test_deepcopy_with_its_parameters() -> None:
    w = leaf(1.0)
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = ga.array([1.0])
    optimizer.step()
    v, other = copy.deepcopy((w, optimizer))
    assert other.param_groups[0].params[0] is v
    for p, o in ((w, optimizer), (v, other)):
        p.grad = ga.array([-3.0])
        o.step()
    assert v.item() == w.item()
    other.param_groups[0]["lr"] = 0.5
    other.step()
    assert v.item() != w.item()
    assert optimizer.param_groups[0]["lr"].item() == 0.1
    assert optimizer.state[w]["step"].item() == 2


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("lr", [float("nan"), float("inf"), -0.1])
def test_bad_rates(method: Any, lr: float) -> None:
    with pytest.raises(ValueError, match=f"{method.__name__}: lr is a finite number, at least 0"):
        method([leaf(1.0)], lr=lr)


@pytest.mark.parametrize("lr", [float("nan"), float("inf"), -0.1])
def test_bad_rate_assigned_leaves_the_old_one(lr: float) -> None:
    group = optim.SGD([leaf(1.0)], lr=0.1).param_groups[0]
    with pytest.raises(ValueError, match="lr is a finite number"):
        group["lr"] = lr
    assert group["lr"].item() == 0.1


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (optim.SGD, {"momentum": -0.1}),
        (optim.SGD, {"dampening": float("nan")}),
        (optim.SGD, {"weight_decay": -1}),
        (optim.SGD, {"nesterov": True}),
        (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        (optim.Adam, {"betas": (1.0, 0.9)}),
        (optim.Adam, {"betas": (0.9, -0.1)}),
        (optim.Adam, {"eps": -1e-8}),
        (optim.NAdam, {"momentum_decay": -1}),
        (optim.RMSprop, {"alpha": 1.5}),
        (optim.Adagrad, {"lr_decay": -1}),
        (optim.Adagrad, {"initial_accumulator_value": -1}),
        (optim.Adadelta, {"rho": 2}),
        (optim.LBFGS, {"line_search_fn": "armijo"}),
        (optim.LBFGS, {"max_iter": 0}),
        (optim.LBFGS, {"history_size": 1.5}),
        (optim.LBFGS, {"tolerance_grad": -1}),
    ],
)
def test_options_out_of_range(method: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=method.__name__):
        method([leaf(1.0)], **options)


@pytest.mark.parametrize("betas", [0.9, (0.9,), (0.9, 0.99, 0.999)])
def test_betas_are_two_numbers(betas: Any) -> None:
    with pytest.raises(TypeError, match="betas is 2 numbers"):
        optim.Adam([leaf(1.0)], betas=betas)


@pytest.mark.parametrize("lr", ["0.1", True, [0.1, 0.2], None])
def test_a_rate_is_a_number(lr: Any) -> None:
    with pytest.raises(TypeError, match="lr is"):
        optim.SGD([leaf(1.0)], lr=lr)


@pytest.mark.parametrize(
    ("keyword", "mend"),
    [
        ("learning_rate", "write lr="),
        ("beta_1", "betas"),
        ("epsilon", "eps"),
        ("clipnorm", "clip_grad_norm_"),
        ("fused", "leave it out"),
    ],
)
def test_keywords_of_other_libraries_are_named(keyword: str, mend: str) -> None:
    with pytest.raises(TypeError, match=rf"Adam: there is no {keyword}= here: .*{mend}"):
        optim.Adam([leaf(1.0)], **{keyword: 0.1})
    with pytest.raises(TypeError, match=mend):
        optim.Adam([{"params": [leaf(1.0)], keyword: 0.1}])


def test_a_method_of_ones_own_may_have_such_a_keyword() -> None:
    class Mine(optim.SGD):
        def __init__(self, params: Any, learning_rate: float) -> None:
            super().__init__(params, lr=learning_rate)

    assert Mine([leaf(1.0)], learning_rate=0.5).param_groups[0]["lr"].item() == 0.5


def test_an_unknown_option_of_a_group() -> None:
    with pytest.raises(TypeError, match=r"no option 'momentum'\. It has lr, betas, eps"):
        optim.Adam([{"params": [leaf(1.0)], "momentum": 0.9}])


@pytest.mark.parametrize("empty", [[], iter(()), [{"params": []}]])
def test_no_parameters(empty: Any) -> None:
    with pytest.raises(ValueError, match="the list of parameters is empty"):
        optim.SGD(empty)


@pytest.mark.parametrize("method", ALL)
def test_a_parameter_is_a_floating_leaf(method: Any) -> None:
    w = leaf(1.0)
    with pytest.raises(ValueError, match="parameter 1 was made by an operation"):
        method([w, w * 2])
    with pytest.raises(TypeError, match="parameter 0 has dtype int64"):
        method([ga.array([1, 2])])
    with pytest.raises(TypeError, match="parameter 0 has dtype bool"):
        method([ga.array([True])])
    with pytest.raises(TypeError, match="parameter 0 is a ndarray, not a GradArray"):
        method([np.ones(2)])


@pytest.mark.parametrize("params", [leaf(1.0), {"params": []}, "w", 3, {1, 2}])
def test_parameters_come_as_an_iterable(params: Any) -> None:
    with pytest.raises(TypeError, match="parameters come as a list"):
        optim.SGD(params)


def test_the_same_parameter_twice() -> None:
    w = leaf(1.0)
    with pytest.raises(ValueError, match="parameter 1 is given twice"):
        optim.SGD([w, w])
    with pytest.raises(ValueError, match="parameter 0 is given twice"):
        optim.SGD([{"params": [w]}, {"params": [w]}])
    optimizer = optim.SGD([w])
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [w]})
    assert len(optimizer.param_groups) == 1
    with pytest.raises(TypeError, match='with the key "params"'):
        optimizer.add_param_group({"parameters": [w]})


@pytest.mark.parametrize("method", ALL[:-1])
def test_step_without_any_gradient(method: Any) -> None:
    w = leaf(1.0)
    optimizer = method([w])
    with pytest.raises(ga.GraphError, match=r"no parameter has a gradient\. Call loss.backward"):
        optimizer.step()
    assert w.item() == 1.0
    assert optimizer.state[w]["step"].item() == 0


def test_a_method_of_ones_own_needs_an_update() -> None:
    class Half(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"rate": 0.5})

    w = leaf(1.0)
    w.grad = ga.array([1.0])
    with pytest.raises(NotImplementedError, match="Half declares no coefficients"):
        Half([w]).step()


def test_an_option_of_another_library_cannot_be_set_in_silence():
    w = ga.array([1.0], requires_grad=True)
    optimizer = ga.optim.SGD([w], lr=0.1)
    with pytest.raises(TypeError, match="SGD: there is no learning_rate here: write lr="):
        optimizer.param_groups[0]["learning_rate"] = 0.01
    assert optimizer.param_groups[0]["lr"].item() == 0.1
    optimizer.param_groups[0]["note"] = "mine"
    assert optimizer.param_groups[0]["note"] == "mine"


def test_clipping_stands_beside_the_optimisers_too():
    assert ga.optim.clip_grad_norm_ is ga.nn.utils.clip_grad_norm_
    assert ga.optim.clip_grad_value_ is ga.nn.utils.clip_grad_value_
