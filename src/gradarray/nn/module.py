"""Module: a network or a part of one, with its parameters, buffers and parts by name."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from ..array import GradArray, from_user, wrap
from ..errors import UnknownNameError
from ..graph import HookHandle, flags, mode
from . import names, state
from .calling import LOCATED, inside, locate
from .dtypes import cast, float_dtype
from .parameter import Parameter

Self = TypeVar("Self", bound="Module")

_ASIDE = ("_parameters", "_buffers", "_modules")
_PLAIN = (bool, int, float, str, type(None), np.dtype)


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (
        isinstance(value, tuple) and all(isinstance(v, _PLAIN) for v in value)
    )


class Module:
    """Base class of layers, networks and losses: assign parts as attributes, define `forward`.

    A Parameter or Module that is assigned becomes part of the module under the attribute's name;
    `register_buffer` adds an array that is state but not trained. Calling the module runs
    `forward` and its hooks; a ShapeError from inside names the layer that raised it.

    >>> import gradarray as ga
    >>> class Scale(ga.nn.Module):
    ...     def __init__(self, size):
    ...         super().__init__()
    ...         self.weight = ga.nn.Parameter([1.0] * size)
    ...     def forward(self, x):
    ...         return self.weight * x
    >>> layer = Scale(2)
    >>> [name for name, _ in layer.named_parameters()]
    ['weight']
    """

    _unsettled: frozenset[str] = frozenset()  # plain attributes that decide nothing
    training: bool
    _parameters: dict[str, GradArray | None]
    _buffers: dict[str, GradArray | None]
    _modules: dict[str, Module | None]
    _transient: set[str]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            names.check_arguments(cls.__name__, inspect.signature(cls.__init__), kwargs)
        self = object.__new__(cls)
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _transient=set(),
            _hooks={},
            _pre_hooks={},
            _arguments=(args, kwargs),
        )
        return self

    def __init__(self) -> None:
        pass

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What calling the module computes; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, ...)")

    # Calling ------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if flags.special:
                if mode.trace is not None:
                    mode.trace.note(self)
                if mode.watchers or mode.trace is not None:
                    with inside(self):
                        return self._call_with_hooks(args, kwargs)
            if self._hooks or self._pre_hooks:
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except LOCATED as error:
            locate(self, error)
            raise

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook, with_kwargs in tuple(self._pre_hooks.values()):
            result = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if result is None:
                continue
            if with_kwargs:
                args, kwargs = result
            else:
                args = result if isinstance(result, tuple) else (result,)
        y = self.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self._hooks.values()):
            result = hook(self, args, kwargs, y) if with_kwargs else hook(self, args, y)
            y = y if result is None else result
        return y

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns replaces the output.

        Returns a handle with `remove()`. With `with_kwargs`: `hook(module, args, kwargs, output)`.
        """
        return HookHandle(self._hooks, (hook, with_kwargs), prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before `forward`; what it returns replaces the arguments.

        Returns a handle with `remove()`. With `with_kwargs`: `hook(module, args, kwargs)`, which
        returns (args, kwargs).
        """
        return HookHandle(self._pre_hooks, (hook, with_kwargs), prepend)

    # Attributes ---------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        for aside in _ASIDE:
            values = self.__dict__.get(aside)
            if values is not None and name in values:
                return values[name]
        hint = f"; here it is {names.ATTRIBUTES[name]}" if name in names.ATTRIBUTES else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self.add_module(name, value)
        elif name in self._buffers:
            self._set_buffer(name, value)
        elif name in self._parameters or name in self._modules:
            kind = "Parameter" if name in self._parameters else "Module"
            if value is not None:
                raise TypeError(
                    f"{type(self).__name__}.{name} is a {kind}; a {type(value).__name__} cannot "
                    f"take its place (a {kind} or None can)."
                )
            (self._parameters if kind == "Parameter" else self._modules)[name] = None
        else:
            if self.__dict__.get(name, self) is not value:
                flags.settings += 1
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for aside in _ASIDE:
            if name in self.__dict__[aside]:
                del self.__dict__[aside][name]
                self._transient.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        own = [*self._parameters, *self._buffers, *self._modules]
        return sorted({*object.__dir__(self), *(name for name in own if name.isidentifier())})

    def _settings(self) -> Any:
        """What decides what is computed, beside values: plain attributes, parts and hooks."""
        own = self.__dict__
        plain = {k: v for k, v in own.items() if k not in self._unsettled and _is_plain(v)}
        parts = [id(part) for aside in _ASIDE for part in own[aside].values()]
        return plain, parts, [*own["_pre_hooks"], *own["_hooks"]]

    def _set_buffer(self, name: str, value: Any) -> None:
        """Bind a buffer's handle to a new value: whoever holds the buffer sees it."""
        old = self._buffers[name]
        if value is not None and not isinstance(value, GradArray):
            value = wrap(from_user(value, name))
        if old is None or value is None or old.shape != value.shape:
            self._buffers[name] = value
        else:
            value = value if value.dtype == old.dtype else value.astype(old.dtype)
            state.bind(old, value)

    def _claim(self, name: str, table: dict[str, Any]) -> None:
        """Check that `name` can be an entry of `table`, and free it elsewhere."""
        if not isinstance(name, str) or not name or "." in name:
            raise UnknownNameError(
                f"a part's name is a non-empty string without dots, not {name!r}"
            )
        if name not in table and hasattr(type(self), name):
            raise UnknownNameError(f"{type(self).__name__} has an attribute {name!r} of its own")
        flags.settings += 1
        self.__dict__.pop(name, None)
        for aside in _ASIDE:
            values = self.__dict__[aside]
            if values is not table:
                values.pop(name, None)
        self._transient.discard(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` a parameter under this name; None keeps the place (`bias=False`)."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name}: a {type(param).__name__} is not a Parameter; "
                "use ga.nn.Parameter(values), or register_buffer for state that is not trained."
            )
        self._claim(name, self._parameters)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make an array part of the module's state under this name; it is not trained.

        It is saved unless `persistent=False`, and `to` casts it with the parameters. Assigning to
        the attribute changes its value.
        """
        if tensor is not None and not isinstance(tensor, GradArray):
            tensor = wrap(from_user(tensor, name))
        self._claim(name, self._buffers)
        self._buffers[name] = tensor
        if not persistent:
            self._transient.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Make `module` a part under this name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}.{name}: {module!r} is not a Module")
        self._claim(name, self._modules)
        self._modules[name] = module

    register_module = add_module

    # Going through the parts --------------------------------------------------------------------

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(path, module) for this module, then for all its parts, parents first."""
        memo = set() if memo is None else memo
        if remove_duplicate:
            if id(self) in memo:
                return
            memo.add(id(self))
        yield prefix, self
        for name, part in self._modules.items():
            if part is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from part.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all its parts."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for the direct parts."""
        seen = set()
        for name, part in self._modules.items():
            if part is not None and id(part) not in seen:
                seen.add(id(part))
                yield name, part

    def children(self) -> Iterator[Module]:
        """The direct parts."""
        return (module for _, module in self.named_children())

    def _named(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        parts: Any = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        seen: set[int] = set()
        for path, part in parts if recurse else [(prefix, self)]:
            for name, handle in part.__dict__[table].items():
                if handle is None or (remove_duplicate and id(handle) in seen):
                    continue
                seen.add(id(handle))
                yield f"{path}.{name}" if path else name, handle

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter); one that is shared comes once, under its first name."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, what an optimiser takes."""
        return (handle for _, handle in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, GradArray]]:
        """(path, buffer)."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[GradArray]:
        """The buffers: state that is not trained."""
        return (handle for _, handle in self.named_buffers(recurse=recurse))

    def parameters_dict(self) -> dict[str, Parameter]:
        """The parameters by path: a pytree that transforms take (see `functional_call`)."""
        return dict(self.named_parameters())

    def get_submodule(self, target: str) -> Module:
        """The part at a path such as "layers.2"."""
        module: Any = self
        for name in filter(None, target.split(".")):
            if module is None or name not in module._modules:
                raise AttributeError(f"{type(self).__name__} has no part {target!r}")
            module = module._modules[name]
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "layers.2.weight"."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._parameters.get(name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"{type(self).__name__} has no parameter {target!r}")
        return found

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn(module)` on every part, then on this module."""
        for part in self.children():
            part.apply(fn)
        fn(self)
        return self

    # Modes, gradients, dtype --------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Set this module and its parts to training (dropout drops, statistics run)."""
        if not isinstance(mode, bool):
            raise TypeError(f"train(mode) takes True or False, not {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Set this module and its parts to inference: `train(False)`."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient: None, or zeros with `set_to_none=False`."""
        for parameter in self.parameters():
            gradient = parameter._gradient
            if set_to_none or gradient is None:
                parameter.zero_grad()
            else:
                parameter.grad = wrap(np.zeros(gradient.shape, gradient.dtype)[()])

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Make every parameter trainable, or freeze it."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def to(self: Self, dtype: Any) -> Self:
        """Cast every floating parameter and buffer to `dtype`, in place; returns the module.

        0-d buffers (counts and the like) stay float64.
        """
        dtype = float_dtype(dtype, "to")
        for parameter in self.parameters():
            cast(parameter, dtype)
        for buffer in self.buffers():
            if buffer.ndim:
                cast(buffer, dtype)
        return self

    def float(self: Self) -> Self:
        """`to("float32")`."""
        return self.to(np.float32)

    def double(self: Self) -> Self:
        """`to("float64")`."""
        return self.to(np.float64)

    def half(self: Self) -> Self:
        """`to("float16")`."""
        return self.to(np.float16)

    # State --------------------------------------------------------------------------------------

    def state_dict(self, *, prefix: str = "") -> dict[str, np.ndarray]:
        """Parameters and buffers by path, as copies: later training does not change them."""
        return state.state_dict(self, prefix)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> state.LoadResult:
        """Take over the values of a state dict, cast to the module's dtypes.

        Raises ValueError, and changes nothing, if a shape differs, or with `strict` if a name is
        missing or unexpected. Returns (missing_keys, unexpected_keys).
        """
        return state.load_state_dict(self, state_dict, strict)

    def get_config(self) -> dict[str, Any]:
        """The arguments that the module was made with, by name: `type(m)(**m.get_config())`.

        Arguments left at their defaults are left out; `dtype` is that of the parameters now.
        """
        args, kwargs = self.__dict__["_arguments"]
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs).arguments
        config: dict[str, Any] = {}
        for name, value in itertools.islice(bound.items(), 1, None):
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                config.update(value)
            elif kind is inspect.Parameter.VAR_POSITIONAL:
                raise TypeError(
                    f"{type(self).__name__} takes *{name}, so its arguments have no names; "
                    "define get_config and from_config."
                )
            else:
                config[name] = value
        if "dtype" in signature.parameters:
            current = next((p.dtype for p in self.parameters()), None)
            if current is not None and (current != np.float32 or "dtype" in config):
                config["dtype"] = current.name
        return config

    @classmethod
    def from_config(cls: type[Self], config: Mapping[str, Any]) -> Self:
        """A new module with these arguments, the inverse of `get_config`."""
        return cls(**config)

    # A picture ----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the brackets of a layer's `repr`."""
        return ""

    def _repr_parts(self) -> list[str]:
        return [f"({name}): {part!r}" for name, part in self._modules.items()]

    def __repr__(self) -> str:
        name, extra, parts = type(self).__name__, self.extra_repr(), self._repr_parts()
        if not parts:
            return f"{name}({extra})"
        body = "\n".join([extra, *parts] if extra else parts).replace("\n", "\n  ")
        return f"{name}(\n  {body}\n)"
