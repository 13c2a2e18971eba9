"""The true symmetric points of an array's cells, and the check that zero-shifting can find them."""

import warnings
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import torch

from mho.base.errors import MhoError, complaint
from mho.device.cell import Cells
from mho.device.device import Device
from mho.responses.base import DOUBLE, SymmetricPoint
from mho.tile.array import Array


class CalibrationWarning(UserWarning):
    """A calibration that will end far from the symmetric points, or take very long."""


@runtime_checkable
class _Celled(Protocol):
    @property
    def parameters_of_cells(self) -> Cells: ...


class DeviceArray(_Celled, Array, Protocol):
    """An array whose cells are single devices, as those of a `Tile`; see there for each name."""

    device: Device
    pulses: Any
    key: int
    noise: torch.Tensor

    def counters(self, name: str) -> Any: ...

    def refresh(self) -> None: ...


def is_of_devices(tile: object) -> TypeGuard[DeviceArray]:
    """Say if the cells of an array are single devices, which have symmetric points of their own."""
    return isinstance(tile, _Celled)


def symmetric_point(tile: Array, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return the true symmetric points (out, in) of an array's cells, as apparent weights [weight units].

    If a cell has several, the one nearest to hidden weight 0; 0 if every weight is symmetric.

    Args:
        tile: a `Tile`.
        dtype: float32, or float64, in which the cells' float32 parameters are then taken for exact.
    Raises: MhoError if a cell has none between its bounds, and for a cell of several devices.
    """
    if not is_of_devices(tile):
        what = "a cell of several devices has no symmetric point of its own"
        raise complaint("symmetric_point(tile)", what, fix="take that of tile.parts[0]")
    p, where = tile.parameters_of_cells, tile.cells.device
    point = torch.as_tensor(p.to(dtype).central_sp(), dtype=dtype)
    return point.to(where).expand(tile.shape) - torch.as_tensor(p.reference, dtype=dtype).to(where)


def points_where_any(tile: DeviceArray) -> torch.Tensor:
    """Return symmetric points as `symmetric_point` does, but NaN for cells that have none or are stuck.

    Returns: (out, in) float64 on the CPU, apparent weights [weight units].
    """
    p = tile.parameters_of_cells
    numbers = {n: v for n, v in p._asdict().items() if n != "reference" and isinstance(v, float)}
    held: dict[str, Any] = {n: float(np.float32(v)) for n, v in numbers.items()}  # as kernels hold them
    return p._replace(**held).sp_or_nan(tile.shape) - as_double(torch.as_tensor(p.reference))


def central(device: Device) -> SymmetricPoint | None:
    """Return the symmetric point of the nominal cell nearest to 0; None if there is none, or none can be found."""
    try:
        points = Cells.alike(device.response, *device.gains).symmetric_points()
    except MhoError:
        return None
    return min(points, key=lambda point: abs(point.w), default=None)


def check(device: Device) -> None:
    """Check that pulses up and down in equal numbers lead to the symmetric point of the nominal cell.

    Raises: MhoError if that point repels. Warns (CalibrationWarning) if the distance to it shrinks only as a
        power of the number of pulses.
    """
    point = central(device)
    if point is None:
        return
    where = f"zero_shift(tile of {type(device.response).__name__})"
    if not point.attracts:
        others = [f"{p.w:.4g}" for p in device.cell.symmetric_points() if p.attracts]
        fix = "calibrate another device"
        if others:
            fix = f"program the cells near a point that attracts ({', '.join(others)}) and pass check=False"
        what = f"the symmetric point w = {point.w:.4g} repels: pulses up and down drive cells away from it"
        raise complaint(where, what, "It must attract (G rises through 0 there)", fix)
    if point.rate == "algebraic":
        text = (
            f"`{where}`: G is flat at the symmetric point w = {point.w:.4g}: what is left of the distance shrinks "
            "as a power of the number of pulses, not exponentially. Compare with the estimate of twice as many "
            "pulses before you trust it."
        )
        warnings.warn(text, CalibrationWarning, stacklevel=3)


def as_double(w: torch.Tensor) -> torch.Tensor:
    """Return a tensor on the CPU, in float64."""
    return w.detach().cpu().to(DOUBLE)
