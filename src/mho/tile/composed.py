"""A tile whose cells consist of several devices each, with the verbs of a `Tile`."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mho.device.io import Wires, by_direction
from mho.device.pulses import PulseScheme
from mho.numerics.rng import STREAMS
from mho.tile import checks
from mho.tile.patches import Patches
from mho.tile.readout import Readable, factors, patches
from mho.tile.tally import Tally, UpdateInfo, total
from mho.tile.tile import Tile


class ComposedTile(Readable):
    """A crossbar of shape (out, in) whose apparent weight is the sum of `weights[k]` times that of `parts[k]`.

    The parts' currents add up before one converter: forward, backward and read see the sum. Pulses reach the
    parts by their own verbs. Subclasses decide in `_update`, `_pulse` and `_program` which part receives which
    pulses. After a write to a part the sum is brought up to date on the lines that the part says changed.

    Args:
        parts: tiles of one shape, by name, on one device.
        weights: of the parts in the sum.
        io, pulses, key: see `Tile`.
    """

    events: torch.Tensor
    done: torch.Tensor
    reads_in = "done"
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
        self._summed = -1  # version of the parts that `_sum` is of
        self.refresh()

    # -- what it is

    @property
    def parts(self) -> "tuple[Tile | ComposedTile, ...]":
        """The tiles of the devices, in order."""
        return tuple(self._modules.values())  # type: ignore[arg-type]

    @property
    def version(self) -> int:
        """Number of writes to the parts."""
        return sum(part.version for part in self._modules.values())  # type: ignore[union-attr,misc]

    @property
    def w(self) -> torch.Tensor:
        """Apparent weight (out, in): the weighted sum of the parts'. Not a copy: do not write to it."""
        self.refresh()
        return self._buffers["_sum"]  # type: ignore[return-value]

    @property
    def touched(self) -> torch.Tensor:
        """(out + in,) uint8: see `Visible.touched`."""
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
        """Count the devices that sit at one of their bounds."""
        return sum(part.saturated() for part in self.parts)

    def leaves(self) -> list[Tile]:
        """Return the arrays of single devices that this array consists of."""
        return [leaf for part in self.parts for leaf in part.leaves()]

    # -- writing

    def update(self, x: torch.Tensor | Patches, d: torch.Tensor, lr: float) -> UpdateInfo:
        """Ask for w + lr d x^T, summed over the samples; for arguments and errors see `Tile.update`."""
        if isinstance(x, Patches):
            patches(x, d, self.shape)
            return total(self.update(*pair, lr) for pair in x.pairs(d))
        x, d = factors(x, d, float(lr), self.shape)
        info = self._update(x.reshape(-1, self.shape[1]), d.reshape(-1, self.shape[0]), float(lr))
        self.refresh()
        return info

    def pulse(self, n: torch.Tensor, *, column: int | None = None, row: int | None = None) -> UpdateInfo:
        """Send exactly |n| pulses that raise the weight where n > 0 and lower it where n < 0; see `Tile.pulse`."""
        checks.counts(n, column, row, self.shape, self._sum.device)
        at = {name: j for name, j in (("column", column), ("row", row)) if j is not None}
        info = self._pulse(n, at)
        self.refresh()
        return info

    def program(self, w: torch.Tensor) -> None:
        """Write the apparent weight (out, in), exactly but clipped to the bounds of the devices."""
        checks.matrix("program", "w", w, self.shape)
        self._program(w)
        self.refresh()

    def subtract(self, reference: torch.Tensor) -> None:
        """Subtract `reference` (out, in) from the apparent weight, from now on; see `Tile.subtract`.

        The first part's reference array is programmed with its share.
        """
        self.parts[0].subtract(reference / self.weights[0])
        self.refresh()

    def refresh(self) -> None:
        """Bring the sum up to date on the lines that a part says changed."""
        version = self.version
        if version == self._summed:
            return
        self.__dict__["_summed"] = version  # not by attribute, see `Visible.wrote`
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
        """Update the parts; x (samples, in), d (samples, out), checked."""
        raise NotImplementedError

    def _pulse(self, n: torch.Tensor, at: dict[str, int]) -> UpdateInfo:
        """Send n pulses, checked, to the parts; at: {"column": j}, {"row": i} or {}."""
        raise NotImplementedError

    def _program(self, w: torch.Tensor) -> None:
        raise NotImplementedError

    def _add_up(self, at: Any) -> None:
        """Compute the sum on these lines; each product is rounded, so that the same cells give the same bits."""
        total = self.weights[0] * self.parts[0].w[at]
        for weight, part in zip(self.weights[1:], self.parts[1:], strict=True):
            total += weight * part.w[at]
        self._sum[at] = total

    def _currents(self, wires: Wires, backward: bool) -> torch.Tensor:
        parts = zip(self.weights, self.parts, strict=True)
        return sum(weight * part.through(wires, backward) for weight, part in parts)  # type: ignore[return-value]

    def forget(self) -> None:
        super().forget()
        self._summed = -1

    def extra_repr(self) -> str:
        return f"out={self.shape[0]}, in={self.shape[1]}, weights={self.weights}"
