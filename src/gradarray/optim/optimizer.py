"""Optimizer: parameters in groups, their state, and one step; a method is a file of its own.

A method declares the slots it keeps for a parameter, its coefficients (0-d, float64) and its
update (in the parameter's dtype), all three in library functions and operators. `step` runs them on
plain arrays, which costs little more than NumPy by hand; where anything is being recorded it runs
the same three on the GradArrays themselves, so that a step can be traced and compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from ..array import GradArray, wrap
from ..errors import DTypeError, GraphError, message
from ..graph import enable_grad, flags, is_plain, mode, no_grad, raw_sweep
from ..ops.shape import astype
from . import checkpoint
from .groups import Group, refuse_foreign
from .pieces import as_complex, as_real, real_form


class Optimizer:
    r"""Changes parameters, step by step, against their gradients.

    `params`: an iterable of leaf GradArrays, of (name, array) pairs, or of dicts, each a group with
    options of its own: `[{"params": [w], "lr": 0.01}, {"params": [b]}]`. `state[p]` holds the
    arrays that a method keeps for p; they are made here, with p's shape and dtype (counts: 0-d
    float64), and each step binds them to new values. A step computes in the parameter's dtype; a
    complex parameter moves as its real and imaginary parts would, and its slots have a last axis
    for the two.

    A method of your own derives from this class and declares `slots`, `coefficients` and `update`:

    >>> import gradarray as ga
    >>> class SignDescent(ga.optim.Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...     def coefficients(self, o, n):
    ...         return {"lr": o.lr}
    ...     def update(self, c, p, g):
    ...         return (p - c.lr * ga.sign(g),)
    >>> w = ga.array([1.0, -3.0], requires_grad=True)
    >>> optimizer = SignDescent([w])
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    GradArray([ 0.9, -2.9], dtype=float64, requires_grad=True)

    Raises ValueError for no parameters, for one given twice and for an option out of its range;
    TypeError for what is no floating leaf array and for keywords of other libraries.
    """

    counters: ClassVar[dict[str, float]] = {"step": 0.0}  # 0-d state of a parameter, at the start
    growing: ClassVar[tuple[str, ...]] = ()  # slots whose first axis grows
    decoupled: ClassVar[bool] = False  # weight decay apart from the gradient

    param_groups: list[Group]
    state: dict[GradArray, dict[str, GradArray]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Optimizer:
        refuse_foreign(cls.__name__, kwargs, cls.__init__)
        return super().__new__(cls)

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups = []
        self.state = {}
        groups = self._listed(params)
        if not groups:
            raise self._empty()
        if not isinstance(groups[0], Mapping):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # What a method declares -----------------------------------------------------------------------

    def slots(self, o: Any) -> dict[str, float]:
        """The arrays kept for every parameter, with the value they start from.

        `o` has the options as attributes, and `o.on`, the names of those that are not 0.
        """
        return {}

    def count(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        """The counters after one more step."""
        return {"step": n["step"] + 1}

    def coefficients(self, o: Any, n: dict[str, Any]) -> dict[str, Any]:
        """0-d numbers that `update` uses, from the options and the counters, in float64."""
        raise NotImplementedError(f"{type(self).__name__} declares no coefficients")

    def update(self, c: Any, p: Any, g: Any, *slots: Any) -> tuple[Any, ...]:
        """The new values of the parameter and of each slot.

        `c` has the coefficients, cast to the parameter's dtype, the flags among the options, `on`
        and `tiny`, the dtype's smallest normal number.
        """
        raise NotImplementedError(f"{type(self).__name__} declares no update")

    def validate(self, group: Group) -> None:
        """Raise for options that do not go together."""

    # Groups ---------------------------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group: a dict with "params" and the options in which it differs.

        >>> import gradarray as ga
        >>> w, b = (ga.array([0.0], requires_grad=True) for _ in range(2))
        >>> optimizer = ga.optim.SGD([w], lr=0.1)
        >>> optimizer.add_param_group({"params": [b], "lr": 0.01})
        >>> [group["lr"].item() for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        owner = type(self).__name__
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(
                message(owner, f'a group is a dict with the key "params", not {param_group!r}.')
            )
        given = {k: v for k, v in param_group.items() if k != "params"}
        refuse_foreign(owner, given, type(self).__init__)
        unknown = [k for k in given if k not in self.defaults and k not in ("name", "initial_lr")]
        if unknown:
            raise TypeError(
                message(
                    owner,
                    f"a group has no option {', '.join(map(repr, unknown))}.",
                    f"It has {', '.join(self.defaults)}.",
                )
            )
        params = param_group["params"]
        listed: list[Any]
        listed = [params] if isinstance(params, GradArray) else self._listed(params)
        names: list[str] | None = None
        if listed and all(isinstance(entry, tuple) and len(entry) == 2 for entry in listed):
            names = [name for name, _ in listed]
            listed = [p for _, p in listed]
        self._check_params(listed, names)
        group = Group(owner, listed, names, {**self.defaults, **given}, self._make_state)
        self.validate(group)
        self.param_groups.append(group)
        flags.settings += 1
        self._make_state(group)

    def _settings(self) -> Any:
        """What decides what a step computes, beside values and the groups' options."""
        return [(id(group), list(map(id, group.params))) for group in self.param_groups]

    def _listed(self, params: Any) -> list[Any]:
        owner = type(self).__name__
        if isinstance(params, (GradArray, Mapping, str, set)) or not isinstance(params, Iterable):
            mend = "Give a list of arrays, or model.parameters()."
            if isinstance(params, set):
                mend = "A set has no order to resume in; give a list."
            kind = type(params).__name__
            raise TypeError(
                message(owner, f"parameters come as a list or another iterable, not {kind}.", mend)
            )
        return list(params)

    def _empty(self) -> ValueError:
        return ValueError(
            message(
                type(self).__name__,
                "the list of parameters is empty.",
                "Give model.parameters() of a model that has some; a generator that was read "
                "once is empty afterwards.",
            )
        )

    def _check_params(self, params: list[Any], names: list[str] | None) -> None:
        owner = type(self).__name__
        if not params:
            raise self._empty()
        known = {id(p) for group in self.param_groups for p in group.params}
        for k, p in enumerate(params):
            what = f"parameter {k}" if names is None else f"parameter {names[k]!r}"
            if not isinstance(p, GradArray):
                raise TypeError(message(owner, f"{what} is a {type(p).__name__}, not a GradArray."))
            if not p.is_leaf:
                raise ValueError(
                    message(
                        owner,
                        f"{what} was made by an operation, so it has no values of its own.",
                        "Give the leaf arrays that it was computed from.",
                    )
                )
            if p.dtype.kind not in "fc":
                raise DTypeError(
                    message(
                        owner,
                        f"{what} has dtype {p.dtype}, and only floating numbers are moved along a "
                        "gradient.",
                        "Cast it.",
                    )
                )
            if id(p) in known:
                raise ValueError(
                    message(owner, f"{what} is given twice; it would be moved twice a step.")
                )
            known.add(id(p))

    def _make_state(self, group: Group) -> None:
        slots = self.slots(group.options(attrgetter("_data")))
        for p in group.params:
            shape, dtype = real_form(p)
            state = self.state.setdefault(p, {})
            for name, start in self.counters.items():
                if name not in state:
                    state[name] = wrap(np.float64(start))
            for name, start in slots.items():
                if name not in state:
                    state[name] = wrap(np.full(shape, start, dtype)[()])

    # A step ---------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters: None, or zeros with `set_to_none=False`.

        >>> import gradarray as ga
        >>> w = ga.array([1.0], requires_grad=True)
        >>> w.sum().backward()
        >>> ga.optim.SGD([w], lr=0.1).zero_grad()
        >>> w.grad is None
        True
        """
        for p in self._params():
            p.grad = None if set_to_none else wrap(np.zeros(p.shape, p.dtype)[()])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; the others, and their state, stay.

        `closure`, if given, computes the gradients first (also within `no_grad`); its result is
        returned. Raises GraphError if no parameter has a gradient.
        """
        loss = self._evaluate(closure) if closure is not None else None
        self._need_gradients()
        if not is_plain():
            if mode.trace is not None:
                mode.trace.note(self)
            with no_grad():
                self._advance(_handle, _number, _assign, id)
        else:
            with raw_sweep():
                self._advance(_values, _values_0d, GradArray._rebind, _handle)
        return loss

    def _evaluate(self, closure: Callable[[], Any]) -> Any:
        with enable_grad():
            return closure()

    def _need_gradients(self) -> None:
        if all(p._gradient is None for p in self._params()):
            raise GraphError(
                message(
                    f"{type(self).__name__}.step",
                    "no parameter has a gradient.",
                    "Call loss.backward() first, after zero_grad() and not before it, on a loss "
                    "computed from these parameters.",
                )
            )

    def _params(self) -> Iterable[GradArray]:
        for group in self.param_groups:
            yield from group.params

    def _advance(self, read: Any, number: Any, write: Any, key_of: Any) -> None:
        for group in self.param_groups:
            o = group.options(number)
            slots = list(self.slots(o))
            # Parameters that have had the same number of steps share their coefficients.
            shared: dict[Any, Any] = {}
            for p in group.params:
                if p._gradient is None:
                    continue
                state = self.state[p]
                x = read(p)
                g = read(p._gradient)
                dtype = x.dtype
                g = g if g.dtype is dtype else _cast(g, dtype)
                whole = dtype.kind == "c"
                if whole:
                    x, g = as_real(x), as_real(g)
                    dtype = x.dtype
                counts = [number(state[name]) for name in self.counters]
                key = (dtype, *map(key_of, counts))
                if key not in shared:
                    n = self.count(o, dict(zip(self.counters, counts, strict=True)))
                    shared[key] = n, self._prepare(o, n, dtype)
                n, c = shared[key]
                if c.maximize:
                    g = -g
                if c.shrink is not None:
                    x = x * c.shrink
                elif c.decay is not None:
                    g = g + c.decay * x
                new = self.update(c, x, g, *[read(state[name]) for name in slots])
                new = [v if v.dtype is dtype else _cast(v, dtype) for v in new]
                if whole:
                    new[0] = as_complex(new[0])
                if mode.raw:
                    for watcher in mode.watchers:
                        watcher.forward(_Step(self), [x, g], {}, new[0])
                # Only now, when all is computed, does anything change.
                for handle, value in zip((p, *map(state.get, slots)), new, strict=True):
                    write(handle, value)
                for name, value in n.items():
                    write(state[name], value)

    def _prepare(self, o: Any, counts: dict[str, Any], dtype: np.dtype) -> SimpleNamespace:
        """The coefficients in a parameter's dtype, with the flags."""
        c = SimpleNamespace(**vars(o))
        c.maximize = getattr(o, "maximize", False)
        c.tiny = _tiny(dtype)
        c.shrink = c.decay = None
        for name, value in self.coefficients(o, counts).items():
            setattr(c, name, _cast(value, dtype))
        if "weight_decay" in o.on:
            if getattr(o, "decoupled_weight_decay", self.decoupled):
                c.shrink = _cast(1 - o.lr * o.weight_decay, dtype)
            else:
                c.decay = _cast(o.weight_decay, dtype)
        return c

    # Saving ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state, to go on from: {"state": {index: {name: array}}, "param_groups": [dict]}.

        Parameters are counted through all groups. Arrays are copies; all else goes into JSON.

        >>> import gradarray as ga
        >>> w = ga.array([1.0, 2.0], requires_grad=True)
        >>> saved = ga.optim.SGD([w], lr=0.1, momentum=0.9).state_dict()
        >>> saved["state"]
        {0: {'step': array(0.), 'momentum_buffer': array([0., 0.])}}
        >>> saved["param_groups"][0]["lr"]
        0.1
        """
        return checkpoint.save(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave: the next steps are the same, bit for bit.

        Raises ValueError, changing nothing, if groups, shapes or slots do not fit this optimizer.
        """
        checkpoint.load(self, state_dict)

    def __repr__(self) -> str:
        groups = "".join(f"\n  {group!r}" for group in self.param_groups)
        return f"{type(self).__name__} ({groups}\n)"


class _Step:
    """A step, as those who watch ops see it: one op of the parameter and its gradient."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.name = f"{type(optimizer).__name__}.step"

    def operand_names(self, count: int) -> tuple[str, ...]:
        return ("parameter", "gradient")[:count]


# Two ways to run an update: on plain arrays, and on handles so that it is recorded ----------------


_values = attrgetter("_data")


def _values_0d(handle: GradArray) -> Any:
    # A NumPy scalar, never a 0-d array: their powers differ in the last bit.
    return handle._data[()]


def _handle(handle: Any) -> Any:
    return handle


def _number(handle: GradArray) -> GradArray:
    if isinstance(handle._data, np.ndarray):
        handle._data = handle._data[()]
    return handle


def _assign(handle: GradArray, value: GradArray) -> None:
    handle._assign("step", value)


def _cast(x: Any, dtype: np.dtype) -> Any:
    return x if x.dtype == dtype else astype(x, dtype)


@cache
def _tiny(dtype: np.dtype) -> float:
    return float(np.finfo(dtype).tiny)
