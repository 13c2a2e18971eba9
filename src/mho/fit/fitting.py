"""The fit as a whole, from files to a device."""

import os
from collections.abc import Callable, Mapping

import numpy as np

from mho.base.errors import complaint, shown
from mho.device.device import Device
from mho.fit.families import AUTO, TABLE, chosen
from mho.fit.filter import side_by_side
from mho.fit.means import in_order
from mho.fit.measured import DOWN, UP, Array, Bins, Measured, Range, bins_of_ramps, bins_of_steps
from mho.fit.noise import Moments, moments
from mho.fit.points import Crossing, points_of_bins, points_of_law, shape
from mho.fit.ranking import Candidate, on_bins, on_ramps, refined
from mho.fit.read import read
from mho.fit.result import Fit
from mho.fit.spread import Gain, bootstrap, gain_spread
from mho.fit.tabulated import tabulated

CLEAR = 1e-3  # probability of a spread between equal ramps, below which the device gets it
COARSER = (12, 8, 6, 4)  # bins of ramps, for a crossing that finer bins do not show


def fit(
    *files: str | os.PathLike[str],
    law: str = AUTO,
    span: tuple[float, float] | None = None,
    same_device: bool = False,
    key: int = 0,
    watch: Callable[[str, int, int], None] | None = None,
    columns: Mapping[str, str] | None = None,
    read_voltage: float | None = None,
    sheet: str | None = None,
    cycle: int | None = None,
) -> Fit:
    """Fit a device to measured pulses.

    Args:
        files: one file with ramps of both directions, or one file for each: columns of reads, one after each pulse
            of one direction, or tables of the distribution of a step by conductance.
        law: the name of a law of `mho.responses` in any spelling, such as "soft-bounds"; "auto" chooses a law, or
            the data themselves if no law fits; "table" takes the data.
        span: the measured values of w = -1 and w = +1; None for the lowest and the highest value.
        same_device: several ramps are cycles of one device, not ramps of several.
        key: of the resampling that gives intervals.
        watch: called with a text, the number of steps done and of all steps.
        columns: {heading or "column 2": role} where heading and numbers do not decide; roles are up, down, both,
            counter, time, voltage, polarity, cycle, device and skip.
        read_voltage: of currents [V].
        sheet: of a workbook, or the name of an array in an .npz or .mat file.
        cycle: the only cycle that is taken.

    Raises:
        MhoError: a file cannot be used, or the law is unknown.
    """
    if not (isinstance(key, int) and 0 <= key < 2**64):
        raise complaint(f"fit(key={shown(key)})", "the key must be an integer from 0 to 2^64 - 1")
    raw = read(files, columns, read_voltage, sheet, cycle)
    same_device = same_device or raw.cycles
    ends = raw.span() if span is None else Range(*span)
    if not ends.low < ends.high:
        raise complaint(f"fit(span=({ends.low}, {ends.high}))", "low must be less than high")
    measured, notes = raw.normalised(ends), list(raw.notes)
    families = chosen(law)
    say = watch or (lambda text, done, total: None)
    say("reading", 0, len(families) + 2)
    bins, noise, crossings = _means(measured, key)
    shapes = shape(bins[0], noise is None), shape(bins[1], noise is None)
    fitter = on_ramps(measured.ramps, bins, noise, families) if noise else on_bins(bins)
    found = []
    for i, (name, family) in enumerate(families.items()):
        say(name, i + 1, len(families) + 2)
        found.append(fitter(name, family))
    ranking = tuple(sorted(found, key=lambda c: c.bic))
    best = _choice(ranking)
    if best is not ranking[0] and ranking[0].name == "constant":
        notes.append("That steps change with w is weakly shown: by BIC alone they could be constant.")
    say("intervals", len(families) + 1, len(families) + 2)
    gain = None
    half = best.solution.half_widths()
    low, high = best.solution.x - half, best.solution.x + half
    if noise:
        best = refined(best, measured.ramps, noise)
        half, lanes = best.solution.half_widths(), side_by_side(measured.ramps)
        drawn = bootstrap(best.solution, lanes, key)
        low, high = drawn or (best.solution.x - half, best.solution.x + half)
        gain = None if same_device else gain_spread(best.solution, lanes)
        if best.ramp and best.ramp.relaxes:
            notes.append(
                "Reads fluctuate for tens of pulses and come back: sigma_c2c is the noise that lasts, "
                "the rest counts as read noise."
            )
    device, kept = _device(best, gain), best.name
    if law == TABLE or (law == AUTO and best.rejected):
        device, kept = tabulated(raw, measured, ends, bins, best.noise.sigma_c2c * float(best.solution.x[0]))
    say("", len(families) + 2, len(families) + 2)
    if noise and best.noise.sigma_c2c > 1:
        notes.append(f"sigma_c2c is {best.noise.sigma_c2c:.3g}: pulses scatter by more than their own size.")
    points = tuple(points_of_law(best.family, best.solution, (-1.0, 1.0)))
    return Fit(
        device, kept, best, ranking, measured, ends, bins, noise, points, crossings,
        shapes, _intervals(best, low, high),
        gain, tuple(notes),
    )  # fmt: skip


def _means(measured: Measured, key: int) -> tuple[tuple[Bins, Bins], Moments | None, tuple[Crossing, ...]]:
    """Return mean steps in the finest clear bins, noises without a law, and crossings of the finest bins."""
    if measured.steps:
        bins = in_order(tuple(map(bins_of_steps, measured.steps)))
        return bins, None, tuple(points_of_bins(bins, key))
    noise = moments(measured.ramps)
    shown: list[tuple[Bins, Bins]] = []
    found: tuple[Crossing, ...] = ()
    for n in COARSER:
        up, down = (bins_of_ramps(measured.ramps, sign, *noise, n_bins=n) for sign in (UP, DOWN))
        found = found or tuple(points_of_bins((up, down), key))
        if np.median(np.r_[up.error, down.error]) < np.median(np.r_[up.step, down.step]) / 2:
            shown.append((up, down))
    return (shown or [(up, down)])[0], noise, found


def _choice(ranking: tuple[Candidate, ...]) -> Candidate:
    """Return the first by BIC of the laws that fit, or the first of all laws.

    A constant says that there is no symmetric point at all: it must be first by AIC as well, which asks for less
    evidence that steps change.
    """
    fitting = [c for c in ranking if not c.rejected] or list(ranking)
    if fitting[0].name == "constant" and min(fitting, key=lambda c: c.aic) is not fitting[0]:
        fitting.pop(0)
    return fitting[0]


def _intervals(best: Candidate, low: Array, high: Array) -> dict[str, tuple[float, float]]:
    least, most = best.family.bounds()
    ends = zip(np.maximum(low, least).tolist(), np.minimum(high, most).tolist(), strict=True)
    return dict(zip(best.family.names, ends, strict=True))


def _device(best: Candidate, gain: Gain | None) -> Device:
    device = best.family.device(best.solution.x)
    spread = {"gain": gain.sigma} if gain and gain.p < CLEAR else {}
    return device.replace(sigma_c2c=best.noise.sigma_c2c, c2c=best.noise.c2c, spread=spread)
