"""What a tile checks about vectors that come in and weights that come out, and how it complains."""

import math

import torch

from mho.errors import MhoError, complaint
from mho.mvm import converters, on_gpu


def factors(
    x: torch.Tensor, d: torch.Tensor, lr: float, shape: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """An update's arguments as contiguous float32; raises what is wrong with them."""
    if not math.isfinite(lr):
        raise complaint("Tile.update", f"lr is {lr}", "It must be finite")
    out, n_in = shape
    if not x.shape or x.shape[-1] != n_in:
        raise wrong_shape("update", x, "in", shape)
    if not d.shape or d.shape[-1] != out:
        raise wrong_shape("update", d, "out", shape)
    x, d = numbers(x), numbers(d)
    samples, others = x.numel() // n_in, d.numel() // out
    if samples != others:
        what = f"x has {samples} samples and d has {others}"
        raise complaint("Tile.update", what, "They must agree")
    if x.is_cpu:
        bad = converters(d).bad_factors(x.data_ptr(), d.data_ptr(), samples, n_in, out)
    else:
        bad = tuple(on_gpu().first_bad(v.reshape(samples, -1)) for v in (x, d))
    for name, sample in zip("xd", bad, strict=True):
        if sample >= 0:
            what = f"{name} holds NaN or infinity in sample {sample}"
            raise complaint("Tile.update", what, "Both must be finite")
    return x, d


def lines(x: torch.Tensor) -> torch.Tensor:
    """x (..., n) as (samples, n), detached, float32 and contiguous; the same memory if that is what it is."""
    return numbers(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]))


def numbers(x: torch.Tensor) -> torch.Tensor:
    """x detached, float32 and contiguous; x itself if that is what it is."""
    if x.dtype is not torch.float32:
        x = x.to(torch.float32)
    if x.requires_grad:
        x = x.detach()
    if x.is_neg():  # a view that torch negates when it is read, as of the imaginary part of a conjugate
        x = x.resolve_neg()
    return x.contiguous()


def wrong_shape(verb: str, value: torch.Tensor, line: str, shape: tuple[int, int]) -> MhoError:
    """The complaint about a vector whose last dimension is not the number of `line` ("in" or "out") lines."""
    out, n_in = shape
    n = n_in if line == "in" else out
    letter = "x" if line == "in" else "d"
    return complaint(
        f"Tile.{verb}",
        f"{letter} has shape {tuple(value.shape)} but this tile is (out={out}, in={n_in})",
        f"{letter} must be (..., {line}) = (..., {n})",
        "pass the layer input, not its output" if line == "in" else "pass the error at the layer's output",
    )


def runaway(cells: torch.Tensor, law: object) -> MhoError:
    """The complaint about a law that drove a weight to NaN or infinity."""
    row, column = (~torch.isfinite(cells)).nonzero()[0].tolist()
    return complaint(
        f"{type(law).__name__}.up/down",
        f"the law drove cell ({row}, {column}) to {cells[row, column].item()}",
        "A response must be finite everywhere between its bounds",
        "check it with mho.testing.check_response",
    )
