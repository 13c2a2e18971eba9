"""Pairs of devices that can only be pulsed upwards."""

from typing import Annotated, Any, ClassVar

import torch

from mho.base.errors import complaint, wrong_type
from mho.base.records import NonNegative, Probability
from mho.device.composed import ComposedCell, Part
from mho.device.device import Device
from mho.device.pulses import Expected, Pulses, PulseScheme
from mho.numerics.rng import Stream, child_key, next_event
from mho.responses.constant import Constant
from mho.tile.ageing import reset
from mho.tile.composed import ComposedTile
from mho.tile.tally import Tally, UpdateInfo, total
from mho.tile.tile import Tile


class OneSided(ComposedCell):
    """w = g+ - g-: a change that raises the weight sends up pulses to g+, one that lowers it to g-.

    Both devices see the same bit lines. Neither ever gets a down pulse, so both fill up; a refresh makes room: a
    pair with the larger above `upper` and the smaller above `lower` is read, both are reset, and the difference
    is written to one of them by as many pulses as the nominal device needs for it, without looking (open loop).

    Args:
        device: of both; its down pulses are never used.
        refresh_every: updates between two refreshes of all pairs; 0 for none.
        upper, lower: thresholds of the larger and the smaller one of a pair [relative to the nominal bound].
    Source: aihwkit 1.2.0, OneSidedUnitCell.
    """

    synonyms: ClassVar = {
        "refresh_upper_thres": "upper",
        "refresh_lower_thres": "lower",
        "unit_cell_devices": "device",
    }

    device: Device = Device()
    refresh_every: Annotated[int, NonNegative] = 0
    upper: Annotated[float, Probability] = 0.75
    lower: Annotated[float, Probability] = 0.25

    def validate(self) -> None:
        if not isinstance(self.device, Device):
            raise wrong_type("OneSided(device=...)", "the device", self.device, "an mho.Device")
        if self.lower > self.upper:
            raise complaint(
                f"OneSided(upper={self.upper}, lower={self.lower})", "lower must not exceed upper"
            )

    def parts(self) -> tuple[Part, ...]:
        return Part("plus", 1.0, self.device), Part("minus", -1.0, self.device)

    def tile(
        self, w: torch.Tensor, io: Any, pulses: PulseScheme, key: int, count_cells: bool
    ) -> "OneSidedTile":
        return OneSidedTile(w, self, io, pulses, key, count_cells)


class OneSidedTile(ComposedTile):
    """A tile of `OneSided` cells; `plus` and `minus` are tiles of their own, w = plus.w - minus.w.

    An update's bit lines are drawn once and their coincidences are counted; as the pulses of a cell all have one
    direction, their number is all that matters, and g+ and g- get it by `Tile.pulse`.
    """

    plus: Tile
    minus: Tile
    t: torch.Tensor

    def __init__(
        self, w: torch.Tensor, cell: OneSided, io: Any, pulses: PulseScheme, key: int, count_cells: bool
    ) -> None:
        # One sample at a time is this tile's affair, and each device gets one matrix.
        own = Expected() if isinstance(pulses, Expected) else pulses
        parts = {
            name: Tile(part, cell.device, io, own, child_key(key, name), count_cells=count_cells)
            for name, part in (("plus", w.clamp(min=0)), ("minus", (-w).clamp(min=0)))
        }
        self._counting: list[Tile] = []
        super().__init__(parts, (1.0, -1.0), io, pulses, key)
        self.cell, self._bound = cell, float(cell.device.response.bounds()[1])
        self.register_buffer("t", torch.zeros((), dtype=torch.int64, device="cpu"))

    @property
    def granularity(self) -> float:
        """dw_min of the device [weight units]."""
        return self.plus.granularity

    def refresh_pairs(self) -> int:
        """Refresh the pairs that are full now, see `OneSided`; return their number."""
        plus, minus = self.plus.read(), self.minus.read()
        larger, smaller = torch.maximum(plus, minus), torch.minimum(plus, minus)
        bound = self._bound
        full = (larger > self.cell.upper * bound) & (smaller > self.cell.lower * bound)
        if not full.any():
            return 0
        for part in (self.plus, self.minus):
            reset(part, where=full)
        n, missing = torch.zeros_like(plus), (plus - minus)[full]
        n[full] = missing.sign() * self._needed(missing.abs())
        self._raise(n, {})
        self.refresh()
        return int(full.sum())

    # -- inside

    def _update(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> UpdateInfo:
        if isinstance(self.pulses, Pulses):
            info = self._count(x, d, lr)
        else:
            by_sample = isinstance(self.pulses, Expected) and self.pulses.per_sample
            for one_x, one_d in zip(x.split(1), d.split(1), strict=True) if by_sample else [(x, d)]:
                dw = lr * (one_d.mT @ one_x)
                for part, share in ((self.plus, dw), (self.minus, -dw)):
                    part.update(torch.eye(len(dw.mT), device=dw.device), share.clamp(min=0).mT, 1.0)
            info = UpdateInfo(0, 0, 0, 0)
        self._refresh_if_due()
        return info

    def _pulse(self, n: torch.Tensor, at: dict[str, int]) -> UpdateInfo:
        info = self._raise(n, at)
        self._refresh_if_due()
        return info

    def _program(self, w: torch.Tensor) -> None:
        self.plus.program(w.clamp(min=0))
        self.minus.program((-w).clamp(min=0))

    def _raise(self, n: torch.Tensor, at: dict[str, int]) -> UpdateInfo:
        """Send |n| up pulses, to g+ where n > 0 and to g- where n < 0."""
        pairs = (self.plus, n), (self.minus, -n)
        return total(part.pulse(share.clamp(min=0), **at) for part, share in pairs)  # type: ignore[arg-type]

    def _count(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> UpdateInfo:
        """Draw bit lines, and send the coincidences to the device that each raises."""
        lines, event = self._lines(), next_event(self.counters("events"), Stream.C2C)
        lines.counters("events")[Stream.C2C] = event
        drawn = lines.update(x, d, lr)
        at = _only_line(x, d)
        counts = lines.counts
        if at:
            counts = counts[:, :, at["column"]] if "column" in at else counts[:, at["row"]]
        if drawn.up + drawn.down:
            up, down = counts.to(torch.float32)
            self.plus.pulse(up, **at)  # type: ignore[arg-type]
            self.minus.pulse(down, **at)  # type: ignore[arg-type]
            counts.zero_()
        done = self.counters("done")
        done[Tally.CLIPPED] += drawn.clipped
        done[Tally.LINES] += drawn.lines
        return UpdateInfo(drawn.up + drawn.down, 0, drawn.clipped, drawn.lines)

    def _lines(self) -> Tile:
        """Return an array of counters, which is no hardware: cells without bounds, whose weights do not matter."""
        if not self._counting:
            device = Device(Constant(tau_max=3e38, tau_min=-3e38), dw_min=self.cell.device.dw_min)
            tile = Tile(torch.zeros(self.shape), device, None, self.pulses, self.key, count_cells=True)
            self._counting.append(tile.to(self._sum.device))
        return self._counting[0]

    def _needed(self, change: torch.Tensor) -> torch.Tensor:
        """Integrate dw / (dw_min q_up): the pulses that raise a nominal device from its reset by change (n,).

        A change beyond the device's bound less dw_min asks for that much. A law that hardly moves near its bound
        gets at most `_LAPS` times the pulses that cross the range at q = 1: a controller would not wait longer.
        """
        device = self.cell.device
        start = device.retention.reset if device.retention else 0.0
        change = change.clamp(max=max(self._bound - device.dw_min - start, 0.0))
        most = min(_MOST, _LAPS * max(self._bound - start, 0.0) / device.dw_min)
        places = (torch.arange(_POINTS, device=change.device, dtype=torch.float64) + 0.5) / _POINTS
        q = device.cell.up(start + change.double()[..., None] * places)
        n = change / device.dw_min * (1 / q.clamp(min=_LEAST)).mean(-1)
        return n.clamp(max=most).round().to(torch.float32)

    def _refresh_if_due(self) -> None:
        t, every = self.counters("t"), self.cell.refresh_every
        t[0] += 1
        if every and t[0] % every == 0:
            self.refresh_pairs()

    def forget(self) -> None:
        super().forget()
        self._counting = []


_POINTS = 64  # of the integral, by the midpoint rule
_LEAST = 1e-3  # q below which a device is full
_MOST = 2.0**24 - 1  # a float32 counts to it
_LAPS = 8.0


def _only_line(x: torch.Tensor, d: torch.Tensor) -> dict[str, int]:
    """Return the column or row that one sample addresses, if it addresses just one."""
    if len(x) == 1:
        for name, vector in (("column", x[0]), ("row", d[0])):
            lines = vector.nonzero()
            if len(lines) == 1:
                return {name: int(lines)}
    return {}
