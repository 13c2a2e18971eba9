"""The figure of `mho calibrate`: errors against the number of pulses."""

from matplotlib.figure import Figure

from mho.calibration.sweep import Sweep
from mho.figures.style import in_style, letter, logarithmic, series


@in_style
def draw(found: Sweep, tolerance: float) -> Figure:
    """Draw the mean error of an array (a), and the root mean square of a cell's error (b).

    Args:
        found: the sweep.
        tolerance: the mean error to reach, a horizontal line [relative].
    """
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    left, right = panels = figure.subplots(1, 2)
    for i, dw_min in enumerate(found.needed):
        rows = [row for row in found.rows if row.dw_min == dw_min]
        look, n = series(i) | {"label": f"dw_min {dw_min:.4g}"}, [row.n for row in rows]
        left.errorbar(
            n, [100 * row.mean for row in rows], [100 * row.mean_std for row in rows], capsize=2, **look
        )
        right.plot(n, [row.cell for row in rows], **look)
    left.axhline(100 * tolerance, color="0.5", linewidth=1)
    for axes, label in ((left, "mean error [%]"), (right, "error of a cell [weight units]")):
        logarithmic(axes)
        axes.set(xlabel="pulses to each cell", ylabel=label)
    letter(panels)
    left.legend()
    return figure
