"""The data of a fit: ramps of single pulses, or the distribution of a step at each conductance."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mho.base.errors import complaint

Array = NDArray[Any]  # of float64, but for masks
UP, DOWN = 1, -1
WORDS = {UP: "up", DOWN: "down"}


class Range(NamedTuple):
    """The measured values that w = -1 and w = +1 stand for."""

    low: float
    high: float

    def w(self, values: Array) -> Array:
        """Return measured values as weights."""
        return (2 * values - self.low - self.high) / (self.high - self.low)


class Ramp(NamedTuple):
    """Values read after each pulse of one direction; the first one before the first pulse.

    Args:
        sign: +1 for up pulses, -1 for down pulses.
        values: shape (pulses + 1,), in the units of the file, or weights.
        name: file and column.
    """

    sign: int
    values: Array
    name: str


class Steps(NamedTuple):
    """Mean and spread of the step by one pulse at each of several weights, of one direction.

    Args:
        sign: +1 for up pulses, -1 for down pulses.
        w: shape (n,), rising.
        mean: mean size of a pulse, positive where it goes the way it should, shape (n,).
        deviation: standard deviation of the pulses, shape (n,).
        name: file.
    """

    sign: int
    w: Array
    mean: Array
    deviation: Array
    name: str


class ColumnLine(NamedTuple):
    """The reading of one column of a file: its role, and the ramps in it.

    Args:
        where: file and column.
        role, why: what it is, and by what that is known.
        unit: as written, "" for none.
        up, down: ramps of each direction in it.
        low, high: range of its numbers, in its unit.
    """

    where: str
    role: str
    why: str
    unit: str
    up: int
    down: int
    low: float
    high: float


class Measured(NamedTuple):
    """The content of the files; one of `ramps` and `steps` is empty.

    Args:
        ramps: all ramps, upwards ones first.
        steps: the up steps and the down steps.
        notes: what the reader decided, in sentences.
        files: paths.
        columns: what each column is.
        cycles: whether several ramps are cycles of one device.
    """

    ramps: tuple[Ramp, ...]
    steps: tuple[Steps, ...]
    notes: tuple[str, ...]
    files: tuple[str, ...]
    columns: tuple[ColumnLine, ...] = ()
    cycles: bool = False

    def span(self) -> Range:
        """Return the lowest and the highest value."""
        values = np.concatenate([*(r.values for r in self.ramps), *(s.w for s in self.steps)])
        return Range(float(values.min()), float(values.max()))

    def normalised(self, span: Range) -> "Measured":
        """Return the data with weights in place of the units of the file."""
        half = (span.high - span.low) / 2
        ramps = tuple(r._replace(values=span.w(r.values)) for r in self.ramps)
        steps = tuple(
            s._replace(w=span.w(s.w), mean=s.mean / half, deviation=s.deviation / half) for s in self.steps
        )
        return self._replace(ramps=ramps, steps=steps)


class Bins(NamedTuple):
    """Mean steps at several weights, with their standard errors: what laws are compared with and plots show.

    Args:
        sign: +1 for up pulses, -1 for down pulses.
        w: shape (n,), rising.
        step: mean size of a pulse, shape (n,).
        error: standard error of the mean, shape (n,).
        variance: variance of one pulse about the mean, shape (n,).
    """

    sign: int
    w: Array
    step: Array
    error: Array
    variance: Array


def bins_of_steps(steps: Steps) -> Bins:
    """Return the bins of a table.

    A table does not say how many pulses it holds. The roughness of its means does: second differences of a
    smooth curve vanish, and those of independent errors have 6 times their variance; of their squares the median
    is taken, 0.455 of the mean, as a table may have a jump. Smoothed tables look more exact than they are.
    """
    # A column without spread would have an infinite weight.
    deviation = np.maximum(steps.deviation, 0.05 * np.median(steps.deviation) + 1e-12)
    rough = np.diff(steps.mean, 2) ** 2 / 6
    share = float(np.median(rough / deviation[1:-1] ** 2)) / 0.455
    pulses = 1 / max(share, 1e-6)
    error = deviation / np.sqrt(np.clip(pulses, 1, 1e6))
    return Bins(steps.sign, steps.w, steps.mean, error, deviation**2)


def bins_of_ramps(ramps: tuple[Ramp, ...], sign: int, pulse: float, read: float, n_bins: int = 12) -> Bins:
    """Return the mean steps of the ramps of one direction in bins of w.

    A difference of two reads must not be sorted by those reads: a read that is too high is followed by a
    difference that is too low. The weight before a pulse is taken from the four reads before the last, moved on
    by the steps in between. Steps of one visit of a bin share all read noise but that of the first and the last
    read, so the variance of their sum is n pulse^2 + 2 read^2.

    Args:
        ramps: as weights.
        sign: the direction.
        pulse: standard deviation of one pulse [weight units].
        read: standard deviation of one read [weight units].
        n_bins: bins; those with fewer than 4 steps are left out.
    """
    chosen = [sign * r.values for r in ramps if r.sign == sign]
    size = np.mean([abs(v[-1] - v[0]) / (len(v) - 1) for v in chosen])
    short = min(len(v) for v in chosen) < 12
    lag = 0 if short or read < 0.1 * size else 4
    w, step, visit = [], [], []
    for number, v in enumerate(chosen):
        before = v[:-1]
        if lag:
            kernel = np.full(lag, 1 / lag)
            before = np.convolve(v, kernel, "valid")[: len(v) - lag - 1]
        w.append(before)
        step.append(np.diff(v)[lag:])
        visit.append(np.full(len(before), number))
    position, steps, visits = map(np.concatenate, (w, step, visit))
    if lag:
        slope = np.polynomial.Polynomial.fit(position, steps, 3)
        position = position + (lag + 1) / 2 * slope(position)
    edges = np.linspace(position.min(), position.max(), n_bins + 1)
    place = np.clip(np.digitize(position, edges) - 1, 0, n_bins - 1)
    rows = []
    for b in range(n_bins):
        inside = place == b
        n = int(inside.sum())
        if n < 4:
            continue
        entered = int((inside & ~np.r_[False, inside[:-1] & (visits[1:] == visits[:-1])]).sum())
        error = np.sqrt(n * pulse**2 + 2 * entered * read**2) / n
        rows.append((position[inside].mean(), steps[inside].mean(), error, steps[inside].var(ddof=1)))
    if not rows:
        what = f"no twelfth of the weights has 4 {'up' if sign > 0 else 'down'} pulses"
        raise complaint("fit", what, "Steps are averaged", "measure longer ramps, or several")
    table = np.array(rows).T
    centre = sign * table[0]
    order = np.argsort(centre)
    return Bins(sign, centre[order], table[1][order], np.maximum(table[2][order], 1e-9), table[3][order])
