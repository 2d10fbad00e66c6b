"""The gate in LLVM's text, and the words that it and Python agree on."""

from __future__ import annotations

from .ir import Writer
from .objects import DATA, DESCR, FLAGS, HEAD, NDIM, SIZES, slots

DONE, NAN, MISFIT, BUSY = range(4)  # what the gate answers

PLAN = (
    "busy", "release", "arguments", "count", "records", "arena", "table", "parts", "number",
    "flag", "commit", "none", "ndarray", "held", "status", "turns", "turn", "before", "moves",
    "stop", "failed",
)  # fmt: skip
RECORD = (
    "holder", "at", "through", "type", "node", "gradient", "scalar", "descr", "ndim", "sizes",
    "flags", "references", "index",
)  # fmt: skip
ITSELF, ITS_DATA, ITS_GRADIENT = range(3)  # `through`
ANY, ABSENT, THERE = range(3)  # `node`, `gradient`


class _Writer(Writer):
    """With what the gate asks of its plan and of its records."""

    def plan(self, name: str, kind: str = "ptr") -> str:
        return self.field("%plan", 8 * PLAN.index(name), kind)

    def record(self, name: str, kind: str = "ptr") -> str:
        return self.field("%r", 8 * RECORD.index(name), kind)

    def same(self, a: str, b: str, kind: str = "ptr") -> str:
        return self.let(f"icmp eq {kind} {a}, {b}")

    def need(self, condition: str, name: str) -> None:
        """Go on at `name` where it is true, else the object does not fit."""
        self.choose(condition, name, "misfit")
        self.label(name)

    def answer(self, label: str, status: int) -> None:
        self.label(label)
        found = self.let(f"call ptr @PyLong_FromLong(i64 {status})")
        self.put(f"ret ptr {found}")


def text() -> str:
    w = _Writer(set())
    w.label("entry")
    w.put(f"%plan = load ptr, ptr {w.let(f'getelementptr i8, ptr %self, i64 {DATA}')}")
    busy = w.plan("busy")  # where the word lies
    w.choose(w.same(w.let(f"load i64, ptr {busy}"), "0", "i64"), "free", "busy")
    w.label("free")
    w.need(w.same(w.plan("arguments", "i64"), "%count", "i64"), "start")
    number, records = w.plan("count", "i64"), w.plan("records")
    arena, table, none = w.plan("arena"), w.plan("table"), w.plan("none")
    release = w.let(f"icmp ne i64 {w.plan('release', 'i64')}, 0")
    held = w.plan("held")
    w.go("head")
    w.label("head")
    w.put("%k = phi i64 [ 0, %start ], [ %k.next, %next ]")
    w.put(f"%r = phi ptr [ {records}, %start ], [ %r.next, %next ]")
    w.choose(w.let(f"icmp slt i64 %k, {number}"), "look", "ready")
    w.label("look")
    _find(w, none)
    _compare(w)
    w.label("put")
    w.put("%address = phi ptr [ %scalar.data, %scalar ], [ %array.data, %array ]")
    index = w.record("index", "i64")
    w.put(f"store ptr %address, ptr {w.let(f'getelementptr ptr, ptr {table}, i64 {index}')}")
    w.go("next")
    w.label("next")
    w.put(f"store ptr %x, ptr {w.let(f'getelementptr ptr, ptr {held}, i64 %k')}")
    w.put("%k.next = add i64 %k, 1")
    w.put(f"%r.next = getelementptr i8, ptr %r, i64 {8 * len(RECORD)}")
    w.go("head")
    _run(w, arena, table, release, held, number)
    w.answer("done", DONE)
    w.answer("nan", NAN)
    w.answer("misfit", MISFIT)
    w.answer("busy", BUSY)
    declared = "\n".join([
        "declare ptr @PyEval_SaveThread()", "declare void @PyEval_RestoreThread(ptr)",
        "declare i32 @PyErr_CheckSignals()", "declare ptr @PyLong_FromLong(i64)",
        "declare void @Py_IncRef(ptr)", "declare void @Py_DecRef(ptr)",
    ])  # fmt: skip
    return f"{declared}\n{w.function('ptr @gate(ptr %self, ptr %args, i64 %count)')}"


def _find(w: _Writer, none: str) -> None:
    """%x: the array or number of a record."""
    place = slots()
    assert place is not None
    fixed = w.record("holder")
    w.choose(w.same(fixed, "null"), "argument", "holder")
    w.label("argument")
    place_of = w.let(f"getelementptr ptr, ptr %args, i64 {w.record('at', 'i64')}")
    given = w.let(f"load ptr, ptr {place_of}")
    w.go("holder")
    w.label("holder")
    w.put(f"%h = phi ptr [ {fixed}, %look ], [ {given}, %argument ]")
    kind = w.record("type")
    w.need(w.let(f"or i1 {w.same(kind, 'null')}, {w.same(kind, w.field('%h', 8))}"), "typed")
    through = w.record("through", "i64")
    w.choose(w.same(through, str(ITSELF), "i64"), "found", "handle")
    w.label("handle")
    gradient = w.field("%h", place.gradient)
    absent = w.same(gradient, none)
    fits = []
    for name, is_none in (("node", w.same(w.field("%h", place.node), none)), ("gradient", absent)):
        wanted = w.record(name, "i64")
        is_there = w.let(f"select i1 {is_none}, i64 {ABSENT}, i64 {THERE}")
        either = w.same(wanted, str(ANY), "i64"), w.same(wanted, is_there, "i64")
        fits.append(w.let(f"or i1 {either[0]}, {either[1]}"))
    w.need(w.let(f"and i1 {fits[0]}, {fits[1]}"), "bound")
    w.choose(w.same(through, str(ITS_DATA), "i64"), "data", "gradient")
    w.label("gradient")
    w.choose(absent, "misfit", "data")
    w.label("data")
    owner = w.let(f"phi ptr [ %h, %bound ], [ {gradient}, %gradient ]")
    data = w.field(owner, place.data)
    w.go("found")
    w.label("found")
    w.put(f"%x = phi ptr [ %h, %typed ], [ {data}, %data ]")


def _compare(w: _Writer) -> None:
    """Go to `scalar` or to `array` with the address of the data, to `next`, or to `misfit`."""
    scalar, descr = w.record("scalar"), w.record("descr")
    nothing = w.let(f"and i1 {w.same(scalar, 'null')}, {w.same(descr, 'null')}")
    w.choose(nothing, "next", "wanted")
    w.label("wanted")
    kind = w.field("%x", 8)
    w.choose(w.same(kind, scalar), "scalar", "other")
    w.label("scalar")
    w.put(f"%scalar.data = getelementptr i8, ptr %x, i64 {HEAD}")
    w.go("put")
    w.label("other")
    w.need(w.same(kind, w.plan("ndarray")), "is_array")
    w.need(w.same(descr, w.field("%x", DESCR)), "same_dtype")
    ndim = w.let(f"sext i32 {w.field('%x', NDIM, 'i32')} to i64")
    w.need(w.same(w.record("ndim", "i64"), ndim, "i64"), "same_ndim")
    flags = w.let(f"zext i32 {w.field('%x', FLAGS, 'i32')} to i64")
    asked = w.record("flags", "i64")
    w.need(w.same(w.let(f"and i64 {flags}, {asked}"), asked, "i64"), "same_flags")
    count = w.let(f"zext i32 {w.field('%x', 0, 'i32')} to i64")
    most = w.record("references", "i64")
    either = w.same(most, "0", "i64"), w.let(f"icmp ule i64 {count}, {most}")
    w.need(w.let(f"or i1 {either[0]}, {either[1]}"), "same_count")
    sizes, wanted = w.field("%x", SIZES), w.record("sizes")
    w.go("axes")
    w.label("axes")
    w.put("%a = phi i64 [ 0, %same_count ], [ %a.next, %axis ]")
    w.choose(w.let(f"icmp slt i64 %a, {ndim}"), "axis", "array")
    w.label("axis")
    have, want = (
        w.let(f"load i64, ptr {w.let(f'getelementptr i64, ptr {p}, i64 %a')}")
        for p in (sizes, wanted)
    )
    w.put("%a.next = add i64 %a, 1")
    w.choose(w.same(have, want, "i64"), "axes", "misfit")
    w.label("array")
    w.put(f"%array.data = load ptr, ptr {w.let(f'getelementptr i8, ptr %x, i64 {DATA}')}")
    w.go("put")


def _each_held(w: _Writer, name: str, held: str, number: str, function: str, before: str) -> None:
    """function(object) for everything that was found."""
    w.go(name)
    w.label(name)
    w.put(f"%{name}.k = phi i64 [ 0, %{before} ], [ %{name}.next, %{name}.one ]")
    w.choose(w.let(f"icmp slt i64 %{name}.k, {number}"), f"{name}.one", f"{name}.end")
    w.label(f"{name}.one")
    x = w.let(f"load ptr, ptr {w.let(f'getelementptr ptr, ptr {held}, i64 %{name}.k')}")
    w.put(f"call void @{function}(ptr {x})")
    w.put(f"%{name}.next = add i64 %{name}.k, 1")
    w.go(name)
    w.label(f"{name}.end")


def _run(w: _Writer, arena: str, table: str, release: str, held: str, number: str) -> None:
    w.label("ready")
    turns, busy = w.plan("turns", "i64"), w.plan("busy")
    several = w.let(f"icmp sgt i64 {turns}, 1")
    long = w.let(f"or i1 {release}, {several}")  # other code of Python may run meanwhile
    w.choose(long, "leave", "turns")
    w.label("leave")
    w.put(f"store i64 1, ptr {busy}")
    _each_held(w, "hold", held, number, "Py_IncRef", "leave")
    w.go("turns")
    w.label("turns")
    w.put("%turn = phi i64 [ 0, %ready ], [ 0, %hold.end ], [ %turn.next, %asked ]")
    w.choose(release, "let_go", "go")
    w.label("let_go")
    state = w.let("call ptr @PyEval_SaveThread()")
    w.go("go")
    w.label("go")
    w.put(f"%state = phi ptr [ null, %turns ], [ {state}, %let_go ]")
    before = w.plan("before")
    w.choose(w.same(before, "null"), "prepared", "before")
    w.label("before")
    w.put(f"call void {before}(ptr {w.plan('moves')}, ptr {table}, i64 %turn)")
    w.go("prepared")
    w.label("prepared")
    parts, count = w.plan("parts"), w.plan("number", "i64")
    status = w.plan("status")  # of loops that have a limit
    failed = w.plan("failed")  # calls of the host
    w.go("parts")
    w.label("parts")
    w.put("%p = phi i64 [ 0, %prepared ], [ %p.next, %part ], [ %p.next, %hosted ]")
    w.choose(w.let(f"icmp slt i64 %p, {count}"), "part", "ran")
    w.label("part")
    part = w.let(f"load ptr, ptr {w.let(f'getelementptr ptr, ptr {parts}, i64 %p')}")
    w.put(f"call void {part}(ptr {arena}, ptr {table})")
    w.put("%p.next = add i64 %p, 1")
    w.choose(w.same(failed, "null"), "parts", "hosted")
    w.label("hosted")
    w.choose(w.same(w.let(f"load i64, ptr {failed}"), "0", "i64"), "parts", "fails")
    w.label("fails")
    w.put(f"store i64 0, ptr {failed}")
    w.go("ran")
    w.label("ran")
    w.put("%broken = phi i1 [ false, %parts ], [ true, %fails ]")
    w.choose(release, "return", "back")
    w.label("return")
    w.put("call void @PyEval_RestoreThread(ptr %state)")
    w.go("back")
    w.label("back")
    w.choose(long, "look_at_signals", "flagged")
    w.label("look_at_signals")
    signal = w.let("call i32 @PyErr_CheckSignals()")
    w.go("flagged")
    w.label("flagged")
    w.put(f"%signal = phi i32 [ 0, %back ], [ {signal}, %look_at_signals ]")
    flag = w.plan("flag")
    w.choose(w.same(flag, "null"), "clean", "flag")
    w.label("flag")
    byte = w.let(f"load i8, ptr {flag}")
    found = w.let(f"icmp ne i8 {byte}, 0")
    w.go("clean")
    w.label("clean")
    w.put(f"%spoiled = phi i1 [ false, %flagged ], [ {found}, %flag ]")
    w.choose(w.same(status, "null"), "known", "limit")
    w.label("limit")
    unfinished = w.let(f"icmp ne i64 {w.let(f'load i64, ptr {status}')}, 0")
    w.go("known")
    w.label("known")
    w.put(f"%limited = phi i1 [ false, %clean ], [ {unfinished}, %limit ]")
    w.put("%unfinished = or i1 %limited, %broken")
    calm = w.same("%signal", "0", "i32")
    wrong = w.let("or i1 %spoiled, %unfinished")
    fine = w.let(f"and i1 {calm}, {w.let(f'xor i1 {wrong}, true')}")
    done = w.let(f"add i64 %turn, {w.let(f'zext i1 {fine} to i64')}")
    turn_at = w.let(f"getelementptr i8, ptr %plan, i64 {8 * PLAN.index('turn')}")
    w.put(f"store i64 {done}, ptr {turn_at}")
    w.choose(fine, "commit", "end")
    w.label("commit")
    commit = w.plan("commit")
    w.choose(w.same(commit, "null"), "committed", "late")
    w.label("late")
    w.choose(release, "let_go_again", "write")
    w.label("let_go_again")
    again = w.let("call ptr @PyEval_SaveThread()")
    w.go("write")
    w.label("write")
    w.put(f"%again = phi ptr [ null, %late ], [ {again}, %let_go_again ]")
    w.put(f"call void {commit}(ptr {arena}, ptr {table})")
    w.choose(release, "take", "committed")
    w.label("take")
    w.put("call void @PyEval_RestoreThread(ptr %again)")
    w.go("committed")
    w.label("committed")
    w.put("%turn.next = add i64 %turn, 1")
    w.choose(w.let(f"icmp slt i64 %turn.next, {turns}"), "more", "end")
    w.label("more")
    stop = w.plan("stop")
    w.choose(w.same(stop, "null"), "asked", "stop")
    w.label("stop")
    w.choose(w.same(w.let(f"load i64, ptr {stop}"), "0", "i64"), "asked", "end")
    w.label("asked")
    w.go("turns")
    w.label("end")
    w.choose(long, "drop_", "over")
    w.label("drop_")
    _each_held(w, "drop", held, number, "Py_DecRef", "drop_")
    w.put(f"store i64 0, ptr {busy}")
    w.go("over")
    w.label("over")
    w.choose(calm, "calm", "stopped")
    w.label("stopped")
    w.put("ret ptr null")
    w.label("calm")
    w.choose("%unfinished", "misfit", "whole")
    w.label("whole")
    w.choose("%spoiled", "nan", "done")
