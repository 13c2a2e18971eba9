"""The pulse report: the counters of every array of a model, one record each."""

from torch import nn

from mho.base.records import Record
from mho.nn.core.block import Block
from mho.tile.tally import Tally


class PulseCount(Record):
    """The counters of one array of one sub-tile.

    Args:
        layer: name of the sub-tile in the model; array: its name in the algorithm, such as "P".
        cells: number of cells.
        up, down: pulses received by all its cells together.
        max_per_cell: most pulses that one cell received; None unless `Crossbar(count_cells=True)`.
        reads: output conversions of addressed lines (transfers, not forward or backward products).
        clipped, lines: bit lines whose probability was clipped at 1, of all that were drawn with p > 0
            (with rounding="stochastic": cells whose pulse number was clipped, of all cells).
        saturated: cells that are at one of their bounds now.
    """

    layer: str
    array: str
    cells: int
    up: int
    down: int
    max_per_cell: int | None
    reads: int
    clipped: int
    lines: int
    saturated: int


def pulse_report(model: nn.Module) -> list[PulseCount]:
    """Return one entry for each array of each sub-tile of the model, in the model's order."""
    entries = []
    for name, block in model.named_modules():
        if not isinstance(block, Block):
            continue
        for array, tile in block.state.tiles().items():
            tally = tile.tally.tolist()
            entries.append(
                PulseCount(
                    layer=name,
                    array=array,
                    cells=tile.cells.numel(),
                    up=tally[Tally.UP],
                    down=tally[Tally.DOWN],
                    max_per_cell=int(tile.counts.sum(0).max()) if tile.counts.numel() else None,
                    reads=tally[Tally.READS],
                    clipped=tally[Tally.CLIPPED],
                    lines=tally[Tally.LINES],
                    saturated=tile.saturated(),
                )
            )
    return entries
