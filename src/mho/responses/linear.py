"""Pulses that shrink linearly towards symmetric bounds, larger in one direction than in the other."""

from typing import Annotated

from torch import Tensor

from mho.base.records import Domain, Positive
from mho.responses.base import Response
from mho.responses.fitting import HIGH, Fitting

InsideOne = Domain("between -1 and 1, both excluded", lambda v: -1 < v < 1)


class Linear(Response):
    r"""Step size falls linearly to zero at the bounds; an asymmetry moves the symmetric point.

        q_up(w) = (1 + c)(1 - w/tau)      q_down(w) = (1 - c)(1 + w/tau)
        symmetric point: w_sp = c tau

    Prefer for: theory (F = 1 - c w/tau and G = w/tau - c are linear), symmetric points that spread from cell to
    cell. Not for: bounds at different distances.

    Args:
        c_lin: asymmetry c, half the difference of up and down at w = 0 [relative], in (-1, 1).
        tau: bounds of w [weight units], > 0.
    Source: arXiv 2502.06309, section 1.1, after Corollary 1 ("generic linear").
    """

    c_lin: Annotated[float, InsideOne] = 0.1
    tau: Annotated[float, Positive] = 1.0

    fitting = Fitting({"c_lin": (-0.3, 0.3), "tau": HIGH})

    def up(self, w: Tensor) -> Tensor:
        return (1 + self.c_lin) * (1 - w / self.tau)

    def down(self, w: Tensor) -> Tensor:
        return (1 - self.c_lin) * (1 + w / self.tau)

    def bounds(self) -> tuple[float | Tensor, float | Tensor]:
        return -self.tau, self.tau
