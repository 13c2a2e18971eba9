"""The datasheet of a device: its numbers and its figure.

    from mho import datasheet

    device = datasheet.lookup("ReRamES", ["sigma_c2c=0"]).device
    portrait = datasheet.measure(device)           # states, steps, symmetric points, spreads
    portrait.as_dict()                             # plain data for JSON
    datasheet.draw(portrait, "my device")          # a matplotlib figure
    datasheet.ramps(portrait)                      # cells under pulses up, then down

The modules, each of which imports from those above it only:

    nominal       the cell that a device is meant to be, without anything random; pulses from bound to bound
    numbers       `measure`: the numbers of the nominal cell and of many drawn cells
    cell_numbers  the function of that name: the numbers of a cell made of several devices
    ramps         weights under ramps of pulses, sent to tiles
    panels        one panel of the figure each, into axes of your own
    figure        all panels together
    named         `lookup`: a device by the name of a preset or of a law, or from a file

The rule: every number is a pure function of the device, the key and the size of the sample. All are of the hidden
weight, in weight units. A cell without a symmetric point has NaN, and never an invented number.

To add a number, compute it in `numbers.measure`, give it a field of `Portrait` with its unit, and a row in
`mho.cli.device_text`. To add a panel, write a function of (axes, portrait) in `panels` and name it in
`figure.PANELS`. Matplotlib is loaded with the first figure, not with this module.
"""

from typing import TYPE_CHECKING

from mho.datasheet.cell_numbers import CellNumbers, cell_numbers
from mho.datasheet.named import NamedDevice, lookup
from mho.datasheet.numbers import Point, Population, Portrait, measure
from mho.datasheet.ramps import Ramps, ramps
from mho.device.device import Device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "CellNumbers", "NamedDevice", "Point", "Population", "Portrait", "Ramps",
    "cell_numbers", "draw", "lookup", "measure", "ramps",
]  # fmt: skip


def draw(device: Device | Portrait, title: str = "", key: int = 0) -> "Figure":
    """Draw the figure of a device: step sizes, F and G, R, ramps of pulses, and the differences of the cells.

    Args:
        device: the device, or its portrait, whose key then counts.
        title: a line above the panels.
        key: 64-bit name of the drawn cells and of their noise.
    """
    from mho.datasheet.figure import compose

    return compose(device if isinstance(device, Portrait) else measure(device, key), title)
