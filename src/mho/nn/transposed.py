"""The linear layer whose weight is (in, out): the Conv1D of transformers, which GPT-2 is made of."""

from typing import Any, Self

import torch
from torch import nn

from mho.crossbar import Crossbar
from mho.nn.core.layer import ANALOG_OF_NAMED, words_of
from mho.nn.core.matrix import Affine
from mho.nn.core.values import checked_values
from mho.nn.linear import AnalogLinear


class AnalogTransposedLinear(AnalogLinear):
    """`transformers.pytorch_utils.Conv1D` on crossbars: y = x W + b, with a weight (in, out).

    `weight`, `program_` and assignments have the shape (in, out), as there. The arrays are (out, in), as those of
    every layer: `arrays()` and the blocks of `matrix` show them so.

    Args:
        digital: the Conv1D, which gives shape, initial weights and bias.
        hardware: of the layer, see `mho.Crossbar`.
        key: 64-bit name of its randomness; None draws one from torch's generator, see `mho.nn`.
    """

    digital: type[Any]

    def __init__(self, digital: Any, *, hardware: Crossbar, key: int | None = None) -> None:
        self._born(digital, hardware, key)

    def _begin(self, digital: Any, hardware: Crossbar, key: int) -> None:
        Affine.__init__(self, digital.weight.detach().mT, digital.bias, hardware, key)
        self.nx, self.nf = self.in_features, self.out_features = tuple(digital.weight.shape)
        self.digital = type(digital)

    def to_digital(self) -> Any:
        weight, bias = self.weight_and_bias()
        with torch.device("meta"):
            conv = self.digital(self.nf, self.nx)
        assert bias is not None, "a Conv1D has one"
        conv.weight, conv.bias = nn.Parameter(weight.mT.contiguous()), nn.Parameter(bias)
        return conv

    def read_weight(self) -> torch.Tensor:
        """Return (in, out) as a plain tensor, without the column of an analog bias."""
        return self.weight_and_bias()[0].mT.contiguous()

    def program_(self, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> Self:
        """Program the arrays with `weight` (in, out), and write `bias` (out,), if given; see `Affine.program_`."""
        if weight is not None:
            weight = checked_values("program_", "weight", weight, (self.nx, self.nf), "(in, out)").mT
        return super().program_(weight, bias)

    def _shape(self) -> tuple[int, int]:
        return self.nx, self.nf

    def _drawn(self) -> Any:
        return self.digital(self.nf, self.nx)

    def extra_repr(self) -> str:
        return f"nf={self.nf}, nx={self.nx}, {words_of(self.hardware)}"


ANALOG_OF_NAMED["transformers.pytorch_utils.Conv1D"] = AnalogTransposedLinear.from_digital
