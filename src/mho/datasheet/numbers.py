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
        pulses: T_sp = 1/(dw_min |G'(w)|) [pulses], after which the mean distance to an attracting point is e
            times smaller, and to a repelling one e times larger; infinite where the rate is algebraic.
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
    """What `measure` found; all of it but `cells` is of the nominal cell and its hidden weight.

    Args:
        device, key: what was measured.
        lower, upper: bounds [weight units], which may be infinite.
        window: the bounds, or where one is infinite a finite range about the symmetric points.
        states: (upper - lower)/dw_min.
        at: the weight at which `step_up` and `step_down` hold: 0, or the bound next to it.
        moves: "both ways", or the only direction in which pulses have an effect.
        symmetric: whether there are symmetric "points", or every weight is one ("everywhere"), or "nowhere".
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
        """Plain data for JSON: means and standard deviations of the cells; None for what is not finite."""
        left_out = ("device", "key", "window", "cells")
        numbers = {n: v for n, v in self._asdict().items() if n not in left_out}
        numbers["points"] = [_finite(p._asdict()) for p in self.points]
        spread = {name: moments(values) for name, values in self.cells._asdict().items()}
        spread["apparent_sp"] = moments(self.cells.apparent_sp)
        return _finite(numbers) | {"cells": {"count": self.cells.sp.numel()} | spread}


def measure(device: Device, key: int = 0, cells: tuple[int, int] = (200, 200)) -> Portrait:
    """The numbers of a device: a pure function of its arguments.

    Args:
        device: what to look at.
        key: 64-bit name of the drawn cells: a `Tile` with this key and shape has the same ones.
        cells: (out, in), how many are drawn.
    Raises: MhoError if the law has no bounds to search from 0, or is not finite between them.
    """
    if not isinstance(device, Device):
        raise wrong_type("portrait.measure(device)", "the device", device, "an mho.Device")
    if len(cells) != 2 or min(cells) < 1:
        raise complaint(f"portrait.measure(cells={cells})", "cells is (out, in), both at least 1")
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
    """Mean and standard deviation of the values that are finite, and how many are not."""
    kept = values[values.isfinite()]
    mean = kept.mean().item() if len(kept) else None
    std = kept.std(correction=0).item() if len(kept) else None
    return {"mean": mean, "std": std, "missing": values.numel() - len(kept)}


def _window(lower: float, upper: float, points: list[float]) -> tuple[float, float]:
    known = [abs(v) for v in (lower, upper) if math.isfinite(v)] + [1.5 * abs(p) for p in points]
    reach = max(known, default=0.0) or 1.0
    return (lower if lower > -math.inf else -reach), (upper if upper < math.inf else reach)


def _point(cell: Cells, dw_min: float, w: float, rate: Literal["exponential", "algebraic"]) -> Point:
    """The point with its slope, and its kind from the signs of G beside it."""
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
