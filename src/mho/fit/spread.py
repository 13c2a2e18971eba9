"""Several ramps: intervals that need no model of the noise, and how devices differ."""

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from mho.fit.filter import Lanes
from mho.fit.means import Solution
from mho.fit.measured import DOWN, UP, Array

ENOUGH = 5  # ramps of each direction, for a bootstrap
DRAWS = 1000


class Gain(NamedTuple):
    """The spread of dw_min between ramps [relative].

    Args:
        sigma: standard deviation without what the noise of the fit adds.
        p: probability of such differences among equal ramps.
        ramps: their number.
    """

    sigma: float
    p: float
    ramps: int


def rows_of_ramps(lanes: Lanes) -> Array:
    """Return the ramp that each residual belongs to."""
    return np.nonzero(lanes.inside[:, 1:])[0]


def bootstrap(solution: Solution, lanes: Lanes, key: int) -> tuple[Array, Array] | None:
    """Draw ramps with replacement and return 95 % intervals (low, high); None for too few ramps.

    Each draw makes one step of Gauss and Newton from the fit, which is exact as far as the law is linear in its
    parameters there. Ramps are drawn within their direction, whole, so that nothing is assumed about the
    correlations within them.
    """
    groups = [np.flatnonzero(lanes.signs == sign) for sign in (UP, DOWN)]
    if min(map(len, groups)) < ENOUGH:
        return None
    row, j, e = rows_of_ramps(lanes), solution.jacobian, solution.residuals
    squares = np.stack([j[row == r].T @ j[row == r] for r in range(len(lanes.signs))])
    pulls = np.stack([j[row == r].T @ e[row == r] for r in range(len(lanes.signs))])
    rng = np.random.default_rng(key)
    draws = []
    for _ in range(DRAWS):
        chosen = np.concatenate([rng.choice(g, len(g)) for g in groups])
        draws.append(solution.x - np.linalg.pinv(squares[chosen].sum(0)) @ pulls[chosen].sum(0))
    low, high = np.quantile(np.array(draws), (0.025, 0.975), axis=0)
    # With few ramps a percentile interval is too short, by about this factor.
    factor = np.sqrt(sum(len(g) / (len(g) - 1) for g in groups) / 2)
    return solution.x + factor * (low - solution.x), solution.x + factor * (high - solution.x)


def gain_spread(solution: Solution, lanes: Lanes) -> Gain | None:
    """Return the spread of dw_min between ramps; None if each direction has only one."""
    groups = [np.flatnonzero(lanes.signs == sign) for sign in (UP, DOWN)]
    if min(map(len, groups)) < 2:
        return None
    row = rows_of_ramps(lanes)
    scale = float(np.mean(solution.residuals**2))
    gain, variance = np.ones(len(lanes.signs)), np.ones(len(lanes.signs))
    for r in range(len(gain)):
        j, e = solution.jacobian[row == r, 0] * solution.x[0], solution.residuals[row == r]
        gain[r], variance[r] = 1 - (j @ e) / (j @ j), scale / (j @ j)
    n, total, excess = 0, 0.0, 0.0
    for group in groups:  # up and down ramps may differ for other reasons
        away = gain[group] - np.average(gain[group], weights=1 / variance[group])
        total += float((away**2 / variance[group]).sum())
        excess += float((away**2).sum()) - float(variance[group].sum()) * (len(group) - 1) / len(group)
        n += len(group) - 1
    return Gain(float(np.sqrt(max(0.0, excess / n))), float(chi2.sf(total, n)), len(gain))
