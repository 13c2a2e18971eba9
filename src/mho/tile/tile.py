"""A crossbar of cells and the verbs that write to it; `mho.tile.readout` has those that read it."""

import functools
from collections.abc import Iterable
from typing import Any

import torch

from mho.base.errors import MhoError, complaint, wrong_type
from mho.device.cell import Cells
from mho.device.composed import ComposedCell
from mho.device.device import Device
from mho.device.io import IO, by_direction
from mho.device.pulses import Exact, Expected, Pulses, PulseScheme
from mho.kernels.law.plan import KernelPlan, Sent, UpdateKernels
from mho.kernels.update import update_kernels
from mho.numerics.rng import STREAMS, Stream, next_event
from mho.tile import arithmetic, checks, parameters, write_noise
from mho.tile.events import checked_key
from mho.tile.patches import Patches
from mho.tile.readout import Readable, factors, patches
from mho.tile.tally import Tally, UpdateInfo, total

_UP, _DOWN, _, _CLIPPED, _LINES, _ = map(int, Tally)  # an index as int costs a tenth of an IntEnum's


class Tile(Readable):
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
    noise: torch.Tensor
    _apparent: torch.Tensor
    _offset: torch.Tensor
    _kernels: UpdateKernels | None
    stored = "cells"

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
        if not (w.is_meta or torch.isfinite(w).all()):
            raise complaint("Tile(w)", "w holds NaN or infinity", "Weights must be finite")
        self.device = device
        self.io = by_direction(io)
        self.pulses = Pulses() if pulses is None else pulses
        checks.countable(self.pulses, device)
        self.key = checked_key(key, "Tile")
        self.shape = (w.shape[0], w.shape[1])
        with torch.device("cpu"):  # one cell tells which parameters vary, and a meta tensor holds no others
            drawn = device.draw((1, 1) if w.is_meta else self.shape, key)
        self._scalars, self._plane_of, planes = parameters.stacked(drawn.values())
        self.given: tuple[str, ...] = ()  # parameters not of the device, see `mho.tile.parameters`
        self._is_noisy = device.write_noise > 0
        shifted = isinstance(drawn.reference, torch.Tensor) or drawn.reference != 0
        self._is_apparent = shifted or self._is_noisy  # what is seen is not the hidden weight
        empty = functools.partial(torch.empty, dtype=torch.float32, device=w.device)
        reference = arithmetic.full(drawn.reference, w).clone() if shifted else empty(0, 0)
        stacked = empty(len(planes), *self.shape)
        for plane, values_of_cells in zip(stacked, planes, strict=True):
            plane.copy_(values_of_cells)
        self.register_buffer("planes", stacked)
        self.register_buffer("reference", reference)
        self.register_buffer("cells", empty(self.shape))
        apparent = empty(self.shape if self._is_apparent else (0, 0))
        self.register_buffer("_apparent", apparent, persistent=False)
        if self._is_noisy:  # see mho.tile.write_noise
            self.register_buffer("noise", torch.zeros_like(self.cells))
            self.register_buffer("_offset", torch.empty_like(apparent), persistent=False)
        self.register_buffer("tally", torch.zeros(len(Tally), dtype=torch.int64, device="cpu"))
        self.register_buffer("events", torch.zeros(STREAMS, dtype=torch.int64, device="cpu"))
        counts = torch.zeros(2 if count_cells else 0, *self.shape, dtype=torch.int32, device=w.device)
        self.register_buffer("counts", counts)
        touched = torch.ones(sum(self.shape), dtype=torch.uint8, device=w.device)
        self.register_buffer("_touched", touched, persistent=False)
        self._kernels, self._address = None, 0
        self._write(w)

    # -- what it is

    @property
    def w(self) -> torch.Tensor:
        """Apparent weight (out, in): hidden weight less the reference, plus write noise, if any.

        Not a copy: do not write to it. After writing to `cells`, call `refresh`.
        """
        return self._buffers["_apparent" if self._is_apparent else "cells"]  # type: ignore[return-value]

    @property
    def granularity(self) -> float:
        """dw_min of the device, which scales an update and a transfer's threshold [weight units]."""
        return float(self.device.dw_min)

    @property
    def pulses_sent(self) -> tuple[int, int]:
        """(up, down): all pulses that the cells have received so far."""
        return int(self.tally[Tally.UP]), int(self.tally[Tally.DOWN])

    @property
    def parameters_of_cells(self) -> Cells:
        """The cells' own parameters, as drawn or loaded."""
        planes = self.planes.unbind()
        values = self._scalars | {name: planes[n] for name, n in self._plane_of.items()}
        return Cells.of(self.device.response, values, self.reference if self.reference.numel() else 0.0)

    def saturated(self) -> int:
        """Count the cells that sit at one of their bounds."""
        p, cells = self.parameters_of_cells, self.cells
        low, high = (arithmetic.full(bound, cells) for bound in (p.lower, p.upper))
        return int(((cells <= low) | (cells >= high)).sum())

    def leaves(self) -> list["Tile"]:
        """Return the arrays of single devices that this array consists of: itself."""
        return [self]

    # -- writing

    def update(self, x: torch.Tensor | Patches, d: torch.Tensor, lr: float) -> UpdateInfo:
        """Ask the cells for w + lr d x^T, summed over the samples, in order.

        Args:
            x: (in,) or (samples, in), input lines; d: (out,) or (samples, out), the error, minus dL/dy. The
                patches of a convolution come some at a time, each part with noise of its own.
            lr: learning rate, finite; negative flips the sign.
        Raises: MhoError for wrong shapes, NaN or infinity in x, d or lr (nothing is sent then), and for a law
            that drove a weight to NaN.
        """
        lr = checks.rate(lr)
        if isinstance(x, Patches):
            patches(x, d, self.shape)
            return total(self.update(*pair, lr) for pair in self._parts(x, d))
        x, d = factors(x, d, lr, self.shape)
        if x.device != self._buffers["cells"].device:  # type: ignore[union-attr]
            what = f"x and d are on {x.device} and the tile on {self.cells.device}"
            raise complaint("Tile.update", what, "They must agree", "move one of them")
        if isinstance(self.pulses, Pulses):
            return self._send(x, d, lr, self.pulses)
        x, d = x.reshape(-1, self.shape[1]), d.reshape(-1, self.shape[0])
        before = self.cells.clone() if self._is_noisy else None
        arithmetic.add(self.cells, x, d, lr, self.pulses, self.parameters_of_cells)
        return self._calculated(before)

    def pulse(self, n: torch.Tensor, *, column: int | None = None, row: int | None = None) -> UpdateInfo:
        """Send exactly |n| pulses, up where n > 0 and down where n < 0, whatever `pulses` says about updates.

        A tile whose `pulses` is `Expected` or `Exact` changes as they do for dw = n dw_min.

        Args:
            n: numbers of pulses, float or int, whole and less than 2^24: (out, in), or (out,) for one column,
                or (in,) for one row. The cells' k-th pulses are sent together, k = 0, 1, ...
        Raises: MhoError for a wrong shape, a line that does not exist, NaN, infinity or fractions (nothing is
            sent then), for a law that drove a weight to NaN, and on a GPU for rows longer than 16384.
        """
        n, row, column, total = checks.counts(n, column, row, self.shape, self.w.device)
        place = slice(row, row + n.shape[0]), slice(column, column + n.shape[1])
        before = self.cells[place].clone() if self._is_noisy else None
        if not isinstance(self.pulses, Pulses):
            p = self.parameters_of_cells
            arithmetic.send(self.cells, n, row, column, self.granularity, self.pulses, p)
            return self._calculated(before, (row, column))
        event = next_event(self.counters("events"), Stream.C2C)
        if not total:
            return UpdateInfo(0, 0, 0, 0)
        sent = self.kernels().send_counted(n, row, column, total, event)
        return self._counted(sent, before, (row, column))

    def program(self, w: torch.Tensor) -> None:
        """Write the apparent weight (out, in), exactly but clipped to the bounds of the cells."""
        checks.matrix("program", "w", w, self.shape)
        self.tally[Tally.PROGRAMS] += 1
        self._write(w)

    def accept(self) -> None:
        """Take what torch code wrote to `cells` for a programming: clipped to the bounds, and counted."""
        self.tally[Tally.PROGRAMS] += 1
        self.cells.copy_(arithmetic.clip(self.cells, self.parameters_of_cells))
        self.refresh()

    def program_hidden(self, hidden: torch.Tensor) -> None:
        """Write the hidden weight (out, in), exactly but clipped to the bounds of the cells.

        Cells that hold it already are not written, and keep their write noise.
        """
        checks.matrix("program_hidden", "hidden", hidden, self.shape)
        self.tally[Tally.PROGRAMS] += 1
        self._write_hidden(hidden.detach().to(torch.float32), before=self.cells.clone())

    def subtract(self, reference: torch.Tensor) -> None:
        """Subtract `reference` (out, in) [weight units] from the apparent weight, from now on.

        The tile's reference array is programmed with it, on top of what it holds. Hidden weights stay.

        A state of this tile fits only into tiles that have a reference too: call `subtract` before loading it.
        Raises: MhoError if the reference has another shape or is not finite; nothing changes then.
        """
        checks.matrix("subtract", "reference", reference, self.shape)
        self.begin_reference()
        self.reference.add_(reference.detach().to(self.cells))
        self.forget()
        self.refresh()

    # -- inside

    def begin_reference(self) -> None:
        """Make room for a reference, if there is none; it holds zeros then."""
        if not self.reference.numel():
            self._is_apparent = True
            self.reference, self._apparent = torch.zeros_like(self.cells), torch.empty_like(self.cells)

    def _write(self, w: torch.Tensor) -> None:
        self._write_hidden(w.detach().to(torch.float32) + (self.reference if self.reference.numel() else 0.0))

    def _write_hidden(self, hidden: torch.Tensor, before: torch.Tensor | None = None) -> None:
        self.cells.copy_(arithmetic.clip(hidden, self.parameters_of_cells))
        if self._is_noisy:
            write_noise.rewrite(self, before)
        self.refresh()

    def refresh(self) -> None:
        """Recompute the apparent weight after the hidden one was written other than by pulses; noise stays."""
        self.wrote()
        self.touched.fill_(1)
        if self._is_noisy:
            write_noise.combine(self)
        elif self.reference.numel():
            torch.sub(self.cells, self.reference, out=self._apparent)

    def _parts(self, x: Patches, d: torch.Tensor) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        """Return x and d as tensors, some samples at a time; as one matrix where only their sum counts."""
        if isinstance(self.pulses, Exact) or (
            isinstance(self.pulses, Expected) and not self.pulses.per_sample
        ):
            nothing = torch.zeros(self.shape, device=d.device)
            total = sum((part.mT @ rows for rows, part in x.pairs(d)), nothing)
            return [(torch.eye(self.shape[1], device=d.device), total.mT)]
        return x.pairs(d)

    def _send(self, x: torch.Tensor, d: torch.Tensor, lr: float, pulses: Pulses) -> UpdateInfo:
        event = next_event(self.counters("events"), Stream.C2C)
        if not x.is_cpu:
            x, d = x.reshape(-1, self.shape[1]), d.reshape(-1, self.shape[0])
        before = self.cells.clone() if self._is_noisy else None
        return self._counted(self.kernels().update(x, d, lr, pulses, event), before)

    def _counted(
        self, sent: Sent, before: torch.Tensor | None = None, at: tuple[int, int] = (0, 0)
    ) -> UpdateInfo:
        self.wrote()
        if sent.bad >= 0:
            raise self.runaway()
        if before is not None:
            write_noise.rewrite(self, before, at)
        tally = self.counters("tally")
        tally[_UP] += sent.up
        tally[_DOWN] += sent.down
        tally[_CLIPPED] += sent.clipped
        tally[_LINES] += sent.lines
        return UpdateInfo(sent.up, sent.down, sent.clipped, sent.lines)

    def _calculated(self, before: torch.Tensor | None, at: tuple[int, int] = (0, 0)) -> UpdateInfo:
        """Finish a change of the cells without pulses."""
        self.wrote()
        if not torch.isfinite(self.cells).all():
            raise self.runaway()
        self.refresh()
        if before is not None:
            write_noise.rewrite(self, before, at)
        return UpdateInfo(0, 0, 0, 0)

    @property
    def asked_as(self) -> str:
        """Kind of the stand-in that `mho.requests` has for the tile: "pulsed", or "" for none."""
        fits = type(self) is Tile and isinstance(self.pulses, Pulses) and not self._is_noisy
        return "pulsed" if fits and self.cells.is_cpu else ""

    def runaway(self) -> MhoError:
        """Return the error of a law that drove a weight to NaN or infinity."""
        return checks.runaway(self.cells, self.device.response)

    def kernels(self) -> UpdateKernels:
        """Return the compiled update for the law as it is now and for the cells' memory, which sending a
        state_dict to another process moves."""
        kernels, address = self._kernels, self._buffers["cells"].data_ptr()  # type: ignore[union-attr]
        if kernels is None or self._address != address or kernels.plan.outdated:
            kernels, self._address = self._load(), address
        return kernels

    def _load(self) -> UpdateKernels:
        """Load the compiled update for the device that the cells' memory is on."""
        reference = self._offset if self._is_noisy else self.reference
        buffers = (self.cells, self.planes, self._apparent, reference, self.counts, self.touched)
        plan = KernelPlan.of(self.device, self.parameters_of_cells.values())
        self._kernels = update_kernels(plan, buffers, self.key)
        return self._kernels

    def forget(self) -> None:
        super().forget()
        self._kernels = None  # they point into the old memory

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.refresh()

    def extra_repr(self) -> str:
        return f"out={self.shape[0]}, in={self.shape[1]}, device={self.device}"


def new_tile(
    w: torch.Tensor,
    device: Device | ComposedCell,
    io: Any = None,
    pulses: PulseScheme | None = None,
    key: int = 0,
    *,
    count_cells: bool = False,
) -> Any:
    """Make `Tile(...)` of a device, or the tile of a composed cell; the arguments are those of `Tile`."""
    key = checked_key(key, "Tile")
    if isinstance(device, ComposedCell):
        return device.tile(w, io, Pulses() if pulses is None else pulses, key, count_cells)
    return Tile(w, device, io, pulses, key, count_cells=count_cells)
