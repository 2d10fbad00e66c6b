"""Model files: one safetensors file with the arrays, and the configuration in its header.

The header's metadata holds "format" ("gradarray"), "version" and "config", a JSON text: a module is
its class and the arguments that it is made of, which may be modules themselves; beside it stand the
arrays that are shared under several names and those that are frozen. Only classes of gradarray, and
classes entered with `register`, are ever built from a file; nothing in a file is executed, and no
pickle is read or written. Names of arrays are those of `state_dict`, PyTorch's where the layers
are, so safetensors files of other programs load into a model with `ga.load(path, into=model)`.
"""

from __future__ import annotations

import json
import os
from typing import Any, TypeVar

import numpy as np

from .. import nn, random
from ..array import GradArray
from ..errors import message
from ..nn.layer import limited
from . import safetensors
from .safetensors import ModelFileError

FORMAT = "gradarray"
VERSION = 1

# What JSON has no form for is an object with one of these keys; a dict's own "$" is doubled.
_MODULE, _TUPLE = "$module", "$tuple"

_library: dict[str, type[nn.Module]] = {}
_users: dict[str, type[nn.Module]] = {}
C = TypeVar("C", bound=type[nn.Module])


def enter(name: str, cls: type[nn.Module]) -> None:
    """Make a class of `train` known to model files."""
    _library[f"train.{name}"] = cls


def register(cls: C) -> C:
    """Let `ga.load` rebuild a class of yours: a decorator. Its `get_config` tells the arguments.

    A class is known by its name. Raises ValueError if another class has that name; the same class,
    defined anew, takes the place of the old one.

    >>> import gradarray as ga
    >>> @ga.train.register
    ... class Net(ga.nn.Module):
    ...     def __init__(self, width=4):
    ...         super().__init__()
    ...         self.layer = ga.nn.Linear(width, 1)
    ...     def forward(self, x):
    ...         return self.layer(x)
    """
    old = _users.get(cls.__name__)
    if old is not None and (old.__module__, old.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            message(
                "register",
                f"{cls.__name__} is registered already, by {old.__module__}.{old.__qualname__}.",
                "Rename one of the two.",
            )
        )
    _users[cls.__name__] = cls
    return cls


# Configuration ------------------------------------------------------------------------------------


def _name_of(module: nn.Module) -> str:
    cls = type(module)
    if _users.get(cls.__name__) is cls:
        return f"user.{cls.__name__}"
    if _library.get(f"train.{cls.__name__}") is cls:
        return f"train.{cls.__name__}"
    if getattr(nn, cls.__name__, None) is cls:
        return f"nn.{cls.__name__}"
    return f"other.{cls.__name__}"


def _class_of(name: str, path: Any) -> Any:
    kind, _, label = name.partition(".")
    found: Any = None
    if kind == "nn" and not label.startswith("_"):
        found = nn.__dict__.get(label)
    elif kind == "train":
        found = _library.get(name)
    else:
        found = _users.get(label)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelFileError(
            message(
                "load",
                f"{path} holds a {label}, which is not a class that can be rebuilt here.",
                f"Enter the class with @ga.train.register, or make the model and give "
                f"ga.load({str(path)!r}, into=model).",
            )
        )
    return found


def _encode(value: Any) -> Any:
    """A module, or an argument of one, as JSON."""
    if isinstance(value, nn.Module):
        name = _name_of(value)
        # A class that cannot be rebuilt need not tell its arguments.
        config = {} if name.startswith("other.") else value.get_config()
        out: dict[str, Any] = {_MODULE: name, "config": _encode(dict(config))}
        if not value.training:
            out["training"] = False
        return out
    if isinstance(value, dict):
        return {_escaped(str(key)): _encode(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE: [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if isinstance(value, (GradArray, np.ndarray, np.generic)):
        return value.tolist()
    return value


def _escaped(key: str) -> str:
    return f"${key}" if key.startswith("$") else key


def _decode(value: Any, path: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item, path) for item in value]
    if not isinstance(value, dict):
        return value
    if _TUPLE in value:
        return tuple(_decode(value[_TUPLE], path))
    if _MODULE not in value:
        return {key.removeprefix("$"): _decode(item, path) for key, item in value.items()}
    name, config = value[_MODULE], value.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise ModelFileError(message("load", f"{path}: the configuration is damaged."))
    cls = _class_of(name, path)
    arguments = _decode(config, path)
    try:
        module = cls.from_config(arguments)
    except ModelFileError:
        raise
    except Exception as error:  # whatever a constructor does with arguments that no one checked
        raise ModelFileError(
            message("load", f"{path}: {name} cannot be made as the file says: {error}")
        ) from error
    if value.get("training") is False:
        module.training = False
    return module


def _shared(model: nn.Module) -> list[list[str]]:
    """Names under which one and the same array stands."""
    names: dict[int, list[str]] = {}
    for name, handle in nn.state.entries(model).items():
        names.setdefault(id(handle), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _place(model: nn.Module, name: str) -> tuple[dict[str, Any], str]:
    """The table in which the array of this name stands, and its name there."""
    path, _, last = name.rpartition(".")
    module = model.get_submodule(path)
    return (module._parameters if last in module._parameters else module._buffers), last


def _share(model: nn.Module, groups: list[list[str]]) -> None:
    for first, *others in groups:
        table, name = _place(model, first)
        for other in others:
            target, last = _place(model, other)
            if target[last].shape != table[name].shape:
                raise ValueError(f"{first} and {other} are shared, and have different shapes")
            target[last] = table[name]


# Files --------------------------------------------------------------------------------------------


def save(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the model's arrays and configuration to `path`, in one step.

    Raises TypeError for constructor arguments that JSON cannot hold.
    """
    inner = _unwrapped(model)
    frozen = [name for name, p in inner.named_parameters() if not p.requires_grad]
    content = {"model": _encode(model), "shared": _shared(inner), "frozen": frozen}
    try:
        config = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            message(
                "save",
                f"an argument of a layer cannot be written as JSON: {error}.",
                "Define get_config and from_config on its class, or use save_weights.",
            )
        ) from None
    metadata = {"format": FORMAT, "version": str(VERSION), "config": config}
    safetensors.write(path, model.state_dict(), metadata)


def save_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the model's arrays to `path`, in one step."""
    safetensors.write(path, model.state_dict(), {"format": FORMAT})


def load_weights(model: nn.Module, path: str | os.PathLike[str], strict: bool = True) -> Any:
    """Read arrays into a model; nothing changes if names or shapes do not fit."""
    arrays, _ = safetensors.read(path)
    return model.load_state_dict(arrays, strict)


def load(path: str | os.PathLike[str], into: nn.Module | None = None) -> Any:
    """The model in a file, rebuilt; or its arrays read `into` a model of yours.

    Raises ModelFileError (a ValueError) for a file that is damaged, or whose class is not known
    here; ValueError where names or shapes do not fit, leaving `into` as it was. A model that is
    rebuilt takes little more memory than the arrays in the file, whatever its configuration says.

    >>> import gradarray as ga, tempfile, pathlib
    >>> model = ga.Sequential(ga.nn.Linear(2, 3), ga.nn.Tanh())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     model.save(path)
    ...     again = ga.load(path)
    >>> bool((again.predict([[1.0, 2.0]]) == model.predict([[1.0, 2.0]])).all())
    True
    """
    arrays, metadata = safetensors.read(path)
    if into is not None:
        into.load_state_dict(arrays)
        return into
    if "config" not in metadata:
        raise ModelFileError(
            message(
                "load",
                f"{path} holds arrays but no configuration of a model.",
                "Make the model and give ga.load(path, into=model).",
            )
        )
    if metadata.get("version") != str(VERSION):
        raise ModelFileError(
            message(
                "load",
                f"{path} is written in version {metadata.get('version')!r} of the format; this "
                f"release reads version {VERSION}.",
            )
        )
    try:
        return _rebuild(json.loads(metadata["config"]), arrays, path)
    except ModelFileError:
        raise
    except RecursionError:
        raise ModelFileError(
            message("load", f"{path}: the configuration is nested too deeply.")
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFileError(
            message("load", f"{path}: the configuration is damaged: {error}")
        ) from error


def _rebuild(content: Any, arrays: dict[str, np.ndarray], path: Any) -> nn.Module:
    # New layers draw their first values: the user's stream of random numbers must not notice.
    stream = random.default_generator.state_dict()
    try:
        # Twice: an encoder is made of copies of a layer. And arrays that are shared, or no state.
        size = sum(a.size for a in arrays.values())
        with limited(2 * len(arrays) + 1000, 2 * size + 1000):
            model = _decode(content["model"], path)
    finally:
        random.default_generator.load_state_dict(stream)
    if not isinstance(model, nn.Module):
        raise ModelFileError(message("load", f"{path}: the configuration is of no module."))
    inner = _unwrapped(model)
    _share(inner, content["shared"])
    model.load_state_dict(arrays)
    for name in content["frozen"]:
        inner.get_parameter(name).requires_grad_(False)
    return model


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module whose names the file has: a Model that only wraps adds nothing to them."""
    if type(model) is _library["train.Model"]:
        return model._modules["module"] or model
    return model
