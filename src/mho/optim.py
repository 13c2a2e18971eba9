"""One optimizer for all algorithms: analog weights by their algorithm, everything else by a torch optimizer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from mho.errors import complaint, wrong_type
from mho.nn.block import Block
from mho.nn.gradient import AnalogParameter

Exchange = Callable[[list[Block]], None]
"""What happens to the recorded factors before they are learned, see `mho.parallel`."""


class AnalogOptimizer(torch.optim.Optimizer):
    """Steps the analog blocks of a model through their algorithm, and its other parameters digitally.

    It is a torch optimizer: learning-rate schedulers, param groups, hooks, closures, `zero_grad` and
    `state_dict` work. Calling backward several times before `step` accumulates. A group of parameters becomes two
    of `param_groups`, one of analog weights and one of digital parameters, with the same learning rate.

    Args:
        model: holds analog layers and any others; or, as for any torch optimizer, parameters, or groups of them
            as dicts {"params": ..., "lr": ..., ...}, whose further options go to the digital optimizer.
        lr: learning rate of the groups that do not state their own, finite and >= 0.
        digital: class of the torch optimizer for digital parameters (biases, output scales, other layers).
        **options: passed to it.
    Raises: MhoError if lr is not finite or there are no parameters that require a gradient.
    """

    def __init__(
        self,
        model: nn.Module | Iterable[torch.Tensor] | Iterable[Mapping[str, Any]],
        lr: float,
        digital: type[torch.optim.Optimizer] = torch.optim.SGD,
        **options: Any,
    ) -> None:
        if not (isinstance(lr, (int, float)) and 0 <= lr < float("inf")):
            raise complaint(
                f"AnalogOptimizer(lr={lr!r})", f"lr is {lr!r}", "It must be finite and not negative"
            )
        analog: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for group in _groups(model):
            for part, into in zip(_split(group), (analog, others), strict=True):
                if part is not None:
                    into.append({"lr": lr} | part)
        if not analog and not others:
            raise complaint("AnalogOptimizer(model)", "the model has no parameter that requires a gradient")
        self._digital = digital(others, lr=lr, **options) if others else None  # type: ignore[call-arg]
        self._step_digital = _without_profiler(digital.step)
        self.exchange: Exchange | None = None
        self._n_analog_groups = -1  # not known yet: torch's own constructor adds the groups
        super().__init__(analog or others, {"lr": lr})
        self._n_analog_groups = len(analog)
        self._share()
        self._alive = self.blocks  # weights know their block, but do not keep it

    def _share(self) -> None:
        """Both optimizers hold the same group and state objects, so a scheduler reaches both."""
        if self._digital is not None:
            self.param_groups = self.param_groups[: self._n_analog_groups] + self._digital.param_groups
            self.state = self._digital.state

    def add_param_group(self, param_group: dict) -> None:
        """Adds parameters, analog ones, digital ones or both, as a group or two.

        Raises: MhoError for digital ones if there were none so far.
        """
        if self._n_analog_groups < 0:
            super().add_param_group(param_group)
            return
        analog, others = _split(param_group)
        if others is not None and self._digital is None:
            fix = "name them when the optimizer is made"
            raise complaint(
                "AnalogOptimizer.add_param_group", "there is no digital optimizer to take them", fix=fix
            )
        if analog is not None:
            super().add_param_group(analog)
            self.param_groups.insert(self._n_analog_groups, self.param_groups.pop())
            self._n_analog_groups += 1
            self._alive = self.blocks
        if others is not None and self._digital is not None:
            self._digital.add_param_group(others)
        self._share()

    @property
    def blocks(self) -> list[Block]:
        """The analog blocks that are trained, in the order of their groups."""
        groups = self.param_groups[: self._n_analog_groups]
        return [weight.of_block() for group in groups for weight in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of everything; returns what the closure returns.

        Raises: MhoError, before anything has changed, if a learning rate or a recorded factor is not finite.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups[: self._n_analog_groups]
        rates = [_checked(group["lr"]) for group in groups]
        blocks = [[weight.of_block() for weight in group["params"]] for group in groups]
        if self.exchange is not None:
            self.exchange(self.blocks)
        for of_group in blocks:
            for block in of_group:
                block.learning.check()
        for lr, of_group in zip(rates, blocks, strict=True):
            for block in of_group:
                block.step(lr)
        if self._digital is not None:
            self._step_digital(self._digital)
        return loss

    def observe(self, loss: float) -> None:
        """Tells the algorithms the training loss, once an epoch; those that go by it are `MultiTileResidual` with
        its warm start. Raises: MhoError if it is not finite."""
        loss = float(loss)
        if not abs(loss) < float("inf"):
            raise complaint("AnalogOptimizer.observe", f"the loss is {loss}", "It must be finite")
        for block in self.blocks:
            block.hardware.algorithm.observe(block.state, loss)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets gradients and recorded factors."""
        for block in self.blocks:
            block.learning.clear()
        if self._digital is not None:
            self._digital.zero_grad(set_to_none)

    def load_state_dict(self, state_dict: dict) -> None:
        """Loads what `state_dict()` gave."""
        super().load_state_dict(state_dict)
        if self._digital is not None:
            self._digital.param_groups = self.param_groups[self._n_analog_groups :]
            self._digital.state = self.state


def _groups(model: Any) -> list[dict[str, Any]]:
    """The groups of parameters, as dicts."""
    if isinstance(model, nn.Module):
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]
    parts = list(model)
    if all(isinstance(part, Mapping) for part in parts):
        return [dict(part) for part in parts]
    return [{"params": parts}]


def _split(group: Mapping[str, Any]) -> tuple[dict | None, dict | None]:
    """The analog and the digital part of a group; None where there is nothing."""
    given = group["params"]
    params = [given] if isinstance(given, torch.Tensor) else list(given)
    for p in params:
        if not isinstance(p, torch.Tensor):
            raise wrong_type("AnalogOptimizer(model)", "a parameter", p, "a tensor")
    analog = [p for p in params if isinstance(p, AnalogParameter)]
    others = [p for p in params if not isinstance(p, AnalogParameter)]
    rate = {"lr": group["lr"]} if "lr" in group else {}
    return (
        {"params": analog, **rate} if analog else None,
        {**group, "params": others} if others else None,
    )


def _checked(lr: Any) -> float:
    lr = float(lr)
    if not 0 <= lr < float("inf"):
        raise complaint("AnalogOptimizer.step", f"lr is {lr}", "It must be finite and not negative")
    return lr


def _without_profiler(step: Callable[..., Any]) -> Callable[..., Any]:
    """An optimizer's step without the profiler's record and the hooks around it, which this one's step has itself:
    25 us of a small network's iteration."""
    return step.__wrapped__ if getattr(step, "hooked", False) else step  # type: ignore[attr-defined]
