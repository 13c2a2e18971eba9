"""The figure of a device: all panels together."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mho.datasheet import panels
from mho.datasheet.numbers import Portrait
from mho.device.device import Device
from mho.figures.style import in_style, letter

__all__ = ["PANELS", "compose", "sketch"]

PANELS: dict[str, Callable[[Axes, Portrait], None]] = {
    "Size of one pulse": panels.steps,
    "Symmetric and asymmetric part": panels.parts,
    "Relative asymmetry": panels.ratio,
    "Ramps of pulses": panels.pulsing,
    "Steps of the cells": panels.asymmetry,
    "Symmetric points of the cells": panels.points,
}


@in_style
def compose(portrait: Portrait, title: str = "") -> Figure:
    """Draw all panels in one figure, 7.2 inches wide: two columns of a journal."""
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    places = [*figure.subplots(3, 2).flat]
    for panel, axes in zip(PANELS.values(), places, strict=True):
        panel(axes, portrait)
    letter(places, [*PANELS])
    figure.suptitle(title, fontsize=9)
    return figure


def sketch(device: Device) -> str:
    """Describe a device in one line, for a title."""
    noise = f", c2c {device.sigma_c2c:g}" if device.sigma_c2c else ""
    return f"{type(device.response).__name__}, dw_min {device.dw_min:g}{noise}"
