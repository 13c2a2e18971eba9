"""The read-out of arrays: the product with lines, and the reading of one line, for tiles and layers alike.

    y = x M    lines that are driven times a matrix (driven, sensed), between the input and the output converters

`Visible.through` gives the matrix M: the weights as they are, or as the wires let them be seen
(`mho.device.io.Wires`). `Visible.drive` multiplies with it, and `Readable` adds the verbs of a tile: forward,
backward and read. A `Tile`, a composed tile, a `Plane` and the block of a layer are all `Visible`. So a model
of wires, of read noise or of drift that is added here is seen by every layer.
"""

import functools
import math
import threading
from types import ModuleType
from typing import NamedTuple

import torch

from mho.base.errors import complaint
from mho.base.signals import uninterrupted
from mho.device.io import IO, Wires
from mho.numerics.rng import Use, next_event, signed
from mho.tile import checks
from mho.tile.events import STREAM_OF, use_of
from mho.tile.patches import Patches
from mho.tile.scratch import room_for
from mho.tile.tally import Tally
from mho.tile.written import Written

_READS = int(Tally.READS)  # an index as int costs a tenth of an IntEnum's


class _Wired(NamedTuple):
    """The matrix (driven, sensed) behind wires, and the version of the weights that it is of."""

    wires: Wires
    version: int
    matrix: torch.Tensor


class Visible(Written):
    """Weights (out, in) that lines can be multiplied with.

    `version` rises with every write. A holder of anything that follows from the weights compares it before use.
    """

    shape: tuple[int, int]

    @property
    def w(self) -> torch.Tensor:
        """Apparent weight (out, in). Not a copy: do not write to it."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self._pair: tuple[torch.Tensor, torch.Tensor] | None = None
        self._wired: dict[tuple[int, bool], _Wired] = {}

    def through(self, wires: Wires | None, backward: bool) -> torch.Tensor:
        """Return the matrix (driven, sensed) that the array multiplies with: (in, out), or backward (out, in).

        Not a copy: do not write to it.
        """
        if wires is not None:
            return self._behind(wires, backward)
        w, kept = self.w, self._pair
        if kept is None or kept[0].data_ptr() != w.data_ptr():
            w = w.data
            kept = self._pair = w, w.mT  # making the two costs microseconds a product
        return kept[not backward]

    def drive(
        self, x: torch.Tensor, direction: str, io: IO, use: Use, where: str, sign: float = 1.0
    ) -> torch.Tensor:
        """Return sign * x (samples, driven) times the weights, as the hardware gives it; see `multiply`."""
        return multiply(self.through(io.wires, direction == "backward"), x, io, use, where, sign)

    # -- inside

    def _behind(self, wires: Wires, backward: bool) -> torch.Tensor:
        """Return the matrix behind wires, which is computed once for each version of the weights."""
        place, version = (id(wires), backward), self.version
        kept = self._wired.get(place)
        if kept is None or kept.version != version:
            matrix = self._currents(wires, backward)
            shape = self.shape if backward else self.shape[::-1]
            if tuple(matrix.shape) != shape or matrix.dtype is not torch.float32:
                what = f"it gave {matrix.dtype} of shape {tuple(matrix.shape)}"
                need = f"The matrix must keep its dtype, torch.float32, and its shape {shape}"
                raise complaint(f"{type(wires).__name__}.currents", what, need)
            kept = self._wired[place] = _Wired(wires, version, matrix)
        return kept.matrix

    def _currents(self, wires: Wires, backward: bool) -> torch.Tensor:
        """Compute the matrix behind wires; an array that consists of others adds up theirs."""
        return wires.currents(self.through(None, backward))

    def forget(self) -> None:
        super().forget()
        self._pair, self._wired = None, {}
        self.wrote()  # the memory may have moved, and whoever follows it has to look again


class Readable(Visible):
    """An array behind converters that counts its own noise: the reading verbs of a `Tile` and a composed tile.

    A subclass has `io` (converters by direction), `key`, and the buffers `events` and the one named in `reads_in`.
    """

    io: dict[str, IO]
    key: int
    reads_in = "tally"
    """Buffer whose place `Tally.READS` counts reads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Send x (..., in) through the forward converters; return y (..., out)."""
        return self._product(x, "forward", 1)

    def backward(self, d: torch.Tensor) -> torch.Tensor:
        """Send d (..., out) through the backward converters; return (..., in)."""
        return self._product(d, "backward", 0)

    def read(self, column: int | None = None, *, row: int | None = None) -> torch.Tensor:
        """Read one column (out,), one row (in,), or without arguments all columns (out, in).

        Each line takes one conversion of the transfer converters.
        """
        out, n_in = self.shape
        if row is None and column is not None and -n_in <= column < n_in:
            return self._read(column % n_in, backward=False)
        if column is None and row is not None and -out <= row < out:
            return self._read(row % out, backward=True)
        if column is None and row is None:
            return torch.stack([self._read(j, backward=False) for j in range(n_in)], dim=1)
        raise checks.no_such_line("read", column, row, self.shape)

    # -- inside

    def _product(self, x: torch.Tensor, direction: str, driven: int) -> torch.Tensor:
        if x.shape[-1:] != self.shape[driven : driven + 1]:
            raise checks.wrong_shape(direction, x, "in" if driven else "out", self.shape)
        use = self._next_use(direction)
        y = self.drive(checks.lines(x), direction, self.io[direction], use, f"Tile.{direction}")
        return y.reshape(*x.shape[:-1], y.shape[1])

    def _read(self, line: int, backward: bool) -> torch.Tensor:
        self.counters(self.reads_in)[_READS] += 1
        io, use = self.io["transfer"], self._next_use("transfer")
        return read_line(self.through(io.wires, backward), line, io, use)

    def _next_use(self, direction: str) -> Use:
        return use_of(self.key, direction, next_event(self.counters("events"), STREAM_OF[direction]))


def multiply(
    matrix: torch.Tensor, x: torch.Tensor, io: IO, use: Use, where: str, sign: float = 1.0
) -> torch.Tensor:
    """Return y = sign * x matrix as the converters give it.

    Args:
        matrix: (driven, sensed) float32, the sums of the currents.
        x: (samples, driven) float32, contiguous.
        io: the converters; use: names the noise; where: the caller, for errors.
        sign: 1.0 or -1.0, applied before the converters.
    Returns: (samples, sensed) float32, new memory.
    Raises: MhoError if x holds NaN or infinity.
    """
    if matrix.is_meta:  # a model without memory gives shapes
        return matrix.new_empty(x.shape[0], matrix.shape[1])
    if x.is_cuda:
        product = on_gpu().multiply(matrix, x, io, use, sign)
        if product is None:
            raise _not_finite(where, x, sign)
        return product
    compiled = converters(x)
    if io.perfect:
        if compiled.first_bad(x.data_ptr(), *x.shape) >= 0:
            raise _not_finite(where, x, sign)
        return _mm(x if sign == 1.0 else -x, matrix)
    samples, width = x.shape[0], matrix.shape[1]
    room = room_for(samples, x.shape[1], width)
    inward, outward = io.numbers
    name = signed(use.key), int(use.stream), use.event
    source, z, words = x.data_ptr(), room.z, room.words
    if compiled.encode(source, sign, room.inputs, room.scale, inward, *name, room.rows, 0, z, words) >= 0:
        raise _not_finite(where, x, sign)
    y = _mm(room.encoded, matrix)
    n_over = compiled.decode(
        y.data_ptr(), width, room.scale, outward, *name, room.rows, 0, room.over, z, words
    )
    for attempt in range(1, io.retries + 1 if n_over else 1):
        rows = room.over[:n_over]
        compiled.encode(
            source, sign, room.inputs[:n_over], room.scale, inward, *name, rows, attempt, z, words
        )
        part = _mm(room.encoded[:n_over], matrix)
        index = torch.from_numpy(rows.copy())
        n_over = compiled.decode(
            part.data_ptr(), width, room.scale, outward, *name, rows, attempt, room.over, z, words
        )
        y[index] = part
        if not n_over:
            break
    return y


def _mm(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return x matrix in new float32 memory: without `out`, autocast would choose another dtype."""
    y = torch.empty(x.shape[0], matrix.shape[1], dtype=torch.float32, device=x.device)
    return torch.mm(x, matrix, out=y)


def read_line(matrix: torch.Tensor, line: int, io: IO, use: Use) -> torch.Tensor:
    """Return one row of a matrix (driven, sensed): drive this line alone, through the output converters."""
    if matrix.is_cuda:
        return on_gpu().read_line(matrix, 0, line, io, use)
    n = matrix.shape[1]
    y = torch.empty(n, dtype=torch.float32)
    room = room_for(1, 1, n)
    name = signed(use.key), int(use.stream), use.event
    start, stride = matrix.data_ptr() + 4 * matrix.stride(0) * line, matrix.stride(1)
    converters(matrix).read(
        start, stride, y.data_ptr(), n, io.numbers[1], not io.perfect, *name, room.z, room.words
    )
    return y


class _Known(threading.local):
    """The x and d of the step that runs in this thread, if they are known to be finite."""

    pair: tuple[object, object] = None, None


known_finite = _Known()


def factors(
    x: torch.Tensor, d: torch.Tensor, lr: float, shape: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an update's arguments as contiguous float32. Raises: MhoError for what is wrong with them."""
    if not math.isfinite(lr):
        raise complaint("Tile.update", f"lr is {lr}", "It must be finite")
    out, n_in = shape
    if not x.shape or x.shape[-1] != n_in:
        raise checks.wrong_shape("update", x, "in", shape)
    if not d.shape or d.shape[-1] != out:
        raise checks.wrong_shape("update", d, "out", shape)
    is_known = x is known_finite.pair[0] and d is known_finite.pair[1]
    x, d = checks.numbers(x), checks.numbers(d)
    samples, others = x.numel() // n_in, d.numel() // out
    if samples != others:
        what = f"x has {samples} samples and d has {others}"
        raise complaint("Tile.update", what, "They must agree")
    if is_known:
        return x, d
    if x.is_cpu:
        bad = converters(d).bad_factors(x.data_ptr(), d.data_ptr(), samples, n_in, out)
    else:
        bad = on_gpu().bad_factors(x.reshape(samples, n_in), d.reshape(samples, out))
    for name, sample in zip("xd", bad, strict=True):
        if sample >= 0:
            what = f"{name} holds NaN or infinity in sample {sample}"
            raise complaint("Tile.update", what, "Both must be finite")
    return x, d


def patches(x: Patches, d: torch.Tensor, shape: tuple[int, int]) -> None:
    """Check that patches (samples, in) and d (samples, out) fit a tile and are finite."""
    expected = len(x), shape[0]
    if x.shape[1] != shape[1] or tuple(d.shape) != expected:
        what = (
            f"x has shape {x.shape} and d {tuple(d.shape)}, but the tile is (out={shape[0]}, in={shape[1]})"
        )
        raise complaint("Tile.update", what, "x must be (samples, in) and d (samples, out)")
    if x is known_finite.pair[0] and d is known_finite.pair[1]:
        return
    for name, parts in (("x", x.images), ("d", [d])):
        if not all(map(is_finite, parts)):
            raise complaint("Tile.update", f"{name} holds NaN or infinity", "Both must be finite")


def is_finite(x: torch.Tensor) -> bool:
    """Return whether x, of any shape, holds neither NaN nor infinity."""
    if x.is_cpu and x.is_contiguous() and x.dtype is torch.float32:
        return converters(x).first_bad(x.data_ptr(), 1, x.numel()) < 0
    return bool(torch.isfinite(x).all())


def converters(x: torch.Tensor) -> ModuleType:
    """Return the compiled converters of the CPU, which take addresses."""
    if not x.is_cpu:
        need = "Products, reads and updates need the CPU or a CUDA device, and all tensors of one the same"
        raise complaint("mho", f"a tensor is on the device {x.device}", need)
    return _on_cpu()


@functools.cache
def on_gpu() -> ModuleType:
    """Load Triton with the first product on a GPU."""
    import mho.kernels.gpu.product

    return mho.kernels.gpu.product


@functools.cache
def _on_cpu() -> ModuleType:
    """Load Numba with the first product, not with `import mho`."""
    with uninterrupted():
        import mho.kernels.cpu.converters

    return mho.kernels.cpu.converters


def _not_finite(where: str, x: torch.Tensor, sign: float):
    row, column = (~torch.isfinite(x)).nonzero()[0].tolist()
    return complaint(
        where,
        f"the input holds {sign * x[row, column].item()} at sample {row}, line {column}",
        "Inputs must be finite",
        "look for a division by zero or an overflow before this layer, or lower the learning rate",
    )
