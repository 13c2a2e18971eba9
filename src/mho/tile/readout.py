"""The analog product y = W x through its converters, forward, backward or one column at a time."""

import functools
import threading
from types import ModuleType

import numpy as np
import torch

from mho.base.errors import complaint
from mho.device.io import IO
from mho.numerics.rng import Use


def multiply(
    matrix: torch.Tensor, x: torch.Tensor, io: IO, use: Use, where: str, sign: float = 1.0
) -> torch.Tensor:
    """y = sign * x matrix as the hardware gives it.

    Args:
        matrix: (in, out) float32, what the array's currents add up to.
        x: (samples, in) float32, contiguous.
        io: the converters; use: names the noise; where: the caller, for errors.
        sign: 1.0 or -1.0, applied before the converters.
    Returns: (samples, out) float32, new memory.
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
        return _product(x if sign == 1.0 else -x, matrix)
    samples, width = x.shape[0], matrix.shape[1]
    room = _room(samples, x.shape[1], width)
    inward, outward = io.numbers
    name = signed(use.key), int(use.stream), use.event
    source, z, words = x.data_ptr(), room.z, room.words
    if compiled.encode(source, sign, room.inputs, room.scale, inward, *name, room.rows, 0, z, words) >= 0:
        raise _not_finite(where, x, sign)
    y = _product(room.encoded, matrix)
    n_over = compiled.decode(
        y.data_ptr(), width, room.scale, outward, *name, room.rows, 0, room.over, z, words
    )
    for attempt in range(1, io.retries + 1 if n_over else 1):
        rows = room.over[:n_over]
        compiled.encode(
            source, sign, room.inputs[:n_over], room.scale, inward, *name, rows, attempt, z, words
        )
        part = _product(room.encoded[:n_over], matrix)
        index = torch.from_numpy(rows.copy())
        n_over = compiled.decode(
            part.data_ptr(), width, room.scale, outward, *name, rows, attempt, room.over, z, words
        )
        y[index] = part
        if not n_over:
            break
    return y


def _product(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """x matrix, into new float32 memory: without `out`, autocast would have it in another dtype."""
    y = torch.empty(x.shape[0], matrix.shape[1], dtype=torch.float32, device=x.device)
    return torch.mm(x, matrix, out=y)


def read_line(w: torch.Tensor, dim: int, where: int, io: IO, use: Use) -> torch.Tensor:
    """Row (dim 0) or column (dim 1) number `where` of w, through the output converters alone."""
    if w.is_cuda:
        return on_gpu().read_line(w, dim, where, io, use)
    step, stride = w.stride(dim), w.stride(1 - dim)
    n = w.shape[1 - dim]
    y = torch.empty(n, dtype=torch.float32)
    room = _room(1, 1, n)
    name = signed(use.key), int(use.stream), use.event
    start = w.data_ptr() + 4 * step * where
    converters(w).read(
        start, stride, y.data_ptr(), n, io.numbers[1], not io.perfect, *name, room.z, room.words
    )
    return y


def converters(x: torch.Tensor) -> ModuleType:
    """The compiled converters of the CPU, which take addresses."""
    if not x.is_cpu:
        raise complaint(
            "mho",
            f"a tensor is on the device {x.device}",
            "Products, reads and updates need the CPU or a CUDA device, and all tensors of one the same",
        )
    return _on_cpu()


@functools.cache
def on_gpu() -> ModuleType:
    """Triton is loaded with the first product on a GPU."""
    import mho.kernels.gpu.product

    return mho.kernels.gpu.product


@functools.cache
def _on_cpu() -> ModuleType:
    """Numba is loaded with the first product, not by `import mho`."""
    import mho.kernels.cpu.converters

    return mho.kernels.cpu.converters


def signed(key: int) -> int:
    """A 64-bit key as Numba takes integers: without a second compilation for those beyond 2^63."""
    return key - (1 << 64) if key >> 63 else key


class _Room:
    """Scratch memory for products of one shape."""

    def __init__(self, samples: int, n_in: int, n_out: int) -> None:
        self.encoded = torch.empty(samples, n_in, dtype=torch.float32)
        self.inputs = self.encoded.numpy()
        self.scale = np.empty(samples, np.float32)
        self.rows, self.over = np.arange(samples), np.empty(samples, np.int64)
        n = max(n_in, n_out) + 8
        self.z, self.words = np.empty(n, np.float32), np.empty(n, np.uint32)


_KEPT = 1 << 20  # numbers: larger rooms, which are made in no time compared with their product, are not kept
_local = threading.local()


def _room(samples: int, n_in: int, n_out: int) -> _Room:
    """The calling thread's room for this shape: no product of small layers allocates more than its result."""
    shape = samples, n_in, n_out
    try:
        return _local.rooms[shape]
    except AttributeError:
        _local.rooms = {}
    except KeyError:
        if len(_local.rooms) > 64:
            _local.rooms.clear()
    room = _Room(*shape)
    if samples * n_in <= _KEPT:
        _local.rooms[shape] = room
    return room


def _not_finite(where: str, x: torch.Tensor, sign: float):
    row, column = (~torch.isfinite(x)).nonzero()[0].tolist()
    return complaint(
        where,
        f"the input holds {sign * x[row, column].item()} at sample {row}, line {column}",
        "Inputs must be finite",
        "look for a division by zero or an overflow before this layer, or lower the learning rate",
    )
