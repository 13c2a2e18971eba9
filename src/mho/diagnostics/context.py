"""The input of a diagnostic rule: one array, its sub-tile, and the step that is about to be asked of it."""

from typing import NamedTuple

from mho.algorithms.state import rate
from mho.base.errors import MhoError
from mho.base.roles import Roles
from mho.device.pulses import Pulses
from mho.diagnostics.advice.advisor import Setup, advise
from mho.diagnostics.arrays import ArrayState
from mho.diagnostics.pending import Asked
from mho.nn.core.block import Block


class Context(NamedTuple):
    """An array, its sub-tile, and the pending step.

    Args:
        block: the sub-tile; array: the measured state of the array.
        asked: the factors that wait for the step, or None.
        lr: learning rate of the optimizer, if it is known.
        steps: updates that the sub-tile has been asked for; trained: any sub-tile of the model has been asked.
    """

    block: Block
    array: ArrayState
    asked: Asked | None
    lr: float | None
    steps: int
    trained: bool

    @property
    def roles(self) -> Roles:
        """The roles that the algorithm declares."""
        return self.block.hardware.algorithm.roles()

    @property
    def part(self) -> str:
        """The name of the array in the algorithm; "W" for the devices "W.0" of composed cells."""
        return self.array.array.partition(".")[0]

    @property
    def is_fast(self) -> bool:
        """True if the gradient goes to this array as trains of pulses."""
        pulsed = isinstance(self.block.hardware.pulses_of("update"), Pulses)
        return pulsed and self.part == self.roles.gradient

    @property
    def holds_weights(self) -> bool:
        """True if the array starts from the initial weights; others start from zero and hold a residual."""
        return self.part == self.roles.weights

    @property
    def rate(self) -> float | None:
        """The factor of d x^T in the pulses of the fast array, if it is known."""
        algorithm = self.block.hardware.algorithm
        fast, scaled = algorithm.setting("fast_lr"), algorithm.setting("scale_fast_lr", False)
        if fast is None:
            return self.lr
        if scaled and self.lr is None:
            return None
        return rate(fast, scaled, self.lr or 0.0)

    @property
    def rate_name(self) -> str:
        """The name of that factor: a field of the algorithm, or the optimizer's "lr"."""
        return self.block.hardware.algorithm.field_of("fast_lr") or "lr"

    def advised(self) -> dict[str, float]:
        """Return {name: value} of `mho.advise` for this sub-tile and these factors; empty for composed cells."""
        seen = self.asked
        setup = Setup() if seen is None or not seen.largest else Setup(seen.x_max, seen.d_max)
        hardware = self.block.hardware
        try:
            found = advise(hardware, self.block.shape, hardware.algorithm, setup)
        except MhoError:
            return {}
        return {advice.name: advice.value for advice in found if advice.value is not None}
