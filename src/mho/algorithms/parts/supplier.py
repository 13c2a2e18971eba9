"""Any torch optimizer as a function: from a weight, its gradient and a learning rate to the change it makes."""

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mho.errors import complaint, did_you_mean

_OTHERS = ("Optimizer", "LBFGS", "SparseAdam")  # these want a closure, or sparse gradients


def torch_optimizer(
    name: str, options: Mapping[str, Any], lr: float = 0.0, size: tuple[int, ...] = (1, 1)
) -> Any:
    """The optimizer torch.optim.`name` of one parameter of that size. Raises: MhoError if there is none."""
    known = [n for n, c in vars(torch.optim).items() if isinstance(c, type) and n not in _OTHERS]
    if name not in known:
        where = f"MixedPrecision(optimizer={name!r})"
        raise complaint(where, "torch.optim has no such optimizer that works here", did_you_mean(name, known))
    parameter = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    try:
        return getattr(torch.optim, name)([parameter], lr=lr, **options)
    except (TypeError, ValueError) as error:
        raise complaint(
            f"MixedPrecision(optimizer={name!r}, options={dict(options)!r})", str(error)
        ) from None


class Supplier(nn.Module):
    """Holds a torch optimizer, whose state is part of the model's state_dict."""

    def __init__(self, name: str, options: Mapping[str, Any], w: torch.Tensor) -> None:
        super().__init__()
        self._plain = name == "SGD" and not options
        self._optimizer = torch_optimizer(name, options, size=tuple(w.shape))

    def change(self, w: torch.Tensor, gradient: torch.Tensor, lr: float) -> torch.Tensor:
        """(out, in) float32: what one step of the optimizer adds to w; in float64, or it would be rounded to w."""
        if self._plain:
            return gradient * -lr
        group = self._optimizer.param_groups[0]
        start, parameter = w.double(), group["params"][0]
        parameter.data, parameter.grad, group["lr"] = start.clone(), gradient.double(), lr
        self._optimizer.step()
        return (parameter.data - start).to(torch.float32)

    def get_extra_state(self) -> torch.Tensor:
        """The optimizer's state as bytes, a uint8 tensor: all that a state_dict holds are tensors."""
        file = io.BytesIO()
        torch.save(self._optimizer.state_dict(), file)
        return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        file = io.BytesIO(state.numpy().tobytes())
        self._optimizer.load_state_dict(torch.load(file, weights_only=True))
