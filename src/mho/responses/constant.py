"""Pulses of constant size between hard bounds."""

from typing import Annotated

import torch
from torch import Tensor

from mho.base.records import NonPositive, Positive
from mho.responses.base import Response
from mho.responses.fitting import EDGES, Fitting


class Constant(Response):
    r"""Every pulse has the same size; w stops dead at its bounds.

        q_up(w) = 1      q_down(w) = 1
        every point is symmetric (G = 0)

    Prefer for: an ideal device, checks against digital SGD. Not for: anything that saturates gradually.

    Args:
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], <= 0; 0 for cells that are only raised.
    Source: the ideal device of arXiv 2502.06309, F = 1 and G = 0 in eq. (4). aihwkit: ConstantStepDevice.
    """

    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, NonPositive] = -1.0

    fitting = Fitting({}, EDGES, hard=True)

    def up(self, w: Tensor) -> Tensor:
        return torch.ones_like(w)

    def down(self, w: Tensor) -> Tensor:
        return torch.ones_like(w)

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
