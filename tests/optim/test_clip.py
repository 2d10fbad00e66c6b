"""Clipping of gradients against NumPy's norms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.optim.clip import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)


def params(dtype: Any = np.float64) -> list[ga.GradArray]:
    rng = np.random.default_rng(0)
    out = []
    for shape in ((3, 4), (), (5,), (0, 2)):
        p = ga.array(np.zeros(shape, dtype), requires_grad=True)
        p.grad = ga.array(np.asarray(rng.normal(size=shape)).astype(dtype))
        out.append(p)
    return [*out, ga.array([1.0], requires_grad=True)]  # one without a gradient


def flat(ps: list[ga.GradArray]) -> np.ndarray:
    return np.concatenate([p.grad.numpy().ravel() for p in ps if p.grad is not None])


@pytest.mark.parametrize("p", [1, 2, 2.5, 4.0, float("inf")])
def test_total_norm_is_the_norm_of_one_vector(p: float) -> None:
    ps = params()
    norm = get_total_norm([q.grad for q in ps if q.grad is not None], norm_type=p)
    assert norm.shape == ()
    np.testing.assert_allclose(norm.item(), np.linalg.norm(flat(ps), p), rtol=1e-14)


def test_total_norm_of_nothing_and_of_one() -> None:
    assert get_total_norm([]).item() == 0.0
    assert get_total_norm(ga.array([3.0, -4.0])).item() == 5.0


@pytest.mark.parametrize("p", [1.0, 2.0, float("inf")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_norm(p: float, dtype: Any) -> None:
    ps = params(dtype)
    before = flat(ps)
    norm = np.linalg.norm(before, p)
    eps = np.finfo(dtype).eps
    got = clip_grad_norm_(ps, 0.5, norm_type=p)
    assert got.dtype == dtype
    np.testing.assert_allclose(got.item(), norm, rtol=4 * eps)
    np.testing.assert_allclose(flat(ps), before * (0.5 / (norm + 1e-6)), rtol=8 * eps)
    assert np.linalg.norm(flat(ps), p) <= 0.5
    assert all(q.grad is None or q.grad.dtype == dtype for q in ps)
    assert ps[-1].grad is None


def test_a_small_gradient_is_left_as_it_is() -> None:
    ps = params()
    before = flat(ps)
    clip_grad_norm_(ps, 100.0)
    np.testing.assert_array_equal(flat(ps), before)
    clip_grad_norm_(iter(ps), float("inf"))
    np.testing.assert_array_equal(flat(ps), before)


def test_it_works_in_place() -> None:
    w = ga.array([3.0, 4.0], requires_grad=True)
    (w * w).sum().backward()
    g = w.grad
    clip_grad_norm_(w, 1.0)
    assert w.grad is g
    clip_grad_value_(w, 0.7)
    assert w.grad is g
    assert g is not None
    assert not g.requires_grad
    np.testing.assert_allclose(g.numpy(), [0.6, 0.7], rtol=1e-6)


def test_a_gradient_on_its_graph_is_clipped_out_of_it() -> None:
    w = ga.array([3.0, 4.0], requires_grad=True)
    (w * w).sum().backward(create_graph=True)
    clip_grad_norm_(w, 1.0)
    assert w.grad is not None
    assert not w.grad.requires_grad


def test_clip_value() -> None:
    ps = params()
    before = flat(ps)
    clip_grad_value_(ps, 0.5)
    np.testing.assert_array_equal(flat(ps), np.clip(before, -0.5, 0.5))


def test_with_a_known_norm() -> None:
    ps = params()
    before = flat(ps)
    clip_grads_with_norm_(ps, 1.0, ga.array(4.0))
    np.testing.assert_allclose(flat(ps), before / 4, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite(bad: float) -> None:
    w = ga.array([1.0, 2.0], requires_grad=True)
    w.grad = ga.array([1.0, bad])
    with pytest.raises(ValueError, match=f"the norm of order 2.0 is {bad}"):
        clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(w.grad.numpy(), [1.0, bad])
    assert not np.isfinite(get_total_norm(w.grad).item())


@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_limits_out_of_range(bad: float) -> None:
    ps = params()
    with pytest.raises(ValueError, match="max_norm is at least 0"):
        clip_grad_norm_(ps, bad)
    with pytest.raises(ValueError, match="clip_value is at least 0"):
        clip_grad_value_(ps, bad)
    with pytest.raises(ValueError, match="norm_type is above 0"):
        clip_grad_norm_(ps, 1.0, norm_type=bad)
