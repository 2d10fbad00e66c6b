"""Modules that hold modules: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

from .module import Module

Self = TypeVar("Self", bound="Sequential")


class Sequential(Module):
    r"""The modules one after another: y = f_n(\dots f_2(f_1(x))).

    Takes modules, or one OrderedDict of names and modules. A module that returns a tuple (a
    recurrent layer's outputs and state) passes on the first of it. Indexing gives a module, a
    slice a Sequential of the same modules.

    >>> import gradarray as ga
    >>> model = ga.nn.Sequential(ga.nn.Linear(4, 8), ga.nn.ReLU(), ga.nn.Linear(8, 2))
    >>> model[1]
    ReLU()
    >>> model([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 2)
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named: Any = enumerate(args)
        if len(args) == 1 and isinstance(args[0], (OrderedDict, dict)):
            named = args[0].items()
        elif len(args) == 1 and isinstance(args[0], (list, tuple)):
            raise TypeError(
                f"Sequential takes modules, not a {type(args[0]).__name__} of them: "
                "write Sequential(*layers)."
            )
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, x: Any) -> Any:
        for module in self._modules.values():
            if isinstance(x, tuple):
                x = x[0]
            assert module is not None
            x = module(x)
        return x

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`; those behind it are renumbered."""
        modules = list(self._modules.values())
        modules.insert(index, module)
        return self._renumber(modules)

    def extend(self: Self, sequential: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in sequential:
            self.append(module)
        return self

    def pop(self, index: int) -> Module:
        """Take out the module at `index` and return it; those behind it are renumbered."""
        module = self[index]
        del self[index]
        return module

    def __add__(self: Self, other: Iterable[Module]) -> Self:
        return type(self)(*self, *other)

    __iadd__ = extend

    def _renumber(self: Self, modules: list[Any]) -> Self:
        self._modules.clear()
        for k, module in enumerate(modules):
            self.add_module(str(k), module)
        return self

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self: Self, index: slice) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        items = list(self._modules.items())
        if isinstance(index, slice):
            return type(self)(OrderedDict(items[index]))
        return items[_position(index, items, self)][1]

    def __setitem__(self, index: int, module: Module) -> None:
        items = list(self._modules.items())
        self.add_module(items[_position(index, items, self)][0], module)

    def __delitem__(self, index: int | slice) -> None:
        items = list(self._modules.items())
        if not isinstance(index, slice):
            index = slice(_position(index, items, self), None)
            index = slice(index.start, index.start + 1)
        doomed = {name for name, _ in items[index]}
        self._renumber([module for name, module in items if name not in doomed])

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())  # type: ignore[arg-type]

    def get_config(self) -> dict[str, Any]:
        """The modules by name, as they are now."""
        return {"layers": dict(self._modules)}

    @classmethod
    def from_config(cls: type[Self], config: Mapping[str, Any]) -> Self:
        """A Sequential of these modules."""
        return cls(OrderedDict(config["layers"]))


class ModuleList(Module):
    """A list of modules that are parts of the module it is assigned to; it has no `forward`.

    >>> import gradarray as ga
    >>> layers = ga.nn.ModuleList([ga.nn.Linear(2, 2) for _ in range(3)])
    >>> layers
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module before the one at `index`."""
        modules: list[Any] = list(self)
        modules.insert(index, module)
        self._replace(modules)

    def pop(self, index: int = -1) -> Any:
        """Take out the module at `index` and return it."""
        module = self[index]
        del self[index]
        return module

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return type(self)([*self, *other])

    __iadd__ = extend

    def _replace(self, modules: Iterable[Any]) -> None:
        modules = list(modules)
        self._modules.clear()
        self.extend(modules)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: Any) -> Any:
        modules = list(self._modules.values())
        if isinstance(index, slice):
            return type(self)(modules[index])  # type: ignore[arg-type]
        return modules[_position(index, modules, self)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(str(_position(index, self._modules, self)), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._replace(modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def get_config(self) -> dict[str, Any]:
        """The modules as they are now."""
        return {"modules": list(self)}

    def _repr_parts(self) -> list[str]:
        """Neighbours that read the same are counted, not repeated."""
        runs: list[list[Any]] = []
        for k, part in enumerate(self):
            text = repr(part)
            if runs and runs[-1][2] == text:
                runs[-1][1] = k
            else:
                runs.append([k, k, text])
        return [
            f"({first}): {text}" if first == last
            else f"({first}-{last}): {last - first + 1} x {text}"
            for first, last, text in runs
        ]


class ModuleDict(Module):
    """A dict of modules that are parts of the module it is assigned to; it has no `forward`.

    >>> import gradarray as ga
    >>> heads = ga.nn.ModuleDict({"q": ga.nn.Linear(2, 1), "p": ga.nn.Linear(2, 1)})
    >>> list(heads)
    ['q', 'p']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update({} if modules is None else modules)

    def update(self, modules: Any) -> None:
        """Add the entries of a mapping, or pairs of names and modules."""
        for name, module in modules.items() if hasattr(modules, "items") else modules:
            self[name] = module

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def items(self) -> Any:
        """(name, module) pairs."""
        return self._modules.items()

    def pop(self, key: str) -> Any:
        """Take a module out and return it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def get_config(self) -> dict[str, Any]:
        """The modules by name, as they are now."""
        return {"modules": dict(self._modules)}


def _position(index: Any, items: Any, holder: Module) -> int:
    count = len(items)
    k = operator.index(index)
    if not -count <= k < count:
        raise IndexError(f"index {k} is out of range for a {type(holder).__name__} of {count}")
    return k % count
