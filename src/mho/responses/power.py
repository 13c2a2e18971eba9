"""Pulses that shrink as a power of the distance to the bound."""

from typing import Annotated

import torch
from torch import Tensor

from mho.base.records import Positive
from mho.responses.base import Response
from mho.responses.fitting import GAMMA, HIGH, SHARES, Fitting


class Power(Response):
    r"""Step size is a power of the distance to the bound; zero beyond it.

        q_up(w) = max(0, 1 - w/tau)^gamma_res      q_down(w) = max(0, 1 + w/tau)^gamma_res
        symmetric point: w_sp = 0

    Prefer for: saturation that sets in late (gamma_res < 1) or early (gamma_res > 1). With gamma_res < 1 a
    pulse near the bound can carry w beyond it: the clip that ends every pulse brings it back.

    Args:
        tau: distance of both bounds from 0 [weight units], > 0.
        gamma_res: exponent, > 0; 1 gives SoftBounds.
    Source: arXiv 2502.06309, eq. (148), numbered (144) in version 3; the max is ours. aihwkit: none;
        PowStepDevice raises the distance to the other bound, over the whole range, to a power.
    """

    tau: Annotated[float, Positive] = 1.0
    gamma_res: Annotated[float, Positive] = 0.5

    fitting = Fitting({"tau": HIGH, "gamma_res": GAMMA}, offset=True, caps={"gamma_res": SHARES})

    def up(self, w: Tensor) -> Tensor:
        return torch.clamp(1 - w / self.tau, min=0) ** self.gamma_res

    def down(self, w: Tensor) -> Tensor:
        return torch.clamp(1 + w / self.tau, min=0) ** self.gamma_res

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return -self.tau, self.tau
