"""The figure of `mho calibrate`: errors against the number of pulses."""

from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure

from mho.datasheet.figure import LOOK
from mho.figures.curves import COLOURS, LINES

if TYPE_CHECKING:
    from mho.calibration.sweep import Sweep

MARKS = "os^Dv<>"


def draw(found: "Sweep", tolerance: float) -> Figure:
    """The mean error of an array (a), and the root mean square of a cell's (b), 7.2 inches wide."""
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(7.2, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        for i, dw_min in enumerate(found.needed):
            rows = [row for row in found.rows if row.dw_min == dw_min]
            look = {"color": COLOURS[i % len(COLOURS)], "marker": MARKS[i % len(MARKS)], "markersize": 3.5}
            line = {"linestyle": LINES[i % len(LINES)], "label": f"dw_min {dw_min:.4g}"} | look
            n = [row.n for row in rows]
            mean = [100 * row.mean for row in rows]
            left.errorbar(n, mean, [100 * row.mean_std for row in rows], capsize=2, **line)  # type: ignore[arg-type]
            right.plot(n, [row.cell for row in rows], **line)  # type: ignore[arg-type]
        left.axhline(100 * tolerance, color="0.5", linewidth=1)
        left.set(xscale="log", yscale="log", xlabel="pulses to each cell", ylabel="mean error [%]")
        right.set(
            xscale="log", yscale="log", xlabel="pulses to each cell", ylabel="error of a cell [weight units]"
        )
        for letter, axes in zip("ab", (left, right), strict=True):
            axes.set_title(rf"$\mathbf{{{letter}}}$", loc="left")
        left.legend()
    return figure
