"""A copy of what a layer computes with, through which torch code writes to the arrays.

`layer.weight` is such a tensor. Reading it costs a copy, and arithmetic on it gives plain tensors.
An in-place operation on it, on a view of it or on its `.data` programs the arrays of the layer, and the copy then
shows the values that the arrays hold:

    nn.init.zeros_(layer.weight)
    layer.weight.data += change
    layer.weight[0].clamp_(-0.1, 0.1)
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from mho.base.errors import MhoError, complaint


class Link(NamedTuple):
    """The way from a copy back to its layer."""

    write: Callable[[torch.Tensor], object]  # programs the layer with the whole matrix
    read: Callable[[], torch.Tensor]  # gives what the layer holds now; a plain tensor
    version: Callable[[], int]  # rises with every write to the layer
    whole: torch.Tensor  # the copy that views are views of
    seen: list[int]  # the version of the layer and of the copy, when they last agreed

    def changed(self) -> bool:
        """Return whether torch wrote to the copy since it agreed with the layer."""
        return self.whole._version != self.seen[1]

    def settle(self) -> None:
        """Program the layer with the copy, and bring the copy up to date.

        Raises: MhoError if the layer changed after the copy was taken.
        """
        if self.version() != self.seen[0]:
            self.seen[1] = self.whole._version
            raise complaint(
                "layer.weight",
                "a copy of the weights was written to after the layer itself had changed",
                "Such a write would undo the layer's own changes",
                "read layer.weight again and write to that",
            )
        self.write(self.whole.detach().clone())
        with torch.no_grad():
            self.whole.copy_(self.read())
        self.seen[:] = self.version(), self.whole._version


class Programmed(torch.Tensor):
    """Weights or biases of an analog layer: a copy, writes to which program the layer."""

    link: Link | None

    @staticmethod
    def of(
        read: Callable[[], torch.Tensor],
        write: Callable[[torch.Tensor], object],
        version: Callable[[], int] = int,
    ) -> "Programmed":
        """Return a copy of what `read` gives, writes to which call `write` with the whole.

        version: rises with every write to the layer; a copy that is older can no longer be written to.
        """
        with torch.inference_mode(False):  # such tensors count no writes
            whole = read().detach().clone()
        return _linked(whole, Link(write, read, version, whole, [version(), whole._version]))

    def as_parameter(self) -> "Programmed":
        """Return this copy, which torch takes for a parameter from now on: `head.weight = embedding.weight`."""
        _watch_modules()
        self.__dict__["_is_param"] = True
        return self

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        links = {id(t.link.whole): t.link for t in _tensors((args, kwargs)) if t.link is not None}
        with torch._C.DisableTorchFunctionSubclass():
            if func is torch.Tensor.requires_grad_ and links:  # nn.Parameter(layer.weight) is one of its own
                return _linked(args[0].detach().clone(), None).requires_grad_(*args[1:], **kwargs)
            out = func(*args, **kwargs)
            for link in links.values():
                if link.changed():
                    link.settle()
            if not links or not isinstance(out, (torch.Tensor, tuple, list)):
                return _closed(out) if links and func is torch.Tensor.numpy else out
            return _views(out, links)

    @property
    def data(self) -> torch.Tensor:  # type: ignore[override]
        """The same numbers; a write to them is a write to the layer too."""
        with torch._C.DisableTorchFunctionSubclass():
            return _linked(self.detach(), self.link)

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        with torch._C.DisableTorchFunctionSubclass():
            is_same = isinstance(value, torch.Tensor) and value.data_ptr() == self.data_ptr()
        if not is_same or value.shape != self.shape:
            with torch.no_grad():
                self.detach().copy_(value)

    def __deepcopy__(self, memo):
        plain = memo[id(self)] = self._plain()
        return plain

    def __reduce_ex__(self, protocol):
        return self._plain().__reduce_ex__(protocol)

    def _plain(self) -> torch.Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            copy = self.detach().as_subclass(torch.Tensor).clone()
            return nn.Parameter(copy, self.requires_grad) if isinstance(self, nn.Parameter) else copy


def is_own(value: Any, shape: tuple[int, ...], version: Callable[[], int]) -> bool:
    """Return whether a weight that a layer is assigned is its own, as when torch code ties it once more.

    Args:
        shape, version: of the weight of the layer, as in `Programmed.of`.
    Raises: MhoError if it is the weight of an embedding on other arrays: an assignment ties no arrays.
    """
    link = value.__dict__.get("link") if isinstance(value, Programmed) else None
    if link is None:
        return False
    if link.version == version:
        with torch._C.DisableTorchFunctionSubclass():
            is_whole = value.data_ptr() == link.whole.data_ptr() and value.stride() == link.whole.stride()
        return is_whole and tuple(value.shape) == shape and link.seen == [version(), link.whole._version]
    if isinstance(value, nn.Parameter):
        raise _tied()
    return False


def _tied() -> MhoError:
    what = "it is assigned the weight of an analog embedding, whose array it does not have"
    return complaint("layer.weight = embedding.weight", what, "Arrays are tied when they are made", _TIE)


_TIE = "tie the digital layers, then mho.convert_; or assign a copy: embedding.weight.detach().clone()"


@functools.cache
def _watch_modules() -> None:
    """Have the parameters that digital modules get checked from now on."""
    register_module_parameter_registration_hook(_refuse)


def _refuse(module: nn.Module, name: str, parameter: Any) -> None:
    """Check that no digital module gets the weight of an analog embedding: it would be a copy."""
    if isinstance(parameter, Programmed) and parameter.__dict__.get("link") is not None:
        raise _tied()


def _linked(values: torch.Tensor, link: Link | None) -> Programmed:
    with torch._C.DisableTorchFunctionSubclass():
        found = values.as_subclass(Programmed)
    found.link = link
    return found


def _tensors(value: Any) -> Iterator[Programmed]:
    if isinstance(value, Programmed):
        if "link" not in value.__dict__:
            value.link = None
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))


def _views(out: Any, links: dict[int, Link]) -> Any:
    """Return results with a link wherever they share memory with the copy of a layer."""
    if isinstance(out, (tuple, list)) and type(out) in (tuple, list):
        return type(out)(_views(part, links) for part in out)
    if not isinstance(out, torch.Tensor) or isinstance(out, Programmed) or out.layout is not torch.strided:
        return out
    for link in links.values():
        if out.untyped_storage().data_ptr() == link.whole.untyped_storage().data_ptr():
            return _linked(out, link)
    return out


def _closed(array: Any) -> Any:
    """Return an array of NumPy that cannot be written to: nobody would see the write."""
    array.flags.writeable = False
    return array
