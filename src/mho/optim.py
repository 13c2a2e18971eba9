"""One optimizer for all algorithms: analog weights by their algorithm, everything else by a torch optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from mho.errors import complaint
from mho.nn.block import Block


class AnalogOptimizer(torch.optim.Optimizer):
    """Steps the analog blocks of a model through their algorithm, and its other parameters digitally.

    It is a torch optimizer: learning-rate schedulers, param groups, hooks, closures, `zero_grad` and
    `state_dict` work. Calling backward several times before `step` accumulates; the optimizer's `zero_grad`
    forgets what was accumulated (the model's own cannot: the factors are not gradients of parameters).

    Args:
        model: holds analog layers and any others.
        lr: learning rate of all groups, finite and >= 0.
        digital: class of the torch optimizer for digital parameters (biases, output scales, other layers).
        **options: passed to it.
    Raises: MhoError if lr is not finite or the model has no parameters.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        digital: type[torch.optim.Optimizer] = torch.optim.SGD,
        **options: Any,
    ) -> None:
        if not (isinstance(lr, (int, float)) and 0 <= lr < float("inf")):
            raise complaint(
                f"AnalogOptimizer(lr={lr!r})", f"lr is {lr!r}", "It must be finite and not negative"
            )
        self._blocks = {block.weight: block for block in model.modules() if isinstance(block, Block)}
        analog = [w for w in self._blocks if w.requires_grad]
        others = [p for p in model.parameters() if p.requires_grad and p not in self._blocks]
        if not analog and not others:
            raise complaint("AnalogOptimizer(model)", "the model has no parameter that requires a gradient")
        self._digital = digital(others, lr=lr, **options) if others else None  # type: ignore[call-arg]
        self._step_digital = _without_profiler(digital.step)
        self._n_analog_groups = 1 if analog else 0
        groups = [{"params": analog}] if analog else []
        super().__init__(groups or others, {"lr": lr})
        self._share(groups)

    def _share(self, groups: list[dict]) -> None:
        """Both optimizers hold the same group and state objects, so a scheduler reaches both."""
        if self._digital is not None:
            self.param_groups = self.param_groups[: self._n_analog_groups] + self._digital.param_groups
            self.state = self._digital.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of everything; returns what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups[: self._n_analog_groups]:
            lr = float(group["lr"])
            if not 0 <= lr < float("inf"):
                raise complaint("AnalogOptimizer.step", f"lr is {lr}", "It must be finite and not negative")
            for weight in group["params"]:
                self._blocks[weight].step(lr)
        if self._digital is not None:
            self._step_digital(self._digital)
        return loss

    def observe(self, loss: float) -> None:
        """Tells the algorithms the training loss, once an epoch; those that go by it are `MultiTileResidual` with
        its warm start. Raises: MhoError if it is not finite."""
        loss = float(loss)
        if not abs(loss) < float("inf"):
            raise complaint("AnalogOptimizer.observe", f"the loss is {loss}", "It must be finite")
        for block in self._blocks.values():
            block.hardware.algorithm.observe(block.state, loss)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets gradients and recorded factors."""
        super().zero_grad(set_to_none)
        for block in self._blocks.values():
            block.factors.clear()

    def load_state_dict(self, state_dict: dict) -> None:
        """Loads what `state_dict()` gave."""
        super().load_state_dict(state_dict)
        if self._digital is not None:
            self._digital.param_groups = self.param_groups[self._n_analog_groups :]
            self._digital.state = self.state


def _without_profiler(step: Callable[..., Any]) -> Callable[..., Any]:
    """An optimizer's step without the profiler's record and the hooks around it, which this one's step has itself:
    25 us of a small network's iteration."""
    return step.__wrapped__ if getattr(step, "hooked", False) else step  # type: ignore[attr-defined]
