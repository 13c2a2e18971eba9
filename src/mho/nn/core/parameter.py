"""The gradient of an analog weight as a matrix, for those who ask for it."""

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mho.base.errors import complaint, wrong_type

if TYPE_CHECKING:
    from mho.nn.core.block import Block


class AnalogParameter(nn.Parameter):
    """A weight whose `grad` is computed from the recorded factors when someone asks for it.

    Training does not ask. Who does (clipping, a GradScaler, a logger) gets dL/dW (out, in): minus the sum of d x^T
    over all samples since `zero_grad`, of the weight as the array holds it, before digital scales. Multiplying it
    by one number multiplies d of all these samples by that number, and so the pulses that the step asks for;
    setting it to zero, or to None, forgets them: no step. Any other change is an error at the step: pulses are made
    of x and d, and no x and d have such a sum. After a step it is None, for a step uses up the factors. A copy of
    the weight alone is an ordinary parameter. (With omega and `Mapping(rates="layer")` the step itself divides d by
    the square of the digital scale.)
    """

    block: "weakref.ref[Block] | None"

    @staticmethod
    def of(block: "Block", data: torch.Tensor, requires_grad: bool = True) -> "AnalogParameter":
        """The weight of a block; data (out, in) is shared."""
        weight = AnalogParameter(data, requires_grad)
        weight.block = weakref.ref(block)
        return weight

    def of_block(self) -> "Block":
        """The block whose weight it is. Raises: MhoError if that no longer exists."""
        block = self._of()
        if block is None:
            fix = "keep the model as long as its optimizer, and make the optimizer after copying the model"
            raise complaint("AnalogOptimizer", "an analog weight belongs to no layer any more", fix=fix)
        return block

    @property
    def grad(self) -> torch.Tensor | None:  # type: ignore[override]
        """(out, in) float32, or None."""
        block = self._of()
        return self.added if block is None else block.learning.gradient()

    @grad.setter
    def grad(self, value: torch.Tensor | None) -> None:
        block = self._of()
        if block is None or value is None:
            _GRAD.__set__(self, value)
        if block is None:
            return
        if value is None:
            block.learning.clear()
        elif not isinstance(value, torch.Tensor):
            raise wrong_type("weight.grad = ...", "it", value, "a tensor or None")
        elif value.shape != self.shape:
            what = f"it has shape {tuple(value.shape)}"
            raise complaint("weight.grad = ...", what, f"The weight has shape {tuple(self.shape)}")
        else:
            block.learning.replace(value)

    @property
    def added(self) -> torch.Tensor | None:
        """What autograd itself has added up, for uses of the weight other than its layer's product."""
        return _GRAD.__get__(self)

    def _of(self) -> "Block | None":
        block = getattr(self, "block", None)
        return None if block is None else block()

    def __reduce_ex__(self, protocol):
        """As the plain parameter that it is without its block, which takes it back in (`Block.__setstate__`)."""
        return nn.Parameter(self.data, self.requires_grad).__reduce_ex__(protocol)


_GRAD: Any = torch.Tensor.grad
"""Torch's own attribute, which `AnalogParameter.grad` stands before."""
