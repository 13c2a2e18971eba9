"""A copy of what a layer computes with, through which torch code writes to the arrays.

`layer.weight` is such a tensor. Reading it costs a copy, and arithmetic on it gives plain tensors.
An in-place operation on it, on a view of it or on its `.data` programs the arrays of the layer. The copy shows what
the arrays hold when it is next read:

    nn.init.zeros_(layer.weight)
    layer.weight.data += change
    layer.weight[0].clamp_(-0.1, 0.1)

No gradient can be given to it: a loss that depends on it raises in its backward pass. `requires_grad` is that of
the layer's own parameters, and setting it freezes or thaws these.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from mho.base.errors import complaint, wrong_type
from mho.nn.core.bypass import PRODUCTS, check_product, check_reader, watch_modules


class Link(NamedTuple):
    """The way from a copy back to its layer."""

    write: Callable[[torch.Tensor], object]  # programs the layer with the whole matrix
    read: Callable[[], torch.Tensor]  # gives what the layer holds now; a plain tensor
    version: Callable[[], int]  # rises with every write to the layer
    whole: torch.Tensor  # the copy that views are views of
    seen: list[int]  # the version of the layer and of the copy, when they last agreed
    trained: Sequence[nn.Parameter]  # what the layer learns in the place of the copy
    behind: list[int]  # not empty while the copy shows what was written to it, not what the layer holds
    name: str = "layer.weight"  # for messages
    kept: torch.Tensor | None = (
        None  # what the copy was made of, if other parts of the layer may change meanwhile
    )

    def changed(self) -> bool:
        """Return whether torch wrote to the copy since it agreed with the layer."""
        return self.whole._version != self.seen[1]

    def agrees(self) -> bool:
        """Return whether the layer still holds what the copy was made of, though other parts of it have changed."""
        return self.kept is not None and torch.equal(self.read(), self.kept)

    def settle(self) -> None:
        """Program the layer with the copy.

        Raises: MhoError if the layer changed after the copy was taken.
        """
        if self.version() != self.seen[0] and not self.agrees():
            self.seen[1] = self.whole._version
            raise complaint(
                self.name,
                "a copy was written to after the layer itself had changed",
                "Such a write would undo the layer's own changes",
                f"read {self.name} again and write to that",
            )
        self.write(self.whole.detach().clone())
        self.behind[:] = [1]
        if self.kept is not None:
            self.kept.copy_(self.read())
        self.seen[:] = self.version(), self.whole._version

    def refresh(self) -> None:
        """Have the copy show what the layer holds, if it was written to."""
        if self.behind:
            with torch.no_grad():
                self.whole.copy_(self.read())
            self.behind.clear()
            self.seen[1] = self.whole._version


class Programmed(torch.Tensor):
    """Weights or biases of an analog layer: a copy, writes to which program the layer."""

    link: Link | None
    is_copy: bool = False
    """True for the copy itself, False for its views."""

    @staticmethod
    @torch.compiler.disable(reason="layer.weight is a copy that programs the layer")
    def of(
        read: Callable[[], torch.Tensor],
        write: Callable[[torch.Tensor], object],
        version: Callable[[], int] = int,
        trained: Sequence[nn.Parameter] = (),
        part: str = "",
    ) -> "Programmed":
        """Return a copy of what `read` gives, writes to which call `write` with the whole.

        version: rises with every write to the layer; a copy that is older can no longer be written to.
        trained: the parameters that the layer learns in its place.
        part: the words for it if it is a part of a layer whose other parts may change meanwhile.
        Raises: MhoError if pruning or a norm of torch.nn.utils asks, which would keep it and compute with it.
        """
        check_reader(sys._getframe(2))
        is_trained = torch.is_grad_enabled() and any(p.requires_grad for p in trained)
        with torch.inference_mode(False), torch.set_grad_enabled(is_trained):  # others count no writes
            values = read().detach()
            whole = _Copy.apply(values, *trained) if is_trained else values.clone()
            link = Link(write, read, version, whole, [version(), whole._version], trained, [])
            found = _linked(whole, link._replace(name=part, kept=values.clone()) if part else link)
        found.is_copy = True
        return found

    def as_parameter(self) -> "Programmed":
        """Return this copy, which torch takes for a parameter from now on: `head.weight = embedding.weight`."""
        watch_modules()
        self.__dict__["_is_param"] = True
        return self

    @classmethod
    @torch.compiler.disable
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        links = {id(t.link.whole): t.link for t in _tensors((args, kwargs)) if t.link is not None}
        with torch._C.DisableTorchFunctionSubclass():
            if func is torch.Tensor.requires_grad_ and links:
                if args[0].is_copy:
                    args[0].requires_grad = (*args[1:], *kwargs.values(), True)[0]
                    return args[0]
                # nn.Parameter(layer.weight) is one of its own
                return _linked(args[0].detach().clone(), None).requires_grad_(*args[1:], **kwargs)
            if func in PRODUCTS and any(map(_REQUIRES_GRAD.__get__, _tensors((args, kwargs)))):
                check_product(func, args, kwargs)
            if not _is_write(
                func
            ):  # writes in a row, as of nn.init.trunc_normal_, are not clipped in between
                for link in links.values():
                    link.refresh()
            is_array = func in (torch.Tensor.numpy, torch.Tensor.__array__)
            if is_array and links:
                args = (args[0].detach(), *args[1:])
            out = func(*args, **kwargs)
            for link in links.values():
                if link.changed():
                    link.settle()
            if not links or not isinstance(out, (torch.Tensor, tuple, list)):
                return _closed(out) if links and is_array else out
            return _views(out, links)

    @property
    def data(self) -> torch.Tensor:  # type: ignore[override]
        """The same numbers; a write to them is a write to the layer too."""
        with torch._C.DisableTorchFunctionSubclass():
            return _linked(self.detach(), self.link)

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        if not isinstance(value, torch.Tensor):
            raise wrong_type("layer.weight.data = ...", "it", value, "a tensor")
        with torch._C.DisableTorchFunctionSubclass():
            is_same = value.data_ptr() == self.data_ptr()
        if not is_same or value.shape != self.shape:
            with torch.no_grad():
                self.detach().copy_(value)

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]
        """True if the layer learns it."""
        link = self.link if self.is_copy else None
        return _REQUIRES_GRAD.__get__(self) if link is None else any(p.requires_grad for p in link.trained)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not self.is_copy or self.link is None:
            _REQUIRES_GRAD.__set__(self, value)
            return
        for p in self.link.trained:
            p.requires_grad = value

    @property
    def is_leaf(self) -> bool:  # type: ignore[override]
        """As of a tensor. Raises: MhoError for an optimizer, which would step the copy."""
        if self.is_copy and sys._getframe(1).f_globals.get("__name__") == "torch.optim.optimizer":
            what, need = "it was given layer.weight", "That is a copy of what arrays hold"
            raise complaint("optimizer", what, need, "pass the parameters: layer.parameters()")
        return _IS_LEAF.__get__(self)

    @property
    def grad_fn(self) -> Any:  # type: ignore[override]
        """As of a parameter where torch takes it for one, see `as_parameter`: None."""
        return None if self.is_copy and isinstance(self, nn.Parameter) else _GRAD_FN.__get__(self)

    @property
    def grad(self) -> torch.Tensor | None:  # type: ignore[override]
        """None before a backward pass. Raises: MhoError after it, for the parameters have the gradient."""
        link = self.link if self.is_copy else None
        if link is None:
            return _GRAD.__get__(self)
        if all(p.grad is None for p in link.trained):
            return None
        what, fix = "it is a copy, and has no gradient", "read p.grad of the parameters in layer.parameters()"
        raise complaint("layer.weight.grad", what, fix=fix)

    @grad.setter
    def grad(self, value: torch.Tensor | None) -> None:
        if self.is_copy and value is not None:
            what, fix = (
                "it is a copy, and has no gradient",
                "set p.grad of the parameters in layer.parameters()",
            )
            raise complaint("layer.weight.grad = ...", what, fix=fix)
        for p in self.link.trained if self.is_copy and self.link is not None else ():
            p.grad = None
        if not self.is_copy:
            _GRAD.__set__(self, value)

    def set_(self, *source: Any, **kwargs: Any) -> Any:
        """Refuse: other memory would be no array. Raises: MhoError."""
        fix = "write to it: layer.weight.copy_(w), or layer.program_(w)"
        raise complaint("layer.weight.set_", "it is a copy of what arrays hold", fix=fix)

    def __deepcopy__(self, memo):
        plain = memo[id(self)] = self._plain()
        return plain

    def __reduce_ex__(self, protocol):
        return self._plain().__reduce_ex__(protocol)

    def _plain(self) -> torch.Tensor:
        if self.link is not None:
            self.link.refresh()
        with torch._C.DisableTorchFunctionSubclass():
            copy = self.detach().as_subclass(torch.Tensor).clone()
            return nn.Parameter(copy, self.requires_grad) if isinstance(self, nn.Parameter) else copy


class _Copy(torch.autograd.Function):
    """A copy that tells its graph that the gradient of what is made of it would be lost."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, *trained: torch.Tensor) -> torch.Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx, g: torch.Tensor):
        raise complaint(
            "loss.backward",
            "the loss depends on layer.weight, or on an analog layer.bias, other than by a call of the layer",
            "It is a copy, and arrays learn from the inputs and errors of their layer alone",
            "call the layer; or use layer.weight.detach() where no gradient is meant",
        )


def _is_write(func: Any) -> bool:
    """Return whether a function of torch is an operation in place, by its name."""
    name = getattr(func, "__name__", "")
    return name in _WRITES or (name.endswith("_") and not name.endswith("__"))


_WRITES = frozenset(f"__i{name}__" for name in ("add", "sub", "mul", "div", "truediv", "pow")) | {
    "__setitem__"
}
torch._dynamo.config.nontraceable_tensor_subclasses.add(Programmed)
"""Compiled code leaves the copies to Python."""
_REQUIRES_GRAD: Any = torch.Tensor.requires_grad
"""Torch's own attribute, which `Programmed.requires_grad` hides."""
_GRAD: Any = torch.Tensor.grad
_GRAD_FN: Any = torch.Tensor.grad_fn
_IS_LEAF: Any = torch.Tensor.is_leaf
"""Torch's own attributes, which those of `Programmed` hide."""


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
