"""Numerical search for the zeros of a response law: scan, then bisection, in float64."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

SCAN = torch.logspace(-4, 4, 2001, dtype=torch.float64)  # 250 points a decade: neighbours differ by 0.9%
CELL_SCAN = torch.logspace(-1.3, 1.3, 40, dtype=torch.float64)  # factors of the nominal zero, 0.05 to 20
WIDE_SCAN = torch.logspace(-4, 4, 40, dtype=torch.float64)  # if there is no nominal zero
BISECTIONS = 60  # more than the 53 bits of a float64
ROUNDING = 1e-12  # a difference of two numbers is taken for zero if it is smaller than this part of them


def first_zero(f: Function, sign: int) -> float:
    """Return the first w on one side of 0 where f is no longer positive; sign * inf if there is none."""
    grid = sign * SCAN
    stops = (~(f(grid) > 0)).nonzero()
    if len(stops) == 0:
        return sign * float("inf")
    first = int(stops[0])
    inside = grid[first - 1] if first > 0 else torch.zeros((), dtype=torch.float64)
    return bisect(f, inside, grid[first]).item()


def first_zero_per_cell(
    f: Function, sign: int, shape: torch.Size, near: float, device: torch.device
) -> Tensor:
    """Return `first_zero` of every cell, by about 100 evaluations of f, whose values have shape `shape`.

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
    """Return the zero between `inside`, where f > 0, and `outside`, where it is not: exact, or just inside."""
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        positive = f(middle) > 0
        inside, outside = torch.where(positive, middle, inside), torch.where(positive, outside, middle)
    return torch.where(f(outside) == 0, outside, inside)


def rounded_inside(f: Function, w: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the zeros of f in another dtype, each moved towards 0 by up to 4 steps that make f finite."""
    w = w.to(dtype)
    for _ in range(4):
        undefined = w.isfinite() & ~f(w).isfinite()
        w = torch.where(undefined, torch.nextafter(w, torch.zeros_like(w)), w)
    return w


def interior(lower: float, upper: float) -> Tensor:
    """Return the points strictly between two bounds: evenly spaced, or spaced as `SCAN` if a bound is infinite."""
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
    """Return the zeros of g between the first and the last point of a rising grid.

    Args:
        g: the function.
        grid: points, shape (n,), float64; two zeros between neighbours cancel and are missed.
        scale: size of the terms whose difference g is, shape (n,); below ROUNDING of it g counts as zero.
    """
    signs = _signs(g(grid), scale)
    known = signs.nonzero().flatten().tolist()
    found = []
    for i, j in itertools.pairwise(known):
        left, right = grid[i], grid[j]
        if signs[i] != signs[j]:
            w = _crossing(g, left, right, signs[j], ROUNDING * scale[i])
            h = (right - left) / 100
            slope = (g(w + h) - g(w - h)) / (2 * h)
            # Compared with a rise by the size of the law over 1000 grid steps, about the range of w.
            sloped = bool(slope.abs() * (right - left) * 1e3 > 1e-6 * scale[i])
            found.append(Root(w.item(), bool(signs[j] > 0), sloped))
        elif j > i + 1:  # g touches zero and turns back
            found.append(Root(grid[(i + j) // 2].item(), False, False))
    return found


def _signs(values: Tensor, scale: Tensor) -> Tensor:
    return torch.where(values.abs() <= ROUNDING * scale, 0, values.sign())


def _crossing(g: Function, left: Tensor, right: Tensor, sign: Tensor, tiny: Tensor) -> Tensor:
    """Return the zero of g between two points: the middle of the stretch with |g| < tiny, or 0 if it lies there."""
    first = bisect(lambda w: -sign * g(w) - tiny, left, right)
    last = bisect(lambda w: sign * g(w) - tiny, right, left)
    zero = torch.zeros_like(left)
    return zero if first <= zero <= last else (first + last) / 2


_NEAR = torch.tensor([1e-9, 1e-6, 1e-4, 1e-3], dtype=torch.float64)
_SCAN = torch.cat([_NEAR, torch.linspace(0.005, 0.995, 100, dtype=torch.float64), 1 - _NEAR.flip(0)])


def central_root_per_cell(
    sizes: Callable[[Tensor], tuple[Tensor, Tensor]], lower: Tensor, upper: Tensor, shape: torch.Size
) -> Tensor:
    """Return the weight nearest to 0 at which up and down pulses of a cell are equal: 0 if they are so everywhere,
    NaN if nowhere.

    It takes about 170 evaluations.

    Args:
        sizes: the sizes (up, down) of pulses, of one w per cell.
        lower: lower bounds, a number or one per cell; finite, or all of them infinite.
        upper: upper bounds, likewise.
        shape: (out, in).
    """

    def sign(w: Tensor) -> Tensor:
        up, down = sizes(w)
        return _signs((down - up) / 2, (down + up) / 2)

    if lower.isfinite().all() and upper.isfinite().all():
        places = (lower + t * (upper - lower) for t in _SCAN)
    else:
        wide = torch.cat([-WIDE_SCAN.flip(0), torch.zeros(1), WIDE_SCAN]).to(lower.device)
        places = (torch.clamp(w, lower, upper) for w in wide)
    points = (place.expand(shape) for place in places)
    a = next(points)
    sign_a = sign(a)
    left = right = torch.full_like(a, float("nan"))
    nearest, differs = torch.full_like(a, float("inf")), sign_a.bool()
    for b in points:
        sign_b = sign(b)
        distance = torch.minimum(a.abs(), b.abs())
        crosses = (sign_a != sign_b) & (distance < nearest)
        left, right = torch.where(crosses, a, left), torch.where(crosses, b, right)
        nearest, differs = torch.where(crosses, distance, nearest), differs | sign_b.bool()
        a, sign_a = b, sign_b

    def difference(w: Tensor) -> Tensor:
        up, down = sizes(w)
        return (down - up) / 2

    rising = difference(right).sign()
    return torch.where(differs, bisect(lambda w: difference(w) * rising, right, left), 0.0)
