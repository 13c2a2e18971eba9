"""Numerical search for the zeros of a response law: scan, then bisection, in float64."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

SCAN = torch.logspace(-4, 4, 2001, dtype=torch.float64)  # 250 points a decade: neighbours differ by 0.9%
CELL_SCAN = torch.logspace(-1.3, 1.3, 40, dtype=torch.float64)  # factors of the nominal zero, 0.05 to 20
WIDE_SCAN = torch.logspace(-4, 4, 40, dtype=torch.float64)  # if there is no nominal zero
BISECTIONS = 60  # more than the 53 bits of a float64


def first_zero(f: Function, sign: int) -> float:
    """The first w on one side of 0 (`sign` +1 or -1) where f is no longer positive; sign * inf if none is."""
    grid = sign * SCAN
    stops = (~(f(grid) > 0)).nonzero()
    if len(stops) == 0:
        return sign * float("inf")
    first = int(stops[0])
    inside = grid[first - 1] if first > 0 else torch.zeros((), dtype=torch.float64)
    return bisect(f, inside, grid[first]).item()


def first_zero_per_cell(f: Function, sign: int, shape: torch.Size, near: float, device: torch.device) -> Tensor:
    """`first_zero` for every cell at once, with about 100 evaluations of f, whose values have shape `shape`.

    Args:
        f: the function, of a number or of one w per cell.
        sign: the side of 0, +1 or -1.
        shape: (out, in).
        near: the zero of the nominal cell; zeros from 0.05 to 20 times as far are found.
        device: where the values of f live.
    """
    scan = sign * WIDE_SCAN if abs(near) == float("inf") else near * CELL_SCAN
    inside = torch.zeros(shape, dtype=torch.float64, device=device)
    outside = torch.full_like(inside, sign * float("inf"))
    for w in scan.to(device):
        positive = f(w) > 0
        going = outside.isinf()
        inside = torch.where(going & positive, w, inside)
        outside = torch.where(going & ~positive, w, outside)
    found = outside.isfinite()
    return torch.where(found, bisect(f, inside, torch.where(found, outside, inside)), outside)


def bisect(f: Function, inside: Tensor, outside: Tensor) -> Tensor:
    """The zero between `inside`, where f > 0, and `outside`, where it is not: exact, or just inside."""
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        positive = f(middle) > 0
        inside, outside = torch.where(positive, middle, inside), torch.where(positive, outside, middle)
    return torch.where(f(outside) == 0, outside, inside)


def round_towards_zero(w: Tensor, dtype: torch.dtype) -> Tensor:
    """float64 to another dtype without growing in size, so that a law is still defined at its bound."""
    rounded = w.to(dtype)
    return torch.where(rounded.abs() > w.abs(), torch.nextafter(rounded, torch.zeros_like(rounded)), rounded)


def interior(lower: float, upper: float) -> Tensor:
    """Points strictly between two bounds: evenly spaced, or spaced as `SCAN` if a bound is infinite."""
    if abs(lower) < float("inf") and abs(upper) < float("inf"):
        return torch.linspace(lower, upper, 2003, dtype=torch.float64)[1:-1]
    grid = torch.cat([-SCAN.flip(0), torch.zeros(1, dtype=torch.float64), SCAN])
    return grid[(grid > lower) & (grid < upper)]


class Root(NamedTuple):
    """A zero of g; `rises`: g goes from negative to positive there; `sloped`: its derivative is not zero."""

    w: float
    rises: bool
    sloped: bool


def roots(g: Function, grid: Tensor, scale: Tensor) -> list[Root]:
    """The zeros of g between the first and the last point of a rising grid.

    Args:
        g: the function.
        grid: points, shape (n,), float64; two zeros between neighbours cancel and are missed.
        scale: size of the terms whose difference g is, shape (n,); below 1e-12 of it g counts as zero.
    """
    values = g(grid)
    signs = torch.where(values.abs() <= 1e-12 * scale, 0, values.sign())
    known = signs.nonzero().flatten().tolist()
    zero = torch.zeros((), dtype=torch.float64)
    found = []
    for i, j in zip(known, known[1:], strict=False):
        left, right = grid[i], grid[j]
        if signs[i] != signs[j]:
            w = bisect(lambda w, s=signs[i]: s * g(w), left, right)  # type: ignore[misc]
            if w.abs() < 1e-12 * (right - left) and g(zero) == 0:
                w = zero
            h = (right - left) / 100
            slope = (g(w + h) - g(w - h)) / (2 * h)
            # Compared with a rise by the size of the law over 1000 grid steps, about the range of w.
            sloped = bool(slope.abs() * (right - left) * 1e3 > 1e-6 * scale[i])
            found.append(Root(w.item(), bool(signs[j] > 0), sloped))
        elif j > i + 1:  # g touches zero and turns back
            found.append(Root(grid[(i + j) // 2].item(), False, False))
    return found
