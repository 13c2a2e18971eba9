"""The forms in which sequences come: with or without samples, samples first or second, packed."""

from typing import NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

from mho.base.errors import complaint, wrong_type


class Form(NamedTuple):
    """The form of the sequences of one call; the results get the same form.

    Args:
        sizes: number of samples in each time step, longest sequences first.
        packed: the input, if it was packed; single: there was no dimension for samples.
        batch_first: samples came before time.
    """

    sizes: list[int]
    packed: PackedSequence | None
    single: bool
    batch_first: bool

    def outputs(self, y: torch.Tensor) -> torch.Tensor | PackedSequence:
        """Return y (samples of all time steps, size) in this form."""
        if self.packed is not None:
            return PackedSequence(y, *self.packed[1:])
        y = y.reshape(len(self.sizes), self.sizes[0], y.shape[1])
        if self.single:
            return y[:, 0]
        return y.transpose(0, 1) if self.batch_first else y

    def state_out(self, state: torch.Tensor) -> torch.Tensor:
        """Return a state (layers, samples, size) in this form."""
        if self.single:
            return state[:, 0]
        order = None if self.packed is None else self.packed.unsorted_indices
        return state if order is None else state.index_select(1, order)

    def state_in(self, state: torch.Tensor) -> torch.Tensor:
        """Return a state of this form as (layers, samples, size)."""
        if self.single:
            return state[:, None]
        order = None if self.packed is None else self.packed.sorted_indices
        return state if order is None else state.index_select(1, order)


def of_steps(
    sequences: torch.Tensor | PackedSequence, size: int, batch_first: bool, where: str
) -> tuple[torch.Tensor, Form]:
    """Return sequences of vectors of this size as (samples of the first time step, then of the second, ..., size).

    Raises: MhoError, in the name of the caller `where`, for another shape.
    """
    packed = sequences if isinstance(sequences, PackedSequence) else None
    x = sequences if packed is None else packed.data
    if not isinstance(x, torch.Tensor):
        raise wrong_type(where, "the input", x, "a tensor, or packed")
    if x.ndim not in ((2,) if packed is not None else (2, 3)) or x.shape[-1] != size:
        order = "samples, time" if batch_first else "time, samples"
        need = f"It must be ({order}, input_size={size}), or (time, input_size), or packed"
        raise complaint(where, f"the input has shape {tuple(x.shape)}", need)
    if packed is not None:
        return x, Form(packed.batch_sizes.tolist(), packed, False, batch_first)
    shape, single = tuple(x.shape), x.ndim == 2
    x = x[:, None] if single else x.transpose(0, 1) if batch_first else x
    time, samples, _ = x.shape
    if time == 0:
        raise complaint(where, f"the input has shape {shape}", "It must have a time step")
    return x.reshape(-1, size), Form([samples] * time, None, single, batch_first)
