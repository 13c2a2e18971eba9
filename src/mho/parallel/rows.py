"""The rows of a matrix, dealt out to the ranks."""

import itertools
import math
from typing import Self

import torch
import torch.distributed as dist
from torch import nn

from mho.base.errors import complaint
from mho.nn.core import checkpoint
from mho.nn.core.block import Block
from mho.nn.core.matrix import AnalogMatrix
from mho.nn.core.product import MatrixLayout, product
from mho.nn.embedding import AnalogEmbedding
from mho.parallel.collectives import Collect, Deal, samples_of_ranks, swap
from mho.parallel.ranks import Group, group_of


class Share(nn.ModuleDict):
    """Some of the blocks of a matrix by their number there, which are loaded from the state of all."""

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        own = {k: v for k, v in state_dict.items() if k.removeprefix(prefix).partition(".")[0] in self}
        super()._load_from_state_dict(own, prefix, *args)


class RowShard(nn.Module):
    """The share of one rank of an `AnalogMatrix`: some of its rows of blocks, each unchanged, key included.

    All ranks multiply together: each collects the inputs of all, multiplies its rows with them, and deals out
    the outputs; errors travel the opposite way. So a block sees all samples, rank after rank, like a block of
    one process that has the whole mini-batch, and learns from them without an exchange.

    Args:
        matrix: the whole one; it must have a row of blocks for each rank. Its blocks are shared, not copied.
        group: the ranks.
    """

    def __init__(self, matrix: AnalogMatrix, group: Group) -> None:
        super().__init__()
        rank, ranks = dist.get_rank(group), dist.get_world_size(group)
        n_rows, width = len(matrix.rows), len(matrix.columns)
        cuts = [n_rows * k // ranks for k in range(ranks + 1)]
        edges = [matrix.rows[first][0] for first in cuts[:-1]] + [matrix.rows[-1][1]]
        first, last, top = cuts[rank], cuts[rank + 1], edges[rank]
        kept = {
            str(n): block
            for n, block in enumerate(matrix.blocks)
            if isinstance(block, Block) and first * width <= n < last * width
        }
        rows = [(upper - top, lower - top) for upper, lower in matrix.rows[first:last]]
        self.group = group
        self.widths = [lower - upper for upper, lower in itertools.pairwise(edges)]
        self.blocks = Share(kept)
        self.analog_hardware = matrix.analog_hardware
        self.calls = matrix.calls
        self.layout = matrix.layout._replace(blocks=list(kept.values()), rows=rows)

    @torch.compiler.disable
    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Multiply with the whole matrix; every rank has to call it, with its own samples and the whole bias.

        torch.compile leaves it as it is.
        """
        layout: MatrixLayout = self.layout
        if layout.geometry is None:
            samples, places, shape = x.reshape(-1, x.shape[-1]), 1, x.shape[:-1]
        else:
            samples, places = x, math.prod(layout.geometry.outputs(x.shape[2:]))
            shape = torch.Size([len(x) * places])
        counts = samples_of_ranks("AnalogMatrix.forward", samples, self.group)
        everyone = Collect.apply(samples.to(torch.float32), counts, self.group)
        y = product(everyone, layout, self.training)
        y = Deal.apply(y, [n * places for n in counts], self.widths, self.group)
        y = y if bias is None else y + bias
        return y.to(x.dtype).reshape(*shape, y.shape[1])

    @property
    def weight(self) -> torch.Tensor:
        """(out, in): the whole matrix that the network sees; a copy. Every rank has to ask for it."""
        return self.read()

    def version(self) -> int:
        """Return the number of writes to the blocks of this rank."""
        return sum(block.version for block in self.blocks.children() if isinstance(block, Block))

    def weights(self) -> list[nn.Parameter]:
        """Return the parameters of the blocks of this rank."""
        return [block.weight for block in self.blocks.children() if isinstance(block, Block)]

    def program_(self, weight: torch.Tensor) -> Self:
        """Raise MhoError: no rank has the whole matrix."""
        what = "the rows of the matrix lie on several ranks"
        raise complaint("program_", what, fix="write to the model before shard_rows_")

    def read(self) -> torch.Tensor:
        """Return `weight`."""
        width = len(self.layout.columns)
        parts = [block.scaled_weight() for block in self.blocks.children() if isinstance(block, Block)]
        lines = [torch.cat(parts[n : n + width], dim=1) for n in range(0, len(parts), width)]
        own = torch.cat(lines)
        shapes = [(n, own.shape[1]) for n in self.widths]
        return swap([own] * len(shapes), shapes, self.group).view(-1, own.shape[1])

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + checkpoint.NAME] = self.analog_hardware

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        given = dict(state_dict)
        saved = given.pop(prefix + checkpoint.NAME, None)
        if saved is not None and (found := checkpoint.differences(saved, self.analog_hardware)):
            raise complaint("load_state_dict", f"{prefix[:-1]} is made of other hardware: {'; '.join(found)}")
        super()._load_from_state_dict(given, prefix, *args)


def shard_rows_(model: nn.Module, group: object = None) -> nn.Module:
    """Leave each rank, in place, a share of the rows of blocks of every analog matrix; return the model.

    A matrix with fewer rows of blocks than there are ranks stays whole on every rank; `Mapping.max_out` decides
    how many a matrix has. The tensors keep their names: the states of all ranks together are the state of the whole
    model, as torch.distributed.checkpoint saves it, and each rank loads its part of that. Forward and backward
    become collective: all ranks must call the same layers in the same order.

    Args:
        model: the same on all ranks; make the optimizer afterwards, and then call `connect`.
        group: process group or one-dimensional DeviceMesh; None means all ranks.
    Raises: MhoError if no matrix has rows enough, or one that has is an embedding's.
    """
    found = group_of("shard_rows_(model)", group)
    ranks = dist.get_world_size(found)
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, AnalogMatrix)
    ]
    shards = {m: RowShard(m, found) for m in dict.fromkeys(m for *_, m in places) if len(m.rows) >= ranks}
    if not shards:
        most = max((len(matrix.rows) for *_, matrix in places), default=0)
        what = f"no matrix has a row of blocks for each of the {ranks} ranks; the most that one has is {most}"
        raise complaint("shard_rows_(model)", what, fix="use a smaller Mapping.max_out, or fewer ranks")
    if any(isinstance(parent, AnalogEmbedding) and matrix in shards for parent, _, matrix in places):
        what = "an embedding reads rows of a matrix that has enough of them for all ranks"
        fix = "use a Mapping.max_out of at least num_embeddings for its head, or leave both digital"
        raise complaint("shard_rows_(model)", what, "Each rank looks up rows of its own samples", fix)
    for parent, name, matrix in places:
        if matrix in shards:
            setattr(parent, name, shards[matrix].train(matrix.training))
    return model


def own_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that DistributedDataParallel and FSDP have to leave alone: those of blocks, by name.

    `connect` tells DistributedDataParallel; for FSDP2 say
    `fully_shard(model, ignored_params={*own_parameters(model).values()})`.
    """
    matrices = [m for m in model.modules() if isinstance(m, (AnalogMatrix, RowShard))]
    owned = {p for matrix in matrices for p in matrix.parameters()}
    return {name: p for name, p in model.named_parameters() if p in owned}
