"""The keys of layers: one of its own for each, and the complaint about two that are equal.

A key is the 64-bit name of a layer's randomness. Its cells and all its noise follow from the key, see
`mho.numerics.rng`. Two layers with one key are one piece of hardware twice: equal cells and equal noise.
"""

from collections.abc import Iterable
from typing import Protocol

import torch

from mho.base.errors import complaint
from mho.tile.events import checked_key


class Keyed(Protocol):
    """A block, as this module sees it."""

    key: int
    shape: tuple[int, int]


def own_key(key: int | None, where: str) -> int:
    """Return the key; if it is None, one of 63 bits, drawn from torch's generator on the CPU.

    So `torch.manual_seed` repeats it. A key that is given draws nothing.

    Raises: MhoError if it is no integer of 64 bits.
    """
    if key is None:
        return int(torch.randint(2**63 - 1, (), dtype=torch.int64, device="cpu"))
    return checked_key(key, where)


def check_different(where: str, blocks: Iterable[tuple[str, Keyed]]) -> None:
    """Check that no two of the named blocks have one key.

    Raises: MhoError that names two that have.
    """
    seen: dict[int, tuple[str, Keyed]] = {}
    for name, block in blocks:
        other, found = seen.setdefault(block.key, (name, block))
        if found is not block:
            raise complaint(
                where,
                f"{other} and {name} have one key, so their cells and their noise are equal",
                "Each layer is hardware of its own",
                "leave `key` out when the layer is made, copy a layer before it is converted, or ask for equal "
                "hardware with equal_keys=True",
            )
