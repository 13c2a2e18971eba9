"""Means and fitted exponents, with standard errors."""

from collections.abc import Sequence

import numpy as np


def exponent(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The slope of log y against log x by least squares, and its standard error; x and y positive, three points at
    least."""
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    (slope, start), n = np.polyfit(u, v, 1), len(u)
    left = v - start - slope * u
    return float(slope), float(np.sqrt(left @ left / (n - 2) / ((u - u.mean()) ** 2).sum()))


def mean_of(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error; of a single value, zero."""
    x = np.asarray(values, float)
    return float(x.mean()), float(x.std(ddof=1) / len(x) ** 0.5) if len(x) > 1 else 0.0
