"""Pulsed updates on the GPU: the sequence of kernels of an update."""

from types import ModuleType
from typing import Any

import torch

from mho.base.errors import complaint
from mho.kernels.cpu.memory import Arrays
from mho.kernels.gpu.counts import count
from mho.kernels.gpu.drawing import WIDTH, LinesOnGpu, blocks
from mho.kernels.gpu.launch import EXACT, block_for, key_words
from mho.kernels.gpu.noise import Strip, noise_of
from mho.kernels.law.build import kernels_of
from mho.kernels.law.dialect import TRITON
from mho.kernels.law.plan import KernelPlan, PulseTrain, Sent
from mho.numerics.rng import Stream

_ROOM = 1 << 24  # most numbers in a block's lines (64 MiB): decides how many samples a block has
_MOST_GROUPS = 65535  # programs along the last dimension of a grid
_COLUMNS = 512  # most columns of a program that sends trains
_OF_WARP = 128  # columns of a warp there: four a thread share what a slot costs
_WIDEST = 16384  # columns of a row that one program can hold, which stochastic rounding needs


class GpuKernels:
    """The update of one tile whose arrays are tensors on a GPU; see `mho.kernels.cpu.update.CpuKernels`.

    Args:
        plan: the tile's cells; arrays: `Arrays` of contiguous tensors; key: the tile's key.
    Under TRITON_INTERPRET=1 the tensors are on the CPU, and Triton's interpreter runs the kernels.
    """

    def __init__(self, plan: KernelPlan, arrays: Arrays, key: int) -> None:
        self.plan, self.module = plan, kernels_of(plan, "trains", TRITON)
        self.flow: ModuleType | None = None
        self.arrays, self.memory = arrays, arrays[:5]
        self.touched: Any = arrays.touched
        self.key = key
        self.where = torch.device(arrays.cells.device)
        self.scal = torch.tensor([float(v) for v in plan.scal], dtype=torch.float32, device=self.where)
        self._lr = (0.0, torch.empty(0))

    def update(self, x: torch.Tensor, d: torch.Tensor, lr: float, pulses: PulseTrain, event: int) -> Sent:
        """Add lr d x^T to the cells by pulses; x (samples, in), d (samples, out) float32, contiguous, finite,
        on the tile's device. The host waits for the totals, and if there is noise for how much of it.

        Raises: MhoError if a row is too long for stochastic rounding.
        """
        totals = torch.zeros(len(Sent._fields), dtype=torch.int64, device=self.where)
        if pulses.rounding == "stochastic":
            send = self._rounded
        else:
            send = self._aggregated if pulses.aggregate else self._trains
        with torch.cuda.device_of(x):
            send(x, d, lr, pulses, event, totals)
        up, down, bad_after, clipped, lines = totals.tolist()
        self._mark(up + down)
        if pulses.rounding == "stochastic":
            lines = x.numel() * d.shape[1]
        return Sent(up, down, bad_after - 1, clipped, lines)

    def _trains(self, x, d, lr: float, pulses: PulseTrain, event: int, totals) -> None:
        """Send trains block by block of samples: the lines, then the pulses."""
        n_out, n_in = self.arrays.cells.shape
        block = max(1, min(len(x), _ROOM // (pulses.bl * max(n_in, n_out))))
        lines = LinesOnGpu(block, pulses.bl, n_in, n_out, self.where, ordered=True)
        before, after = torch.zeros(2, n_out, dtype=torch.int64, device=self.where)
        numbers, key = self._numbers(lr), key_words(self.key, Stream.C2C, event)
        kind, width = self._kind(lr), block_for(n_in, _COLUMNS)
        for first, part_x, part_d in blocks(x, d, block):
            lines.draw(part_x, part_d, first, numbers, self.key, event, pulses, totals)
            strips = [Strip(0, n_out, self.scal, before)]  # nobody looks for noise there
            if self.plan.noise != "none":
                strips = noise_of(lines, len(part_x), pulses.bl, before, key)
            for strip in strips:
                self.module.send_trains[(strip.rows, -(-n_in // width))](
                    *self.memory, self.scal, part_d, lines.length, lines.order, lines.fired, lines.d_words,
                    before, after, totals, strip.noise, strip.starts, strip.first, len(part_x), n_in, n_out,
                    pulses.bl, **kind, BLOCK=width, num_warps=max(width // _OF_WARP, 1), **EXACT,
                )  # fmt: skip
            before, after = after, before

    def _aggregated(self, x, d, lr: float, pulses: PulseTrain, event: int, totals) -> None:
        """Count the pulses of some samples at a time, then let every cell follow its law's flow."""
        if self.flow is None:
            self.flow = kernels_of(self.plan, "aggregated", TRITON)
        n_out, n_in = self.arrays.cells.shape
        n_words, together = -(-pulses.bl // 32), pulses.aggregate
        by_lines = _ROOM // (n_words * max(n_in, n_out) * together)
        groups = max(1, min(-(-len(x) // together), by_lines, _ROOM // (2 * n_in * n_out), _MOST_GROUPS))
        lines = LinesOnGpu(groups * together, pulses.bl, n_in, n_out, self.where, ordered=False)
        sent = torch.empty(groups, 2, n_out, n_in, dtype=torch.int32, device=self.where)
        before, after = torch.zeros(2, n_out, dtype=torch.int64, device=self.where)
        numbers, key = self._numbers(lr), key_words(self.key, Stream.C2C, event)
        kind, width = self._kind(lr), block_for(n_in, WIDTH)
        reverse = {"REVERSED": kind.pop("REVERSED")}
        rows = n_out, -(-n_in // width)
        for first, part_x, part_d in blocks(x, d, groups * together):
            lines.draw(part_x, part_d, first, numbers, self.key, event, pulses, totals)
            n_groups = -(-len(part_x) // together)
            most = torch.zeros(n_groups, n_out, dtype=torch.int32, device=self.where)
            count[(*rows, n_groups)](
                part_x, part_d, lines.length, lines.x_words, lines.d_words, sent, most, totals,
                len(part_x), together, n_in, n_out, pulses.bl, **reverse, BLOCK=width, **EXACT,
            )  # fmt: skip
            self.flow.apply[rows](
                *self.memory, self.scal, sent, most, before, after, totals, *key, n_groups, n_in, n_out,
                **kind, BLOCK=width, **EXACT,
            )  # fmt: skip
            before, after = after, before

    def _rounded(self, x, d, lr: float, pulses: PulseTrain, event: int, totals) -> None:
        """Round all samples at once, row by row."""
        n_in = self.arrays.cells.shape[1]
        if n_in > _WIDEST:
            wrong = f"rounding is stochastic and the tile has {n_in} columns"
            need = f"A GPU can round rows of up to {_WIDEST}"
            raise complaint("Tile.update", wrong, need, "use smaller tiles")
        self._send_rounded(x, d, self._numbers(lr), lr, pulses.bl, event, totals)

    def send_counted(self, n: torch.Tensor, row: int, column: int, total: int, event: int) -> Sent:
        """Send |n| pulses, down where n < 0, to the rectangle of cells that begins at (row, column): an update
        by d^T x with dw_min = 1, where d chooses a row for each sample, so that nothing is left to round."""
        n_out, n_in = self.arrays.cells.shape
        if n_in > _WIDEST:
            wrong = f"the tile has {n_in} columns"
            raise complaint(
                "Tile.pulse", wrong, f"A GPU can count for rows of up to {_WIDEST}", "use smaller tiles"
            )
        if n.shape[1] == n_in:
            d = torch.eye(n_out, device=self.where)[row : row + len(n)]
            x = n
        else:
            x = torch.zeros(1, n_in, device=self.where)
            x[0, column] = 1.0
            d = n.mT.contiguous()
        totals = torch.zeros(len(Sent._fields), dtype=torch.int64, device=self.where)
        ones = torch.ones(2, dtype=torch.float64, device=self.where)
        with torch.cuda.device_of(x):
            self._send_rounded(x, d, ones, 1.0, int(n.abs().max()), event, totals)
        up, down, bad_after, _, _ = totals.tolist()
        self._mark(up + down)
        return Sent(up, down, bad_after - 1, 0, 0)

    def _send_rounded(self, x, d, numbers: torch.Tensor, lr: float, bl: int, event: int, totals) -> None:
        n_out, n_in = self.arrays.cells.shape
        keys = (*key_words(self.key, Stream.X_BITS, event), *key_words(self.key, Stream.C2C, event))
        width = block_for(n_in, _WIDEST)
        self.module.send_rounded[(n_out,)](
            *self.memory, self.scal, x, d, numbers, totals, *keys, len(x), n_in, n_out, bl,
            **self._kind(lr), BLOCK=width, num_warps=min(max(width // 512, 4), 16), **EXACT,
        )  # fmt: skip

    def _mark(self, pulses: int) -> None:
        """Mark all cells as changed, since no kernel records which of them are."""
        if pulses:
            self.touched.fill_(1)

    def _kind(self, lr: float) -> dict[str, bool]:
        has_reference, counts = len(self.arrays.reference) > 0, len(self.arrays.counts) > 0
        return {"REVERSED": lr < 0, "HAS_REFERENCE": has_reference, "COUNTS": counts}

    def _numbers(self, lr: float) -> torch.Tensor:
        """Return (|lr|, dw_min) float64 on the device, kept while lr stays the same."""
        if self._lr[0] != lr or not self._lr[1].numel():
            numbers = [abs(lr), float(self.plan.dw_min)]
            self._lr = lr, torch.tensor(numbers, dtype=torch.float64, device=self.where)
        return self._lr[1]
