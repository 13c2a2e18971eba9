"""Spreads: the distributions of a parameter over the cells of a tile."""

import math
from typing import Annotated

import torch

from mho.base.errors import complaint
from mho.base.records import NonNegative, Record


class Absolute(Record):
    """A spread in the parameter's own units: a cell's value is nominal + sigma xi, clipped to [low, high].

    The sign may change, unlike under a relative spread; the limits keep a value inside its law's domain.

    Args:
        sigma: standard deviation before clipping [units of the parameter], >= 0.
        low, high: limits [units of the parameter]; None for no limit.
        fold: keep the nominal value's sign: |nominal + sigma xi| with that sign, before clipping.
    aihwkit: `fold=True` is |gamma + dtod xi|, as for the slopes of LinearStepDevice.
    """

    sigma: Annotated[float, NonNegative]
    low: float | None = None
    high: float | None = None
    fold: bool = False

    def validate(self) -> None:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise complaint(f"Absolute(low={self.low}, high={self.high})", "low must be less than high")

    def contains(self, value: float) -> bool:
        """Say if a value lies within the limits."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def values(self, nominal: float, xi: torch.Tensor) -> torch.Tensor:
        """Return the cells' values, from xi ~ N(0, 1)."""
        values = nominal + self.sigma * xi
        if self.fold:
            values = math.copysign(1.0, nominal) * values.abs()
        if self.low is None and self.high is None:
            return values
        return values.clamp(self.low, self.high)


class LogNormal(Record):
    """A log-normal spread: a cell's value is nominal exp(sigma xi), so the median is the nominal value.

    The sign never changes, and large values are frequent: the mean is nominal exp(sigma^2 / 2).

    Args:
        sigma: standard deviation of the logarithm, >= 0.
    Source: arXiv 2602.21321, appendix F.1, gamma = exp(sigma_d2d xi). aihwkit: dw_min_dtod_log_normal.
    """

    sigma: Annotated[float, NonNegative]

    def values(self, nominal: float, xi: torch.Tensor) -> torch.Tensor:
        """Return the cells' values, from xi ~ N(0, 1)."""
        return nominal * (self.sigma * xi).exp()


Spread = float | Absolute | LogNormal


def sigma_of(spread: Spread) -> float:
    """Return the standard deviation of a spread: 0 if all cells are equal."""
    return spread.sigma if isinstance(spread, Record) else spread


def values_of(spread: Spread, nominal: float, xi: torch.Tensor) -> torch.Tensor:
    """Return the cells' values of a parameter; a bare number is a relative spread, nominal |1 + sigma xi|."""
    if isinstance(spread, Record):
        return spread.values(nominal, xi)
    return nominal * (1 + spread * xi).abs()
