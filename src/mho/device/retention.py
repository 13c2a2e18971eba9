"""Records of how cells keep their weights: decay, diffusion and reset, and the drift of what was programmed."""

from typing import Annotated, ClassVar

from mho.base.errors import complaint
from mho.base.records import NonNegative, Positive, Record


class Retention(Record):
    """The change of a cell's hidden weight between two writes. With each step of the optimizer

        w <- b + (w - b) (1 - 1/lifetime)      w <- w + diffusion xi      clipped to the cell's bounds

    xi ~ N(0, 1) anew for each cell and step. Each cell draws its lifetime and its diffusion as nominal |1 + std
    xi|, and its b as reset + reset_std xi. With a lifetime of more than 1e7 steps, weights move by less than
    float32 can hold.

    Args:
        lifetime: time constant of the distance from b [steps], 0 for no decay, else >= 1.
        lifetime_std: spread of the lifetime from cell to cell [relative].
        diffusion: standard deviation of one step [weight units].
        diffusion_std: spread of the diffusion from cell to cell [relative].
        reset: b, the aim of a reset and of the decay [weight units, hidden].
        reset_std: spread of b from cell to cell [weight units].
        reset_noise: standard deviation of one reset about b [weight units].
    Source: aihwkit 1.2.0, PulsedDevice: lifetime, diffusion and reset, whose *_dtod are *_std here and whose
    reset_std is reset_noise. The spread of b is added to b, as the code of aihwkit does and its documents do not.
    """

    synonyms: ClassVar = {
        "lifetime_dtod": "lifetime_std",
        "diffusion_dtod": "diffusion_std",
        "reset_dtod": "reset_std; the field reset_std of aihwkit is reset_noise here",
    }

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
        nu_std: spread of nu from cell to cell [relative]: each cell draws nu |1 + nu_std xi|.
        t0: time at which w was programmed, in the unit of t.
    Source: aihwkit 1.2.0, DriftParameter: nu, nu_dtod, t_0.
    """

    synonyms: ClassVar = {"nu_dtod": "nu_std", "t_0": "t0"}

    nu: Annotated[float, NonNegative]
    nu_std: Annotated[float, NonNegative] = 0.0
    t0: Annotated[float, Positive] = 1.0
