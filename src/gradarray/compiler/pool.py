"""Pool: threads that share the turns of a parallel loop, in native code.

A loop's turns are claimed one by one with an atomic counter, by the caller and by the workers
alike, and the caller waits for turns that are finished, never for workers: one that sleeps, or
that a fork left behind, is not missed, for the caller alone gets to the end. Which thread runs a
turn changes nothing in the result; turns write to places of their own.

Workers are made when they are first needed. They look for work for some microseconds after the
last, then sleep on a futex (Linux). Elsewhere there is one thread, the caller.

The words of the pool, 64 bits each, a cache line apart:

    word      turns << 32 | the next one; claimed by compare-and-swap
    done      turns that are finished
    epoch     counts loops; what sleepers wait on
    sleepers  how many sleep
    limit     how many threads may take part
    started   workers that there are
    taken     is a loop under way? (another caller then runs its own turns alone)
    job       body, arena, table, the workers' own memory, and how much of it each has
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import sys
import threading
from collections.abc import Iterator
from typing import Any

from ..errors import message
from .ir import ATTRIBUTES
from .machine import Loaded, for_good, object_code, processors

MOST = 32  # threads
SPINS = 4000  # looks for work before a worker sleeps, some 50 us

_WORDS = ("word", "done", "epoch", "sleepers", "limit", "started", "taken", "job")
_FUTEX = {"x86_64": 202, "aarch64": 98}
_WAIT, _WAKE = 128, 129  # private to the process
_NAMES = ("pthread_create", "pthread_detach", "pthread_sigmask", "syscall", "sched_yield")


def available() -> int:
    """The processors that this process may use."""
    return min(processors(), MOST)


def can_share() -> bool:
    """Is there more than the caller's thread here?"""
    return sys.platform == "linux" and platform.machine() in _FUTEX


def set_threads(n: int) -> None:
    """Let at most n threads share the work of a compiled step, from now on.

    The default is the number of processors that the process may use. Results do not depend on it,
    to the last bit. Raises ValueError unless n is a whole number from 1 on.

    >>> import gradarray as ga
    >>> ga.set_threads(1)
    >>> ga.set_threads(ga.get_threads())
    """
    check_number(n, "set_threads")
    _chosen[0] = min(n, MOST)
    if _shared.cache_info().currsize:
        _set("limit", _chosen[0])


def check_number(n: Any, op: str) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(message(op, f"{n!r} threads.", "Give a whole number, 1 or more."))


def get_threads() -> int:
    """How many threads may share the work of a compiled step.

    >>> import gradarray as ga
    >>> with ga.threads(1):
    ...     ga.get_threads()
    1
    """
    return _chosen[0] or available()


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Let at most n threads share the work of the steps that are called within.

    >>> import gradarray as ga
    >>> step = ga.compile(lambda x: ga.exp(x).sum())
    >>> with ga.threads(1):
    ...     step(ga.array([0.0, 0.0]))
    GradArray(2., dtype=float64)
    """
    before = get_threads()
    set_threads(n)
    try:
        yield
    finally:
        set_threads(before)


_chosen = [0]


def symbols() -> dict[str, int]:
    """The address of `share`, for code that has parallel loops."""
    with making:  # another thread may be about to make it
        return {"share": _shared().addresses["share"]}


making = threading.RLock()


@functools.cache
def _shared() -> Loaded:
    """The pool's code and words."""
    libc = ctypes.CDLL(None) if can_share() else None
    found = {
        name: ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0 for name in _NAMES
    } if libc else {}  # fmt: skip
    code = object_code(_text() + ATTRIBUTES, number=1)
    loaded = for_good(Loaded([code], ("share", "words"), found))  # workers are in it to the end
    _words.append(ctypes.CFUNCTYPE(ctypes.c_void_p)(loaded.addresses["words"])() or 0)
    _set("limit", get_threads())
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
    return loaded


_words: list[int] = []


def _set(name: str, value: int) -> None:
    ctypes.c_int64.from_address(_words[0] + 64 * _WORDS.index(name)).value = value


def _forget() -> None:
    """In a forked child there are no workers, and no loop is under way."""
    for name in ("word", "done", "sleepers", "started", "taken"):
        _set(name, 0)


# The code -----------------------------------------------------------------------------------------


def _at(name: str, field: int = 0) -> str:
    at = 64 * _WORDS.index(name) + 8 * field
    return f"getelementptr (i8, ptr @memory, i64 {at})"


def _text() -> str:
    shared = (_WORKER if can_share() else "") + _SHARE
    if not can_share():
        shared = SERIAL
    fields = {name: _at(name) for name in _WORDS}
    fields |= {f"job{k}": _at("job", k) for k in range(5)}
    pause, declared = "", ""
    if platform.machine() in ("x86_64", "AMD64"):
        pause, declared = "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"
    elif platform.machine() in ("aarch64", "arm64"):
        pause = "call void @llvm.aarch64.hint(i32 1)"
        declared = "declare void @llvm.aarch64.hint(i32)"
    numbers = {
        "PAUSE": pause, "SPINS": SPINS, "FUTEX": _FUTEX.get(platform.machine(), 0),
        "WAIT": _WAIT, "WAKE": _WAKE,
    }  # fmt: skip
    for name, value in {**fields, **numbers}.items():
        shared = shared.replace(f"<{name}>", str(value))
    return f"@memory = global [{64 * len(_WORDS)} x i8] zeroinitializer, align 64\n{declared}\n" + (
        "define ptr @words() #0 {\n  ret ptr @memory\n}\n" + shared
    )


# One turn after the other, by the caller.
_ONE_BY_ONE = """
serial:
  br label %serial.head
serial.head:
  %k = phi i64 [ 0, %serial ], [ %k.next, %serial.turn ]
  %more = icmp slt i64 %k, %turns
  br i1 %more, label %serial.turn, label %out
serial.turn:
  call void %body(ptr %arena, ptr %table, i64 %k, ptr %own)
  %k.next = add i64 %k, 1
  br label %serial.head
out:
  ret void
}
"""

SERIAL = (
    """
define void @share(ptr %body, i64 %turns, ptr %arena, ptr %table, ptr %own, i64 %size) #0 {
  br label %serial
"""
    + _ONE_BY_ONE
)

_WORKER = """
declare i64 @syscall(i64, ...)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sched_yield()

; Claim a turn and run it: is there one left?
define internal i1 @claim(i64 %me) #0 {
  br label %look
look:
  %word = load atomic i64, ptr <word> acquire, align 8
  %turns = lshr i64 %word, 32
  %next = and i64 %word, 4294967295
  %left = icmp ult i64 %next, %turns
  br i1 %left, label %try, label %none
try:
  %after = add i64 %word, 1
  %pair = cmpxchg ptr <word>, i64 %word, i64 %after acq_rel monotonic
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %run, label %look
run:
  %body = load ptr, ptr <job0>
  %arena = load ptr, ptr <job1>
  %table = load ptr, ptr <job2>
  %own = load ptr, ptr <job3>
  %size = load i64, ptr <job4>
  %far = mul i64 %size, %me
  %here = getelementptr i8, ptr %own, i64 %far
  call void %body(ptr %arena, ptr %table, i64 %next, ptr %here)
  %old = atomicrmw add ptr <done>, i64 1 release
  ret i1 true
none:
  ret i1 false
}

define internal ptr @worker(ptr %number) #0 {
  %me = ptrtoint ptr %number to i64
  br label %look
look:
  %spin = phi i64 [ 0, %0 ], [ %spin.next, %wait ], [ 0, %ran ], [ 0, %sleep ]
  %epoch = load atomic i32, ptr <epoch> acquire, align 8
  %limit = load atomic i64, ptr <limit> acquire, align 8
  %asked = icmp slt i64 %me, %limit
  br i1 %asked, label %try, label %idle
try:
  %ran.one = call i1 @claim(i64 %me)
  br i1 %ran.one, label %ran, label %idle
ran:
  br label %look
idle:
  %soon = icmp slt i64 %spin, <SPINS>
  br i1 %soon, label %wait, label %sleep
wait:
  <PAUSE>
  %spin.next = add i64 %spin, 1
  br label %look
sleep:
  %s0 = atomicrmw add ptr <sleepers>, i64 1 seq_cst
  %f = call i64 (i64, ...) @syscall(i64 <FUTEX>, ptr <epoch>, i32 <WAIT>, i32 %epoch, ptr null)
  %s1 = atomicrmw sub ptr <sleepers>, i64 1 seq_cst
  br label %look
}
"""

_SHARE = (
    """
; Workers 1 .. limit - 1, with all signals left to the threads of Python.
define internal void @start(i64 %limit) #0 {
  %all = alloca [128 x i8], align 8
  %old = alloca [128 x i8], align 8
  %id = alloca i64
  call void @llvm.memset.p0.i64(ptr %all, i8 -1, i64 128, i1 false)
  %m0 = call i32 @pthread_sigmask(i32 2, ptr %all, ptr %old)
  br label %head
head:
  %have = load i64, ptr <started>
  %me = add i64 %have, 1
  %want = icmp slt i64 %me, %limit
  br i1 %want, label %make, label %end
make:
  %number = inttoptr i64 %me to ptr
  %failed = call i32 @pthread_create(ptr %id, ptr null, ptr @worker, ptr %number)
  %made = icmp eq i32 %failed, 0
  br i1 %made, label %next, label %end
next:
  %thread = load i64, ptr %id
  %d = call i32 @pthread_detach(i64 %thread)
  store i64 %me, ptr <started>
  br label %head
end:
  %m1 = call i32 @pthread_sigmask(i32 2, ptr %old, ptr null)
  ret void
}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define void @share(ptr %body, i64 %turns, ptr %arena, ptr %table, ptr %own, i64 %size) #0 {
  %limit = load i64, ptr <limit>
  %one = icmp slt i64 %limit, 2
  br i1 %one, label %serial, label %many
many:
  %pair = cmpxchg ptr <taken>, i64 0, i64 1 acquire monotonic
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %ours, label %serial
ours:
  %have = load i64, ptr <started>
  %least = sub i64 %limit, 1
  %lacking = icmp slt i64 %have, %least
  br i1 %lacking, label %begin, label %set
begin:
  call void @start(i64 %limit)
  br label %set
set:
  store ptr %body, ptr <job0>
  store ptr %arena, ptr <job1>
  store ptr %table, ptr <job2>
  store ptr %own, ptr <job3>
  store i64 %size, ptr <job4>
  store atomic i64 0, ptr <done> monotonic, align 8
  %word = shl i64 %turns, 32
  store atomic i64 %word, ptr <word> release, align 8
  %e = atomicrmw add ptr <epoch>, i32 1 seq_cst
  %sleep = load atomic i64, ptr <sleepers> seq_cst, align 8
  %wake = icmp sgt i64 %sleep, 0
  br i1 %wake, label %call, label %work
call:
  %many32 = trunc i64 %least to i32
  %w = call i64 (i64, ...) @syscall(i64 <FUTEX>, ptr <epoch>, i32 <WAKE>, i32 %many32)
  br label %work
work:
  %ran = call i1 @claim(i64 0)
  br i1 %ran, label %work, label %join
join:
  %spin = phi i64 [ 0, %work ], [ %spin.next, %again ], [ 0, %yield ]
  %done = load atomic i64, ptr <done> acquire, align 8
  %all = icmp eq i64 %done, %turns
  br i1 %all, label %over, label %again.or
again.or:
  %soon = icmp slt i64 %spin, 2000
  br i1 %soon, label %again, label %yield
again:
  <PAUSE>
  %spin.next = add i64 %spin, 1
  br label %join
yield:
  %y = call i32 @sched_yield()
  br label %join
over:
  store atomic i64 0, ptr <taken> release, align 8
  br label %out
"""
    + _ONE_BY_ONE
)
