"""A matrix and a bias, digital or analog: what linear layers, convolutions and recurrent ones are made of."""

import torch
from torch import nn
from torch.nn import functional

from mho.base.errors import wrong_type
from mho.crossbar import Crossbar
from mho.nn.core.matrix import AnalogMatrix
from mho.tile.patches import Geometry


class Affine(nn.Module):
    """y = x W^T + b on crossbars; the base of the layers that have one matrix.

    `bias` is the digital parameter (out,). With `Mapping(bias="analog")` it is None, and b is the last column of
    the matrix, whose input is 1.

    Args:
        weight: (out, in) initial weights; bias: (out,) or None.
        hardware: see `mho.Crossbar`; key: 64-bit name of its randomness.
        geometry: of a kernel; then x are images, as in `AnalogMatrix`.
    Raises: MhoError if the hardware is not a Crossbar.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        hardware: Crossbar,
        key: int = 0,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(hardware, Crossbar):
            raise wrong_type(f"{type(self).__name__}(hardware=...)", "hardware", hardware, "an mho.Crossbar")
        self.hardware = hardware
        self.has_column = bias is not None and hardware.mapping.bias == "analog"
        self._pads = self.has_column and geometry is None
        w0 = weight.detach()
        if bias is not None and self.has_column:
            w0 = torch.cat([w0, bias.detach()[:, None]], dim=1)
            geometry = None if geometry is None else geometry._replace(ones=True)
        self.matrix = AnalogMatrix(w0, hardware, key, geometry)
        has_parameter = bias is not None and not self.has_column
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None and has_parameter else None

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> (..., out); or images (samples, channels, ...) -> (places of the kernel, out)."""
        if self._pads:
            x = functional.pad(x, (0, 1), value=1.0)
        return self.matrix(x, self.bias)

    def weight_and_bias(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(out, in) and (out,) or None: what the layer computes with, digital scales included; copies."""
        w = self.matrix.weight
        if self.has_column:
            return w[:, :-1].contiguous(), w[:, -1].clone()
        return w, None if self.bias is None else self.bias.detach().clone()
