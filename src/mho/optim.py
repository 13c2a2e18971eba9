"""One optimizer for all algorithms: analog weights by their algorithm, everything else by a torch optimizer."""

import inspect
import operator
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import nn

from mho.base.errors import complaint, shown, wrong_type
from mho.nn.core.block import Block
from mho.nn.core.keys import check_different
from mho.nn.core.parameter import AnalogParameter
from mho.requests.compiled import collected

Exchange = Callable[[list[Block]], None]
"""An exchange of the recorded factors before they are learned, see `mho.parallel`."""


class AnalogOptimizer(torch.optim.Optimizer):
    """The optimizer of a model: analog blocks step through their algorithm, other parameters digitally.

    It is a torch optimizer: param groups, learning-rate schedulers, hooks, closures, `zero_grad` and `state_dict`
    work. Calling backward several times before `step` accumulates. Of a group's options, analog weights use the
    learning rate and `maximize`. All others, such as momentum and weight decay, concern its digital parameters.
    Frozen parameters get no step; they may be frozen and thawed at any time.

    Args:
        model: holds analog layers and any others; or, as for any torch optimizer, parameters, or groups of them
            as dicts {"params": ..., "lr": ..., ...}.
        lr: learning rate of the groups that do not state their own, finite and >= 0.
        digital: class of the torch optimizer for digital parameters (biases, output scales, other layers).
        equal_keys: allow layers that have one key: equal cells and equal noise.
        **options: passed to it.
    Raises: MhoError if a learning rate is not finite or there are no parameters that require a gradient, or two
            layers have one key.
    """

    def __init__(
        self,
        model: nn.Module | Iterable[Any],
        lr: float,
        digital: type[torch.optim.Optimizer] = torch.optim.SGD,
        *,
        equal_keys: bool = False,
        **options: Any,
    ) -> None:
        _checked(lr, f"AnalogOptimizer(lr={shown(lr)})")
        if not (isinstance(digital, type) and issubclass(digital, torch.optim.Optimizer)):
            raise wrong_type("AnalogOptimizer(digital=...)", "it", digital, "a class of torch optimizers")
        if issubclass(digital, torch.optim.LBFGS):
            what = "LBFGS calls a closure many times in a step, each with gradients of its own"
            raise complaint("AnalogOptimizer(digital=...)", what, fix="use any other optimizer")
        closure = inspect.signature(digital.step).parameters.get("closure")
        if closure is not None and closure.default is inspect.Parameter.empty:
            what, need = f"{digital.__name__}.step requires a closure", "It is called without one"
            raise complaint("AnalogOptimizer(digital=...)", what, need, "use an optimizer that does not")
        self.exchange: Exchange | None = None
        self._digital: torch.optim.Optimizer | None = None  # of the instance: Fabric's wrapper looks there
        super().__init__(_groups(model), {"lr": lr})
        self._digital = digital([_digital_part(g) for g in self.param_groups], lr=lr, **options)  # type: ignore[call-arg]
        self.defaults |= self._digital.defaults  # which schedulers look at
        self._take_over(self._digital.param_groups, self.param_groups)
        self.state = self._digital.state
        self._find_blocks()
        self.equal_keys = equal_keys
        self._check_keys()

    def _check_keys(self) -> None:
        """Check that no two layers are one piece of hardware."""
        if not self.equal_keys:
            blocks = enumerate(dict.fromkeys(block for _, block, _ in self._analog))
            check_different("AnalogOptimizer", ((f"array {n} {block.shape}", block) for n, block in blocks))

    def _find_blocks(self) -> None:
        """Look up the analog weights, their blocks, and the number of their group."""
        for _, block, _ in getattr(self, "_analog", ()):
            block.learning.owner = None
        self._listed = [list(group["params"]) for group in self.param_groups]
        weights = [(p, n) for n, g in enumerate(self.param_groups) for p in g["params"]]
        self._analog = [(p, p.of_block(), n) for p, n in weights if isinstance(p, AnalogParameter)]
        for _, block, _ in self._analog:
            block.learning.owner = weakref.ref(self)

    def _follow_groups(self) -> None:
        """Take over parameters that were put into the list of a group, or out of it, since the last look."""
        lists, known = [group["params"] for group in self.param_groups], self._listed
        if len(lists) != len(known) or not all(map(_are_one, lists, known)):
            assert self._digital is not None, "it is made by the constructor"
            self._digital.param_groups[:] = [_digital_part(group) for group in self.param_groups]
            self._find_blocks()
            self._check_keys()

    @staticmethod
    def _take_over(source: list[dict], target: list[dict]) -> None:
        """Give the groups of one optimizer the options that the same groups have in another."""
        for options, group in zip(source, target, strict=True):
            group.update(options, params=group["params"])

    def add_param_group(self, param_group: dict) -> None:
        """Add a group of parameters, analog ones, digital ones or both.

        Raises: MhoError if its learning rate is not finite or negative.
        """
        if isinstance(param_group, dict) and "lr" in param_group:
            _checked(param_group["lr"], "AnalogOptimizer.add_param_group")
        digital = self._digital
        known = len(self.param_groups)
        super().add_param_group(param_group)
        if digital is None:
            return
        try:
            digital.add_param_group(_digital_part(self.param_groups[-1]))
            self._find_blocks()
            self._check_keys()
        except BaseException:
            del self.param_groups[known:], digital.param_groups[known:]
            self._find_blocks()
            raise

    @property
    def blocks(self) -> list[Block]:
        """The analog blocks that are trained, in the order of their groups."""
        return [block for weight, block, _ in self._analog if weight.requires_grad]

    @torch.compiler.disable
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of everything; return the value of the closure.

        Raises: MhoError, before anything has changed, if a learning rate or a recorded factor is not finite, if an
        analog weight's gradient was changed by more than a factor, or if the loss depends on the weight itself.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._follow_groups()
        rates = [_checked(group["lr"], "AnalogOptimizer.step") for group in self.param_groups]
        if self.exchange is not None:
            self.exchange(self.blocks)
        for weight, block, _ in self._analog:
            block.learning.check()
            block.learning.settle()
            weight.check_added("AnalogOptimizer.step")
        ascends = [bool(group.get("maximize", False)) for group in self.param_groups]
        self._step_digital()  # first: it may raise before it changes anything, and arrays cannot go back
        with collected() as queue:
            for weight, block, group in self._analog:
                if weight.requires_grad or block.factors:
                    block.step(rates[group], ascends[group], queue)
        return loss

    def _step_digital(self) -> None:
        """Take the digital optimizer's step, without the profiler's record and the hooks around it.

        The step of this optimizer has both itself; they cost 25 us of a small network's iteration.
        """
        digital = self._digital
        assert digital is not None, "it is made by the constructor"
        params = [p for group in digital.param_groups for p in group["params"]]
        if params:
            written = {_memory_of(p) for p in params}
            for _, block, _ in self._analog:
                block.learning.keep_inputs(written)
            self._take_over(self.param_groups, digital.param_groups)
            type(digital).step.__wrapped__(digital)  # type: ignore[attr-defined]
            self._take_over(digital.param_groups, self.param_groups)

    def train(self, mode: bool = True) -> None:
        """Pass `train()` on to a digital optimizer that has it, as those without a schedule do."""
        self._switch("train" if mode else "eval")

    def eval(self) -> None:
        """Pass `eval()` on to a digital optimizer that has it: its parameters become the averaged ones."""
        self._switch("eval")

    def _switch(self, verb: str) -> None:
        call = getattr(self._digital, verb, None)
        if call is not None and self._digital is not None:
            self._take_over(self.param_groups, self._digital.param_groups)
            call()
            self._take_over(self._digital.param_groups, self.param_groups)

    def observe(self, loss: float) -> None:
        """Tell the algorithms the training loss, once an epoch; `MultiTileResidual` uses it for its warm start.

        Raises: MhoError if it is not finite.
        """
        loss = float(loss)
        if not abs(loss) < float("inf"):
            raise complaint("AnalogOptimizer.observe", f"the loss is {loss}", "It must be finite")
        for block in self.blocks:
            block.hardware.algorithm.observe(block.state, loss)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget gradients and recorded factors; digital gradients become zero if not `set_to_none`."""
        self._follow_groups()
        for weight, _, _ in self._analog:
            weight.grad = None
        if self._digital is not None:
            self._digital.zero_grad(set_to_none)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a result of `state_dict()`."""
        super().load_state_dict(state_dict)
        if self._digital is not None:
            self._take_over(self.param_groups, self._digital.param_groups)
            self._digital.__setstate__({"state": self.state})  # adds options that an older torch did not have

    def __getstate__(self) -> dict[str, Any]:
        """Pickle blocks in the place of their weights, which change when they are copied."""
        groups = [
            {**g, "params": [p.of_block() if isinstance(p, AnalogParameter) else p for p in g["params"]]}
            for g in self.param_groups
        ]
        own = {name: self.__dict__[name] for name in ("_digital", "exchange", "equal_keys")}
        return super().__getstate__() | own | {"param_groups": groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["params"] = [p.weight if isinstance(p, Block) else p for p in group["params"]]
        self._find_blocks()


AnalogParameter.optimizers.append(AnalogOptimizer)


def _are_one(now: list[Any], was: list[Any]) -> bool:
    """Return whether two lists hold the same objects."""
    return len(now) == len(was) and all(map(operator.is_, now, was))


def _groups(model: Any) -> list[dict[str, Any]]:
    """Return the groups of parameters, as dicts of their own."""
    if isinstance(model, nn.Module):
        params: list[Any] = list(model.parameters())  # frozen ones may be thawed later
        params = params if any(p.requires_grad for p in params) else []
    elif isinstance(model, Iterable) and not isinstance(model, torch.Tensor):
        params = list(model)
    else:
        raise wrong_type("AnalogOptimizer(model)", "it", model, "a module, parameters or groups of them")
    if not params:
        raise complaint("AnalogOptimizer(model)", "the model has no parameter that requires a gradient")
    if all(isinstance(part, Mapping) for part in params):
        return [dict(part) for part in params]
    return [{"params": params}]


def _digital_part(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group with its digital parameters only; there may be none."""
    return {**group, "params": [p for p in group["params"] if not isinstance(p, AnalogParameter)]}


def _memory_of(p: torch.Tensor) -> int:
    """Return the address of a parameter's memory; 0 for a sharded one, whose whole is made for each forward."""
    try:
        return p.untyped_storage().data_ptr()
    except RuntimeError:
        return 0


def _checked(lr: Any, where: str) -> float:
    lr = lr.item() if isinstance(lr, np.ndarray) and lr.ndim == 0 else lr
    number = isinstance(lr, Real) or (isinstance(lr, torch.Tensor) and lr.numel() == 1)
    if not (number and 0 <= lr <= sys.float_info.max):
        raise complaint(where, f"lr is {shown(lr)}", "It must be finite and not negative")
    return float(lr)
