"""The inputs of a convolution as rows of numbers, one for each place of the kernel, a few at a time."""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import NamedTuple

import torch
from torch.nn import functional

from mho.base.signals import uninterrupted
from mho.numerics.threads import over_rows

MOST = 1 << 20  # numbers of one piece: 4 MiB, so that patches, products and pulses stay in a cache
WORTH = 1 << 15  # numbers from which on a second thread is worth waking


class Piece(NamedTuple):
    """Patches of the images first to last - 1: those of the output lines top to bottom - 1."""

    first: int
    last: int
    top: int
    bottom: int


class Geometry(NamedTuple):
    """The places of the kernel of a convolution. All tuples have one number a spatial dimension.

    Args:
        kernel, stride, dilation: as in torch.nn.Conv2d; padding has been added to the images already.
        ones: each patch ends with a 1, the input of a bias column.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    ones: bool = False

    def outputs(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Count the places of the kernel in an image of this size, by dimension."""
        sizes = zip(spatial, self.kernel, self.stride, self.dilation, strict=True)
        return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sizes)

    def width(self, channels: int) -> int:
        """Count the numbers in a patch."""
        return channels * math.prod(self.kernel) + self.ones

    def pieces(self, shape: Sequence[int]) -> list[Piece]:
        """Cut the patches of images (samples, channels, ...) into pieces, in order.

        A piece is several images, or lines of one if its patches have more than MOST numbers.
        """
        samples, channels, *spatial = shape
        lines, *others = self.outputs(spatial)
        of_line = math.prod(others) * self.width(channels)
        if lines * of_line <= MOST:
            step = max(1, MOST // (lines * of_line))
            starts = range(0, max(samples, 1), step)
            return [Piece(first, min(first + step, samples), 0, lines) for first in starts]
        step = max(1, MOST // of_line)
        cuts = [(top, min(top + step, lines)) for top in range(0, lines, step)]
        return [Piece(sample, sample + 1, *cut) for sample in range(samples) for cut in cuts]

    def places(self, piece: Piece, shape: Sequence[int]) -> int:
        """Count the patches in a piece of images of this shape."""
        first, last, top, bottom = piece
        return (last - first) * (bottom - top) * math.prod(self.outputs(shape[2:])[1:])

    def rows(self, image: torch.Tensor, piece: Piece) -> torch.Tensor:
        """Return (places, width): the patches of one piece of the images, contiguous."""
        samples, channels, *spatial = image.shape
        first, last, top, bottom = piece
        if self._is_compiled(image):
            return self._cut(image, piece)
        steps = image.stride()[2:]
        size = (samples, *self.outputs(spatial), channels, *self.kernel)
        by_place = (step * s for step, s in zip(steps, self.stride, strict=True))
        by_kernel = (step * d for step, d in zip(steps, self.dilation, strict=True))
        view = image.as_strided(size, (image.stride(0), *by_place, image.stride(1), *by_kernel))
        width = channels * math.prod(self.kernel)
        rows = view[first:last, top:bottom].reshape(self.places(piece, image.shape), width)
        return functional.pad(rows, (0, 1), value=1.0) if self.ones else rows

    def fold(self, shape: Sequence[int], parts: Iterable[tuple[Piece, torch.Tensor]]) -> torch.Tensor:
        """Add up pieces of numbers (places, width) to images of this shape: the inverse of `rows`."""
        _, channels, *spatial = shape
        _, *others = self.outputs(spatial)
        n = len(self.kernel)
        images: torch.Tensor | None = None
        for piece, part in parts:
            first, last, top, bottom = piece
            if images is None:
                images = part.new_zeros(tuple(shape))
            if self._is_compiled(part):
                self._run("add_patches", images, piece, part)
                continue
            part = part[:, : part.shape[1] - self.ones]
            part = part.reshape(last - first, bottom - top, *others, channels, *self.kernel)
            by_kernel = part.permute(*range(n + 2, 2 * n + 2), 0, n + 1, *range(1, n + 1)).contiguous()
            starts, counts = (top * self.stride[0], *[0] * (n - 1)), (bottom - top, *others)
            for place in itertools.product(*map(range, self.kernel)):
                where = [
                    slice(begin + k * d, begin + k * d + (count - 1) * s + 1, s)
                    for begin, k, d, count, s in zip(
                        starts, place, self.dilation, counts, self.stride, strict=True
                    )
                ]
                images[(slice(first, last), slice(None), *where)] += by_kernel[place]
        assert images is not None
        return images

    def _is_compiled(self, part: torch.Tensor) -> bool:
        """Return whether a kernel adds such patches up; the same bits come out without."""
        plain = part.is_cpu and part.dtype is torch.float32 and part.is_contiguous()
        return plain and len(self.kernel) == 2

    def _cut(self, images: torch.Tensor, piece: Piece) -> torch.Tensor:
        rows = images.new_empty(self.places(piece, images.shape), self.width(images.shape[1]))
        if self.ones:
            rows[:, -1] = 1.0
        self._run("cut_patches", images, piece, rows)
        return rows

    def _run(self, name: str, images: torch.Tensor, piece: Piece, part: torch.Tensor) -> None:
        """Run the kernel of this name in `mho.kernels.cpu.patches` on the images and the numbers of a piece."""
        first, last, top, bottom = piece
        across, copy = self.outputs(images.shape[2:])[1], getattr(_compiled(), name)
        where = images.detach().numpy(), first, top, bottom - top, across, *self[:3], part.detach().numpy()
        over_rows(lambda rows: copy(*where, *rows), last - first, worth_it=part.numel() > WORTH)


@functools.cache
def _compiled() -> ModuleType:
    """Load Numba with the first use, not with `import mho`."""
    with uninterrupted():
        import mho.kernels.cpu.patches

    return mho.kernels.cpu.patches


class Patches:
    """Inputs (samples, in) of a convolution's tile, cut out of the images on request.

    It takes the place of a tensor in `Factors` and in `Tile.update`; a sample is one place of the kernel, and they
    come image by image. Multiplying by signs (in,) is remembered.

    Args:
        images: tensors (images, channels, ...) float32, contiguous; geometry: of the kernel.
        cut: first and last + 1 of the numbers of a patch that this tile gets.
    """

    def __init__(
        self,
        images: list[torch.Tensor],
        geometry: Geometry,
        cut: tuple[int, int],
        signs: torch.Tensor | None = None,
    ) -> None:
        self.images, self.geometry, self.cut, self.signs = images, geometry, cut, signs
        places = (i.shape[0] * math.prod(geometry.outputs(i.shape[2:])) for i in images)
        self.shape = sum(places), cut[1] - cut[0]

    def __mul__(self, signs: torch.Tensor) -> "Patches":
        signs = signs if self.signs is None else self.signs * signs
        return Patches(self.images, self.geometry, self.cut, signs)

    def __len__(self) -> int:
        return self.shape[0]

    def pieces(self) -> Iterator[torch.Tensor]:
        """Yield parts (samples, in) of the patches, in order."""
        left, right = self.cut
        for image in self.images:
            for piece in self.geometry.pieces(image.shape):
                rows = self.geometry.rows(image, piece)
                if rows.shape[1] != right - left:
                    rows = rows[:, left:right].contiguous()
                yield rows if self.signs is None else rows * self.signs

    def pairs(self, d: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield parts (x, d) of the factors whose x these patches are."""
        first = 0
        for x in self.pieces():
            yield x, d[first : first + len(x)]
            first += len(x)


def concatenated(parts: "list[torch.Tensor | Patches]") -> "torch.Tensor | Patches":
    """Return the samples of all parts, in order."""
    first = parts[0]
    if isinstance(first, Patches):
        images = [image for part in parts if isinstance(part, Patches) for image in part.images]
        return Patches(images, first.geometry, first.cut, first.signs)
    return torch.cat([part for part in parts if isinstance(part, torch.Tensor)])
