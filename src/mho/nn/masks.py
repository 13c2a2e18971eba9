"""Masks of an attention: their shapes, and the numbers that they add to its scores."""

import math
from typing import NamedTuple

import torch

from mho.base.errors import MhoError, complaint, wrong_type


class Masks(NamedTuple):
    """The masks of one call, or None, and the shape of its scores.

    Args:
        attention: (L, S) or (N * heads, L, S); padding: (N, S). True means do not attend; a number is added.
        samples, heads, queries, keys: N, heads, L, S.
    """

    attention: torch.Tensor | None
    padding: torch.Tensor | None
    samples: int
    heads: int
    queries: int
    keys: int

    def check(self, single: bool) -> None:
        """Check the shapes of the masks; `single`: the inputs have no dimension for samples."""
        n, heads, length, keys = self[2:]
        for name, mask in (("attn_mask", self.attention), ("key_padding_mask", self.padding)):
            if not isinstance(mask, (torch.Tensor, type(None))):
                raise wrong_type("AnalogMultiheadAttention.forward", name, mask, "a tensor or None")
        if self.padding is not None:
            shape, name = ((keys,), "(S,)") if single else ((n, keys), "(N, S)")
            if tuple(self.padding.shape) != shape:
                raise wrong(
                    f"key_padding_mask has shape {tuple(self.padding.shape)}", f"It must be {name} = {shape}"
                )
        if self.attention is not None:
            flat, full = (length, keys), (n * heads, length, keys)
            if tuple(self.attention.shape) not in (flat, full):
                need = f"It must be (L, S) = {flat} or (N * num_heads, L, S) = {full}"
                raise wrong(f"attn_mask has shape {tuple(self.attention.shape)}", need)

    def sum(self, dtype: torch.dtype, more: int) -> torch.Tensor | None:
        """Return the sum of the masks for the scores, as (N or 1, heads or 1, L or 1, S + more); None for no mask.

        more: positions behind the keys that every query may attend to.
        """
        total = None
        if self.attention is not None:
            total = _additive(self.attention, dtype).reshape(-1, self.queries, self.keys)
            full = self.attention.ndim == 3
            total = total.unflatten(0, (self.samples, self.heads)) if full else total[None]
        if self.padding is not None:
            padding = _additive(self.padding, dtype).reshape(self.samples, 1, 1, self.keys)
            total = padding if total is None else total + padding
        return total if total is None or not more else torch.nn.functional.pad(total, (0, more))


def _additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if mask.is_floating_point():
        return mask.to(dtype)
    if mask.dtype is not torch.bool:
        raise wrong(f"a mask has dtype {mask.dtype}", "Masks must be boolean or of floating point")
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)


def wrong(what: str, need: str = "", fix: str = "") -> MhoError:
    """Return the complaint of an attention."""
    return complaint("AnalogMultiheadAttention.forward", what, need, fix)
