"""Export: a compiled step as an object file with a C header, and its weights beside it.

The object holds the step's native code for this processor, on one thread, and needs nothing but
the C library's mathematics (and a BLAS where the step calls one). The header has three functions:

    NAME_step *NAME_open(const char *weights);     the state as it was exported; NULL: no such file
    int NAME(NAME_step *, const float *x0, .., float *y0, ..);
    void NAME_close(NAME_step *);

A step changes its state in place, as it does in Python. NAME gives 0; 1 where absorbing products
would be needed (a NaN was found) and 2 where an index or a loop was out of bounds, and then the
state is as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tree
from ..errors import message
from . import pool
from .machine import object_code
from .memory import View
from .native import ALIGN
from .record import Output

if TYPE_CHECKING:
    from .native import Native
    from .record import Recorded

_C = {
    "f4": "float", "f8": "double", "i1": "int8_t", "i2": "int16_t", "i4": "int32_t",
    "i8": "int64_t", "u1": "uint8_t", "u2": "uint16_t", "u4": "uint32_t", "u8": "uint64_t",
    "b1": "uint8_t", "c8": "float _Complex", "c16": "double _Complex",
}  # fmt: skip


_LIMITS = {2**63 - 1: "INT64_MAX", -(2**63): "INT64_MIN"}


def export(
    folder: Any, name: str, recorded: Recorded, native: Native, form: tree.Structure,
    values: Sequence[Any],
) -> list[Path]:  # fmt: skip
    """Write name.o, name.h and name.weights; `values` are those of the step's inputs now."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ValueError(
            message("export", f"{name!r} is no name of a C function.", "Give one: name='predict'.")
        )
    if native.hosted:
        calls = ", ".join(sorted(native.lowering.host_reasons))
        raise ValueError(
            message("export", f"{calls} has no native code and is a call of Python.")
        )
    at = Path(folder)
    at.mkdir(parents=True, exist_ok=True)
    header = _Header(name, recorded, native, form, values)
    paths = [at / f"{name}.{kind}" for kind in ("o", "h", "weights")]
    paths[0].write_bytes(object_code(_alone(native.text, name, native.routines)))
    paths[1].write_text(header.text(), encoding="utf-8")
    paths[2].write_bytes(bytes(header.weights))
    return paths


def _alone(text: str, name: str, routines: Sequence[str]) -> str:
    """The code under names of its own, with the turns of parallel loops one after the other."""
    text = re.sub(r"define void @(entry\d+|commit)\(", rf"define void @{name}_\1(", text)
    for routine in routines:
        text = re.sub(rf"@{routine}\(", f"@{routine}_(", text)
    declared = "declare void @share(ptr, i64, ptr, ptr, ptr, i64)"
    return text.replace(declared, pool.SERIAL.replace("define void", "define internal void"))


class _Header:
    """The text of the header, and the bytes of the weights."""

    def __init__(
        self, name: str, recorded: Recorded, native: Native, form: tree.Structure,
        values: Sequence[Any],
    ) -> None:  # fmt: skip
        self.name, self.recorded, self.native = name, recorded, native
        self.weights = bytearray()
        self.parameters: list[str] = []
        self.fixed: list[str] = []  # statements of open
        self.before: list[str] = []  # of a call
        self.after: list[str] = []
        self._inputs(tree.paths(form), values)
        for index, data in native.constants:
            self.fixed.append(self._place(index, data))
        self._outputs()
        self._restored()

    def _place(self, index: int, data: np.ndarray) -> str:
        """Put an array among the weights."""
        start = len(self.weights)
        raw = data.tobytes()
        self.weights += raw + bytes(-len(raw) % ALIGN)
        return f"s->table[{index}] = s->weights + {start};"

    def _inputs(self, paths: list[str], values: Sequence[Any]) -> None:
        written = set(self.native.places.values())
        buffers = self.native.lowering.inputs
        known: dict[int, int] = {}
        for k, ((slot, value), now) in enumerate(zip(self.recorded.reads, values, strict=True)):
            index = buffers[k].index
            if slot.handle is not None or slot.gradient:
                self.fixed.append(self._place(index, np.asarray(now, value.dtype)))
                continue
            number = known.setdefault(slot.argument, len(known))
            kind = _type(value.dtype)
            const = "" if k in written else "const "
            what = tree.argument(paths[slot.argument])
            self.parameters.append(f"{const}{kind} *x{number} /* {what}, {_form(value.shape)} */")
            self.before.append(f"s->table[{index}] = (void *)x{number};")

    def _outputs(self) -> None:
        views = self.native.lowering.outputs
        inside: dict[int, str] = {}  # of a buffer: the pointer's text
        number = 0
        for leaf in self.recorded.result:
            if type(leaf) is not Output:
                continue
            view = views[leaf.at]
            if not isinstance(view, View):
                raise ValueError(message("export", "a result is a constant.", "Leave it out."))
            form, dtype = self.native.form(leaf.at)
            y = f"y{number}"
            number += 1
            self.parameters.append(f"{_type(dtype)} *{y} /* result, {_form(form)} */")
            index = view.buffer.index
            if index in inside:
                self.after.append(f"memcpy({y}, {inside[index]}, {view.buffer.nbytes});")
            else:
                inside[index] = y
                self.before.append(f"s->table[{index}] = {y};")
        for buffer in self.native.results:
            if buffer.index not in inside:  # a gradient or the like, for nobody outside
                inside[buffer.index] = f"s->table[{buffer.index}]"
                self.fixed.append(self._place(buffer.index, np.zeros(buffer.size, buffer.dtype)))
        reads = {id(slot): k for k, (slot, _) in enumerate(self.recorded.reads)}
        for slot, at in self.recorded.writes:
            view, k = views[at], reads.get(id(slot))
            if at in self.native.places or k is None or not isinstance(view, View):
                continue
            to = self.native.lowering.inputs[k].index
            source = inside[view.buffer.index]
            self.after.append(f"memcpy(s->table[{to}], {source}, {view.buffer.nbytes});")

    def _restored(self) -> None:
        """After what was out of bounds, the words that say so."""
        low = self.native.lowering
        self.status = low.status
        self.reset: list[str] = []
        if low.status is not None:
            self.reset.append(f"*(int64_t *)s->table[{low.status.index}] = 0;")
        for watch in low.watched:
            for k, fresh in enumerate(watch.fresh):
                word = f"((int64_t *)s->table[{watch.cells.index}])[{k}]"
                self.reset.append(f"{word} = {_LIMITS.get(fresh, fresh)};")

    def text(self) -> str:
        name, native = self.name, self.native
        parts = [f"{name}_entry{k}" for k in range(len(native.bodies))]
        commit = [f"{name}_commit"] if native.commit else []
        declared = "\n".join(f"void {f}(void *arena, void **table);" for f in [*parts, *commit])
        run = [f"{f}(s->arena, s->table);" for f in parts]
        if self.status is not None:
            reset = " ".join(self.reset)
            word = f"*(int64_t *)s->table[{self.status.index}]"
            run.append(f"if ({word}) {{ {reset} return 2; }}")
        if native.lowering.flag is not None:
            run.append(f"if (((unsigned char *)s->arena)[{native.lowering.flag.offset}]) return 1;")
        run += [f"{f}(s->arena, s->table);" for f in commit]
        parameters = ", ".join(f"\n    {p}" for p in [f"{name}_step *s", *self.parameters])
        blas = ""
        if native.routines:
            names = ", ".join(f"{routine}_" for routine in native.routines)
            blas = f"; calls BLAS or LAPACK ({names}), link one"
        size = native.own_at + native.own_size
        return _TEXT.format(
            name=name, upper=name.upper(), count=native.unused + 1, weights=len(self.weights),
            arena=size, align=ALIGN, declared=declared, parameters=parameters, blas=blas,
            fixed=_block(self.fixed), body=_block([*self.before, *run, *self.after]),
        )  # fmt: skip


def _block(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _type(dtype: np.dtype) -> str:
    return _C[dtype.str[1:]]


def _form(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "one number"


_TEXT = """/* {name}: written by gradarray; row-major arrays{blas}. */
#ifndef GRADARRAY_{upper}_H
#define GRADARRAY_{upper}_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

{declared}

typedef struct {{
    void *table[{count}];
    char *arena, *weights;
    void *memory;
}} {name}_step;

static inline void {name}_close({name}_step *s) {{
    if (s) free(s->memory);
    free(s);
}}

/* The step with its state as in the file; NULL if it cannot be read whole. */
static inline {name}_step *{name}_open(const char *weights) {{
    {name}_step *s = ({name}_step *)calloc(1, sizeof *s);
    FILE *file = fopen(weights, "rb");
    size_t most = {weights} + {arena} + 2 * {align}, count = 0;
    if (s) s->memory = calloc(1, most);
    if (s && s->memory && file) {{
        s->weights = (char *)(((uintptr_t)s->memory + {align} - 1) / {align} * {align});
        s->arena = s->weights + {weights};
        count = fread(s->weights, 1, {weights}, file);
        if (fgetc(file) != EOF) count = (size_t)-1;
    }}
    if (file) fclose(file);
    if (!s || !s->memory || !file || count != {weights}) {{
        {name}_close(s);
        return NULL;
    }}
{fixed}
    return s;
}}

/* 0: done; 1: a NaN was found, 2: something was out of bounds, and the state is as it was. */
static inline int {name}({parameters}) {{
{body}
    return 0;
}}

#endif
"""
