"""A law fitted to ramps."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from mho.fit.families import Family
from mho.fit.filter import Filter, Lanes, Path, gains, slopes_along, tables, walk
from mho.fit.means import Solution, covariance
from mho.fit.measured import Array
from mho.fit.noise import Moments, NoiseFit, noise_of_ramps

PASSES = 2  # law and noise in turn


class RampFit(NamedTuple):
    """A law on ramps.

    Args:
        solution: numbers and errors.
        noise: of pulses and reads.
        filter: the gains that belong to the noises.
        path: predictions of the fitted law, one set.
        relaxes: whether part of the pulse noise is forgotten within tens of pulses; then `noise` holds what stays,
            and the rest counts as read noise.
        correlation: by how much less than their number the innovations say; 1 if they are independent.
    """

    solution: Solution
    noise: NoiseFit
    filter: Filter
    path: Path
    relaxes: bool
    correlation: float


def fit_ramps(family: Family, lanes: Lanes, start: Array, guess: Moments) -> RampFit:
    """Fit a law to ramps, and the noises with it.

    Args:
        family: the law and its free fields.
        lanes: the ramps.
        start: values to start from, such as `fit_means` finds.
        guess: noises to start from.
    """
    x, relaxes = start, False
    read = max(guess.read**2, 1e-4 * guess.pulse**2, 1e-14)
    pulse = np.full(lanes.inside[:, 1:].shape, max(guess.pulse**2, 1e-4 * read))
    filter_ = gains(np.ones_like(pulse), pulse, read)
    for _ in range(PASSES):
        x = optimise(family, lanes, filter_, x).x
        path, z, noise = noise_at(family, lanes, filter_, x, guess)
        noise, relaxes = lasting(noise, z, path.steps[0], float(x[0]), lanes.inside[:, 1:])
        filter_ = filter_at(family, lanes, path, x, noise)
    solution = optimise(family, lanes, filter_, x)
    path = walk(family, lanes, tables(family, lanes, [solution.x]), filter_.gain)
    correlation = long_run(standardised(lanes, filter_, path)) if relaxes else 1.0
    solution = solution._replace(covariance=solution.covariance * correlation)
    return RampFit(solution, noise, filter_, path, relaxes, correlation)


def standardised(lanes: Lanes, filter_: Filter, path: Path) -> list[Array]:
    """Return the innovations of each ramp, divided by their standard deviations."""
    rows = path.innovations[0] / filter_.deviation[:, 1:]
    return [row[inside] for row, inside in zip(rows, lanes.inside[:, 1:], strict=True)]


def long_run(series: list[Array]) -> float:
    """Return 1 + 2 x the sum of the autocorrelations up to 1/25 of the length, at least 1."""
    total, lags = sum(float(s @ s) for s in series), max(1, min(len(s) for s in series) // 25)
    return max(1.0, 1 + 2 * sum(float(s[k:] @ s[:-k]) for s in series for k in range(1, lags + 1)) / total)


def lasting(noise: NoiseFit, z: Array, steps: Array, scale: float, inside: Array) -> tuple[NoiseFit, bool]:
    """Return the noise that is still there after tens of pulses, if it is clearly less than neighbours suggest.

    The variance of a sum of m differences is m pulse^2 + 2 read^2, whatever m. Many cells fluctuate in between:
    what a pulse did is partly undone by the next ten. The law concerns what lasts.
    """
    n = int(inside.sum(1).min())
    if n < 200:
        return noise, False
    long, short = n // 25, n // 75
    sums = {}
    for m in (short, long):
        total = np.concatenate(
            [np.convolve(r[i], np.ones(m), "valid") for r, i in zip(z, inside, strict=True)]
        )
        sums[m] = float(np.mean(total**2))
    mean = scale**2 if noise.c2c == "additive" else float(np.mean(steps[inside] ** 2))
    pulse = noise.sigma_c2c**2 * mean
    error = np.sqrt(4 * long / (3 * inside.sum()))
    if sums[long] > (long * pulse + 2 * noise.read**2) * (1 - 2 * error):
        return noise, False
    lasts = float(np.clip((sums[long] - sums[short]) / (long - short), 0.01 * pulse, pulse))
    read = float(np.sqrt(max(sums[long] - long * lasts, 2 * noise.read**2) / 2))
    sigma = float(np.sqrt(lasts / mean))
    return noise._replace(sigma_c2c=sigma, read=read, interval=None, read_interval=None), True


def noise_at(
    family: Family, lanes: Lanes, filter_: Filter, x: Array, guess: Moments
) -> tuple[Path, Array, NoiseFit]:
    """Return the path of a law, the differences that it leaves, and the noises in them."""
    law = tables(family, lanes, [x])
    path = walk(family, lanes, law, filter_.gain)
    state, steps = path.state[0], path.steps[0]
    slopes = slopes_along(law[0], lanes, state)
    moved = np.clip(state + steps, -1, 1) - state if family.how.hard else steps
    # The step from the weight as it was read, along the law's tangent: then the read noise before a pulse enters
    # with the factor -slope, as `noise_of_ramps` has it.
    differences = np.diff(lanes.reads) - moved - (slopes - 1) * (lanes.reads[:, :-1] - state)
    noise = noise_of_ramps(differences, slopes, steps, float(x[0]), guess, lanes.inside[:, 1:])
    return path, differences, noise


def filter_at(family: Family, lanes: Lanes, path: Path, x: Array, noise: NoiseFit) -> Filter:
    """Return the gains that belong to the noises."""
    law = tables(family, lanes, [x])
    sizes = path.steps[0] if noise.c2c == "multiplicative" else np.full_like(path.steps[0], float(x[0]))
    slopes = slopes_along(law[0], lanes, path.state[0])
    return gains(slopes, (noise.sigma_c2c * sizes) ** 2 + 1e-16, noise.read**2 + 1e-14)


def optimise(family: Family, lanes: Lanes, filter_: Filter, start: Array) -> Solution:
    """Fit a law by least squares on the standardised innovations of all ramps."""
    low, high = family.bounds()
    chosen = lanes.inside[:, 1:]
    scale = filter_.deviation[:, 1:][chosen]

    cache: dict[bytes, tuple[Array, Array]] = {}

    def both(x: Array) -> tuple[Array, Array]:
        """Compute residuals and derivatives in one walk of all parameter sets, hardly slower than one set."""
        if x.tobytes() not in cache:
            h = 1e-6 * np.maximum(np.abs(x), 1e-4)
            h = np.where(x + h > high, -h, h)
            laws = tables(family, lanes, [x, *(x + d for d in np.diag(h))])
            values = walk(family, lanes, laws, filter_.gain).innovations[:, chosen] / scale
            cache.clear()
            cache[x.tobytes()] = values[0], ((values[1:] - values[0]) / h[:, None]).T
        return cache[x.tobytes()]

    x = np.clip(start, low + 1e-9 * (high - low), high - 1e-9 * (high - low))
    found = least_squares(
        lambda x: both(x)[0], x, jac=lambda x: both(x)[1], bounds=(low, high), x_scale="jac",
        max_nfev=25, ftol=1e-6, xtol=1e-6, gtol=1e-9,
    )  # fmt: skip
    return Solution(found.x, covariance(found.jac, found.fun, found.active_mask), found.fun, found.jac)
