"""The documentation site builds without a warning, and has what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from docs.website import words

ROOT = Path(__file__).parents[2]
needs_sphinx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("sphinx", "myst_parser", "furo", "latex2mathml")),
    reason="pip install 'gradarray[docs]' to build the site",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    script = ROOT / "docs" / "website" / "build.py"
    built = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=600
    )
    assert built.returncode == 0, built.stderr
    assert not built.stderr.strip()
    return folder / "html"


@needs_sphinx
def test_every_public_name_has_its_place(site):
    pages = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    told = set(re.findall(r'id="(gradarray[\w.]+)"', pages))
    import gradarray as ga

    spaces = {"": ga} | {
        f".{m}": getattr(ga, m) for m in ("nn", "optim", "linalg", "fft", "special")
    }
    expected = {
        f"gradarray{part}.{name}"
        for part, space in spaces.items()
        for name in getattr(space, "__all__", dir(space))
        if not isinstance(getattr(space, name), ModuleType) and not name.startswith("_")
    }
    assert expected - told == set()
    assert len(told) > 700


@needs_sphinx
def test_lessons_and_gallery_have_their_pages_in_them(site):
    lessons = [*(site / "docs" / "lessons").glob("16-*.html")]
    gallery = [p for p in (site / "docs" / "gallery").glob("*.html") if p.stem != "README"]
    assert len(lessons) == 2 and len(gallery) >= 12
    for page in lessons + gallery:
        frames = re.findall(r'<iframe class="explained" src="([^"]+)"', page.read_text("utf-8"))
        assert len(frames) == (3 if page in lessons else 1)
        for frame in frames:
            shown = (page.parent / frame).read_text("utf-8")
            assert ('lang="ko"' in shown[:300]) == page.stem.endswith(".ko")


@needs_sphinx
def test_nothing_comes_from_the_network(site):
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        found = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"', text)
        found += re.findall(r'<link[^>]* href="(https?:[^"]+)"', text)
        assert not found, (page.name, found)


@needs_sphinx
def test_formulas_are_mathml_and_none_is_left_as_source(site):
    text = (site / "docs" / "lessons" / "01-one-function.html").read_text("utf-8")
    assert text.count("<math") > 20
    for page in (site / "reference").glob("*.html"):
        outside = re.sub(r"<pre>.*?</pre>", "", page.read_text("utf-8"), flags=re.S)
        outside = re.sub(r"<script.*?</script>|<code.*?</code>", "", outside, flags=re.S)
        assert not re.findall(r"\\[a-z]+|\^\{", outside), page.name


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        (r"y = \sum_i x_i^2", "y = ∑<sub>i</sub> x<sub>i</sub><sup>2</sup>"),
        (r"-1/\sqrt{1 - x^2}", "-1/√(1 - x<sup>2</sup>)"),
        (r"\frac{1}{2} \dot x", "1/2 ẋ"),
        (r"\frac{a + b}{c}", "(a + b)/c"),
        (r"e^{-x_i}, in_channels", "e<sup>-x<sub>i</sub></sup>, in_channels"),
        (r"\max_i x_i", "max<sub>i</sub> x<sub>i</sub>"),
        (r"A^\top \bar y", "A<sup>⊤</sup> ȳ"),
        (r"x*y and a_b_c", "x*y and a_b_c"),
    ],
)
def test_docstrings_formulas_as_text(tex, shown):
    assert words.formula(tex).replace("\\", "") == shown


def test_a_formula_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match=r"\\unheard"):
        words.formula(r"\unheard x")
    with pytest.raises(ValueError, match="not closed"):
        words.formula(r"x^{2")
