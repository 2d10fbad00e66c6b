"""Where in a program an op was carried out: user function, layer, library function, nested."""

from __future__ import annotations

from typing import Any, NamedTuple

from .record import Made, Spot

_NAMELESS = frozenset({"<module>", "forward", "__call__"})


class Scope(NamedTuple):
    """One of the things around an op, such as the layer `0.lin`, a `Linear`."""

    kind: str  # function (the user's), layer, library
    label: str
    what: str = ""  # the class of a layer
    where: str = ""  # its path in the model
    call: tuple[int, int] = (0, 0)  # the user's frame, and the instruction in it, that called


def scope(made: Made | None) -> tuple[Scope, ...]:
    """What an op was carried out in, the outermost first.

    A layer stands where the frame of its `forward` does; layers of the library, which have no
    frame of the user's, stand inside of what called them.
    """
    if made is None:
        return ()
    modules = [] if made.model is None else [made.model, *made.layers]
    paths = _paths(made.model, modules)
    out: list[Scope] = []
    at = 0
    caller = (0, 0)
    for spot in reversed(made.spots):
        found = next((k for k in range(at, len(modules)) if _runs(modules[k], spot)), None)
        if found is not None:
            out += [_layer(modules, paths, k) for k in range(at, found + 1)]
            at = found + 1
        elif spot.code.co_name not in _NAMELESS:
            out.append(Scope("function", spot.code.co_name.strip("<>"), call=caller))
        caller = spot.frame, spot.instruction
    out += [_layer(modules, paths, k) for k in range(at, len(modules))]
    return (*out, *(Scope("library", one, call=caller) for one in made.within))


def _runs(module: Any, spot: Spot) -> bool:
    return getattr(type(module).forward, "__code__", None) is spot.code


def _paths(model: Any, modules: list[Any]) -> dict[int, str]:
    if model is None or not hasattr(model, "named_modules"):
        return {}
    wanted = {id(m) for m in modules}
    return {id(m): path for path, m in model.named_modules() if id(m) in wanted}


def _layer(modules: list[Any], paths: dict[int, str], k: int) -> Scope:
    module = modules[k]
    path = paths.get(id(module), "")
    above = paths.get(id(modules[k - 1]), "") if k else ""
    label = path.removeprefix(f"{above}.") if above else path
    return Scope("layer", label, type(module).__name__, path)
