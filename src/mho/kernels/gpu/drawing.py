"""The bit lines of a block of samples, and the kernels that draw them."""

from collections.abc import Iterator

import torch

from mho.kernels.gpu.launch import EXACT, block_for, key_words
from mho.kernels.gpu.lines import columns, measure, words
from mho.kernels.law.plan import PulseTrain
from mho.numerics.rng import Stream

WIDTH = 128  # lines of one program: one a thread, so that many programs hide each other's waits
_WIDEST = 1024  # lines that a program which goes over all of them takes at a time


class LinesOnGpu:
    """Room for the lines of some samples: `length`, `x_words`, `d_words`, and for columns in the order of their
    pulses `order` and `fired`; see `mho.kernels.gpu.lines` for their shapes."""

    def __init__(
        self, samples: int, bl: int, n_in: int, n_out: int, where: torch.device, ordered: bool
    ) -> None:
        def room(*shape: int, dtype=torch.int32) -> torch.Tensor:
            return torch.empty(shape, dtype=dtype, device=where)

        n_words = -(-bl // 32)
        self.length, self.factors = room(samples), room(samples, 2, dtype=torch.float64)
        self.x_words, self.d_words = room(samples, n_words, n_in), room(samples, n_words, n_out)
        if ordered:
            short = torch.int16 if n_in < 1 << 15 else torch.int32  # every row reads it: half the traffic
            self.order, self.fired = room(samples, bl, n_in, dtype=short), room(samples, bl, 2)
        self.ordered = ordered

    def draw(self, x, d, first: int, numbers, key: int, event: int, pulses: PulseTrain, totals) -> None:
        """Draw the lines of samples x (samples, in), d (samples, out), the first being number `first` of its
        update; numbers: (|lr|, dw_min) float64."""
        samples, n_in = x.shape
        n_out, bl = d.shape[1], pulses.bl
        managed = pulses.update_management or pulses.bl_management
        measure[(samples,)](
            x, d, numbers, self.length, self.factors, totals, n_in, n_out, bl,
            MANAGED=managed, BL_MANAGED=pulses.bl_management, BLOCK=block_for(max(n_in, n_out), _WIDEST), **EXACT,
        )  # fmt: skip
        of_x, of_d = (key_words(key, stream, event) for stream in (Stream.X_BITS, Stream.D_BITS))
        most, width = max(n_in, n_out), block_for(max(n_in, n_out), WIDTH)
        words[(samples, -(-most // width), 2)](
            x, d, self.length, self.factors, *of_x, *of_d, first, self.x_words, self.d_words, n_in, n_out, bl,
            BLOCK=width, **EXACT,
        )  # fmt: skip
        if self.ordered:
            columns[(samples * bl,)](
                x, self.length, self.x_words, self.order, self.fired, n_in, bl,
                BLOCK=block_for(n_in, _WIDEST), **EXACT,
            )  # fmt: skip


def blocks(x: torch.Tensor, d: torch.Tensor, most: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Yield (number of the first sample, x, d) of blocks of at most `most` samples."""
    for first in range(0, len(x), most):
        yield first, x[first : first + most], d[first : first + most]
