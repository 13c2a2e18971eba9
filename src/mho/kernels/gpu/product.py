"""The analog product on the GPU: converters as Triton kernels, torch's matrix product between them."""

import functools
from collections.abc import Hashable
from typing import Protocol

import numpy as np
import torch

from mho.kernels.gpu.converters import decode, encode, find_bad
from mho.kernels.gpu.launch import EXACT, block_for, key_words
from mho.numerics.rng import Use

_NONE = 1 << 62
_WIDEST = 1024  # lines of one sample that a program holds at a time


class Converters(Hashable, Protocol):
    """The converters of an array, as far as a product depends on them; see `mho.IO`."""

    sigma_inp: float
    sigma_out: float
    noise_management: str
    perfect: bool

    @property
    def inp_step(self) -> float: ...
    @property
    def out_step(self) -> float: ...
    @property
    def retries(self) -> int: ...
    @property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]: ...


def multiply(
    matrix: torch.Tensor, x: torch.Tensor, io: Converters, use: Use, sign: float = 1.0
) -> torch.Tensor | None:
    """Return y = sign * x matrix as the hardware gives it; see `mho.tile.readout.multiply`.

    The noise is the CPU's; the product is torch's, whose order of additions differs from the CPU's. The host
    waits once, and once more for each repetition by bound management.

    Returns: (samples, out) float32, or None if x holds NaN or infinity.
    """
    if io.perfect:
        finite = bool(torch.isfinite(x).all())
        return _mm(x if sign == 1.0 else -x, matrix) if finite else None
    with torch.cuda.device_of(x):
        product = _Product(matrix, x, io, use, sign)
        y = product.attempt(0, None)
        if product.not_finite:
            return None
        rows = None
        for attempt in range(1, io.retries + 1):
            if product.n_over == 0:
                break
            rows = product.over_among(rows)
            y[rows] = product.attempt(attempt, rows)
    return y


def read_line(w: torch.Tensor, dim: int, where: int, io: Converters, use: Use) -> torch.Tensor:
    """Return row (dim 0) or column (dim 1) number `where` of w, through the output converters alone."""
    y = w.select(dim, where).clone(memory_format=torch.contiguous_format)
    if not io.perfect:
        over, status = _int32(y, 1), _status(y)
        with torch.cuda.device_of(y):
            _decode(y.reshape(1, -1), y.new_ones(1), io, _words(use), None, 0, over, status)
    return y


def bad_factors(x: torch.Tensor, d: torch.Tensor) -> list[int]:
    """Return the first samples in which x (samples, in) and d (samples, out), contiguous float32, hold NaN or
    infinity; -1 for none. The host waits once."""
    found = torch.full((2,), _NONE, dtype=torch.int64, device=x.device)
    if len(x):
        width = max(x.shape[1], d.shape[1])
        with torch.cuda.device_of(x):
            find_bad[(len(x), 2)](
                x, d, found, x.shape[1], d.shape[1], BLOCK=block_for(width, _WIDEST), **EXACT
            )
    return [-1 if sample == _NONE else sample for sample in found.tolist()]


class _Product:
    """One product and its repetitions."""

    def __init__(self, matrix: torch.Tensor, x: torch.Tensor, io: Converters, use: Use, sign: float) -> None:
        self.matrix, self.x, self.io, self.sign = matrix, x, io, sign
        self.words = _words(use)

    def attempt(self, attempt: int, rows: torch.Tensor | None) -> torch.Tensor:
        """Return the outputs (len(rows), out) of some samples (None: of all), inputs halved `attempt` times."""
        n = self.x.shape[1]
        samples = len(self.x) if rows is None else len(rows)
        encoded, scale = self.x.new_empty(samples, n), self.x.new_empty(samples)
        status, self.over = _status(self.x), _int32(self.x, samples)
        inward, abs_max = _numbers(self.io, self.x.device)[0], self.io.noise_management == "abs_max"
        if samples:
            encode[(samples,)](
                self.x, self.sign, encoded, scale, inward, rows, status, *self.words, 2 * attempt, 2.0**attempt,
                n, ALL=rows is None, QUANTISE=self.io.inp_step > 0, NOISY=self.io.sigma_inp > 0, ABS_MAX=abs_max,
                BLOCK=block_for(n, _WIDEST), **EXACT,
            )  # fmt: skip
        y = _mm(encoded, self.matrix)
        _decode(y, scale, self.io, self.words, rows, attempt, self.over, status)
        self.not_finite, self.n_over = status.tolist()
        return y

    def over_among(self, rows: torch.Tensor | None) -> torch.Tensor:
        """Return the samples that reached the bound in the last attempt, which was made with `rows`."""
        index = self.over.nonzero()[:, 0]
        return index if rows is None else rows[index]


def _decode(
    y: torch.Tensor, scale: torch.Tensor, io: Converters, words, rows, attempt: int, over, status
) -> None:
    n = y.shape[1]
    if len(y):
        decode[(len(y),)](
            y, scale, _numbers(io, y.device)[1], rows, over, status, *words, 2 * attempt + 1, n,
            ALL=rows is None, QUANTISE=io.out_step > 0, NOISY=io.sigma_out > 0, BLOCK=block_for(n, _WIDEST),
            **EXACT,
        )  # fmt: skip


def _mm(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return x matrix, in new float32 memory: without `out`, autocast would choose another dtype."""
    return torch.mm(x, matrix, out=x.new_empty(len(x), matrix.shape[1]))


def _words(use: Use) -> tuple[int, int]:
    return key_words(*use)


def _status(like: torch.Tensor) -> torch.Tensor:
    """Return room for NOT_FINITE and OVER."""
    return torch.zeros(2, dtype=torch.int64, device=like.device)


def _int32(like: torch.Tensor, n: int) -> torch.Tensor:
    return torch.empty(n, dtype=torch.int32, device=like.device)


@functools.lru_cache(maxsize=256)
def _numbers(io: Converters, where: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `io.numbers` on the device."""
    inward, outward = (torch.from_numpy(numbers).to(where) for numbers in io.numbers)
    return inward, outward
