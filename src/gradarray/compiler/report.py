"""Report: a compiled step as text: its loops, its code, and what it costs against the machine."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import limits, loops
from .cost import cost_of
from .loop_text import text
from .lower import Host
from .machine import assembly
from .pool import get_threads

if TYPE_CHECKING:
    from .native import Native

LARGEST = 12  # statements that are listed
KINDS = ("loops", "llvm", "asm", "cost")


def shown(native: Native, what: str, inputs: Sequence[Any]) -> str:
    """One of KINDS; `inputs` have the forms of the step's, for a run that is timed."""
    if what == "llvm":
        return native.text
    if what == "asm":
        return assembly(native.text)
    return _loops(native) if what == "loops" else _cost(native, inputs)


def _named(native: Native) -> None:
    """Short names for buffers, by where they come from, in the order in which they are met."""
    low = native.lowering
    for k, buffer in enumerate(low.inputs):
        buffer.name = f"in{k}"
    for k, buffer in enumerate(low.constants):
        buffer.name = f"constant{k}"
    for k, buffer in enumerate(native.results):
        buffer.name = f"out{k}"
    number, variable = itertools.count(), itertools.count()
    seen: set[int] = {id(b) for b in (*low.inputs, *low.constants, *native.results)}

    def var(v: loops.Var) -> None:
        if id(v) not in seen:
            seen.add(id(v))
            v.name = f"i{next(variable)}"

    for s in loops.walk([s for body in (*native.bodies, native.commit) for s in body]):
        for v in getattr(s, "axes", [getattr(s, "var", None)]):
            if v is not None:
                var(v)
        for access, _ in loops.accesses(s):
            if id(access.buffer) not in seen:
                seen.add(id(access.buffer))
                access.buffer.name = f"{'own' if access.buffer.private else 'b'}{next(number)}"


def _loops(native: Native) -> str:
    _named(native)
    bodies = iter(native.bodies)
    lines = []
    for part in native.parts:
        if isinstance(part, Host):
            lines.append(f"# {part.step.op.name}, on the host: {part.step.line}")
        else:
            lines.append(text(next(bodies)))
    if native.commit:
        lines += ["# when no NaN was found, state is written:", text(native.commit)]
    return "\n".join(lines)


class Figures(NamedTuple):
    """What a step does and needs: operations, in which dtype; bytes that come from outside of it
    or go there, each once; bytes of its own memory; and what one core does at best."""

    operations: float
    dtype: np.dtype
    moved: int
    memory: int
    cores: int
    peak: float  # operations a second
    bandwidth: float  # bytes a second

    @property
    def limit(self) -> float:
        """Seconds that this machine needs."""
        return max(self.operations / self.peak, self.moved / self.bandwidth) / self.cores


def figures(native: Native) -> Figures:
    """The figures of a step, for the threads that it has now."""
    native = native.whole()
    every = [s for body in (*native.bodies, native.commit) for s in body]
    dtype = _common(every)
    shared = any(isinstance(s, loops.Loop) and s.parallel for s in every)
    cores = get_threads() if shared else 1
    kept = sum(b.nbytes for b in native.lowering.constants)
    outputs = sum(b.nbytes for b in native.results)
    memory = native.own_at + cores * native.own_size + kept + outputs
    return Figures(
        native.cost.operations, dtype, _moved(native), memory, cores, limits.operations(dtype),
        limits.stream(),
    )  # fmt: skip


def _cost(native: Native, inputs: Sequence[Any]) -> str:
    _named(native)
    cost, f = native.cost, figures(native)
    intensity = cost.operations / max(f.moved, 1)
    every = [s for body in (*native.bodies, native.commit) for s in body]
    took = _timed(native, inputs)
    kept = sum(b.nbytes for b in native.lowering.constants)
    outputs = sum(b.nbytes for b in native.results)
    lines = [
        f"operations            {_number(cost.operations)} ({f.dtype})",
        f"bytes touched         {_size(cost.bytes)}, of these {_size(f.moved)} outside of the step",
        f"arithmetic intensity  {intensity:.1f} operations for each of those",
        f"memory                {_size(native.own_at)} for values between, "
        f"{_size(native.own_size)} more for each thread",
        f"                      {_size(kept)} of constants, {_size(outputs)} of results",
        f"peak memory           {_size(f.memory)}",
        f"this machine          {f.peak / 1e9:.0f} GFLOP/s and {f.bandwidth / 1e9:.1f} GB/s a core",
        f"limit                 {_time(f.limit)} on {_count(f.cores, 'core')}",
        f"measured              {_time(took)}, {100 * f.limit / took:.0f} % of the limit's speed",
        f"statements            {_count(len(every), 'statement')}, the most costly first:",
    ]  # fmt: skip
    ranked = sorted(every, key=lambda s: -cost_of([s]).seconds)[:LARGEST]
    whole = max(cost.seconds, 1e-12)
    for s in ranked:
        one = cost_of([s])
        share = 100 * one.seconds / whole
        lines.append(f"  {share:3.0f} %  {_number(one.operations):>9}  {_what(s)}")
    hosts = [part for part in native.parts if isinstance(part, Host)]
    reasons = native.lowering.host_reasons
    lines.append(f"calls of the host     {len(hosts) or 'none'}")
    for part in hosts:
        name = part.step.op.name
        lines.append(f"  {name}: {reasons.get(name, 'no rule')}, {part.step.line}")
    return "\n".join(lines)


def _common(every: list[Any]) -> np.dtype:
    """The floating dtype in which most is computed."""
    found: dict[np.dtype, float] = {}
    for s in loops.walk(every):
        for access, written in loops.accesses(s):
            if written and access.buffer.dtype.kind == "f":
                key = access.buffer.dtype
                found[key] = found.get(key, 0.0) + cost_of([s]).seconds
    return max(found, key=lambda d: found[d], default=np.dtype("f8"))


def _moved(native: Native) -> int:
    """Bytes that come from outside of the step or go there, each once: what no cache can save."""
    low = native.lowering
    written = set(native.places.values())
    read = sum(b.nbytes * (1 + (k in written)) for k, b in enumerate(low.inputs))
    return read + sum(b.nbytes for b in (*low.constants, *native.results))


def fused(native: Native) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Each statement in a few words, and what it carries out: names of ops, with their lines."""
    _named(native)
    out = []
    for body in native.bodies:
        for s in body:
            labels = [getattr(t, "label", None) for t in loops.walk([s])]
            out.append((_what(s), tuple(one for label in labels if label for one in label.made)))
    hosts = [part.step for part in native.parts if isinstance(part, Host)]
    return out + [(f"call of the host: {s.op.name}", ((s.op.name, s.line),)) for s in hosts]


def _what(s: Any) -> str:
    """A statement in a few words."""
    if isinstance(s, loops.Nest):
        box = " x ".join(str(v.extent) for v in s.axes) or "1"
        return f"nest {box}: {s.label or 'sums of chunks'}"
    if isinstance(s, loops.Loop):
        inside = [t for t in loops.walk(s.body) if not isinstance(t, loops.Loop)]
        products = sum(isinstance(t, (loops.Contract, loops.Gemm)) for t in inside)
        names = [str(t.label) for t in inside if isinstance(t, loops.Nest) and t.label]
        names += [f"{t.name} of LAPACK" for t in inside if isinstance(t, loops.Routine)]
        ops = "; ".join(dict.fromkeys(names))
        how = "parallel loop" if s.parallel else "loop"
        return f"{how} of {s.var.extent}: {_count(products, 'product')}; {ops}"
    if isinstance(s, (loops.Contract, loops.Gemm)):
        how = "BLAS" if isinstance(s, loops.Gemm) else "registers"
        return f"product {s.rows} x {s.inner} x {s.columns}, {how}"
    if isinstance(s, loops.Routine):
        return f"{s.name} of LAPACK"
    if isinstance(s, (loops.Sort, loops.Search)):
        return f"{type(s).__name__.lower()} of {s.size} keys"
    return type(s).__name__.lower()


def _timed(native: Native, inputs: Sequence[Any]) -> float:
    """The best of some runs on copies of the inputs, so that nothing outside changes."""
    given = [
        np.array(x, b.dtype, order="C").reshape(np.shape(x))
        for x, b in zip(inputs, native.lowering.inputs, strict=True)
    ]
    work = native.work()
    native.fill(work, given)
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < 0.2:
        now = time.perf_counter()
        with contextlib.suppress(ValueError, IndexError):  # values that it refuses
            native.go(work)
        best = min(best, time.perf_counter() - now)
    return best


def _number(n: float) -> str:
    for unit in ("", "k", "M", "G"):
        if n < 1000 or unit == "G":
            return f"{n:.0f}{unit}" if n >= 100 or not unit else f"{n:.1f}{unit}"
        n /= 1000
    raise AssertionError


def _size(n: float) -> str:
    return f"{_number(n)}B"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
