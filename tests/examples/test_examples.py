"""Every example runs, and does what it says; all of them are short."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from gradarray.train import datasets

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))


def main_of(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_says_what_it_is(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert text.startswith('"""') and f"def test_{name}(" in Path(__file__).read_text()


def test_or_gate(capsys):
    assert main_of("or_gate")(steps=500)
    rows = capsys.readouterr().out.splitlines()[-4:]
    assert [round(float(row.split()[-1])) for row in rows] == [0, 1, 1, 1]


def test_xor(capsys):
    assert main_of("xor")(epochs=200)
    assert "the same weights, bit for bit: True" in capsys.readouterr().out


def test_four_lines(capsys):
    assert main_of("four_lines")(steps=300) < 1e-3  # the sine has a mean square of a half
    assert len(capsys.readouterr().out.splitlines()) == 6 + 2 + 8


def test_keras_style(capsys, tmp_path):
    assert main_of("keras_style")(tmp_path, epochs=4) > 0.8
    out = capsys.readouterr().out
    assert "Smooth" in out and "top_2" in out and "wobble" in out
    assert len((tmp_path / "epochs.csv").read_text().splitlines()) == 1 + 4
    assert (tmp_path / "best.safetensors").exists()


def test_custom_op(capsys):
    assert main_of("custom_op")() > 11
    out = capsys.readouterr().out
    reverse, forward = re.findall(r"(\S+) in (?:reverse|forward) mode", out)
    assert float(reverse) == pytest.approx(float(forward), rel=1e-14)


@pytest.fixture
def few_clothes(monkeypatch):
    """Fashion-MNIST as the example reads it, but 300 random images of it, installed or not."""
    rng = np.random.default_rng(0)
    part = datasets.Part(rng.random((300, 28, 28), np.float32), rng.integers(0, 10, 300))
    monkeypatch.setattr(datasets, "fashion_mnist_available", lambda: True)
    monkeypatch.setattr(datasets, "fashion_mnist", lambda: datasets.Split(part, part))


def test_digits(capsys, tmp_path, few_clothes):
    main_of("digits")(tmp_path / "runs", epochs=6, fashion_epochs=1)
    out = capsys.readouterr().out
    names = ["digits.png", "digits.safetensors", "fashion-mnist.png", "fashion-mnist.safetensors"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names
    assert "1,437 images to train on, 360 to test on" in out
    assert re.search(r"Epoch 6/6 - 41/41 - .*/step - loss: .* - accuracy: ", out)
    tested, again = (
        re.findall(rf"{what} +([\d.]+)%", out) for what in ("test accuracy", "loaded again")
    )
    assert tested == again and len(tested) == 2
    assert float(tested[0]) > 80  # chance is 10
    reverse, forward, differences = (
        float(re.search(rf"{way} .* (-?\d\.\d+)\n", out)[1])
        for way in ("reverse", "forward", "neither")
    )
    assert reverse == pytest.approx(forward, rel=1e-11)
    # Central differences of step 1e-5: truncation of 1e-10, rounding of eps / 1e-5, and few kinks.
    assert reverse == pytest.approx(differences, rel=1e-4, abs=1e-8)


def test_digits_without_fashion_mnist(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "fashion_mnist_available", lambda: False)
    main_of("digits")(tmp_path, epochs=1)
    assert {path.stem for path in tmp_path.iterdir()} == {"digits"}
