"""Parts of the figures of experiments, and the figure of a table of accuracies."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mho.experiments.verdict import Comparison
from mho.figures.style import COLOURS, in_style, letter, logarithmic, series


@in_style
def panels(n: int, height: float = 2.7) -> tuple[Figure, Sequence[Axes]]:
    """Make a figure of n panels side by side, 7.2 inches wide, or 3.6 for one panel."""
    figure = Figure(figsize=(3.6 * min(n, 2), height), layout="constrained")
    return figure, list(figure.subplots(1, n, squeeze=False)[0])


@in_style
def points(
    axes: Axes, values: Mapping[float, tuple[float, float]], i: int, label: str, line: bool = True
) -> None:
    """Draw values with their standard errors as the i-th series, with or without a line through them."""
    look = series(i) | {"linewidth": 1.2, "label": label} | ({} if line else {"linestyle": "none"})
    means, errors = zip(*values.values(), strict=True)
    axes.errorbar([*values], means, errors, capsize=2, **look)


@in_style
def finish(figure: Figure, xlabel: str, axes: Sequence[Axes], log: str = "xy") -> None:
    """Add labels, logarithmic axes (`log`: "x", "y", both or none), letters and legends."""
    for one in axes:
        one.set(xlabel=xlabel)
        logarithmic(one, log)
        one.legend(fontsize=7)
    if len(axes) > 1:
        letter(axes)


@in_style
def accuracies(found: Sequence[Comparison]) -> Figure:
    """Draw the published accuracies and ours, from top to bottom, for the cells that have been run."""
    shown = [one for one in found if one.ours is not None][::-1]
    figure = Figure(figsize=(5.4, 0.7 + 0.2 * len(shown)), layout="constrained")
    axes = figure.subplots()
    sides: Any = (
        ("paper", "o", [one.published for one in shown], [one.published_spread or 0 for one in shown], 0.12),
        ("ours", "s", [one.ours for one in shown], [one.spread or 0 for one in shown], -0.12),
    )
    for (label, mark, values, errors, up), colour in zip(sides, COLOURS, strict=False):
        places = [i + up for i in range(len(shown))]
        look: Any = {"fmt": mark, "markersize": 4, "capsize": 2, "color": colour, "label": label}
        axes.errorbar(values, places, xerr=errors, **look)
    axes.set_yticks(range(len(shown)), [one.cell for one in shown], fontsize=6)
    axes.set(xlabel="test accuracy [%]", ylim=(-0.6, len(shown) - 0.4))
    axes.legend(fontsize=7)
    return figure
