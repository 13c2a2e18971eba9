"""Pulses that shrink linearly with the weight, by any amount, and hard bounds."""

from typing import Annotated

import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.base.records import NonPositive, Positive
from mho.responses.base import Response
from mho.responses.fitting import EDGES, Fitting


class LinearStep(Response):
    r"""Step size is linear in the state, with a slope of its own in each direction; hard bounds.

        q_up(w) = max(0, 1 - slope_up w)      q_down(w) = max(0, 1 + slope_down w)
        symmetric point: w_sp = 0, if a slope is not zero

    With positive slopes pulses shrink towards the bound that they lead to. SoftBounds is this law with slopes
    1/tau_max and -1/tau_min: there they reach zero.

    Prefer for: capacitors and ECRAM, nearly linear over their range. Not for: saturating cells (SoftBounds).

    Args:
        slope_up, slope_down: relative change of the step by a weight unit [1/weight units]; neither direction may
            reach zero before its bound.
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], <= 0; 0 for cells that are only raised.
    Source: aihwkit 1.2.0, LinearStepDevice: slope_up = gamma_up / w_max, slope_down = -gamma_down / w_min, with the
        mean bounds (mean_bound_reference=True). Its gamma_up_dtod = s is Absolute(s / w_max, fold=True).
    """

    slope_up: float = 0.5
    slope_down: float = 0.5
    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, NonPositive] = -1.0

    fitting = Fitting(
        {"slope_up": (-0.5, 0.5), "slope_down": (-0.5, 0.5)},
        EDGES,
        hard=True,
        caps={"slope_up": (-1.0, 1.0), "slope_down": (-1.0, 1.0)},
    )

    def validate(self) -> None:
        for name, sign in (("slope_up", -1), ("slope_down", 1)):
            slope = getattr(self, name)
            for bound in (self.tau_max, self.tau_min):
                if 1 + sign * slope * bound < -1e-9:
                    what = f"the step of this direction is {1 + sign * slope * bound:g} at the bound {bound}"
                    raise complaint(f"LinearStep({name}={slope})", what, "It must not be negative")

    def up(self, w: Tensor) -> Tensor:
        return torch.clamp(1 - self.slope_up * w, min=0)

    def down(self, w: Tensor) -> Tensor:
        return torch.clamp(1 + self.slope_down * w, min=0)

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
