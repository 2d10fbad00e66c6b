"""Every public function is declared, and tested by what its declaration says: one loop over all."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import gradarray as ga
from gradarray import ops, registry
from gradarray.algebra import Elementwise
from gradarray.testing import check_op
from gradarray.testing.draw import calls_of
from gradarray.testing.numeric import Where
from gradarray.testing.op_derivatives import Derivatives, check_adjoint
from gradarray.testing.op_values import check_values

TESTS = Path(__file__).parents[1]

# Functions whose test cannot follow from a declaration, and the file that tests them.
EXEMPT = {
    "array": "test_core_array.py",  # its values are its argument; what matters is memory
    "put_along_axis": "ops/test_indexing.py",  # it gives nothing: it changes its argument
}

ENTRIES = {id(entry): entry for entry in registry.functions.values()}.values()
CHECKED = [entry.name for entry in ENTRIES if entry.name not in EXEMPT]
BROADCASTING = [
    entry.name
    for entry in ENTRIES
    if entry.op is not None
    and issubclass(entry.op, Elementwise)
    and calls_of(entry)
    and all(call.samples == call.case.args for call in calls_of(entry))
]


def public_names() -> set[str]:
    """The functions that the modules of ops export under `gradarray` (not constants or dtypes)."""
    names = set()
    for info in pkgutil.iter_modules(ops.__path__, ops.__name__ + "."):
        module = importlib.import_module(info.name)
        exported = getattr(module, "__all__", ())
        names.update(name for name in exported if inspect.isfunction(getattr(module, name)))
    return names


@pytest.mark.parametrize("name", CHECKED)
def test_declaration(name):
    check_op(name)


@pytest.mark.parametrize("name", BROADCASTING)
@settings(max_examples=8)
@given(data=st.data())
def test_shapes(name, data):
    call = calls_of(registry.functions[name])[0]
    count = len(call.samples)
    shapes = data.draw(
        mutually_broadcastable_shapes(num_shapes=count, min_side=0, max_side=3, max_dims=3)
    ).input_shapes
    call = call.with_shapes(shapes)
    where = Where(str(call))
    check_values(call, where)
    if call.moving:
        check_adjoint(Derivatives(call, where))


def test_every_public_function_is_registered():
    assert public_names() - registry.functions.keys() == set()


def test_there_are_at_least_350_of_them():
    # An alias is the same entry under another name, so it counts once.
    assert len(ENTRIES) >= 350


def test_every_public_function_is_exported():
    assert {name for name in public_names() if not hasattr(ga, name)} == set()


@pytest.mark.parametrize("name", sorted(EXEMPT))
def test_an_exempt_function_has_its_own_test(name):
    assert name in registry.functions
    assert f"ga.{name}(" in (TESTS / EXEMPT[name]).read_text(encoding="utf-8")
