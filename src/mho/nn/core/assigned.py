"""The weights that a layer is assigned: its own once more, or others, with which its arrays are programmed."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from mho.base.errors import complaint, wrong_type
from mho.nn.core.bypass import check_unshared, tied
from mho.nn.core.programmed import Programmed


@torch.compiler.disable
def is_own(value: Any, shape: tuple[int, ...], version: Callable[[], int]) -> bool:
    """Return whether a weight that a layer is assigned is its own, as when torch code ties it once more.

    Args:
        shape, version: of the weight of the layer, as in `Programmed.of`.
    Raises: MhoError if it is the weight of other arrays, which an assignment does not tie; if its gradient would
        end here; if it is no tensor; and in the middle of `functional_call`, which would program the arrays.
    """
    _check_caller()
    if not isinstance(value, torch.Tensor):
        raise wrong_type("layer.weight = ...", "it", value, f"a tensor {shape}")
    own = value if isinstance(value, Programmed) else None
    link = None if own is None else own.__dict__.get("link")
    if link is not None and link.version == version:
        with torch._C.DisableTorchFunctionSubclass():
            is_whole = value.data_ptr() == link.whole.data_ptr() and value.stride() == link.whole.stride()
        return is_whole and tuple(value.shape) == shape and link.seen == [version(), link.whole._version]
    if own is not None and link is not None and (own.is_copy or isinstance(value, nn.Parameter)):
        raise tied()
    if value.requires_grad and not isinstance(value, nn.Parameter):
        what, fix = (
            "it requires a gradient, which would end here",
            "assign value.detach(), or use functional_call",
        )
        raise complaint("layer.weight = ...", what, fix=fix)
    if isinstance(value, nn.Parameter):
        check_unshared(value)
    return False


def _check_caller() -> None:
    """Check that a weight is not assigned by torch.func.functional_call. Raises: MhoError."""
    frame: Any = sys._getframe(2)
    for _ in range(8):
        if frame.f_globals.get("__name__") == "torch.nn.utils._named_member_accessor":
            what, fix = "layer.weight is no parameter", "use the names of model.named_parameters()"
            raise complaint("functional_call", what, "It would be programmed onto the arrays", fix)
        frame = frame.f_back or frame
