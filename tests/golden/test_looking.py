"""What those who look for trouble read: anomalies, lost digits, points without a derivative."""

import re
from pathlib import Path

import numpy as np

import gradarray as ga
from gradarray import nn

HERE = Path(__file__).parent
X = ga.array([1.0, -2.0, 0.0], requires_grad=True)
SINGLE = np.float32([1e-3, 1.0])


class Log(nn.Module):
    def forward(self, x):
        return ga.log(x - 10)


def network():
    ga.random.seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), Log()))


def steep(x):
    return (x * 1e200) * 1e200


ANOMALIES = """
ga.log(X)
ga.log(ga.relu(X))
ga.sqrt(X)
ga.exp(1000 * X)
ga.exp(ga.array([100.0], dtype="float32"))
1 / X
(X * 0) / X
X ** (1 / 3)
X ** -1
ga.arccos(2 * X)
ga.special.gammaln(X)
ga.array([np.inf, 1.0]) - np.inf
ga.sum(ga.array([1e308, 1e308]))
ga.array(np.full((2, 2), 1e200)) @ np.full((2, 2), 1e200)
ga.softmax(ga.full((3,), -np.inf))
network()(np.ones((1, 2), np.float32))
steep(X * 0).sum().backward()
ga.jvp(steep, (0.0,), (1.0,))
ga.jet(steep, (0.0,), ([1.0, 0.0],))
ga.jacfwd(steep)(ga.zeros(2))
ga.grad(ga.grad(lambda x: steep(x * x)))(0.0)
ga.vmap(ga.grad(lambda x: ga.log(x) * 1e10))(ga.array([1.0, 1e-305]))
"""

REPORTS = """
ga.precision_report(lambda x: ga.exp(x) - 1, SINGLE)
ga.precision_report(lambda x: ga.expm1(x), SINGLE)
ga.precision_report(lambda b: (-b + ga.sqrt(b * b - 4)) / 2, np.float32(1e3))
ga.precision_report(lambda x: ga.mean(x * x) - ga.mean(x) ** 2, np.float32([1e4, 1e4 + 1]))
ga.precision_report(lambda x: 1 - ga.special.erf(x), 5.0)
kinks_of(lambda x: ga.relu(x) + ga.maximum(x, 0.0) + ga.abs(x), [0.0, 0.0, 1.0])
kinks_of(lambda x: ga.sin(x), [0.0, 1.0])
ga.testing.check(lambda x, w: ga.sin(x * w["scale"]), [0.5, 1.0], {"scale": 2.0})
"""


def kinks_of(f, x):
    with ga.kinks() as report:
        ga.grad(lambda x: f(x).sum())(ga.array(x))
    return report


def anomaly(source):
    try:
        with ga.detect_anomaly():
            eval(compile(source, "a_run.py", "eval"), globals())
    except ga.AnomalyError as error:
        return f">>> {source}\nAnomalyError: {error}\n"
    raise AssertionError(f"{source} raised nothing")


def test_anomalies(golden):
    text = "\n".join(map(anomaly, ANOMALIES.strip().splitlines()))
    golden(HERE / "anomalies.txt", re.sub(r"\n  at a_run.py:1", "", text))


def test_reports(golden):
    lines = REPORTS.strip().splitlines()
    text = "\n".join(f">>> {line}\n{eval(line, globals())!r}\n" for line in lines)
    # The last digit of a loss is the platform's: what is kept here is the form.
    text = re.sub(r"\d+\.\d(?=  |$| ->| digits| of)", "#.#", text, flags=re.MULTILINE)
    golden(HERE / "reports.txt", text)
