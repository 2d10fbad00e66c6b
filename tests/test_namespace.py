"""What `dir` shows, and what is said to names that NumPy or PyTorch have and gradarray has not."""

import inspect
import pkgutil
from types import ModuleType

import numpy as np
import pytest

import gradarray as ga
from gradarray import namespace, registry

PARTS = [
    "fft", "implicit", "linalg", "nn", "optim", "random", "special", "testing", "train", "tree",
]  # fmt: skip


def test_dir_shows_functions_classes_and_parts_only():
    names = dir(ga)
    assert {"exp", "GradArray", "grad", "nn", "float32", "pi", "testing"} <= {*names, "testing"}
    modules = {name for name in names if isinstance(getattr(ga, name), ModuleType)}
    assert modules <= set(PARTS)
    assert not {"Any", "TYPE_CHECKING", "import_module", "annotations"} & set(names)


@pytest.mark.parametrize("part", ["nn", "optim", "random", "testing", "train", "nn.functional"])
def test_dir_of_a_part_shows_no_files_and_no_types(part):
    module = ga
    for name in part.split("."):
        module = getattr(module, name)
    shown = dir(module)
    files = {info.name for info in pkgutil.iter_modules(getattr(module, "__path__", []))}
    files -= {"functional", "init", "utils", "lr_scheduler", "datasets", "metrics", "log_prob"}
    assert {name for name in files & set(shown) if inspect.ismodule(getattr(module, name))} == set()
    assert not {"Any", "Callable", "np", "annotations"} & set(shown)


def test_the_testing_part_needs_no_import_of_its_own():
    assert ga.testing.check is not None


@pytest.mark.parametrize("name", namespace.FUNCTIONS)
def test_a_function_of_pytorch_is_answered_with_ours(name):
    with pytest.raises(AttributeError, match=f"gradarray has no '{name}'; here it is"):
        getattr(ga, name)


@pytest.mark.parametrize("name", namespace.FUNCTIONS)
def test_the_answer_names_what_is_there(name):
    answer = ga
    for part in namespace.FUNCTIONS[name].partition("(")[0].split("."):
        answer = getattr(answer, part)
    assert callable(answer)


@pytest.mark.parametrize("name", namespace.ATTRIBUTES)
def test_an_attribute_of_numpy_or_pytorch_is_answered_with_ours(name):
    x = ga.array([1.0, 2.0])
    with pytest.raises(AttributeError) as caught:
        getattr(x, name)
    assert f"no attribute '{name}': " in str(caught.value)
    assert not hasattr(x, name)


def test_numpy_methods_are_there_or_answered():
    # What an ndarray has and a GradArray has not is about memory, or said otherwise.
    public = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert {n for n in public if not hasattr(ga.GradArray, n)} <= namespace.ATTRIBUTES.keys()


def test_a_function_that_is_no_method_is_named():
    with pytest.raises(AttributeError, match=r"no attribute 'exp': use the function ga\.exp"):
        ga.array(1.0).exp()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'foo'"):
        ga.foo
    with pytest.raises(AttributeError, match="no attribute 'foo'"):
        ga.array(1.0).foo


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ga.sum(x, dim=0),
        lambda x: x.mean(dim=0),
        lambda x: ga.softmax(x, dim=1),
        lambda x: ga.concatenate([x, x], dim=0),
    ],
)
def test_dim_is_answered_with_axis(call):
    with pytest.raises(TypeError, match="there is no dim= here: write axis="):
        call(ga.ones((2, 3)))


def test_keepdim_is_answered_with_keepdims():
    with pytest.raises(TypeError, match="there is no keepdim= here: write keepdims="):
        ga.max(ga.ones((2, 3)), axis=0, keepdim=True)


def test_other_unknown_keywords_are_pythons_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
        ga.sum(ga.ones(3), foo=1)


def test_the_functions_keep_their_signatures_and_help():
    assert list(inspect.signature(ga.sum).parameters) == ["x", "axis", "dtype", "keepdims"]
    assert "over `axis`" in (ga.sum.__doc__ or "")
    for entry in registry.functions.values():
        assert not any(
            p.kind is p.VAR_KEYWORD for p in inspect.signature(entry.fn).parameters.values()
        ), entry.name
