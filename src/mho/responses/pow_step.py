"""Pulses that shrink as a power of the distance to the bound, measured in the whole range."""

from typing import Annotated

import torch
from torch import Tensor

from mho.base.records import NonPositive, Positive
from mho.responses.base import Response
from mho.responses.fitting import GAMMA, HIGH, LOW, SHARES, Fitting


class PowStep(Response):
    r"""Step size is a power of the part of the range that is left; zero at the bound.

        q_up(w)   = max(0, (tau_max - w) / (tau_max - tau_min))^gamma_up
        q_down(w) = max(0, (w - tau_min) / (tau_max - tau_min))^gamma_down
        symmetric point: the middle of the range, if both exponents are equal

    Prefer for: devices fitted by this form. Not for: comparing step sizes with other laws at w = 0, where it
    is 0.5^gamma instead of 1; Power is this law with 1 there, for bounds +-tau.

    Args:
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], <= 0; 0 for cells that are only raised.
        gamma_up, gamma_down: exponents, > 0; 1 is linear in w.
    Source: aihwkit 1.2.0, PowStepDevice, whose pow_gamma is both exponents; the max is ours. It converts lr to
        pulses with dw_min 0.5^pow_gamma, this library with dw_min.
    """

    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, NonPositive] = -1.0
    gamma_up: Annotated[float, Positive] = 1.0
    gamma_down: Annotated[float, Positive] = 1.0

    fitting = Fitting(
        {"tau_max": HIGH, "tau_min": LOW, "gamma_up": GAMMA, "gamma_down": GAMMA},
        caps={"gamma_up": SHARES, "gamma_down": SHARES},
    )

    def up(self, w: Tensor) -> Tensor:
        return torch.clamp((self.tau_max - w) / (self.tau_max - self.tau_min), min=0) ** self.gamma_up

    def down(self, w: Tensor) -> Tensor:
        return torch.clamp((w - self.tau_min) / (self.tau_max - self.tau_min), min=0) ** self.gamma_down

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
