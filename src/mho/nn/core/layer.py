"""An analog layer as torch knows it: the counterpart of a digital layer, among torch's own modules.

Each layer's file ends with its entry in `ANALOG_OF`. `mho.convert_` goes by that table and imports no layer, so
a new layer is one file and one export:

    class AnalogBilinear(AnalogLayer):
        def _begin(self, digital, hardware, key): ...
        def to_digital(self): ...

    ANALOG_OF[nn.Bilinear] = AnalogBilinear.from_digital
"""

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import nn

from mho.base.errors import complaint, wrong_type
from mho.crossbar import Crossbar
from mho.device.composed import ComposedCell
from mho.device.device import Device
from mho.nn.core import birth
from mho.nn.core.arrays import LayerArray, arrays_of
from mho.nn.core.bypass import recomputed
from mho.nn.core.checkpoint import guard
from mho.nn.core.export import refused
from mho.nn.core.keys import own_key

ANALOG_OF: dict[type[nn.Module], Callable[..., nn.Module]] = {}
"""{torch layer: function of (layer, hardware, key) that makes its counterpart}; that has a method `to_digital`."""
ANALOG_OF_NAMED: dict[str, Callable[..., nn.Module]] = {}
"""The same for layers of libraries that mho does not import, by module and name of the class."""
TIED_OF: dict[type[nn.Module], Callable[..., nn.Module]] = {}
"""{torch layer: function of (layer, analog layer, its key) that makes its counterpart on the arrays of that analog
layer}, whose weight it has (tied weights)."""


def named_in(model: object) -> dict[type[nn.Module], Callable[..., nn.Module]]:
    """Return {class: function} of the layers in the model that `ANALOG_OF_NAMED` has."""
    kinds = {type(part) for part in model.modules()} if isinstance(model, nn.Module) else set()
    names = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in kinds}
    return {names[name]: make for name, make in ANALOG_OF_NAMED.items() if name in names}


@runtime_checkable
class Renewed(Protocol):
    """A block, as `AnalogLayer.reset_parameters` sees it."""

    def renew(self, new: Any) -> None: ...
    def parameters(self) -> Any: ...


class AnalogLayer(nn.Module):
    """The base of analog layers: made of a digital one, and turned back into it.

    A subclass builds itself in `_begin`, from the digital layer that has its shape and initial weights. Its
    constructor makes that layer and calls `_born`.
    """

    hardware: Crossbar
    key: int
    is_part = False
    """True for a layer inside of another one, which draws its initial weights."""

    @classmethod
    def from_digital(cls, digital: Any, hardware: Crossbar, key: int | None = None) -> Self:
        """Make the analog layer with the weights and biases of a digital one; key: see the class."""
        layer = cls.__new__(cls)
        layer._born(digital, hardware, key)
        return layer

    def _born(self, digital: Any, hardware: Crossbar, key: int | None) -> None:
        """Build the layer with a key of its own. Warn if its arrays do not hold the digital one's weights."""
        name, is_part = type(self).__name__, birth.present() is not None
        for place, p in digital.named_parameters():
            if p.numel() == 0:
                what = f"its {place} would have shape {tuple(p.shape)}"
                raise complaint(name, what, "An array has at least one row and one column")
        with birth.watched() as found:
            key = own_key(key, name)
            self._begin(digital, hardware, key)
        self.key = key
        guard(self)
        if not is_part:
            birth.warn(name, {repr(name): found}, level=4)

    def __prepare_scriptable__(self):
        """Refuse torch.jit.script, which asks for it. Raises: MhoError."""
        raise refused("torch.jit.script")

    @property
    def __jit_ignored_attributes__(self) -> list[str]:
        """Refuse TorchScript, which reads this before the parts of the layer. Raises: MhoError."""
        if sys._getframe(1).f_globals.get("__name__") in ("torch.jit._recursive", "torch._jit_internal"):
            raise refused("torch.jit")
        raise AttributeError("__jit_ignored_attributes__")

    @property
    def parametrizations(self) -> Any:
        """Those of digital biases. Raises: MhoError where torch.nn.utils.parametrize asks for another tensor's."""
        frame = sys._getframe(1).f_back  # of the caller of torch's `is_parametrized`
        if frame is not None and frame.f_code.co_name == "register_parametrization":
            name = frame.f_locals["tensor_name"]
            if name in self._parameters or not hasattr(self, name):
                raise AttributeError("parametrizations")
            raise recomputed("torch.nn.utils.parametrize")
        raise AttributeError("parametrizations")  # nn.Module looks among its modules then

    def arrays(self) -> Mapping[str, LayerArray]:
        """Return the arrays of the layer by name, to get and set hidden weights and parameters of cells.

        A column of an analog bias is the last one. See `mho.nn.core.arrays`.
        """
        found: dict[str, LayerArray] = {}
        for prefix, matrices in self._matrices().items():
            found |= arrays_of(matrices, prefix)
        return MappingProxyType(found)

    def _matrices(self) -> dict[str, list[Any]]:
        """Return {prefix: matrices that lie below each other}: the `AnalogMatrix`es of the layer."""
        raise NotImplementedError

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Program the arrays with new initial weights, as torch draws them for the digital layer.

        The layer is as new: hidden weights, digital state, scales, biases. Cells stay the same, with their
        references. Counters of pulses and of programmings go on, and so does the noise. A part of another layer,
        such as one matrix of an LSTM, is reset by that layer alone.
        """
        if self.is_part:
            return
        fresh = type(self).from_digital(self._drawn(), self.hardware, self.key)
        for own, new in zip(self.modules(), fresh.modules(), strict=True):
            if isinstance(own, Renewed):
                own.renew(new)
        own_scales = {
            id(p) for part in self.modules() if isinstance(part, Renewed) for p in part.parameters()
        }
        begun = dict(fresh.named_parameters())
        for name, p in self.named_parameters():
            if id(p) not in own_scales and name in begun:
                p.copy_(begun[name])

    def _drawn(self) -> nn.Module:
        """Return the digital layer with new initial weights, on the CPU."""
        digital = self.to_digital().cpu()
        again = getattr(digital, "reset_parameters", None) or digital._reset_parameters
        again()  # type: ignore[operator]
        return digital

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def _begin(self, digital: Any, hardware: Crossbar, key: int) -> None:
        """Build the layer; digital: a layer of torch."""
        raise NotImplementedError

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Program the layer where the weight of this name is no parameter: `layer.weight = parameter`."""
        place = getattr(type(self), name, None)
        if isinstance(place, property) and place.fset is not None:
            place.fset(self, param)
            return
        super().register_parameter(name, param)

    def __delattr__(self, name: str) -> None:
        """Refuse to lose a weight. Raises: MhoError."""
        if name in self.__dict__ or any(
            name in own for own in (self._parameters, self._buffers, self._modules)
        ):
            super().__delattr__(name)
        elif hasattr(self, name):
            what, need = "a layer has its arrays as long as it lives", "Nothing has been changed"
            raise complaint(f"del layer.{name}", what, need, "replace the layer itself in its model")
        else:
            super().__delattr__(name)

    def to_digital(self) -> nn.Module:
        """Make the torch layer with the weights and biases that this one computes with."""
        raise NotImplementedError


def _law_of(device: Device | ComposedCell) -> str:
    """Return the law of a device, or the kind of a cell and the laws of its devices: `OneSided(ExpStep)`."""
    if isinstance(device, Device):
        return type(device.response).__name__
    inner = dict.fromkeys(_law_of(leaf.device) for leaf in device.leaves())
    return f"{type(device).__name__}({', '.join(inner)})"


def words_of(hardware: Crossbar) -> str:
    """Return the words of a hardware in a layer's `repr`: algorithm, law, and what is not the usual."""
    devices = hardware.device.values() if isinstance(hardware.device, Mapping) else [hardware.device]
    laws = dict.fromkeys(map(_law_of, devices))
    words = [f"algorithm={type(hardware.algorithm).__name__}", f"law={'/'.join(laws)}"]
    if hardware.io is None:
        words.append("io=None")
    if hardware.mapping.bias == "analog":
        words.append("analog bias")
    if hardware.mapping.omega:
        words.append(f"omega={hardware.mapping.omega:g}")
    return ", ".join(words)


def checked(layer: nn.Module, hardware: object) -> Crossbar:
    """Return the hardware of a layer. Raises: MhoError if it is not a Crossbar."""
    if not isinstance(hardware, Crossbar):
        raise wrong_type(f"{type(layer).__name__}(hardware=...)", "hardware", hardware, "an mho.Crossbar")
    return hardware


# Torch's transformers have a fused inference for eval mode without gradients. It reads `linear1.weight` and the
# like and multiplies itself, past the hardware. `nn.TransformerEncoderLayer` does not take it if a module
# inside has a hook. `nn.TransformerEncoder` packs padded sequences into a nested tensor for it, which nothing
# else understands.


def close_fused_inference(module: nn.Module) -> None:
    """Close the fused inference of every encoder layer that has, or will have, this module or a copy of it inside.

    The module should be one that is never called, so that its hook costs nothing.
    """
    module.register_forward_pre_hook(_nothing)


def unpack(encoder: nn.TransformerEncoder, is_analog: bool) -> None:
    """Leave padded sequences as they are while the encoder has an analog layer; else restore the former setting."""
    before = vars(encoder).setdefault("used_nested_tensor", getattr(encoder, "use_nested_tensor", False))
    encoder.use_nested_tensor = before and not is_analog


def _nothing(module: nn.Module, inputs: tuple) -> None:
    """Do nothing: the hook."""
