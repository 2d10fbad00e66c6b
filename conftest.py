"""Settings shared by the tests and by the examples in docstrings."""

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

# Before anything imports NumPy: one BLAS thread, so that workers do not fight for the cores,
# and pictures that need no window.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_configure() -> None:
    from hypothesis import HealthCheck, settings

    # Before the examples of one file: pytest would execute it beside the package, a second time.
    import gradarray  # noqa: F401

    # The same examples at every run, and no deadline: the machine may be busy with other things.
    settings.register_profile(
        "gradarray",
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=50,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("gradarray")

    # Tests that replace parts of the compiler would be given what was made without that.
    from gradarray.compiler import recall

    recall.enabled = False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden texts anew, to be read in a diff"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers must agree on the names of tests, so that no name may hold an address in memory."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: name its cases with ids=[...]")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """golden(path, text): the text is that of the file, but for line numbers of test files."""

    def compare(path: Path, text: str) -> None:
        text = re.sub(r"(at \w+\.py):\d+", r"\1:NN", text)
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        kept = path.read_text(encoding="utf-8")
        if text != kept:
            lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), n=1, lineterm="")
            pytest.fail(
                f"{path.name} differs; if it should, run pytest --update-golden and read the "
                "diff:\n" + "\n".join([*lines][:80]),
                pytrace=False,
            )

    return compare
