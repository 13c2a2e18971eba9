"""The memory of an algorithm between two steps, and the arithmetic that steps share: rates, turns, lines."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from mho.base.roles import Roles
from mho.numerics.views import Viewed
from mho.tile.array import Array, Pulsed


class State(Viewed):
    """The memory of an algorithm: arrays are submodules, numbers and tensors are buffers.

    `State(W=tile, t=0)` has `.W` and `.t`, an int64 buffer; a checkpoint of the model holds them all.
    """

    key = 0
    """64-bit name of the algorithm's own randomness (choppers); the block that holds the state sets it."""

    roles: Roles
    """Roles of the parts, see `Algorithm.roles`; the block that holds the state sets them."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
                self.__dict__[name] = part  # found at once, not in nn.Module's three dictionaries
            else:
                where = part.device if isinstance(part, torch.Tensor) else "cpu"
                self.register_buffer(name, torch.as_tensor(part, device=where))

    if TYPE_CHECKING:  # s.W is an Array, s.t a tensor: the algorithm knows which

        def __getattr__(self, name: str) -> Any: ...

        t: Any

    def decide(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return function(state, *args): what decides, from counters and fields, which way a step takes.

        `mho.requests` remembers what a step asked for by the outcomes of its decisions, which must be hashable.
        """
        return function(self, *args)

    def turn(self, function: Callable[..., int], *args: Any) -> int:
        """Return function(state, *args): the number of the line whose turn it is."""
        return function(self, *args)

    def measure(self, function: Callable[..., float], g: Any, *args: Any) -> float:
        """Return function(state, g, *args): a rate that follows from the factors g of the step, and from fields."""
        return function(self, g, *args)

    def tiles(self) -> dict[str, Array]:
        """Return the arrays by name, in the order in which `init` made them."""
        return {n: cast(Array, part) for n, part in self.named_children() if isinstance(part, Pulsed)}


def rate(value: float, scaled: bool, lr: float) -> float:
    """Return a learning rate as a field gives it: absolute, or a factor on the optimizer's `lr`."""
    return value * lr if scaled else value


def due(s: State, every: int) -> bool:
    """Count a step in s.t (int64 buffer), and return whether it is an `every`-th one."""
    return s.decide(_due, every)


def _due(s: State, every: int) -> bool:
    t = s.counters("t")
    t[0] += 1
    return t[0] % every == 0


def is_turn(s: State, every: int) -> bool:
    """Return whether this step, which `due` has counted, is an `every`-th one."""
    return s.decide(_is_turn, every)


def _is_turn(s: State, every: int) -> bool:
    return s.counters("t")[0] % every == 0


def one_hot(j: Any, n: int, device: torch.device | str = "cpu") -> Any:
    """Return the j-th unit vector (n,) float32, the input that addresses one column. It is kept: do not write to
    it."""
    if isinstance(j, int):
        return _one_hot(j, n, device)
    return j.unit(n)  # it is what stands for the number of a line in `mho.requests`


@functools.lru_cache(maxsize=4096)  # a new one costs 12 us a transfer
def _one_hot(j: int, n: int, device: torch.device | str) -> torch.Tensor:
    x = torch.zeros(n, dtype=torch.float32, device=device)
    x[j] = 1.0
    return x
