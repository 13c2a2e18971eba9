"""A figure of the cells of each array between their bounds, for print."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure

from mho.base.errors import complaint
from mho.diagnostics.arrays import BINS, ArrayState
from mho.figures.style import COLOURS, in_style

COLUMNS = 4


@in_style
def histograms(arrays: Sequence[ArrayState]) -> Figure:
    """Draw a panel for each array: share of the cells by their place between lower (0) and upper bound (1).

    The symmetric points' mean is a dashed line if it lies in between.
    Raises: MhoError if there are no arrays.
    """
    if not arrays:
        raise complaint("histograms(arrays)", "there are no arrays of devices")
    columns = min(len(arrays), COLUMNS)
    rows = ceil(len(arrays) / columns)
    edges = np.linspace(0, 1, BINS + 1)
    figure = Figure(figsize=(1.8 * columns + 0.4, 1.5 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
    for axes, array in zip(panels, arrays, strict=False):
        shares = np.array(array.counts) / max(sum(array.counts), 1)
        axes.stairs(shares, edges, fill=True, color=COLOURS[0], alpha=0.7)
        zero = _place(array, array.sp_mean)
        if zero is not None:
            axes.axvline(zero, color=COLOURS[1], linestyle="--", linewidth=1)
        axes.set_title(array.name, loc="center", fontsize=7)
        axes.set_xlim(0, 1)
    for axes in list(panels):
        axes.remove()
    figure.supxlabel("place between the bounds", fontsize=9)
    figure.supylabel("share of cells", fontsize=9)
    return figure


def _place(array: ArrayState, w: float | None) -> float | None:
    """Return the place of an apparent weight between the mean bounds; None outside of them."""
    width = array.upper - array.lower
    if w is None or not 0 < width < 1e30:
        return None
    place = (w + array.reference - array.lower) / width
    return place if 0 < place < 1 else None
