"""A tile of mean steps in float64: what `Tile(pulses=Expected())` computes, for problems of a few hundred cells,
where the checks and conversions of a tile take ten times as long as the arithmetic.
"""

import torch
from torch import nn

from mho.device.cell import plane
from mho.device.device import Device
from mho.responses.base import DOUBLE


class MeanTile(nn.Module):
    """Cells that follow w + dw F(w) - |dw| G(w), with the verbs of a `Tile` that algorithms use.

    Args:
        w: apparent weights at the start (out, in) [weight units].
        device: what a cell is; its granularity and noise do not matter, nor does its reference.
        key: 64-bit name of the drawn cells, see `Tile`.
        calibrated: the weights are read against the cells' true symmetric points.
    Source: arXiv 2502.06309, eq. (5).
    """

    def __init__(self, w: torch.Tensor, device: Device, key: int = 0, calibrated: bool = False) -> None:
        super().__init__()
        self.shape, self.granularity = (w.shape[0], w.shape[1]), device.dw_min
        cells = device.draw(self.shape, key).to(DOUBLE)
        fields = {
            n: torch.as_tensor(v, dtype=DOUBLE) for n, v in cells.fields.items()
        }  # once, not in each step
        self.cell = cells._replace(law=cells.law.with_fields(**fields))
        self.lower, self.upper = plane(self.cell.lower, self.shape), plane(self.cell.upper, self.shape)
        self.sp = plane(self.cell.central_sp(), self.shape)
        self.reference: torch.Tensor | float = self.sp if calibrated else 0.0
        self.cells = torch.clamp(w.double() + self.reference, self.lower, self.upper)

    @property
    def w(self) -> torch.Tensor:
        """Apparent weights (out, in)."""
        return self.cells - self.reference

    def read(self) -> torch.Tensor:
        """All of them, exactly."""
        return self.w

    def update(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> None:
        """w + lr d x^T on average: x (samples, in), d (samples, out)."""
        dw = lr * (d.double().reshape(-1, self.shape[0]).mT @ x.double().reshape(-1, self.shape[1]))
        w = self.cells
        size = torch.where(dw > 0, self.cell.up(w), self.cell.down(w))
        self.cells = torch.clamp(w + dw * size, self.lower, self.upper)

    def G(self) -> torch.Tensor:
        """The cells' asymmetry at their weights, gains included."""
        return self.cell.G(self.cells)
