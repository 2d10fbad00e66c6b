"""What namespaces show to `dir`, and what they say to names of NumPy's memory and of PyTorch.

A name that another library has, and this one has under another name, is answered with that one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from .errors import message
from .written import written

F = TypeVar("F", bound=Callable[..., Any])

# Functions, as attributes of `gradarray`.
FUNCTIONS = {
    "tensor": "array(values, requires_grad=...)",
    "as_tensor": "asarray(values)",
    "from_numpy": "array(values), which copies",
    "cat": "concatenate(arrays, axis=0)",
    "unsqueeze": "expand_dims(x, axis)",
    "permute": "transpose(x, axes)",
    "chunk": "array_split(x, sections, axis=0)",
    "clamp": "clip(x, min, max)",
    "bmm": "matmul(a, b)",
    "mm": "matmul(a, b)",
    "mv": "matmul(a, x)",
    "index_select": "take(x, indices, axis)",
    "masked_fill": "where(mask, value, x)",
    "rand": "random.uniform(size=shape)",
    "randn": "random.normal(size=shape)",
    "randint": "random.integers(low, high, size)",
    "randperm": "random.permutation(n)",
    "manual_seed": "random.seed(n)",
    "set_grad_enabled": "enable_grad() or no_grad()",
    "inference_mode": "no_grad()",
}

# Attributes of a GradArray, and what to write for them.
ATTRIBUTES = {
    "view": "use x.reshape(shape) for another shape, x.astype(dtype) for another dtype",
    "data": "use x.detach(); a leaf is changed in place inside ga.no_grad()",
    "flat": "use x.ravel()",
    "resize": "use ga.resize(x, new_shape), which makes a new array",
    "put": "use x[indices] = values",
    "unsqueeze": "use ga.expand_dims(x, axis)",
    "permute": "use x.transpose(*axes)",
    "expand": "use ga.broadcast_to(x, shape)",
    "dim": "use x.ndim",
    "numel": "use x.size",
    "clone": "use x.copy()",
    "contiguous": "leave it out: the layout of memory makes no difference",
    "to": "use x.astype(dtype); arrays live in the machine's memory",
    "type": "use x.astype(dtype)",
    "float": 'use x.astype("float32")',
    "double": 'use x.astype("float64")',
    "half": 'use x.astype("float16")',
    "long": 'use x.astype("int64")',
    "int": 'use x.astype("int32")',
    "bool": "use x.astype(bool)",
    "clamp": "use x.clip(min, max)",
    "masked_fill": "use ga.where(mask, value, x)",
    "grad_fn": "use x._grad_op",
}
ATTRIBUTES |= dict.fromkeys(
    ("cpu", "cuda"), "leave it out: arrays live in the machine's memory"
)
ATTRIBUTES |= {
    name: f"it is about NumPy's memory; ask x.detach().numpy().{name}"
    for name in (
        *("base", "ctypes", "flags", "setflags", "strides", "getfield", "setfield"),
        *("byteswap", "tobytes", "tofile", "dump", "dumps"),
    )
}
ATTRIBUTES |= dict.fromkeys(
    ("add_", "sub_", "mul_", "div_", "zero_", "fill_", "copy_", "clamp_"),
    "write x += v and the like, for a leaf inside ga.no_grad()",
)

_IMPORTED = {"Any", "TYPE_CHECKING", "annotations", "import_module"}

# Keywords of functions.
KEYWORDS = {"dim": "axis", "keepdim": "keepdims"}


def visible(space: dict[str, Any], *modules: str) -> list[str]:
    """What `dir` shows of a package: its public names, not the files that they come from."""
    return sorted(
        name
        for name, value in space.items()
        if not name.startswith("_")
        and name not in _IMPORTED
        and (name in modules or not isinstance(value, ModuleType))
    )


def no_function(name: str) -> AttributeError:
    """The error for `ga.name`."""
    right = FUNCTIONS.get(name)
    if right is not None:
        return AttributeError(f"gradarray has no {name!r}; here it is {right}")
    return AttributeError(f"module 'gradarray' has no attribute {name!r}")


def no_attribute(x: Any, name: str, functions: Any) -> AttributeError:
    """The error for `x.name`, x a GradArray."""
    text = f"a GradArray has no attribute {name!r}"
    if name in ATTRIBUTES:
        text += f": {ATTRIBUTES[name]}"
    elif name in functions:
        text += f": use the function ga.{name}"
    return AttributeError(text, name=name, obj=x)


def told_of_keywords(fn: F) -> F:
    """`fn`, which answers the keywords of PyTorch's functions with NumPy's.

    Written out, with the parameters of `fn`, so that a call costs little more.
    """
    told: Any = functools.wraps(fn)(written(lambda env: _told(fn, env), fn.__name__))
    return told


def _told(fn: Callable[..., Any], env: dict[str, Any]) -> str:
    parameters = inspect.signature(fn).parameters.values()
    env.update(_fn=fn, _missing=_MISSING, _refuse=_refuse)
    env.update({f"_{p.name}": p.default for p in parameters})
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    first = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    taken = ["*", *map(_declared, named), *(f"{wrong}=_missing" for wrong in KEYWORDS)]
    taken = [*map(_declared, first), *taken]
    passed = [p.name for p in first] + [f"{p.name}={p.name}" for p in named]
    wrong = [f"if {w} is not _missing: _refuse({fn.__name__!r}, {w!r})" for w in KEYWORDS]
    lines = [f"def call({', '.join(taken)}):", *wrong, f"return _fn({', '.join(passed)})"]
    return "\n ".join(lines)


def _declared(p: inspect.Parameter) -> str:
    return p.name if p.default is p.empty else f"{p.name}=_{p.name}"


def _refuse(name: str, wrong: str) -> None:
    raise TypeError(message(name, f"there is no {wrong}= here: write {KEYWORDS[wrong]}=."))


_MISSING = object()
