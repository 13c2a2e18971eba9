"""Turns the layers of an existing model into analog ones."""

from collections.abc import Callable, Mapping

from torch import nn

from mho.crossbar import Crossbar
from mho.errors import complaint
from mho.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from mho.nn.linear import AnalogLinear
from mho.rng import child_key

ANALOG_OF: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Linear: AnalogLinear.from_digital,
    nn.Conv1d: AnalogConv1d.from_digital,
    nn.Conv2d: AnalogConv2d.from_digital,
    nn.Conv3d: AnalogConv3d.from_digital,
}


def convert_(
    model: nn.Module,
    hardware: Crossbar | Mapping[str, Crossbar],
    filter_fn: Callable[[nn.Module, str], bool] | None = None,
    *,
    key: int = 0,
) -> nn.Module:
    """Replaces, in place, each layer that has an analog counterpart; returns the model.

    Args:
        model: any module; if it is itself a layer, its counterpart is returned.
        hardware: for all layers, or {layer name: hardware}, then only those named are converted.
        filter_fn: (module, name) -> bool chooses among them; None means all.
        key: names the randomness of the whole model: the same key gives the same cells and the same noise.
    Raises: MhoError if no module matched.
    """
    seen: set[str] = set()
    matched = 0
    for name, module in list(model.named_modules()):
        if type(module) not in ANALOG_OF:
            if not list(module.children()):
                seen.add(type(module).__name__)
            continue
        seen.add(type(module).__name__)
        own = hardware.get(name) if isinstance(hardware, Mapping) else hardware
        if own is None or (filter_fn is not None and not filter_fn(module, name)):
            continue
        analog = ANALOG_OF[type(module)](module, own, child_key(key, name))
        analog.train(module.training)
        matched += 1
        if not name:
            return analog
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, analog)
    if not matched:
        raise complaint(
            "convert_(model)",
            f"no module matched; the model has modules of types {{{', '.join(sorted(seen))}}}",
            f"Convertible are {', '.join(sorted(t.__name__ for t in ANALOG_OF))}",
            "check filter_fn and the names of `hardware`",
        )
    return model
