"""Learning curves as a picture, with matplotlib (the extra `gradarray[plot]`)."""

from __future__ import annotations

import importlib
import math
from typing import Any

_TRAIN, _VALIDATION, _INK, _GRID = "#2a6f97", "#e07a1f", "#333333", "#dddddd"


def curves(epochs: list[int], history: dict[str, list[float]], path: Any, title: str) -> Any:
    """One axes per metric: training as a line, validation as a second one."""
    try:
        figure_module = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise ImportError(
            "History.plot draws with matplotlib: pip install 'gradarray[plot]'"
        ) from None
    names = [n for n in history if not n.startswith("val_") and n != "learning_rate"]
    if not epochs or not names:
        raise ValueError("History.plot: no epoch was finished, so there is nothing to draw")
    figure = figure_module.Figure(figsize=(4.8 * len(names), 3.6), layout="constrained")
    for k, name in enumerate(names):
        ax = figure.add_subplot(1, len(names), k + 1)
        for key, color, label in (
            (name, _TRAIN, "training"),
            (f"val_{name}", _VALIDATION, "validation"),
        ):
            if key in history:
                # An epoch that was not validated has no value: the line goes over it.
                points = [(e + 1, v) for e, v in zip(epochs, history[key]) if math.isfinite(v)]
                marker = "o" if len(points) <= 20 else ""
                xs, ys = zip(*points) if points else ((), ())
                ax.plot(xs, ys, color=color, label=label, marker=marker, markersize=3)
        ax.set_title(name.replace("_", " "), color=_INK, loc="left")
        ax.set_xlabel("epoch")
        ax.grid(color=_GRID, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if f"val_{name}" in history:
            ax.legend(frameon=False)
    if title:
        figure.suptitle(title, color=_INK)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
