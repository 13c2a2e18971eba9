"""Whole numbers that requests consist of: shapes and steps of numbers in memory, bits of real numbers."""

import struct
from typing import Protocol

Shape = tuple[int, ...]


def bits(value: float) -> int:
    """Return the bits of a float64 as a signed integer."""
    return struct.unpack("q", struct.pack("d", value))[0]


def from_bits(word: int) -> float:
    """Return the float64 that has these bits."""
    return struct.unpack("d", struct.pack("q", word))[0]


class Placed(Protocol):
    """One or two dimensions of numbers in memory."""

    address: int
    shape: Shape
    steps: Shape


def broadcast(shape: Shape, other: Shape) -> Shape | None:
    """Return the shape of an operation on two shapes, or None if they do not fit."""
    if shape == other:
        return shape
    if len(shape) < len(other):
        shape, other = other, shape
    other = (1,) * (len(shape) - len(other)) + other
    found = tuple(max(n, m) for n, m in zip(shape, other, strict=True))
    fit = all(n == m or 1 in (n, m) for n, m in zip(shape, other, strict=True))
    return found if fit else None


def is_contiguous(shape: Shape, steps: Shape) -> bool:
    return steps[-1] == 1 and (len(shape) == 1 or steps[0] == shape[1])


def flat(out: Placed) -> tuple[int, int, int, int, int]:
    """Return rows, columns, address and steps of what is written."""
    if len(out.shape) == 1:
        return 1, out.shape[0], out.address, 0, out.steps[0]
    return *out.shape, out.address, *out.steps  # type: ignore[return-value]


def operand(x: Placed, shape: Shape) -> tuple[int, int, int]:
    """Return the address and the steps of an operand for a result of that shape."""
    if len(x.shape) == 1:
        return x.address, 0, x.steps[0] if x.shape[0] == shape[-1] else 0
    rows, columns = (step if n == m else 0 for step, n, m in zip(x.steps, x.shape, shape, strict=True))
    return x.address, rows, columns
