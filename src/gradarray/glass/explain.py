"""`ga.explain`: how a value, and its derivative, came about."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, from_user, wrap
from ..errors import DTypeError, GraphError, message
from .build import Builder
from .record import Keeper
from .story import Story


def explain(f: Any) -> Any:
    if isinstance(f, GradArray):
        return told(f, None, "y")
    return functools.partial(_run, f, sys._getframe(0))


def _run(f: Any, _: Any, *args: Any, **kwargs: Any) -> Story:
    keeper = Keeper(sys._getframe(0))
    leaves, form = tree.flatten((args, kwargs))
    names = _argument_names(f, args, kwargs)
    given = []
    for x, name in zip(leaves, names, strict=True):
        x = _argument(x)
        keeper.call(x, name)
        given.append(x)
    args, kwargs = tree.unflatten(form, given)
    with graph.recording(), graph.watching(keeper):
        y = f(*args, **kwargs)
    title = getattr(f, "__name__", "")
    title = title if title.isidentifier() else "y"
    return told(y, keeper, title)


def told(y: GradArray, keeper: Keeper | None, title: str) -> Story:
    y = y._base()
    seed = np.ones(y.shape, y.dtype) if y.shape else y.dtype.type(1)
    return Builder(y, keeper, title).story(seed)


def _argument(x: Any) -> Any:
    if isinstance(x, (bool, int)) or x is None or isinstance(x, str):
        return x
    raw = x._base()._data if isinstance(x, GradArray) else np.array(x)[()]
    if getattr(raw, "dtype", None) is None or raw.dtype.kind not in "fc":
        return x
    handle = wrap(raw if not raw.ndim else raw.view())
    handle.requires_grad = True
    return handle


def _argument_names(f: Any, args: Any, kwargs: Any) -> list[str]:
    try:
        bound = inspect.signature(f).bind(*args, **kwargs)
        positional = list(bound.arguments)[: len(args)]
    except (TypeError, ValueError):
        positional = []
    out = []
    for k, x in enumerate(args):
        name = positional[k] if k < len(positional) else f"x{k}"
        out += [_path(name, p) for p in tree.paths(tree.flatten(x)[1])]
    for key, x in kwargs.items():
        out += [_path(key, p) for p in tree.paths(tree.flatten(x)[1])]
    return out


def _path(name: str, path: str) -> str:
    keys = [part.strip("'\"") for part in path.strip("[]").split("][")] if path else []
    return keys[-1] if keys and keys[-1].isidentifier() else "_".join([name, *keys])
