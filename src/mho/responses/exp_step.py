"""Pulses whose size falls off exponentially near one end of the range."""

from typing import Annotated

import torch
from torch import Tensor

from mho.base.records import NonNegative, NonPositive, Positive
from mho.responses.base import Response
from mho.responses.fitting import EDGES, Fitting


class ExpStep(Response):
    r"""Step size is one less an exponential of the state, so pulses weaken towards one end; hard bounds.

        q_up(w)   = max(0, 1 - A_up exp(gamma_up z))        z = 2 a w / (tau_max - tau_min) + b
        q_down(w) = max(0, 1 - A_down exp(-gamma_down z))
        with c2c="law" a step of mean q is q + (noise q + noise_add + noise_slope |w|) xi
        symmetric point: z_sp = log(A_down/A_up) / (gamma_up + gamma_down), with the defaults w_sp near 0

    Prefer for: ReRAM fitted by this form, curves that are flat in the middle. Not for: a law whose pulses must
    vanish at the bounds: with the defaults they are still 0.65 there, and w stops dead.

    Args:
        tau_max: upper bound of w [weight units], > 0.
        tau_min: lower bound of w [weight units], <= 0; 0 for cells that are only raised, as PCM.
        A_up, A_down: strength of the exponential; negative makes pulses grow instead [relative].
        gamma_up, gamma_down: steepness of the exponential in z; negative turns it round [relative].
        a, b: slope and offset of the state z [relative].
        noise, noise_add, noise_slope: standard deviation of a step, for c2c="law" only: relative to the step,
            constant, and growing with |w| [relative; dw_min; dw_min per weight unit], >= 0. In aihwkit's terms s,
            s dw_min_std_add / dw_min and s dw_min_std_slope / dw_min, with s = dw_min_std, where all gains are 1.
    Source: aihwkit 1.2.0, ExpStepDevice, with its defaults. It converts lr to pulses with the size of a down pulse
        at w = 0, this library with dw_min.
    """

    tau_max: Annotated[float, Positive] = 1.0
    tau_min: Annotated[float, NonPositive] = -1.0
    A_up: float = 0.00081
    A_down: float = 0.36833
    gamma_up: float = 12.44625
    gamma_down: float = 12.78785
    a: float = 0.244
    b: float = 0.2425
    noise: Annotated[float, NonNegative] = 0.0
    noise_add: Annotated[float, NonNegative] = 0.0
    noise_slope: Annotated[float, NonNegative] = 0.0

    # b shifts w and a scales gamma: with z = w they add nothing to A and gamma.
    fitting = Fitting(
        {"A_up": (0.1, 0.6), "A_down": (0.1, 0.6), "gamma_up": (0.7, 3.0), "gamma_down": (0.7, 3.0)},
        EDGES | {"a": 1.0, "b": 0.0},
        hard=True,
        caps={"gamma_up": (0.05, 30.0), "gamma_down": (0.05, 30.0), "A_up": (-20, 20), "A_down": (-20, 20)},
    )

    def up(self, w: Tensor) -> Tensor:
        return torch.clamp(1 - self.A_up * torch.exp(self.gamma_up * self._state(w)), min=0)

    def down(self, w: Tensor) -> Tensor:
        return torch.clamp(1 - self.A_down * torch.exp(-self.gamma_down * self._state(w)), min=0)

    def noisy_up(self, w: Tensor, z: Tensor) -> Tensor:
        return self._scattered(self.up(w), w, z)

    def noisy_down(self, w: Tensor, z: Tensor) -> Tensor:
        return self._scattered(self.down(w), w, z)

    def _scattered(self, q: Tensor, w: Tensor, z: Tensor) -> Tensor:
        return q + (self.noise * q + self.noise_add + self.noise_slope * torch.abs(w)) * z

    def _state(self, w: Tensor) -> Tensor:
        return 2 * self.a / (self.tau_max - self.tau_min) * w + self.b

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return self.tau_min, self.tau_max
