"""The analog product y = W x through its converters, forward, backward or one column at a time."""

import numpy as np
import torch

from mho.errors import complaint
from mho.io import IO
from mho.rng import split


def multiply(weight: torch.Tensor, x: torch.Tensor, io: IO, key: int, where: str) -> torch.Tensor:
    """y = x W^T as the hardware gives it.

    Args:
        weight: (out, in) float32, what the array's currents add up to.
        x: (samples, in) float32.
        io: the converters; key: the call key of this use (mho.rng.call_key); where: the caller, for errors.
    Returns: (samples, out) float32.
    Raises: MhoError if x holds NaN or infinity.
    """
    if io.perfect:
        if not torch.isfinite(x).all():
            raise _not_finite(where, x)
        return x @ weight.mT
    encoded, scale, rows = _encode(x, io, key, where)
    y = encoded @ weight.mT
    over = _decode(y, scale, io, key, rows, 0)
    for attempt in range(1, io.retries + 1):
        if over.size == 0:
            break
        again, new_scale, _ = _encode(x, io, key, where, over, attempt)
        index = torch.from_numpy(over)
        part = torch.zeros_like(y)
        part[index] = again[index] @ weight.mT
        still = _decode(part, new_scale, io, key, over, attempt)
        y[index] = part[index]
        over = still
    return y


def read_out(values: torch.Tensor, io: IO, key: int) -> torch.Tensor:
    """Output converter alone: `values` (n,) are the currents of one addressed row or column."""
    if io.perfect:
        return values.clone()
    y = values.reshape(1, -1).clone()
    _decode(y, np.ones(1, np.float32), io, key, np.zeros(1, np.int64), 0)
    return y.reshape(-1)


def _encode(x, io: IO, key: int, where: str, rows=None, attempt: int = 0):
    from mho.kernels.converters import encode

    source = x.numpy()
    out = np.empty_like(source)
    scale = np.empty(len(source), np.float32)
    rows = np.arange(len(source)) if rows is None else rows
    bad = encode(
        source, out, scale, *_range(io.inp_bound, io.inp_res, io.sigma_inp),
        io.noise_management == "abs_max", _words(key), rows, attempt,
    )  # fmt: skip
    if bad >= 0:
        raise _not_finite(where, x)
    return torch.from_numpy(out), scale, rows


def _decode(y, scale, io: IO, key: int, rows, attempt: int) -> np.ndarray:
    from mho.kernels.converters import decode

    over = np.empty(len(rows), np.int64)
    n = decode(y.numpy(), scale, *_range(io.out_bound, io.out_res, io.sigma_out), _words(key), rows, attempt, over)
    return over[:n]


def _range(bound: float, resolution: float, sigma: float) -> tuple[np.float32, np.float32, np.float32]:
    return np.float32(bound), np.float32(2 * bound * resolution), np.float32(sigma)


def _words(key: int) -> tuple[np.uint32, np.uint32]:
    low, high = split(key)
    return np.uint32(low), np.uint32(high)


def _not_finite(where: str, x: torch.Tensor):
    row, column = (~torch.isfinite(x)).nonzero()[0].tolist()
    return complaint(
        where,
        f"the input holds {x[row, column].item()} at sample {row}, line {column}",
        "Inputs must be finite",
        "look for a division by zero or an overflow before this layer, or lower the learning rate",
    )
