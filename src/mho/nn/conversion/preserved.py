"""The properties that a conversion keeps: hooks, train or eval mode, frozen weights, dtype and device."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from mho.base.errors import MhoError, complaint
from mho.crossbar import Crossbar
from mho.nn.core.block import Block

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_is_full_backward_hook",
)
"""The dictionaries of hooks in a torch.nn.Module; they move themselves, so that handles work."""
HOOKS_OF_STATES = (
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def check(layer: nn.Module, name: str, hardware: Crossbar) -> None:
    """Check that nothing of a digital layer is lost in its conversion. Raises: MhoError if something is."""
    where = f"convert_(model): layer {name!r}"
    weights, biases = _frozen(layer)
    for hook in layer._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils"):  # weight_norm, spectral_norm, pruning
            what = f"a {type(hook).__name__} of torch.nn.utils computes its weight anew in each forward"
            raise complaint(where, what, fix="remove it first, which leaves its last weight")
    if any(getattr(layer, hooks) for hooks in HOOKS_OF_STATES):
        what = "it has hooks on its state_dict, whose entries will have other names"
        raise complaint(where, what, fix="remove them, or convert before they are registered")
    if "forward" in vars(layer):
        what = "its forward was replaced on the instance"
        raise complaint(where, what, fix="convert before others wrap it (accelerate, FSDP)")
    if len(weights) > 1 or len(biases) > 1:
        fix = "freeze all or none, convert, and then freeze blocks of the analog layer"
        raise complaint(
            where, "some of its weights, or of its biases, are frozen and others are not", fix=fix
        )
    if hardware.mapping.bias == "analog" and biases and biases != weights:
        fix = 'use Mapping(bias="digital"), or freeze both'
        raise complaint(
            where, "one of its weight and its bias is frozen, and an analog bias is a column", fix=fix
        )


def to_analog(
    layer: nn.Module, hardware: Crossbar, key: int, name: str, make: Callable[..., nn.Module]
) -> nn.Module:
    """Make the analog layer of a digital one with `make`, and pass on what it keeps."""
    device = next(layer.parameters()).device
    source = layer if device.type in ("cpu", "meta") else copy.deepcopy(layer).cpu()  # cells are drawn there
    try:
        analog = make(source, hardware, key).to(device)
    except MhoError as error:
        raise MhoError(f"`convert_(model)`: layer {name!r}: {error}") from None
    frozen = [True in flags for flags in _frozen(layer)]
    if any(frozen):
        in_blocks = {id(p) for block in analog.modules() if isinstance(block, Block) for p in block.trained}
        for p in analog.parameters():
            p.requires_grad_(not frozen[id(p) not in in_blocks])
    analog.dtype_of_digital = next(layer.parameters()).dtype  # type: ignore[assignment]
    _pass_on(layer, analog)
    return analog


def to_digital(analog: nn.Module) -> nn.Module:
    """Make the digital layer of an analog one, and pass on what it keeps."""
    digital = analog.to_digital()  # type: ignore[operator]
    digital.to(getattr(analog, "dtype_of_digital", torch.float32))
    blocks = [block for block in analog.modules() if isinstance(block, Block)]
    own = {id(p) for block in blocks for p in block.trained}
    biases = [p for p in analog.parameters() if id(p) not in own]
    trained = any(block.weight.requires_grad for block in blocks)
    bias_trained = any(p.requires_grad for p in biases) if biases else trained
    for p in digital.parameters():
        p.requires_grad_(trained if p.ndim > 1 else bias_trained)
    _pass_on(analog, digital)
    return digital


def _pass_on(old: nn.Module, new: nn.Module) -> None:
    new.train(old.training)
    for hooks in HOOKS:
        setattr(new, hooks, getattr(old, hooks))


def _frozen(layer: nn.Module) -> tuple[set[bool], set[bool]]:
    """Return two sets, of flags that occur among its weights and among its biases: frozen or not."""
    flags: tuple[set[bool], set[bool]] = (set(), set())
    for p in layer.parameters():
        flags[p.ndim < 2].add(not p.requires_grad)
    return flags
