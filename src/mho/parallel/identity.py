"""The comparison of the ranks: all must hold the same numbers."""

import hashlib

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor

from mho.base.errors import complaint
from mho.nn.core.block import Block
from mho.parallel.ranks import group_of
from mho.parallel.rows import RowShard


def assert_identical(model: nn.Module, group: object = None) -> None:
    """Compare all tensors of the model's state, the hardware of its blocks and their keys by their hashes.

    Parts that the ranks have dealt out among them are left out: the blocks of `shard_rows_`, the tensors of FSDP.

    Args:
        group: process group or one-dimensional DeviceMesh; None means all ranks, each of which must call it.
    Raises: MhoError on every rank, naming the first thing that differs.
    """
    compare("assert_identical(model)", model, group_of("assert_identical(model)", group))


def compare(where: str, model: nn.Module, group: dist.ProcessGroup | None) -> None:
    """Compare as `assert_identical` does, for the caller `where`."""
    mine = _described(model)
    found: list[dict[str, str]] = [{}] * dist.get_world_size(group)
    dist.all_gather_object(found, mine, group=group)
    names = list(dict.fromkeys(name for of_rank in found for name in of_rank))
    for rank, of_rank in enumerate(found):
        for name in names:
            if of_rank.get(name) != found[0].get(name):
                a, b = _apart(*(part.get(name, "nothing") for part in (found[0], of_rank)))
                what = f"{name} differs between ranks: {a} on rank 0, {b} on rank {rank}"
                fix = "build the model after torch.manual_seed of one number, or load one checkpoint, then connect"
                raise complaint(where, what, "All ranks must hold the same arrays", fix)


def _apart(a: str, b: str) -> tuple[str, str]:
    """Return two texts from shortly before the place where they begin to differ."""
    same = next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), 0)
    start = max(same - 40, 0)
    return tuple(f"{'...' if start else ''}{text[start : start + 300]}" for text in (a, b))  # type: ignore[return-value]


def _described(model: nn.Module) -> dict[str, str]:
    found = {}
    shared = [f"{name}." for name, module in model.named_modules() if isinstance(module, RowShard)]
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, torch.Tensor) or isinstance(tensor, DTensor):
            continue
        if not name.startswith(tuple(shared)):
            found[name] = f"{_hash(tensor)} {tuple(tensor.shape)}"
    for name, module in model.named_modules():
        if isinstance(module, Block) and not name.startswith(tuple(shared)):
            found[f"{name} (hardware)"] = f"{module.hardware!r}, key {module.key}"
    return found


def _hash(tensor: torch.Tensor) -> str:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(plain.view(torch.uint8).numpy().data).hexdigest()[:16]
