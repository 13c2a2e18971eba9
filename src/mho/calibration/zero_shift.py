"""Zero-shifting: pulses up and down in equal numbers drive every cell to its symmetric point."""

from typing import Literal, NamedTuple

import torch

from mho.arithmetic import full
from mho.cells import ComposedTile
from mho.errors import MhoError, complaint, wrong_type
from mho.rng import Stream, call_key, next_event, split
from mho.tile import Tile


class ZeroShift(NamedTuple):
    """What `zero_shift` found.

    Args:
        estimate: (out, in) the apparent weights after the last pulse, uncorrected [weight units].
        pulses: how many pulses every cell got.
        error: (out, in) estimate less the cells' true symmetric points, which only a simulation knows [weight
            units]; None if a cell has none.
    """

    estimate: torch.Tensor
    pulses: int
    error: torch.Tensor | None


def zero_shift(
    tile: Tile | ComposedTile, n_pulses: int = 4000, schedule: Literal["cyclic", "stochastic"] = "cyclic"
) -> ZeroShift:
    """Sends pulses up and down to all cells of a tile, and takes where that leaves them for their symmetric points.

    The distance to an attracting point with slope shrinks by the factor exp(-dw_min G'(w_sp)), roughly, with each
    pulse. What remains is the cycle itself, in which a cell's point lies within the last pulse, or the randomness
    of the latest pulses. The tile stays where it is: `tile.subtract(result.estimate)` makes that its weight zero.

    Args:
        n_pulses: pulses to each cell, >= 1.
        schedule: "cyclic": up, down, up, ..., all cells at once; "stochastic": for each cell up or down with
            probability 1/2 each time.
    Raises: MhoError for another schedule or number, and for a law that drove a weight to NaN.
    Source: cyclic, Kim et al. 2019, arXiv 1907.10228; stochastic, arXiv 2602.21321, Algorithm 1, eq. (7).
    """
    if not isinstance(tile, (Tile, ComposedTile)):
        raise wrong_type("zero_shift(tile)", "the tile", tile, "an mho.Tile")
    if isinstance(n_pulses, bool) or not isinstance(n_pulses, int) or n_pulses < 1:
        raise complaint(f"zero_shift(n_pulses={n_pulses!r})", "n_pulses must be an integer of at least 1")
    if schedule not in ("cyclic", "stochastic"):
        raise complaint(f"zero_shift(schedule={schedule!r})", 'schedule is "cyclic" or "stochastic"')
    if schedule == "cyclic":
        up = torch.ones_like(tile.w)
        both = up, -up
        for k in range(n_pulses):
            tile.pulse(both[k % 2])
    else:
        for _ in range(n_pulses):
            tile.pulse(_signs(tile))
    estimate = tile.w.clone()
    try:
        error = estimate - symmetric_point(tile)
    except MhoError:
        error = None
    return ZeroShift(estimate, n_pulses, error)


def symmetric_point(tile: Tile | ComposedTile) -> torch.Tensor:
    """The true symmetric points (out, in) of a tile's cells, as apparent weights [weight units].

    Of several the one nearest to the hidden weight 0; that itself if every point is symmetric.
    Raises: MhoError if a cell has none between its bounds, and for a cell of several devices.
    """
    if not isinstance(tile, Tile):
        what = "a cell of several devices has no symmetric point of its own"
        raise complaint("symmetric_point(tile)", what, fix="take that of tile.parts[0]")
    p = tile.parameters_of_cells
    fields = {n: v.cpu() if isinstance(v, torch.Tensor) else v for n, v in p.fields.items()}
    gains = (v.cpu() if isinstance(v, torch.Tensor) else v for v in p.gains)
    return full(tile.device.response.with_fields(**fields).central_sp(*gains), tile.cells) - p.reference


def _signs(tile: Tile | ComposedTile) -> torch.Tensor:
    """(out, in) of +1 and -1, anew for every event of the tile."""
    from mho.kernels.signs import random_signs  # Numba: loaded with the first draw

    signs = torch.empty(tile.shape, dtype=torch.float32)
    event = next_event(tile.counters("events"), Stream.ZERO_SHIFT)
    random_signs(signs.data_ptr(), signs.numel(), *split(call_key(tile.key, Stream.ZERO_SHIFT, event)))
    return signs.to(tile.w.device)
