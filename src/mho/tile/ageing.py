"""Cells between two writes: `age`, `reset` and `drift` change the hidden weights of a tile."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

import torch

from mho.base.errors import complaint
from mho.device.device import Cells, Device
from mho.device.retention import Drift, Retention
from mho.numerics.draw import draw_normal
from mho.numerics.rng import Stream, call_key, next_event


class AgeingCells(Protocol):
    """The part of a `Tile` that ageing works on: cells of one device each."""

    key: int
    shape: tuple[int, int]
    device: Device
    cells: torch.Tensor

    @property
    def parameters_of_cells(self) -> Cells: ...

    def counters(self, name: str) -> memoryview: ...

    def refresh(self) -> None: ...


class AgeingArray(Protocol):
    """A tile, or one of composed cells, which consists of several."""

    shape: tuple[int, int]

    def leaves(self) -> Sequence[AgeingCells]: ...


class _Own(NamedTuple):
    """The numbers of a tile's cells: () float64 where all agree, else (out, in) float32."""

    lost: torch.Tensor  # part of the distance from b that some steps take away
    size: torch.Tensor  # standard deviation of their noise together
    bias: torch.Tensor  # b


_kept: WeakKeyDictionary[AgeingCells, tuple[tuple[Retention, int], _Own]] = WeakKeyDictionary()


def age(tile: AgeingArray, steps: int = 1) -> None:
    """Let all cells of a tile decay and diffuse for some steps; cells without a `Retention` keep their weights.

    Several steps at once equal as many single steps up to rounding, clips in between, and the noise drawn. Training
    ages its arrays by itself, once a step. The hidden weights change; the reference stays.
    Raises: MhoError if steps is not an integer of at least 1.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise complaint(f"age(steps={steps!r})", "steps must be an integer of at least 1")
    for array in tile.leaves():
        retention = array.device.retention
        if retention is None or not (retention.lifetime or retention.diffusion):
            continue
        w, own = array.cells, _own(array, retention, steps)
        if retention.lifetime:
            w = w + own.lost * (own.bias - w)
        if retention.diffusion:
            w = w + own.size * _noise(array, "diffusion")
        _write(array, w)


def reset(tile: AgeingArray, column: int | None = None, *, where: torch.Tensor | None = None) -> None:
    """Reset cells to their b + reset_noise xi, clipped to their bounds; to 0 exactly without a `Retention`.

    Args:
        column: of the cells that are reset; None for all columns.
        where: (out, in) bool, true for the cells that are reset; None for all cells.
    Raises: MhoError if there is no such column, or for a matrix of another shape; nothing changes then.
    """
    if column is not None and not 0 <= column < tile.shape[1]:
        raise complaint(f"reset(column={column})", f"the tile has {tile.shape[1]} columns, counted from 0")
    if where is not None and (where.dtype is not torch.bool or tuple(where.shape) != tile.shape):
        what = f"where is {where.dtype} of shape {tuple(where.shape)}"
        raise complaint("reset(where=...)", what, f"It must be bool and of shape (out, in) = {tile.shape}")
    for array in tile.leaves():
        retention = array.device.retention or _IDEAL
        w = torch.zeros_like(array.cells) + _own(array, retention).bias
        if retention.reset_noise:
            w = w + retention.reset_noise * _noise(array, "reset_noise")
        chosen = torch.ones_like(w, dtype=torch.bool) if where is None else where.to(w.device).clone()
        if column is not None:
            chosen[:, :column] = chosen[:, column + 1 :] = False
        _write(array, torch.where(chosen, w, array.cells))


def drift(tile: AgeingArray, t: float, law: Drift) -> None:
    """Let the hidden weights of all cells, given at time t0, drift to time t: w (t/t0)^-nu.

    To go on from t, drift with `law.replace(t0=t)`: both together equal the drift from the first t0.
    Raises: MhoError if t is not positive and finite.
    """
    if not 0 < t < math.inf:
        raise complaint(f"drift(t={t!r})", "t must be positive and finite")
    for array in tile.leaves():
        nu = _spread(law.nu, law.nu_std, array, "drift")
        factor = torch.exp(-nu * math.log(t / law.t0))
        _write(array, array.cells * factor.to(array.cells.device))


_IDEAL = Retention(reset_noise=0.0)


def _own(tile: AgeingCells, retention: Retention, steps: int = 1) -> _Own:
    """Return the cells' own numbers: a pure function of the tile's key, kept as long as the tile lives.

    They are computed on the CPU, whose logarithms differ from those of a GPU.
    """
    what, kept = (retention, steps), _kept.get(tile)
    if kept is not None and kept[0] == what and kept[1].bias.device == tile.cells.device:
        return kept[1]
    with torch.device("cpu"):
        own = _Own(*(v.to(tile.cells.device) for v in _drawn_numbers(tile, retention, steps)))
    _kept[tile] = what, own
    return own


def _drawn_numbers(tile: AgeingCells, retention: Retention, steps: int) -> _Own:
    lifetime = _spread(retention.lifetime, retention.lifetime_std, tile, "lifetime")
    size = _spread(retention.diffusion, retention.diffusion_std, tile, "diffusion")
    lost = torch.zeros_like(lifetime)
    if retention.lifetime:
        log = torch.log1p(-(1 / lifetime).clamp(max=1))
        lost = -torch.expm1(steps * log)
        # Early diffusion has decayed since: a geometric series.
        size = size * (torch.expm1(2 * steps * log) / torch.expm1(2 * log)).sqrt()
    else:
        size = size * math.sqrt(steps)
    bias = torch.tensor(retention.reset, dtype=torch.float64)
    if retention.reset_std:
        bias = retention.reset + retention.reset_std * draw_normal(tile.shape, tile.key, "reset")
    return _Own(lost, size, bias)


def _spread(value: float, std: float, tile: AgeingCells, name: str) -> torch.Tensor:
    if not (value and std):
        return torch.tensor(value, dtype=torch.float64)
    return value * (1 + std * draw_normal(tile.shape, tile.key, name)).abs()


def _noise(tile: AgeingCells, name: str) -> torch.Tensor:
    """Draw (out, in) of N(0, 1), anew each time."""
    event = next_event(tile.counters("events"), Stream.AGE)
    return draw_normal(tile.shape, call_key(tile.key, Stream.AGE, event), name).to(tile.cells.device)


def _write(tile: AgeingCells, w: torch.Tensor) -> None:
    """Write hidden weights, clipped to the bounds."""
    p = tile.parameters_of_cells
    lower, upper = (torch.as_tensor(v, dtype=torch.float32, device=w.device) for v in (p.lower, p.upper))
    tile.cells.copy_(torch.minimum(torch.maximum(w, lower), upper))
    tile.refresh()
