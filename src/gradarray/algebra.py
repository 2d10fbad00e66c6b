"""The five kinds of derivative, and what they own: recording, pull, push, projection, products.

An op declares what kind of thing it is and the few rules that its kind asks for; everything a
walk needs follows from that. Rules are called by the names of their parameters:

    an operand's name     its value (kept for the reverse sweep because it is named)
    `y`                   the op's result (kept as well)
    `<operand>_like`      the operand's shape and dtype, no values (`y_like` for the result)
    anything else         a static parameter of the application

For each (op, operands that need a derivative) a `Plan` says what to keep and writes, once, the
straight-line functions that pull and push through a node.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from . import graph, registry
from .array import GradArray, from_user, is_foreign, wrap
from .graph import Grad, Meta
from .written import compiled

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


def _as_rule(rule: Any, leading: int) -> Any:
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
        several = self.op.keeps_y_form and not issubclass(self.op, (Elementwise, Reduction))
        return "forms(y)" if several else "(y.shape, y.dtype)"

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


# The kinds --------------------------------------------------------------------------------------


class Kind(Grad, internal=True):
    """What the kinds share; an op derives from one of the five below, not from this."""

    __slots__ = ()

    forward: ClassVar[Callable[..., Any]]
    tex: ClassVar[str] = ""
    lower: ClassVar[Any] = None
    index: ClassVar[tuple[int, ...]] = ()  # operands that are indices: inputs without derivative
    variadic: ClassVar[bool] = False
    joint: ClassVar[bool] = False  # one rule gives the cotangents of all operands at once
    rules: ClassVar[tuple[Any, ...]] = ()
    always_meta: ClassVar[bool] = False  # keep forms at every application
    form_rule: ClassVar[str] = "always"  # or "compare" (if they differ), "named" (by a rule)
    keeps_y_form: ClassVar[bool] = False
    library: ClassVar[bool] = False
    of: ClassVar[Any]  # its function, on operands and static parameters: see `short`
    made: ClassVar[Any]
    _plans: ClassVar[dict[tuple[bool, ...], Plan]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._plans = {}
        if not cls.__dict__.get("name"):
            cls.name = cls.__name__.removesuffix("Grad").lower()
        forward = cls.__dict__.get("forward")
        if forward is not None and not isinstance(forward, (staticmethod, classmethod)):
            cls.forward = staticmethod(forward)
        cls.prepare()
        cls.library = cls.__module__.startswith("gradarray.")
        for name in ("of", "made"):  # not those of an op that this one derives from
            if name in vars(Kind) and name not in cls.__dict__:
                setattr(cls, name, vars(Kind)[name])
        if cls.library and "forward" in cls.__dict__:
            registry.register_op(cls)

    @classmethod
    def prepare(cls) -> None:
        """Read the declared rules of a new op."""

    @classmethod
    def _set_rules(cls, declared: Any, leading: int) -> None:
        if declared is None:
            return
        if not isinstance(declared, tuple):
            declared = (declared,)
        cls.rules = tuple(_as_rule(r, leading) for r in declared)
        if "operands" not in cls.__dict__:
            cls.operands = {1: ("x",), 2: ("a", "b"), 3: ("a", "b", "c")}.get(
                len(cls.rules), tuple(f"x{i}" for i in range(len(cls.rules)))
            )
        asked = {n for r in cls.rules if isinstance(r, Rule) for n in r.names}
        cls.always_meta = cls.always_meta or any(
            n.endswith("_like") or n == "likes" for n in asked
        )

    @classmethod
    def rule(cls, i: int) -> Any:
        """The rule for operand `i`: a Rule, a number, or None where there is no derivative."""
        if cls.variadic:
            return cls.rules[0] if i >= len(cls.index) else None
        return cls.rules[i] if i < len(cls.rules) else None

    @classmethod
    def operand_names(cls, count: int) -> tuple[str, ...]:
        return cls.operands if not cls.variadic else tuple(f"x{i}" for i in range(count))

    @classmethod
    def rule_names(cls, i: int, count: int) -> tuple[str, ...]:
        rule = cls.rule(i)
        return rule.names if isinstance(rule, Rule) else ()

    @classmethod
    def plan_for(cls, mask: tuple[bool, ...]) -> Plan:
        plan = cls._plans.get(mask)
        if plan is None:
            plan = Plan(cls, mask)
            if not cls.joint or len(mask) <= 16:  # long lists come in too many lengths to keep
                cls._plans[mask] = plan
        return plan

    @classmethod
    def y_source(cls, y: str) -> str:
        return y

    @classmethod
    def pull_source(
        cls, plan: Plan, variant: int, which: tuple[bool, ...], env: dict[str, Any]
    ) -> list[str]:
        lines, out = cls.pull_head(), []
        for i, needed in enumerate(which):
            if not needed:
                out.append("None")
                continue
            lines.append(f"r{i} = {cls.pull_one(plan, i, variant, env)}")
            out.append(f"r{i}")
        lines.append("if m is not None:")
        lines += [f"  r{i} = project(r{i}, m[{i + 1}])" for i, n in enumerate(which) if n]
        lines.append(f"return ({', '.join(out)},)")
        return lines

    @classmethod
    def push_source(
        cls, plan: Plan, variant: int, which: tuple[bool, ...], env: dict[str, Any]
    ) -> list[str]:
        terms = [cls.push_one(plan, i, variant, env) for i, moving in enumerate(which) if moving]
        lines = [f"r = {' + '.join(terms)}"]
        if cls.keeps_y_form:
            lines += ["if m is not None:", "  r = spread(r, m[0])"]
        return [*lines, "return r"]

    @classmethod
    def pull_head(cls) -> list[str]:
        return []

    @classmethod
    def pull_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        raise NotImplementedError

    @classmethod
    def push_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        raise NotImplementedError

    # What every node offers ---------------------------------------------------------------------

    @property
    def inputs(self) -> tuple[GradArray, ...]:
        return given.inputs_of(self)

    def backward(self, y_bar: Any) -> tuple[GradArray | None, ...]:
        """One cotangent per input, for the cotangent `y_bar` of the output."""
        graph.check_alive(self)
        if isinstance(y_bar, tuple):
            y_bar = tuple(c if isinstance(c, GradArray) else wrap(from_user(c)) for c in y_bar)
        elif not isinstance(y_bar, GradArray):
            y_bar = wrap(from_user(y_bar))
        return at_end(self.plan.pulls[RECORDED_SWEEP](self, at_end(y_bar)))

    @classmethod
    def apply(cls, *operands: Any, **params: Any) -> Any:
        """Compute the op on arrays and record it."""
        return given.apply(cls, *operands, **params)


def _scaled(c: str, number: Any) -> str:
    if number == 0:
        return f"product({c}, 0)"  # absorbing: a step is flat also under an infinite cotangent
    return c if number == 1 else f"-{c}" if number == -1 else f"{number!r} * {c}"


class Elementwise(Kind):
    r"""y_i = f(a_i, b_i, ...): declares one partial derivative per operand, the factor only.

    push: \dot y = \sum_i p_i \dot x_i. pull: \bar x_i = project(p_i \bar y). A partial is a
    function of the names it keeps, a number, or None (no derivative).
    """

    __slots__ = ()
    form_rule = "compare"
    keeps_y_form = True
    partials: ClassVar[Any] = None
    domain: ClassVar[Any] = (-2.0, 2.0)

    @classmethod
    def prepare(cls) -> None:
        if "partials" in cls.__dict__:
            cls._set_rules(cls.partials, 0)

    @classmethod
    def pull_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        rule = cls.rule(i)
        if not isinstance(rule, Rule):
            return _scaled("c", rule)
        env[f"P{i}"] = rule.fn
        call = f"P{i}({plan.fetch(rule, i, variant, env)})"
        return f"c * {call}" if variant == PLAIN_SWEEP else f"product(c, {call})"

    @classmethod
    def push_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        rule = cls.rule(i)
        if not isinstance(rule, Rule):
            return _scaled(f"c[{i}]", rule)
        env[f"P{i}"] = rule.fn
        return f"product(c[{i}], P{i}({plan.fetch(rule, i, variant, env)}))"


class Linear(Kind):
    r"""y = A x: declares its transpose, `transpose(y_bar, ...)`, one for each linear operand.

    push: A \dot x. pull: A^T \bar y. Operands listed in `index` are indices, inputs without
    derivative. A variadic op (concatenate) has one transpose: it names `i` and gives the cotangent
    of operand i, or else it gives all of them at once, as a tuple. Of an op with several results
    the transpose gets a tuple of cotangents.
    """

    __slots__ = ()
    form_rule = "named"
    transpose: ClassVar[Any] = None
    transposes: ClassVar[Any] = None

    @classmethod
    def prepare(cls) -> None:
        declared = cls.__dict__.get("transposes", cls.__dict__.get("transpose"))
        if isinstance(declared, staticmethod):
            declared = declared.__func__
        if declared is not None:
            cls._set_rules(declared, 1)
            cls.joint = cls.variadic and not cls.index and "i" not in cls.rules[0].names
            if "transpose" in cls.__dict__:
                cls.transpose = staticmethod(declared)

    @classmethod
    def pull_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        rule = cls.rule(i)
        if not isinstance(rule, Rule):
            return _scaled("c", rule)
        env[f"T{i}"] = rule.fn
        args = plan.fetch(rule, i, variant, env)
        return f"T{i}(c, {args})" if args else f"T{i}(c)"

    @classmethod
    def push_source(
        cls, plan: Plan, variant: int, which: tuple[bool, ...], env: dict[str, Any]
    ) -> list[str]:
        # Linear in all its operands at once: those that do not move have a zero tangent.
        env["zeros"] = lambda like: np.zeros(*like)
        args = []
        for i, moving in enumerate(which):
            if i in cls.index:
                args.append(plan.value(i, variant))
            else:
                args.append(f"c[{i}]" if moving else f"zeros(m[{i + 1}])")
        return [f"return apply(op, {', '.join(args)}, **q)"]


class Multilinear(Kind):
    r"""y linear in each operand: declares one transpose per operand, `transposes[i](y_bar, ...)`.

    push: \sum_i op(.., \dot x_i, ..). pull: \bar x_i = transpose_i(\bar y, the others).
    """

    __slots__ = ()
    transposes: ClassVar[Any] = None

    @classmethod
    def prepare(cls) -> None:
        if "transposes" in cls.__dict__:
            cls._set_rules(cls.transposes, 1)

    @classmethod
    def rule_names(cls, i: int, count: int) -> tuple[str, ...]:
        # The tangent needs the other operands whether a transpose names them or not.
        others = tuple(n for k, n in enumerate(cls.operand_names(count)) if k != i)
        return super().rule_names(i, count) + others

    @classmethod
    def pull_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        rule = cls.rule(i)
        env[f"T{i}"] = rule.fn
        return f"T{i}(c, {plan.fetch(rule, i, variant, env)})"

    @classmethod
    def push_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        args = [f"c[{i}]" if k == i else plan.value(k, variant) for k in range(plan.count)]
        return f"apply(op, {', '.join(args)}, **q)"


class Reduction(Kind):
    r"""y = a reduction of x over `axis`: declares its row partial, from x and the expanded y.

    push: \dot y = \sum p \dot x. pull: \bar x = p expand(\bar y). Static parameters: `axis`
    (a tuple of negative integers) and `keepdims`.
    """

    __slots__ = ()
    partial: ClassVar[Any] = None

    @classmethod
    def prepare(cls) -> None:
        if "partial" in cls.__dict__:
            partial = cls.__dict__["partial"]
            cls._set_rules((partial,), 0)
            if callable(partial):
                cls.partial = staticmethod(partial)

    @classmethod
    def y_source(cls, y: str) -> str:
        return f"expand({y}, q)"

    @classmethod
    def pull_head(cls) -> list[str]:
        return ["c = expand(c, q)"]

    @classmethod
    def pull_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        rule = cls.rule(i)
        if not isinstance(rule, Rule):
            return f"spread({_scaled('c', rule)}, m[1])"
        env[f"P{i}"] = rule.fn
        return f"product(c, P{i}({plan.fetch(rule, i, variant, env)}))"

    @classmethod
    def push_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        rule = cls.rule(i)
        if not isinstance(rule, Rule):
            return f"contract_axes({_scaled('c[0]', rule)}, q)"
        env[f"P{i}"] = rule.fn
        args = plan.fetch(rule, i, variant, env)
        return f"contract_axes(product(c[{i}], P{i}({args})), q)"


# Shape, dtype and products: what the kinds do around every rule -----------------------------------
#
# They need a few ops. The ops give themselves here when they are defined: the one permitted knot.


class _Given:
    """The ops that the kinds use, filled in by `ops`."""

    apply: Callable[..., Any]
    inputs_of: Callable[..., Any]
    handle_on: Callable[..., Any]
    alias: Callable[..., Any]
    apply_batched: Callable[..., Any]
    on_all_levels: Callable[..., Any]
    drawn: Callable[..., Any]
    pull_through: Callable[..., Any]
    absorb: Callable[..., Any]
    sum: Callable[..., Any]
    sum_over: Callable[..., Any]
    expand_dims: Callable[..., Any]
    broadcast_to: Callable[..., Any]
    reshape: Callable[..., Any]
    astype: Callable[..., Any]
    real: Callable[..., Any]
    conj: Callable[..., Any]
    copy: Callable[..., Any]


given = _Given()


def at_end(c: Any) -> Any:
    r"""A cotangent where it enters or leaves a walk, for users: conjugated if it is complex.

    Inside, cotangents pair with tangents as Re(c \dot x), so that no rule needs a conjugate;
    outside, as the real inner product Re(c^* \dot x), so that a gradient points uphill.
    """
    if isinstance(c, tuple):
        return tuple(map(at_end, c))
    dtype = getattr(c, "dtype", None)
    return given.conj(c) if dtype is not None and dtype.kind == "c" else c


def absorb_raw(a: Any, b: Any) -> Any:
    """a * b, and 0 where either is exactly 0, whatever the other is."""
    y = a * b
    if is_foreign(y):  # under trace its values are not there to be looked at
        return given.absorb(a, b)
    total = np.add.reduce(y, axis=None) if isinstance(y, np.ndarray) else y
    if total != total:
        y = np.where((np.equal(a, 0)) | (np.equal(b, 0)), np.zeros((), np.asarray(y).dtype), y)
        y = y if y.shape else y[()]
    return y


def absorb(a: Any, b: Any) -> Any:
    return given.absorb(a, b)


def project(c: Any, like: Any) -> Any:
    """The cotangent of an operand of this form: sum over broadcast axes, real part, cast."""
    target, dtype = like
    shape = c.shape
    if shape != target:
        extra = len(shape) - len(target)
        if extra < 0:
            c = given.broadcast_to(c, target)
        else:
            axes = tuple(
                [
                    k - len(shape)
                    for k, n in enumerate(shape)
                    if k < extra or (target[k - extra] == 1 and n != 1)
                ]
            )
            if axes:
                c = given.sum_over(c, axes, True)
            if c.shape != target:
                c = given.reshape(c, target) if extra else given.broadcast_to(c, target)
    return c if c.dtype is dtype else _cast(c, dtype)


def spread(r: Any, like: Any) -> Any:
    """The tangent of a result of this form: broadcast, real part, cast."""
    shape, dtype = like
    if r.shape != shape:
        r = given.broadcast_to(r, shape)
    return r if r.dtype is dtype else _cast(r, dtype)


def _cast(c: Any, dtype: Any) -> Any:
    if c.dtype is dtype or c.dtype == dtype:
        return c
    if c.dtype.kind == "c" and dtype.kind != "c":
        c = given.real(c)
        if c.dtype == dtype:
            return c
    return given.astype(c, dtype)


def expand(c: Any, params: dict[str, Any]) -> Any:
    """Put back, with length 1, the axes that a reduction removed."""
    if params["keepdims"] or not params["axis"]:
        return c
    return given.expand_dims(c, axis=params["axis"])


def contract_axes(x: Any, params: dict[str, Any]) -> Any:
    return given.sum_over(x, params["axis"], params["keepdims"])


