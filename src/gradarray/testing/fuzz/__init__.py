"""Fuzz: random functions, run eagerly, compiled, and compiled without one pass.

    python -m gradarray.testing.fuzz --seconds 600

draws functions of 5 to 60 operations from the declarations of the registry, with sizes that leave
remainders, float64 and float32, layouts that are not contiguous, and what is made of a function:
gradients, pushes, second order, series, vmap, the steps of optimisers. What fails is made small
and printed as a program of a few lines; the seed brings a case back.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

from ...compiler.fault import CompilerFault
from .grow import grown
from .judge import Refused, judge
from .script import Case, call, given
from .shrink import SECONDS, shrunk

__all__ = ["Tally", "call", "failure", "fuzz", "given"]


@dataclass
class Tally:
    """What has been tried so far."""

    agreed: int = 0
    refused: int = 0
    failed: int = 0
    lines: int = 0
    transforms: Counter[str] = field(default_factory=Counter)

    def count(self, case: Case, why: str | None) -> None:
        """Count a case: '' it agrees, None it cannot be recorded, else what is wrong with it."""
        self.lines += len(case.lines)
        self.transforms[case.transform] += 1
        self.agreed += why == ""
        self.refused += why is None
        self.failed += bool(why)

    def __str__(self) -> str:
        drawn = ", ".join(f"{k} {n}" for k, n in self.transforms.most_common())
        count = self.agreed + self.refused + self.failed
        return (
            f"{count} functions of {self.lines / max(count, 1):.0f} lines: {self.agreed} agree, "
            f"{self.failed} fail, {self.refused} cannot be recorded ({drawn})"
        )


def fuzz(seed: int, tally: Tally) -> str:
    """Try the case of a seed; '' if all agree, else what is wrong and a script that shows it."""
    case = grown(seed)
    try:
        why = failure(case)
    except Refused:
        why = None
    tally.count(case, why)
    if not why:
        return ""
    kind, end = why.split(":", 1)[0], time.monotonic() + SECONDS

    def fails(smaller: Case) -> bool:
        if time.monotonic() > end:
            return False
        try:
            return failure(smaller).startswith(kind)
        except Exception:  # it is no case any more
            return False

    small = shrunk(case, fails)
    return f"seed {seed}: {failure(small) or why}\n\n{small.text()}"


def failure(case: Case) -> str:
    """What is wrong with a compiled case, in words; '' if nothing is."""
    try:
        judge(case)
    except AssertionError as error:
        return f"difference: {error}"
    except Refused:
        raise
    except Exception as fault:
        error = fault.__cause__ if isinstance(fault, CompilerFault) and fault.__cause__ else fault
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {last.name}: {error}"
    return ""
