"""The numbers that characterise a device: of the nominal cell, and of many drawn cells."""

import math
from typing import Any, Literal, NamedTuple

import torch

from mho.base.errors import complaint, wrong_type
from mho.datasheet.nominal import NEAR, traverse
from mho.device.cell import Cells, plane
from mho.device.device import Device
from mho.responses.search import ROUNDING

__all__ = ["Point", "Population", "Portrait", "measure", "moments"]

DOUBLE = torch.float64
Kind = Literal["attracts", "repels", "attracts from above", "attracts from below"]


class Point(NamedTuple):
    """A symmetric point of the nominal cell.

    Args:
        w: the hidden weight [weight units].
        kind: "attracts" if pulses of both signs bring w here, "repels" if they drive it away; where G touches
            zero and turns back, w is attracted from one side only.
        rate: "exponential" where G has a slope, "algebraic" where it is flat.
        slope: G'(w) [1/weight unit].
        pulses: T_sp = 1/(dw_min |G'(w)|) [pulses]; in this time the mean distance to an attracting point becomes e
            times smaller, and to a repelling point e times larger. Infinite if the rate is algebraic.
    """

    w: float
    kind: Kind
    rate: Literal["exponential", "algebraic"]
    slope: float
    pulses: float


class Population(NamedTuple):
    """Drawn cells: float64 tensors of shape (out, in).

    Args:
        step_up, step_down: size of a pulse at `Portrait.at` [weight units].
        sp: hidden weight of the symmetric point nearest to 0, NaN where a cell is stuck or none was found [weight
            units].
        reference: hidden weight that is read as 0 [weight units].
        lower, upper: bounds of the hidden weight [weight units].
    """

    step_up: torch.Tensor
    step_down: torch.Tensor
    sp: torch.Tensor
    reference: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor

    @property
    def apparent_sp(self) -> torch.Tensor:
        """The symmetric points as they are read: less the reference."""
        return self.sp - self.reference


class Portrait(NamedTuple):
    """The result of `measure`: numbers of the nominal cell and its hidden weight, and many drawn cells.

    Args:
        device, key: arguments of `measure`.
        lower, upper: bounds [weight units], which may be infinite.
        window: the bounds; in place of an infinite bound, the end of a finite range about the symmetric points.
        states: (upper - lower)/dw_min.
        at: the weight at which `step_up` and `step_down` hold: 0, or the bound next to it.
        moves: "both ways", or the only direction in which pulses have an effect.
        symmetric: "points" if there are symmetric points, "everywhere" if every weight is one, else "nowhere".
        points: the symmetric points in rising order.
        pulses_up, pulses_down: `traverse` from one bound over `NEAR` of the range; NaN if a bound is infinite.
        cells: drawn cells.
    """

    device: Device
    key: int
    lower: float
    upper: float
    window: tuple[float, float]
    states: float
    at: float
    step_up: float
    step_down: float
    moves: Literal["both ways", "up only", "down only"]
    symmetric: Literal["points", "everywhere", "nowhere"]
    points: tuple[Point, ...]
    pulses_up: float
    pulses_down: float
    cells: Population

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, the cells as means and standard deviations; None stands for infinity."""
        left_out = ("device", "key", "window", "cells")
        numbers = {n: v for n, v in self._asdict().items() if n not in left_out}
        numbers["points"] = [_finite(p._asdict()) for p in self.points]
        spread = {name: moments(values) for name, values in self.cells._asdict().items()}
        spread["apparent_sp"] = moments(self.cells.apparent_sp)
        return _finite(numbers) | {"cells": {"count": self.cells.sp.numel()} | spread}


def measure(device: Device, key: int = 0, cells: tuple[int, int] = (200, 200)) -> Portrait:
    """Measure a device: its numbers, as a pure function of the arguments.

    Args:
        device: the device.
        key: 64-bit name of the drawn cells: a `Tile` with this key and shape has the same ones.
        cells: (out, in), the array of drawn cells.
    Raises: MhoError if the law has no bounds to search from 0, or is not finite between them.
    """
    if not isinstance(device, Device):
        raise wrong_type("datasheet.measure(device)", "the device", device, "an mho.Device")
    if len(cells) != 2 or min(cells) < 1:
        raise complaint(f"datasheet.measure(cells={cells})", "cells is (out, in), both at least 1")
    cell, dw_min = Cells.alike(device.response, *device.gains), device.dw_min
    lower, upper = float(cell.lower), float(cell.upper)
    found = cell.symmetric_points()
    window = _window(lower, upper, [p.w for p in found])
    grid = torch.linspace(*window, 403, dtype=DOUBLE)[1:-1]
    flat = bool((cell.G(grid).abs() <= ROUNDING * cell.F(grid)).all())
    at = min(max(0.0, lower), upper)
    here = torch.tensor(at, dtype=DOUBLE)
    moves_up, moves_down = bool((cell.up(grid) > 0).any()), bool((cell.down(grid) > 0).any())
    near = lower + NEAR * (upper - lower), upper - NEAR * (upper - lower)
    return Portrait(
        device, key, lower, upper, window, (upper - lower) / dw_min, at,
        step_up=dw_min * cell.up(here).item(),
        step_down=dw_min * cell.down(here).item(),
        moves="both ways" if moves_up == moves_down else "up only" if moves_up else "down only",
        symmetric="points" if found else "everywhere" if flat else "nowhere",
        points=tuple(_point(cell, dw_min, p.w, p.rate) for p in found),
        pulses_up=traverse(device, lower, near[0]),
        pulses_down=traverse(device, upper, near[1]),
        cells=_draw(device, key, cells, [p.w for p in found]),
    )  # fmt: skip


def moments(values: torch.Tensor) -> dict[str, float | int | None]:
    """Return mean and standard deviation of the finite values, and the number of the others."""
    kept = values[values.isfinite()]
    mean = kept.mean().item() if len(kept) else None
    std = kept.std(correction=0).item() if len(kept) else None
    return {"mean": mean, "std": std, "missing": values.numel() - len(kept)}


def _window(lower: float, upper: float, points: list[float]) -> tuple[float, float]:
    known = [abs(v) for v in (lower, upper) if math.isfinite(v)] + [1.5 * abs(p) for p in points]
    reach = max(known, default=0.0) or 1.0
    return (lower if lower > -math.inf else -reach), (upper if upper < math.inf else reach)


def _point(cell: Cells, dw_min: float, w: float, rate: Literal["exponential", "algebraic"]) -> Point:
    """Return the point with its slope, and its kind from the signs of G beside it."""
    lower, upper = float(cell.lower), float(cell.upper)
    h = min(1e-3, upper - lower, w - lower, upper - w) / 10
    left, right = cell.G(torch.tensor([w - h, w + h], dtype=DOUBLE)).tolist()
    slope = (right - left) / (2 * h)
    kind: Kind = "attracts from above" if right > 0 else "attracts from below"
    if (left < 0) != (right < 0):
        kind = "attracts" if left < 0 else "repels"
    pulses = 1 / (dw_min * abs(slope)) if rate == "exponential" else math.inf
    return Point(w, kind, rate, slope if rate == "exponential" else 0.0, pulses)


def _draw(device: Device, key: int, shape: tuple[int, int], points: list[float]) -> Population:
    cells = device.draw(shape, key).to(DOUBLE)
    lower, upper = plane(cells.lower, shape), plane(cells.upper, shape)
    w = torch.zeros(shape, dtype=DOUBLE).clamp(lower, upper)
    up, down = cells.up(w), cells.down(w)
    if any(isinstance(v, torch.Tensor) for v in (*cells.fields.values(), *cells.gains)):
        sp = cells.sp_or_nan(shape)
    else:
        sp = plane(min(points, key=abs, default=0.0 if bool((up == down).all()) else math.nan), shape)
        sp = sp.masked_fill(lower >= upper, math.nan)  # stuck cells
    size = device.dw_min
    return Population(size * up, size * down, sp, plane(cells.reference, shape), lower, upper)


def _finite(numbers: dict[str, Any]) -> dict[str, Any]:
    return {n: None if isinstance(v, float) and not math.isfinite(v) else v for n, v in numbers.items()}
