"""A step length along a direction that meets the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

DECREASE, CURVATURE = 1e-4, 0.9  # the constants c1 and c2 of the two conditions
MAX_EVALUATIONS = 25


class Point(NamedTuple):
    """A step length, the value and the slope of the function there, and its gradient."""

    t: float
    f: float
    slope: float
    gradient: Any


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, t: float, smallest: float
) -> tuple[Point, int]:
    r"""A point along a descent direction, and how many evaluations it took.

        f(t) <= f(0) + c1 t f'(0)   and   |f'(t)| <= c2 |f'(0)|

    `start` is the point t = 0, `t` the length to try first; a bracket shorter than `smallest` is
    not divided further. Lengths are doubled or more until the conditions hold or a bracket is
    found, which is then narrowed by cubic interpolation. A value that is not finite counts as too
    high. Where no point is found that meets both conditions, the lowest one seen is returned.

    Source: Nocedal and Wright, "Numerical optimization", 2nd ed., algorithms 3.5 and 3.6.
    """

    def too_high(p: Point) -> bool:
        return not p.f <= start.f + DECREASE * p.t * start.slope

    def flat_enough(p: Point) -> bool:
        return abs(p.slope) <= -CURVATURE * start.slope

    before, here = start, evaluate(t)
    count = 1
    while True:
        if too_high(here) or (count > 1 and here.f >= before.f):
            low, high = before, here
            break
        if flat_enough(here):
            return here, count
        if here.slope >= 0:
            low, high = here, before
            break
        if count == MAX_EVALUATIONS:
            return here, count
        least = here.t + 0.01 * (here.t - before.t)
        before, here = here, evaluate(cubic_minimum(before, here, least, 10 * here.t))
        count += 1

    crept = False  # was the last trial near an end of the bracket?
    while count < MAX_EVALUATIONS and abs(high.t - low.t) >= smallest:
        left, right = min(low.t, high.t), max(low.t, high.t)
        t = cubic_minimum(low, high, left, right)
        margin = 0.1 * (right - left)
        crept_now = min(right - t, t - left) < margin
        if crept_now and (crept or t in (left, right)):
            t = right - margin if right - t < t - left else left + margin
            crept_now = False
        crept = crept_now
        here = evaluate(t)
        count += 1
        if too_high(here) or here.f >= low.f:
            high = here
            continue
        if flat_enough(here):
            return here, count
        if here.slope * (high.t - low.t) >= 0:
            high = low
        low = here
    return low, count


def cubic_minimum(a: Point, b: Point, left: float, right: float) -> float:
    """Where the cubic through two points and their slopes is lowest, within [left, right]."""
    if a.t > b.t:
        a, b = b, a
    middle = (left + right) / 2
    if not (math.isfinite(a.f) and math.isfinite(b.f)) or a.t == b.t:
        return middle
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < math.inf:
        return middle
    d2 = math.sqrt(square)
    bottom = b.slope - a.slope + 2 * d2
    if bottom == 0:
        return middle
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / bottom), left), right)
