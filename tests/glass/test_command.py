"""`gradarray explain` and `gradarray quiz`, run as a user runs them."""

import io
import json
import subprocess
import sys

import pytest

from gradarray.glass.command import FORMS, main

SCRIPT = """
import gradarray as ga

RATE = 1.1

def price(apple, count):
    total = apple * count
    return total * RATE

def loss(w):
    return (w @ w.T).sum()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text(SCRIPT)
    return str(path)


def test_the_table(script, capsys):
    assert main(["explain", f"{script}:price", "--at", "apple=100", "count=2"]) == 0
    out = capsys.readouterr().out
    assert "total = apple · count" in out and "7: total = apple * count" in out
    assert "= 220" in out and "\x1b" not in out


def test_in_korean(script, capsys):
    main(["explain", f"{script}:price", "--at", "apple=100", "count=2", "--lang", "ko"])
    assert capsys.readouterr().out.startswith("순방향")


@pytest.mark.parametrize("form", FORMS)
def test_every_form(script, form, capsys):
    assert main(["explain", f"{script}:price", "--at", "apple=100", "count=2", "--as", form]) == 0
    out = capsys.readouterr().out
    assert out.strip()
    if form == "json":
        assert json.loads(out)["result"] is not None


def test_matrices_and_files(script, tmp_path, capsys):
    page, tex = str(tmp_path / "page.html"), str(tmp_path / "f.tex")
    where = [f"{script}:loss", "--at", "w=[[1,2],[3,4]]"]
    assert main(["explain", *where, "--save", page, "--lang", "ko"]) == 0
    assert main(["explain", *where, "--as", "latex", "--save", tex]) == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!")
    assert r"\begin{align*}" in (tmp_path / "f.tex").read_text(encoding="utf-8")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere.py:f"], "there is no file"),
        (["{}"], "names no function"),
        (["{}:prise"], "it has price, loss"),
        (["{}:price", "--at", "apple=1"], "missing a required argument: 'count'"),
        (["{}:price", "--at", "apple"], "is no argument"),
        (["{}:price", "--at", "apple=__import__('os')", "count=1"], "not a number"),
    ],
)
def test_refusals_say_what_to_write(script, args, words, capsys):
    given = [a.replace("{}", script if ":" in a else "shop") for a in args]
    assert main(["explain", *given]) == 2
    err = capsys.readouterr().err
    assert err.startswith("gradarray explain: ") and words in err


def test_the_quiz(script, monkeypatch, capsys, tmp_path):
    where = [f"{script}:price", "--at", "apple=100", "count=2"]
    monkeypatch.setattr("sys.stdin", io.StringIO("200\n220\nq\n"))
    assert main(["quiz", *where]) == 0
    assert "2 of 7 right at once." in capsys.readouterr().out
    assert main(["quiz", *where, "--save", str(tmp_path / "q.html")]) == 0
    assert (tmp_path / "q.html").is_file()


def test_as_a_module(script):
    done = subprocess.run(
        [sys.executable, "-m", "gradarray", "explain", f"{script}:price", "--at", "apple=1",
         "count=2"],
        capture_output=True, text=True, check=True, encoding="utf-8",
        env={**__import__("os").environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert "∂price/∂apple" in done.stdout
