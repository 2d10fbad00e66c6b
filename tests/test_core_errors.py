"""What the core says where something cannot be: each names the op, what came, and the mend."""

import numpy as np
import pytest

import gradarray as ga
from gradarray.errors import DTypeError, GraphError, RuleError, ShapeError

X = np.array([1.0, 2.0, 3.0])


# Ops ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: ~x, "invert"),
        (lambda x: x << 1, "left_shift"),
        (lambda x: x & 1, "bitwise_and"),
        (lambda x: (x > 1) & x, "bitwise_and"),
    ],
)
def test_bits_of_floats_are_refused_with_the_cast_and_the_logic(call, name):
    with pytest.raises(DTypeError, match=rf"^{name}: is not defined for .*float64\[3\]") as caught:
        call(ga.array(X))
    assert "x.astype(int)" in str(caught.value) and "ga.logical_and" in str(caught.value)
    assert "ufunc" not in str(caught.value)


def test_complex_numbers_where_order_is_needed_name_the_parts():
    with pytest.raises(DTypeError, match=r"floor: is not defined for complex128\[1\]\. .*ga\.real"):
        ga.floor(ga.array([1j]))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((3, 2), r"shape \(3,\) does not broadcast to \(3, 2\): axis -1 has 3, not 2 or 1\."),
        ((), r"shape \(3,\) does not broadcast to \(\): it has 1 axes, not 0 or fewer"),
    ],
)
def test_broadcast_to_names_the_axis(shape, says):
    with pytest.raises(ShapeError, match=r"^broadcast_to: " + says):
        ga.broadcast_to(X, shape)


def test_item_outside_names_the_shape():
    with pytest.raises(IndexError, match=r"item: index 7 .* for shape \(3,\)"):
        ga.array(X).item(7)


def test_the_line_is_the_users_and_not_one_of_numpys():
    x = ga.array(2.0, requires_grad=True)
    with pytest.raises(GraphError, match=r"at test_core_errors\.py:\d+: np\.full\(3, x\)"):
        np.full(3, x)


# Ops of a user's ----------------------------------------------------------------------------------


class Unruled(ga.Grad):
    def forward(x):
        return np.sin(x)


def test_an_op_without_a_rule_is_no_silent_zero():
    with pytest.raises(RuleError, match=r"unruled: .* declares no derivative\. Write its"):
        ga.grad(Unruled.apply)(1.0)
    with pytest.raises(RuleError, match="unruled"):
        Unruled.apply(ga.array(X, requires_grad=True))


def test_an_op_without_a_rule_computes_where_no_gradient_is_asked_for():
    np.testing.assert_array_equal(Unruled.apply(ga.array(X)).numpy(), np.sin(X))
    with ga.no_grad():
        assert not Unruled.apply(ga.array(X, requires_grad=True)).requires_grad


def test_an_op_with_integer_results_needs_no_rule():
    class Rank(ga.Grad):
        def forward(x):
            return np.argsort(np.argsort(x))

    assert Rank.apply(ga.array([3.0, 1.0], requires_grad=True)).tolist() == [1, 0]


def test_an_op_without_forward_says_so():
    class Formless(ga.Grad):
        pass

    with pytest.raises(TypeError, match=r"formless: its class does not define forward"):
        Formless.apply(1.0)


def test_a_forward_that_changes_its_input_is_told_to_copy():
    class Careless(ga.Grad):
        def forward(x):
            x[0] = 5.0
            return x

        def backward(y_bar, x):
            return y_bar

    a = X.copy()
    with pytest.raises(RuleError, match=r"careless: .* in place.* x = x\.copy\(\)"):
        Careless.apply(a)
    np.testing.assert_array_equal(a, X)


@pytest.mark.parametrize(
    "take",
    [
        lambda x: x._array,
        lambda x: x.numpy(),
        lambda x: x.item(),
        lambda x: float(x),
        lambda x: np.asarray(x),
    ],
)
def test_a_rule_cannot_take_a_value_out_of_the_graph(take):
    # The first derivative would be right, and the second a zero without a word.
    class Raw(ga.Grad):
        def forward(x):
            return np.sin(x)

        def backward(y_bar, x):
            return y_bar * np.cos(take(x))

    with pytest.raises(GraphError, match=r"gradient|took a value out of the graph"):
        ga.grad(Raw.apply)(1.0)


def test_the_values_are_plain_outside_of_rules():
    x = ga.array(X, requires_grad=True)
    assert type(x._array) is np.ndarray and type((x * 2)._array) is np.ndarray


# The graph ----------------------------------------------------------------------------------------


def test_an_input_that_was_not_kept_still_has_a_picture():
    x = ga.array(X, requires_grad=True)
    node = ((x + 1) + 1)._grad_op
    assert repr(node.inputs[0]) == "GradArray(not kept, grad_op=AddGrad)"
    with pytest.raises(GraphError, match="input 0 of add was not kept"):
        node.inputs[0].numpy()


@pytest.mark.parametrize("argnums", [(0, 0), (0, -2), (1, -1)])
def test_an_argument_named_twice(argnums):
    with pytest.raises(TypeError, match="names one argument twice"):
        ga.grad(lambda a, b: a * b, argnums=argnums)(2.0, 3.0)


@pytest.mark.parametrize(("block", "recorded"), [(ga.no_grad, False), (ga.enable_grad, True)])
def test_blocks_decorate_with_and_without_brackets(block, recorded):
    x = ga.array(1.0, requires_grad=True)

    @block
    def plain(v):
        return v * 2

    @block()
    def called(v):
        return v * 2

    with ga.no_grad():
        assert plain(x).requires_grad is recorded and called(x).requires_grad is recorded
    assert plain(x).requires_grad is recorded
    assert plain.__name__ == "plain"


def test_a_block_takes_functions_only():
    with pytest.raises(TypeError, match="no_grad: takes a function to decorate, not 3"):
        ga.no_grad(3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: ga.take(x, [0, 5]), r"take: index 5 is out of bounds for axis 0 of shape"),
        (lambda x: ga.take(x, [-4]), r"take: index -4 is out of bounds .* mode='wrap' or 'clip'"),
        (lambda x: ga.take_along_axis(x, [3], 0), r"take_along_axis: index 3 is out of bounds"),
    ],
)
def test_an_index_outside_names_the_function_that_was_called(call, says):
    with pytest.raises(IndexError, match="^" + says):
        call(ga.array(X))
