"""The cost of a calibration: its error against the number of pulses, for several granularities."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from mho.base.errors import complaint
from mho.calibration import symmetric_points
from mho.calibration.run import Schedule, ZeroShiftRun
from mho.calibration.symmetric_points import points_where_any
from mho.device.device import Device
from mho.numerics.rng import child_key
from mho.responses.base import DOUBLE
from mho.tile.events import checked_key
from mho.tile.tile import Tile

PIECES = 24  # between two numbers of pulses, for `needed`
SMALL = 0.01  # of half the range: a mean symmetric point that is less is no measure of an error
Watch = Callable[[str, int, int], None]


class SweepRow(NamedTuple):
    """Arrays calibrated by n pulses: means over the arrays, and standard deviations between arrays.

    Args:
        dw_min: granularity [weight units]; n: pulses to each cell.
        mean, mean_std: |mean error| of an array's cells [relative to `Sweep.scale`].
        cell: root mean square error of a cell [weight units].
        average: |mean error| of the averages over the later half of the pulses [relative].
    """

    dw_min: float
    n: int
    mean: float
    mean_std: float
    cell: float
    average: float


class Sweep(NamedTuple):
    """The result of `sweep`.

    Args:
        rows: one for each granularity and number of pulses.
        needed: {dw_min: pulses from which on the mean error is within the tolerance}; None if the error at the
            end is not.
        scale: the weight that errors are relative to [weight units]; of: its meaning in words.
        missing: number of drawn cells without a symmetric point, all arrays together; errors leave them out.
    """

    rows: list[SweepRow]
    needed: dict[float, float | None]
    scale: float
    of: str
    missing: int


def sweep(
    device: Device,
    dw_mins: Sequence[float],
    numbers: Sequence[int],
    schedule: Schedule = "cyclic",
    start: float = -0.5,
    shape: tuple[int, int] = (64, 64),
    repeats: int = 4,
    tolerance: float = 0.01,
    key: int = 0,
    watch: Watch = lambda what, done, total: None,
) -> Sweep:
    """Calibrate arrays of a device, and compare the estimates with the true points.

    Args:
        device: nominal device; its dw_min is replaced.
        dw_mins: granularities [weight units]; numbers: of pulses, each >= 1.
        start: hidden weight of all cells at the start [weight units].
        shape, repeats: size and number of the arrays; each has cells of its own, the same for every granularity.
        tolerance: for `needed` [relative], > 0.
        watch: called with (a text, pulses done, pulses in all).
    Raises: MhoError if the device has no symmetric point, or one that repels, and for arguments out of range.
        Warns (CalibrationWarning) of a point that attracts algebraically.
    """
    where = "calibration.sweep"
    counts = sorted(set(numbers))
    key = checked_key(key, "calibration.sweep")
    if not dw_mins or not counts or counts[0] < 1 or repeats < 1 or not tolerance > 0:
        raise complaint(where, "dw_mins, numbers >= 1, repeats >= 1 and tolerance > 0 are needed")
    point = symmetric_points.central(device)
    if point is None:
        raise complaint(where, "every weight is a symmetric point of this device, or none is", "It needs one")
    symmetric_points.check(device)
    low, high = (float(b) for b in device.response.bounds())
    if not low <= start <= high:
        raise complaint(
            f"{where}(start={start})", f"the start lies outside of the bounds {low:.4g} .. {high:.4g}"
        )
    half = (high - low) / 2 if math.isfinite(high - low) else 1.0
    small = abs(point.w) < SMALL * half
    scale, of = (
        (half, "half the range of w") if small else (abs(point.w), f"the nominal w_sp = {point.w:.4g}")
    )
    rows: list[SweepRow] = []
    needed: dict[float, float | None] = {}
    missing, total = 0, repeats * counts[-1] * len(dw_mins)
    for d, dw_min in enumerate(dw_mins):
        arrays = []
        for repeat in range(repeats):
            cells = device.replace(dw_min=dw_min)
            tile = Tile(torch.full(shape, start), cells, key=child_key(key, "sweep", repeat))
            arrays.append(_trace(tile, counts, schedule))
            missing += arrays[-1].missing if d == 0 else 0
            watch(f"dw_min {dw_min:g}", (d * repeats + repeat + 1) * counts[-1], total)
        for n in counts:
            mean, square, average = torch.tensor([array.at[n] for array in arrays], dtype=DOUBLE).T
            spread = float(mean.std()) / scale if repeats > 1 else 0.0
            cell = float(square.mean()) ** 0.5
            rows.append(
                SweepRow(dw_min, n, float(mean.mean()) / scale, spread, cell, float(average.mean()) / scale)
            )
        curve = {n: sum(array.mean[n] for array in arrays) / repeats / scale for n in arrays[0].mean}
        needed[dw_min] = _needed(curve, tolerance)
    return Sweep(rows, needed, scale, of, missing)


class _Trace(NamedTuple):
    """One array: at[n] = (|mean error|, mean square error, |mean error of averages|); mean[n] = |mean error|, for
    more n; missing: cells without a symmetric point."""

    at: dict[int, tuple[float, float, float]]
    mean: dict[int, float]
    missing: int


def _trace(tile: Tile, counts: Sequence[int], schedule: Schedule) -> _Trace:
    truth = points_where_any(tile)
    known = truth.isfinite()
    if not known.any():
        raise complaint("calibration.sweep", "no cell has a symmetric point between its bounds")
    run, at = ZeroShiftRun(tile, schedule), {}
    mean = {0: abs(float((run.w - truth)[known].mean()))}
    for n in counts:
        run.forget()
        half_way = max(n // 4 * 2, run.pulses)
        pieces = {run.pulses + (n - run.pulses) * k // PIECES // 2 * 2 for k in range(1, PIECES)}
        marks = {mark for mark in {*pieces, half_way, n} if mark > run.pulses}
        for mark in sorted(marks):
            run.send(mark - run.pulses, average=run.pulses >= half_way)
            error = (run.w - truth)[known]
            mean[mark] = abs(float(error.mean()))
        average = abs(float((run.average - truth)[known].mean()))
        at[n] = mean[n], float(error.square().mean()), average
    return _Trace(at, mean, int((~known).sum()))


def _needed(mean: dict[int, float], tolerance: float) -> float | None:
    """Return the pulses from which on the mean error is within the tolerance, log-linear between marks."""
    numbers = sorted(mean)
    late = [n for n in numbers if mean[n] > tolerance]
    if not late:
        return float(numbers[1])
    before = late[-1]
    if before == numbers[-1]:
        return None
    after = numbers[numbers.index(before) + 1]
    if mean[after] == 0:
        return float(after)
    part = math.log(mean[before] / tolerance) / math.log(mean[before] / mean[after])
    return before + part * (after - before)
