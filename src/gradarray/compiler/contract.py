"""Products of matrices, with blocks of sums held in registers."""

from __future__ import annotations

from typing import Any

from .block import BlockWriter
from .ir import Module, vector
from .loops import Contract

SHORT = 4  # turns of a sum that are written one after the other


class ContractWriter(BlockWriter):
    """One Contract as a kernel of (a, b, c), and of further a and b."""

    def __init__(self, module: Module, s: Contract) -> None:
        super().__init__(module, s.c.buffer.dtype)
        self.s = s
        if s.lanes == "columns":
            self._along_columns()
        elif s.lanes == "each":
            self._along_each()
        else:
            self._along_inner()
        more = "".join(f", ptr noalias {x}" for pair in self._pairs()[1:] for x in pair)
        self.text = self.w.kernel(f"ptr noalias %a, ptr noalias %b, ptr noalias %c{more}")

    def _pairs(self) -> list[tuple[str, str]]:
        """The names of A and B, and of further pairs."""
        return [("%a", "%b"), *((f"%a{k}", f"%b{k}") for k in range(len(self.s.more)))]

    def _shape(self, rows: int, vectors: int, inputs: int) -> int:
        """How many rows to take at a time, so that sums and inputs fit the registers."""
        most = max((self.target.registers - 2 - inputs) // vectors, 1)
        most = min(most, rows, 28 if vectors == 1 else 12)
        for r in range(most, 0, -1):  # one that divides needs no second copy
            if rows % r == 0 and 2 * r >= most:
                return r
        return most

    # Lanes along the columns ----------------------------------------------------------------------

    def _along_columns(self) -> None:
        s = self.s
        every = -(-s.columns // self.width)
        fives = every % 5 == 0 and every % 4 and self.target.registers > 16
        vectors = 5 if fives else min(every, 4)
        rows = self._shape(s.rows, vectors, vectors + 1)

        def columns(n: str, count: int) -> None:
            here = -(-count // self.width)
            self._each(s.rows, rows, lambda m, size: self._block(m, n, size, here, count))

        self._each(s.columns, vectors * self.width, columns)

    def _block(self, m: str, n: str, rows: int, vectors: int, count: int) -> None:
        s = self.s
        masks = [self._mask(count - v * self.width) for v in range(vectors)]
        c = [
            [self._at("%c", (m, s.c_strides[0]), (n, 1), (r, s.c_strides[0]), (v * self.width, 1))
             for v in range(vectors)]
            for r in range(rows)
        ]  # fmt: skip
        sums = [
            [self._load(c[r][v], masks[v]) if s.add else "zeroinitializer" for v in range(vectors)]
            for r in range(rows)
        ]
        unroll = 2 if rows * vectors <= 12 and s.inner % 2 == 0 else 1

        def turn(k: str, a0: str, b0: str, now: list[list[str]]) -> list[list[str]]:
            now = [row[:] for row in now]
            for u in range(unroll):
                b = [
                    self._load(
                        self._at(b0, (k, s.b_strides[0]), (u, s.b_strides[0]),
                                 (v * self.width, 1)), masks[v]
                    )
                    for v in range(vectors)
                ]  # fmt: skip
                for r in range(rows):
                    a = self._spread(
                        self._at(a0, (k, s.a_strides[1]), (r, s.a_strides[0]), (u, s.a_strides[1]))
                    )
                    for v in range(vectors):
                        now[r][v] = self._fma(a, b[v], now[r][v])
            return now

        def along(a: Any, b: Any, sums: list[list[str]]) -> list[list[str]]:
            return self._carried(s.inner, unroll, sums, lambda k, now: turn(k, a[0], b[0], now))

        for a, b in self._pairs():
            a0, b0 = self._at(a, (m, s.a_strides[0])), self._at(b, (n, 1))
            sums = self._outer(0, [a0], [b0], sums, along)
        for r in range(rows):
            for v in range(vectors):
                self._store(sums[r][v], c[r][v], masks[v])

    # A product in each lane ----------------------------------------------------------------------

    def _along_each(self) -> None:
        s = self.s
        rows, columns = self._square_block()

        def each(at: str, width: int) -> None:
            mask = self._mask(width)
            self._each(
                s.columns, columns,
                lambda n, wide: self._each(
                    s.rows, rows, lambda m, high: self._products(at, m, n, high, wide, mask)
                ),
            )  # fmt: skip

        self._each(s.depth, self.width, each)

    def _square_block(self) -> tuple[int, int]:
        """Rows and columns at a time: most multiplications for each load, no rests."""
        s, most = self.s, self.target.registers - 1
        fits = [
            (r, c)
            for r in range(1, min(s.rows, 12) + 1)
            for c in range(1, min(s.columns, 12) + 1)
            if r * c + min(r, c) + 1 <= most and s.rows % r == 0 and s.columns % c == 0
        ]
        return max(fits, key=lambda rc: (rc[0] * rc[1] / (rc[0] + rc[1]), rc[0]))

    def _products(self, at: str, m: str, n: str, rows: int, columns: int, mask: str) -> None:
        s = self.s
        c = [
            [self._at("%c", (at, 1), (m, s.c_strides[0]), (n, s.c_strides[1]),
                      (r, s.c_strides[0]), (v, s.c_strides[1])) for v in range(columns)]
            for r in range(rows)
        ]  # fmt: skip
        sums = [
            [self._load(x, mask) if s.add else "zeroinitializer" for x in row] for row in c
        ]

        def turn(k: str, a0: list[str], b0: list[str], now: list[list[str]]) -> list[list[str]]:
            b = [self._load(self._at(x, (k, s.b_strides[0])), mask) for x in b0]
            out = []
            for r in range(rows):
                a = self._load(self._at(a0[r], (k, s.a_strides[1])), mask)
                out.append([self._fma(a, b[v], now[r][v]) for v in range(columns)])
            return out

        def along(a0: Any, b0: Any, sums: list[list[str]]) -> list[list[str]]:
            return self._carried(s.inner, 1, sums, lambda k, now: turn(k, a0, b0, now))

        for a, b in self._pairs():
            a0 = [self._at(a, (at, 1), (m, s.a_strides[0]), (r, s.a_strides[0]))
                  for r in range(rows)]  # fmt: skip
            b0 = [self._at(b, (at, 1), (n, s.b_strides[1]), (v, s.b_strides[1]))
                  for v in range(columns)]  # fmt: skip
            sums = self._outer(0, a0, b0, sums, along)
        for row, places in zip(sums, c):
            for x, to in zip(row, places):
                self._store(x, to, mask)

    # Loops over what is summed --------------------------------------------------------------------

    def _carried(
        self, extent: int, step: int, sums: list[list[str]], body: Any
    ) -> list[list[str]]:
        """The sums after a loop; body(k, sums) gives them after one turn."""
        if extent <= SHORT * step:
            for k in range(0, extent, step):
                sums = body(str(k), sums)
            return sums
        loop = self.w.loop(extent, step)
        carried = [[loop.carry(self.wide, x) for x in row] for row in sums]
        with loop as k:
            for row, new in zip(carried, body(k, carried)):
                for name, value in zip(row, new):
                    loop.set(name, value)
        return carried

    def _outer(
        self, level: int, a: list[str], b: list[str], sums: list[list[str]], body: Any
    ) -> list[list[str]]:
        """body(a, b, sums) within the loops around it, which move where a and b are."""
        if level == len(self.s.outer):
            return body(a, b, sums)
        extent, *strides = self.s.outer[level]

        def turn(k: str, now: list[list[str]]) -> Any:
            here_a, here_b = (
                [self._at(at, (k, stride)) for at in x] for x, stride in zip((a, b), strides)
            )
            return self._outer(level + 1, here_a, here_b, now, body)

        return self._carried(extent, 1, sums, turn)

    # Lanes along what is summed -------------------------------------------------------------------

    def _along_inner(self) -> None:
        s = self.s
        columns = min(s.columns, 4)
        rows = self._shape(s.rows, columns, columns + 1)

        def each(n: str, width: int) -> None:
            self._each(s.rows, rows, lambda m, size: self._dots(m, n, size, width))

        self._each(s.columns, columns, each)

    def _dots(self, m: str, n: str, rows: int, columns: int) -> None:
        s, w = self.s, self.w
        sums = [["zeroinitializer"] * columns for _ in range(rows)]
        whole = s.inner // self.width * self.width

        def turn(k: str, mask: str, a0: Any, b0: Any, now: list[list[str]]) -> list[list[str]]:
            b = [self._load(self._at(p, (k, 1)), mask) for p in b0]
            out = []
            for r in range(rows):
                a = self._load(self._at(a0[r], (k, 1)), mask)
                out.append([self._fma(a, b[v], now[r][v]) for v in range(columns)])
            return out

        def along(a0: Any, b0: Any, sums: list[list[str]]) -> list[list[str]]:
            if whole:
                sums = self._carried(
                    whole, self.width, sums, lambda k, now: turn(k, "", a0, b0, now)
                )
            if whole < s.inner:
                sums = turn(str(whole), self._mask(s.inner - whole), a0, b0, sums)
            return sums

        for a, b in self._pairs():
            a0 = [self._at(a, (m, s.a_strides[0]), (r, s.a_strides[0])) for r in range(rows)]
            b0 = [self._at(b, (n, s.b_strides[1]), (v, s.b_strides[1])) for v in range(columns)]
            sums = self._outer(0, a0, b0, sums, along)
        totals = self._totals([x for row in sums for x in row])
        together = s.c_strides[1] == 1 and columns == 4
        for r in range(rows):
            for v in range(0, columns, 4 if together else 1):
                at = self._at(
                    "%c", (m, s.c_strides[0]), (n, s.c_strides[1]), (r, s.c_strides[0]),
                    (v, s.c_strides[1]),
                )  # fmt: skip
                places = [totals[r * columns + v + k] for k in range(4 if together else 1)]
                kind, x = self._gathered(places)
                if s.add:
                    old = w.let(f"load {kind}, ptr {at}, align {self.dtype.itemsize}")
                    x = w.let(f"fadd {kind} {old}, {x}")
                w.put(f"store {kind} {x}, ptr {at}, align {self.dtype.itemsize}")

    def _gathered(self, places: list[tuple[str, int]]) -> tuple[str, str]:
        """Lanes of vectors as a number or as a vector: (its type, it)."""
        w, (x, lane) = self.w, places[0]
        if len(places) == 1:
            return self.kind, w.let(f"extractelement {self.wide} {x}, i32 {lane}")
        y = places[-1][0]
        order = [k if at == x else self.width + k for at, k in places]
        return vector(self.kind, len(places)), self._shuffled(x, y, order)

    def _totals(self, xs: list[str]) -> list[tuple[str, int]]:
        """Where the sum over the lanes of each vector is found: (vector, lane).

        Two vectors become one, whose halves are sums of the halves of each; then two of these,
        whose quarters are, and so on: as many additions as there are vectors.
        """
        out: list[tuple[str, int]] = []
        for start in range(0, len(xs), self.width):
            group = xs[start : start + self.width]
            count = 1 << (len(group) - 1).bit_length()
            now = [*group, *["zeroinitializer"] * (count - len(group))]
            half = self.width // 2
            while half:
                if len(now) > 1:
                    firsts, seconds = now[: len(now) // 2], now[len(now) // 2 :]
                    now = [self._halves_added(a, b, half) for a, b in zip(firsts, seconds)]
                else:
                    order = [k ^ half for k in range(self.width)]
                    other = self._shuffled(now[0], "poison", order)
                    now = [self.w.let(f"fadd {self.wide} {now[0]}, {other}")]
                half //= 2
            apart = self.width // count
            out += [(now[0], k * apart) for k in range(len(group))]
        return out

    def _halves_added(self, a: str, b: str, half: int) -> str:
        """In each stretch of 2 * half lanes: a's halves added, and then b's."""
        n = self.width
        order = [k if not k & half else n + k - half for k in range(n)]
        x, y = self._shuffled(a, b, order), self._shuffled(a, b, [k + half for k in order])
        return self.w.let(f"fadd {self.wide} {x}, {y}")
