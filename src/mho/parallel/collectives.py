"""Collective operations of autograd: samples and outputs that change ranks, forward and on the way back."""

import math
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch.autograd.function import once_differentiable

from mho.base.errors import complaint
from mho.parallel.ranks import Group, carrier

MOST = 8  # numbers that describe a shape: how many dimensions, and their sizes


def samples_of_ranks(where: str, x: torch.Tensor, group: Group) -> list[int]:
    """Return the number of samples that x (samples, ...) has on each rank.

    Raises: MhoError on every rank, which names the caller `where`, if samples do not have the same shape on all.
    """
    mine = torch.zeros(MOST, dtype=torch.int64, device=carrier(x.device, group))
    mine[: x.ndim + 1] = torch.tensor([x.ndim, *x.shape])
    found = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(found, mine, group=group)
    shapes = [tuple(numbers[1 : numbers[0] + 1]) for numbers in torch.stack(found).tolist()]
    if len({shape[1:] for shape in shapes}) > 1:
        what = f"samples have the shapes {', '.join(str(shape[1:]) for shape in shapes)} on ranks 0, 1, ..."
        raise complaint(where, what, "They must be the same on all ranks")
    return [shape[0] for shape in shapes]


class Collect(torch.autograd.Function):
    """x (own samples, ...) -> (all samples, ...), rank after rank; back, gradients of all ranks add up."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, samples: list[int], group: Group) -> torch.Tensor:
        ctx.samples, ctx.group = samples, group
        shapes = [(n, *x.shape[1:]) for n in samples]
        return swap([x] * len(samples), shapes, group).view(sum(samples), *x.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx, g: torch.Tensor):
        samples, group = ctx.samples, ctx.group
        shape = samples[dist.get_rank(group)], *g.shape[1:]
        parts = swap(list(g.split(samples)), [shape] * len(samples), group).view(len(samples), *shape)
        *others, total = parts  # the last rows first, as one process adds them up
        for part in reversed(others):
            total = total + part
        return total, None, None


class Deal(torch.autograd.Function):
    """y (all samples, own outputs) -> (own samples, all outputs); back the same way."""

    @staticmethod
    def forward(ctx, y: torch.Tensor, samples: list[int], widths: list[int], group: Group) -> torch.Tensor:
        ctx.samples, ctx.widths, ctx.group = samples, widths, group
        own = samples[dist.get_rank(group)]
        shapes = [(own, width) for width in widths]
        flat = swap(list(y.split(samples)), shapes, group)
        parts = flat.split([math.prod(shape) for shape in shapes])
        return torch.cat([part.view(shape) for part, shape in zip(parts, shapes, strict=True)], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx, g: torch.Tensor):
        samples, widths, group = ctx.samples, ctx.widths, ctx.group
        own = widths[dist.get_rank(group)]
        flat = swap(list(g.split(widths, dim=1)), [(n, own) for n in samples], group)
        return flat.view(sum(samples), own), None, None, None


def swap(parts: list[torch.Tensor], shapes: Sequence[tuple[int, ...]], group: Group) -> torch.Tensor:
    """Send the k-th part to rank k; return the numbers of all ranks, one after the other, as a flat tensor.

    shapes: of each rank's part.
    """
    where = parts[0].device
    sent = torch.cat([part.reshape(-1) for part in parts]).to(carrier(where, group))
    sizes = [math.prod(shape) for shape in shapes]
    received = sent.new_empty(sum(sizes))
    dist.all_to_all_single(received, sent, sizes, [part.numel() for part in parts], group=group)
    return received.to(where)
