"""What the figures of the experiments have in common. Loaded when one is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mho.datasheet.figure import LOOK
from mho.figures.curves import COLOURS, LINES

MARKS = "os^Dv<>"


def panels(n: int, height: float = 2.7) -> tuple[Figure, Sequence[Axes]]:
    """A figure of n panels side by side, 7.2 inches wide (one: 3.6)."""
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(3.6 * min(n, 2), height), layout="constrained")
        axes = figure.subplots(1, n, squeeze=False)[0]
    return figure, list(axes)


def points(
    axes: Axes, values: Mapping[float, tuple[float, float]], i: int, label: str, line: bool = True
) -> None:
    """Values with their standard errors, in the i-th colour, mark and line."""
    with matplotlib.rc_context(LOOK):
        look: Any = {"color": COLOURS[i % len(COLOURS)], "marker": MARKS[i % len(MARKS)], "markersize": 3.5}
        style = LINES[i % len(LINES)] if line else "none"
        means, errors = zip(*values.values(), strict=True)
        axes.errorbar(
            [*values], means, errors, linestyle=style, linewidth=1.2, capsize=2, label=label, **look
        )


def finish(figure: Figure, xlabel: str, axes: Sequence[Axes], log: str = "xy") -> None:
    """Labels, logarithmic axes, letters, legends."""
    with matplotlib.rc_context(LOOK):
        for letter, one in zip("abcdef", axes, strict=False):
            one.set(xlabel=xlabel)
            for name, axis, scale in (("x", one.xaxis, one.set_xscale), ("y", one.yaxis, one.set_yscale)):
                if name in log:
                    scale("log")
                    axis.set_minor_formatter(NullFormatter())
            if len(axes) > 1:
                one.set_title(rf"$\mathbf{{{letter}}}$", loc="left")
            one.grid(True, alpha=0.3)
            for side in ("top", "right"):
                one.spines[side].set_visible(False)
            one.legend(frameon=False, fontsize=7)


def accuracies(found: Sequence[Any]) -> Figure:
    """The paper's accuracies and ours, from top to bottom, for those of these `report.Row`s that have been run."""
    shown = [row for row in found if row.ours is not None][::-1]
    with matplotlib.rc_context(LOOK):
        picture = Figure(figsize=(5.4, 0.7 + 0.2 * len(shown)), layout="constrained")
        axes = picture.subplots()
        sides: Any = (
            ("paper", "o", [row.paper for row in shown], [row.paper_spread or 0 for row in shown], 0.12),
            ("ours", "s", [row.ours for row in shown], [row.spread or 0 for row in shown], -0.12),
        )
        for (label, mark, values, errors, up), colour in zip(sides, COLOURS, strict=False):
            places = [i + up for i in range(len(shown))]
            look: Any = {"fmt": mark, "markersize": 4, "capsize": 2, "color": colour, "label": label}
            axes.errorbar(values, places, xerr=errors, **look)
        axes.set_yticks(range(len(shown)), [row.cell for row in shown], fontsize=6)
        axes.set(xlabel="test accuracy [%]", ylim=(-0.6, len(shown) - 0.4))
        axes.grid(True, alpha=0.3)
        axes.legend(frameon=False, fontsize=7)
    return picture
