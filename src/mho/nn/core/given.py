"""Weights that are given for one call: a layer under `torch.func.functional_call` multiplies with them."""

from typing import Any, NamedTuple

import torch

from mho.algorithms.base import Factors
from mho.base.errors import complaint, wrong_type
from mho.device.io import IO
from mho.tile.patches import Patches


class Given(NamedTuple):
    """A block whose weight is another tensor for one call, as in `torch.func.functional_call`."""

    block: Any
    w: torch.Tensor
    found: list[Factors]  # of the way back

    @property
    def shape(self) -> tuple[int, int]:
        return self.block.shape

    @property
    def io(self) -> dict[str, IO]:
        return self.block.io

    @property
    def is_settled(self) -> bool:
        """True: nobody writes to a given weight."""
        return True

    def follow(self) -> None:
        """Do nothing: the weight is given."""

    @property
    def scale(self) -> torch.Tensor:
        return self.block.scale

    @property
    def is_scaled(self) -> bool:
        return self.block.is_scaled

    @property
    def trained(self) -> tuple[Any, Any]:
        return self.w, self.block.trained[1]

    def product(self, x: torch.Tensor, direction: str, event: int, sign: float = 1.0) -> torch.Tensor:
        """Multiply as the block does, but with the given weight."""
        return self.block.product_of(self.w, x, direction, event, sign)

    def record(self, x: torch.Tensor | Patches, d: torch.Tensor, event: int = 0) -> None:
        """Keep the factors for `gradient`: no block learns them."""
        self.found.append(Factors(x, d))

    def gradient(self) -> torch.Tensor | None:
        """Return the gradient of the given weight, of the way back that has just ended."""
        factors = [self.found.pop() for _ in range(len(self.found))]
        return sum((f.outer() for f in factors[1:]), factors[0].outer()).neg_() if factors else None


def given_of(block: Any, w: Any) -> Given:
    """Return the block with a weight (out, in) for one call.

    Raises: MhoError for another shape or device, and for numbers that are not real floating point.
    """
    if not isinstance(w, torch.Tensor):
        raise wrong_type("functional_call", "a weight of an analog layer", w, "a tensor")
    if tuple(w.shape) != tuple(block.shape) or not w.is_floating_point() or w.device != block.w.device:
        what = f"a weight of an analog layer is given as {tuple(w.shape)} {w.dtype} on {w.device}"
        need = f"It must be {tuple(block.shape)}, of floating point, on {block.w.device}"
        raise complaint("functional_call", what, need)
    return Given(block, w.detach(), [])
