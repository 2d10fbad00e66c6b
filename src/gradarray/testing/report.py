"""What `check` found: the digits to which derivatives agree, as a table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Digits to which the derivatives in one argument agree; None where there is nothing to say."""

    argument: str
    shape: tuple[int, ...]
    digits: dict[str, float | None]


@dataclass(frozen=True)
class Report:
    """What `check` found: a table of digits of agreement with the reverse sweep."""

    rows: tuple[Row, ...]

    @property
    def digits(self) -> float:
        """The fewest digits to which two derivatives agree."""
        found = [d for row in self.rows for d in row.digits.values() if d is not None]
        return min(found)

    def __str__(self) -> str:
        titles = ["argument", "shape", *self.rows[0].digits]
        lines = [
            [row.argument, str(row.shape)]
            + ["-" if d is None else f"{d:.1f}" for d in row.digits.values()]
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in [titles, *lines]
        )

    __repr__ = __str__
