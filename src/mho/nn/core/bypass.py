"""Code that takes the weight of a layer past the layer: tools that would replace it, and products with it."""

import functools
import gc
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import register_module_parameter_registration_hook

from mho.base.errors import MhoError, complaint

_REPLACING = {
    f"torch.nn.utils.{name}" for name in ("prune", "weight_norm", "spectral_norm", "parametrizations")
}
PRODUCTS = frozenset(
    {
        functional.linear,
        functional.bilinear,
        functional.conv1d,
        functional.conv2d,
        functional.conv3d,
        functional.embedding,
        functional.multi_head_attention_forward,
    }
)
"""The functions of torch that multiply as a layer does."""


def check_reader(frame: FrameType) -> None:
    """Check that none of a frame and its callers reads a weight in order to replace it. Raises: MhoError."""
    for _ in range(5):
        if (name := frame.f_globals.get("__name__")) in _REPLACING:
            raise recomputed(name)
        frame = frame.f_back or frame


def check_unshared(parameter: nn.Parameter) -> None:
    """Check that no module has the parameter that a layer is assigned: tied, one of the two would stay behind.

    Raises: MhoError.
    """
    for names in gc.get_referrers(parameter):
        if type(names) is dict and any(
            type(owner) is dict and owner.get("_parameters") is names for owner in gc.get_referrers(names)
        ):
            raise complaint(
                "layer.weight = ...",
                "it is assigned the parameter of another module, which does not have its array",
                "Arrays are tied when they are made",
                TIE,
            )


TIE = "tie the digital layers, then mho.convert_; or assign a copy: other.weight.detach().clone()"


def recomputed(where: str) -> MhoError:
    """Return the error of a tool that puts a computed tensor into the place of a weight."""
    return complaint(
        where,
        "it would compute the weight of an analog layer anew in each forward",
        "The layer multiplies with what its arrays hold; nothing has been changed",
        "program them after each step, such as layer.weight.data *= mask; or use it on the digital layer, and "
        "remove it before mho.convert_",
    )


def check_product(func: Any, args: Any, kwargs: Any) -> None:
    """Check a product with a copy of a trained weight, as in the attention of timm's EVA.

    Raises: MhoError if it stands inside of a network, whose gradient it is meant to pass on. With an input it is
    arithmetic.
    """
    x = args[0] if args else kwargs.get("input", kwargs.get("query"))
    if isinstance(x, torch.Tensor) and torch.is_grad_enabled() and x.grad_fn is not None:
        raise complaint(
            f"{func.__name__}(x, layer.weight)",
            "the product would go past the arrays, and its gradient could not reach them",
            "layer.weight is a copy of what they hold",
            "call the layer: layer(x); leave it digital, by its name in mho.convert_, if its model computes so; or "
            "pass layer.weight.detach() where no gradient is meant",
        )


def tied() -> MhoError:
    """Return the error of a module that is assigned the weight of a layer whose array it does not have."""
    what = "it is assigned the weight of another analog layer, whose array it does not have"
    return complaint("layer.weight = other.weight", what, "Arrays are tied when they are made", TIE)


@functools.cache
def watch_modules() -> None:
    """Have the parameters that digital modules get checked from now on."""
    register_module_parameter_registration_hook(_refuse_copy)


def _refuse_copy(module: nn.Module, name: str, parameter: Any) -> None:
    """Check that no digital module gets the weight of an analog embedding: it would be a copy."""
    if parameter is not None and parameter.__dict__.get("link") is not None:
        raise tied()
