"""Every op of the registry: its derivative as a formula renders, and as Python it computes."""

import functools
import sys
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

import gradarray as ga
from gradarray import registry, tree
from gradarray.array import GradArray
from gradarray.glass.carry import Carrier
from gradarray.glass.explain import explain
from gradarray.glass.expr import folded
from gradarray.glass.mathml import mathml
from gradarray.glass.simplify import simplify
from gradarray.glass.source import python
from gradarray.glass.statements import expression
from gradarray.glass.tex import tex
from gradarray.glass.text import text
from gradarray.plan import Rule
from gradarray.testing.draw import calls_of, handle

JUDGE = MathTextParser("path")
EPS = np.finfo(np.float64).eps
ENTRIES = [
    entry
    for entry in {id(entry): entry for entry in registry.functions.values()}.values()
    if entry.differentiable and any(call.moving for call in calls_of(entry))
]


def total(result):
    """One number of all the floating results, each with a weight of its own."""
    rng, out = np.random.default_rng(0), None
    for x in tree.flatten(result)[0]:
        if isinstance(x, GradArray) and x.dtype.kind in "fc" and x.size:
            part = x * rng.uniform(0.5, 1.5, x.shape)
            part = ga.sum(ga.real(part) if part.dtype.kind == "c" else part)
            out = part if out is None else out + part
    return out


def told(entry, call, second=False):
    """The story of a call, or of the gradient of its square; None where there is no derivative."""
    arrays = call.draw()
    moving = [arrays[k] for k in call.moving]

    def f(*moving):
        given = [handle(x) for x in arrays]
        for k, x in zip(call.moving, moving, strict=True):
            given[k] = x
        return total(call.run(entry.fn, given))

    def slope(*moving):
        squared = lambda *xs: f(*xs) ** 2  # linear ops move with it as well
        return total(ga.grad(squared, argnums=tuple(range(len(moving))))(*moving))

    leaves = [ga.array(x, requires_grad=True) for x in moving]
    y = f(*leaves) if leaves else None
    if y is None or y._node is None:
        return None
    return explain(slope if second else f)(*moving).story


def program(story):
    space = {}
    exec(python(story), space)
    code = space["value_and_grad"].__code__
    only = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    by_name = {row.name: row for row in story.rows}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return space["value_and_grad"](
            *[row.value for row in story.inputs], **{k: by_name[k].value for k in only}
        )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_its_derivative(entry):
    for call in calls_of(entry):
        check(told(entry, call), str(call))


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.orders > 1], ids=lambda e: e.name)
def test_the_derivative_of_its_derivative(entry):
    """Through the ops of which derivatives are made."""
    call = calls_of(entry)[0]
    check(told(entry, call, second=True), str(call))


def check(story, call):
    if story is None:
        return
    value, grads = program(story)
    assert value == pytest.approx(story.result.value, rel=1e-12)
    for row in story.inputs:
        want = np.zeros(row.shape) if row.adjoint is None else row.adjoint
        most = np.max(np.abs(want), initial=0)
        assert np.shape(grads[row.name]) == np.shape(want)
        np.testing.assert_allclose(
            grads[row.name], want, rtol=0, atol=1e-12 * most, err_msg=f"{call}: {row.name}"
        )
    for row in story.rows:
        for term in row.terms:
            check_term(term)


def check_term(term):
    if term.pulled is None:
        return
    shown = term.local if term.local is not None else term.pulled.whole
    renders(shown)
    if term.local is not None and term.local.op is not None:
        agrees(term.local)


def renders(shown):
    for formula in (shown, simplify(shown), simplify(shown, exact=False)):
        judged(tex(formula))
        assert text(formula)


@functools.cache
def judged(written):
    """As matplotlib reads it, and as the page shows it."""
    JUDGE.parse(f"${written}$")
    ET.fromstring(mathml(written))


def agrees(local):
    """The formula that is shown computes the local derivative, wherever it has one."""
    names, given = {}, {}
    for k, (name, value) in enumerate(leaves(local).items()):
        if value is None:
            return
        names[name], given[f"v{k}"] = f"v{k}", value
    for exact in (True, False):
        carrier = Carrier()
        carrier.numpy()
        lines, code = expression(simplify(local, exact=exact), carrier, names)
        space = dict(given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec("\n".join([carrier.text(), *lines]), space)
            found = np.broadcast_to(eval(code, space), np.shape(local.value))
        known = np.asarray(local.value)
        fine = np.isfinite(found) & np.isfinite(known)
        assert fine.any() or not fine.size
        bound = rounding(simplify(local, exact=exact), local)
        np.testing.assert_allclose(found[fine], known[fine], rtol=1e-12, atol=bound, err_msg=code)


def rounding(formula, local):
    """What cancels: every part may be off by some rounding errors of its own size."""
    sizes = [1.0]

    def one(e, parts):
        value = e.value if e.value is not None else 0
        if getattr(value, "dtype", np.dtype(bool)).kind in "fc":
            with np.errstate(all="ignore"):
                finite = np.abs(np.asarray(value))
            sizes.append(float(np.max(finite[np.isfinite(finite)], initial=0)))

    folded(formula, one)
    return 64 * EPS * max(sizes)


def leaves(e):
    found = {}

    def one(part, _):
        if part.op is None and part.name and part.name != "π":
            found[part.name] = part.value

    folded(e, one)
    return found


def changed(x, v):
    y = x * 1
    y[1] = v
    ga.put_along_axis(y, np.array([0]), v[None] * 2, 0)
    return ga.sum(y**2)


OPS = registry.ops
# Ops that no function of the registry reaches in two derivatives.
DIRECT = {
    "set and put": (changed, np.arange(1.0, 4.0), np.array(0.5)),
    "log_over_psi": (lambda x, a: ga.sum(OPS["log_over_psi"].of(x, a)), 1.5, 2.5),
    "log_gamma_quantile": (lambda a, p: ga.sum(OPS["log_gamma_quantile"].of(a, p)), 1.5, 0.3),
    "normal_quantile": (lambda x: ga.sum(OPS["normal_quantile"].of(x)), 0.3),
}


@pytest.mark.parametrize("label", DIRECT)
def test_ops_apart(label):
    f, *args = DIRECT[label]
    check(explain(f)(*args).story, label)


def test_every_op_with_a_derivative_is_among_them():
    # Examples in docstrings define ops, too, which are of no module once they have run.
    own = [op for op in OPS.values() if getattr(sys.modules[op.__module__], op.__name__, 0) is op]
    ruled = {op for op in own if any(isinstance(r, Rule) for r in op.rules)}
    left = ruled - {OPS["alias"]}  # of transforms, which hand values on
    left -= {op for f, *args in DIRECT.values() for op in reached(explain(f)(*args).story)}
    for second in (False, True):
        for entry in ENTRIES:
            for call in calls_of(entry) if not second else calls_of(entry)[:1]:
                left -= reached(told(entry, call, second)) if left else left
    assert {op.name for op in left} == set()


def reached(story):
    return set() if story is None else {t.to.op for row in story.rows for t in row.terms}
