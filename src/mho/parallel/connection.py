"""The steps of all ranks as one: factors and gradients are gathered, then every rank does the same update."""

from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from mho.base.errors import complaint, wrong_type
from mho.nn.core.block import Block
from mho.nn.core.calls import Calls
from mho.nn.core.matrix import AnalogMatrix
from mho.nn.core.parameter import AnalogParameter
from mho.optim import AnalogOptimizer
from mho.parallel.digital import DigitalGradients
from mho.parallel.identity import compare
from mho.parallel.parcel import Call, Parcel, factors_of, gather
from mho.parallel.ranks import Group, group_of
from mho.parallel.rows import RowShard, own_parameters

CALL = "connect(model, optimizer)"


def connect(
    model: nn.Module, optimizer: AnalogOptimizer, group: object = None, *, digital: bool = True
) -> "Connection":
    """Make the optimizer's step one step of all ranks.

    The ranks hold the same arrays or, after `shard_rows_`, some rows of them.

    Each rank computes its own loss of its own samples, the mean over them. `optimizer.step` then gathers what the
    analog layers of all ranks have recorded, in the order (micro-batch, rank, call, sample), with d divided by
    the number of ranks, and every rank sends its arrays the same pulses. Micro-batches are numbered so that their
    noise is that of one process which has them one after the other.

    Args:
        model: with the same numbers on all ranks, which is checked. For DistributedDataParallel, pass the module
            before wrapping it; that will then ignore the analog matrices.
        optimizer: of the model.
        group: process group or one-dimensional DeviceMesh; None means all ranks.
        digital: average the gradients of all digital parameters too. False leaves those outside of analog matrices
            to DistributedDataParallel; those that FSDP2 has sharded are left to it anyhow.
    Raises: MhoError if ranks hold different arrays, if the model is wrapped already, or if the optimizer trains
        blocks that the model does not have.
    """
    if not isinstance(model, nn.Module) or not isinstance(optimizer, AnalogOptimizer):
        wrong = optimizer if isinstance(model, nn.Module) else model
        raise wrong_type(
            CALL, "an argument", wrong, "a module, and the mho.AnalogOptimizer of its parameters"
        )
    if isinstance(model, DistributedDataParallel):
        fix = "pass the module that it wraps, before wrapping it"
        raise complaint(CALL, "the model is wrapped in DistributedDataParallel", fix=fix)
    if not {*optimizer.blocks} <= {*model.modules()}:
        what = "the optimizer trains blocks that the model does not have"
        raise complaint(CALL, what, fix="make the optimizer after convert_ and shard_rows_")
    found = group_of(CALL, group)
    compare(CALL, model, found)
    return Connection(model, optimizer, found, digital)


class Note(NamedTuple):
    """The message of a rank to the others, besides tensors."""

    setup: tuple[list[float], int]  # learning rates, number of blocks
    counts: list[tuple[int, ...]]
    calls: list[list[Call]]
    gradients: list[list[int]]


class Connection:
    """The tie of this rank's optimizer to those of the others, made by `connect`.

    `optimizer.step` exchanges by itself. `gather` does it beforehand, for code that looks at gradients between
    backward and step: clipping, a GradScaler, a logger.
    """

    def __init__(self, model: nn.Module, optimizer: AnalogOptimizer, group: Group, digital: bool) -> None:
        self.optimizer, self.group = optimizer, group
        self.rank, self.ranks = dist.get_rank(group), dist.get_world_size(group)
        shards = [m for m in model.modules() if isinstance(m, RowShard)]
        if any(dist.get_world_size(shard.group) != self.ranks for shard in shards):
            raise complaint(CALL, "rows are dealt out to other ranks than these", fix="use the same group")
        self._held_alone = {block for shard in shards for block in shard.layout.blocks}
        alone = {p for shard in shards for p in shard.parameters()}
        trained = own_parameters(model) | (dict(model.named_parameters()) if digital else {})
        trained = {
            name: p
            for name, p in trained.items()
            if p.requires_grad and not isinstance(p, (AnalogParameter, DTensor))
        }
        self._scales = [p for p in trained.values() if p in alone]
        self._gradients = DigitalGradients({name: p for name, p in trained.items() if p not in alone})
        self._calls = [m for m in model.modules() if isinstance(m, Calls)]
        for calls in self._calls:
            calls.rank, calls.ranks = self.rank, self.ranks
        for shard in shards:  # whose calls have the samples of all ranks
            shard.calls.rank, shard.calls.ranks = 0, 1
        _leave_alone(model)
        optimizer.exchange = self._exchange

    @torch.no_grad()
    def gather(self) -> None:
        """Exchange now: `grad` of analog weights and of digital parameters becomes that of all ranks together.

        It is the same on each rank, and may be scaled in place before the step.

        Every rank has to call it, after the last backward of a step. Raises: MhoError if ranks have different
        learning rates.
        """
        blocks, ranks = self.optimizer.blocks, self.ranks
        parcel = Parcel()
        note = Note(
            ([float(group["lr"]) for group in self.optimizer.param_groups], len(blocks)),
            [tuple(calls.counters("count")) for calls in self._calls],
            [[] if block in self._held_alone else parcel.add_calls(block.learning) for block in blocks],
            self._gradients.pack(parcel),
        )
        where = self.optimizer.param_groups[0]["params"][0].device
        answers = gather(note, parcel.tensors, where, self.group)
        setups = [note.setup for note, _ in answers]
        if setups.count(setups[0]) < ranks:
            what = f"learning rates and numbers of analog blocks are {setups} on ranks 0, 1, ..."
            raise complaint("AnalogOptimizer.step", what, "They must be the same on all ranks")
        for n, block in enumerate(blocks):
            if block in self._held_alone:
                found = [(place, f._replace(d=f.d / ranks)) for place, f in block.learning.calls()]
            else:
                found = [
                    (call.place, factors_of(call, tensors, ranks, block.scale.device))
                    for note, tensors in answers
                    for call in note.calls[n]
                ]
            block.learning.share(found)
        self._gradients.unpack([(note.gradients, tensors) for note, tensors in answers])
        for p in self._scales:
            if p.grad is not None:
                p.grad.div_(ranks)
        for calls, *counts in zip(self._calls, *(note.counts for note, _ in answers), strict=True):
            last, evaluated = max(count[:2] for count in counts), max(count[2] for count in counts)
            for place, number in enumerate((*last, evaluated)):
                calls.counters("count")[place] = number

    def _exchange(self, blocks: list[Block]) -> None:
        if not any(block.learning.is_shared for block in blocks):
            self.gather()


def _leave_alone(model: nn.Module) -> None:
    """Tell DistributedDataParallel not to wait for gradients of analog matrices, nor to send their buffers."""
    names = set(own_parameters(model))
    for name, module in model.named_modules():
        if isinstance(module, (AnalogMatrix, RowShard)):
            names |= {f"{name}.{leaf}" for leaf, _ in module.named_buffers()}
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)
