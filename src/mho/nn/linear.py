"""The analog fully connected layer."""

import torch
from torch import nn

from mho.crossbar import Crossbar
from mho.errors import complaint, wrong_type
from mho.nn.matrix import AnalogMatrix


class AnalogLinear(nn.Module):
    """`torch.nn.Linear` on crossbars: y = x W^T + b, W analog, b digital.

    Args:
        in_features, out_features, bias: as in torch.nn.Linear; initial weights too.
        hardware: what the layer is made of.
        key: 64-bit name of its randomness; `mho.convert_` gives each layer its own.
    Raises: MhoError for an input whose last dimension is not in_features.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, hardware: Crossbar, key: int = 0
    ) -> None:
        super().__init__()
        self._build(nn.Linear(in_features, out_features, bias), hardware, key)

    @classmethod
    def from_digital(cls, linear: nn.Linear, hardware: Crossbar, key: int = 0) -> "AnalogLinear":
        """The analog layer with the weights and bias of a digital one."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer._build(linear, hardware, key)
        return layer

    def _build(self, linear: nn.Linear, hardware: Crossbar, key: int) -> None:
        if not isinstance(hardware, Crossbar):
            raise wrong_type("AnalogLinear(hardware=...)", "hardware", hardware, "an mho.Crossbar")
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.hardware = hardware
        self.matrix = AnalogMatrix(linear.weight, hardware, key)
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone())

    @property
    def weight(self) -> torch.Tensor:
        """(out, in): what the layer multiplies with, digital scales included; a copy."""
        return self.matrix.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] != self.in_features:
            raise complaint(
                "AnalogLinear.forward",
                f"x has shape {tuple(x.shape)}",
                f"Its last dimension must be in_features = {self.in_features}",
            )
        return self.matrix(x, self.bias)

    def extra_repr(self) -> str:
        algorithm = type(self.hardware.algorithm).__name__
        return f"in_features={self.in_features}, out_features={self.out_features}, algorithm={algorithm}"
