"""What the rules about one array are given."""

from typing import NamedTuple

from mho.algorithms.base import rate
from mho.base.errors import MhoError
from mho.device.pulses import Pulses
from mho.diagnostics.advice import Setup, advise
from mho.diagnostics.arrays import ArrayState
from mho.diagnostics.pending import Asked
from mho.nn.core.block import Block


class Context(NamedTuple):
    """An array, its sub-tile, and what is about to be asked of it.

    Args:
        block: the sub-tile; array: what was measured.
        asked: the factors that wait for the step, if there are any.
        lr: learning rate of the optimizer, if it is known.
        steps: how often the sub-tile has been asked for a change; trained: whether any of the model has.
    """

    block: Block
    array: ArrayState
    asked: Asked | None
    lr: float | None
    steps: int
    trained: bool

    @property
    def is_fast(self) -> bool:
        """Whether the gradient's pulses go to this array."""
        return self.array.array.partition(".")[0] == fast_array(self.block)

    @property
    def is_first(self) -> bool:
        """Whether the array holds the initial weights."""
        return self.array.array.partition(".")[0] == next(iter(self.block.state.tiles()))

    @property
    def holds_residual(self) -> bool:
        """Whether the array starts from 0, and others hold the weights."""
        return not self.is_first

    @property
    def rate(self) -> float | None:
        """What d x^T is multiplied with before it is pulsed onto the fast array, if known."""
        algorithm = self.block.hardware.algorithm
        fast, scaled = getattr(algorithm, "fast_lr", None), getattr(algorithm, "scale_fast_lr", False)
        if fast is None:
            return self.lr
        if scaled and self.lr is None:
            return None
        return rate(fast, scaled, self.lr or 0.0)

    @property
    def rate_name(self) -> str:
        """What a user calls that number."""
        return "fast_lr" if hasattr(self.block.hardware.algorithm, "fast_lr") else "lr"

    def advised(self) -> dict[str, float]:
        """{name: value} of `mho.advise` for this sub-tile and these factors; empty for composed cells."""
        seen = self.asked
        setup = Setup() if seen is None or not seen.largest else Setup(seen.x_max, seen.d_max)
        hardware = self.block.hardware
        try:
            found = advise(hardware, self.block.shape, hardware.algorithm, setup)
        except MhoError:
            return {}
        return {advice.name: advice.value for advice in found if advice.value is not None}


def fast_array(block: Block) -> str | None:
    """Name of the array that the gradient's pulses go to; None if it does not reach any as trains of pulses."""
    algorithm, names = block.hardware.algorithm, list(block.state.tiles())
    if not isinstance(block.hardware.pulses_of("update"), Pulses) or hasattr(algorithm, "granularity"):
        return None
    if "P" in names:
        return "P"
    return names[-1] if hasattr(algorithm, "tiles") else names[0] if names else None
