"""The page on points without a derivative, from the table of choices."""

from __future__ import annotations

import math

from ...choices import Choice, table

_HEAD = """# Points without a derivative

*Written by `make proof` from the table in `gradarray.choices`; a test holds it up to date.*

Where a function has a corner, jumps or stands upright, no number is its derivative. A sweep needs
one, in every mode and every order; this table says which is taken, and why. Three rules lie
behind it:

- **At a corner, one of the slopes between those of both sides**, a subgradient.
- **A function that is finite has finite derivatives**, of every order. Where its slope is
  infinite (`sqrt` at 0) or its second derivative is (`x**1.5` at 0), 0 is taken: an infinite
  slope times the 0 that a square or a norm sends along makes NaN of a whole gradient.
  `sqrt(x**2)` has then the slope of `abs(x)` at 0, and `sqrt(var(x))` that of `std(x)`.
- **A function that is infinite has infinite derivatives**: `log` and `1/x` at 0, `rsqrt` at 0,
  `arctanh` at 1, `log1p` at -1. So has `a**b` with b < 0 at a = 0. A value of 0 · inf is NaN, as
  in NumPy, but its slopes are finite: a product of an exact 0 and an infinity is flat, in every
  order. `x * log(x)` has at 0 the slope of `xlogy(x, x)` and `entr(x)`, which are 0 there, in
  this table.

A branch that is masked out needs none of this: `where(x > 0, log(x), 0)` has the derivative 0 at
0 in every order, because a product in which one factor is exactly 0 is 0, whatever the other is.

A corner of a derivative follows from the formula of that derivative: `softsign` has the slope
1/(1 + |x|)², and at 0 its second derivative is 0, from the slope of |x|.


| change it | |
| --- | --- |
| in a block | `with ga.set_subgradient("relu", 0.5): ...` |
| from now on | `change = ga.set_subgradient("relu", 0.5)`, and `change.undo()` |
| back to the table | `ga.set_subgradient("relu", None)` |
| see what a run has met | `with ga.kinks() as report: ...`, then `print(report)` |

A change holds for all threads. A value outside of what may be chosen raises.

| name | where | taken | may be | why |
| --- | --- | --- | --- | --- |
"""


def choices_page() -> str:
    """docs/choices.md."""
    return _HEAD + "".join(_row(table[name]) for name in sorted(table))


def _row(choice: Choice) -> str:
    between = "" if choice.fixed else f"[{_number(choice.low)}, {_number(choice.high)}]"
    cells = (f"`{choice.name}`", choice.point, _number(choice.default), between, choice.reason)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _number(value: float) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.4g}"
