"""The analog fully connected layer."""

from typing import Any, Self

import torch
from torch import nn

from mho.base.errors import complaint
from mho.crossbar import Crossbar
from mho.nn.core.assigned import is_own
from mho.nn.core.export import leaf
from mho.nn.core.layer import ANALOG_OF, TIED_OF, AnalogLayer, words_of
from mho.nn.core.matrix import Affine
from mho.nn.core.programmed import Programmed


class AnalogLinear(AnalogLayer, Affine):
    """`torch.nn.Linear` on crossbars: y = x W^T + b, W analog, b digital or analog (`Mapping.bias`).

    Args:
        in_features, out_features, bias: as in torch.nn.Linear; initial weights too.
        hardware: of the layer, see `mho.Crossbar`.
        key: 64-bit name of its randomness; None draws one from torch's generator, see `mho.nn`.
    Raises: MhoError for an input whose last dimension is not in_features.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        hardware: Crossbar,
        key: int | None = None,
    ) -> None:
        self._born(nn.Linear(in_features, out_features, bias), hardware, key)

    @classmethod
    def tied(cls, digital: nn.Linear, other: Affine, key: int) -> Self:
        """Make the layer of a digital one that has the weight of another: on the arrays of the other, not copied.

        key: of the other. Raises: MhoError if one of them has an analog bias, which is a column of the arrays.
        """
        if other.has_column or (digital.bias is not None and other.hardware.mapping.bias == "analog"):
            what, fix = "an analog bias is a column of the arrays of one layer", 'use Mapping(bias="digital")'
            raise complaint("AnalogLinear.tied", what, "The two layers have one weight (tied weights)", fix)
        layer = cls.__new__(cls)
        Affine._share(layer, digital.bias, other)
        layer.key, layer.in_features, layer.out_features = key, digital.in_features, digital.out_features
        return layer

    def _begin(self, digital: nn.Linear, hardware: Crossbar, key: int) -> None:
        Affine.__init__(self, digital.weight, digital.bias, hardware, key)
        self.in_features, self.out_features = digital.in_features, digital.out_features

    def to_digital(self) -> nn.Linear:
        return linear_of(*self.weight_and_bias())

    @property
    def weight(self) -> torch.Tensor:
        """(out, in): the matrix that the layer multiplies with, digital scales included.

        A copy; a write to it programs the arrays, and so does an assignment.
        """
        return Programmed.of(self.read_weight, self.program_, self.matrix.version, self.matrix.weights())

    @weight.setter
    def weight(self, value: torch.Tensor) -> None:
        if not is_own(value, self._shape(), self.matrix.version):
            self.program_(value)

    def _shape(self) -> tuple[int, int]:
        return self.out_features, self.in_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not isinstance(x, torch.Tensor):
            return leaf(self, x)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise complaint(
                "AnalogLinear.forward",
                f"x has shape {tuple(x.shape)}",
                f"Its last dimension must be in_features = {self.in_features}",
            )
        return self.multiply(x)

    def extra_repr(self) -> str:
        bias = "" if self.has_column or self.bias is not None else ", bias=False"
        shape = f"in_features={self.in_features}, out_features={self.out_features}{bias}"
        return f"{shape}, {words_of(self.hardware)}"

    def _matrices(self) -> dict[str, list[Any]]:
        return {"": [self.matrix]}


ANALOG_OF[nn.Linear] = AnalogLinear.from_digital
TIED_OF[nn.Linear] = AnalogLinear.tied


def linear_of(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    """Make the torch layer with this weight (out, in) and bias (out,), whose memory it shares."""
    out, n_in = weight.shape
    linear = nn.Linear(n_in, out, bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach())
    linear.bias = None if bias is None else nn.Parameter(bias.detach())  # type: ignore[assignment]
    return linear
