"""Figures of runs, fit for print: vector and pixel files, colours that all readers can tell apart."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

__all__ = ["COLOURS", "comparison", "curves", "save"]

# M. Okabe and K. Ito, Color Universal Design, 2008; yellow is left out, as it fades on paper
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", "-.", ":")
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 200,
}


def curves(rows: Sequence[Mapping[str, float]], title: str = "") -> Figure:
    """Loss and accuracy by epoch of one run, from the lines of its metrics.csv."""
    epochs = [row["epoch"] for row in rows]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        for i, part in enumerate(("train", "test")):
            look = {"color": COLOURS[i], "linestyle": LINES[i], "label": part, "marker": ".", "markersize": 3}
            left.plot(epochs, [row[f"{part}_loss"] for row in rows], **look)
            right.plot(epochs, [100 * row[f"{part}_accuracy"] for row in rows], **look)
        left.set(xlabel="epoch", ylabel="negative log-likelihood", yscale="log")
        right.set(xlabel="epoch", ylabel="accuracy [%]")
        right.legend()
        figure.suptitle(title, fontsize=9)
    return figure


def comparison(histories: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Test accuracy by epoch: {name: a history a seed}; the mean, and one standard deviation as a band."""
    with matplotlib.rc_context(STYLE):
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


def save(figure: Figure, stem: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Writes `stem`.png and `stem`.pdf, the same bytes for the same figure, and returns their paths."""
    png, pdf = Path(f"{stem}.png"), Path(f"{stem}.pdf")
    with matplotlib.rc_context(STYLE):
        figure.savefig(png, metadata={"Software": None})
        figure.savefig(pdf, metadata={"CreationDate": None})
    return png, pdf
