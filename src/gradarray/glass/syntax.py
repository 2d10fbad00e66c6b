"""Syntax trees of functions, and what is done to them before they are written elsewhere."""

from __future__ import annotations

import ast
import functools
from typing import Any


@functools.cache
def _module_tree(filename: str) -> ast.Module:
    with open(filename, encoding="utf-8") as file:
        return ast.parse(file.read())


def tree_of(fn: Any) -> Any:
    """A function's part of its module's syntax tree, a copy; None where it is not to be had."""
    code = fn.__code__
    try:
        whole = _module_tree(code.co_filename)
    except OSError:
        return None
    wanted = ast.Lambda if code.co_name == "<lambda>" else ast.FunctionDef
    starts = {(p[0], p[2]) for p in code.co_positions() if p[0] is not None}
    for node in ast.walk(whole):
        if not isinstance(node, wanted):
            continue
        if isinstance(node, ast.Lambda):
            parts = [n for n in ast.walk(node.body) if isinstance(n, ast.expr)]
            inside = {(n.lineno, n.col_offset) for n in parts}
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
            if inside & starts and names == list(code.co_varnames[: len(names)]):
                return ast.parse(ast.unparse(node), mode="eval").body
        elif code.co_firstlineno in (
            node.lineno, *(d.lineno for d in node.decorator_list)
        ) and node.name == code.co_name:  # fmt: skip
            return ast.parse(ast.unparse(node)).body[0]
    return None


class Bare(ast.NodeTransformer):
    """Without what only readers of the library need: annotations, docstrings, decorators."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        keep = ("property", "staticmethod", "classmethod")
        node.decorator_list = [
            d for d in node.decorator_list if isinstance(d, ast.Name) and d.id in keep
        ] if node.args.args and node.args.args[0].arg in ("self", "cls") else []  # fmt: skip
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and node.body[1:]:
            del node.body[0]
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        self.generic_visit(node)
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], node.value, lineno=node.lineno)


def bound(tree: Any) -> set[str]:
    """Names that are given a value inside."""
    found: set[str] = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            found.add(n.id)
        elif isinstance(n, ast.arg):
            found.add(n.arg)
        elif isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n is not tree:
            found.add(n.name)
        elif isinstance(n, ast.alias):
            found.add(n.asname or n.name)
        elif isinstance(n, ast.ExceptHandler) and n.name:
            found.add(n.name)
    return found


class Rename(ast.NodeTransformer):
    """With expressions in place of names."""

    def __init__(self, there: dict[str, str]) -> None:
        self.there = there

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id not in self.there:
            return node
        return ast.parse(self.there[node.id], mode="eval").body
