"""The true symmetric points of a tile's cells, and whether zero-shifting can find them."""

import warnings
from typing import Any

import torch

from mho.base.errors import MhoError, complaint
from mho.device.device import Device
from mho.responses.base import DOUBLE, SymmetricPoint
from mho.responses.search import central_root_per_cell
from mho.tile.array import Array, SingleDevices


class CalibrationWarning(UserWarning):
    """A calibration that will end far from the symmetric points, or take very long."""


def symmetric_point(tile: Array, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The true symmetric points (out, in) of a tile's cells, as apparent weights [weight units].

    Of several the one nearest to the hidden weight 0; that itself if every point is symmetric.

    Args:
        dtype: float32, or float64, in which the cells' float32 parameters are then taken for exact.
    Raises: MhoError if a cell has none between its bounds, and for a cell of several devices.
    """
    if not isinstance(tile, SingleDevices):
        what = "a cell of several devices has no symmetric point of its own"
        raise complaint("symmetric_point(tile)", what, fix="take that of tile.parts[0]")
    p = tile.parameters_of_cells
    fields = {n: v.cpu().to(dtype) if isinstance(v, torch.Tensor) else v for n, v in p.fields.items()}
    gains = (v.cpu().to(dtype) if isinstance(v, torch.Tensor) else v for v in p.gains)
    point = torch.as_tensor(tile.device.response.with_fields(**fields).central_sp(*gains), dtype=dtype)
    reference = torch.as_tensor(p.reference, dtype=dtype)
    return point.to(tile.cells.device).expand(tile.shape) - reference.to(tile.cells.device)


def points_where_any(tile: Any) -> torch.Tensor:
    """(out, in) float64 on the CPU: as `symmetric_point`, NaN for cells that have none (or are stuck)."""
    p = tile.parameters_of_cells
    fields = {n: as_double(v) if isinstance(v, torch.Tensor) else v for n, v in p.fields.items()}
    law = tile.device.response.with_fields(**fields)
    up, down, low, high = (
        as_double(torch.as_tensor(v)).expand(tile.shape) for v in (p.gain_up, p.gain_down, p.lower, p.upper)
    )

    def small(w: torch.Tensor) -> torch.Tensor:
        return (down * law.q_down(w) - up * law.q_up(w)) / 2

    def large(w: torch.Tensor) -> torch.Tensor:
        return (down * law.q_down(w) + up * law.q_up(w)) / 2

    found = central_root_per_cell(small, large, low, high, torch.Size(tile.shape))
    return found.masked_fill(low >= high, float("nan")) - as_double(torch.as_tensor(p.reference))


def central(device: Device) -> SymmetricPoint | None:
    """The symmetric point of the nominal cell that is nearest to 0; None if there is none, or it cannot be told."""
    try:
        points = device.response.symmetric_points(*device.gains)
    except MhoError:
        return None
    return min(points, key=lambda point: abs(point.w), default=None)


def check(device: Device) -> None:
    """Whether pulses up and down in equal numbers lead to the symmetric point of the nominal cell.

    Raises: MhoError if it repels. Warns (CalibrationWarning) if it attracts as a power of the number of pulses.
    """
    point = central(device)
    if point is None:
        return
    where = f"zero_shift(tile of {type(device.response).__name__})"
    if not point.attracts:
        others = [f"{p.w:.4g}" for p in device.response.symmetric_points(*device.gains) if p.attracts]
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
    """On the CPU, in float64."""
    return w.detach().cpu().to(DOUBLE)
