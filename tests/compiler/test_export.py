"""A step as an object file: a C program links it and gets the same numbers."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradarray as ga

CC = shutil.which("gcc") or shutil.which("cc")
linked = pytest.mark.skipif(CC is None, reason="no C compiler here")


def build(at: Path, name: str, main: str) -> list[str]:
    """The lines that a C program with this main prints."""
    (at / "main.c").write_text(f'#include "{name}.h"\n{main}')
    assert CC is not None
    command = [CC, "-Wall", "-Wextra", "-Werror", "-o", at / "main", at / "main.c",
               at / f"{name}.o", "-lm"]  # fmt: skip
    subprocess.run(command, check=True, cwd=at)
    return subprocess.run(
        [at / "main"], check=True, cwd=at, capture_output=True, text=True
    ).stdout.split()


def floats(lines: list[str]) -> np.ndarray:
    return np.array([float.fromhex(x) for x in lines])


def numbers(x: np.ndarray) -> str:
    return ", ".join(float(v).hex() for v in x.ravel())


@linked
def test_a_prediction(tmp_path: Path):
    ga.random.seed(0)
    model = ga.nn.Sequential(ga.nn.Linear(3, 40), ga.nn.Tanh(), ga.nn.Linear(40, 2))

    @ga.compile
    def predict(x: Any) -> Any:
        with ga.no_grad():
            return model(x)

    x = np.random.default_rng(0).normal(size=(5, 3)).astype("f4")
    expected = predict(x).numpy()
    files = predict.export(tmp_path)
    assert [f.name for f in files] == ["predict.o", "predict.h", "predict.weights"]
    found = build(tmp_path, "predict", f"""
    int main(void) {{
        float x[15] = {{ {numbers(x)} }}, y[10];
        predict_step *s = predict_open("predict.weights");
        if (!s || predict_open("main.c") || predict_open("nowhere")) return 1;
        int status = predict(s, x, y);
        for (int k = 0; k < 10; k++) printf("%a\\n", y[k]);
        predict_close(s);
        return status;
    }}""")  # fmt: skip
    np.testing.assert_array_equal(floats(found).astype("f4").reshape(5, 2), expected)


@linked
@pytest.mark.parametrize("batch", [20, 3000])  # as a whole; in chunks of tiles
def test_training_changes_the_state_as_in_python(tmp_path: Path, batch: int):
    ga.random.seed(0)
    rng = np.random.default_rng(0)
    model = ga.nn.Sequential(ga.nn.Linear(3, 64), ga.nn.Tanh(), ga.nn.Linear(64, 64),
                             ga.nn.Tanh(), ga.nn.Linear(64, 1))  # fmt: skip
    optimizer = ga.optim.Adam(model.parameters(), lr=0.01)
    x, y = rng.normal(size=(batch, 3)).astype("f4"), rng.normal(size=(batch, 1)).astype("f4")

    def train_step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    step = ga.compile(train_step)
    step(x, y)
    step(x, y)
    (tmp_path / "x.bin").write_bytes(x.tobytes() + y.tobytes())
    step.export(tmp_path)
    expected = [step(x, y).item() for _ in range(4)]
    found = build(tmp_path, "train_step", f"""
    static float x[{batch * 3}], y[{batch}], loss;
    int main(void) {{
        FILE *f = fopen("x.bin", "rb");
        if (fread(x, sizeof x, 1, f) + fread(y, sizeof y, 1, f) != 2) return 1;
        fclose(f);
        train_step_step *s = train_step_open("train_step.weights");
        if (!s) return 2;
        for (int k = 0; k < 4; k++) {{
            if (train_step(s, x, y, &loss)) return 3;
            printf("%a\\n", loss);
        }}
        train_step_close(s);
        return 0;
    }}""")  # fmt: skip
    assert floats(found).tolist() == expected


def test_what_cannot_be_exported_says_why(tmp_path: Path):
    step = ga.compile(lambda x: x * 2)
    with pytest.raises(RuntimeError, match="nothing is compiled"):
        step.export(tmp_path, "double_it")
    step(np.ones(3))
    with pytest.raises(ValueError, match="no name of a C function"):
        step.export(tmp_path)  # a lambda
    w = ga.array([1.0], requires_grad=True)
    attached = ga.compile(lambda x: x * w)
    attached(np.ones(1))
    with pytest.raises(ValueError, match="no graph"):
        attached.export(tmp_path, "attached")
    assert not list(tmp_path.iterdir())


def test_the_header_says_what_goes_where(tmp_path: Path):
    step = ga.compile(lambda tree, k: (tree["a"].sum(), tree["b"] + k))
    step({"a": ga.array(np.ones((2, 3))), "b": ga.array([1, 2])}, 2)
    header = step.export(tmp_path, "both")[1].read_text()
    assert re.search(r"const double \*x0 /\* argument 0\['a'\], 2 x 3 \*/", header)
    assert re.search(r"const int64_t \*x1 /\* argument 0\['b'\], 2 \*/", header)
    assert re.search(r"double \*y0 /\* result, one number \*/", header)
    assert re.search(r"int64_t \*y1 /\* result, 2 \*/", header)
