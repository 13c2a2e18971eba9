"""A tile whose cells are several devices each: it is used as a `Tile` is."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mho.base.errors import wrong_type
from mho.base.records import Record
from mho.device.device import Device
from mho.device.io import by_direction
from mho.device.pulses import Pulses, PulseScheme
from mho.numerics.rng import STREAMS, Stream, Use, next_event
from mho.numerics.views import Viewed
from mho.tile import checks
from mho.tile.patches import Patches
from mho.tile.readout import multiply, read_line
from mho.tile.tally import Tally, UpdateInfo, total
from mho.tile.tile import Tile


class Cell(Record, named=False):
    """Several devices that hold one weight together; `Crossbar(device=...)` takes it in place of a `Device`.

    A subclass lists its devices and rules as fields, and says in `tile` what a tile of such cells is.
    """

    def tile(
        self, w: torch.Tensor, io: Any, pulses: PulseScheme, key: int, count_cells: bool
    ) -> "ComposedTile":
        """A tile of these cells, with the arguments of `Tile`."""
        raise NotImplementedError


def new_tile(
    w: torch.Tensor,
    device: Device | Cell,
    io: Any = None,
    pulses: PulseScheme | None = None,
    key: int = 0,
    *,
    count_cells: bool = False,
) -> "Tile | ComposedTile":
    """`Tile(...)` of a device, or what stands for it of a composed cell; the arguments are those of `Tile`."""
    if isinstance(device, Cell):
        return device.tile(w, io, Pulses() if pulses is None else pulses, key, count_cells)
    return Tile(w, device, io, pulses, key, count_cells=count_cells)


def check_device(where: str, device: object) -> None:
    """Complains about what is neither a device nor a composed cell."""
    if not isinstance(device, (Device, Cell)):
        raise wrong_type(where, "it", device, "an mho.Device or a cell of mho.cells")


class ComposedTile(Viewed):
    """A crossbar of shape (out, in) whose apparent weight is the sum of `weights[k]` times that of `parts[k]`.

    The parts' currents add up before one converter: forward, backward and read are those of the sum. Pulses reach
    the parts by their own verbs; which part gets which is for the subclass to say, in `_update`, `_pulse` and
    `_program`. Whoever writes to a part finds the sum up to date: it follows the lines that the parts say changed.

    Args:
        parts: tiles of one shape, by name, on one device.
        weights: of the parts in the sum.
        io, pulses, key: as of a `Tile`.
    """

    events: torch.Tensor
    done: torch.Tensor
    shape: tuple[int, int]
    _sum: torch.Tensor

    def __init__(
        self,
        parts: "Mapping[str, Tile | ComposedTile]",
        weights: Sequence[float],
        io: Any,
        pulses: PulseScheme,
        key: int,
    ) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.weights, self.io, self.pulses, self.key = tuple(weights), by_direction(io), pulses, key
        self.shape = self.parts[0].shape
        marks = self.parts[0].touched
        self.register_buffer("_sum", torch.empty(self.shape, device=marks.device), persistent=False)
        self.register_buffer("_touched", torch.ones_like(marks), persistent=False)
        self.register_buffer("done", torch.zeros(len(Tally), dtype=torch.int64, device="cpu"))
        self.register_buffer("events", torch.zeros(STREAMS, dtype=torch.int64, device="cpu"))
        self.refresh()

    # -- what it is

    @property
    def parts(self) -> "tuple[Tile | ComposedTile, ...]":
        """The tiles it is made of, in order."""
        return tuple(self._modules.values())  # type: ignore[arg-type]

    @property
    def w(self) -> torch.Tensor:
        """Apparent weight (out, in): the weighted sum of the parts'. Not a copy: do not write to it."""
        self.refresh()
        return self._buffers["_sum"]  # type: ignore[return-value]

    @property
    def touched(self) -> torch.Tensor:
        """(out + in,) uint8: as of a `Tile`."""
        self.refresh()
        return self._buffers["_touched"]  # type: ignore[return-value]

    @property
    def granularity(self) -> float:
        """Change of the weight by one pulse at q = 1 [weight units]."""
        raise NotImplementedError

    @property
    def tally(self) -> torch.Tensor:
        """Counters of all parts together, and of the reads of their sum; see `Tally`. A copy."""
        return torch.stack([self.done, *(part.tally for part in self.parts)]).sum(0)

    @property
    def counts(self) -> torch.Tensor:
        """(2, parts * out, in) int32: pulses up and down of each device, the parts below each other; else empty."""
        return torch.cat([part.counts for part in self.parts], dim=1)

    @property
    def cells(self) -> torch.Tensor:
        """(parts * out, in): hidden weights of each device, the parts below each other; a copy."""
        return torch.cat([part.cells for part in self.parts])

    @property
    def pulses_sent(self) -> tuple[int, int]:
        """(up, down): all pulses that the devices have received so far."""
        up, down = zip(*(part.pulses_sent for part in self.parts), strict=True)
        return sum(up), sum(down)

    def saturated(self) -> int:
        """How many devices sit at one of their bounds."""
        return sum(part.saturated() for part in self.parts)

    # -- reading

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> y (..., out), through the forward converters."""
        return self._product(self.w.mT, x, "forward", Stream.FORWARD)

    def backward(self, d: torch.Tensor) -> torch.Tensor:
        """d (..., out) -> (..., in), through the backward converters."""
        return self._product(self.w, d, "backward", Stream.BACKWARD)

    def read(self, column: int | None = None, *, row: int | None = None) -> torch.Tensor:
        """One column (out,), one row (in,), or all (out, in), as `Tile.read`: the sum, by one conversion a line."""
        out, n_in = self.shape
        if column is not None and row is None and -n_in <= column < n_in:
            return self._read(1, column % n_in)
        if row is not None and column is None and -out <= row < out:
            return self._read(0, row % out)
        if column is row is None:
            return torch.stack([self._read(1, j) for j in range(n_in)], dim=1)
        raise checks.no_such_line("read", column, row, self.shape)

    # -- writing

    def update(self, x: torch.Tensor | Patches, d: torch.Tensor, lr: float) -> UpdateInfo:
        """Asks for w + lr d x^T, summed over the samples; arguments and errors as of `Tile.update`."""
        if isinstance(x, Patches):
            checks.patches(x, d, self.shape)
            return total(self.update(*pair, lr) for pair in x.pairs(d))
        x, d = checks.factors(x, d, float(lr), self.shape)
        info = self._update(x.reshape(-1, self.shape[1]), d.reshape(-1, self.shape[0]), float(lr))
        self.refresh()
        return info

    def pulse(self, n: torch.Tensor, *, column: int | None = None, row: int | None = None) -> UpdateInfo:
        """Sends exactly |n| pulses that raise the weight where n > 0 and lower it where n < 0; arguments and errors
        as of `Tile.pulse`."""
        checks.counts(n, column, row, self.shape, self._sum.device)
        at = {name: j for name, j in (("column", column), ("row", row)) if j is not None}
        info = self._pulse(n, at)
        self.refresh()
        return info

    def program(self, w: torch.Tensor) -> None:
        """Writes the apparent weight (out, in), exactly but clipped to what the devices can hold."""
        checks.matrix("program", "w", w, self.shape)
        self._program(w)
        self.refresh()

    def subtract(self, reference: torch.Tensor) -> None:
        """From now on the apparent weight is the present one less `reference` (out, in): the first part's reference
        array is programmed with its share. As `Tile.subtract`."""
        self.parts[0].subtract(reference / self.weights[0])
        self.refresh()

    def refresh(self) -> None:
        """Brings the sum up to date on the lines that a part says changed."""
        parts = self.parts
        marks = parts[0].touched.clone()
        for part in parts[1:]:
            marks |= part.touched
        if self._sum.device != marks.device:
            for name in ("_sum", "_touched"):
                self._buffers[name] = torch.zeros_like(self._buffers[name], device=marks.device)  # type: ignore[arg-type]
        if marks.is_meta or not marks.any():
            return
        out, n_in = self.shape
        rows, columns = marks[:out].nonzero().flatten(), marks[out:].nonzero().flatten()
        if 2 * (len(rows) * n_in + len(columns) * out) > out * n_in:
            self._add_up(...)
        else:
            self._add_up(rows)
            self._add_up((slice(None), columns))
        self._buffers["_touched"].logical_or_(marks)  # type: ignore[union-attr]
        for part in parts:
            part.touched.zero_()

    # -- inside

    def _update(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> UpdateInfo:
        """x (samples, in), d (samples, out), checked."""
        raise NotImplementedError

    def _pulse(self, n: torch.Tensor, at: dict[str, int]) -> UpdateInfo:
        """n, checked; at: {"column": j}, {"row": i} or {}."""
        raise NotImplementedError

    def _program(self, w: torch.Tensor) -> None:
        raise NotImplementedError

    def _add_up(self, at: Any) -> None:
        """The sum, on these lines; each product is rounded, so that the same cells give the same bits."""
        total = self.weights[0] * self.parts[0].w[at]
        for weight, part in zip(self.weights[1:], self.parts[1:], strict=True):
            total += weight * part.w[at]
        self._sum[at] = total

    def _product(self, matrix: torch.Tensor, x: torch.Tensor, direction: str, stream: Stream) -> torch.Tensor:
        if x.shape[-1:] != matrix.shape[:1]:
            raise checks.wrong_shape(direction, x, "in" if direction == "forward" else "out", self.shape)
        use = Use(self.key, stream, next_event(self.counters("events"), stream))
        y = multiply(matrix, checks.lines(x), self.io[direction], use, f"Tile.{direction}")
        return y.reshape(*x.shape[:-1], matrix.shape[1])

    def _read(self, dim: int, where: int) -> torch.Tensor:
        self.counters("done")[Tally.READS] += 1
        use = Use(self.key, Stream.READ, next_event(self.counters("events"), Stream.READ))
        return read_line(self.w, dim, where, self.io["transfer"], use)

    def extra_repr(self) -> str:
        return f"out={self.shape[0]}, in={self.shape[1]}, weights={self.weights}"
