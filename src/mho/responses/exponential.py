"""Pulses that shrink exponentially towards the bounds."""

from typing import Annotated

import torch
from torch import Tensor

from mho.base.records import Positive
from mho.responses.base import Response
from mho.responses.fitting import HIGH, Fitting


class Exponential(Response):
    r"""Step size falls exponentially, to zero at the bounds.

        q_up(w)   = (exp(gamma_res (1 - w/tau)) - 1) / (exp(gamma_res) - 1)
        q_down(w) = (exp(gamma_res (1 + w/tau)) - 1) / (exp(gamma_res) - 1)
        symmetric point: w_sp = 0

    Prefer for: steps that are much larger far from the bound. Not for: gamma_res above about 80, where
    float32 overflows.

    Args:
        tau: distance of both bounds from 0 [weight units], > 0.
        gamma_res: how curved the law is, > 0; towards 0 it becomes SoftBounds.
    Source: arXiv 2502.06309, eq. (149), numbered (145) in version 3. aihwkit: none; ExpStepDevice has
        another form.
    """

    tau: Annotated[float, Positive] = 1.0
    gamma_res: Annotated[float, Positive] = 1.0

    fitting = Fitting({"tau": HIGH, "gamma_res": (0.5, 3.0)}, offset=True, caps={"gamma_res": (1e-3, 50.0)})

    def up(self, w: Tensor) -> Tensor:
        return torch.expm1(self.gamma_res * (1 - w / self.tau)) / self._scale()

    def down(self, w: Tensor) -> Tensor:
        return torch.expm1(self.gamma_res * (1 + w / self.tau)) / self._scale()

    def _scale(self) -> Tensor:
        return torch.expm1(self.gamma_res)  # type: ignore[arg-type]  # a tensor when up and down run

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return -self.tau, self.tau
