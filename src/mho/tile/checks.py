"""Rules of shape for the arguments of a tile, and the complaints about them."""

import functools
import math
from collections.abc import Callable
from types import NoneType
from typing import Any, NamedTuple, SupportsIndex

import torch

from mho.base.errors import MhoError, complaint, shown, wrong_type
from mho.base.signals import uninterrupted
from mho.kernels.law.plan import no_flow


class Counts(NamedTuple):
    """Numbers of pulses for a rectangle of cells."""

    n: torch.Tensor  # (rows, columns) float32, contiguous, whole numbers
    row: int  # of its first cell
    column: int
    total: int  # the sum of |n|


def rate(lr: object) -> float:
    """Return a learning rate as a float. Raises: MhoError for what is no number that float32 could hold."""
    try:
        number = math.inf if isinstance(lr, str) else float(lr)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if not abs(number) < 3.4e38:
        raise complaint("Tile.update", f"lr is {shown(lr)}", "It must be finite")
    return number


def counts(
    n: torch.Tensor, column: int | None, row: int | None, shape: tuple[int, int], where: torch.device
) -> Counts:
    """Return the arguments of `Tile.pulse`, checked; `where`: the tile's device."""
    out, n_in = shape
    if not isinstance(column, (SupportsIndex, NoneType)) or not isinstance(row, (SupportsIndex, NoneType)):
        raise wrong_type("Tile.pulse", "the line", row if column is None else column, "an integer")
    if column is None and row is None:
        first, rectangle, words = (0, 0), shape, "(out, in)"
    elif row is None and column is not None and -n_in <= column < n_in:
        first, rectangle, words = (0, column % n_in), (out, 1), "(out,)"
    elif column is None and row is not None and -out <= row < out:
        first, rectangle, words = (row % out, 0), (1, n_in), "(in,)"
    else:
        raise no_such_line("pulse", column, row, shape)
    if not isinstance(n, torch.Tensor):
        raise wrong_type("Tile.pulse", "n", n, "a tensor")
    given = n.shape
    if given != (rectangle if words == "(out, in)" else (out if words == "(out,)" else n_in,)):
        need = f"n must be {words}, and this tile is (out={out}, in={n_in})"
        raise complaint("Tile.pulse", f"n has shape {tuple(given)}", need)
    if n.device != where:
        what = f"n is on {n.device} and the tile on {where}"
        raise complaint("Tile.pulse", what, "They must agree", "move one of them")
    if n.dtype.is_complex:
        raise complaint("Tile.pulse", f"n has dtype {n.dtype}", "Its numbers must be real")
    exact, n = n, numbers(n)
    total = _whole(n)
    if total < 0 or (exact.dtype is not torch.float32 and not torch.equal(n.to(exact.dtype), exact)):
        wide = exact.detach().to("cpu", torch.float64)
        bad = wide[~((wide.abs() < 2**24) & (wide == wide.round()))][0].item()
        need = "They must be whole numbers, less than 2^24 = 16777216 in size"
        raise complaint("Tile.pulse", f"n holds {bad}", need, "round n")
    return Counts(n.view(rectangle), *first, total)


def _whole(n: torch.Tensor) -> int:
    """Return the sum of |n|, or -1 if its float32 numbers are not whole or too large."""
    if n.is_cpu:
        return _counter()(n.data_ptr(), n.numel())
    return int(n.abs().double().sum()) if ((n.abs() < 2**24) & (n == n.round())).all() else -1


@functools.cache
def _counter() -> Callable[[int, int], int]:
    """Numba is loaded with the first pulse."""
    with uninterrupted():
        from mho.kernels.cpu.counted import count_pulses

    return count_pulses


def no_such_line(verb: str, column: int | None, row: int | None, shape: tuple[int, int]) -> MhoError:
    """Return the complaint about a line that a tile of this shape does not have, or about two lines."""
    if column is not None and row is not None:
        return complaint(f"Tile.{verb}", "both a column and a row are given", f"It {verb}s one line")
    kind, where, n = ("row", row, shape[0]) if column is None else ("column", column, shape[1])
    return complaint(f"Tile.{verb}", f"there is no {kind} {where}", f"This tile has {n}, counted from 0")


def lines(x: torch.Tensor) -> torch.Tensor:
    """Return x (..., n) as (samples, n), detached, float32 and contiguous; the same memory if x is all that."""
    return numbers(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]))


def numbers(x: torch.Tensor) -> torch.Tensor:
    """Return x detached, float32 and contiguous; x itself if it is all that."""
    if x.dtype is not torch.float32:
        x = x.to(torch.float32)
    if x.requires_grad:
        x = x.detach()
    if x.is_neg():  # a view that torch negates when it is read, as of the imaginary part of a conjugate
        x = x.resolve_neg()
    return x.contiguous()


def wrong_shape(verb: str, value: torch.Tensor, line: str, shape: tuple[int, int]) -> MhoError:
    """Return the complaint about a vector whose last dimension does not fit the "in" or "out" lines."""
    out, n_in = shape
    n = n_in if line == "in" else out
    letter = "x" if line == "in" else "d"
    return complaint(
        f"Tile.{verb}",
        f"{letter} has shape {tuple(value.shape)} but this tile is (out={out}, in={n_in})",
        f"{letter} must be (..., {line}) = (..., {n})",
        "pass the layer input, not its output" if line == "in" else "pass the error at the layer's output",
    )


def matrix(verb: str, name: str, value: torch.Tensor, shape: tuple[int, int]) -> None:
    """Check that a matrix fits a tile of this shape and is finite."""
    if tuple(value.shape) == shape and value.is_meta:
        return
    if tuple(value.shape) != shape or not torch.isfinite(value).all():
        what = f"{name} has shape {tuple(value.shape)}, finite: {bool(torch.isfinite(value).all())}"
        need = f"{name} must be finite and of shape (out, in) = {shape}"
        raise complaint(f"Tile.{verb}", what, need)


def countable(pulses: Any, device: Any) -> None:
    """Check that the pulses of a device may be counted and applied together. Raises: MhoError."""
    if getattr(pulses, "aggregate", 0) and device.c2c == "law":
        raise no_flow()


def runaway(cells: torch.Tensor, law: object) -> MhoError:
    """Return the complaint about a law that drove a weight to NaN or infinity."""
    row, column = (~torch.isfinite(cells)).nonzero()[0].tolist()
    return complaint(
        f"{type(law).__name__}.up/down",
        f"the law drove cell ({row}, {column}) to {cells[row, column].item()}",
        "A response must be finite everywhere between its bounds",
        "check it with mho.testing.check_response",
    )
