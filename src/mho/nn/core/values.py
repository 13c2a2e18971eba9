"""The tensors that a layer is programmed with, checked before anything is written."""

from typing import Any

import torch

from mho.base.errors import complaint, wrong_type


def checked_values(where: str, name: str, value: Any, shape: tuple[int, ...], form: str = "") -> torch.Tensor:
    """Return the tensor detached, once it is known to hold finite real numbers of this shape.

    Args:
        where: the call, for messages; name: of the argument; form: the meaning of the shape, such as "(out, in)".
    Raises: MhoError for other shapes, no tensor, a sparse or meta one, complex numbers, NaN or infinity.
    """
    if not isinstance(value, torch.Tensor):
        raise wrong_type(where, name, value, "a tensor", f"pass torch.as_tensor({name})")
    if tuple(value.shape) != shape:
        need = f"It must be {form} = {shape}" if form else f"It must be {shape}"
        raise complaint(where, f"{name} has shape {tuple(value.shape)}", need)
    if value.is_meta or value.layout is not torch.strided:
        what = f"{name} is a meta tensor" if value.is_meta else f"{name} has layout {value.layout}"
        raise complaint(where, what, "It must be a dense tensor in memory")
    if value.is_complex() or not torch.isfinite(value).all():
        what = f"{name} holds complex numbers" if value.is_complex() else f"{name} holds NaN or infinity"
        raise complaint(where, what, "It must hold finite real numbers; nothing has been written")
    return value.detach()
