"""The comparison of laws: information criteria, held-out residuals, and a test that rejects a law."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from mho.fit.families import Family
from mho.fit.filter import Lanes, side_by_side, tables, walk
from mho.fit.means import Solution, fit_means, residuals_of_bins, steps_at
from mho.fit.measured import Array, Bins, Ramp
from mho.fit.noise import Moments, NoiseFit, noise_of_bins
from mho.fit.ramps import RampFit, fit_ramps, optimise

FOLDS = 6
REJECTED = 0.01  # a law whose deviations have a smaller probability does not fit


class Candidate(NamedTuple):
    """One law on the data.

    Args:
        name, family: the law.
        solution: its numbers.
        noise: the noises that it leaves.
        aic, bic: information criteria; differences count, smaller is better.
        held_out: mean squared standardised residual of data that the fit did not see; about 1 if the law fits.
        chi2, freedom, p: test of binned mean residuals against their standard errors.
        ramp: details, for ramps.
    """

    name: str
    family: Family
    solution: Solution
    noise: NoiseFit
    aic: float
    bic: float
    held_out: float
    chi2: float
    freedom: int
    p: float
    ramp: RampFit | None

    @property
    def rejected(self) -> bool:
        """True if the deviations from the data are more than chance."""
        return self.p < REJECTED


Fitter = Callable[[str, Family], Candidate]


def on_bins(bins: tuple[Bins, Bins]) -> Fitter:
    """Return the function that fits laws to tables."""

    def fitted(name: str, family: Family) -> Candidate:
        solution = fit_means(family, bins)
        n, k = len(solution.residuals), len(solution.x) + 1
        cost = n * math.log(float(solution.residuals @ solution.residuals) / n)
        noise = noise_of_bins(steps_at(family, bins, solution.x), float(solution.x[0]), bins)
        bare = residuals_of_bins(family, bins, solution.x)
        total, freedom = float(bare @ bare), solution.freedom
        held = []
        for fold in range(FOLDS):
            some = tuple(_rows(b, np.arange(len(b.w)) % FOLDS != fold) for b in bins)
            rest = tuple(_rows(b, np.arange(len(b.w)) % FOLDS == fold) for b in bins)
            x = fit_means(family, (some[0], some[1]), solution.x).x
            held.append(residuals_of_bins(family, (rest[0], rest[1]), x))
        return Candidate(
            name, family, solution, noise,
            cost + 2 * k, cost + k * math.log(n), float(np.mean(np.concatenate(held) ** 2)),
            total, freedom, float(chi2.sf(total, freedom)), None,
        )  # fmt: skip

    return fitted


def _rows(bins: Bins, keep: Array) -> Bins:
    return Bins(bins.sign, *(a[keep] for a in bins[1:]))


def on_ramps(
    ramps: tuple[Ramp, ...], bins: tuple[Bins, Bins], guess: Moments, families: Mapping[str, Family]
) -> Fitter:
    """Return the function that fits laws to ramps, all with the same noises and gains.

    These come from the more flexible laws, or from the one that is asked for.

    Args:
        ramps: as weights.
        bins: mean steps, for the starts.
        guess: first noises.
        families: the laws that will be fitted, by name.
    """
    lanes = side_by_side(ramps)
    flexible = [name for name in ("exp-step", "pow-step") if name in families] or [*families]
    starts = {name: fit_means(families[name], bins).x for name in flexible}
    references = [fit_ramps(families[name], lanes, x, guess) for name, x in starts.items()]
    reference = min(
        references, key=lambda r: 2 * np.log(r.filter.deviation[:, 1:][lanes.inside[:, 1:]]).sum()
    )
    one = float(np.mean(reference.solution.residuals**2)) * reference.correlation

    def fitted(name: str, family: Family) -> Candidate:
        start = starts[name] if name in starts else fit_means(family, bins).x
        solution = optimise(family, lanes, reference.filter, start)
        solution = solution._replace(covariance=solution.covariance * reference.correlation)
        path = walk(family, lanes, tables(family, lanes, [solution.x]), reference.filter.gain)
        fit = reference._replace(solution=solution, path=path)
        n, k = len(solution.residuals), len(solution.x)
        cost = float(solution.residuals @ solution.residuals) / one
        total, freedom = _lack_of_fit(lanes, fit)
        return Candidate(
            name, family, solution, fit.noise, cost + 2 * k, cost + k * math.log(n),
            _held_out(family, lanes, fit) / one, total / one, freedom, float(chi2.sf(total / one, freedom)), fit,
        )  # fmt: skip

    return fitted


def refined(candidate: Candidate, ramps: tuple[Ramp, ...], guess: Moments) -> Candidate:
    """Return the chosen law, with the noises that it leaves itself."""
    fit = fit_ramps(candidate.family, side_by_side(ramps), candidate.solution.x, guess)
    return candidate._replace(solution=fit.solution, noise=fit.noise, ramp=fit)


def _held_out(family: Family, lanes: Lanes, fit: RampFit) -> float:
    """Predict stretches of each ramp from a fit without them; return the mean squared standardised residual.

    The fit without a stretch is one step of Gauss and Newton from the fit to all.
    """
    inside = lanes.inside[:, 1:]
    stretch = np.broadcast_to(np.arange(inside.shape[1]) * 3 * FOLDS // inside.shape[1] % FOLDS, inside.shape)
    low, high = family.bounds()
    sets = []
    for fold in range(FOLDS):
        keep = stretch[inside] != fold
        j, e = fit.solution.jacobian[keep], fit.solution.residuals[keep]
        size = np.linalg.norm(j, axis=0) + 1e-300
        sets.append(np.clip(fit.solution.x - np.linalg.pinv(j / size, rcond=1e-2) @ e / size, low, high))
    path = walk(family, lanes, tables(family, lanes, sets), fit.filter.gain)
    misses = (path.innovations / fit.filter.deviation[:, 1:])[:, inside]
    misses = np.clip(misses, -1e3, 1e3)  # a law may run away from a step too far
    fold_of = stretch[inside]
    return float(np.mean([np.mean(misses[fold][fold_of == fold] ** 2) for fold in range(FOLDS)]))


def _lack_of_fit(lanes: Lanes, fit: RampFit) -> tuple[float, int]:
    """Return the squares of the standardised mean innovation of bins of w, each about chi^2 with one degree."""
    inside, total, n_bins = lanes.inside[:, 1:], 0.0, 0
    misses = fit.path.innovations[0] / fit.filter.deviation[:, 1:]
    for sign in (1, -1):
        chosen = inside & (lanes.signs == sign)[:, None]
        w, z = fit.path.state[0][chosen], misses[chosen]
        parts = np.array_split(np.argsort(w), min(10, len(w) // 8) or 1)
        total += math.fsum(float(z[p].sum()) ** 2 / len(p) for p in parts)
        n_bins += len(parts)
    return total, max(1, n_bins - len(fit.solution.x))
