"""The gradient of an analog weight as a matrix, for code that reads or changes `weight.grad`."""

import weakref
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from mho.base.errors import MhoError, complaint, wrong_type


class Owner(Protocol):
    """The block that a weight belongs to."""

    learning: Any  # its recorded factors, see `mho.nn.core.factors.Learning`

    @property
    def is_exact(self) -> bool:
        """True if an update changes the weight by exactly what was asked for."""

    @property
    def steps_as_torch(self) -> bool:
        """True if a step on the weight is one on the matrix that the layer multiplies with."""

    def place(self, value: torch.Tensor) -> None:
        """Program the arrays with what was assigned to `weight.data`, at the next look."""


class AnalogParameter(nn.Parameter):
    """A weight whose `grad` is computed from the recorded factors when it is read.

    Training never reads `grad`. Code that does, such as clipping, a GradScaler or a logger, receives dL/dW
    (out, in): minus the sum of d x^T over all samples since `zero_grad`, of the weight as the array holds it,
    before digital scales. Multiplying `grad` by one number multiplies d of all these samples by that number,
    and so the pulses that the step asks for. Setting it to zero, or to None, forgets the samples: no step. Any
    other change is an error at the step, because pulses are made of x and d, and no x and d have such a sum.
    A step uses up the factors. After it `grad` is None, or, if it was read before the step, what it was until the
    next backward. A copy of the weight alone is an ordinary parameter. (With omega and `Mapping(rates="layer")` the
    step itself divides d by the square of the digital scale.)
    """

    block: "weakref.ref[Any] | None"
    optimizers: ClassVar[list[type]] = []
    """Classes of optimizers that step analog weights through their algorithm."""

    def __new__(cls, data: Any = None, requires_grad: bool = True, block: Any = None) -> "AnalogParameter":
        """Make a weight; `block` for code that makes one like another, from its attributes, as accelerate does."""
        data = data.detach() if isinstance(data, AnalogParameter) else data
        weight = super().__new__(cls, data, requires_grad)
        weight.block = block
        return weight

    @staticmethod
    def of(block: Owner, data: torch.Tensor, requires_grad: bool = True) -> "AnalogParameter":
        """Make the weight of a block; data (out, in) is shared."""
        return AnalogParameter(data, requires_grad, weakref.ref(block))

    def of_block(self) -> Any:
        """Return the block of this weight. Raises: MhoError if the block no longer exists."""
        block = self._of()
        if block is None:
            fix = "keep the model as long as its optimizer, and make the optimizer after copying the model"
            raise complaint("AnalogOptimizer", "an analog weight belongs to no layer any more", fix=fix)
        return block

    @property
    def data(self) -> torch.Tensor:  # type: ignore[override]
        """The numbers, whose writes torch counts with those of the weight itself."""
        return self.detach()

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        if self._of() is None or value.device != self.device:
            _DATA.__set__(self, value)
        elif value.shape != self.shape:
            what = f"it has shape {tuple(value.shape)}"
            raise complaint("weight.data = ...", what, f"The weight has shape {tuple(self.shape)}")
        elif value.data_ptr() != self.data_ptr() or value.stride() != self.stride():
            self.of_block().place(value)

    def move(self, memory: torch.Tensor) -> None:
        """Have the numbers in other memory, which holds the same, from now on."""
        _DATA.__set__(self, memory)

    @property
    def grad(self) -> torch.Tensor | None:  # type: ignore[override]
        """(out, in) float32, or None. Gradients of other uses of the weight than its layer's product are in it."""
        block, added = self._of(), self.added
        found = None if block is None else block.learning.gradient()
        return found if added is None else added if found is None else found + added

    @grad.setter
    def grad(self, value: torch.Tensor | None) -> None:
        block = self._of()
        if block is None or value is None:
            _GRAD.__set__(self, value)
        if block is None:
            return
        if value is None:
            block.learning.clear()
        elif not isinstance(value, torch.Tensor):
            raise wrong_type("weight.grad = ...", "it", value, "a tensor or None")
        elif value.shape != self.shape:
            what = f"it has shape {tuple(value.shape)}"
            raise complaint("weight.grad = ...", what, f"The weight has shape {tuple(self.shape)}")
        else:
            block.learning.replace(value)

    @property
    def added(self) -> torch.Tensor | None:
        """The gradient that autograd itself has added up, for uses of the weight other than its layer's product."""
        return _GRAD.__get__(self)

    def register_hook(self, hook: Any) -> Any:
        """Refuse: the gradient is no tensor yet when torch would call the hook. Raises: MhoError."""
        if self._of() is None:
            return super().register_hook(hook)
        raise complaint(
            "weight.register_hook",
            "the gradient of an analog weight leaves the backward pass as factors, which no hook can change",
            fix="use weight.register_post_accumulate_grad_hook(hook) and read weight.grad in it",
        )

    def restored(self, memory: torch.Tensor) -> torch.Tensor:
        """Return a copy of the numbers, and have them in `memory` again, which `set_` had taken away.

        Raises: MhoError if they have another shape now.
        """
        if self.shape != memory.shape:
            raise replaced(self)
        found = self.detach().clone()
        if self.data_ptr() != memory.data_ptr():
            _DATA.__set__(self, memory)
        return found

    def check_added(self, where: str) -> None:
        """Check that the weight was used by its layer's product alone. Raises: MhoError, in the name of `where`."""
        if self.added is not None:
            raise complaint(
                where,
                "the loss depends on an analog weight other than by its layer's product",
                "Pulses are made of the layer's inputs and errors, and a penalty on weights has none",
                "leave weights of type mho.nn.AnalogParameter out of it, and call zero_grad",
            )

    def _of(self) -> Any:
        block = getattr(self, "block", None)
        return None if block is None else block()

    def __reduce_ex__(self, protocol):
        """Pickle a plain parameter: a copied block makes it its weight again (`Block.__setstate__`)."""
        return nn.Parameter(self.data, self.requires_grad).__reduce_ex__(protocol)


def replaced(by: Any) -> MhoError:
    """Return the error about an analog weight in whose place there is something else."""
    what = "nothing" if by is None else f"a {type(by).__name__} {tuple(by.shape)}"
    return complaint(
        "weight",
        f"the parameter of an analog layer was replaced by {what}",
        "An array is one place, and forward, state_dict and the optimizer go by its own parameter",
        "write to it: layer.program_(w), or parameter.data.copy_(w); parametrizations and pruning need a mask that "
        "you multiply with after each step",
    )


_DATA: Any = torch.Tensor.data
"""Torch's own attribute, which `AnalogParameter.data` hides."""
_GRAD: Any = torch.Tensor.grad
"""Torch's own attribute, which `AnalogParameter.grad` hides."""
