"""Figures of lessons 4 to 7 and 11, which `figures.py` draws with the others."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import mpmath
import numpy as np

import gradarray as ga
from gradarray.testing import count_ops

INK, BLUE, RED = "#222222", "#1f5fa8", "#b3261e"


def saturation() -> plt.Figure:
    """Lesson 4: the two factors and their product; errors of three ways to the derivative."""
    mp = mpmath.mp.clone()
    mp.dps = 40
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.3))
    z = np.linspace(-8, 8, 161)
    p = 1 / (1 + np.exp(-z))
    left.semilogy(z, 1 / (1 - p), color=RED)
    left.semilogy(z, p * (1 - p), color=BLUE)
    left.semilogy(z, p, color=INK)
    left.text(8.3, 2e3, r"$\partial L/\partial p$", color=RED)
    left.text(8.3, 4e-4, r"$\sigma'(z)$", color=BLUE)
    left.text(8.3, 0.7, "$p$")
    left.set(xlabel="$z$", ylim=(1e-4, 1e4))

    z = np.arange(-10, 45, 0.5)
    with np.errstate(all="ignore"):
        ways = {
            RED: (ga.grad(lambda z: -ga.log(1 - ga.sigmoid(z)).sum())(z).numpy(), mp.mpf(1)),
            BLUE: (1 / (1 + np.exp(-z)) - 1, mp.mpf(-1)),
            INK: (ga.grad(lambda z: ga.logaddexp(0.0, -z).sum())(z).numpy(), mp.mpf(-1)),
        }
    for (color, (found, sign)), first in zip(ways.items(), (0, 1, 0), strict=True):
        shown = range(first, len(z), 2 - (color == INK))  # red and blue take turns
        truth = [sign / (1 + mp.exp(-sign * mp.mpf(z[k]))) for k in shown]
        error = [abs(float((found[k] - t) / t)) for k, t in zip(shown, truth, strict=True)]
        right.semilogy(z[list(shown)], np.clip(error, 1e-17, 10), ".", ms=4, color=color)
    right.text(18, 1e-5, "$y = 0$", color=RED, ha="right")
    right.text(22, 1e-10, "$p - y$, $y = 1$", color=BLUE)
    right.set(xlabel="$z$", ylim=(1e-17, 20))
    return figure


def corner() -> plt.Figure:
    """Lesson 5: slopes at the corner of relu; the median loss of 200 XOR networks."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.1))
    x = np.linspace(-1, 1, 3)
    for s, color in ((0, RED), (0.5, BLUE), (1, BLUE)):
        left.plot(x, s * x, "--", color=color, lw=1)
        left.text(-1.05, -s, f"${s}$", color=color, ha="right", va="center")
    left.plot(x, np.maximum(x, 0), color=INK, lw=2)
    left.set(xlabel="$x$", ylim=(-1.1, 1.1), xlim=(-1.25, 1.1))

    x1, x2, target = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [0.0, 1, 1, 0]])

    def loss(parameters):
        w1, w2, b, v, c = parameters
        z = x1[:, None] * w1 + x2[:, None] * w2 + b
        each = (((ga.relu(z) * v).sum(axis=-1) + c - target) ** 2).mean(axis=-1)
        return each.sum(), each

    for spread, share, style, color in ((0, 0, "-", RED), (0, 1, "-", BLUE), (0.5, 0, "--", INK)):
        w1, w2, b, v = np.random.default_rng(0).uniform(-1, 1, size=(4, 200, 1, 4))
        parameters, median = [w1, w2, spread * b, v, np.zeros((200, 1))], []
        with ga.set_subgradient("relu", share):
            for _ in range(300):
                slopes, each = ga.grad(loss, has_aux=True)(parameters)
                median.append(np.median(each.numpy()))
                parameters = [p - 0.2 * d.numpy() for p, d in zip(parameters, slopes, strict=True)]
        right.semilogy(median, style, color=color)
    right.set(xlabel="$k$", ylabel="$L$")
    return figure


def spring() -> plt.Figure:
    """Lesson 6: descent on a parabola with and without zero_grad."""
    figure, axes = plt.subplots(figsize=(5.6, 3.1))
    k, alpha = np.arange(61), 0.1
    for forget, color in ((False, BLUE), (True, RED)):
        x, path = ga.array(1.0, requires_grad=True), []
        for _ in k:
            path.append(x.item())
            if not forget:
                x.zero_grad()
            (0.5 * x * x).backward()
            with ga.no_grad():
                x -= alpha * x.grad
        axes.plot(k, path, ".", color=color, ms=5)
    theta, t = np.arccos(1 - alpha / 2), np.linspace(0, 60, 601)
    axes.plot(t, np.cos((t + 0.5) * theta) / np.cos(theta / 2), color=RED, lw=1)
    axes.plot(t, (1 - alpha) ** t, color=BLUE, lw=1)
    axes.set(xlabel="$k$", ylabel="$x_k$")
    return figure


def step() -> plt.Figure:
    """Lesson 7: the V of finite differences, its bounds, and the derivative from the graph."""
    x, eps = 0.7, float(np.finfo(float).eps)
    f = lambda x: x * np.sqrt(1 + x * x)
    with mpmath.workdps(40):
        big = mpmath.mpf(x)
        truth = (1 + 2 * big**2) / mpmath.sqrt(1 + big**2)
        error = lambda found: [float(abs((v - truth) / truth)) for v in np.ravel(found).tolist()]
        h = np.geomspace(1e-16, 1, 321)
        forward, central = (f(x + h) - f(x)) / h, (f(x + h) - f(x - h)) / (2 * h)
        graph = error(ga.grad(lambda x: x * ga.sqrt(1 + x * x))(x).item())[0]
        errors = error(forward), error(central)
    second, third = x * (3 + 2 * x * x) / (1 + x * x) ** 1.5, 3 / (1 + x * x) ** 2.5
    bounds = h / 2 * second + eps * f(x) / h, h**2 / 6 * third + eps * f(x) / (2 * h)
    figure, axes = plt.subplots(figsize=(6.4, 3.9))
    for found, bound, color in zip(errors, bounds, (RED, BLUE), strict=True):
        axes.loglog(h, found, ".", ms=3, color=color)
        axes.loglog(h, bound / float(truth), "--", lw=1, color=color)
    axes.axhline(graph, color=INK, lw=1.5)
    axes.set(xlabel="$h$", ylim=(3e-17, 2))
    return figure


def depth() -> plt.Figure:
    """Lesson 7: errors of the derivative of a map composed K times."""
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.5), sharey=True)
    maps = (lambda x, lib: 3.9 * x * (1 - x)), (lambda x, lib: lib.sqrt(1 + x))
    for axes, m in zip(panels, maps, strict=True):
        rows, steps = [], [2.0**-k for k in range(1, 53)]
        for K in range(1, 41):

            def g(x, lib=math, m=m, K=K):
                for _ in range(K):
                    x = m(x, lib)
                return x

            with mpmath.workdps(60):
                truth = mpmath.diff(lambda x, g=g: g(x, mpmath.mp), mpmath.mpf(0.3))
                central = [(g(0.3 + h) - g(0.3 - h)) / (2 * h) for h in steps]
                found = (
                    (g(0.3 + 1e-8) - g(0.3)) / 1e-8,
                    (g(0.3 + 6e-6) - g(0.3 - 6e-6)) / 1.2e-5,
                    min(central, key=lambda v, truth=truth: abs(v - truth)),
                    ga.grad(lambda x, g=g: g(x, ga))(0.3).item(),
                )
                rows.append([float(abs((v - truth) / truth)) for v in found])
        for errors, style, color in zip(
            np.clip(np.transpose(rows), 1e-17, 10), ("-", "-", ":", "-"), (RED, BLUE, BLUE, INK),
            strict=True,
        ):  # fmt: skip
            axes.semilogy(range(1, 41), errors, style, color=color)
        axes.set(xlabel="$K$", ylim=(1e-17, 20))
    panels[0].set_title(r"$3.9\,x\,(1 - x)$", size=10)
    panels[1].set_title(r"$\sqrt{1 + x}$", size=10)
    return figure


def inputs() -> plt.Figure:
    """Lesson 7: the cost and the error of a gradient against the number of inputs."""

    def f(x):
        ahead = x[1:] - x[:-1] * x[:-1]
        return (ahead * ahead).sum() + ((1 - x) * (1 - x)).sum()

    n, errors = [2, 5, 10, 20, 50, 100, 200, 500, 1000], []
    for size in n:
        x = np.random.default_rng(0).uniform(-1, 1, size=size)
        truth, ahead = -2 * (1 - x), x[1:] - x[:-1] * x[:-1]
        truth[1:] += 2 * ahead
        truth[:-1] -= 4 * ahead * x[:-1]
        found = (
            [(f(x + 1e-8 * e) - f(x)) / 1e-8 for e in np.eye(size)],
            [(f(x + 6e-6 * e) - f(x - 6e-6 * e)) / 1.2e-5 for e in np.eye(size)],
            ga.grad(f)(x).numpy(),
        )
        errors.append([abs(v - truth).max() / abs(truth).max() for v in found])
    cost = count_ops(f, np.zeros(2)).ratio
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.1))
    costs = np.array([(k + 1, 2 * k, cost) for k in n])
    for axes, columns in ((left, costs.T), (right, np.transpose(errors))):
        for column, color in zip(columns, (RED, BLUE, INK), strict=True):
            axes.loglog(n, np.maximum(column, 1e-17), ".-", color=color)
        axes.set(xlabel="$n$")
    return figure


def three_uses() -> plt.Figure:
    """Lesson 11: a value with three consumers, and what each sends back."""
    x1, x2 = (ga.array(v, requires_grad=True) for v in (0.8, 1.5))
    x3 = x1 * x2
    x4, x5 = ga.sin(x3), ga.exp(x3)
    x6 = x3 * x4
    x7 = x5 + x6
    values = (x1, x2, x3, x4, x5, x6, x7)
    for v in values:
        v.retain_grad()
    x7.backward()
    places = ((0, 1), (0, -1), (2, 0), (4.4, 0), (4.4, 1.5), (5.8, -1.3), (7.6, 0))
    terms = {(3, 4): math.cos(1.2), (3, 5): math.exp(1.2), (3, 6): math.sin(1.2)}
    figure, axes = plt.subplots(figsize=(8.4, 3.9))
    for tail, head in ((1, 3), (2, 3), (3, 4), (3, 5), (3, 6), (4, 6), (5, 7), (6, 7)):
        start, end = np.array(places[tail - 1]), np.array(places[head - 1])
        way = (end - start) / np.linalg.norm(end - start)
        axes.annotate(
            "", end - 0.26 * way, start + 0.26 * way,
            arrowprops={"arrowstyle": "->", "color": INK, "lw": 1},
        )  # fmt: skip
        if (tail, head) in terms:
            back = values[head - 1].grad.item() * terms[tail, head]
            side = -1 if head == 6 else 1
            at = start + 0.5 * (end - start) + np.array([0, 0.24 * side])
            axes.text(*at, f"{back:.4f}", color=RED, ha="center", va="center", size=9)
    for k, (v, (left, up)) in enumerate(zip(values, places, strict=True), start=1):
        axes.add_patch(plt.Circle((left, up), 0.24, facecolor="white", edgecolor=INK))
        axes.text(left, up, f"$x_{k}$", ha="center", va="center", size=11)
        axes.text(left, up + 0.32, f"{v.item():.4f}", ha="center", va="bottom", color=BLUE)
        axes.text(left, up - 0.32, f"{v.grad.item():.4f}", ha="center", va="top", color=RED)
    axes.set(xlim=(-0.8, 8.4), ylim=(-2.1, 2.3), aspect="equal")
    axes.axis("off")
    return figure


FIGURES = {
    "04-saturation": saturation,
    "05-corner": corner,
    "06-spring": spring,
    "07-step": step,
    "07-depth": depth,
    "07-inputs": inputs,
    "11-three-uses": three_uses,
}
