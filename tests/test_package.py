"""What a user of the installed package meets before the first array: its parts, and its import."""

import re
import subprocess
import sys
from importlib import metadata, resources

import pytest


def installed_packages_loaded_by(code: str) -> set[str]:
    """Top-level modules of installed distributions that a new interpreter has after the code."""
    probe = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    return set(done.stdout.split()) & set(metadata.packages_distributions())


def requirements(extra: str | None = None) -> set[str]:
    """The names of the distributions asked for by that extra, or by the package itself."""
    names = set()
    for line in metadata.requires("gradarray") or []:
        asked_by = re.search(r"extra == '(\w+)'", line)
        if (asked_by and asked_by[1]) == extra:
            names.add(re.match(r"[\w-]+", line)[0])
    return names


def test_import_loads_nothing_optional():
    assert "matplotlib" in installed_packages_loaded_by("import matplotlib")
    loaded = installed_packages_loaded_by("import gradarray")
    assert "numpy" in loaded
    at_start = installed_packages_loaded_by("pass")
    assert loaded - at_start - {"gradarray"} <= {"numpy", "scipy", "llvmlite"}


def test_types_are_shipped():
    assert resources.files("gradarray").joinpath("py.typed").is_file()


def test_only_arithmetic_is_required():
    assert requirements() == {"numpy", "scipy", "llvmlite"}


@pytest.mark.parametrize("extra", ["plot", "demo"])
def test_the_tests_install_what_a_user_may_ask_for(extra):
    assert requirements(extra)
    assert requirements(extra) <= requirements("test")
