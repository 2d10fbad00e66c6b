"""The five kinds of derivative, and what they own: recording, pull, push, projection, products.

An op declares what kind of thing it is and the few rules that its kind asks for (by the names of
their parameters, see `plan`); everything a walk needs follows from that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from . import graph, registry
from .array import GradArray, from_user, wrap
from .graph import Grad
from .plan import (
    PLAIN_SWEEP,
    RECORDED_SWEEP,
    Plan,
    Rule,
    as_rule,
)
from .project import (
    at_end,
    given,
)


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
    one_result: ClassVar[bool] = False  # never a tuple
    # beside(partial, its operand): the factor of a sweep that absorbs, where all operands move
    beside: ClassVar[Any] = None
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
        cls.rules = tuple(as_rule(r, leading) for r in declared)
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
    one_result = True
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
        factor = cls._factor(rule, plan, i, variant, env)
        return f"c * {factor}" if variant == PLAIN_SWEEP else f"product(c, {factor})"

    @classmethod
    def push_one(cls, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        rule = cls.rule(i)
        if not isinstance(rule, Rule):
            return _scaled(f"c[{i}]", rule)
        return f"product(c[{i}], {cls._factor(rule, plan, i, variant, env)})"

    @classmethod
    def _factor(cls, rule: Rule, plan: Plan, i: int, variant: int, env: dict[str, Any]) -> str:
        env[f"P{i}"] = rule.fn
        call = f"P{i}({plan.fetch(rule, i, variant, env)})"
        if cls.beside is None or variant == PLAIN_SWEEP or not all(plan.mask):
            return call
        env["beside"] = cls.beside
        return f"beside({call}, {plan.value(i, variant)})"


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
    one_result = True
    partial: ClassVar[Any] = None

    @staticmethod
    def shape_of(
        x: tuple[int, ...], axis: Any, keepdims: bool | None = None, **params: Any
    ) -> tuple[int, ...] | None:
        if keepdims is None or 0 in x:  # of nothing there may be no result
            return None
        gone = {a % len(x) for a in axis}
        left = ((k, n) for k, n in enumerate(x) if keepdims or k not in gone)
        return tuple([1 if k in gone else n for k, n in left])

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
