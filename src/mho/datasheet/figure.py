"""The figure of a device: all panels together, and its files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mho.base.errors import complaint
from mho.datasheet import panels
from mho.datasheet.numbers import Portrait
from mho.device.device import Device
from mho.figures.curves import STYLE

__all__ = ["LOOK", "PANELS", "check_suffix", "compose", "save", "sketch"]

LOOK: Any = STYLE | {
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
    "lines.linewidth": 1.4,
    "legend.handlelength": 1.6,
    "legend.borderaxespad": 0.2,
    "savefig.dpi": 300,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "mho",  # the same bytes for the same figure
}
SUFFIXES = {".png": "Software", ".pdf": "CreationDate", ".svg": "Date"}  # and what to leave out of the file
PANELS: dict[str, Callable[[Axes, Portrait], None]] = {
    "Size of one pulse": panels.steps,
    "Symmetric and asymmetric part": panels.parts,
    "Relative asymmetry": panels.ratio,
    "Ramps of pulses": panels.pulsing,
    "Steps of the cells": panels.asymmetry,
    "Symmetric points of the cells": panels.points,
}


def compose(portrait: Portrait, title: str = "") -> Figure:
    """All panels in one figure, 7.2 inches wide: two columns of a journal."""
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(7.2, 6.6), layout="constrained")
        for letter, (name, panel), axes in zip(
            "abcdef", PANELS.items(), figure.subplots(3, 2).flat, strict=True
        ):
            panel(axes, portrait)
            axes.set_title(rf"$\mathbf{{{letter}}}$  {name}")
        figure.suptitle(title, fontsize=9)
    return figure


def sketch(device: Device) -> str:
    """One line about a device, for a title."""
    noise = f", c2c {device.sigma_c2c:g}" if device.sigma_c2c else ""
    return f"{type(device.response).__name__}, dw_min {device.dw_min:g}{noise}"


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Writes the figure as .png (300 dpi), .pdf or .svg, by the suffix; the same bytes for the same figure."""
    path = Path(path)
    check_suffix(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with matplotlib.rc_context(LOOK):
            figure.savefig(path, metadata={SUFFIXES[path.suffix.lower()]: None})
    except OSError as error:
        raise complaint(str(path), f"cannot be written ({error.strerror})") from None
    return path


def check_suffix(path: Path) -> None:
    """Raises MhoError if `save` has no format for a file of this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise complaint(
            str(path), f"no figure is written as {path.suffix!r}", f"Known: {', '.join(SUFFIXES)}"
        )
