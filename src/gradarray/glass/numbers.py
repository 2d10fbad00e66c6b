"""Numbers as they are shown: scalars and small arrays whole, large ones by their form and range."""

from __future__ import annotations

from typing import Any

import numpy as np

from .words import Language, words_of

WHOLE = 6  # elements of an array that is shown whole
DIGITS = 6  # of a number in a table, a page and a formula


def shown(
    value: Any, digits: int = DIGITS, whole: int = WHOLE, width: int = 0, lang: Language = "en"
) -> str:
    """A value in one line: `2.25`, `[1, 2, 3]`, `(128, 64) float32, -0.99 to 0.98, mean 0.01`.

    Numbers are rounded to so many significant digits; arrays of at most `whole` elements are shown
    with all of them, if that takes at most `width` characters (0: any number).
    """
    if value is None:
        return words_of(lang)["not kept"].lower()
    if isinstance(value, (tuple, list)):
        return f"({', '.join(shown(part, digits, whole, width, lang) for part in value)})"
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        return str(value)
    if array.size <= whole and array.ndim <= 2:
        nested = _nested(array, digits)
        if not width or len(nested) <= width:
            return nested
    return f"{form(value)}, {span(value, lang=lang)}"


def form(value: Any) -> str:
    """Shape and dtype: `(128, 64) float32`."""
    array = np.asarray(value)
    return f"{shape(array.shape)} {array.dtype}"


def shape(axes: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, axes))}{',' if len(axes) == 1 else ''})"


def span(value: Any, digits: int = 3, lang: Language = "en") -> str:
    """Least, greatest and mean: `-0.99 to 0.98, mean 0.01`; what is not finite is counted."""
    words = words_of(lang)
    array = np.asarray(value)
    if not array.size:
        return words["empty"]
    if array.dtype.kind == "b":
        return words["some_true"].format(n=int(array.sum()), all=array.size)
    if array.dtype.kind == "c":
        return words["magnitude"].format(range=span(np.abs(array), digits, lang))
    wide = array.astype(np.float64)
    bad = array.size - int(np.count_nonzero(np.isfinite(wide)))
    fine = wide[np.isfinite(wide)] if bad else wide
    told = words["some_not_finite"].format(n=bad) if bad else ""
    if not fine.size:
        return told
    low, high, mean = (digit(x, digits) for x in (fine.min(), fine.max(), fine.mean()))
    return words["range"].format(low=low, high=high, mean=mean) + (f", {told}" if told else "")


def digit(x: Any, digits: int | None = DIGITS) -> str:
    """One number: `2.25`, `1e-09`, `-0.5`, `1+2j`; with all its digits if `digits` is None."""
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    if isinstance(x, (int, np.integer)):
        return str(int(x))
    if isinstance(x, (complex, np.complexfloating)):
        sign = "+" if x.imag >= 0 or np.isnan(x.imag) else "-"
        return f"{digit(x.real, digits)}{sign}{digit(abs(x.imag), digits)}j"
    text = f"{float(x):.{digits}g}" if digits is not None else str(x).removesuffix(".0")
    return "0" if text == "-0" else text


def _nested(array: Any, digits: int) -> str:
    if array.ndim == 0:
        return digit(array[()], digits)
    return f"[{', '.join(_nested(part, digits) for part in array)}]"
