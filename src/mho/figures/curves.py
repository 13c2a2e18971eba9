"""Loss and accuracy by epoch, of one training or of several."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mho.figures.style import COLOURS, LINES, in_style


@in_style
def curves(rows: Sequence[Mapping[str, float]], title: str = "") -> Figure:
    """Draw loss and accuracy by epoch of one run, from the lines of its metrics.csv."""
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, part in enumerate(("train", "test")):
        look: Any = {
            "color": COLOURS[i],
            "linestyle": LINES[i],
            "label": part,
            "marker": ".",
            "markersize": 3,
        }
        left.plot(epochs, [row[f"{part}_loss"] for row in rows], **look)
        right.plot(epochs, [100 * row[f"{part}_accuracy"] for row in rows], **look)
    left.set(xlabel="epoch", ylabel="negative log-likelihood", yscale="log")
    right.set(xlabel="epoch", ylabel="accuracy [%]")
    right.legend(loc="lower right")
    figure.suptitle(title, fontsize=9)
    return figure


@in_style
def comparison(histories: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Draw test accuracies by epoch, {name: a history a seed}: the mean, and one standard deviation as a band."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for i, (name, runs) in enumerate(histories.items()):
        accuracy = 100 * np.array(runs)
        epochs, mean = np.arange(1, accuracy.shape[1] + 1), accuracy.mean(0)
        colour, line = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
        axes.plot(epochs, mean, color=colour, linestyle=line, label=name)
        if len(runs) > 1:
            spread = accuracy.std(0, ddof=1)
            axes.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="epoch", ylabel="test accuracy [%]")
    if len(histories) > 3:  # too many to find room among the lines
        figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    else:
        axes.legend()
    return figure
