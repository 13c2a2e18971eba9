"""Updates in arithmetic instead of pulses (`Expected`, `Exact`), and what a tile computes about its cells."""

import torch

from mho.device.cell import Cells
from mho.device.pulses import Exact, Expected


def add(
    cells: torch.Tensor,
    x: torch.Tensor,
    d: torch.Tensor,
    lr: float,
    scheme: Expected | Exact,
    p: Cells,
) -> None:
    """cells (out, in) += lr d x^T, exactly or with the change that pulses make on average."""
    if isinstance(scheme, Exact):
        cells.add_(d.mT @ x, alpha=lr)  # not addmm_: these are the bits of torch.optim.SGD
    elif scheme.per_sample:
        for one_x, one_d in zip(x, d, strict=True):
            _expect(cells, lr * torch.outer(one_d, one_x), p)
    else:
        _expect(cells, lr * (d.mT @ x), p)


def send(
    cells: torch.Tensor, n: torch.Tensor, row: int, column: int, dw_min: float, scheme: Expected | Exact, p: Cells
) -> None:  # fmt: skip
    """Change the rectangle of cells, as large as n, that begins at (row, column) as |n| pulses would on average."""
    here = slice(row, row + n.shape[0]), slice(column, column + n.shape[1])
    if isinstance(scheme, Exact):
        cells[here].add_(n, alpha=dw_min)
        return
    _expect(cells[here], dw_min * n, p.part(here))


def _expect(cells: torch.Tensor, dw: torch.Tensor, p: Cells) -> None:
    if p.gain_up is p.gain_down:  # one gain for both, multiplied last
        change = p.gain * (dw * p.law.F(cells) - dw.abs() * p.law.G(cells))
    else:
        change = dw * torch.where(dw > 0, p.up(cells), p.down(cells))
    cells.copy_(clip(cells + change, p))


def clip(w: torch.Tensor, p: Cells) -> torch.Tensor:
    """w between the bounds of the cells."""
    return torch.minimum(torch.maximum(w, full(p.lower, w)), full(p.upper, w))


def full(value: "float | torch.Tensor", like: torch.Tensor) -> torch.Tensor:
    """A parameter of the cells as a plane."""
    return torch.as_tensor(value, dtype=torch.float32, device=like.device).expand(like.shape)
