"""The reference: one page for each of the library's files, made from signatures and docstrings."""

from __future__ import annotations

import inspect
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import words  # pyright: ignore[reportMissingImports]

import gradarray as ga

# Namespaces, in the order in which the reference lists them: name, and what it is called there.
NAMESPACES = {
    "": "gradarray",
    "nn": "gradarray.nn",
    "nn.functional": "gradarray.nn.functional",
    "nn.init": "gradarray.nn.init",
    "nn.utils": "gradarray.nn.utils",
    "optim": "gradarray.optim",
    "optim.lr_scheduler": "gradarray.optim.lr_scheduler",
    "train": "gradarray.train",
    "train.metrics": "gradarray.train.metrics",
    "train.datasets": "gradarray.train.datasets",
    "random": "gradarray.random",
    "linalg": "gradarray.linalg",
    "fft": "gradarray.fft",
    "special": "gradarray.special",
    "implicit": "gradarray.implicit",
    "testing": "gradarray.testing",
    "tree": "gradarray.tree",
}

# What public functions give, and is no public name itself, is told beside them.
GIVEN = (
    "glass.explain.Explanation", "glass.story.Row", "glass.story.Term", "glass.orders.Orders",
    "glass.formula.Formula", "glass.quiz.Quiz", "glass.compare.Comparison",
    "glass.diagnose.Diagnosis", "glass.diagnose.Finding", "glass.failure.Failure",
)  # fmt: skip


class Entry(NamedTuple):
    """One public object: the full names it has, the object, and the file that defines it."""

    names: list[str]
    value: Any
    module: str


def namespace(path: str) -> Any:
    found: Any = ga
    for part in filter(None, path.split(".")):
        found = getattr(found, part)
    return found


def public(path: str) -> list[tuple[str, Any]]:
    """Names of a namespace that are its own: no modules, nothing that it only imports."""
    space = namespace(path)
    names = getattr(space, "__all__", None) or [n for n in dir(space) if not n.startswith("_")]
    found = []
    for name in sorted(names):
        value = getattr(space, name)
        ours = str(getattr(value, "__module__", "")).startswith("gradarray")
        if isinstance(value, ModuleType) or not (ours or hasattr(space, "__all__") or not path):
            continue
        found.append((name, value))
    return found


def entries() -> list[Entry]:
    """Every public object once, under all of its names."""
    found: dict[Any, Entry] = {}
    for path, where in NAMESPACES.items():
        for name, value in public(path):
            key = id(value) if callable(value) else f"{where}.{name}"
            module = getattr(value, "__module__", "") if callable(value) else ""
            if not module.startswith("gradarray"):
                module = "gradarray.dtypes"
            found.setdefault(key, Entry([], value, module)).names.append(f"{where}.{name}")
    for path in GIVEN:
        module, _, name = f"gradarray.{path}".rpartition(".")
        value = getattr(import_module(module), name)
        found[id(value)] = Entry([f"{module}.{name}"], value, module)
    last_error = ga.explain.last_error
    found[id(last_error)] = Entry(
        ["gradarray.explain.last_error"], last_error, ga.explain.__module__
    )
    return list(found.values())


class Text:
    """An annotation or a default, shown as it was written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def signature(value: Any, bound: bool = False) -> str:
    """Its parameters, without that of the object of which it is a method."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "()"
    shown = [p.replace(annotation=_annotation(p), default=_default(p))
             for p in found.parameters.values()]  # fmt: skip
    shown = [p for p in shown[bound:] if not p.name.startswith("_")]
    return str(inspect.Signature(shown))


def _annotation(p: inspect.Parameter) -> Any:
    text = p.annotation if isinstance(p.annotation, str) else ""
    return Text(text) if text not in ("", "Any") else p.empty


def _default(p: inspect.Parameter) -> Any:
    if p.default is p.empty or p.default is None or isinstance(p.default, (int, float, str, tuple)):
        return p.default
    return Text(getattr(p.default, "__name__", "..."))


class Reference:
    """Pages of the reference, and where each name is told."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries():
            self.pages[entry.module].append(entry)
        self.known = {
            name for page in self.pages.values() for entry in page for name in entry.names
        }
        self._space = "gradarray"

    def linked(self, code: str) -> str:
        """What stands between backticks: a link where it is a public name."""
        for where in (self._space, "gradarray", "gradarray.nn"):
            name = f"{where}.{code.removeprefix('ga.').removesuffix('()')}"
            if name in self.known:
                return f"{{py:obj}}`{code} <{name}>`"
        return f"`` {code} ``" if "`" in code else f"`{code}`"

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for module, found in self.pages.items():
            (folder / f"{slug(module)}.md").write_text(self.page(module, found), "utf-8")
        (folder / "index.md").write_text(self.index(), "utf-8")

    def page(self, module: str, found: list[Entry]) -> str:
        title, rest = headed(module)
        # The list of contents beside every page names the index only: there are too many of these.
        out = ["---\norphan: true\n---\n", f"# {title}\n", "[Reference](index.md)\n", rest + "\n"]
        out += [self.entry(entry) for entry in sorted(found, key=lambda e: e.names[0].lower())]
        return "\n".join(out)

    def entry(self, entry: Entry) -> str:
        value = entry.value
        self._space = entry.names[0].rpartition(".")[0]
        if not callable(value):
            return directive("data", entry.names, "", f"`{value!r}`")
        if not value.__module__.startswith("gradarray"):
            what = f"`{value.__module__}.{value.__name__}` itself."
            return directive("data", entry.names, "", what)
        doc = self.told(value)
        if not isinstance(value, type):
            return directive("function", entry.names, signature(value), doc)
        kind = "exception" if issubclass(value, BaseException) else "class"
        members = [] if kind == "exception" else [self.member(*m) for m in own_members(value)]
        body = "\n\n".join([doc, *members])
        return directive(kind, entry.names, "" if kind == "exception" else signature(value), body)

    def member(self, name: str, value: Any) -> str:
        if isinstance(value, property):
            return directive("property", [name], "", self.told(value), ":::")
        return directive("method", [name], signature(value, bound=True), self.told(value), ":::")

    def told(self, value: Any) -> str:
        return words.markdown(inspect.getdoc(value) or "", self.linked)

    def index(self) -> str:
        out = [
            "# Reference\n",
            "Every public name, from its docstring; the examples are run as tests.\n",
        ]
        shown: dict[str, list[tuple[str, str, list[Entry]]]] = defaultdict(list)
        for module, found in self.pages.items():
            shown[section(module, found)].append((headed(module)[0], module, found))
        for title in SECTIONS:
            out.append(f"## {title}\n\n| page | names |\n| --- | --- |")
            for heading, module, found in sorted(shown.pop(title)):
                names = sorted((n for e in found for n in e.names), key=str.lower)
                links = ", ".join(
                    f"{{py:obj}}`{n.removeprefix('gradarray.')} <{n}>`" for n in names
                )
                out.append(f"| [{heading}]({slug(module)}.md) | {links} |")
            out.append("")
        if shown:
            raise ValueError(f"no section of the reference has {sorted(shown)}")
        return "\n".join(out)


SECTIONS = (
    "Arrays and operations",
    "Derivatives",
    "Seeing derivatives",
    "Networks",
    "Optimisers",
    "Training",
    "Namespaces",
    "Compiling, testing, and the core",
)


PARTS = {
    **dict.fromkeys(("ops", "dtypes", "array", "dlpack"), "Arrays and operations"),
    "transforms": "Derivatives",
    "glass": "Seeing derivatives",
    "nn": "Networks",
    "optim": "Optimisers",
    "train": "Training",
    **dict.fromkeys(("random", "linalg", "fft", "special", "tree"), "Namespaces"),
}


def section(module: str, found: list[Entry]) -> str:
    """By the part of the library that defines it; what only a namespace has is listed as such."""
    space = found[0].names[0].split(".")[1:-1]
    if (space and space[0] in PARTS) or space == ["implicit"]:
        return PARTS.get(space[0], "Namespaces")
    return PARTS.get(module.split(".")[1], SECTIONS[-1])


def headed(module: str) -> tuple[str, str]:
    """A page's title, from what the file says of itself, and the rest of that."""
    doc = inspect.getdoc(sys.modules[module]) or module
    title, _, rest = doc.partition("\n\n")
    name = module.removeprefix("gradarray.").removeprefix("ops.").removeprefix("transforms.")
    return name, words.prose(" ".join(title.split()), lambda code: f"`{code}`") + (
        "\n\n" + words.markdown(rest, lambda code: f"`{code}`") if rest and "#" not in rest else ""
    )


def slug(module: str) -> str:
    return module.removeprefix("gradarray.").replace(".", "-").replace("_", "-")


def directive(kind: str, names: list[str], shown: str, body: str, fence: str = "::::") -> str:
    """The first name with its text, and the others as further names of it."""
    told = [(names[0], body)] + [(n, f"Another name of {{py:obj}}`{names[0]}`.") for n in names[1:]]
    return "\n".join(f"{fence}{{py:{kind}}} {n}{shown}\n\n{t.strip()}\n{fence}\n" for n, t in told)


def own_members(value: type) -> list[tuple[str, Any]]:
    """Public methods and properties with a docstring, but those told of a base class already."""
    bases = [b for b in value.__mro__ if b.__module__.startswith("gradarray")]
    seen = {n for b in bases[1:] if b is ga.nn.Module or b is ga.Grad for n in vars(b)}
    found = {name: member for base in reversed(bases) for name, member in vars(base).items()}
    told = []
    for name, member in sorted(found.items()):
        shown = inspect.isfunction(member) or isinstance(member, property)
        inherited = name in seen and name not in vars(value)
        if shown and not name.startswith("_") and not inherited and inspect.getdoc(member):
            told.append((name, member))
    return told
