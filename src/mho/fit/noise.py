"""Noise: that of pulses and that of reads told apart, and whether it grows with the step."""

from typing import Literal, NamedTuple

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.optimize import minimize

from mho.fit.measured import Array, Bins, Ramp

Kind = Literal["additive", "multiplicative"]
KINDS: tuple[Kind, ...] = ("additive", "multiplicative")


class NoiseFit(NamedTuple):
    """The noises of a pulse and of a read.

    Args:
        sigma_c2c: noise of a pulse, relative to dw_min (additive) or to the step (multiplicative).
        c2c: which of the two explains the data better.
        read: standard deviation of a read [weight units]; 0 for tables, which have none.
        interval: 95 % interval of sigma_c2c, None if unknown.
        read_interval: 95 % interval of `read`, None if unknown.
        evidence: 2 log(likelihood of c2c / likelihood of the other kind).
    """

    sigma_c2c: float
    c2c: Kind
    read: float
    interval: tuple[float, float] | None
    read_interval: tuple[float, float] | None
    evidence: float


class Moments(NamedTuple):
    """Standard deviations of a pulse and of a read from moments of the differences [weight units]."""

    pulse: float
    read: float


def moments(ramps: tuple[Ramp, ...]) -> Moments:
    """Estimate both noises without a law: var(difference) = pulse^2 + 2 read^2, cov(neighbours) = -read^2.

    The drift of the ramp, a cubic in the number of the pulse, is taken off first.
    """
    squares, products, n_squares, n_products = 0.0, 0.0, 0, 0
    for ramp in ramps:
        d = np.diff(ramp.values)
        t = np.linspace(-1, 1, len(d))
        d = d - np.polynomial.Polynomial.fit(t, d, min(3, len(d) // 8))(t)
        squares, n_squares = squares + float(d @ d), n_squares + len(d)
        products, n_products = products + float(d[1:] @ d[:-1]), n_products + len(d) - 1
    variance, neighbours = squares / n_squares, products / n_products
    read = min(max(0.0, -neighbours), variance / 2)
    return Moments(float(np.sqrt(variance - 2 * read)), float(np.sqrt(read)))


def noise_of_ramps(
    differences: Array, slopes: Array, sizes: Array, scale: float, start: Moments, inside: Array
) -> NoiseFit:
    """Return the most likely noises, given the differences that a law leaves.

    Such a difference is pulse noise + read noise after the pulse - slope x read noise before it: a moving average
    of order one, whose covariance has three diagonals.

    Args:
        differences: of reads, less the law's steps, shape (ramps, n).
        slopes: derivative of the next weight by the weight, likewise.
        sizes: the law's steps, likewise.
        scale: dw_min.
        start: where the search begins.
        inside: where a difference is one of its ramp.
    """
    joint = inside[:, :-1] & inside[:, 1:]
    z = differences[inside]
    diagonal = (1 + slopes**2)[inside]
    beside = np.zeros_like(differences)
    beside[:, :-1][joint] = -slopes[:, 1:][joint]
    off = beside[inside]
    results = []
    base = float(np.var(z))
    for kind in KINDS:
        shape = (scale**2 * np.ones_like(sizes) if kind == "additive" else sizes**2)[inside]
        # Where steps vanish, so does multiplicative noise: a floor keeps the matrix regular.
        guess = start.pulse**2 / max(float(shape.mean()), 1e-300)

        def cost(logs: Array, shape: Array = shape) -> float:
            pulse, read = np.exp(np.clip(logs, -60, 60))
            band = np.stack([shape * pulse + diagonal * read + 1e-9 * base, off * read])
            try:
                factor = cholesky_banded(band, lower=True)
            except np.linalg.LinAlgError:
                return 1e300
            return float(z @ cho_solve_banded((factor, True), z) + 2 * np.log(factor[0]).sum())

        first = np.log([guess + 1e-6 * base / max(float(shape.mean()), 1e-300), start.read**2 + 1e-4 * base])
        found = minimize(cost, first, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3})
        results.append((float(found.fun), found.x, cost))
    order = sorted(range(2), key=lambda i: results[i][0])
    best, other = (results[i] for i in order)
    logs, width = best[1], _half_widths(best[2], best[1])
    low, high, middle = np.exp((logs - width) / 2), np.exp((logs + width) / 2), np.exp(logs / 2)
    return NoiseFit(
        float(middle[0]),
        KINDS[order[0]],
        float(middle[1]),
        (float(low[0]), float(high[0])),
        (float(low[1]), float(high[1])),
        other[0] - best[0],
    )


def _half_widths(cost, logs: Array) -> Array:
    """Return half the 95 % intervals of two logarithms, from the curvature of 2 log(likelihood)."""
    h = 0.1
    e = h * np.eye(2)
    hessian = np.array(
        [
            [cost(logs + a + b) - cost(logs + a - b) - cost(logs - a + b) + cost(logs - a - b) for b in e]
            for a in e
        ]
    ) / (4 * h * h)
    try:
        variance = np.diag(np.linalg.inv(hessian / 2))
    except np.linalg.LinAlgError:
        variance = np.full(2, np.inf)
    return np.where(variance > 0, 1.96 * np.sqrt(np.abs(variance)), 30.0).clip(max=30.0)


def noise_of_bins(sizes: Array, scale: float, bins: tuple[Bins, Bins]) -> NoiseFit:
    """Return the noise of a table: the kind of the two that gives the variances of its bins.

    A variance s^2 of normal numbers has the likelihood of exp(-(log v + s^2/v)/2) at a true variance v.

    Args:
        sizes: a law's steps at the bins, up steps first.
        scale: dw_min.
        bins: mean steps and variances.
    """
    variance = np.concatenate([b.variance for b in bins])
    found = []
    for kind in KINDS:
        shape = np.full_like(sizes, scale**2) if kind == "additive" else sizes**2
        shape = np.maximum(shape, 1e-4 * shape.mean())
        ratio = float((variance / shape).mean())  # the most likely sigma^2
        found.append((float((np.log(ratio * shape) + 1).sum()), ratio))
    chosen = int(found[1][0] < found[0][0])
    evidence = found[1 - chosen][0] - found[chosen][0]
    return NoiseFit(float(np.sqrt(found[chosen][1])), KINDS[chosen], 0.0, None, None, evidence)
