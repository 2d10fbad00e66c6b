"""backward(): what arrives where, what is kept, hooks, rebinding, and what it refuses."""

import numpy as np
import pytest

import gradarray as ga


def leaf(value, dtype=None):
    return ga.array(value, dtype=dtype, requires_grad=True)


# Accumulation -------------------------------------------------------------------------------------


def test_gradients_add_up_until_they_are_zeroed():
    x = leaf([1.0, 2.0])
    for n in range(1, 4):
        (x * x).sum().backward()
        assert x.grad.tolist() == [2 * n, 4 * n]
    x.zero_grad()
    assert x.grad is None and x._grad is None
    (x * 3.0).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_adding_up_makes_a_new_gradient():
    x = leaf(1.0)
    (x * 2.0).backward()
    first = x.grad
    (x * 3.0).backward()
    assert first.item() == 2 and x.grad.item() == 5


def test_a_gradient_is_memory_of_its_own():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = ga.array([1.0, 10.0])
    (x + w).backward(seed)
    x._grad[:] *= 5  # as a user may: nobody else has this array
    assert (x.grad.tolist(), w.grad.tolist(), seed.tolist()) == ([5, 50], [1, 10], [1, 10])
    x.zero_grad()
    x.sum().backward()
    x._grad[:] *= 5
    assert x.grad.tolist() == [5, 5]


def test_a_leaf_that_is_not_reached_keeps_none():
    x, w = leaf(1.0), leaf(2.0)
    (x * 2.0).backward()
    assert w.grad is None


def test_a_leaf_used_many_times():
    x = leaf(3.0)
    (x * x + x * 2.0 + ga.exp(x) * 0.0 + x).backward()
    assert x.grad.item() == 9


def test_the_root_may_be_a_leaf():
    x = leaf(3.0)
    x.backward()
    assert x.grad.item() == 1


def test_a_cotangent_of_the_users():
    x = leaf([1.0, 2.0])
    y = x * x
    y.backward([1.0, 10.0], retain_graph=True)
    assert x.grad.tolist() == [2, 40]
    x.zero_grad()
    y.backward(grad=ga.array([1.0, 1.0]))
    assert x.grad.tolist() == [2, 4]


def test_one_element_needs_no_cotangent():
    x = leaf([[3.0]])
    (x * x).backward()
    assert x.grad.tolist() == [[6.0]]


def test_grad_is_a_gradarray_and_underscore_grad_its_plain_array():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    assert isinstance(x.grad, ga.GradArray) and type(x._grad) is np.ndarray
    x._grad = np.zeros(2)
    assert x.grad.tolist() == [0, 0]
    x.grad = None
    assert x._grad is None
    with pytest.raises(ValueError, match=r"shape \(3,\) for an array of shape \(2,\)"):
        x.grad = np.zeros(3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_gradient_has_the_leafs_dtype(dtype):
    x = leaf([1.0, 2.0], dtype)
    w = leaf([3.0, 4.0], np.float64)
    (x * w).sum().backward()
    assert x.grad.dtype == dtype and w.grad.dtype == np.float64


def test_float32_stays_float32_with_python_numbers():
    x = leaf([1.0, 2.0], np.float32)
    y = (2 * x + 1.5) / 3 - x**2 * 0.5
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad.numpy(), 2 / 3 - x.numpy(), rtol=1e-6)


# Intermediates ------------------------------------------------------------------------------------


def test_an_intermediate_keeps_its_gradient_only_if_asked():
    x = leaf(2.0)
    y = x * 3.0
    z = x * 5.0
    z.retain_grad()
    (y * z).backward()
    assert y.grad is None and y._grad is None
    assert z.grad.item() == 6 and z._grad == np.array(6.0)
    assert x.grad.item() == 60


def test_retained_gradients_add_up_and_asking_twice_counts_once():
    x = leaf(2.0)
    y = x * 3.0
    y.retain_grad()
    y.retain_grad()
    (y * 1.0).backward(retain_graph=True)
    assert y.grad.item() == 1
    (y * 1.0).backward()
    assert y.grad.item() == 2


def test_a_hook_sees_the_sum_over_all_consumers_once():
    seen = []
    x = leaf(2.0)
    y = x * 3.0
    y.register_hook(lambda g: seen.append(g.item()))
    (y * y + y).backward()
    assert seen == [13.0] and x.grad.item() == 39


def test_a_hook_replaces_the_gradient_and_can_be_removed():
    x = leaf([1.0, 2.0])
    handle = x.register_hook(lambda g: g * 10.0)
    (x * x).sum().backward()
    assert x.grad.tolist() == [20, 40]
    handle.remove()
    handle.remove()  # once more does nothing
    x.zero_grad()
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]


def test_a_leaf_keeps_its_hook_through_steps():
    x = leaf(4.0)
    handle = x.register_hook(lambda g: g / 2)
    method = ga.optim.SGD([x], lr=0.25)
    for expected in (4.0 - 0.25 * 4, 3.0 - 0.25 * 3):
        method.zero_grad()
        (x * x).backward()
        method.step()
        assert x.item() == expected
    handle.remove()
    x.zero_grad()
    (x * x).backward()
    assert x.grad.item() == 2 * 2.25


def test_a_hook_of_another_shape_is_refused():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ga.ShapeError, match=r"hook.*shape \(\).*shape \(2,\)"):
        (x * x).sum().backward()


def test_a_hook_in_a_recorded_sweep_is_differentiated():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    (y * 1.0).backward(create_graph=True)
    gradient = x.grad  # x * 2x
    assert gradient.item() == 18
    x.zero_grad()
    gradient.backward()
    assert x.grad.item() == 12


def test_hooks_need_a_graph():
    for ask in ("retain_grad", "register_hook"):
        with pytest.raises(ga.GraphError, match=f"{ask}: this array does not require a gradient"):
            getattr(ga.array(1.0), ask)(*([print] if ask == "register_hook" else []))


# Gradients of gradients ---------------------------------------------------------------------------


def test_create_graph():
    x = leaf(2.0)
    (x**3.0).backward(create_graph=True)
    first = x.grad
    assert first.requires_grad and first.item() == 12
    x.zero_grad()
    first.backward(create_graph=True)
    second = x.grad
    assert second.item() == pytest.approx(12)
    x.zero_grad()
    second.backward()
    assert x.grad.item() == pytest.approx(6) and not x.grad.requires_grad


def test_create_graph_keeps_the_graph_by_default():
    x = leaf(2.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward()  # this one frees it
    with pytest.raises(ga.GraphError, match="freed"):
        y.backward()


def test_create_graph_may_free_what_it_walked():
    x = leaf(2.0)
    y = ga.exp(x)
    y.backward(create_graph=True, retain_graph=False)
    with pytest.raises(ga.GraphError, match="freed"):
        y.backward()


def test_a_gradient_penalty():
    # L = (dy/dx)^2 with y = w x^2: L = 4 w^2 x^2, dL/dw = 8 w x^2.
    w = leaf(3.0)
    x = leaf(2.0)
    (w * x * x).backward(create_graph=True)
    penalty = x.grad * x.grad
    w.zero_grad()
    penalty.backward()
    assert w.grad.item() == 96


# Rebinding ----------------------------------------------------------------------------------------


def test_an_older_graph_is_right_after_its_leaf_has_changed():
    x = leaf(3.0)
    w = leaf(5.0)
    y = x * x * w
    with ga.no_grad():
        x -= 1.0
    y.backward()
    # w still is the leaf that y was made from; x is bound to another value by now.
    assert w.grad.item() == 9
    assert x.item() == 2 and x.grad is None
    (x * x).backward()
    assert x.grad.item() == 4


def test_assignment_through_the_plain_array():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    x._array = np.array([5.0, 5.0])
    assert x.requires_grad and x.is_leaf
    y.backward()
    assert x.grad is None
    (x * x).sum().backward()
    assert x.grad.tolist() == [10, 10]


def test_a_leaf_cannot_be_changed_while_recording():
    x = leaf([1.0, 2.0])
    with pytest.raises(ga.GraphError, match=r"no_grad"):
        x += 1.0
    assert x.tolist() == [1, 2]


def test_an_intermediate_changed_in_place_is_another_value():
    x = leaf([1.0, 2.0])
    y = x * 2.0
    z = y * y
    y *= 10.0
    assert y.tolist() == [20, 40]
    z.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [8, 16]  # z = 4 x^2 is untouched
    x.zero_grad()
    y.sum().backward()
    assert x.grad.tolist() == [20, 20]


def test_in_place_on_an_array_outside_the_graph_puts_it_on():
    total = ga.array(0.0)
    x = leaf(3.0)
    for _ in range(3):
        total += x * x
    total.backward()
    assert x.grad.item() == 18


def test_in_place_does_not_change_dtype_or_shape():
    x = ga.array([1, 2])
    with pytest.raises((ValueError, TypeError)):
        x += 0.5
    with pytest.raises(ValueError, match="cannot become"):
        x += np.ones((3, 2), int)
    assert x.tolist() == [1, 2]


# Refusals -----------------------------------------------------------------------------------------


def test_a_result_that_is_no_scalar():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(2,\) is not a scalar.*\.sum\(\)"):
        (x * x).backward()


def test_a_freed_graph():
    x = leaf(2.0)
    y = ga.exp(x)
    y.backward()
    with pytest.raises(ga.GraphError, match=r"freed by an earlier.*retain_graph=True"):
        y.backward()
    with pytest.raises(ga.GraphError, match="freed"):
        (y * 2.0).backward()
    with pytest.raises(ga.GraphError, match="freed"):
        y._grad_op.backward(1.0)


def test_retain_graph():
    x = leaf(2.0)
    y = ga.exp(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 2 * np.exp(2.0)


def test_an_integer_array():
    with pytest.raises(ga.GraphError, match="int64 has no derivative"):
        ga.array([1, 2]).backward()


def test_inside_no_grad():
    x = leaf(2.0)
    y = x * x
    with ga.no_grad(), pytest.raises(ga.GraphError, match=r"inside no_grad\(\)"):
        y.backward()


def test_without_a_graph():
    with pytest.raises(ga.GraphError, match=r"does not require a gradient.*requires_grad=True"):
        ga.array(2.0).backward()
    with ga.no_grad():
        y = leaf(2.0) * 2.0
    with pytest.raises(ga.GraphError, match="does not require a gradient"):
        y.backward()


def test_a_cotangent_of_another_shape():
    x = leaf([1.0, 2.0])
    with pytest.raises(ga.ShapeError, match=r"grad has shape \(3,\), the array has \(2,\)"):
        (x * x).backward([1.0, 2.0, 3.0])


def test_the_error_names_the_line():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"at test_core_backward\.py:\d+: \(x \* x\)\.backward"):
        (x * x).backward()  # (x * x).backward() of a vector
