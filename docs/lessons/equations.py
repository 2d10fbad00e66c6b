"""Figures of lessons 12 to 14: each is drawn from the names that its page's code leaves behind."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

INK, BLUE, RED, GREY = "#222222", "#1f5fa8", "#b3261e", "#999999"


def samples(page: dict[str, Any]) -> plt.Figure:
    """Lesson 12: the gradient of each sample, and their mean."""
    figure, axes = plt.subplots(figsize=(4.6, 3.6))
    style = {"angles": "xy", "scale_units": "xy", "scale": 1}
    zero = np.zeros(len(page["each"]))
    axes.quiver(zero, zero, *page["each"].T, color=BLUE, width=0.004, alpha=0.6, **style)
    axes.quiver(0, 0, *page["whole"], color=RED, width=0.01, **style)
    low, high = page["each"].min(axis=0) - 0.08, page["each"].max(axis=0) + 0.08
    axes.set(xlabel=r"$\partial L/\partial w_1$", ylabel=r"$\partial L/\partial w_2$")
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return figure


def taylor(page: dict[str, Any]) -> plt.Figure:
    """Lesson 12: Taylor polynomials inside and outside of their disc of convergence."""
    x0, radius = page["x0"], page["rho"]
    x = np.linspace(-1.6, 2.6, 841)
    figure, axes = plt.subplots(figsize=(6.4, 3.3))
    axes.axvspan(x0 - radius, x0 + radius, color="#eeeeee")
    for order, alpha in ((2, 0.3), (5, 0.5), (10, 0.7), (40, 1.0)):
        y = np.polynomial.polynomial.polyval(x - x0, page["series"](x0, order))
        axes.plot(x, y, color=BLUE, lw=1, alpha=alpha)
    axes.plot(x, page["h"](x), color=INK, lw=2)
    axes.set(xlabel="$x$", ylim=(-0.5, 1.5), xlim=(-1.6, 2.6))
    return figure


def snapshots(page: dict[str, Any]) -> plt.Figure:
    """Lesson 12: which step of a loop of ten is run when, with three snapshots."""
    page["gradient"](10, 3)
    ran = np.array(page["ran"])
    when = np.arange(1, len(ran) + 1)
    # What was recorded has been reversed, so nothing runs that step again.
    last = np.array([k not in ran[i + 1 :] for i, k in enumerate(ran)])
    figure, axes = plt.subplots(figsize=(6.4, 3.0))
    axes.plot(when, ran + 1, color="#dddddd", lw=1)
    axes.plot(when[~last], ran[~last] + 1, "s", color=GREY, ms=6)
    axes.plot(when[last], ran[last] + 1, "s", color=BLUE, ms=6)
    axes.set(xlabel="$1, 2, \\dots, l + t(l, s)$", ylabel="$k$")
    axes.set_yticks(range(1, 11))
    return figure


def heat(page: dict[str, Any]) -> plt.Figure:
    """Lesson 13: a cooling rod, and the errors of a soft and of a hard boundary."""
    models, exact, points = page["models"], page["exact"], page["points"]
    figure, panels = plt.subplots(1, 3, figsize=(8.8, 3.0), width_ratios=(1.2, 1, 1))
    x = np.linspace(0, 1, 101)
    for time in (0.0, 0.2, 0.5, 1.0):
        X = points(time, x)
        panels[0].plot(x, exact(X).numpy(), color=INK, lw=2)
        panels[0].plot(x, models["soft"](X).detach().numpy(), color=RED, lw=1)
        panels[0].plot(x, models["hard"](X).detach().numpy(), "--", color=BLUE, lw=1)
    panels[0].set(xlabel="$x$", ylabel="$u$")
    X = points(*np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41)))
    image = None
    for axes, u in zip(panels[1:], models.values(), strict=True):
        error = u(X).detach().numpy() - exact(X).numpy()
        image = axes.imshow(error, origin="lower", extent=(0, 1, 0, 1), cmap="RdBu_r",
                            vmin=-0.05, vmax=0.05)  # fmt: skip
        axes.set(xlabel="$t$", ylabel="$x$")
    figure.colorbar(image, ax=panels[1:], shrink=0.8)
    return figure


def action(page: dict[str, Any]) -> plt.Figure:
    """Lesson 14: a stationary path that is not least."""
    ends, n = np.array([1.0, 0.5]), page["n"]
    i = np.linspace(0, 1, n + 1)
    bump, distance = np.sin(np.pi * i), np.linspace(-1, 1, 41)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.1))
    for halves, color in ((0.5, BLUE), (1.0, INK), (1.5, RED)):
        T = halves * np.pi
        # At just half a period no path leads from 1 to 0.5, but the change of S is the same for
        # every path of the spring along a sine that is orthogonal to its slope: take one at rest.
        at = page["stationary"](ends, T, page["spring"])[0] if halves != 1 else np.zeros(n - 1)
        fixed = ends if halves != 1 else np.zeros(2)
        value = lambda q, fixed=fixed, T=T: page["action"](q, fixed, T, page["spring"]).item()
        change = [value(at + d * bump[1:-1]) - value(at) for d in distance]
        right.plot(distance, change, color=color)
        if halves == 1.5:
            path = np.concatenate([ends[:1], at, ends[1:]])
            for d in (-0.6, -0.3, 0.3, 0.6):
                left.plot(T * i, path + d * bump, color=GREY, lw=0.8)
            left.plot(T * i, path, color=INK, lw=1.8)
    left.set(xlabel="$t$", ylabel="$q$")
    right.set(xlabel="$d$", ylabel=r"$\Delta S$")
    return figure


FIGURES = {
    "12-samples": ("12-every-derivative.md", samples),
    "12-taylor": ("12-every-derivative.md", taylor),
    "12-snapshots": ("12-every-derivative.md", snapshots),
    "13-heat": ("13-heat-equation.md", heat),
    "14-action": ("14-action.md", action),
}
