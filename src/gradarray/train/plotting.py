"""Learning curves as a picture, with matplotlib (the extra `gradarray[plot]`)."""

from __future__ import annotations

import importlib
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
    names = [n for n in history if not n.startswith("val_") and n not in ("lr", "learning_rate")]
    figure = figure_module.Figure(figsize=(4.8 * max(len(names), 1), 3.6), layout="constrained")
    x = [e + 1 for e in epochs]
    for k, name in enumerate(names):
        ax = figure.add_subplot(1, len(names), k + 1)
        for key, color, label in (
            (name, _TRAIN, "training"),
            (f"val_{name}", _VALIDATION, "validation"),
        ):
            if key in history:
                marker = "o" if len(x) <= 20 else ""
                ax.plot(x, history[key], color=color, label=label, marker=marker, markersize=3)
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
