"""Plans: what an op keeps, and the straight-line functions that walk through a node.

Rules are called by the names of their parameters:

    an operand's name     its value (kept for the reverse sweep because it is named)
    `y`                   the op's result (kept as well)
    `<operand>_like`      the operand's shape and dtype, no values (`y_like` for the result)
    anything else         a static parameter of the application

For each (op, operands that need a derivative) a `Plan` says what to keep and writes, once, the
functions that pull and push through a node.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .array import GradArray, wrap
from .graph import Grad, Meta
from .project import absorb, absorb_raw, contract_axes, expand, given, project, spread
from .written import compiled

if TYPE_CHECKING:
    from .algebra import Kind

# Rules ------------------------------------------------------------------------------------------


class Rule:
    """A declared rule and the names of what it asks for."""

    __slots__ = ("fn", "names")

    def __init__(self, fn: Callable[..., Any], leading: int = 0) -> None:
        self.fn = fn
        self.names = tuple(inspect.signature(fn).parameters)[leading:]

    @classmethod
    def of_names(cls, names: tuple[str, ...], fn: Any = None) -> Rule:
        """A rule whose names are known already."""
        rule = object.__new__(cls)
        rule.fn, rule.names = fn, names
        return rule


def as_rule(rule: Any, leading: int) -> Any:
    return Rule(rule, leading) if callable(rule) else rule


# Variants of a sweep.
PLAIN_SWEEP, ABSORBING_SWEEP, RECORDED_SWEEP = 0, 1, 2


class Plan:
    """What one op keeps, and how it is walked, when the operands in `mask` need a derivative."""

    __slots__ = (
        "_cache",
        "constants",
        "count",
        "drops",
        "fill",
        "forms_source",
        "idle",
        "keep",
        "keep_y",
        "mask",
        "op",
        "pulls",
        "save_source",
        "simple",
        "where_saved",
    )

    def __init__(self, op: type[Kind], asked: tuple[bool, ...]) -> None:
        self.op, self.count = op, len(asked)
        # Operands that are on the graph, but along which the op has no derivative.
        self.drops = tuple(k for k, a in enumerate(asked) if a and op.rule(k) is None)
        self.mask = mask = tuple(a and k not in self.drops for k, a in enumerate(asked))
        self.idle = True not in mask
        wanted: set[str] = set()
        for i, needed in enumerate(mask):
            if needed:
                wanted.update(op.rule_names(i, self.count))
        names = op.operand_names(self.count)
        keep = {k for k, name in enumerate(names) if name in wanted or "values" in wanted}
        self.keep = tuple(sorted(keep | {k for k in op.index if k < self.count}))
        self.keep_y = "y" in wanted and "y" not in names
        self.where_saved = {k: at for at, k in enumerate(self.keep)}
        self.constants = tuple(k for k in self.keep if not mask[k] and k not in op.index)
        kept = [f"v{k}" for k in self.keep] + (["y"] if self.keep_y else [])
        self.save_source = f"({', '.join(kept)}{',' if kept else ''})"
        self.forms_source = "" if op.joint else self._forms_source(wanted, names)
        self.simple = not self.drops and not self.constants
        self._cache: dict[Any, Callable[..., Any]] = {}
        # The pulls toward every operand of the mask, one for each variant, written on first use.
        self.pulls = [_first_use(self, variant) for variant in range(3)]
        # fill(node, *operands, y) gives a node what it keeps: raw values, and forms.
        self.fill: Callable[..., None] = _fill_joint if op.joint else self._first_fill

    def _first_fill(self, node: Grad, *values: Any) -> None:
        # Written on first use: there are more plans than a program ever needs.
        self.fill = self._write_fill()
        self.fill(node, *values)

    def _write_fill(self) -> Callable[..., None]:
        values = "".join([f"v{k}, " for k in range(self.count)])
        nodes = "".join([f"n{k}, " for k in range(self.count)])
        body = "\n ".join([f"{nodes}= node.parents", *self.filling()])
        env: dict[str, Any] = {"form": form, "formed": formed, "forms": forms}
        return compiled(f"def call(node, {values}y):\n {body}", env, self.op.name)

    @property
    def compares(self) -> bool:
        """Are forms kept only where the operands' differ from the result's?"""
        return self.op.form_rule == "compare" and not self.op.always_meta

    @property
    def result_form(self) -> str:
        return "(y.shape, y.dtype)" if self.op.one_result else "forms(y)"

    def filling(self, number: str = "") -> list[str]:
        """Source that gives `node` what it keeps: raw values, and forms if they are needed.

        Operand k is `v{k}`, its node `n{k}`. Where `number` holds, a second operand is a number.
        """
        lines = [f"node.saved = {self.save_source}"]
        moving = [k for k, needed in enumerate(self.mask) if needed]
        if self.compares and self.count == 1:  # the result has its shape and dtype
            return [*lines, "node.metas = None", "node.form = n0.form"]
        if not self.compares and self.forms_source == "None":
            return [*lines, "node.metas = node.form = None"]
        rest = [f"f{k} = n{k}.form or formed(n{k}, v{k})" for k in moving]
        if not self.compares:
            return [*lines, *rest, "node.form = None", f"node.metas = {self.forms_source}"]
        f = f"f{moving[0]}"
        if len(moving) == self.count:
            # Operands of one form have a result of that form.
            others = [f"f{k}" for k in moving[1:]]
        else:
            rest.append(f"f = {self.result_form}")
            others = [f"f{k}" for k in moving[1:]] + ["f"]
        alike = " and ".join(f"({f} is {g} or {f} == {g})" for g in others)
        rest += [f"if {alike}: node.metas = None; node.form = {f}"]
        rest += [f"else: node.form = f = {self.result_form}; node.metas = {self.forms_source}"]
        if not number:
            return [*lines, *rest]
        n = f"n{moving[0]}"
        head = [f"if {number}: node.metas = None; node.form = {n}.form", "else:"]
        return [*lines, *head, *(" " + line for line in rest)]

    def _forms_source(self, wanted: set[str], names: tuple[str, ...]) -> str:
        """Source of the forms (shape, dtype) that a walk needs: (result, operand, operand, ..)."""
        op, every = self.op, "likes" in wanted
        if op.form_rule == "named" and not op.always_meta and not every:
            return "None"
        y = "f" if self.compares else self.result_form
        parts = [y if op.keeps_y_form or "y_like" in wanted else "None"]
        for k, name in enumerate(names):
            if self.mask[k]:
                parts.append(f"f{k}")
            elif every or op.always_meta or f"{name}_like" in wanted:
                parts.append(f"form(v{k})")
            else:
                parts.append("None")
        return f"({', '.join(parts)},)"

    def pull(self, variant: int, needed: tuple[bool, ...]) -> Callable[..., tuple[Any, ...]]:
        """pull(node, y_bar) -> one cotangent per operand, None where not `needed`."""
        if needed == self.mask:
            return self.pulls[variant]
        key = ("pull", variant, needed)
        fn = self._cache.get(key)
        if fn is None:
            fn = self._cache[key] = _write(self, "pull", variant, needed)
        return fn

    def push(self, variant: int, moving: tuple[bool, ...]) -> Callable[..., Any]:
        """push(node, x_dots) -> y_dot, for the operands that are `moving`."""
        key = ("push", variant, moving)
        fn = self._cache.get(key)
        if fn is None:
            fn = self._cache[key] = _write(self, "push", variant, moving)
        return fn

    def fetch(self, rule: Rule, i: int, variant: int, env: dict[str, Any]) -> str:
        """Source of the arguments of `rule` for operand `i`."""
        names = self.op.operand_names(self.count)
        out = []
        for name in rule.names:
            if name in names:
                out.append(self.value(names.index(name), variant))
            elif name == "y":
                y = f"s[{len(self.keep)}]"
                y = f"handle_on(node, {y})" if variant == RECORDED_SWEEP else y
                out.append(self.op.y_source(y))
            elif name == "i":
                out.append(str(i))
            elif name == "likes":
                out.append("[Meta(*f) for f in m[1:]]")
            elif name == "indices":
                at = [k for k in self.op.index if k < self.count]
                out.append("(" + "".join(f"{self.value(k, variant)}, " for k in at) + ")")
            elif name == "values":
                out.append("(" + "".join(f"{self.value(k, variant)}, " for k in self.keep) + ")")
            elif name.endswith("_like"):
                at = 0 if name == "y_like" else names.index(name[:-5]) + 1
                out.append(f"Meta(*m[{at}])")
            else:
                out.append(f"q[{name!r}]")
        return ", ".join(out)

    def value(self, k: int, variant: int) -> str:
        saved = f"s[{self.where_saved[k]}]"
        return f"wrap({saved}, node=p[{k}])" if variant == RECORDED_SWEEP else saved


def form(x: Any) -> tuple[Any, Any]:
    """(shape, dtype) of an operand."""
    return (x.shape, x.dtype) if hasattr(x, "shape") else ((), None)


def formed(node: Grad, value: Any) -> tuple[Any, Any]:
    """(shape, dtype) of a node's value, which the node knows from now on."""
    known = node.form = (value.shape, value.dtype)
    return known


def forms(y: Any) -> Any:
    """(shape, dtype) of a result, a list of them where there are several."""
    return [form(part) for part in y] if isinstance(y, tuple) else (y.shape, y.dtype)


def _fill_joint(node: Grad, *values: Any) -> None:
    node.saved = ()
    node.form = None
    pairs = zip(node.parents, values)  # the last value is y
    node.metas = (None, *[form(v) if n is None else n.form or formed(n, v) for n, v in pairs])


def _first_use(plan: Plan, variant: int) -> Callable[..., Any]:
    def first(node: Grad, y_bar: Any) -> Any:
        plan.pulls[variant] = _write(plan, "pull", variant, plan.mask)
        return plan.pulls[variant](node, y_bar)

    return first


def _write(
    plan: Plan, direction: str, variant: int, which: tuple[bool, ...]
) -> Callable[..., Any]:
    """Compile the straight-line function that walks one node in one direction."""
    op = plan.op
    if op.joint:
        return functools.partial(_pull_joint if direction == "pull" else _push_joint, which)
    env: dict[str, Any] = {
        "wrap": lambda data, node: wrap(data, GradArray, node),
        "product": (_plain_product, absorb_raw, absorb)[variant],
        "handle_on": given.handle_on,
        "Meta": Meta,
        "project": project,
        "expand": expand,
        "spread": spread,
        "contract_axes": contract_axes,
        "apply": given.apply,
        "op": op,
    }
    body = op.pull_source if direction == "pull" else op.push_source
    lines = body(plan, variant, which, env)
    head = "def call(node, c):\n s = node.saved; p = node.parents; q = node.params"
    source = head + "; m = node.metas\n " + "\n ".join(lines)
    return compiled(source, env, op.name)


def _pull_joint(which: tuple[bool, ...], node: Any, y_bar: Any) -> tuple[Any, ...]:
    rule, forms = type(node).rules[0], node.metas[1:]
    likes = [Meta(*f) for f in forms] if "likes" in rule.names else None
    bars = rule.fn(y_bar, *[likes if n == "likes" else node.params[n] for n in rule.names])
    return tuple([project(bars[k], forms[k]) if needed else None for k, needed in enumerate(which)])


def _push_joint(which: tuple[bool, ...], node: Any, x_dots: Any) -> Any:
    pairs = zip(x_dots, node.metas[1:], strict=True)
    dots = [np.zeros(*like) if x_dot is None else x_dot for x_dot, like in pairs]
    return given.apply(type(node), *dots, **node.params)


def _plain_product(a: Any, b: Any) -> Any:
    return a * b
