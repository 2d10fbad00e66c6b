"""Custom: an op with a hand-written pull or push; the missing direction is derived.

A pull is linear in its cotangent, so its transpose is the push, and the other way round: each is
the reverse sweep of the other, taken at zero. A user's rule runs on recorded arrays, and a result
that is not connected to what it was given raises, so that a rule in raw NumPy is never a silent
zero, nor silently wrong in the second derivative.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from . import graph
from .algebra import Kind, at_end, given
from .array import GradArray, is_foreign, read_only, wrap
from .errors import RuleError, message
from .graph import Grad, Meta, mode, recording
from .plan import RECORDED_SWEEP, Plan, Rule
from .project import project, spread


class Custom(Kind, internal=True):
    r"""Any differentiable function: declares `pull(y_bar, *inputs, y)`, or a push, or both.

    `forward(*arrays)` computes on raw arrays; `backward` is another name of `pull`; a push is
    `push(*inputs, y, *x_dots)`. Rules are written in gradarray functions and ask for what they
    need by name: an input, `y` (the result), a static parameter (a keyword-only parameter of
    `forward`, or one with a default), in a push the tangent `<input>_dot`. What no rule names is
    not kept. `backward = None` declares that the op is flat, its derivative 0.

    >>> import gradarray as ga
    >>> class Cube(ga.Grad):
    ...     def forward(x):
    ...         return x**3
    ...     def backward(y_bar, x):
    ...         return y_bar * 3 * x**2
    >>> ga.grad(ga.grad(Cube.apply))(2.0)
    GradArray(12., dtype=float64)
    """

    __slots__ = ()
    keeps_y_form = True
    always_meta = True
    pull_rule: ClassVar[Rule | None] = None
    push_rule: ClassVar[Rule | None] = None
    flat: ClassVar[bool] = False  # said to have no derivative: `backward = None`
    statics: ClassVar[dict[str, Any]] = {}
    trailing: ClassVar[bool] = False  # acts on its last axes; those before them broadcast

    @classmethod
    def prepare(cls) -> None:
        space = cls.__dict__
        if "forward" not in space:
            return
        operands, cls.statics = _read_forward(cls, space["forward"])
        if "operands" not in space:
            cls.operands = operands
        for names, slot in ((("pull", "backward"), "pull_rule"), (("push",), "push_rule")):
            for name in names:
                if name not in space:
                    continue
                if space[name] is None:
                    cls.flat = True
                else:
                    setattr(cls, slot, _read_rule(cls, space[name], name, slot))
                delattr(cls, name)  # a node's own `backward(y_bar)` stays callable
        if cls.pull_rule is None and cls.push_rule is None:
            cls.rules = (None,) * len(cls.operands)
        else:
            both = [r.names for r in (cls.pull_rule, cls.push_rule) if r is not None]
            asked = Rule.of_names(tuple(n for names in both for n in names))
            cls.rules = tuple(None if k in cls.index else asked for k in range(len(cls.operands)))

    @classmethod
    def apply(cls, *operands: Any, **params: Any) -> Any:
        """Compute the op on arrays and record it."""
        if "forward" in cls.__abstractmethods__:
            raise TypeError(message(cls.name, "its class does not define forward(*arrays)."))
        if len(operands) != len(cls.operands):
            raise TypeError(
                message(
                    cls.name,
                    f"takes {len(cls.operands)} arrays ({', '.join(cls.operands)}), "
                    f"{len(operands)} given.",
                )
            )
        unknown = params.keys() - cls.statics.keys()
        if unknown:
            raise TypeError(message(cls.name, f"has no parameter {', '.join(sorted(unknown))}."))
        y = given.apply(cls, *operands, **{**cls.statics, **params})
        if cls.pull_rule is None and cls.push_rule is None and not cls.flat:
            cls._refuse_silence(operands, y)
        return y

    @classmethod
    def _refuse_silence(cls, operands: tuple[Any, ...], y: Any) -> None:
        """Without a rule the derivative of a floating result would be 0 without a word."""
        parts = y if isinstance(y, tuple) else (y,)
        needed = any(isinstance(x, GradArray) and x._node is not None for x in operands)
        if needed and mode.grad and any(part.dtype.kind in "fc" for part in parts):
            raise RuleError(
                message(
                    cls.name,
                    "an input requires a gradient, and the op declares no derivative.",
                    "Write its `backward` (or `push`); `backward = None` says that there is none.",
                )
            )

    @classmethod
    def pull_source(
        cls, plan: Plan, variant: int, which: tuple[bool, ...], env: dict[str, Any]
    ) -> list[str]:
        env["run"] = _pull
        return [f"return run(node, c, {variant}, {which!r})"]

    @classmethod
    def push_source(
        cls, plan: Plan, variant: int, which: tuple[bool, ...], env: dict[str, Any]
    ) -> list[str]:
        env["run"] = _push
        return [f"return run(node, c, {variant}, {which!r})"]


class _Self:
    """What a rule written as a method gets for `self`: the op's class attributes, read only."""

    def __init__(self, op: type) -> None:
        object.__setattr__(self, "_op", op)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._op, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuleError(
            message(
                self._op.name,
                f"self.{name} = ... in a rule: an op keeps no state of its own.",
                "Name what the rule needs as its parameter (an input, or y), and it is kept.",
            )
        )


def _function(cls: type, fn: Any) -> tuple[Any, list[inspect.Parameter]]:
    """The plain function behind a static method, or behind a method with `self`."""
    fn = fn.__func__ if isinstance(fn, (staticmethod, classmethod)) else fn
    if isinstance(fn, np.ufunc):  # under NumPy's names; its keywords are about memory
        names = ["x"] if fn.nin == 1 else [f"x{k}" for k in range(1, fn.nin + 1)]
        kind = inspect.Parameter.POSITIONAL_ONLY
        return fn, [inspect.Parameter(name, kind) for name in names]
    parameters = list(inspect.signature(fn).parameters.values())
    if parameters and parameters[0].name == "self":
        me, method = _Self(cls), fn

        def plain(*args: Any, **kwargs: Any) -> Any:
            return method(me, *args, **kwargs)

        return plain, parameters[1:]
    return fn, parameters


def _read_forward(cls: Any, forward: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    fn, parameters = _function(cls, forward)
    library = cls.__module__.startswith(f"{__package__}.")
    cls.forward = staticmethod(fn if library else _users_forward(cls, fn))
    operands, statics = [], {}
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL or p.kind is p.VAR_KEYWORD:
            raise TypeError(f"{cls.__name__}.forward: name each array; *{p.name} is not possible")
        if p.default is not p.empty:
            statics[p.name] = p.default
        elif p.kind is p.KEYWORD_ONLY:
            statics[p.name] = None
        else:
            operands.append(p.name)
    return tuple(operands), statics


def _users_forward(op: Any, fn: Any) -> Any:
    """A user's forward: arrays that it cannot change go in, and arrays come out.

    A Python number goes in as it is, since as an array it would promote float32.
    """

    def forward(*values: Any, **params: Any) -> Any:
        numpys = (np.ndarray, np.generic)
        y = fn(*(read_only(x) if isinstance(x, numpys) else x for x in values), **params)
        return tuple(_raw(op, part) for part in y) if isinstance(y, tuple) else _raw(op, y)

    return forward


def _raw(op: Any, y: Any) -> Any:
    if isinstance(y, GradArray):
        raise RuleError(
            message(
                op.name,
                "its forward gave a GradArray.",
                "forward computes on raw arrays, with NumPy; the rules are written in gradarray.",
            )
        )
    y = np.asarray(y)
    if y.dtype.kind not in "biufc":
        raise RuleError(message(op.name, f"its forward gave {y.dtype}, which is no number."))
    return y[()]


def _read_rule(cls: Any, declared: Any, name: str, slot: str) -> Rule:
    fn, parameters = _function(cls, declared)
    names = [p.name for p in parameters][1 if slot == "pull_rule" else 0 :]
    known = {*cls.operands, "y", *cls.statics}
    if slot == "push_rule":
        known |= {f"{x}_dot" for x in cls.operands}
    unknown = [n for n in names if n not in known and not n.endswith("_like")]
    if unknown and slot == "pull_rule":
        # Other names than forward's: then they are the inputs in order, and last, maybe, y.
        full = [*cls.operands, "y"]
        if len(names) in (len(full), len(full) - 1):
            names, unknown = full[: len(names)], []
    if unknown:
        raise TypeError(
            f"{cls.__name__}.{name} asks for {', '.join(unknown)}; it can name "
            f"{', '.join(sorted(known))}"
        )
    return Rule.of_names(tuple(names), fn)


# The two directions -----------------------------------------------------------------------------


def _pull(node: Grad, y_bar: Any, variant: int, which: tuple[bool, ...]) -> tuple[Any, ...]:
    op: Any = type(node)
    trusted = op.library and variant != RECORDED_SWEEP
    with contextlib.nullcontext() if trusted else _rule_recording(op):
        y_bar = _part(y_bar, lambda c: c if trusted else _probe(c))
        values = _residuals(node, variant, trusted)
        if op.pull_rule is not None:
            results = _call_pull(op, y_bar, values)
        else:
            results = _transposed_push(op, y_bar, values, which, node)
    _check_count(op, results)
    out = []
    for k, (result, needed) in enumerate(zip(results, which, strict=True)):
        if not needed or result is None:
            out.append(None)
            continue
        assert node.metas is not None
        if not trusted:
            _check_connected(op, "backward", result, y_bar)
            _check_bar(op, k, result, node.metas)
            result = result if variant == RECORDED_SWEEP else result._data
        out.append(project(result, node.metas[k + 1]))
    return tuple(out)


def _push(node: Grad, x_dots: Any, variant: int, which: tuple[bool, ...]) -> Any:
    op: Any = type(node)
    assert node.metas is not None
    trusted = op.library and variant != RECORDED_SWEEP
    with contextlib.nullcontext() if trusted else _rule_recording(op):
        dots = {}
        for k, moving in enumerate(which):
            dot = x_dots[k] if moving else np.zeros(*node.metas[k + 1])
            dots[f"{op.operands[k]}_dot"] = dot if trusted else _probe(dot)
        values = _residuals(node, variant, trusted)
        if op.push_rule is not None:
            y_dot = _call(op, op.push_rule, (), {**values, **dots})
        else:
            y_dot = _transposed_pull(op, dots, values, which, node)
    result = node.metas[0]
    if isinstance(result, list):
        if not isinstance(y_dot, (tuple, list)) or len(y_dot) != len(result):
            came = len(y_dot) if isinstance(y_dot, (tuple, list)) else 1
            raise RuleError(
                message(op.name, f"its rule gave {came} tangents for {len(result)} results.")
            )
        parts = zip(y_dot, result, strict=True)
        return tuple(_finish_push(op, d, like, dots, variant, trusted) for d, like in parts)
    return _finish_push(op, y_dot, result, dots, variant, trusted)


def _finish_push(
    op: Any, y_dot: Any, like: Any, dots: dict[str, Any], variant: int, trusted: bool
) -> Any:
    if not trusted:
        _check_connected(op, "push", y_dot, *dots.values())
        dot_shapes = [d.shape for d in dots.values()]
        _check_shape(op, "push", "the result", y_dot, like[0], smaller=dot_shapes)
        y_dot = y_dot if variant == RECORDED_SWEEP else y_dot._data
    return spread(y_dot, like)


def _transposed_push(
    op: Any, y_bar: Any, values: dict[str, Any], which: tuple[bool, ...], node: Grad
) -> tuple[Any, ...]:
    """pull = the reverse sweep of push in its tangents, which are taken at zero."""
    assert node.metas is not None
    with graph.recording(), _library_arrays():
        dots = [_probe(np.zeros(*form)) for form in node.metas[1:]]
        named = {f"{x}_dot": d for x, d in zip(op.operands, dots, strict=True)}
        y_dot = _call(op, op.push_rule, (), {**_recorded(values), **named})
    y_forms = node.metas[0] if isinstance(node.metas[0], list) else [node.metas[0]]
    parts = y_dot if isinstance(y_dot, tuple) else (y_dot,)
    for part, form in zip(parts, y_forms, strict=False):
        _check_connected(op, "push", part, *dots)
        smaller = [dot.shape for dot in dots]
        _check_shape(op, "push", "the result", part, form[0], smaller=smaller)
    targets = [d for d, needed in zip(dots, which, strict=True) if needed]
    found = iter(given.pull_through(y_dot, y_bar, targets))
    return tuple(next(found) if needed else None for needed in which)


def _transposed_pull(
    op: Any, dots: dict[str, Any], values: dict[str, Any], which: tuple[bool, ...], node: Grad
) -> Any:
    """push = the reverse sweep of pull in its cotangent, which is taken at zero."""
    assert node.metas is not None
    with graph.recording(), _library_arrays():
        y_bar = _part_like(node.metas[0], lambda form: _probe(np.zeros(*form)))
        x_bars = _call_pull(op, y_bar, _recorded(values))
    _check_count(op, x_bars)
    pairs = []
    for k, (x_bar, dot, moving) in enumerate(zip(x_bars, dots.values(), which, strict=True)):
        if moving and x_bar is not None:
            _check_connected(op, "backward", x_bar, y_bar)
            _check_bar(op, k, x_bar, node.metas)
            pairs.append((x_bar, dot))
    targets = list(y_bar) if isinstance(y_bar, tuple) else [y_bar]
    found = given.pull_through([p[0] for p in pairs], [p[1] for p in pairs], targets)
    return tuple(found) if isinstance(y_bar, tuple) else found[0]


# Pieces -----------------------------------------------------------------------------------------


def _call(op: Any, rule: Rule, leading: tuple[Any, ...], values: dict[str, Any]) -> Any:
    return rule.fn(*leading, *(values[name] for name in rule.names))


def _call_pull(op: Any, y_bar: Any, values: dict[str, Any]) -> tuple[Any, ...]:
    """The cotangents of the inputs; a user's rule stands outside the walk (see `at_end`)."""
    results = _call(op, op.pull_rule, (y_bar if op.library else at_end(y_bar),), values)
    results = results if isinstance(results, tuple) else (results,)
    return results if op.library else at_end(results)


def _residuals(node: Any, variant: int, trusted: bool) -> dict[str, Any]:
    """What the rules may name: kept values, the result, static parameters, forms."""
    op, plan, s = type(node), node.plan, node.saved
    values = dict(node.params)
    for k in plan.keep:
        kept = s[plan.where_saved[k]]
        if variant == RECORDED_SWEEP:
            values[op.operands[k]] = wrap(kept, GradArray, node.parents[k])
        else:
            values[op.operands[k]] = kept if trusted or k in op.index else _probe(kept)
    if plan.keep_y:
        y = s[len(plan.keep)]
        if variant == RECORDED_SWEEP:
            y = given.handle_on(node, y)
        elif not trusted:
            y = _part(y, _probe)
        values.setdefault("y", y)  # an input of that name comes first
    for name, form in zip(("y", *op.operands), node.metas, strict=True):
        values[f"{name}_like"] = _part_like(form, lambda form: Meta(*form))
    return values


def _part(value: Any, fn: Any) -> Any:
    return tuple(fn(v) for v in value) if isinstance(value, (tuple, list)) else fn(value)


def _part_like(form: Any, fn: Any) -> Any:
    return tuple(fn(f) for f in form) if isinstance(form, list) else fn(form)


def _probe(value: Any) -> GradArray:
    """An alias of `value` inside a rule, by which the connection of the result is checked."""
    value = value if isinstance(value, GradArray) else wrap(value)
    return given.alias(value) if value.dtype.kind in "fc" else value


def _recorded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        k: wrap(v) if isinstance(v, (np.ndarray, np.generic)) or is_foreign(v) else v
        for k, v in values.items()
    }


@contextlib.contextmanager
def _rule_recording(op: Any) -> Iterator[None]:
    """A user's rule runs on recorded arrays, also inside a sweep on raw ones."""
    outer = mode.rule
    mode.rule = op.name
    try:
        with recording(), _library_arrays():
            yield
    finally:
        mode.rule = outer


@contextlib.contextmanager
def _library_arrays() -> Iterator[None]:
    outer = mode.raw
    mode.raw = 0
    try:
        yield
    finally:
        mode.raw = outer


def _check_connected(op: Any, rule: str, result: Any, *given_to_it: Any) -> None:
    flat = [
        c for g in given_to_it for c in (g if isinstance(g, tuple) else (g,)) if c is not None
    ]
    roots = [c._node for c in flat if c._node is not None]
    if isinstance(result, GradArray) and result._node is not None:
        seen, _ = graph.ancestry([result._node], min(r.seq for r in roots))
        if any(r in seen for r in roots):
            return
    raise RuleError(
        message(
            op.name,
            f"the result of its rule `{rule}` is not connected to what it was given.",
            "Write the rule in gradarray functions (ga.exp, not np.exp; no .numpy()).",
        )
    )


def _check_count(op: Any, x_bars: tuple[Any, ...]) -> None:
    if len(x_bars) != len(op.operands):
        raise RuleError(
            message(
                op.name,
                f"its rule gave {len(x_bars)} cotangents for {len(op.operands)} inputs "
                f"({', '.join(op.operands)}).",
            )
        )


def _check_bar(op: Any, k: int, x_bar: Any, metas: Any) -> None:
    """A cotangent of an operand: its broadcasting is that of the result, or of the operands."""
    ys = [form[0] for form in (metas[0] if isinstance(metas[0], list) else [metas[0]])]
    xs = [form[0] for form in metas[1:]]
    name, shape = op.operands[k], metas[k + 1][0]
    _check_shape(op, "backward", name, x_bar, shape, smaller=ys, larger=[*ys, *xs])


def _check_shape(
    op: Any, rule: str, name: str, result: Any, shape: Any, smaller: Any = None, larger: Any = None
) -> None:
    """Has `result` this shape, but for broadcasting that the rule need not undo?

    It may be smaller, and is spread, if what came is no larger (`smaller`: its shapes). It may be
    larger, and is summed, along axes that a value of the application has (`larger`: their shapes).
    """
    came = result.shape
    full = _broadcast(came, shape)
    fits = came == shape
    if not fits and full == shape:
        fits = smaller is None or any(_broadcast(c, came) == came for c in smaller)
    elif not fits and full == came:
        fits = larger is None or all(
            any(c[axis:][:1] == (came[axis],) for c in larger if len(c) >= -axis)
            for axis in range(-len(came), 0)
            if shape[axis:][:1] != (came[axis],) or len(shape) < -axis
        )
    if not fits:
        raise RuleError(
            message(
                op.name,
                f"its rule `{rule}` gave shape {result.shape} for {name}, of shape {shape}.",
            )
        )


def _broadcast(a: Any, b: Any) -> Any:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


graph._GradType.custom = Custom
