"""The statistics: two samples of whole tiles, or of cells' parameters, and how far apart they lie.

The cells of one tile share bit lines, so a tile (one repetition) is one sample: every standard error is that
of a number per tile. Numbers per cell are combined by the worst of them, with Bonferroni's bound.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

FAMILY = 1e-3  # probability that a run in which nothing differs finds a difference in updates
FARTHEST = 5.0  # standard errors, for the parameters of cells


class Finding(NamedTuple):
    """One comparison. z: difference in standard errors, or sqrt(n) D of a KS test; p: after Bonferroni over cells;
    error: one standard error."""

    statistic: str
    theirs: float
    ours: float
    z: float
    p: float
    error: float = math.nan


def error_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Standard error of the difference of the means of two samples, along axis 0."""
    return np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))


def welch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Difference of the means of two samples (along axis 0) in standard errors."""
    error = error_of(a, b)
    away = b.mean(0) - a.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(away == 0, 0.0, away / error)


def two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def of_tiles(theirs: np.ndarray, ours: np.ndarray, signs: np.ndarray) -> list[Finding]:
    """Mean, variance and covariances of the changes (tiles, out, in) of the same cells.

    signs (out, in): the common direction of the updates, a product of one sign a row and one a column; changes are
    multiplied by it, and divided by each cell's standard deviation over both samples.
    """
    both = np.concatenate([theirs, ours]).astype(np.float64)
    scale = both.std(0)
    scale = np.maximum(scale, 1e-5 * max(float(scale.max()), 1e-30))  # float32 is no finer
    a, b = ((np.asarray(s, np.float64) - both.mean(0)) * signs / scale for s in (theirs, ours))
    findings = [_tiles("mean", a.mean((1, 2)), b.mean((1, 2))), _worst("mean, worst cell", a, b)]
    a, b = ((s - s.mean(0)) * math.sqrt(len(s) / (len(s) - 1)) for s in (a, b))
    findings.append(_tiles("variance", (a**2).mean((1, 2)), (b**2).mean((1, 2))))
    findings.append(_worst("variance, worst cell", a**2, b**2))
    findings.append(_tiles("covariance in a row", pairs(a).mean(1), pairs(b).mean(1)))
    along_columns = (pairs(s.swapaxes(1, 2)).mean(1) for s in (a, b))
    findings.append(_tiles("covariance in a column", *along_columns))
    return findings


def pairs(r: np.ndarray) -> np.ndarray:
    """Mean product of two different entries along the last axis."""
    m = r.shape[-1]
    return (r.sum(-1) ** 2 - (r**2).sum(-1)) / (m * (m - 1))


def _tiles(name: str, a: np.ndarray, b: np.ndarray) -> Finding:
    z = float(welch(a, b))
    return Finding(name, float(a.mean()), float(b.mean()), z, two_sided(z), float(error_of(a, b)))


def _worst(name: str, a: np.ndarray, b: np.ndarray) -> Finding:
    z = welch(a, b)
    where = np.unravel_index(np.abs(z).argmax(), z.shape)
    p = min(1.0, z.size * two_sided(float(z[where])))
    return Finding(name, float(a.mean(0)[where]), float(b.mean(0)[where]), float(z[where]), p)


def of_diagonals(theirs: np.ndarray, ours: np.ndarray) -> Finding:
    """Kolmogorov and Smirnov's test of the changes of diagonal cells, which share no bit line, of new tiles."""
    a, b = (np.sort(np.diagonal(s, axis1=1, axis2=2), axis=None) for s in (theirs, ours))
    at = np.concatenate([a, b])
    distance = float(
        np.abs(np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)).max()
    )
    root = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    return Finding(
        "KS, diagonal of new tiles", math.nan, distance, root * distance, kolmogorov(root * distance)
    )


def kolmogorov(x: float) -> float:
    """The probability that sqrt(n) D is larger than x."""
    if x < 0.2:
        return 1.0
    return min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101)))


def agree(findings: list[Finding]) -> list[bool]:
    """Which of all findings of a run are no difference, by Bonferroni's bound."""
    return [f.p >= FAMILY / len(findings) for f in findings]


def of_cells(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> list[Finding]:
    """Means, standard deviations and correlations of the parameters that `ours` names; cells are independent."""
    findings, varying = [], []
    for name in ours:
        a, b = theirs[name].ravel(), ours[name].ravel()
        size = max(abs(a).max(), abs(b).max(), 1e-30)
        if max(a.std(), b.std()) < 1e-5 * size:
            same = abs(a.mean() - b.mean()) < 1e-5 * size
            findings.append(
                Finding(f"{name}, constant", a.mean(), b.mean(), 0.0 if same else math.inf, float(same))
            )
            continue
        varying.append(name)
        findings.append(_estimate(f"{name}, mean", (a, a), (b, b)))
        findings.append(_estimate(f"{name}, deviation", _deviation(a), _deviation(b)))
    for one, other in itertools.combinations(varying, 2):
        rho = [_correlation(s[one].ravel(), s[other].ravel()) for s in (theirs, ours)]
        findings.append(_estimate(f"{one} and {other}, correlation", *rho))
    return findings


Estimate = tuple[
    np.ndarray, np.ndarray
]  # terms whose mean is the estimate, and terms whose scatter is its error


def _deviation(x: np.ndarray) -> Estimate:
    square, s = (x - x.mean()) ** 2, max(x.std(), 1e-30)
    return np.full_like(x, s), square / (2 * s)


def _correlation(x: np.ndarray, y: np.ndarray) -> Estimate:
    u, v = ((s - s.mean()) / max(s.std(), 1e-30) for s in (x, y))
    rho = (u * v).mean()
    return np.full_like(x, rho), u * v - rho * (u**2 + v**2) / 2


def _estimate(name: str, a: Estimate, b: Estimate) -> Finding:
    error = math.sqrt(a[1].var() / a[1].size + b[1].var() / b[1].size)
    away = float(b[0].mean() - a[0].mean())
    floor = 1e-6 * max(abs(a[0].mean()), abs(b[0].mean()))  # float32: corr = 1 has no error
    z = 0.0 if abs(away) <= floor else away / max(error, 1e-30)
    return Finding(name, float(a[0].mean()), float(b[0].mean()), z, two_sided(z))
