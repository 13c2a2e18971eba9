"""Pulses that shrink linearly towards the bounds, with a strength of their own in each direction."""

from typing import Annotated

from torch import Tensor

from mho.base.records import Negative, Positive
from mho.responses.base import Response
from mho.responses.fitting import HIGH, LOW, Fitting


class SkewedSoftBounds(Response):
    r"""Step size falls linearly to zero at bounds of any distance; unequal strengths move the symmetric point.

        q_up(w) = alpha_up (1 - w/tau_max)      q_down(w) = alpha_down (1 - w/tau_min)
        symmetric point: w_sp = (alpha_up - alpha_down) / (alpha_up/tau_max - alpha_down/tau_min)

    Prefer for: ReRAM whose symmetric point lies off zero and differs from cell to cell. Not for: cells whose
    strengths share a gain (SoftBounds with Device(up_down=..., up_down_std=...) draws them so).

    Args:
        alpha_up, alpha_down: size of a pulse at w = 0 [dw_min], > 0.
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], < 0.
    Source: arXiv 2602.21321, eq. (103). Its symmetric point, eq. (104), has a slip in the sign of tau_min: it holds
        for tau_min < 0, as here, while (103) there is written for tau_min > 0. aihwkit: SoftBoundsReferenceDevice.
    """

    alpha_up: Annotated[float, Positive] = 1.0
    alpha_down: Annotated[float, Positive] = 0.6
    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, Negative] = -1.0

    # The curves of SoftBounds with an offset.
    fitting = Fitting(
        {"alpha_down": (0.5, 1.5), "tau_max": HIGH, "tau_min": LOW}, {"alpha_up": 1.0}, twin=True
    )

    def up(self, w: Tensor) -> Tensor:
        return self.alpha_up * (1 - w / self.tau_max)

    def down(self, w: Tensor) -> Tensor:
        return self.alpha_down * (1 - w / self.tau_min)

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
