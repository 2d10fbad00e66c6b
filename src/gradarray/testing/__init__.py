"""Tests that follow from a declaration (check_op), and for any function of a user's (check)."""

from .op import check_op

__all__ = ["check_op"]
