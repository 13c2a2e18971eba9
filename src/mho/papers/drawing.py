"""What the figures of the experiments have in common. Loaded when one is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mho.plot import COLOURS, LINES
from mho.portrait.figure import LOOK

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
