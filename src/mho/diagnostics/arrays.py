"""The measured state of each array of a model, at any point of its training."""

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import nn

from mho.base.errors import MhoError
from mho.calibration.symmetric_points import symmetric_point
from mho.device.pulses import Exact
from mho.nn.core.block import Block
from mho.numerics.rng import Stream
from mho.tile.arithmetic import full
from mho.tile.array import Array
from mho.tile.composed import ComposedTile
from mho.tile.tally import Tally
from mho.tile.tile import Tile

NEAR = (
    0.02  # distance from a bound within which a cell is at it [of its range]: soft bounds are never reached
)
BINS = 40


class ArrayState(NamedTuple):
    """One array of devices: the weights that it holds, and the pulses that it got.

    Args:
        layer: name of the sub-tile in the model; array: its name in the algorithm, "W.0" for the first devices of
            composed cells; shape: (out, in).
        stuck: cells that no pulse moves [of all]; all further numbers are of the other cells.
        low, high: cells within `NEAR` of their lower and upper bound [of all].
        counts: histogram of the hidden weights, from lower to upper bound of each cell, in `BINS` bins.
        lower, upper: mean bounds of the hidden weight; reference: mean difference of hidden and apparent weight;
            mean, std: of the apparent weight [weight units].
        dw_min: granularity [weight units].
        up, down: pulses that all cells received; updates: calls that asked the array for a change.
        clipped, lines: bit lines at p = 1, and all bit lines that were drawn, see `mho.PulseCount`.
        sp_mean, sp_std: mean and standard deviation of the cells' symmetric points, as apparent weights; distance:
            root mean square of w - w_sp [weight units]; None if the cells have no symmetric point.
        asymmetry: root mean square of G/F at the weights: 0 where up and down pulses are equal, 1 where one of them
            does nothing; asymmetry_at_zero: the same, if all apparent weights were 0.
    """

    layer: str
    array: str
    shape: tuple[int, int]
    stuck: float
    low: float
    high: float
    counts: tuple[int, ...]
    lower: float
    upper: float
    reference: float
    mean: float
    std: float
    dw_min: float
    up: int
    down: int
    updates: int
    clipped: int
    lines: int
    sp_mean: float | None
    sp_std: float | None
    distance: float | None
    asymmetry: float
    asymmetry_at_zero: float

    @property
    def name(self) -> str:
        """The sub-tile and the array."""
        return f"{self.layer}: {self.array}" if self.layer else self.array

    @property
    def cells(self) -> int:
        """The number of cells."""
        return self.shape[0] * self.shape[1]


def arrays_of(model: nn.Module) -> list[tuple[Block, ArrayState]]:
    """Return all arrays of devices of a model, each with its sub-tile; digital ones are left out."""
    return [
        (block, _measure(layer, array, tile))
        for layer, block in model.named_modules()
        if isinstance(block, Block)
        for name, part in block.state.tiles().items()
        for array, tile in _single(name, part)
        if not isinstance(tile.pulses, Exact)
    ]


def _single(name: str, tile: Array) -> Iterator[tuple[str, Tile]]:
    """Yield the tiles of single devices that a tile is made of."""
    if isinstance(tile, Tile):
        yield name, tile
        return
    if isinstance(tile, ComposedTile):
        for part_name, part in tile.named_children():
            yield from _single(f"{name}.{part_name}", cast(Array, part))


@torch.no_grad()
def _measure(layer: str, array: str, tile: Tile) -> ArrayState:
    p, hidden = tile.parameters_of_cells, tile.cells
    lower, upper = full(p.lower, hidden), full(p.upper, hidden)
    width = upper - lower
    moves = (width > 0).expand_as(hidden)
    n = max(int(moves.sum()), 1)
    place = ((hidden - lower) / width.clamp(min=1e-30))[moves]
    w = tile.w[moves]
    tally = tile.tally.tolist()
    sp = _symmetric_points(tile)
    return ArrayState(
        layer=layer,
        array=array,
        shape=tile.shape,
        stuck=1 - int(moves.sum()) / hidden.numel(),
        low=int((place <= NEAR).sum()) / n,
        high=int((place >= 1 - NEAR).sum()) / n,
        counts=tuple(torch.histc(place.float().cpu(), BINS, 0.0, 1.0).int().tolist()),
        lower=float(lower.mean()),
        upper=float(upper.mean()),
        reference=float(full(p.reference, hidden).mean()),
        mean=float(w.mean()) if len(w) else 0.0,
        std=float(w.std(unbiased=False)) if len(w) else 0.0,
        dw_min=tile.granularity,
        up=tally[Tally.UP],
        down=tally[Tally.DOWN],
        updates=int(tile.events[Stream.C2C]),
        clipped=tally[Tally.CLIPPED],
        lines=tally[Tally.LINES],
        sp_mean=None if sp is None else float(sp[moves].mean()),
        sp_std=None if sp is None else float(sp[moves].std(unbiased=False)),
        distance=None if sp is None else float((w - sp[moves]).square().mean().sqrt()),
        asymmetry=_asymmetry(tile, hidden, moves),
        asymmetry_at_zero=_asymmetry(tile, full(p.reference, hidden), moves),
    )


def _symmetric_points(tile: Tile) -> torch.Tensor | None:
    try:
        return symmetric_point(tile)
    except MhoError:
        return None


def _asymmetry(tile: Tile, hidden: torch.Tensor, moves: torch.Tensor) -> float:
    p = tile.parameters_of_cells
    ratio = (p.G(hidden) / p.F(hidden).abs().clamp(min=5e-13)).expand_as(moves)[moves]
    return float(ratio.clamp(-1, 1).square().mean().sqrt()) if len(ratio) else 0.0
