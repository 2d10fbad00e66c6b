"""Imports run one way: the core, then ops, then transforms, then what stands on them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "gradarray"

# Each layer may import from itself and from those before it.
LAYERS = [
    {"errors", "namespace", "tree", "types", "lazy", "graph", "array", "registry", "choices"}
    | {"algebra", "complaints", "custom", "plan", "project", "record", "short", "written"}
    | {"protocols", "loaded"}
    | {"standard", "dtypes", "dlpack"},
    {"ops"},
    {"transforms", "random", "linalg", "fft", "special"},
    {"nn", "optim", "glass", "compiler", "testing"},
    {"train", "physics"},
    {"__main__"},
]

# Imports of our own modules inside a function, and why they stand there.
LATE = {
    ("ops.compare", "ops.select"): "where(condition) alone is nonzero, which chooses with where",
    ("train.history", "train.plotting"): "plotting asks for matplotlib",
}

# Their results are what benchmarks compare with; nothing else may lean on them.
PEERS = {"torch", "jax", "autograd", "tensorflow", "keras", "mxnet", "tinygrad", "mlx", "flax"}


def modules() -> dict[str, Path]:
    """Dotted names below the package ('' for itself) and their files."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = path
    return found


MODULES = modules()


def imported_by(name: str, *, late: bool) -> set[str]:
    """Modules of the package that a module imports: when it is loaded, or (late) in functions."""
    path = MODULES[name]
    base = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    base = [part for part in base if part]
    found: set[str] = set()

    def visit(node: ast.AST, inside: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child, inside)
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inside = True
        if inside == late:
            found.update(targets(node))
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    def targets(node: ast.AST) -> set[str]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("gradarray")]
            return {n.removeprefix("gradarray").lstrip(".") for n in names}
        if not isinstance(node, ast.ImportFrom):
            return set()
        if node.level:
            start = base[: len(base) - node.level + 1]
            stem = ".".join([*start, *(node.module or "").split(".")]).strip(".")
        elif node.module and node.module.split(".")[0] == "gradarray":
            stem = node.module.removeprefix("gradarray").lstrip(".")
        else:
            return set()
        # `from .. import tree` names modules, `from ..tree import map` names what is in one.
        return {
            full if full in MODULES else stem
            for alias in node.names
            for full in [f"{stem}.{alias.name}".strip(".")]
        }

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return found - {name}


def layer(name: str) -> int:
    part = name.partition(".")[0]
    for k, members in enumerate(LAYERS):
        if part in members:
            return k
    raise AssertionError(f"{part} has no place in the order of imports; give it one in LAYERS")


@pytest.mark.parametrize("name", [n for n in MODULES if n])
def test_imports_run_one_way(name):
    here = layer(name)
    above = {other for other in imported_by(name, late=False) if not other or layer(other) > here}
    assert above == set(), f"{name} imports {above}, which stand above it"


def test_no_cycles():
    # Packages stand for their __init__, which loads first.
    needs = {name: imported_by(name, late=False) for name in MODULES}
    done: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        assert name not in path, "cycle: " + " -> ".join([*path[path.index(name) :], name])
        for other in sorted(needs[name]):
            follow(other, (*path, name))
        done.add(name)

    for name in MODULES:
        follow(name, ())


def test_no_import_is_put_off_to_hide_a_cycle():
    late = {(name, other) for name in MODULES for other in imported_by(name, late=True)}
    assert late == set(LATE)


@pytest.mark.parametrize("folder", ["src", "tests", "examples", "docs"])
def test_no_peer_is_imported(folder):
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            found |= {(path.name, n) for n in names if n.split(".")[0] in PEERS}
    assert found == set()


def test_the_check_itself_sees_imports():
    # A test that parses nothing would pass: these are known to be there.
    assert {"algebra", "record", "registry"} <= imported_by("ops.arithmetic", late=False)
    assert "graph" in imported_by("array", late=False)
    assert "types" not in imported_by("array", late=False)  # only for type checkers
    assert "transforms.pull" in imported_by("testing.problem", late=False)
