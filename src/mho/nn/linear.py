"""The analog fully connected layer."""

import torch
from torch import nn

from mho.base.errors import complaint
from mho.crossbar import Crossbar
from mho.nn.core.affine import Affine


class AnalogLinear(Affine):
    """`torch.nn.Linear` on crossbars: y = x W^T + b, W analog, b digital or analog (`Mapping.bias`).

    Args:
        in_features, out_features, bias: as in torch.nn.Linear; initial weights too.
        hardware: what the layer is made of.
        key: 64-bit name of its randomness; `mho.convert_` gives each layer its own.
    Raises: MhoError for an input whose last dimension is not in_features.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, hardware: Crossbar, key: int = 0
    ) -> None:
        self._begin(nn.Linear(in_features, out_features, bias), hardware, key)

    @classmethod
    def from_digital(cls, linear: nn.Linear, hardware: Crossbar, key: int = 0) -> "AnalogLinear":
        """The analog layer with the weights and bias of a digital one."""
        layer = cls.__new__(cls)
        layer._begin(linear, hardware, key)
        return layer

    def _begin(self, linear: nn.Linear, hardware: Crossbar, key: int) -> None:
        super().__init__(linear.weight, linear.bias, hardware, key)
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def to_digital(self) -> nn.Linear:
        """The torch layer with the weights and bias that this one computes with."""
        return linear_of(*self.weight_and_bias())

    @property
    def weight(self) -> torch.Tensor:
        """(out, in): what the layer multiplies with, digital scales included; a copy."""
        return self.weight_and_bias()[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] != self.in_features:
            raise complaint(
                "AnalogLinear.forward",
                f"x has shape {tuple(x.shape)}",
                f"Its last dimension must be in_features = {self.in_features}",
            )
        return self.multiply(x)

    def extra_repr(self) -> str:
        algorithm = type(self.hardware.algorithm).__name__
        return f"in_features={self.in_features}, out_features={self.out_features}, algorithm={algorithm}"


def linear_of(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    """The torch layer with this weight (out, in) and bias (out,), whose memory it shares."""
    out, n_in = weight.shape
    linear = nn.Linear(n_in, out, bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach())
    linear.bias = None if bias is None else nn.Parameter(bias.detach())  # type: ignore[assignment]
    return linear
