"""The way from stand-ins back to the usual tensors, and which tensors have stand-ins."""

import functools
from typing import Any

import torch

from mho.requests.trace import Index, Rate, StandIn, Unit


def fits(t: torch.Tensor) -> bool:
    """Return whether a tensor has a stand-in."""
    return (
        t.dtype is torch.float32
        and t.is_cpu
        and 1 <= t.ndim <= 2
        and t.numel() > 0
        and min(t.stride()) >= 0
        and not t.requires_grad
        and type(t) is torch.Tensor
        and not t.is_neg()
    )


def unit(u: Unit, j: int) -> torch.Tensor:
    """Return the j-th unit vector (n,), which is kept: a part of zeros with a one in the middle."""
    return _window(u.n)[u.n - 1 - j : 2 * u.n - 1 - j]


@functools.cache
def _window(n: int) -> torch.Tensor:
    x = torch.zeros(2 * n - 1, dtype=torch.float32)
    x[n - 1] = 1.0
    return x


def usual(value: Any) -> Any:
    """Return the usual tensor of a stand-in, and anything else as it is, also inside of lists and tuples."""
    if type(value) is Unit:
        return unit(value, int(value.j))
    if isinstance(value, StandIn):
        return value.usual()
    if type(value) in (Index, Rate):
        return int(value) if type(value) is Index else float(value)
    if isinstance(value, (list, tuple)) and any(isinstance(part, (StandIn, Unit)) for part in value):
        return type(value)(map(usual, value))
    return value
