"""The products of a layer by compiled calls over all its blocks and terms, see `mho.kernels.cpu.calls`."""

from collections.abc import Sequence
from typing import Any

import torch

from mho.nn.core.table import CallTable, Scales, kernels, table_of
from mho.numerics.rng import Stream
from mho.tile.events import EVALUATION, NEXT_CALL
from mho.tile.patches import Geometry, Piece

_FLOAT = torch.float32
_FORWARD, _EVALUATE, _BACKWARD = map(int, (Stream.FORWARD, Stream.EVALUATE, Stream.BACKWARD))


def parts(joined: torch.Tensor, samples: int, widths: Sequence[int]) -> list[torch.Tensor]:
    """Return the matrices (samples, width) that lie one behind the other, each begun at 64 bytes; views."""
    found, offset = [], 0
    for n in widths:
        found.append(joined.as_strided((samples, n), (n, 1), offset))
        offset += (samples * n + 15) // 16 * 16
    return found


def forward(
    table: CallTable,
    x: torch.Tensor,
    bias: torch.Tensor | None,
    geometry: Geometry | None,
    pieces: list[Piece],
    event: int,
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return (samples, out) and the unscaled outputs of all blocks, joined.

    None where it takes the way block by block to say what is wrong: x is not finite, or of another width.
    """
    counts = [len(x)] if geometry is None else [geometry.places(piece, x.shape) for piece in pieces]
    total, first = sum(counts), 0
    out = torch.empty(total, table.n_out, dtype=_FLOAT)
    unscaled = torch.empty(table.size(total), dtype=_FLOAT)
    offsets = 0 if bias is None else bias.data_ptr()
    to, target = out.data_ptr(), unscaled.data_ptr()
    for n, samples in enumerate(counts):
        lines = x if geometry is None else geometry.rows(x, pieces[n])
        if lines.shape[1] != table.n_in:
            return None
        room, number = table.room(samples), event + n * NEXT_CALL
        name = (_EVALUATE, number ^ EVALUATION) if number & EVALUATION else (_FORWARD, number)
        source = room.address, lines.data_ptr(), table.n_in, offsets
        into = to + 4 * first * table.n_out, table.n_out, target, total, first, samples
        if not kernels().forward(table.address, table.rows, *source, *into, *name):
            return None
        first += samples
    return out, unscaled


def backward(
    g: torch.Tensor,
    x: torch.Tensor,
    layout: Any,
    scales: Scales,
    needed: Any,
    unscaled: torch.Tensor,
    event: int,
) -> tuple[list[torch.Tensor], list[torch.Tensor | None], torch.Tensor | None] | None:
    """Return the error of each block, g times its unscaled output where its scale is trained, and dL/dx if needed.

    None where it takes the way block by block: an error is not finite, or the layer has changed.
    """
    table, samples, geometry = table_of(g, layout, scales, None), len(g), layout.geometry
    if table is None:
        return None
    d = torch.empty(table.size(samples), dtype=_FLOAT)
    gy = torch.empty_like(d) if True in needed.scales else None
    more = (0, 0) if gy is None else (unscaled.data_ptr(), gy.data_ptr())
    kernels().errors(table.address, table.rows, g.data_ptr(), table.n_out, samples, d.data_ptr(), *more)
    of_x = None
    if needed.x:
        pieces = [] if geometry is None else geometry.pieces(x.shape)
        counts = [samples] if geometry is None else [geometry.places(piece, x.shape) for piece in pieces]
        found, first = [], 0
        for n, count in enumerate(counts):
            part = torch.empty(count, table.n_in, dtype=_FLOAT)
            room, number = table.room(count), event + n * NEXT_CALL
            source = room.address, d.data_ptr(), samples, first, count
            into = part.data_ptr(), table.n_in, _BACKWARD, number
            if not kernels().backward(table.address, table.rows, *source, *into):
                return None
            found.append(part)
            first += count
        of_x = found[0] if geometry is None else geometry.fold(x.shape, zip(pieces, found, strict=True))
    of_outputs: list[torch.Tensor | None] = [None] * len(table.heights)
    if gy is not None:
        trained = zip(parts(gy, samples, table.heights), needed.scales, strict=True)
        of_outputs = [part if wanted else None for part, wanted in trained]
    return parts(d, samples, table.heights), of_outputs, of_x
