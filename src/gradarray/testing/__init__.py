"""Tests that follow from a declaration (check_op), and for any function of a user's (check)."""

from ..namespace import visible as _visible
from .count import Cost, count_ops
from .op import check_op
from .report import Report
from .user import check

__all__ = ["Cost", "Report", "check", "check_op", "count_ops"]


def __dir__() -> list[str]:
    return _visible(globals())
