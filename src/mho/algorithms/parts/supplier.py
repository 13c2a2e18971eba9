"""Any torch optimizer as a function of a weight, its gradient and a rate, whose result is the change."""

from collections.abc import Mapping
from typing import Any

import torch

from mho.base.errors import complaint, did_you_mean, wrong_type
from mho.numerics.views import Viewed

_OTHERS = ("Optimizer", "LBFGS", "SparseAdam")  # these want a closure, or sparse gradients


def torch_optimizer(
    name: str, options: Mapping[str, Any], lr: float = 0.0, size: tuple[int, ...] = (1, 1)
) -> Any:
    """Make the optimizer torch.optim.`name` of one parameter of that size. Raises: MhoError if there is none."""
    if not isinstance(options, Mapping):
        raise wrong_type("MixedPrecision(options=...)", "options", options, "a mapping, {name: value}")
    known = [n for n, c in vars(torch.optim).items() if isinstance(c, type) and n not in _OTHERS]
    if name not in known:
        where = f"MixedPrecision(optimizer={name!r})"
        raise complaint(where, "torch.optim has no such optimizer that works here", did_you_mean(name, known))
    parameter = torch.zeros(size, dtype=torch.float64, device="cpu", requires_grad=True)
    try:
        return getattr(torch.optim, name)([parameter], lr=lr, **options)
    except (TypeError, ValueError) as error:
        raise complaint(
            f"MixedPrecision(optimizer={name!r}, options={dict(options)!r})", str(error)
        ) from None


class Supplier(Viewed):
    """A torch optimizer whose memory is buffers: part of the model's state_dict, and on its device.

    Before the first step torch's optimizers have no memory. The buffers then hold zeros, and `steps` is 0.
    """

    def __init__(self, name: str, options: Mapping[str, Any], w: torch.Tensor) -> None:
        super().__init__()
        self._plain = name == "SGD" and not options
        self._optimizer = torch_optimizer(name, options)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device="cpu"))
        states = {} if self._plain else _states(name, options)
        self._states = tuple(states)
        sizes = {1: 1, 2: w.shape[0], 3: w.shape[1]}
        for n, small in states.items():
            size = [sizes[s] for s in small.shape]
            self.register_buffer(n, torch.zeros(size, dtype=small.dtype, device=w.device if size else "cpu"))

    def change(self, w: torch.Tensor, gradient: torch.Tensor, lr: float) -> torch.Tensor:
        """Return the change (out, in) float32 that one step of the optimizer makes to w. The step is in float64,
        or the change would be rounded to steps of w."""
        if self._plain:
            return gradient * -lr
        steps, group, start = self.counters("steps"), self._optimizer.param_groups[0], w.double()
        parameter = start.clone().requires_grad_()
        parameter.grad, group["params"], group["lr"] = gradient.double(), [parameter], lr
        self._optimizer.state.clear()
        if steps[0]:
            self._optimizer.state[parameter] = {name: self._buffers[name] for name in self._states}
        self._optimizer.step()
        after = self._optimizer.state.pop(parameter, {})
        self._buffers.update((name, after[name]) for name in self._states)
        steps[0] += 1
        group["params"] = []
        return (parameter.detach() - start).to(torch.float32)


def _states(name: str, options: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the memory of such an optimizer for a parameter (2, 3) after a step."""
    optimizer = torch_optimizer(name, options, size=(2, 3))
    [parameter] = optimizer.param_groups[0]["params"]
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return {n: v for n, v in optimizer.state[parameter].items() if isinstance(v, torch.Tensor)}
