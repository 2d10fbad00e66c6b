"""Docstrings as Markdown: their formulas, which are LaTeX without marks around it, become text.

`y = \\sum_i x_i^2` is to be read in a terminal and here alike, so it becomes letters, with raised
and lowered ones in HTML. A formula that this cannot read raises, and the site is not built.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

SYMBOLS = {
    "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂", "nabla": "∇", "infty": "∞",
    "cdot": "·", "times": "×", "circ": "∘", "pm": "±", "le": "≤", "ge": "≥", "ne": "≠",
    "ldots": "…", "dots": "…", "langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋",
    "lceil": "⌈", "rceil": "⌉", "lVert": "‖", "rVert": "‖", "|": "‖", "to": "→", "in": "∈",
    "approx": "≈", "odot": "⊙", "top": "⊤", "Re": "Re", "Im": "Im", "{": "{", "}": "}",
    "_": "_", "%": "%", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε",
    "zeta": "ζ", "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν",
    "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ",
    "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", ",": "\u2009", "\\": " ",
}  # fmt: skip
NAMES = frozenset(
    (
        *("log", "ln", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sech", "sec", "csc"),
        *("cot", "arcsin", "arccos", "arctan", "max", "min", "argmax", "argmin", "sup", "inf"),
        *("lim", "det"),
    )
)
MARKS = {"dot": "\u0307", "ddot": "\u0308", "bar": "\u0304", "hat": "\u0302", "tilde": "\u0303"}
_COMMAND = re.compile(r"\\([A-Za-z]+|.)")
_LOWERED = re.compile(r"_([A-Za-z0-9]{1,3})(?![A-Za-z0-9_])")
# A single letter is lowered after any word (max_i), several only after a letter or two (R_ij), a
# bracket, or a sign from above: the rest are names (in_channels).
_BASE = re.compile(r"((?<![A-Za-z0-9_])[A-Za-z]{1,2}[0-9]?|[^\x00-\x7f]|[)\]}|>])$")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def escaped(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", text)


def formula(text: str) -> str:
    """Prose with LaTeX in it as Markdown."""
    out, at = "", 0
    while at < len(text):
        c = text[at]
        if c == "\\":
            words, at = _command(text, at)
            out += words
        elif c == "^" and at + 1 < len(text) and not text[at + 1].isspace():
            raised, at = _argument(text, at + 1)
            out += f"<sup>{formula(raised)}</sup>"
        elif c == "_" and text[at + 1 : at + 2] == "{":
            lowered, at = _argument(text, at + 1)
            out += f"<sub>{formula(lowered)}</sub>"
        elif c == "_" and (m := _LOWERED.match(text, at)) and _is_lowered(m[1], out):
            out += f"<sub>{m[1]}</sub>"
            at = m.end()
        else:
            out += escaped(c)
            at += 1
    return out


def _is_lowered(index: str, before: str) -> bool:
    if len(index) == 1:
        return re.search(r"\\_\w*$", before) is None
    return _BASE.search(before) is not None


def _command(text: str, at: int) -> tuple[str, int]:
    m = _COMMAND.match(text, at)
    if m is None:
        raise ValueError(f"a backslash ends {text!r}")
    name, at = m[1], m.end()
    if name in ("left", "right", "big", "Big"):
        return "", at
    if name == "frac":
        above, at = _argument(text, at)
        below, at = _argument(text, at)
        return f"{_joined(above)}/{_joined(below)}", at
    if name == "sqrt":
        under, at = _argument(text, at)
        return f"√{_joined(under)}", at
    if name in MARKS:
        under, at = _argument(text, at)
        return unicodedata.normalize("NFC", formula(under) + MARKS[name]), at
    if name in ("operatorname", "text", "mathrm", "mathbf"):
        word, at = _argument(text, at)
        return formula(word), at
    if name in SYMBOLS:
        if name in ("partial", "nabla", "Delta") and text[at : at + 1] == " ":
            at += 1
        return SYMBOLS[name], at
    if name in NAMES:
        return name, at
    raise ValueError(f"\\{name} in {text!r} is not known: give it a sign in docs/website/words.py")


def _argument(text: str, at: int) -> tuple[str, int]:
    """What a command, ^ or _ takes: a group in braces, a command, or one sign."""
    while text[at : at + 1] == " ":
        at += 1
    if text[at] == "\\" and (m := _COMMAND.match(text, at)):
        if m[1] in MARKS:
            _, end = _argument(text, m.end())
            return text[at:end], end
        return m[0], m.end()
    if text[at] != "{":
        return text[at], at + 1
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[at + 1 : end], end + 1
    raise ValueError(f"a brace is not closed in {text!r}")


def _joined(part: str) -> str:
    """A part of a fraction, or under a root: in parentheses where it is more than one thing."""
    simple = re.fullmatch(r"\\?[A-Za-z]+|\d+|.", part) and not re.fullmatch(r"[A-Za-z]{3,}", part)
    return formula(part) if simple else rf"\({formula(part)}\)"


def prose(text: str, linked: Callable[[str], str]) -> str:
    """A paragraph: what stands between backticks is code, or a link; the rest may hold formulas."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return "".join(
        linked(part.strip("`")) if part.startswith("`") else formula(part) for part in parts
    )


def markdown(doc: str, linked: Callable[[str], str]) -> str:
    """A docstring (without its indent) as Markdown."""
    out: list[str] = []
    for block in re.split(r"\n[ \t]*\n", doc.strip("\n")):
        lines = block.splitlines()
        while lines:
            kind, take = _kind(lines[0]), _together(lines)
            piece, lines = lines[:take], lines[take:]
            if kind == "example":
                out.append("```pycon\n" + "\n".join(piece) + "\n```")
            elif kind == "code":
                least = min(len(x) - len(x.lstrip()) for x in piece)
                out.append("```text\n" + "\n".join(x[least:] for x in piece) + "\n```")
            elif kind == "item":
                items = re.split(r"\n(?=- )", "\n".join(piece))
                out.append("\n".join(
                    "- " + prose(" ".join(item[2:].split()), linked) for item in items
                ))  # fmt: skip
            else:
                out.append(prose("\n".join(x.strip() for x in piece), linked))
    return "\n\n".join(out)


def _kind(line: str) -> str:
    if line.startswith(">>>"):
        return "example"
    if line.startswith("- "):
        return "item"
    return "code" if line.startswith("   ") else "prose"


def _together(lines: list[str]) -> int:
    """How many lines from the first are of its kind; an example goes to the end of its block."""
    kind = _kind(lines[0])
    if kind == "example":
        return len(lines)
    for n, line in enumerate(lines[1:], 1):
        now = _kind(line)
        if now == "example" or (kind != "item" and now != kind):
            return n
    return len(lines)


def summary(doc: str, linked: Callable[[str], str]) -> str:
    """The first sentence, or the first line."""
    first = re.split(r"\n[ \t]*\n", doc.strip())[0]
    first = " ".join(first.split())
    sentence = re.match(r"(.*?[^.\s]\.)(?=\s+[A-Z`(]|$)", first)
    return prose(sentence[1] if sentence else first, linked)
