"""Means and fitted exponents, with standard errors."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from mho.experiments.experiment import Pair


def exponent(x: Sequence[float], y: Sequence[float]) -> Pair:
    """Return the slope of log y against log x by least squares, and its standard error.

    x and y are positive and have three points at least.
    """
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    (slope, start), n = np.polyfit(u, v, 1), len(u)
    left = v - start - slope * u
    return float(slope), float(np.sqrt(left @ left / (n - 2) / ((u - u.mean()) ** 2).sum()))


def mean_of(values: Sequence[float]) -> Pair:
    """Return mean and standard error; the error of a single value is zero."""
    x = np.asarray(values, float)
    return float(x.mean()), float(x.std(ddof=1) / len(x) ** 0.5) if len(x) > 1 else 0.0


def means_of(repeats: Iterable[Mapping[str, float]]) -> dict[str, Pair]:
    """Return {quantity: (mean, standard error)} over repeats that each found {quantity: value}."""
    found: dict[str, list[float]] = {}
    for one in repeats:
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    return {name: mean_of(values) for name, values in found.items()}


def mean_over(samples: torch.Tensor) -> Pair:
    """Return mean and standard error of samples, two at least, in the precision that they have."""
    return float(samples.mean()), float(samples.std() / len(samples) ** 0.5)
