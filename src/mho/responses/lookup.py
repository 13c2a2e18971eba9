"""Interpolation in a table of numbers: the one operation of laws that is not arithmetic."""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.fx.proxy import Proxy

Row = tuple[float, ...]


def lookup(table: Row | tuple[Row, ...], x: Tensor, y: Tensor | None = None) -> Tensor:
    """Interpolate linearly between evenly spaced nodes, in one or in two directions.

    Args:
        table: numbers at the nodes: (n,), or (n, m) with y.
        x: place in units of nodes, any shape: 0 is the first, n - 1 the last; beyond them the end holds. NaN is 0.
        y: likewise along the second direction.
    """
    if isinstance(x, Proxy):  # the law is being traced: one operation, see mho.kernels.law.lowerings
        args: tuple[Any, ...] = (table, x) if y is None else (table, x, y)
        return x.tracer.create_proxy("call_function", lookup, args, {})  # type: ignore[return-value]
    values = _padded(table, x.dtype, x.device)
    i, f = _place(x, values.shape[0] - 2)
    if y is None:
        return values[i] + f * (values[i + 1] - values[i])
    j, g = _place(y, values.shape[1] - 2)
    first = values[i, j] + g * (values[i, j + 1] - values[i, j])
    second = values[i + 1, j] + g * (values[i + 1, j + 1] - values[i + 1, j])
    return first + f * (second - first)


def _place(x: Tensor, last: int) -> tuple[Tensor, Tensor]:
    """Return the node below x, and the distance of x from it."""
    x = torch.where(x > 0, x, 0.0).clamp(max=last)
    i = x.floor()
    return i.long(), x - i


@functools.lru_cache(maxsize=16)
def _padded(table: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the table with its last row, and its last column, twice."""
    values = torch.tensor(table, dtype=dtype, device=device)
    for dim in range(values.ndim):
        values = torch.cat([values, values.narrow(dim, values.shape[dim] - 1, 1)], dim)
    return values
