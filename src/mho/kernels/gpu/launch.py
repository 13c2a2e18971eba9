"""Pulsed updates on the GPU: the sequence of kernels that one update is."""

import torch

from mho.device import Cells, Device
from mho.errors import complaint
from mho.kernels.build import Layout
from mho.kernels.cpu import Sent
from mho.kernels.gpu.build import kernels_for
from mho.kernels.gpu.lines import columns, measure, rows
from mho.kernels.gpu.primitives import EXACT
from mho.kernels.memory import Arrays
from mho.pulses import Pulses
from mho.rng import Stream, call_key, split

_ROOM = 1 << 24  # most ranks of a block's column lines (64 MiB): decides how many samples a block has
_BLOCK = 128  # columns of one program: one a thread, so that many programs hide each other's waits
_WIDEST = 16384  # columns of a row that one program can hold, which stochastic rounding needs


class GpuKernels:
    """The update of one tile whose arrays are tensors on a GPU; see `mho.kernels.cpu.CpuKernels`.

    Args:
        device, cells: as there; arrays: `Arrays` of contiguous tensors; key: the tile's key.
    Under TRITON_INTERPRET=1 the tensors are on the CPU, and Triton's interpreter runs the kernels.
    """

    def __init__(self, device: Device, cells: Cells, arrays: Arrays, key: int) -> None:
        layout = Layout(device, cells)
        self.module = kernels_for(device, layout)
        self.arrays = arrays
        self.key = key
        self.granularity = float(device.dw_min)
        self.where = arrays.cells.device
        self.scal = torch.tensor(
            [float(v) for v in layout.scal(device)], dtype=torch.float32, device=self.where
        )
        self._lr = (0.0, torch.empty(0))

    def update(self, x: torch.Tensor, d: torch.Tensor, lr: float, pulses: Pulses, event: int) -> Sent:
        """Adds lr d x^T to the cells by pulses; x (samples, in), d (samples, out) float32, contiguous, finite,
        on the tile's device. The host waits once, for the totals.

        Raises: MhoError if a row is too long for stochastic rounding.
        """
        totals = torch.zeros(len(Sent._fields), dtype=torch.int64, device=self.where)
        with torch.cuda.device_of(x):
            if pulses.rounding == "stochastic":
                self._send_rounded(x, d, lr, pulses, event, totals)
            else:
                self._send_trains(x, d, lr, pulses, event, totals)
        up, down, bad_after, clipped, lines = totals.tolist()
        if pulses.rounding == "stochastic":
            lines = x.numel() * d.shape[1]
        return Sent(up, down, bad_after - 1, clipped, lines)

    def _send_trains(self, x, d, lr: float, pulses: Pulses, event: int, totals) -> None:
        """Block by block of samples: the lines, then the rows."""
        n_out, n_in = self.arrays.cells.shape
        bl, numbers = pulses.bl, self._numbers(lr)
        block = max(1, min(len(x), _ROOM // (bl * n_in)))
        length, factors, order, fired, bits = self._lines(block, bl)
        before, after = torch.zeros(2, n_out, dtype=torch.int64, device=self.where)
        x_key, d_key, c2c_key = (self._words(s, event) for s in (Stream.X_BITS, Stream.D_BITS, Stream.C2C))
        managed = pulses.update_management or pulses.bl_management
        for first in range(0, len(x), block):
            part_x, part_d = x[first : first + block], d[first : first + block]
            samples = len(part_x)
            measure[(samples,)](
                part_x, part_d, numbers, length, factors, totals, n_in, n_out, bl,
                MANAGED=managed, BL_MANAGED=pulses.bl_management, BLOCK=block_for(max(n_in, n_out), 1024), **EXACT,
            )  # fmt: skip
            columns[(samples * bl,)](
                part_x,
                length,
                factors,
                *x_key,
                first,
                order,
                fired,
                n_in,
                bl,
                BLOCK=block_for(n_in, 1024),
                **EXACT,
            )
            width = block_for(n_out, _BLOCK)
            rows[(samples, -(-n_out // width))](
                part_d, length, factors, *d_key, first, bits, n_out, bl, BLOCK=width, **EXACT
            )
            width = block_for(n_in, _BLOCK)
            self.module.send_trains[(n_out, -(-n_in // width))](
                *self._memory(), part_d, order, fired, bits, before, after, totals, *c2c_key,
                samples, n_in, n_out, bl, **self._kind(lr), BLOCK=width, **EXACT,
            )  # fmt: skip
            before, after = after, before

    def _send_rounded(self, x, d, lr: float, pulses: Pulses, event: int, totals) -> None:
        n_out, n_in = self.arrays.cells.shape
        if n_in > _WIDEST:
            wrong = f"rounding is stochastic and the tile has {n_in} columns"
            raise complaint(
                "Tile.update", wrong, f"A GPU can round rows of up to {_WIDEST}", "use smaller tiles"
            )
        keys = *self._words(Stream.X_BITS, event), *self._words(Stream.C2C, event)
        width = block_for(n_in, _WIDEST)
        self.module.send_rounded[(n_out,)](
            *self._memory(), x, d, self._numbers(lr), totals, *keys, len(x), n_in, n_out, pulses.bl,
            **self._kind(lr), BLOCK=width, num_warps=min(max(width // 512, 4), 16), **EXACT,
        )  # fmt: skip

    def _memory(self):
        return (*self.arrays, self.scal)

    def _kind(self, lr: float) -> dict[str, bool]:
        has_reference, counts = len(self.arrays.reference) > 0, len(self.arrays.counts) > 0
        return {"REVERSED": lr < 0, "HAS_REFERENCE": has_reference, "COUNTS": counts}

    def _numbers(self, lr: float) -> torch.Tensor:
        """(|lr|, dw_min) float64 on the device, kept while lr stays the same."""
        if self._lr[0] != lr or not self._lr[1].numel():
            numbers = [abs(lr), self.granularity]
            self._lr = lr, torch.tensor(numbers, dtype=torch.float64, device=self.where)
        return self._lr[1]

    def _words(self, stream: Stream, event: int) -> tuple[int, int]:
        return signed_words(call_key(self.key, stream, event))

    def _lines(self, samples: int, bl: int):
        """Room for the lines of a block; see `mho.kernels.gpu.lines`."""
        n_out, n_in = self.arrays.cells.shape

        def room(*shape: int, dtype=torch.int32) -> torch.Tensor:
            return torch.empty(shape, dtype=dtype, device=self.where)

        length, factors = room(samples), room(samples, 2, dtype=torch.float64)
        return (
            length,
            factors,
            room(samples, bl, n_in),
            room(samples, bl, 2),
            room(samples, n_out, -(-bl // 32)),
        )


def signed_words(key: int) -> tuple[int, int]:
    """The two 32-bit words of a key as int32, which is how a kernel takes them."""
    low, high = (word - (word >> 31 << 32) for word in split(key))
    return low, high


def block_for(n: int, most: int) -> int:
    """The smallest power of two that holds n, from 16 to `most`."""
    return min(max(16, 1 << (n - 1).bit_length()), most)
