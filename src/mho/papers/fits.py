"""Fitted exponents, with the error that the points' scatter about the line leaves."""

from collections.abc import Sequence

import numpy as np


def exponent(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The slope of log y against log x by least squares, and its standard error; x and y positive, three points at
    least."""
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    (slope, start), n = np.polyfit(u, v, 1), len(u)
    left = v - start - slope * u
    return float(slope), float(np.sqrt(left @ left / (n - 2) / ((u - u.mean()) ** 2).sum()))
