"""The conversion of an existing model: its layers become analog ones, and back."""

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from mho.base.errors import complaint
from mho.nn.conversion.preserved import check, to_analog, to_digital
from mho.nn.conversion.selection import (
    Analog,
    Filter,
    Hardware,
    Layers,
    analog_layers_of,
    choose,
    names_of,
)
from mho.nn.conversion.ties import tie, ties_of
from mho.nn.core import birth
from mho.nn.core.block import Block
from mho.nn.core.checkpoint import guard, save_once
from mho.nn.core.foreign import mark_replaced
from mho.nn.core.keys import check_different, own_key
from mho.nn.core.layer import ANALOG_OF, TIED_OF, named_in, unpack
from mho.numerics.rng import child_key


def convert_(
    model: nn.Module,
    hardware: Hardware,
    filter_fn: Filter | None = None,
    *,
    key: int | None = None,
    equal_keys: bool = False,
) -> nn.Module:
    """Replace, in place, each layer that has an analog counterpart; return the model.

    A layer that the model holds under several names is converted once and stays one. Linear layers that share a
    weight, and embeddings that share that of a linear layer, become layers on one array. Layers that are analog
    already, and subclasses of torch's layers, are left alone. Hooks on forward and backward, train or eval mode,
    the device, the dtype of biases, and `requires_grad` are kept; arrays are float32. An optimizer has to be made
    afterwards.

    Args:
        model: any module; if it is itself a layer, its counterpart is returned. hardware: for all layers, or
        {name or pattern: hardware}. Then only named layers are converted, and the first
            entry that fits a layer's name counts. Patterns are those of a shell, "*" also spans dots. None for the
            hardware leaves a layer digital.
        filter_fn: (module, name) -> bool chooses among them; None means all.
        key: names the randomness of the whole model: the same key gives the same cells and the same noise. None
            draws one from torch's generator on the CPU, so that `torch.manual_seed` repeats it.
        equal_keys: allow analog layers in one model that have one key, which are equal hardware with equal noise.
    Raises: MhoError, and leaves the model as it was, if nothing matched, a name of `hardware` fits no layer, a
        weight is tied in any other way, two layers have one key, or something of a layer cannot be kept.
        Warns (ConversionWarning) if arrays hold other weights than they were given.
    """
    makers = ANALOG_OF | named_in(model)
    chosen = choose(model, hardware, filter_fn, tuple(makers))
    ties = ties_of(model, chosen, makers, TIED_OF)
    layers = {layer: names for layer, names, _ in chosen} | names_of(model, ties.weights)
    owns = {layer: own for layer, _, own in chosen} | {
        layer: of.hardware for layer, of in ties.weights.items()
    }
    for layer, names in layers.items():
        check(layer, names[0], owns[layer])
    key = own_key(key, "convert_")
    made: dict[nn.Module, nn.Module] = {}
    births: dict[str, birth.Birth] = {}
    for layer, names, own in chosen:
        if layer not in ties.weights:
            name = names[0]
            with birth.watched() as births[repr(name)]:
                made[layer] = to_analog(layer, own, child_key(key, name), name, makers[type(layer)])
    for layer, of in ties.weights.items():
        make = functools.partial(_tied, TIED_OF[type(layer)], made[of.layer])
        made[layer] = to_analog(layer, of.hardware, 0, layers[layer][0], make)
    for layer in ties.biases:
        made[layer].bias = layer.bias
    if not equal_keys:
        _check_keys(model, {names[0]: made[layer] for layer, names in layers.items()})
    model = _replace(model, layers, made)
    if model not in made.values():
        guard(model)
        if ties.weights:
            save_once(model)
    birth.warn("convert_", births)
    return model


def to_digital_(model: nn.Module) -> nn.Module:
    """Replace, in place, each analog layer by the torch layer that computes with its weights; return the model.

    It is the inverse of `convert_` and keeps the same things, tied weights among them. Weights get the dtype that
    they had before. Converters, response and noise are no part of a digital layer.

    Args:
        model: any module; if it is itself an analog layer, its counterpart is returned.
    Raises: MhoError if there is no analog layer.
    """
    layers = analog_layers_of(model)
    if not layers:
        raise complaint("to_digital_(model)", "the model has no analog layer")
    made = {layer: to_digital(layer) for layer in layers}
    tie(made, model)
    return _replace(model, layers, made)


def _tied(
    make: Callable[..., nn.Module], owner: Any, layer: nn.Module, hardware: object, key: object
) -> nn.Module:
    """Make a layer on the arrays of another, by a function of `TIED_OF`."""
    return make(layer, owner, owner.key)


def _check_keys(model: nn.Module, made: dict[str, nn.Module]) -> None:
    """Check the keys of new layers, by name, and of those that the model has already."""
    layers = [*made.items(), *((names[0], layer) for layer, names in analog_layers_of(model).items())]
    blocks = ((repr(name), part) for name, layer in layers for part in layer.modules())
    check_different("convert_", ((name, part) for name, part in blocks if isinstance(part, Block)))


def _replace(model: nn.Module, layers: Layers, made: dict[nn.Module, nn.Module]) -> nn.Module:
    """Put the new layers into all places of the old ones."""
    for layer, names in layers.items():
        for name in names:
            if not name:
                mark_replaced(layers, made[layer])
                return made[layer]
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, made[layer])
    mark_replaced(layers, model)
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoder):
            unpack(module, any(isinstance(part, Analog) for part in module.modules()))
    return model
