"""The analog product y = W x through its converters, forward, backward or one column at a time."""

import functools
import threading

import numpy as np
import torch

from mho.errors import complaint
from mho.io import IO
from mho.rng import Use, split


def multiply(weight: torch.Tensor, x: torch.Tensor, io: IO, use: Use, where: str) -> torch.Tensor:
    """y = x W^T as the hardware gives it.

    Args:
        weight: (out, in) float32, what the array's currents add up to.
        x: (samples, in) float32, contiguous.
        io: the converters; use: names the noise; where: the caller, for errors.
    Returns: (samples, out) float32.
    Raises: MhoError if x holds NaN or infinity.
    """
    if io.perfect:
        if not torch.isfinite(x).all():
            raise _not_finite(where, x)
        return x @ weight.mT
    encoded, scale = _encode(x, io, use, where, None, 0)
    y = encoded @ weight.mT
    over = _decode(y, scale, io, use, None, 0)
    for attempt in range(1, io.retries + 1):
        if over.size == 0:
            break
        again, new_scale = _encode(x, io, use, where, over, attempt)
        index = torch.from_numpy(over)
        part = torch.zeros_like(y)
        part[index] = again[index] @ weight.mT
        still = _decode(part, new_scale, io, use, over, attempt)
        y[index] = part[index]
        over = still
    return y


def read_out(values: torch.Tensor, io: IO, use: Use) -> torch.Tensor:
    """Output converter alone: `values` (n,) are the currents of one addressed row or column."""
    y = values.reshape(1, -1).clone()
    if not io.perfect:
        _decode(y, _UNSCALED, io, use, None, 0)
    return y.reshape(-1)


_UNSCALED = np.ones(1, np.float32)


@functools.lru_cache(maxsize=256)
def _numbers(io: IO) -> tuple[tuple, tuple]:
    """(bound, step, sigma, managed) of the input side and (bound, step, sigma) of the output side."""
    f = np.float32
    inward = (
        f(io.inp_bound),
        f(2 * io.inp_bound * io.inp_res),
        f(io.sigma_inp),
        io.noise_management == "abs_max",
    )
    return inward, (f(io.out_bound), f(2 * io.out_bound * io.out_res), f(io.sigma_out))


@functools.lru_cache(maxsize=4096)
def _words(key: int) -> tuple[np.uint32, np.uint32]:
    low, high = split(key)
    return np.uint32(low), np.uint32(high)


@functools.lru_cache(maxsize=64)
def _all_rows(n: int) -> np.ndarray:
    return np.arange(n)


_local = threading.local()


def _scratch(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Memory of the calling thread for at least n normal numbers and their words."""
    if getattr(_local, "room", 0) < n:
        _local.room = n
        _local.scratch = np.empty(n, np.float32), np.empty(n, np.uint32)
    return _local.scratch


def _encode(x, io: IO, use: Use, where: str, rows, attempt: int):
    from mho.kernels.converters import encode

    out = torch.empty_like(x)
    scale = np.empty(len(x), np.float32)
    rows = _all_rows(len(x)) if rows is None else rows
    bad = encode(
        x.numpy(),
        out.numpy(),
        scale,
        _numbers(io)[0],
        _words(use.key),
        int(use.stream),
        use.event,
        rows,
        attempt,
        *_scratch(x.shape[1] + 8),
    )
    if bad >= 0:
        raise _not_finite(where, x)
    return out, scale


def _decode(y, scale, io: IO, use: Use, rows, attempt: int) -> np.ndarray:
    from mho.kernels.converters import decode

    rows = _all_rows(len(y)) if rows is None else rows
    over = np.empty(len(rows), np.int64)
    n = decode(
        y.numpy(),
        scale,
        _numbers(io)[1],
        _words(use.key),
        int(use.stream),
        use.event,
        rows,
        attempt,
        over,
        *_scratch(y.shape[1] + 8),
    )
    return over[:n]


def _not_finite(where: str, x: torch.Tensor):
    row, column = (~torch.isfinite(x)).nonzero()[0].tolist()
    return complaint(
        where,
        f"the input holds {x[row, column].item()} at sample {row}, line {column}",
        "Inputs must be finite",
        "look for a division by zero or an overflow before this layer, or lower the learning rate",
    )
