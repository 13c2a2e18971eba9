"""Pulses of constant size between hard bounds."""

import math
from typing import Annotated

import torch
from torch import Tensor

from mho.base.records import Domain
from mho.responses.base import Response
from mho.responses.fitting import EDGES, Fitting


def _bound(name: str, value: float) -> str:
    """Return the remedy for a bound that is none."""
    return f"{name}={math.copysign(1e30, value):g} for no bound" if math.isinf(value) else ""


Upper = Domain("positive", lambda v: v > 0, _bound)
Lower = Domain("zero or negative", lambda v: v <= 0, _bound)


class Constant(Response):
    r"""Every pulse has the same size; w stops dead at its bounds.

        q_up(w) = 1      q_down(w) = 1
        every point is symmetric (G = 0)

    Prefer for: an ideal device, checks against digital SGD. Not for: anything that saturates gradually.

    Args:
        tau_max: upper bound of w [weight units], > 0; 1e30 for no bound.
        tau_min: lower bound of w [weight units], <= 0; 0 for cells that are only raised, -1e30 for no bound.
    Source: the ideal device of arXiv 2502.06309, F = 1 and G = 0 in eq. (4). aihwkit: ConstantStepDevice.
    """

    tau_max: Annotated[float, Upper] = 1.0
    tau_min: Annotated[float, Lower] = -1.0

    fitting = Fitting({}, EDGES, hard=True)

    def up(self, w: Tensor) -> Tensor:
        return torch.ones_like(w)

    def down(self, w: Tensor) -> Tensor:
        return torch.ones_like(w)

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
