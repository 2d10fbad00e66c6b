"""Sorting: the text of two kernels, a stable sort of numbered keys and a search in sorted ones.

Keys are whole numbers without sign that are ordered as the values are (`key_of`). Few are sorted
by insertion, more by their digits of eight bits, the last digit first; a digit in which all keys
agree is skipped.
"""

from __future__ import annotations

import numpy as np

from .expr import Expr, bits, cast, const, make, select
from .loops import Search, Sort

FEW = 80  # keys that are sorted by insertion
DIGIT = 8  # bits


def key_type(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.uint64 if dtype.itemsize == 8 else np.uint32)


def key_of(x: Expr, descending: bool = False) -> Expr:
    """A key that is less where x is less; -0.0 and 0.0 have one key, and NaN the last."""
    unsigned = key_type(x.dtype)
    signed = np.dtype(f"i{unsigned.itemsize}")
    least = const(np.iinfo(signed).min, signed)
    if x.dtype.kind == "f":
        b = bits(make("add", x, const(0.0, x.dtype)), signed)
        side = make("shr", b, const(8 * signed.itemsize - 1, signed))  # all ones if negative
        key = bits(make("xor", b, make("or", side, least)), unsigned)
        key = select(make("ne", x, x), const(np.iinfo(unsigned).max, unsigned), key)
    elif x.dtype.kind == "i":
        key = bits(make("xor", cast(x, signed), least), unsigned)
    else:
        key = cast(x, unsigned)
    return make("not", key) if descending else key


def sort_text(s: Sort) -> str:
    """A kernel of (keys, order, keys beside, order beside)."""
    kind = f"i{8 * s.keys.buffer.dtype.itemsize}"
    if s.size <= FEW:
        return _INSERTION.format(kind=kind, n=s.size)
    digits = 8 * s.keys.buffer.dtype.itemsize // DIGIT
    # LLVM casts between different types only.
    casts = {"kind": kind, "widened": f"zext {kind}", "to": " to i64"}
    if kind == "i64":
        casts |= {"widened": "add i64", "to": ", 0"}
    counted = "\n".join(
        _COUNTED.format(d=d, shift=DIGIT * d, at=d << DIGIT, **casts) for d in range(digits)
    )
    return _DIGITS.format(
        **casts, n=s.size, digits=digits, places=digits << DIGIT, counted=counted,
        bytes=8 * s.size, clear=4 * (digits << DIGIT),
        shift="trunc i64 %shift.wide to i32" if kind == "i32" else "add i64 %shift.wide, 0",
    )  # fmt: skip


MEMORY = (
    "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
    "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
)

_INSERTION = """define internal void @SELF(ptr %keys, ptr %order, ptr %keys2, ptr %order2) #0 {{
entry:
  br label %next
next:
  %i = phi i64 [ 1, %entry ], [ %i.next, %placed ]
  %more = icmp slt i64 %i, {n}
  br i1 %more, label %take, label %end
take:
  %key.at = getelementptr {kind}, ptr %keys, i64 %i
  %key = load {kind}, ptr %key.at
  %number.at = getelementptr i64, ptr %order, i64 %i
  %number = load i64, ptr %number.at
  br label %look
look:
  %j = phi i64 [ %i, %take ], [ %before, %move ]
  %some = icmp sgt i64 %j, 0
  %before = sub i64 %j, 1
  br i1 %some, label %compare, label %placed
compare:
  %left.at = getelementptr {kind}, ptr %keys, i64 %before
  %left = load {kind}, ptr %left.at
  %greater = icmp ugt {kind} %left, %key
  br i1 %greater, label %move, label %placed
move:
  %to = getelementptr {kind}, ptr %keys, i64 %j
  store {kind} %left, ptr %to
  %left.number.at = getelementptr i64, ptr %order, i64 %before
  %left.number = load i64, ptr %left.number.at
  %to.number = getelementptr i64, ptr %order, i64 %j
  store i64 %left.number, ptr %to.number
  br label %look
placed:
  %key.to = getelementptr {kind}, ptr %keys, i64 %j
  store {kind} %key, ptr %key.to
  %number.to = getelementptr i64, ptr %order, i64 %j
  store i64 %number, ptr %number.to
  %i.next = add i64 %i, 1
  br label %next
end:
  ret void
}}
"""

# Of one key: its digit d, and one more of those.
_COUNTED = """  %s{d} = lshr {kind} %k, {shift}
  %g{d} = and {kind} %s{d}, 255
  %z{d} = {widened} %g{d}{to}
  %w{d} = add i64 %z{d}, {at}
  %p{d} = getelementptr i32, ptr %counts, i64 %w{d}
  %c{d} = load i32, ptr %p{d}
  %n{d} = add i32 %c{d}, 1
  store i32 %n{d}, ptr %p{d}"""

_DIGITS = """define internal void @SELF(ptr %keys, ptr %order, ptr %keys2, ptr %order2) #0 {{
entry:
  %counts = alloca [{places} x i32], align 64
  call void @llvm.memset.p0.i64(ptr %counts, i8 0, i64 {clear}, i1 false)
  br label %count
count:
  %i = phi i64 [ 0, %entry ], [ %i.next, %count ]
  %k.at = getelementptr {kind}, ptr %keys, i64 %i
  %k = load {kind}, ptr %k.at
{counted}
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, {n}
  br i1 %more, label %count, label %pass
pass:
  %d = phi i64 [ 0, %count ], [ %d.next, %passed ]
  %from = phi ptr [ %keys, %count ], [ %from.next, %passed ]
  %from.order = phi ptr [ %order, %count ], [ %from.order.next, %passed ]
  %into = phi ptr [ %keys2, %count ], [ %into.next, %passed ]
  %into.order = phi ptr [ %order2, %count ], [ %into.order.next, %passed ]
  %start = mul i64 %d, 256
  %these = getelementptr i32, ptr %counts, i64 %start
  %shift.wide = mul i64 %d, 8
  %shift = {shift}
  %first = load {kind}, ptr %from
  %first.shifted = lshr {kind} %first, %shift
  %first.digit = and {kind} %first.shifted, 255
  %first.place = {widened} %first.digit{to}
  %first.at = getelementptr i32, ptr %these, i64 %first.place
  %first.count = load i32, ptr %first.at
  %alike = icmp eq i32 %first.count, {n}
  br i1 %alike, label %passed, label %sum
sum:
  %b = phi i64 [ 0, %pass ], [ %b.next, %sum ]
  %total = phi i32 [ 0, %pass ], [ %total.next, %sum ]
  %b.at = getelementptr i32, ptr %these, i64 %b
  %b.count = load i32, ptr %b.at
  store i32 %total, ptr %b.at
  %total.next = add i32 %total, %b.count
  %b.next = add i64 %b, 1
  %b.more = icmp slt i64 %b.next, 256
  br i1 %b.more, label %sum, label %move
move:
  %m = phi i64 [ 0, %sum ], [ %m.next, %move ]
  %m.at = getelementptr {kind}, ptr %from, i64 %m
  %m.key = load {kind}, ptr %m.at
  %m.order.at = getelementptr i64, ptr %from.order, i64 %m
  %m.order = load i64, ptr %m.order.at
  %m.shifted = lshr {kind} %m.key, %shift
  %m.digit = and {kind} %m.shifted, 255
  %m.place = {widened} %m.digit{to}
  %to.at = getelementptr i32, ptr %these, i64 %m.place
  %to = load i32, ptr %to.at
  %to.next = add i32 %to, 1
  store i32 %to.next, ptr %to.at
  %to.wide = zext i32 %to to i64
  %to.key = getelementptr {kind}, ptr %into, i64 %to.wide
  store {kind} %m.key, ptr %to.key
  %to.order = getelementptr i64, ptr %into.order, i64 %to.wide
  store i64 %m.order, ptr %to.order
  %m.next = add i64 %m, 1
  %m.more = icmp slt i64 %m.next, {n}
  br i1 %m.more, label %move, label %passed
passed:
  %from.next = phi ptr [ %from, %pass ], [ %into, %move ]
  %into.next = phi ptr [ %into, %pass ], [ %from, %move ]
  %from.order.next = phi ptr [ %from.order, %pass ], [ %into.order, %move ]
  %into.order.next = phi ptr [ %into.order, %pass ], [ %from.order, %move ]
  %d.next = add i64 %d, 1
  %d.more = icmp slt i64 %d.next, {digits}
  br i1 %d.more, label %pass, label %end
end:
  %there = icmp eq ptr %from.order.next, %order
  br i1 %there, label %out, label %copy
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %order, ptr %from.order.next, i64 {bytes}, i1 false)
  br label %out
out:
  ret void
}}
"""


def search_text(s: Search) -> str:
    """A kernel of (sorted keys, keys, places): of each key the number of those that are less.

    With `equal` those that are equal are counted, too.
    """
    kind = f"i{8 * s.keys.buffer.dtype.itemsize}"
    before = "ule" if s.equal else "ult"
    return _SEARCH.format(kind=kind, n=s.size, count=s.count, before=before)


_SEARCH = """define internal void @SELF(ptr %sorted, ptr %keys, ptr %places) #0 {{
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %found ]
  %k.at = getelementptr {kind}, ptr %keys, i64 %i
  %k = load {kind}, ptr %k.at
  br label %half
half:
  %low = phi i64 [ 0, %next ], [ %low.next, %look ]
  %high = phi i64 [ {n}, %next ], [ %high.next, %look ]
  %more = icmp slt i64 %low, %high
  br i1 %more, label %look, label %found
look:
  %both = add i64 %low, %high
  %middle = lshr i64 %both, 1
  %at = getelementptr {kind}, ptr %sorted, i64 %middle
  %x = load {kind}, ptr %at
  %before = icmp {before} {kind} %x, %k
  %beyond = add i64 %middle, 1
  %low.next = select i1 %before, i64 %beyond, i64 %low
  %high.next = select i1 %before, i64 %high, i64 %middle
  br label %half
found:
  %to = getelementptr i64, ptr %places, i64 %i
  store i64 %low, ptr %to
  %i.next = add i64 %i, 1
  %again = icmp slt i64 %i.next, {count}
  br i1 %again, label %next, label %end
end:
  ret void
}}
"""
