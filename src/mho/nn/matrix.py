"""A weight matrix of any size, on sub-tiles of at most `max_in` x `max_out` cells."""

import torch
from torch import nn

from mho.crossbar import Crossbar
from mho.nn.block import Block
from mho.rng import child_key


class AnalogMatrix(nn.Module):
    """y = x W^T for W (out, in), cut into blocks that work side by side; the heart of every analog layer.

    Each block has its own arrays, converters and digital output scales: y = sum over blocks of
    scale * learned * block(x). Cuts are as even as possible.

    Args:
        w0: (out, in) initial weights; hardware: see `mho.Crossbar`; key: 64-bit name of its randomness.
    """

    def __init__(self, w0: torch.Tensor, hardware: Crossbar, key: int = 0) -> None:
        super().__init__()
        mapping = hardware.mapping
        self.shape = (w0.shape[0], w0.shape[1])
        self.row_cuts = _cuts(w0.shape[0], mapping.max_out)
        self.column_cuts = _cuts(w0.shape[1], mapping.max_in)
        self.blocks = nn.ModuleList()
        self.learned_scales = nn.ParameterList()
        n = 0
        for top, bottom in self.row_cuts:
            for left, right in self.column_cuts:
                part, scale = _scaled(w0[top:bottom, left:right].detach().to(torch.float32), hardware)
                self.blocks.append(Block(part, hardware, child_key(key, n)))
                self.register_buffer(f"scale_{n}", scale)
                if mapping.out_scale != "none":
                    size = bottom - top if mapping.out_scale == "columnwise" else 1
                    self.learned_scales.append(nn.Parameter(torch.ones(size)))
                n += 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> y (..., out)."""
        rows, n = [], 0
        for _ in self.row_cuts:
            total = None
            for left, right in self.column_cuts:
                part = self.blocks[n](x if len(self.column_cuts) == 1 else x[..., left:right])
                scale = getattr(self, f"scale_{n}")
                if scale.numel():
                    part = part * scale
                if len(self.learned_scales):
                    part = part * self.learned_scales[n]
                total = part if total is None else total + part
                n += 1
            rows.append(total)
        return rows[0] if len(rows) == 1 else torch.cat(rows, dim=-1)

    @property
    def weight(self) -> torch.Tensor:
        """(out, in): the matrix that the network sees, digital scales included; a copy."""
        rows, n = [], 0
        for _ in self.row_cuts:
            parts = []
            for _ in self.column_cuts:
                part = self.blocks[n].weight.detach()
                scale = getattr(self, f"scale_{n}")
                if scale.numel():
                    part = part * scale.reshape(-1, 1)
                if len(self.learned_scales):
                    part = part * self.learned_scales[n].detach().reshape(-1, 1)
                parts.append(part)
                n += 1
            rows.append(torch.cat(parts, dim=1))
        return torch.cat(rows, dim=0)


def _cuts(n: int, most: int) -> list[tuple[int, int]]:
    parts = -(-n // most)
    edges = [n * i // parts for i in range(parts + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _scaled(w: torch.Tensor, hardware: Crossbar) -> tuple[torch.Tensor, torch.Tensor]:
    """Initial weights with largest |w| = omega, and the digital scale (out,), (1,) or empty that undoes it."""
    omega = hardware.mapping.omega
    if omega == 0:
        return w, torch.empty(0)
    largest = w.abs().amax(dim=1) if hardware.mapping.columnwise else w.abs().max().reshape(1)
    scale = torch.where(largest > 0, largest / omega, torch.ones_like(largest))
    return w / scale.reshape(-1, 1), scale
