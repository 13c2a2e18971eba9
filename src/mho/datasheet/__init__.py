"""What a device is, in numbers and in one figure.

    from mho.datasheet import draw, measure, panels
    from mho.figures.style import save

    portrait = measure(device)
    save(draw(portrait, "my device"), "device.pdf")
    panels.ratio(axes, portrait)  # one panel, into axes of your own

Matplotlib is loaded with the first figure, not with this module.
"""

from typing import TYPE_CHECKING

from mho.datasheet.numbers import Point, Population, Portrait, measure
from mho.datasheet.ramps import Ramps, ramps
from mho.device.device import Device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Point", "Population", "Portrait", "Ramps", "draw", "measure", "ramps"]


def draw(device: Device | Portrait, title: str = "", key: int = 0) -> "Figure":
    """The figure of a device: step sizes, F and G, R, pulse ramps, and how the cells differ.

    Args:
        device: the device, or its portrait, whose key then counts.
        title: a line above the panels.
        key: 64-bit name of the drawn cells and of their noise.
    """
    from mho.datasheet.figure import compose

    return compose(device if isinstance(device, Portrait) else measure(device, key), title)
