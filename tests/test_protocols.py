"""NumPy's functions on GradArrays: arguments by NumPy's names and places, and what is refused."""

import numpy as np
import pytest
import scipy.special

import gradarray as ga

X = np.array([[3.0, 1.0, 2.0], [2.0, 4.0, 7.0]])
Y = np.array([1.0, 2.0, 3.0])


# NumPy has `out`, `overwrite_input` or `order` between arguments that both have.
@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.mean(x, 0, None, None, True),
        lambda x: np.sum(x, 0, None, None),
        lambda x: np.max(x, 0, None, True),
        lambda x: np.amax(x, 1),
        lambda x: np.amin(x, 1),
        lambda x: np.var(x, 0, None, None, 1),
        lambda x: np.std(x, None, None, None, 1, keepdims=True),
        lambda x: np.cumsum(x, 1, None, None),
        lambda x: np.median(x, 0, None, False, True),
        lambda x: np.percentile(x, 30, 0, None, False, "linear", True),
        lambda x: np.take(x, [0, 1], 1, None, "raise"),
        lambda x: np.trace(x, 0, 0, 1, None, None),
        lambda x: np.clip(x, 1.5, 3.0, None),
        lambda x: np.argmax(x, 1, None),
        lambda x: np.zeros_like(x, float, "K", True, (2, 2)),
        lambda x: np.full_like(x, 3, None, "K", True, (2,)),
        lambda x: np.sum(a=x, axis=1),
        lambda x: np.transpose(a=x),
        lambda x: np.take(a=x, indices=[1], axis=0),
        lambda x: np.where(x > 2, x, 0.0),
        lambda x: np.linalg.norm(x, None, 1, True),
        lambda x: np.concatenate((x, x), 1, None),
        lambda x: np.stack([x, x], 2),
        lambda x: np.sort(x, 0, None, None),
        lambda x: np.ptp(x, 1, None, True),
        lambda x: np.average(x, 0, [1.0, 3.0]),
        lambda x: np.diff(x, 1, 0),
        lambda x: np.cov(x),
        lambda x: np.corrcoef(x, None, True),
    ],
)
def test_arguments_arrive_where_numpy_puts_them(call):
    y = call(ga.array(X))
    assert isinstance(y, ga.GradArray)
    np.testing.assert_allclose(y.numpy(), call(X), rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "keyword"),
    [
        (lambda x: np.sum(x, where=X > 1), "where"),
        (lambda x: np.sum(x, 0, None, np.zeros(3)), "out"),
        (lambda x: np.median(x, 0, None, True), "overwrite_input"),
        (lambda x: np.full_like(x, 3, None, "F"), "order"),
    ],
)
def test_what_would_be_lost_is_named(call, keyword):
    with pytest.raises(TypeError, match=rf"^np\.\w+: the keyword {keyword} is not supported"):
        call(ga.array(X))


def test_scipys_functions_record_where_there_is_one_of_ours():
    y = ga.array(Y, requires_grad=True)
    scipy.special.erf(y).sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), 2 / np.sqrt(np.pi) * np.exp(-(Y**2)), rtol=1e-14)
    np.testing.assert_allclose(scipy.special.expit(y).numpy(), scipy.special.expit(Y), rtol=1e-15)


def test_scipys_other_functions_are_refused_under_their_own_name():
    with pytest.raises(TypeError, match=r"^scipy\.special\.airye: has no gradarray function"):
        scipy.special.airye(ga.array(Y))


def test_adding_to_a_numpy_array_in_place_says_what_to_write():
    b = np.zeros(3)
    with pytest.raises(TypeError, match=r"b = b \+ x"):
        b += ga.array(Y)
    assert (b == 0).all()


def test_questions_about_a_form_take_keywords_too():
    x = ga.array(X, requires_grad=True)
    assert (np.shape(a=x), np.ndim(a=x), np.size(a=x)) == ((2, 3), 2, 6)
    assert np.array2string(a=x, precision=1) == np.array2string(X, precision=1)
