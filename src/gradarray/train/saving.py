"""Model files: one safetensors file with the arrays, and the configuration in its header.

The configuration is JSON: for every module its class, its arguments and its parts. Only classes of
gradarray, and classes entered with `register`, are ever built from a file; nothing in a file is
executed, and no pickle is read or written. Names are those of `state_dict`, PyTorch's where the
layers are, so other programs' safetensors files load into a model with `ga.load(path, into=model)`.
"""

from __future__ import annotations

import json
import os
from typing import Any, TypeVar

from .. import nn
from ..errors import message
from . import safetensors
from .model import Model, Sequential

FORMAT = "gradarray"
VERSION = 1
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)

_classes: dict[str, type[nn.Module]] = {}
C = TypeVar("C", bound=type[nn.Module])


def register(cls: C) -> C:
    """Let `ga.load` rebuild a class of yours: a decorator. Its `get_config` tells the arguments.

    >>> import gradarray as ga
    >>> @ga.train.register
    ... class Net(ga.nn.Module):
    ...     def __init__(self, width=4):
    ...         super().__init__()
    ...         self.layer = ga.nn.Linear(width, 1)
    ...     def forward(self, x):
    ...         return self.layer(x)
    """
    _classes[f"user.{cls.__name__}"] = cls
    return cls


def _name_of(module: nn.Module) -> str:
    cls = type(module)
    for name, known in _classes.items():
        if known is cls:
            return name
    if cls in (Model, Sequential):
        return f"train.{cls.__name__}"
    if getattr(nn, cls.__name__, None) is cls:
        return f"nn.{cls.__name__}"
    return f"other.{cls.__name__}"


def _class_of(name: str, path: Any) -> type[nn.Module]:
    kind, _, label = name.partition(".")
    found: Any = None
    if kind == "nn" and not label.startswith("_"):
        found = nn.__dict__.get(label)
    elif kind == "train":
        found = {"Model": Model, "Sequential": Sequential}.get(label)
    else:
        found = _classes.get(f"user.{label}")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise safetensors.ModelFileError(
            message(
                "load",
                f"{path} holds a {label}, which is not a class that can be rebuilt here.",
                f"Enter the class with @ga.train.register, or make the model and give "
                f"ga.load({str(path)!r}, into=model).",
            )
        )
    return found


def config_of(module: nn.Module) -> dict[str, Any]:
    """What a module is made of, as JSON: class, arguments, parts of a container."""
    config: dict[str, Any] = {"class": _name_of(module)}
    if type(module) is Model:
        config["parts"] = {"module": config_of(module.module)}
    elif isinstance(module, _CONTAINERS) and type(module) in (*_CONTAINERS, Sequential):
        config["parts"] = {name: config_of(part) for name, part in module.named_children()}
    elif config["class"].startswith("other."):
        config["config"] = {}
    else:
        config["config"] = module.get_config()
    if not module.training:
        config["training"] = False
    return config


def _build(config: Any, path: Any) -> nn.Module:
    if not isinstance(config, dict) or not isinstance(config.get("class"), str):
        raise safetensors.ModelFileError(
            message("load", f"{path}: the configuration is damaged.")
        )
    cls = _class_of(config["class"], path)
    parts = config.get("parts")
    try:
        if parts is not None:
            built = {str(name): _build(part, path) for name, part in parts.items()}
            if cls is Model:
                module: Any = Model(built["module"])
            elif issubclass(cls, nn.ModuleList):
                module = cls(list(built.values()))
            elif issubclass(cls, nn.ModuleDict):
                module = cls(built)
            else:
                module = cls()
                for name, part in built.items():
                    module.add_module(name, part)
        else:
            module = cls.from_config(config["config"])
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        if isinstance(error, safetensors.ModelFileError):
            raise
        raise safetensors.ModelFileError(
            message("load", f"{path}: {config['class']} cannot be made from its file: {error}")
        ) from None
    if config.get("training") is False:
        module.training = False
    return module


def save(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the model's arrays and configuration to `path`, in one step.

    Raises TypeError for constructor arguments that JSON cannot hold.
    """
    try:
        config = json.dumps(config_of(model))
    except TypeError as error:
        raise TypeError(
            message(
                "save",
                f"an argument of a layer is not JSON: {error}.",
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
    here; ValueError where names or shapes do not fit, leaving `into` as it was.

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
        raise safetensors.ModelFileError(
            message(
                "load",
                f"{path} holds arrays but no configuration of a model.",
                "Make the model and give ga.load(path, into=model).",
            )
        )
    try:
        config = json.loads(metadata["config"])
    except (ValueError, RecursionError):
        raise safetensors.ModelFileError(
            message("load", f"{path}: the configuration is not JSON.")
        ) from None
    model = _build(config, path)
    model.load_state_dict(arrays)
    return model
