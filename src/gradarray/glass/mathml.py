r"""LaTeX's mathematics, as far as the library writes it, as MathML: no fonts and no scripts needed.

Raises FormulaError for a command that it does not know, so that none is dropped in silence.

>>> mathml(r"\frac{1}{2 \sqrt{c}}")
'<math><mfrac><mn>1</mn><mrow><mn>2</mn><msqrt><mi>c</mi></msqrt></mrow></mfrac></math>'
"""

from __future__ import annotations

import re
from html import escape

from ..errors import message

_TOKENS = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)

_IDENTIFIERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ",
    "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "infty": "∞",
    "Re": "ℜ", "Im": "ℑ", "ldots": "…", "cdots": "⋯", "top": "⊤",
}  # fmt: skip
_FUNCTIONS = frozenset({
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "exp", "log", "det",
    "max", "min", "arg", "gcd",
})  # fmt: skip
_OPERATORS = {
    "cdot": "·", "times": "×", "star": "⋆", "oplus": "⊕", "ll": "≪", "gg": "≫", "leq": "≤",
    "geq": "≥", "ne": "≠", "approx": "≈", "wedge": "∧", "vee": "∨", "veebar": "⊻", "mid": "|",
    "neg": "¬", "sim": "∼", "partial": "∂", "backslash": "\\", "to": "→",
}  # fmt: skip
_BIG = {"sum": "∑", "prod": "∏", "bigvee": "⋁", "bigwedge": "⋀"}
_FENCES = {
    "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "Vert": "‖", "{": "{", "}": "}",
}  # fmt: skip
_SPACES = {",": "0.17em", ";": "0.28em", " ": "0.25em", "quad": "1em"}
_ESCAPED = frozenset("$&#%_{}")
_LETTERS = {"mathcal": "script", "mathrm": "normal", "operatorname": "normal", "text": "normal"}


class FormulaError(ValueError):
    """A formula that cannot be written as asked."""


def mathml(tex: str, display: bool = False) -> str:
    """The MathML of a formula, `display` for one on a line of its own."""
    reader = _Reader(tex)
    inner = reader.row("")
    if reader.peek():
        raise reader.error(f"{reader.peek()!r} closes nothing")
    block = ' display="block"' if display else ""
    return f"<math{block}>{inner}</math>"


class _Reader:
    def __init__(self, tex: str) -> None:
        self.tex = tex
        self.tokens = _TOKENS.findall(tex)
        self.at = 0

    def error(self, what: str) -> FormulaError:
        return FormulaError(message("mathml", f"{what}, in {self.tex[:200]!r}."))

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise self.error(f"{token!r} is missing")

    def row(self, *ends: str) -> str:
        """Elements up to one of `ends`, which is left to be taken."""
        out: list[str] = []
        while self.peek() and self.peek() not in ends and self.peek() not in ("}", r"\right"):
            if self.peek().isspace():
                self.take()
                continue
            out.append(self.scripted())
        joined = "".join(out)
        return joined if len(out) == 1 or ends == ("",) else f"<mrow>{joined}</mrow>"

    def scripted(self) -> str:
        base_token = self.peek()
        base = "<mrow></mrow>" if base_token in ("^", "_") else self.one()
        below = above = ""
        while self.peek() in ("^", "_"):
            which = self.take()
            if (above if which == "^" else below):
                raise self.error("two scripts in one place")
            script = self.argument()
            if which == "^":
                above = script
            else:
                below = script
        if not below and not above:
            return base
        big = base_token.removeprefix("\\") in (*_BIG, "max", "min")
        low, high, both = ("munder", "mover", "munderover") if big else ("msub", "msup", "msubsup")
        tag = both if below and above else low if below else high
        return f"<{tag}>{base}{below}{above}</{tag}>"

    def argument(self) -> str:
        """One token, or a group."""
        while self.peek().isspace():
            self.take()
        if self.peek() == "{":
            self.take()
            inner = self.row("}")
            self.expect("}")
            return inner
        if len(self.peek()) > 1 and self.peek().isdigit():
            digits = self.take()
            self.tokens[self.at - 1 : self.at] = list(digits)
            self.at -= 1
        return self.one()

    def one(self) -> str:
        token = self.take()
        if not token:
            raise self.error("something is missing at the end")
        if token == "{":
            self.at -= 1
            return self.argument()
        if token.startswith("\\") and len(token) > 1:
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{escape(token)}</mi>"
        if token in "&\\":
            raise self.error(f"{token!r} outside a matrix")
        if token == "-":
            return "<mo>−</mo>"
        stretch = ' stretchy="false"' if token in "()[]|" else ""
        return f"<mo{stretch}>{escape(token)}</mo>"

    def command(self, name: str) -> str:
        if name in ("frac", "binom"):
            top, bottom = self.argument(), self.argument()
            if name == "frac":
                return f"<mfrac>{top}{bottom}</mfrac>"
            inner = f'<mfrac linethickness="0">{top}{bottom}</mfrac>'
            return f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"
        if name == "sqrt":
            return self.root()
        if name == "left":
            return self.fenced()
        if name == "begin":
            return self.environment()
        if name in _LETTERS:
            return self.letters(name)
        if name in _IDENTIFIERS:
            return f"<mi>{_IDENTIFIERS[name]}</mi>"
        if name in _FUNCTIONS:
            return f"<mi>{name}</mi><mo>&#x2061;</mo>" if self.is_applied() else f"<mi>{name}</mi>"
        if name in _BIG:
            return f'<mo movablelimits="true">{_BIG[name]}</mo>'
        if name in _FENCES:
            return f'<mo stretchy="false">{_FENCES[name]}</mo>'
        if name in _OPERATORS:
            return f"<mo>{escape(_OPERATORS[name])}</mo>"
        if name in _SPACES:
            return f'<mspace width="{_SPACES[name]}"/>'
        if name in _ESCAPED:
            return f"<mo>{escape(name)}</mo>"
        raise self.error(f"the command \\{name} is not known")

    def is_applied(self) -> bool:
        return self.peek() not in ("^", "_", "")

    def root(self) -> str:
        if self.peek() != "[":
            return f"<msqrt>{self.argument()}</msqrt>"
        self.take()
        index = self.row("]")
        self.expect("]")
        return f"<mroot>{self.argument()}{index}</mroot>"

    def fenced(self) -> str:
        left = self.fence()
        inner = self.row(r"\right")
        self.expect(r"\right")
        return f"<mrow>{left}{inner}{self.fence()}</mrow>"

    def fence(self) -> str:
        token = self.take()
        shown = _FENCES.get(token.removeprefix("\\"), "" if token == "." else token)
        if shown and shown not in "()[]|{}⌊⌋⌈⌉‖":
            raise self.error(f"{token!r} is no bracket")
        return f"<mo>{escape(shown)}</mo>"

    def letters(self, name: str) -> str:
        self.expect("{")
        words = ""
        while self.peek() != "}":
            token = self.take()
            if not token:
                raise self.error("'}' is missing")
            words += self.plain(token)
        self.take()
        return f'<mi mathvariant="{_LETTERS[name]}">{escape(words)}</mi>'

    def plain(self, token: str) -> str:
        if not token.startswith("\\") or token == "\\":
            return token
        name = token[1:]
        if name in _SPACES:
            return " "
        known = {**_IDENTIFIERS, **_OPERATORS, "wedge": "^", "sim": "~"}  # as names write them
        found = name if name in _ESCAPED else known.get(name)
        if found is None:
            raise self.error(f"{token!r} stands among letters")
        if name.isalpha() and self.peek() == " ":  # it only ends the command
            self.take()
        return found

    def environment(self) -> str:
        name = self.letters("mathrm").split(">")[1].split("<")[0]
        if name not in ("pmatrix", "aligned", "align*"):
            raise self.error(f"the environment {name!r} is not known")
        rows: list[list[str]] = [[]]
        while True:
            rows[-1].append(self.row("&", r"\\", r"\end"))
            end = self.take()
            if end == r"\\":
                rows.append([])
            elif end == r"\end":
                break
            elif end != "&":
                raise self.error(f"the end of {name} is missing")
        self.letters("mathrm")
        cells = "".join(
            f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>"
            for row in rows
            if row != ["<mrow></mrow>"]
        )
        if name == "pmatrix":
            return f"<mrow><mo>(</mo><mtable>{cells}</mtable><mo>)</mo></mrow>"
        return f'<mtable columnalign="right left" displaystyle="true">{cells}</mtable>'
