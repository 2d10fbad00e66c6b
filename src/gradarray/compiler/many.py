"""Many: a version of a compiled step, run on one batch after the other in one native entry.

Batches are rows of arrays that stay where they are: taken in order, or gathered by indices (a
shuffled epoch). State goes from one batch to the next in place, as from call to call. Between two
batches Python's signals are seen, and the entry ends if a word in memory says so; an entry that is
left early, for whatever reason, has done a number of whole batches, and says which.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, wrap
from .arguments import is_dynamic
from .call import Call, Unusual, gate_of
from .gate_text import DONE
from .ir import ATTRIBUTES, Writer
from .machine import Loaded, for_good, object_code
from .memory import View
from .native import LONG, Native
from .reads import Reads
from .record import Output, Recorded, Slot
from .rows import Rows

HEAD, INPUT, OUTPUT = 3, 7, 3  # words of a plan of moves, of an input, of an output


class Many:
    """What runs a version on many batches. Raises Unusual where it must be called for each.

    `long`: does it let other threads of Python run, and is no hurry to come back?
    """

    def __init__(
        self, recorded: Recorded, native: Native, call: Call, leaves: Sequence[Any]
    ) -> None:
        if call.gate is None:
            raise Unusual
        self._call, self._native, self._recorded = call, native, recorded
        self._check()
        self._leaves = [k for k, leaf in enumerate(leaves) if is_dynamic(leaf)]
        if not all(isinstance(leaves[k], GradArray) and leaves[k].ndim for k in self._leaves):
            raise Unusual
        reads = Reads(recorded, native, leaves)
        reads.read()
        buffers = native.lowering.inputs
        self._index = {
            slot.argument: buffers[k].index
            for k, (slot, _) in enumerate(recorded.reads) if slot.handle is None
        }  # fmt: skip
        self._forms = {k: (leaves[k].shape, leaves[k].dtype) for k in self._leaves}
        self._made = self._outputs()
        self._moves = np.zeros(
            HEAD + INPUT * len(self._index) + OUTPUT * len(self._made), np.int64
        )
        self._gate = gate_of(
            native, call.work, reads.records, 0, _loaded().addresses["move"],
            self._moves.ctypes.data,
        )  # fmt: skip
        self._free = threading.Lock()
        self.long = native.cost.seconds > LONG

    def _check(self) -> None:
        """Is everything that a batch changes there for the next one?"""
        recorded, places = self._recorded, self._native.places
        if recorded.attached or recorded.same:
            raise Unusual
        read = {_key(slot) for slot, _ in recorded.reads}
        after: dict[Any, bool] = {_key(slot): False for slot in recorded.cleared}
        for slot, at in recorded.writes:
            if slot.handle is None or (at not in places and _key(slot) in read):
                raise Unusual
            if slot.gradient:
                after[_key(slot)] = True
        for slot, had in recorded.gradients:
            gradient = Slot(slot.handle, slot.argument, True)
            if after.get(_key(gradient), had) != had or (slot.handle is None and had):
                raise Unusual
        for x in recorded.result:
            if isinstance(x, GradArray) or (type(x) is Output and x.at in places):
                raise Unusual

    def _outputs(self) -> dict[Any, tuple[int, bool]]:
        """The outputs that are made anew, by their buffers; is there one for each batch?"""
        outputs = self._native.lowering.outputs
        kept = {x.at for x in self._recorded.result if type(x) is Output}
        found: dict[Any, tuple[int, bool]] = {}
        for at, view in enumerate(outputs):
            if isinstance(view, View) and at not in self._native.places:
                _, each = found.get(view.buffer, (at, False))
                found[view.buffer] = at, each or at in kept
        return found

    def __call__(self, rows: Rows, stop: np.ndarray | None = None) -> tuple[int, Any]:
        """Run batches until one does not fit, or the word `stop` is not 0: how many were run, and
        what the function returned, each array with the batches along a new first axis."""
        if not self._free.acquire(blocking=False):
            return 0, None  # under way in another thread
        try:
            return self._run(rows, stop)
        finally:
            self._free.release()

    def _run(self, rows: Rows, stop: np.ndarray | None) -> tuple[int, Any]:
        gate, held = self._gate, self._give(rows)
        if held is None:
            return 0, None
        arrays = self._results(rows.count)
        gate.set("turns", rows.count)
        gate.set("turn", 0)
        gate.set("stop", 0 if stop is None else stop.ctypes.data)
        answer = gate.call()
        done = gate.get("turn")
        if answer == DONE and done:
            self._bind(arrays)
        return done, self._result(arrays, done)

    def _give(self, rows: Rows) -> list[Any] | None:
        """Where batches come from; None if their form is another."""
        moves, size = self._moves, rows.size
        moves[:HEAD] = size, len(self._index), len(self._made)
        held: list[Any] = [rows.order]
        at = HEAD
        for k, x in zip(self._leaves, rows.arrays, strict=True):
            shape, dtype = self._forms[k]
            if (size, *x.shape[1:]) != shape or x.dtype.newbyteorder("=") != dtype:
                return None
            if k not in self._index:
                continue
            order, first = rows.order, rows.first
            if not _has_whole_rows(x):
                span = slice(first, first + size * rows.count)
                x, order, first = np.ascontiguousarray(x[span if order is None else order[span]],
                                                       np.dtype(dtype.type)), None, 0  # fmt: skip
            row = x[0].nbytes
            step = x.strides[0] if len(x) > 1 else row
            in_place = order is None and step == row
            copy = None if in_place else np.empty(size * row + 8, np.uint8)
            moves[at : at + INPUT] = (
                x.__array_interface__["data"][0], 0 if copy is None else copy.ctypes.data,
                0 if order is None else order.ctypes.data, first, step, row, self._index[k],
            )  # fmt: skip
            at += INPUT
            held += [x, copy]
        return held

    def _results(self, count: int) -> dict[Any, np.ndarray]:
        """Memory for what is made: for each batch, or for the last one."""
        at = HEAD + INPUT * len(self._index)
        arrays = {}
        for buffer, (output, each) in self._made.items():
            shape, dtype = self._native.form(output)
            array = arrays[buffer] = np.empty((count, *shape) if each else shape, dtype)
            step = array[0].nbytes if each else 0
            self._moves[at : at + OUTPUT] = array.ctypes.data, step, buffer.index
            at += OUTPUT
        return arrays

    def _array(self, arrays: dict[Any, np.ndarray], at: int, each: bool) -> Any:
        view = self._native.lowering.outputs[at]
        if not isinstance(view, View):
            return view
        array = arrays[view.buffer]
        return array[-1] if self._made[view.buffer][1] and not each else array

    def _bind(self, arrays: dict[Any, np.ndarray]) -> None:
        """State and gradients, as they are after the last batch."""
        for slot in self._recorded.cleared:
            slot.owner(())._gradient = None
        for slot, at in self._recorded.writes:
            if at in self._native.places:
                continue
            y = self._array(arrays, at, False)
            if slot.gradient:
                slot.owner(())._gradient = wrap(y if y.shape else y[()])
            else:
                slot.owner(())._rebind(y if y.shape else y[()])

    def _result(self, arrays: dict[Any, np.ndarray], done: int) -> Any:
        leaves = []
        for x in self._recorded.result:
            if type(x) is Output:
                y = self._array(arrays, x.at, True)
                given = isinstance(self._native.lowering.outputs[x.at], View)
                x = wrap(y[:done] if given else np.broadcast_to(y, (done, *np.shape(y))))
            leaves.append(x)
        return tree.unflatten(self._recorded.form, leaves)


def _key(slot: Slot) -> tuple[int, int, bool]:
    return id(slot.handle), slot.argument, slot.gradient


def _has_whole_rows(x: np.ndarray) -> bool:
    """Do the elements of each row lie side by side, in the bytes of this machine?"""
    fits = x.flags.aligned and x.dtype.isnative
    return bool(fits and len(x) and (x[0].flags.c_contiguous or not x.ndim > 1))


@functools.cache
def _loaded() -> Loaded:
    move = ctypes.cast(ctypes.memmove, ctypes.c_void_p).value or 0
    return for_good(Loaded([object_code(_text() + ATTRIBUTES)], ("move",), {"memmove": move}))


def _text() -> str:
    """Before each batch: the addresses of its rows, or copies of them; where results go."""
    w = Writer(set())
    w.label("entry")
    rows, inputs, outputs = (w.field("%moves", 8 * k, "i64") for k in range(HEAD))
    before = w.let(f"mul i64 {rows}, %turn")

    def put(index: str, address: str) -> None:
        w.put(f"store ptr {address}, ptr {w.let(f'getelementptr ptr, ptr %table, i64 {index}')}")

    each = w.loop(inputs)
    at = each.carry("ptr", w.let(f"getelementptr i64, ptr %moves, i64 {HEAD}"))
    with each:
        source, copy, order = (w.field(at, 8 * k) for k in range(3))
        first, step, size, index = (w.field(at, 8 * k, "i64") for k in range(3, INPUT))
        first = w.let(f"add i64 {first}, {before}")
        there = w.let(f"getelementptr i8, ptr {source}, i64 {w.let(f'mul i64 {first}, {step}')}")
        in_place = w.let(f"icmp eq ptr {copy}, null")
        copies = w.loop(w.let(f"select i1 {in_place}, i64 0, i64 {rows}"))
        to = copies.carry("ptr", copy)
        with copies as k:
            of = w.let(f"add i64 {first}, {k}")
            w.put(
                f"call void @copy(ptr {to}, ptr {source}, i64 {step}, ptr {order}, i64 {of}, "
                f"i64 {size})"
            )
            copies.set(to, w.let(f"getelementptr i8, ptr {to}, i64 {size}"))
        put(index, w.let(f"select i1 {in_place}, ptr {there}, ptr {copy}"))
        each.set(at, w.let(f"getelementptr i64, ptr {at}, i64 {INPUT}"))
    results = w.loop(outputs)
    at = results.carry("ptr", at)
    with results:
        base = w.field(at, 0)
        step, index = (w.field(at, 8 * k, "i64") for k in range(1, OUTPUT))
        far = w.let(f"mul i64 {step}, %turn")
        put(index, w.let(f"getelementptr i8, ptr {base}, i64 {far}"))
        results.set(at, w.let(f"getelementptr i64, ptr {at}, i64 {OUTPUT}"))
    return f"{_COPY}\n{w.procedure('void @move(ptr %moves, ptr %table, i64 %turn)')}"


# A row of an array, the one at a place of an order if there is one; sizes that are met often
# without a call.
_COPY = """
declare ptr @memmove(ptr, ptr, i64)

define internal void @copy(
  ptr %to, ptr %source, i64 %step, ptr %order, i64 %at, i64 %size
) #0 {
  %plain = icmp eq ptr %order, null
  br i1 %plain, label %row, label %look
look:
  %place = getelementptr i64, ptr %order, i64 %at
  %number = load i64, ptr %place
  br label %row
row:
  %n = phi i64 [ %at, %0 ], [ %number, %look ]
  %far = mul i64 %n, %step
  %from = getelementptr i8, ptr %source, i64 %far
  switch i64 %size, label %many [ i64 4, label %four
                                  i64 8, label %eight ]
four:
  %a = load i32, ptr %from, align 1
  store i32 %a, ptr %to, align 1
  ret void
eight:
  %b = load i64, ptr %from, align 1
  store i64 %b, ptr %to, align 1
  ret void
many:
  %p = call ptr @memmove(ptr %to, ptr %from, i64 %size)
  ret void
}
"""
