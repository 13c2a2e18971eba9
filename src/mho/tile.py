"""A crossbar of cells, and the five things one can do to it: forward, backward, read, update, program."""

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from mho.device import Cells, Device
from mho.errors import complaint, wrong_type
from mho.io import IO, by_direction
from mho.mvm import multiply, read_out
from mho.pulses import Exact, Expected, Pulses, PulseScheme
from mho.rng import Stream, Use, next_event

if TYPE_CHECKING:
    from mho.kernels.cpu import CpuKernels


class Tally(IntEnum):
    """Places in `Tile.tally`, an int64 buffer that only grows."""

    UP = 0
    DOWN = 1
    READS = 2
    CLIPPED = 3
    LINES = 4
    PROGRAMS = 5


class UpdateInfo(NamedTuple):
    """What one update sent: pulses up and down, and how many of its bit lines were clipped at p = 1."""

    up: int
    down: int
    clipped: int
    lines: int


class Tile(nn.Module):
    """A crossbar of shape (out, in); row i is an output line, column j an input line.

    Args:
        w: initial apparent weight (out, in) [weight units]; programmed exactly, clipped to the bounds.
        device: what a cell is.
        io: converters: one `IO`, a mapping {"forward" | "backward" | "transfer": IO}, or None for perfect ones.
        pulses: how updates reach the cells; None means `Pulses()`.
        key: 64-bit name of this tile's randomness. The same key gives the same cells and the same noise.
        count_cells: also count the pulses of every cell (8 bytes a cell more).
    Raises: MhoError if w is not a finite matrix.
    """

    cells: torch.Tensor
    planes: torch.Tensor
    reference: torch.Tensor
    tally: torch.Tensor
    events: torch.Tensor
    counts: torch.Tensor
    _apparent: torch.Tensor
    _kernels: "CpuKernels | None"

    def __init__(
        self,
        w: torch.Tensor,
        device: Device,
        io: "IO | dict[str, IO] | None" = None,
        pulses: PulseScheme | None = None,
        key: int = 0,
        *,
        count_cells: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(w, torch.Tensor):
            raise wrong_type("Tile(w)", "w", w, "a tensor")
        if not isinstance(device, Device):
            raise wrong_type("Tile(device=...)", "the device", device, "an mho.Device")
        if pulses is not None and not isinstance(pulses, PulseScheme):
            raise wrong_type("Tile(pulses=...)", "pulses", pulses, "mho.Pulses, mho.Expected or mho.Exact")
        if w.ndim != 2 or w.numel() == 0:
            raise complaint("Tile(w)", f"w has shape {tuple(w.shape)}", "w must be a matrix (out, in)")
        if not torch.isfinite(w).all():
            raise complaint("Tile(w)", "w holds NaN or infinity", "Weights must be finite")
        self.device = device
        self.io = by_direction(io)
        self.pulses = Pulses() if pulses is None else pulses
        self.key = key
        self.shape = (w.shape[0], w.shape[1])
        drawn = device.draw(self.shape, key)
        values = _parameters(drawn)
        planes = {n: _full(v, w) for n, v in values.items() if isinstance(v, torch.Tensor)}
        self._scalars = {n: v for n, v in values.items() if n not in planes}
        self._plane_names = tuple(planes)
        self._fields = tuple(drawn.fields)
        has_reference = isinstance(drawn.reference, torch.Tensor) or drawn.reference != 0
        reference = (
            _full(drawn.reference, w).clone() if has_reference else torch.empty(0, 0, dtype=torch.float32)
        )
        stacked = (
            torch.stack(list(planes.values())) if planes else torch.empty(0, *self.shape, dtype=torch.float32)
        )
        self.register_buffer("planes", stacked)
        self.register_buffer("reference", reference)
        self.register_buffer("cells", torch.empty(self.shape, dtype=torch.float32))
        self.register_buffer("_apparent", torch.empty_like(reference), persistent=False)
        self.register_buffer("tally", torch.zeros(len(Tally), dtype=torch.int64))
        self.register_buffer("events", torch.zeros(max(Stream) + 1, dtype=torch.int64))
        counts = torch.zeros(2 if count_cells else 0, *self.shape, dtype=torch.int32)
        self.register_buffer("counts", counts)
        self._kernels = None
        self._write(w)

    # -- what it is

    @property
    def w(self) -> torch.Tensor:
        """Apparent weight (out, in): hidden weight less the reference. Not a copy: do not write to it."""
        return self._apparent if self.reference.numel() else self.cells

    @property
    def pulses_sent(self) -> tuple[int, int]:
        """(up, down): all pulses that the cells have received so far."""
        return int(self.tally[Tally.UP]), int(self.tally[Tally.DOWN])

    @property
    def parameters_of_cells(self) -> Cells:
        """The cells' own parameters, as drawn or loaded."""
        values = self._scalars | dict(zip(self._plane_names, self.planes, strict=True))
        fields = {name: values[name] for name in self._fields}
        reference = self.reference if self.reference.numel() else 0.0
        return Cells(fields, values["gain"], values["lower"], values["upper"], reference)

    def saturated(self) -> int:
        """How many cells sit at one of their bounds."""
        p = self.parameters_of_cells
        return int(
            ((self.cells <= _full(p.lower, self.cells)) | (self.cells >= _full(p.upper, self.cells))).sum()
        )

    # -- reading

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> y (..., out), through the forward converters."""
        return self._product(self.w, x, "forward", Stream.FORWARD)

    def backward(self, d: torch.Tensor) -> torch.Tensor:
        """d (..., out) -> (..., in), through the backward converters."""
        return self._product(self.w.mT, d, "backward", Stream.BACKWARD)

    def read(self, column: int | None = None, *, row: int | None = None) -> torch.Tensor:
        """One column (out,), one row (in,), or without arguments all columns (out, in), through the transfer
        converters: one output conversion a line."""
        if column is None and row is None:
            return torch.stack([self.read(j) for j in range(self.shape[1])], dim=1)
        if column is not None and row is not None:
            raise complaint("Tile.read", "both a column and a row are given", "It reads one line")
        kind, where, n = ("row", row, self.shape[0]) if column is None else ("column", column, self.shape[1])
        if where is None or not -n <= where < n:
            raise complaint("Tile.read", f"there is no {kind} {where}", f"This tile has {n}, counted from 0")
        line = self.w[:, where] if kind == "column" else self.w[where]
        self.tally.numpy()[Tally.READS] += 1
        return read_out(line, self.io["transfer"], Use(self.key, Stream.READ, self._next_event(Stream.READ)))

    # -- writing

    def update(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> UpdateInfo:
        """Asks the cells for w + lr d x^T, summed over the samples, in order.

        Args:
            x: (in,) or (samples, in), input lines; d: (out,) or (samples, out), the error, minus dL/dy.
            lr: learning rate, finite; negative flips the sign.
        Raises: MhoError for wrong shapes, NaN or infinity in x, d or lr (nothing is sent then), and for a law
            that drove a weight to NaN.
        """
        lr = float(lr)
        x, d = self._factors(x, d, lr)
        if isinstance(self.pulses, Pulses):
            info = self._send(x, d, lr, self.pulses)
        else:
            self._arithmetic(x, d, lr, self.pulses)
            info = UpdateInfo(0, 0, 0, 0)
        return info

    def program(self, w: torch.Tensor) -> None:
        """Writes the apparent weight (out, in), exactly but clipped to the bounds of the cells."""
        if tuple(w.shape) != self.shape or not torch.isfinite(w).all():
            raise complaint(
                "Tile.program",
                f"w has shape {tuple(w.shape)}, finite: {bool(torch.isfinite(w).all())}",
                f"w must be finite and of shape (out, in) = {self.shape}",
            )
        self.tally[Tally.PROGRAMS] += 1
        self._write(w)

    # -- inside

    def _write(self, w: torch.Tensor) -> None:
        p = self.parameters_of_cells
        hidden = w.detach().to(torch.float32) + (self.reference if self.reference.numel() else 0.0)
        self.cells.copy_(_clip(hidden, p))
        self.refresh()

    def refresh(self) -> None:
        """Recomputes the apparent weight after the hidden one was written from outside (a checkpoint)."""
        if self.reference.numel():
            torch.sub(self.cells, self.reference, out=self._apparent)

    def _next_event(self, stream: Stream) -> int:
        return next_event(self.events, stream)

    def _product(self, weight: torch.Tensor, x: torch.Tensor, direction: str, stream: Stream) -> torch.Tensor:
        if x.shape[-1:] != weight.shape[1:]:
            raise self._wrong_shape(direction, x, "in" if direction == "forward" else "out")
        flat = x.detach().reshape(-1, x.shape[-1]).to(torch.float32).contiguous()
        use = Use(self.key, stream, self._next_event(stream))
        y = multiply(weight.mT, flat, self.io[direction], use, f"Tile.{direction}")
        return y.reshape(*x.shape[:-1], weight.shape[0])

    def _factors(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> tuple[torch.Tensor, torch.Tensor]:
        if not np.isfinite(lr):
            raise complaint("Tile.update", f"lr is {lr}", "It must be finite")
        if x.shape[-1:] != self.shape[1:]:
            raise self._wrong_shape("update", x, "in")
        if d.shape[-1:] != self.shape[:1]:
            raise self._wrong_shape("update", d, "out")
        x = x.detach().reshape(-1, self.shape[1]).to(torch.float32).contiguous()
        d = d.detach().reshape(-1, self.shape[0]).to(torch.float32).contiguous()
        if len(x) != len(d):
            raise complaint("Tile.update", f"x has {len(x)} samples and d has {len(d)}", "They must agree")
        from mho.kernels.lines import first_bad  # Numba: loaded with the first update

        for name, value in (("x", x), ("d", d)):
            sample = first_bad(value.numpy())
            if sample >= 0:
                raise complaint(
                    "Tile.update", f"{name} holds NaN or infinity in sample {sample}", "Both must be finite"
                )
        return x, d

    def _send(self, x: torch.Tensor, d: torch.Tensor, lr: float, pulses: Pulses) -> UpdateInfo:
        if self._kernels is None:
            from mho.kernels.cpu import CpuKernels  # Numba: loaded with the first pulse
            from mho.kernels.memory import Arrays

            buffers = (self.cells, self.planes, self._apparent, self.reference, self.counts)
            arrays = Arrays(*(b.numpy() for b in buffers))
            self._kernels = CpuKernels(self.device, self.parameters_of_cells, arrays, self.key)
        sent = self._kernels.update(x.numpy(), d.numpy(), float(lr), pulses, self._next_event(Stream.C2C))
        if sent.bad >= 0:
            raise self._runaway()
        tally = self.tally.numpy()
        tally[Tally.UP] += sent.up
        tally[Tally.DOWN] += sent.down
        tally[Tally.CLIPPED] += sent.clipped
        tally[Tally.LINES] += sent.lines
        return UpdateInfo(sent.up, sent.down, sent.clipped, sent.lines)

    def _arithmetic(self, x: torch.Tensor, d: torch.Tensor, lr: float, scheme: Expected | Exact) -> None:
        if isinstance(scheme, Exact):
            self.cells.add_(d.mT @ x, alpha=lr)  # not addmm_: these are the bits of torch.optim.SGD
        elif scheme.per_sample:
            for one_x, one_d in zip(x, d, strict=True):
                self._expect(lr * torch.outer(one_d, one_x))
        else:
            self._expect(lr * (d.mT @ x))
        self.refresh()

    def _expect(self, dw: torch.Tensor) -> None:
        p = self.parameters_of_cells
        law = self.device.response.with_fields(**p.fields)
        change = dw * law.F(self.cells) - dw.abs() * law.G(self.cells)
        self.cells.copy_(_clip(self.cells + p.gain * change, p))
        if not torch.isfinite(self.cells).all():
            raise self._runaway()

    def _runaway(self):
        row, column = (~torch.isfinite(self.cells)).nonzero()[0].tolist()
        return complaint(
            f"{type(self.device.response).__name__}.up/down",
            f"the law drove cell ({row}, {column}) to {self.cells[row, column].item()}",
            "A response must be finite everywhere between its bounds",
            "check it with mho.testing.check_response",
        )

    def _wrong_shape(self, verb: str, value: torch.Tensor, line: str):
        n = self.shape[1] if line == "in" else self.shape[0]
        letter = "x" if line == "in" else "d"
        return complaint(
            f"Tile.{verb}",
            f"{letter} has shape {tuple(value.shape)} but this tile is (out={self.shape[0]}, in={self.shape[1]})",
            f"{letter} must be (..., {line}) = (..., {n})",
            "pass the layer input, not its output"
            if line == "in"
            else "pass the error at the layer's output",
        )

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._kernels = None
        self.refresh()

    def _apply(self, fn, recurse=True):
        self._kernels = None  # it points into the old memory
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_kernels": None}

    def extra_repr(self) -> str:
        return f"out={self.shape[0]}, in={self.shape[1]}, device={self.device}"


def _parameters(cells: Cells) -> dict[str, "float | torch.Tensor"]:
    return {**cells.fields, "gain": cells.gain, "lower": cells.lower, "upper": cells.upper}


def _full(value: "float | torch.Tensor", like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float32).expand(like.shape)


def _clip(w: torch.Tensor, p: Cells) -> torch.Tensor:
    return torch.minimum(torch.maximum(w, _full(p.lower, w)), _full(p.upper, w))
