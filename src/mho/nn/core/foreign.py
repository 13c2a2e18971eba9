"""The steps of torch optimizers, each checked before it begins: an `AnalogOptimizer` alone sends pulses."""

import functools
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mho.base.errors import complaint
from mho.nn.core.parameter import AnalogParameter

_REPLACED = "_replaced_by_mho"


def mark_replaced(layers: Iterable[nn.Module], model: nn.Module) -> None:
    """Mark the parameters of layers that others have replaced in the model, so that no optimizer steps them."""
    kept = {id(p) for p in model.parameters()}
    for layer in layers:
        for p in layer.parameters():
            if id(p) not in kept:
                p.__dict__[_REPLACED] = type(layer).__name__


def _refuse_replaced(optimizer: torch.optim.Optimizer, where: str) -> None:
    """Check that no parameter is one of a layer that a conversion has replaced. Raises: MhoError."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            if _REPLACED in p.__dict__ and p.requires_grad and p.grad is None:
                what = f"it was given a parameter {tuple(p.shape)} of a {p.__dict__[_REPLACED]} that was converted"
                need = "The layer in its place has parameters of its own, which no step would reach"
                raise complaint(where, what, need, "make the optimizer after the conversion of the model")


@functools.cache
def watch() -> None:
    """Have every step of every torch optimizer checked from now on."""
    register_optimizer_step_pre_hook(_refuse)


def _refuse(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Check that the optimizer has no analog weight that takes pulses, and nothing of a layer that was replaced.

    Where updates are exact, it may have them alone, and no loss may depend on them directly.
    Raises: MhoError if it has, before anything has changed.
    """
    where = f"{type(optimizer).__name__}.step"
    if not torch.compiler.is_compiling():
        _refuse_replaced(optimizer, where)
    if isinstance(optimizer, tuple(AnalogParameter.optimizers)):
        return
    if torch.compiler.is_compiling():
        _refuse_compiled(optimizer, where)
    for group in optimizer.param_groups:
        for p in group["params"]:
            block = p._of() if isinstance(p, AnalogParameter) else None
            if block is None:
                continue
            if not p.requires_grad and p.grad is None:
                continue  # frozen: it gets no step
            if block.learning.owner is not None and block.learning.owner() is not None:
                what = f"the weight {tuple(p.shape)} of an analog layer has an AnalogOptimizer too"
                fix = "leave one of the two; an optimizer that wraps another cannot wrap an AnalogOptimizer"
                raise complaint(where, what, "Its step uses the gradient up; nothing has been changed", fix)
            if not block.is_exact:
                raise complaint(
                    where,
                    f"it was given the weight {tuple(p.shape)} of an analog layer, whose algorithm is "
                    f"{type(block.hardware.algorithm).__name__}",
                    "A crossbar learns by pulses, which no digital optimizer sends; nothing has been changed",
                    f"make mho.AnalogOptimizer(model, lr=..., digital={_digital_of(optimizer)}), with the "
                    "Trainer too: optimizers=(...)",
                )
            if not block.steps_as_torch:
                what = f"the weight {tuple(p.shape)} of an analog layer has a digital scale (omega)"
                need = "Its gradient is of the numbers before the scale, where a step of this size is another"
                fix = "use mho.AnalogOptimizer, or hardware without omega: mho.Mapping(omega=0)"
                raise complaint(where, what, need, fix)
            p.check_added(where)


def _digital_of(optimizer: torch.optim.Optimizer) -> str:
    """Return the expression for the class that does for digital parameters what this optimizer was made for."""
    kind = type(optimizer)
    is_torch = kind.__module__.startswith("torch.optim.") and kind.__name__ in torch.optim.__all__
    takes = is_torch and kind is not torch.optim.LBFGS  # which steps by closures
    return f"torch.optim.{kind.__name__}" if takes else "torch.optim.SGD"


@torch.compiler.disable
def _refuse_compiled(optimizer: torch.optim.Optimizer, where: str) -> None:
    """Check that a compiled step has no analog weight: its graph would not ask for the gradient.

    Raises: MhoError.
    """
    if any(isinstance(p, AnalogParameter) for group in optimizer.param_groups for p in group["params"]):
        what = "a compiled step was given the weight of an analog layer"
        need = "Its gradient is computed when it is read, which compiled code does not do; nothing has been changed"
        raise complaint(where, what, need, "leave the step outside of torch.compile")
