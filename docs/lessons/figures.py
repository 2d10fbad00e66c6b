"""The figures of the lessons: `python docs/lessons/figures.py [folder]` draws them all anew.

Each function in FIGURES draws one figure, named after it, from numbers that gradarray computes, or
gives one that is drawn already, as SVG. The pictures carry symbols and numbers only, so that the
same one serves every language.
"""

from __future__ import annotations

import contextlib
import functools
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import gradarray as ga

FOLDER = Path(__file__).parent / "figures"
INK, BLUE, RED = "#222222", "#1f5fa8", "#b3261e"
STYLE = {
    "svg.hashsalt": "gradarray",  # the same file from the same numbers
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}


def graph() -> plt.Figure:
    """The graph of lesson 1: values above (blue), adjoints below (red), local derivatives."""
    x = ga.array(0.5, requires_grad=True)
    a = x**2
    b = ga.exp(a)
    c = a + b
    d, e = ga.sqrt(c), ga.cos(c)
    f = d + e
    values = dict(zip("xabcdef", (x, a, b, c, d, e, f), strict=True))
    for v in values.values():
        v.retain_grad()
    f.backward()

    places = {
        "x": (0, 0),
        "a": (1.5, 0),
        "b": (3, 1.1),
        "c": (4.5, 0),
        "d": (6, 1.1),
        "e": (6, -1.1),
        "f": (7.5, 0),
    }
    edges = {
        "xa": "$2x$",
        "ab": r"$e^{a}$",
        "ac": "$1$",
        "bc": "$1$",
        "cd": r"$1/2\sqrt{c}$",
        "ce": r"$-\sin\,c$",
        "df": "$1$",
        "ef": "$1$",
    }
    figure, axes = plt.subplots(figsize=(8.4, 3.5))
    for (tail, head), label in edges.items():
        start, end = np.array(places[tail]), np.array(places[head])
        step = (end - start) / np.linalg.norm(end - start)
        axes.annotate(
            "",
            end - 0.24 * step,
            start + 0.24 * step,
            arrowprops={"arrowstyle": "->", "color": INK, "lw": 1},
        )
        side = np.array([-step[1], step[0]]) * 0.2
        axes.text(*((start + end) / 2 + side), label, ha="center", va="center", color=INK)
    for name, (left, up) in places.items():
        axes.add_patch(plt.Circle((left, up), 0.22, facecolor="white", edgecolor=INK))
        axes.text(left, up, f"${name}$", ha="center", va="center", size=12)
        axes.text(
            left, up + 0.3, f"{values[name].item():.4f}", ha="center", va="bottom", color=BLUE
        )
        axes.text(
            left, up - 0.3, f"{values[name].grad.item():.4f}", ha="center", va="top", color=RED
        )
    axes.set(xlim=(-0.7, 8.2), ylim=(-1.8, 1.8), aspect="equal")
    axes.axis("off")
    return figure


def descent() -> plt.Figure:
    """Lesson 2: gradient descent of a perceptron with one weight and one bias."""
    X = np.linspace(-3, 3, 25)[:, None]
    y = 1 / (1 + np.exp(-(1.5 * X[:, 0] - 0.5)))

    def loss(w, b):
        return ((1 / (1 + ga.exp(-(X @ w + b))) - y) ** 2).mean()

    value_and_grad = ga.value_and_grad(loss, argnums=(0, 1))
    w, b, path, losses = np.array([-1.0]), np.array(1.0), [], []
    for _ in range(301):
        value, (dw, db) = value_and_grad(w, b)
        path.append((w[0], b))
        losses.append(value.item())
        w, b = w - 2 * dw.numpy(), b - 2 * db.numpy()

    weights, biases = np.linspace(-1.5, 3, 91), np.linspace(-2, 2, 81)
    z = weights[:, None, None] * X[:, 0] + biases[:, None]
    landscape = ((1 / (1 + np.exp(-z)) - y) ** 2).mean(axis=-1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.3))
    levels = np.geomspace(1e-3, 0.6, 12)
    left.contour(weights, biases, landscape.T, levels=levels, cmap="Greys_r", linewidths=0.8)
    left.plot(*np.array(path).T, ".-", color=BLUE, lw=1, ms=4)
    left.plot(1.5, -0.5, "*", color=RED, ms=11)
    left.set(xlabel="$w$", ylabel="$b$", aspect="equal")
    right.semilogy(losses, color=BLUE)
    right.set(xlabel="$k$", ylabel="$L$")
    return figure


def reuse() -> plt.Figure:
    """Lesson 3: multiplications against depth, from the counts that the page makes."""
    K = np.arange(1, 41)
    figure, axes = plt.subplots(figsize=(5.6, 3.5))
    axes.semilogy(K, 2 * K - 1, color=BLUE)
    axes.semilogy(K, K * (K + 1) / 2, "--", color=BLUE)
    axes.semilogy(K, 2 * K, color=RED, lw=1)
    axes.semilogy(K[:24], K[:24] * 2.0 ** K[:24], "--", color=RED)
    for k, y, label, color in (
        (41, 79, "$2K-1$, $2K$", INK),
        (41, 820, "$K(K+1)/2$", BLUE),
        (24.6, 3e8, "$K\\,2^K$", RED),
    ):
        axes.text(k, y, label, color=color, va="center")
    axes.set(xlabel="$K$", xlim=(0, 50))
    return figure


@functools.cache
def of_page(name: str) -> dict[str, Any]:
    """The names that a page's code leaves behind, so that a figure draws the page's own numbers."""
    page = (FOLDER.parent / name).absolute()
    scope: dict[str, Any] = {"__name__": name}
    run = beside("../blocks.py", "run")
    with tempfile.TemporaryDirectory() as saved, contextlib.chdir(saved):
        for _ in run(page, scope, f"{page.stem}.py"):
            pass
    return scope


def energy() -> plt.Figure:
    """Lesson 8: rollouts of the spring, of an energy network and of a plain network."""
    page = of_page("08-physical-function.md")
    states, _ = page["watched"](0)
    energy, plain, *_ = page["models"][0]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7), width_ratios=(1, 1.15))
    left.plot(*states.T, ".", color="#999999", ms=4)
    velocities = (plain, page["motion"](page["spring"]), energy)
    for velocity, color, width in zip(velocities, (RED, INK, BLUE), (0.9, 2.5, 0.9), strict=True):
        path = page["rollout"](velocity)
        left.plot(*path.T, color=color, lw=width)
        right.plot(0.1 * np.arange(len(path)), page["spring"](path), color=color, lw=1)
    left.set(xlabel="$q$", ylabel="$p$", aspect="equal")
    right.set(xlabel="$t$", ylabel="$H$", ylim=(0, None))
    return figure


def tolerance() -> plt.Figure:
    """Lesson 9: the result of a loop that stops at a tolerance, and its derivative."""
    page = of_page("09-programs.md")
    a = np.linspace(0.2, 6.0, 2901)
    slopes, steps = zip(
        *(ga.grad(lambda a: page["root"](a, 0.01), has_aux=True)(v) for v in a), strict=True
    )
    x = np.array([page["root"](v, 0.01)[0] for v in a])
    slope = np.array([v.item() for v in slopes])
    jumps = np.flatnonzero(np.diff(steps))
    for values in (x, slope):
        values[jumps] = np.nan  # a gap, not a line across the jump
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.3))
    left.plot(a, x - np.sqrt(a), color=BLUE)
    left.axhline(0, color=INK, lw=0.8)
    left.set(xlabel="$a$", ylabel=r"$x - \sqrt{a}$")
    right.plot(a, 1 / (2 * np.sqrt(a)), color=INK, lw=0.8)
    right.plot(a, slope, color=BLUE)
    right.set(xlabel="$a$", ylabel="$dx/da$", ylim=(-0.05, 1.2))
    return figure


def pendulum() -> plt.Figure:
    """Lesson 10: a fitted trajectory, and the loss over the length for three durations."""
    page = of_page("10-known-and-unknown.md")
    time = np.linspace(0, 4, 41)
    angles, found = page["filmed"](0), page["fit"](page["filmed"](0), 1.0, 0.0)[:2]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.3))
    left.plot(time, page["swing"](1.0, 0.0).numpy(), color="#999999", lw=1)
    left.plot(time, page["swing"](*found).numpy(), color=BLUE)
    left.plot(time, angles, ".", color=INK, ms=4)
    left.set(xlabel="$t$", ylabel=r"$\theta$")
    for loss, color in zip(page["landscapes"].values(), (INK, BLUE, RED), strict=True):
        right.semilogx(page["lengths"], loss, color=color, lw=1.2)
    right.set(xlabel="$L$", ylim=(0, None))
    right.set_xticks([0.3, 0.8, 1.4, 3], labels=["0.3", "0.8", "1.4", "3"])
    right.minorticks_off()
    return figure


def relu() -> plt.Figure:
    """Lesson 10: a network bent by hand, and its largest error beside that of trained ones."""
    page = of_page("10-known-and-unknown.md")
    f, a, b, _ = page["FUNCTIONS"]["1/(1 + 25 x^2)"]
    model, x = page["by_hand"](f, a, b, 8), np.linspace(a, b, 801)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.3))
    left.plot(x, f(x), color=INK)
    left.plot(x, page["values"](model, x), color=BLUE)
    knots = np.linspace(a, b, 9)
    left.plot(knots, f(knots), ".", color=BLUE, ms=7)
    left.set(xlabel="$x$")
    n = 2 ** np.arange(2, 11)
    sine = (np.sin, 0.0, 2 * np.pi)
    errors = [page["largest_error"](page["by_hand"](*sine, k), *sine, 16 * k + 1) for k in n]
    right.loglog(n, (2 * np.pi / n) ** 2 / 8, color=INK, lw=0.8)
    right.loglog(n, errors, ".", color=BLUE, ms=7)
    trained = [page["largest_error"](model, *sine, 1025) for model in page["descended"]]
    right.loglog([64] * len(trained), trained, ".", color=RED, ms=7)
    right.set(xlabel="$n$", ylabel=r"$\max\,|f - N|$")
    return figure


def force() -> plt.Figure:
    """Lesson 10: the force that a network inside a simulation has found."""
    page = of_page("10-known-and-unknown.md")
    angle = np.linspace(-np.pi, np.pi, 201)
    found = page["force"](angle[:, None]).detach().numpy()[:, 0]
    figure, axes = plt.subplots(figsize=(5.6, 3.3))
    reach = abs(page["films"]).max()
    axes.axvspan(-reach, reach, color="#eeeeee")
    axes.plot(angle, -page["g"] / 0.8 * np.sin(angle), color=INK)
    axes.plot(angle, found, color=BLUE)
    axes.set(xlabel=r"$\theta$", xlim=(-np.pi, np.pi))
    return figure


def beside(module: str, name: str = "FIGURES") -> Any:
    """What another file near this one calls so."""
    return runpy.run_path(str(Path(__file__).parent / module))[name]


FIGURES: dict[str, Callable[[], plt.Figure | str]] = {
    "01-graph": graph,
    "02-descent": descent,
    "03-reuse": reuse,
    "08-energy": energy,
    "09-tolerance": tolerance,
    "10-pendulum": pendulum,
    "10-relu": relu,
    "10-force": force,
    **beside("curves.py"),
    **{
        name: functools.partial(lambda draw, page: draw(of_page(page)), draw, page)
        for name, (page, draw) in (beside("equations.py") | beside("explained.py")).items()
    },
}


def main(folder: Path = FOLDER) -> list[Path]:
    """Draw every figure into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in FIGURES.items():
        with mpl.rc_context(STYLE):
            figure = draw()
            path = folder / f"{name}.svg"
            if isinstance(figure, str):
                path.write_text(figure, "utf-8")
            else:
                figure.savefig(path, metadata={"Date": None})
                plt.close(figure)
        written.append(path)
    return written


if __name__ == "__main__":
    mpl.use("Agg")
    for path in main(*map(Path, sys.argv[1:])):
        print(path)
