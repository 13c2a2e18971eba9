"""Pulses that shrink linearly towards the bounds."""

from typing import Annotated

from torch import Tensor

from mho.records import Negative, Positive
from mho.responses.base import Response


class SoftBounds(Response):
    r"""Step size falls linearly to zero at the bounds.

        q_up(w) = 1 - w/tau_max      q_down(w) = 1 - w/tau_min
        symmetric point: w_sp = 0

    Prefer for: ReRAM-like saturation. Not for: PCM (one-sided).

    Args:
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], < 0.
    Source: arXiv 2502.06309, section 1.1 (no number), there with tau_max = -tau_min = tau. aihwkit:
        SoftBoundsDevice, whose cycle-to-cycle noise is multiplicative unless told otherwise.
    """

    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, Negative] = -1.0

    def up(self, w: Tensor) -> Tensor:
        return 1 - w / self.tau_max

    def down(self, w: Tensor) -> Tensor:
        return 1 - w / self.tau_min

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
