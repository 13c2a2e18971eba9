"""The verbs of a crossbar: the one interface that algorithms, calibration, diagnostics and tests need.

`Tile`, whose cells are single devices, and `ComposedTile`, whose cells are several devices each, both fit. A module
that names these protocols in its annotations need not import either of them.
"""

from typing import Any, Protocol, runtime_checkable

import torch


@runtime_checkable
class Pulsed(Protocol):
    """An array that takes pulses. `isinstance` tells it from planes and from digital state."""

    def update(self, x: Any, d: torch.Tensor, lr: float) -> Any:
        """Ask the cells for w + lr d x^T, summed over the samples."""

    def pulse(self, n: torch.Tensor, *, column: int | None = None, row: int | None = None) -> Any:
        """Send exactly |n| pulses to each cell, up where n > 0 and down where n < 0."""


class Shown(Protocol):
    """Weights that the network can see: an array of devices, or a `Plane` that is written digitally."""

    shape: tuple[int, int]

    @property
    def w(self) -> torch.Tensor:
        """Apparent weight (out, in) [weight units]; not a copy."""

    @property
    def touched(self) -> torch.Tensor:
        """(out + in,) uint8: 1 for rows and columns that changed since this was cleared."""

    def through(self, wires: Any, backward: bool) -> torch.Tensor:
        """Return the matrix (driven, sensed) that lines are multiplied with, see `mho.tile.readout`."""

    def drive(
        self, x: torch.Tensor, direction: str, io: Any, use: Any, where: str, sign: float = 1.0
    ) -> torch.Tensor:
        """Return sign * x (samples, driven) times the weights, through the given converters."""


class Programmable(Shown, Protocol):
    """Weights that are written digitally, line by line or whole."""

    def program(self, values: torch.Tensor, *, column: int | None = None, row: int | None = None) -> None:
        """Write one column (out,), one row (in,), or all (out, in)."""


class Array(Shown, Pulsed, Protocol):
    """A crossbar of shape (out, in): its weights, its verbs and its counters, see `Tile` for each."""

    pulses: Any
    key: int

    @property
    def granularity(self) -> float:
        """Change of the weight by one pulse at q = 1 [weight units]."""

    @property
    def tally(self) -> torch.Tensor:
        """Counters, see `Tally`."""

    @property
    def counts(self) -> torch.Tensor:
        """(2, devices, in) int32: pulses up and down of each device, or empty."""

    @property
    def cells(self) -> torch.Tensor:
        """Hidden weights of each device [weight units]."""

    @property
    def pulses_sent(self) -> tuple[int, int]:
        """(up, down): all pulses that the cells have received."""

    def counters(self, name: str) -> memoryview:
        """Return the int64 buffer of this name as flat Python integers, which share its memory."""

    def refresh(self) -> None:
        """Bring the apparent weight up to date after the cells were written other than by pulses."""

    def leaves(self) -> list[Any]:
        """Return the tiles of single devices that the array consists of."""

    def saturated(self) -> int:
        """Return the number of devices that sit at one of their bounds."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x (..., in) times the weights, through the forward converters."""

    def backward(self, d: torch.Tensor) -> torch.Tensor:
        """Return d (..., out) times the transposed weights, through the backward converters."""

    def read(self, column: int | None = None, *, row: int | None = None) -> torch.Tensor:
        """Read one column, one row, or all columns, by one conversion a line."""

    def program(self, w: torch.Tensor) -> None:
        """Write the apparent weight (out, in), clipped to the bounds."""

    def subtract(self, reference: torch.Tensor) -> None:
        """Program the reference array: from now on weights are read less `reference`."""
