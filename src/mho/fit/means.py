"""Least squares on mean steps, which are independent of each other: tables, and starts for ramps."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import t as student

from mho.fit.families import Family
from mho.fit.measured import DOWN, UP, Array, Bins

POLISHED = 2  # starts that are followed to the end
FLOOR = 0.01  # of a typical step: nothing is weighted as if it were known better, for no law is that exact


class Solution(NamedTuple):
    """Fitted numbers and what is known about their errors.

    Args:
        x: values, in the order of `Family.names`.
        covariance: shape (k, k); inf where the data do not determine a number.
        residuals: standardised residuals at x, shape (n,).
        jacobian: their derivatives, shape (n, k).
    """

    x: Array
    covariance: Array
    residuals: Array
    jacobian: Array

    @property
    def freedom(self) -> int:
        """Degrees of freedom: residuals less parameters."""
        return max(1, len(self.residuals) - len(self.x))

    def half_widths(self) -> Array:
        """Return half the 95 % intervals, of Student's t."""
        return student.ppf(0.975, self.freedom) * np.sqrt(np.diag(self.covariance))


def residuals_of_bins(family: Family, bins: tuple[Bins, Bins], x: Array) -> Array:
    """Return (mean - law) / standard error of all bins, up steps first."""
    away = np.concatenate([b.step for b in bins]) - steps_at(family, bins, x)
    return away / np.concatenate([b.error for b in bins])


def steps_at(family: Family, bins: tuple[Bins, Bins], x: Array) -> Array:
    """Return the law's steps at the bins, up steps first."""
    up, down = bins
    return np.concatenate([family.steps(x, up.w)[0], family.steps(x, down.w)[1]])


def fit_means(family: Family, bins: tuple[Bins, Bins], start: Array | None = None) -> Solution:
    """Fit a law to the mean steps.

    Args:
        family: the law and its free fields.
        bins: mean up steps and mean down steps.
        start: where to begin; None for a search from many points.
    """
    low, high = family.bounds()
    typical = float(np.sqrt(np.mean(np.concatenate([b.step for b in bins]) ** 2)))
    up, down = (b._replace(error=np.maximum(b.error, FLOOR * typical)) for b in bins)

    def residuals(x: Array) -> Array:
        return residuals_of_bins(family, (up, down), x)

    grid = family.grid(typical) if start is None else [start]
    grid = [np.clip(x, low + 1e-6 * (high - low), high - 1e-6 * (high - low)) for x in grid]
    grid = sorted(grid, key=lambda x: float((residuals(x) ** 2).sum()))[:POLISHED]
    found = [least_squares(residuals, x, bounds=(low, high), x_scale="jac", max_nfev=60) for x in grid]
    best = min(found, key=lambda f: f.cost)
    spread = covariance(best.jac, best.fun, best.active_mask)
    ends = np.cumsum([len(b.w) for b in bins])
    inflation = correlation_factor([best.fun[: ends[0]], best.fun[ends[0] :]])
    return Solution(best.x, spread * inflation, best.fun, best.jac)


def covariance(jacobian: Array, residuals: Array, at_limit: Array) -> Array:
    """Return the covariance of a least-squares estimate, with the variance that the residuals show.

    A number at the limit of its domain is taken as known; the intervals of the others hold for it as it is.

    Directions in which the residuals do not change are infinitely uncertain, and so are all numbers that have a
    part in them.
    """
    n, k = jacobian.shape
    jacobian = np.where(at_limit != 0, 0.0, jacobian)
    size = np.linalg.norm(jacobian, axis=0)
    size[size == 0] = 1.0
    _, s, vt = np.linalg.svd(jacobian / size, full_matrices=False)
    flat = s < 1e-7 * s[0]
    scale = np.where(flat, 0, 1 / np.where(flat, 1, s))
    root = vt.T * scale
    result = root @ root.T / np.outer(size, size) * float(residuals @ residuals) / max(1, n - k)
    lost = (np.abs(vt[flat]) > 1e-3).any(0)
    result[lost, lost] = np.inf
    result[at_limit != 0] = result[:, at_limit != 0] = 0.0
    return result


def correlation_factor(series: list[Array]) -> float:
    """Return (1 + r)/(1 - r), r the correlation of neighbours: residuals that follow each other say less."""
    top = sum(float((s[1:] * s[:-1]).sum()) for s in series)
    r = min(0.95, max(0.0, top / max(1e-300, sum(float((s**2).sum()) for s in series))))
    return (1 + r) / (1 - r)


def in_order(bins: tuple[Bins, ...]) -> tuple[Bins, Bins]:
    """Return the up bins and the down bins."""
    return next(b for b in bins if b.sign == UP), next(b for b in bins if b.sign == DOWN)
