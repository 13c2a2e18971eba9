"""Pulses that shrink linearly towards the bounds."""

import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from mho.base.errors import complaint
from mho.base.records import Negative, Positive
from mho.responses.base import Response
from mho.responses.fitting import HIGH, LOW, Fitting


class Fitted(NamedTuple):
    """A law with the arguments of its device: `Device(law, dw_min, up_down=up_down)`."""

    law: "SoftBounds"
    dw_min: float  # [weight units]
    up_down: float  # [relative to dw_min]


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

    fitting = Fitting({"tau_max": HIGH, "tau_min": LOW}, offset=True)

    @classmethod
    def pmax(
        cls, p_max: float = 1000, alpha: float = 0.0005, range_min: float = -1.0, range_max: float = 1.0
    ) -> Fitted:
        """Return the soft bounds of a measured trace: p_max up pulses lead from range_min to range_max.

        Each up pulse takes the part alpha of the way to the upper bound, each down pulse that part of the way to
        range_min.

        Args:
            p_max: up pulses from one end of the trace to the other, > 0.
            alpha: curvature [1/pulse], > 0.
            range_min, range_max: ends of the trace [weight units], range_min < 0 < range_max.
        Returns: the law with bounds range_min and tau_max = range_min + B, B = (range_max - range_min) / (1 -
            exp(-p_max alpha)); dw_min = alpha max(tau_max, -tau_min); and the up_down that makes the step at 0
            alpha tau_max upwards and -alpha tau_min downwards.
        Raises: MhoError if a value is not in its domain.
        Source: aihwkit 1.2.0, SoftBoundsPmaxDevice, for the law. It has dw_min = alpha B and up_down = 1 + 2
            range_min / B, with which its code does not meet the trace.
        """
        if not (p_max > 0 and alpha > 0 and range_min < 0 < range_max):
            values = f"p_max={p_max}, alpha={alpha}, range_min={range_min}, range_max={range_max}"
            raise complaint(
                f"SoftBounds.pmax({values})", "p_max, alpha, -range_min and range_max must be positive"
            )
        width = (range_max - range_min) / -math.expm1(-p_max * alpha)
        high, low = range_min + width, -range_min
        up_down = 1 - low / high if high > low else high / low - 1
        return Fitted(cls(high, -low), alpha * max(high, low), up_down)

    def up(self, w: Tensor) -> Tensor:
        return 1 - w / self.tau_max

    def down(self, w: Tensor) -> Tensor:
        return 1 - w / self.tau_min

    def central_sp(self, gain_up: float | Tensor = 1.0, gain_down: float | Tensor = 1.0) -> float | Tensor:
        """Return (gain_up - gain_down) / (gain_up/tau_max - gain_down/tau_min); 0 for cells that no pulse moves.

        This closed form is exact also for cells whose point is close to a bound, and much quicker than a search.
        """
        point = (gain_up - gain_down) / (gain_up / self.tau_max - gain_down / self.tau_min)
        return torch.where(point.isnan(), 0.0, point) if isinstance(point, Tensor) else point

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
