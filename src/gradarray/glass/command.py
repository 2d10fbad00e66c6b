"""`gradarray explain script.py:f --at x=1.0`, and `quiz`: the explainer on the command line."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DTypeError, GraphError
from .explain import explain, in_colour
from .mathml import FormulaError
from .quiz import Quiz

FORMS = (
    "table", "orders", "formula", "text", "latex", "mathml", "python", "json", "csv", "svg", "dot",
    "mermaid",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, or 2 where what was asked cannot be explained."""
    parser = argparse.ArgumentParser(
        prog="gradarray", description="Derivatives of a Python function, step by step."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    told = commands.add_parser(
        "explain",
        help="print how a function's value and derivative come about",
        epilog="gradarray explain script.py:f --at x=1.5 --save page.html",
    )
    told.add_argument("--as", dest="form", choices=FORMS, default="table", help="what is printed")
    told.add_argument("--save", metavar="FILE", help="write it there; .html writes the page")
    asking = commands.add_parser(
        "quiz",
        help="ask for the values and derivatives of a function, one by one",
        epilog="gradarray quiz script.py:f --at x=1.5",
    )
    asking.add_argument("--save", metavar="FILE.html", help="write a page that asks")
    for command in (told, asking):
        command.add_argument("--lang", choices=("en", "ko"), default="en", help="of table and page")
        command.add_argument("function", metavar="SCRIPT.PY:FUNCTION")
        command.add_argument(
            "--at", nargs="+", default=[], metavar="NAME=VALUE", help="x=1.5 w=[[1,2],[3,4]]"
        )
    asked = parser.parse_args(argv)
    try:
        if asked.command == "quiz":
            quiz = Quiz(_told(asked).story)
            if asked.save:
                quiz.save(asked.save, asked.lang)
            else:
                quiz.ask()
            return 0
        return _explain(asked)
    except (_Refused, GraphError, DTypeError, FormulaError) as error:
        print(f"gradarray explain: {error}", file=sys.stderr)
        return 2


class _Refused(Exception):
    """What the user gave cannot be explained; the message says why and what to write."""


def _told(asked: argparse.Namespace) -> Any:
    function = _function(asked.function)
    arguments = dict(_argument(text) for text in asked.at)
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(inspect.signature(function).parameters)
        raise _Refused(
            f"{error}: {function.__name__} takes ({takes}). Give each with --at NAME=VALUE."
        ) from None
    return explain(function)(**arguments)


def _explain(asked: argparse.Namespace) -> int:
    told = _told(asked)
    if asked.save and asked.save.endswith((".html", ".htm")):
        told.save(asked.save, lang=asked.lang)
        return 0
    text = _form(told, asked)
    if asked.save:
        Path(asked.save).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


def _form(told: Any, asked: argparse.Namespace) -> str:
    form: str = asked.form
    if form == "table":
        return told.table(colour=in_colour() and not asked.save, lang=asked.lang)
    if form == "formula":
        return "\n".join(f"{row.symbol} = {told.formula(row.name)}" for row in told.story.inputs)
    made = getattr(told, {"json": "to_json", "csv": "to_csv"}.get(form, form))()
    return str(made)


def _function(where: str) -> Any:
    path, _, name = where.rpartition(":")
    if not path:
        raise _Refused(f"{where!r} names no function. Write SCRIPT.PY:FUNCTION.")
    file = Path(path)
    if not file.is_file():
        raise _Refused(f"there is no file {path}.")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise _Refused(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.parent))
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        own = [f for f in vars(module).values() if inspect.isfunction(f)]
        found = ", ".join(f.__name__ for f in own if f.__module__ == file.stem) or "none"
        raise _Refused(f"{path} has no function {name!r}; it has {found}.")
    return function


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise _Refused(f"{text!r} is no argument. Write NAME=VALUE, for example x=1.5.")
    try:
        number = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise _Refused(f"{value!r} is not a number or a list of numbers.") from None
    if isinstance(number, (list, tuple)):
        import numpy as np

        return name, np.array(number, float)
    return name, float(number) if type(number) is int else number
