"""Symmetric points of data and of laws, and the shape of the two curves of steps."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import chi2

from mho.fit.families import Family
from mho.fit.means import Solution
from mho.fit.measured import Array, Bins

DRAWS = 400
CERTAIN = 0.999  # of a test that steps are not of a simple shape
CLEAR = 2.5  # standard errors by which up and down must differ on both sides of a crossing


class Crossing(NamedTuple):
    """A symmetric point.

    Args:
        w: the weight.
        attracts: True if alternating pulses bring w here, False if they drive it away.
        interval: 95 % interval.
        share: part of the resampled data in which there is such a point; 1 for a law.
    """

    w: float
    attracts: bool
    interval: tuple[float, float]
    share: float


def roots(w: Array, difference: Array) -> list[tuple[float, bool]]:
    """Find the zeros of up - down on a grid; a zero attracts if the difference falls there."""
    at = np.flatnonzero(np.sign(difference[:-1]) * np.sign(difference[1:]) < 0)
    part = difference[at] / (difference[at] - difference[at + 1])
    return [
        (float(w[i] + p * (w[i + 1] - w[i])), bool(difference[i] > 0)) for i, p in zip(at, part, strict=True)
    ]


def points_of_law(family: Family, solution: Solution, span: tuple[float, float]) -> list[Crossing]:
    """Find the symmetric points of a fitted law within a range of w.

    The interval follows from the covariance of the parameters: the zero of up - down moves by -(change of the
    difference)/(its slope). It is infinite where the data do not determine the parameters.
    """
    offset = float(solution.x[-1]) if family.how.offset else 0.0
    found = []
    for point in family.device(solution.x).cell.symmetric_points():
        w = point.w - offset
        if not span[0] <= w <= span[1]:
            continue
        h = 1e-5 * np.maximum(np.abs(solution.x), 1e-3)
        near = np.array([w, w - 1e-4, w + 1e-4])
        sets = [solution.x, *(solution.x + d for d in np.diag(h))]
        difference = np.array([np.subtract(*family.steps(x, near)) for x in sets])
        slope = (difference[0, 2] - difference[0, 1]) / 2e-4
        pull = (difference[1:, 0] - difference[0, 0]) / h / slope if slope else np.full(len(h), np.inf)
        with np.errstate(invalid="ignore"):
            variance = float(pull @ solution.covariance @ pull)
        width = 1.96 * np.sqrt(variance) if variance >= 0 else np.inf
        found.append(Crossing(w, point.attracts, (w - width, w + width), 1.0))
    return found


def points_of_bins(bins: tuple[Bins, Bins], key: int) -> list[Crossing]:
    """Find the crossings of the mean up and down steps, without a law.

    A crossing counts where up and down differ clearly on both sides, with opposite signs. Its place is the zero of
    a straight line through the differences in between and next to them; the interval is that of the zero when
    the differences are drawn anew from their errors.
    """
    up, down = bins
    w = up.w[(up.w >= down.w[0]) & (up.w <= down.w[-1])]
    if len(w) < 3:
        return []
    difference = np.interp(w, up.w, up.step) - np.interp(w, down.w, down.step)
    error = np.hypot(np.interp(w, up.w, up.error), np.interp(w, down.w, down.error))
    clear = np.flatnonzero(np.abs(difference) > CLEAR * error)
    rng = np.random.default_rng(key)
    found = []
    for left, right in itertools.pairwise(clear):
        if difference[left] * difference[right] > 0:
            continue
        part = slice(max(0, left - (right - left < 2)), right + 1 + (right - left < 2))
        slope, zero = _line(w[part], difference[part], error[part])
        if slope == 0 or not w[part][0] <= zero <= w[part][-1]:
            zero = roots(w[left : right + 1], difference[left : right + 1])[0][0]
        again = []
        for _ in range(DRAWS):
            drawn = difference[part] + error[part] * rng.normal(size=len(w[part]))
            tilt, place = _line(w[part], drawn, error[part])
            if tilt * (difference[right] - difference[left]) > 0:
                again.append(np.clip(place, w[0], w[-1]))
        low, high = np.quantile(again, (0.025, 0.975)) if again else (w[left], w[right])
        interval = (min(float(low), zero), max(float(high), zero))
        found.append(Crossing(float(zero), bool(difference[left] > 0), interval, len(again) / DRAWS))
    return found


def _line(w: Array, y: Array, error: Array) -> tuple[float, float]:
    """Return the slope and the zero of the weighted straight line."""
    weight = 1 / error**2
    middle = (weight * w).sum() / weight.sum()
    mean = (weight * y).sum() / weight.sum()
    slope = (weight * (w - middle) * y).sum() / (weight * (w - middle) ** 2).sum()
    return float(slope), float(middle - mean / slope) if slope else float("nan")


def shape(bins: Bins, to_the_end: bool = True) -> str:
    """Describe the mean steps along their way, in the simplest words that the errors allow.

    Args:
        bins: mean steps.
        to_the_end: False leaves the last bin out: there a ramp may have come to rest at a bound.
    """
    last = None if to_the_end or len(bins.w) < 4 else -1
    along = bins.step[:: bins.sign][:last]
    weight = 1 / bins.error[:: bins.sign][:last] ** 2
    mean = (weight * along).sum() / weight.sum()
    n = len(along)
    if (weight * (along - mean) ** 2).sum() < chi2.ppf(CERTAIN, n - 1):
        return "constant"
    for rising, word in ((False, "shrinks"), (True, "grows")):
        best = isotonic_regression(along, weights=weight, increasing=rising).x
        if (weight * (along - best) ** 2).sum() < chi2.ppf(CERTAIN, n):
            return word
    top = int(np.argmax(along))
    if 0 < top < n - 1:
        return "hump"
    return (
        "shrinks, not smoothly" if along[: n // 2].mean() > along[n // 2 :].mean() else "grows, not smoothly"
    )
