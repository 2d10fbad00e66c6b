"""The loop language: what a program becomes before it is machine code.

    Buffer    a piece of memory: given by the caller, in the step's own arena, or constant
    Access    a place in a buffer: an offset, and a stride for every loop variable
    Nest      loops over a box; at every point expressions of loaded values are stored, or added up
    Contract  C += A B over register blocks, or a call of BLAS
    Loop      a variable from 0 to its extent, around other statements; the turns of a parallel one
              may run at the same time; one may go backward, and up to a count that is computed
    While     a loop as long as a value that its test computes is true
    Branch    one of several bodies, by a number
    Routine   a call of BLAS or LAPACK; Alarm: one of its failures is noted
    Sort      numbered keys in ascending order; Search: places among sorted keys
    Fill      zeros; Check: is there a NaN?
    Block     statements in order

All extents are known.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .expr import Expr

_ids = itertools.count()


@dataclass(eq=False)
class Buffer:
    """Memory for `size` elements. `place`: given (by the caller), arena, or constant."""

    size: int
    dtype: np.dtype
    place: str = "arena"
    name: str = ""
    data: Any = None  # of a constant
    index: int = -1  # of a given one: which
    offset: int = -1  # in the arena, in bytes
    turn: Any = None  # the variable of a loop, if it holds nothing from turn to turn of that
    private: bool = False  # each worker of a parallel loop has one of its own

    def __post_init__(self) -> None:
        self.name = self.name or f"b{next(_ids)}"

    @property
    def nbytes(self) -> int:
        return max(self.size, 1) * self.dtype.itemsize


@dataclass(eq=False)
class Var:
    """A loop variable."""

    extent: int
    name: str = ""

    def __post_init__(self) -> None:
        self.name = self.name or f"i{next(_ids)}"


@dataclass(frozen=True)
class Access:
    """buffer[offset + sum of stride * variable], in elements.

    `through`: moved further by what is read elsewhere, (where, stride, count) each: int64 numbers
    in 0 .. count - 1, which whoever makes them answers for.
    """

    buffer: Buffer
    offset: int = 0
    strides: tuple[tuple[Var, int], ...] = ()
    through: tuple[tuple[Access, int, int], ...] = ()

    def stride(self, var: Var) -> int:
        for v, stride in self.strides:
            if v is var:
                return stride
        return 0

    def moves(self, var: Var) -> bool:
        """Does another turn of the loop touch another place?"""
        return bool(self.stride(var)) or any(at.moves(var) for at, _, _ in self.through)

    def span(self) -> tuple[int, int]:
        """The least and the greatest element that is touched."""
        low = high = self.offset
        turns = [(var.extent, stride) for var, stride in self.strides]
        turns += [(count, stride) for _, stride, count in self.through]
        for count, stride in turns:
            reach = stride * (count - 1)
            low, high = low + min(reach, 0), high + max(reach, 0)
        return low, high

    def __str__(self) -> str:
        parts = [str(self.offset)] if self.offset or not self.strides else []
        parts += [v.name if s == 1 else f"{s}*{v.name}" for v, s in self.strides if s]
        parts += [f"{s}*{at}" for at, s, _ in self.through]
        return f"{self.buffer.name}[{' + '.join(parts) or '0'}]"


@dataclass(frozen=True)
class Store:
    """An expression goes to a place."""

    to: Access
    value: Expr


@dataclass(frozen=True)
class Sum:
    """An expression is combined over all points that share a place: add, mul, min, max, or, and.

    `fresh`: the place starts from the combination's neutral value; else from what it holds.
    """

    to: Access
    value: Expr
    combine: str = "add"
    fresh: bool = True


@dataclass(frozen=True)
class Label:
    """What a statement carries out: names of ops, each with the user's line that asked for it."""

    made: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.made)

    def __str__(self) -> str:
        counted = Counter(name for name, _ in self.made)
        return ", ".join(name if n == 1 else f"{n} {name}" for name, n in counted.items())


NO_LABEL = Label()


@dataclass(eq=False)
class Nest:
    """for axes[0]: for axes[1]: ..; `lane`, the last by default, goes along the vector lanes.

    Sums over the last axes are held in registers, others in memory.
    """

    axes: list[Var]
    loads: dict[Expr, Access]
    stores: list[Store] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)
    label: Label = NO_LABEL
    lane: Var | None = None

    @property
    def held(self) -> int:
        """The number of the first of the innermost axes over which registers hold all sums."""
        first = len(self.axes)
        while self.sums and first and not any(
            one.to.moves(self.axes[first - 1]) for one in self.sums
        ):
            first -= 1
        return first

    def holds(self, one: Sum) -> bool:
        """Is all of a sum taken in registers?"""
        return all(v.extent == 1 or one.to.moves(v) for v in self.axes[: self.held])


@dataclass(eq=False)
class Loop:
    """for var in range(extent): body. `count`, at most the extent, is read before the first turn;
    backward, var goes from the last to 0. `anew`: every turn writes private memory before it reads.
    """

    var: Var
    body: list[Any]
    parallel: bool = False
    backward: bool = False
    count: Access | None = None
    anew: bool = False


@dataclass(eq=False)
class While:
    """`test`, and as long as it leaves `going` true, at most var's extent times, the body.

    `count` gets how often. `status` gets the extent if there would have been more.
    """

    var: Var
    test: list[Any]
    going: Access
    body: list[Any]
    count: Access
    status: Access | None = None


@dataclass(eq=False)
class Branch:
    """The body of this number, clipped to those there are."""

    index: Access
    bodies: list[list[Any]]


@dataclass(eq=False)
class Fill:
    """A buffer's bytes set to zero."""

    buffer: Buffer


@dataclass(eq=False)
class Check:
    """A truth value becomes true if there is a NaN among `size` elements side by side."""

    flag: Buffer
    of: Access
    size: int


@dataclass(eq=False)
class Gemm:
    """C = alpha A B + beta C by BLAS, row-major; strides say which are transposed.

    Batch variables are loops around it. rows x inner times inner x columns.
    """

    c: Access
    a: Access
    b: Access
    rows: int
    inner: int
    columns: int
    ldc: int
    lda: int
    ldb: int
    transpose_a: bool
    transpose_b: bool
    add: bool = False  # to what C holds
    label: Label = NO_LABEL


@dataclass(eq=False)
class Contract:
    """C[m, n] = sum over k of A[m, k] B[k, n], in blocks of registers; strides in elements.

    lanes "columns": B and C have unit stride along n, and elements of A are spread over the
    lanes. lanes "inner": A and B have unit stride along k, and every sum goes across the lanes at
    its end. lanes "each": `depth` products, which lie side by side in A, B and C, one in each
    lane. `add`: to what C holds. `outer`: the sum goes over further loops around k, each with
    its extent and its strides in A and B. `more`: further pairs of A and B with the same strides,
    whose products are added.
    """

    c: Access
    a: Access
    b: Access
    rows: int
    inner: int
    columns: int
    c_strides: tuple[int, int]
    a_strides: tuple[int, int]
    b_strides: tuple[int, int]
    lanes: str = "columns"
    add: bool = False
    label: Label = NO_LABEL
    outer: tuple[tuple[int, int, int], ...] = ()
    more: tuple[tuple[Access, Access], ...] = ()
    depth: int = 1

    @property
    def pairs(self) -> tuple[tuple[Access, Access], ...]:
        return ((self.a, self.b), *self.more)


@dataclass(eq=False)
class Turn:
    """to[j, i] = of[i, j], a matrix turned over; rows x columns of `of`, row strides."""

    to: Access
    of: Access
    rows: int
    columns: int
    to_stride: int
    of_stride: int


@dataclass(frozen=True)
class Stretch:
    """`size` elements side by side that a routine reads ("r"), writes ("w"), or both ("rw")."""

    at: Access
    size: int
    how: str


@dataclass(eq=False)
class Routine:
    """A routine of BLAS or LAPACK, which finds its arguments at their addresses.

    Arguments are letters, whole numbers, numbers of its dtype, and stretches of memory.
    """

    name: str
    arguments: tuple[Any, ...]
    dtype: np.dtype
    operations: float = 0.0

    @property
    def stretches(self) -> list[Stretch]:
        return [x for x in self.arguments if isinstance(x, Stretch)]


@dataclass(eq=False)
class Alarm:
    """`to` becomes 1 if what lies at `of` is not 0; turns of parallel loops may raise one alarm."""

    to: Access
    of: Access


@dataclass(eq=False)
class Sort:
    """`size` keys and the numbers beside them, in ascending order of the keys; equals stay as they
    are. Two further stretches of memory are needed meanwhile.
    """

    keys: Access
    order: Access
    keys_beside: Access
    order_beside: Access
    size: int


@dataclass(eq=False)
class Search:
    """For each of `count` keys how many of `size` sorted ones are less, or less or equal."""

    sorted: Access
    keys: Access
    places: Access
    size: int
    count: int
    equal: bool


Statement = (
    Nest | Loop | While | Branch | Fill | Check | Gemm | Contract | Turn | Routine | Alarm | Sort
    | Search
)


def walk(body: list[Any]) -> Iterator[Any]:
    for statement in body:
        yield statement
        for part in parts(statement):
            yield from walk(part)


def parts(statement: Any) -> list[list[Any]]:
    """The bodies within a statement."""
    if isinstance(statement, Loop):
        return [statement.body]
    if isinstance(statement, While):
        return [statement.test, statement.body]
    return statement.bodies if isinstance(statement, Branch) else []


def accesses(statement: Any) -> Iterator[tuple[Access, bool]]:
    """What a statement touches, and whether it writes there."""
    if isinstance(statement, Nest):
        for access in statement.loads.values():
            yield access, False
        for out in (*statement.stores, *statement.sums):
            yield out.to, True
        for access in (*statement.loads.values(), *(s.to for s in statement.sums), *(
            s.to for s in statement.stores
        )):
            for at, _, _ in access.through:
                yield at, False
    elif isinstance(statement, Contract):
        for a, b in statement.pairs:
            yield a, False
            yield b, False
        yield statement.c, True
    elif isinstance(statement, Gemm):
        yield statement.a, False
        yield statement.b, False
        yield statement.c, True
    elif isinstance(statement, Turn):
        yield statement.of, False
        yield statement.to, True
    elif isinstance(statement, Loop) and statement.count is not None:
        yield statement.count, False
    elif isinstance(statement, While):
        yield statement.going, False
        yield statement.count, True
        if statement.status is not None:
            yield statement.status, True
    elif isinstance(statement, Branch):
        yield statement.index, False
    elif isinstance(statement, Check):
        yield statement.of, False
        yield Access(statement.flag), True
    elif isinstance(statement, Fill):
        yield Access(statement.buffer), True
    elif isinstance(statement, Routine):
        for one in statement.stretches:
            if "r" in one.how:
                yield one.at, False
            if "w" in one.how:
                yield one.at, True
    elif isinstance(statement, Alarm):
        yield statement.of, False
        yield statement.to, True
    elif isinstance(statement, Sort):
        for access in (statement.keys, statement.order):
            yield access, False
            yield access, True
        yield statement.keys_beside, True
        yield statement.order_beside, True
    elif isinstance(statement, Search):
        yield statement.sorted, False
        yield statement.keys, False
        yield statement.places, True
