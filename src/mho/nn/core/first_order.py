"""The nodes of autograd of analog layers have a first derivative alone: others are errors, not zeros.

The way back multiplies with what the arrays hold, and leaves the factors of a step. A gradient of the gradient, as
a penalty or a Hessian asks for it, would go through converters once more, and no pulses could follow it.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mho.base.errors import MhoError, complaint

Recorded = list[Any]
"""Gets the blocks that were left factors on the way back."""


class FirstOrder(torch.autograd.Function):
    """The base of the nodes."""

    @staticmethod
    def jvp(ctx, *tangents):
        """Refuse the derivative forward. Raises: MhoError."""
        raise _refused("torch.autograd.forward_ad", "an analog layer has no derivative forward")


def second(
    way_back: Callable[..., tuple[Any, ...]], ctx: Any, weights: Sequence[torch.Tensor], *g: torch.Tensor
) -> tuple[Any, ...]:
    """Return `way_back(ctx, *g, recorded=...)` for `create_graph=True`: a gradient of these gradients raises.

    weights: of the layer, on which the gradients depend, as on g and on the saved tensors.
    """
    mark = functools.partial(_mark, sources=[*g, *ctx.saved_tensors, *weights])
    recorded: Recorded = []
    with torch.no_grad():
        found = way_back(ctx, *g, recorded=recorded)
    for block in recorded:
        block.learning.mark = mark
    return tuple(mark(part) if isinstance(part, torch.Tensor) else part for part in found)


def check_transforms() -> None:
    """Check, where a node could not be made, that no transform of torch.func is why. Raises: MhoError."""
    if torch._C._are_functorch_transforms_active():
        raise _refused(
            "torch.func", "grad, vmap, jvp and the like were asked to transform the call of an analog layer"
        )


def _mark(value: torch.Tensor, sources: Sequence[torch.Tensor]) -> torch.Tensor:
    with torch.enable_grad():
        return _Marked.apply(value, *sources)


class _Marked(torch.autograd.Function):
    """A copy whose backward raises."""

    @staticmethod
    def forward(ctx, value: torch.Tensor, *sources: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx, g: torch.Tensor):
        raise _refused(
            "create_graph=True", "the loss depends on a gradient that went through an analog layer"
        )


def _refused(where: str, what: str) -> MhoError:
    return complaint(
        where,
        what,
        "Arrays learn from inputs and errors of a first derivative alone",
        "leave gradient penalties and Hessians to a digital model, such as mho.to_digital_(copy.deepcopy(model))",
    )
