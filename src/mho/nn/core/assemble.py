"""The digital side of a matrix of blocks: cutting inputs, scaling and adding up outputs, and the way back.

On the CPU each is one compiled call: several torch operations on some thousand numbers take longer to start than to
run. Elsewhere each is those operations.
"""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

import torch

from mho.base.signals import uninterrupted
from mho.requests.queue import Queue
from mho.requests.shapes import bits

Cut = tuple[int, int]


@functools.cache
def _compiled() -> ModuleType:
    """Load Numba with the first product, not with `import mho`."""
    with uninterrupted():
        import mho.kernels.cpu.assemble

    return mho.kernels.cpu.assemble


class Followed(Protocol):
    """Weights whose changes can be followed line by line, see `mho.tile.readout.Visible`."""

    @property
    def w(self) -> torch.Tensor: ...

    @property
    def touched(self) -> torch.Tensor: ...


def add_terms(weight: torch.Tensor, first: Followed, second: Followed, factor: float) -> None:
    """Set weight = first.w + factor * second.w, on the rows and columns that were touched since the last call."""
    marks, more = first.touched, second.touched
    if weight.is_cpu:
        weights, rows, columns, touched, too = _places(weight, first, second)
        _compiled().add_touched(*weights, factor, rows, columns, touched, too)
        return
    torch.mul(second.w, factor, out=weight)  # `add` with a factor would not round the product
    weight.add_(first.w)
    marks.zero_()
    more.zero_()


def ask_terms(queue: Queue, weight: torch.Tensor, first: Followed, second: Followed, factor: float) -> None:
    """Ask for `add_terms`, of tensors on a CPU."""
    weights, *rest = places = _places(weight, first, second)
    queue.add((queue.compiled.add_terms, 11, 0, *weights, bits(factor), *rest))
    if queue.trace is not None:
        queue.trace.guards.append((_are_at, weight, first, second, places))


def ask_sum(queue: Queue, weight: torch.Tensor, arrays: Sequence[Followed], factors: Sequence[float]) -> None:
    """Ask for weight = sum of factor * array.w on the lines that were touched, of tensors on a CPU."""
    places = _places_of_sum(weight, arrays)
    terms = [part for (w, marks), f in zip(places[1:], factors, strict=True) for part in (w, bits(f), marks)]
    words = places[0][0], *weight.shape, len(arrays), *terms
    queue.add((queue.compiled.add_all, 3 + len(words), 0, *words))
    if queue.trace is not None:
        queue.trace.guards.append((_sums_at, weight, arrays, places))


def _places_of_sum(weight: torch.Tensor, arrays: Sequence[Followed]) -> list[tuple[int, ...]]:
    return [(weight.data_ptr(),), *((part.w.data_ptr(), part.touched.data_ptr()) for part in arrays)]


def _sums_at(weight: torch.Tensor, arrays: Sequence[Followed], places: list[tuple[int, ...]]) -> bool:
    return _places_of_sum(weight, arrays) == places


Places = tuple[tuple[int, int, int], int, int, int, int]


def _places(weight: torch.Tensor, first: Followed, second: Followed) -> Places:
    """Return the addresses of three matrices, their shape, and the addresses of two groups of marks."""
    weights = weight.data_ptr(), first.w.data_ptr(), second.w.data_ptr()
    return weights, *weight.shape, first.touched.data_ptr(), second.touched.data_ptr()  # type: ignore[return-value]


def _are_at(weight: torch.Tensor, first: Followed, second: Followed, places: Places) -> bool:
    return _places(weight, first, second) == places


def columns_of(x: torch.Tensor, cuts: list[Cut]) -> list[torch.Tensor]:
    """Return the parts x[:, first:last] of x (samples, in) contiguous float32, contiguous themselves."""
    if len(cuts) == 1:
        return [x]
    if not x.is_cpu:
        return [x[:, first:last].contiguous() for first, last in cuts]
    samples, width = x.shape
    parts = [torch.empty(samples, last - first, dtype=torch.float32) for first, last in cuts]
    for part, (first, last) in zip(parts, cuts, strict=True):
        _compiled().copy_lines(x.data_ptr() + 4 * first, width, samples, last - first, part.data_ptr())
    return parts


def add_output(
    y: torch.Tensor,
    scale: torch.Tensor | None,
    out: torch.Tensor,
    cut: Cut,
    first: bool,
    bias: torch.Tensor | None,
) -> None:
    """Set out[:, cut] = scale * y, or add it unless it is the `first` block there; then add bias[cut], if given."""
    (top, bottom), (samples, width) = cut, out.shape
    if y.is_cpu:
        scale, bias = _plain(scale), _plain(bias)
        offset = 0 if bias is None else bias.data_ptr() + 4 * top
        to = out.data_ptr() + 4 * top
        _compiled().add_output(
            y.data_ptr(), samples, bottom - top, *_address(scale), offset, first, to, width
        )
        return
    part = out[:, top:bottom]
    y = y if scale is None else y * scale
    part.copy_(y) if first else part.add_(y)
    if bias is not None:
        part.add_(bias[top:bottom])


def error_of_block(
    g: torch.Tensor, cut: Cut, scale: torch.Tensor | None, y: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return d = -scale * g[:, cut], the error of a block, and g[:, cut] * y, whose sum is its scale's gradient.

    g: (samples, out) contiguous float32; y: the block's outputs before the scale, or None.
    """
    (top, bottom), (samples, width) = cut, g.shape
    if g.is_cpu:
        scale = _plain(scale)
        d = torch.empty(samples, bottom - top, dtype=torch.float32)
        gy, more = None, (0, 0)
        if y is not None:
            gy = torch.empty_like(d)
            more = y.data_ptr(), gy.data_ptr()
        start, factor = g.data_ptr() + 4 * top, _address(scale)
        _compiled().error_of_block(start, width, samples, bottom - top, *factor, d.data_ptr(), *more)
        return d, gy
    part = g[:, top:bottom]
    d = -part if scale is None else part * -scale
    return d.contiguous(), None if y is None else part * y


def _plain(numbers: torch.Tensor | None) -> torch.Tensor | None:
    """Return a parameter as the compiled code takes it."""
    if numbers is None or (numbers.dtype is torch.float32 and numbers.is_cpu and numbers.is_contiguous()):
        return numbers
    return numbers.detach().to("cpu", torch.float32).contiguous()


def _address(numbers: torch.Tensor | None) -> tuple[int, int]:
    """Return the address of the numbers of a scale, and their number."""
    return (0, 0) if numbers is None else (numbers.data_ptr(), numbers.shape[0])
