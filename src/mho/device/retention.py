"""Records of how cells keep their weights: decay, diffusion and reset, and the drift of what was programmed."""

from typing import Annotated

from mho.base.errors import complaint
from mho.base.records import NonNegative, Positive, Record


class Retention(Record):
    """What happens to a cell's hidden weight when nobody writes to it. With each step of the optimizer

        w <- b + (w - b) (1 - 1/lifetime)      w <- w + diffusion xi      clipped to the cell's bounds

    xi ~ N(0, 1) anew for each cell and step. A lifetime and a diffusion of a cell are nominal |1 + std xi|, its b
    is reset + reset_std xi. A lifetime of more than 1e7 steps moves weights by less than float32 can hold.

    Args:
        lifetime: of the distance from b [steps], 0 for no decay, else >= 1.
        lifetime_std: its spread from cell to cell [relative].
        diffusion: standard deviation of one step [weight units].
        diffusion_std: its spread from cell to cell [relative].
        reset: b, where a reset and the decay lead [weight units, hidden].
        reset_std: spread of b from cell to cell [weight units].
        reset_noise: standard deviation of one reset about b [weight units].
    Source: aihwkit 1.2.0, PulsedDevice: lifetime, diffusion and reset, whose *_dtod are *_std here and whose
    reset_std is reset_noise; the spread of b is added to it, as its code does and its documents do not.
    """

    lifetime: Annotated[float, NonNegative] = 0.0
    lifetime_std: Annotated[float, NonNegative] = 0.0
    diffusion: Annotated[float, NonNegative] = 0.0
    diffusion_std: Annotated[float, NonNegative] = 0.0
    reset: float = 0.0
    reset_std: Annotated[float, NonNegative] = 0.0
    reset_noise: Annotated[float, NonNegative] = 0.01

    def validate(self) -> None:
        if 0 < self.lifetime < 1:
            raise complaint(
                f"Retention(lifetime={self.lifetime})", "lifetime is 0 (no decay), or 1 step or more"
            )


class Drift(Record):
    """The power law of a programmed conductance: w(t) = w(t0) (t/t0)^-nu.

    Args:
        nu: exponent, >= 0.
        nu_std: its spread from cell to cell [relative]: a cell's is nu |1 + nu_std xi|.
        t0: when w was programmed, in the unit of t.
    Source: aihwkit 1.2.0, DriftParameter: nu, nu_dtod, t_0.
    """

    nu: Annotated[float, NonNegative]
    nu_std: Annotated[float, NonNegative] = 0.0
    t0: Annotated[float, Positive] = 1.0
