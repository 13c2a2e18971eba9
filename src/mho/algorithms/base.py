"""What an algorithm is: which arrays exist, what the network sees of them, what one mini-batch does to them."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import nn

from mho.base.records import Record
from mho.tile.composed import ComposedTile
from mho.tile.patches import Patches
from mho.tile.plane import Plane
from mho.tile.tile import Tile
from mho.tile.views import Viewed


class Factors(NamedTuple):
    """The rank-1 factors of a mini-batch's gradient: minus the gradient is the sum over samples of d x^T."""

    x: torch.Tensor | Patches  # (samples, in)
    d: torch.Tensor  # (samples, out), minus dL/dy; carries the loss's own 1/batch

    def parts(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(x, d) of the same samples in order, some at a time, as tensors."""
        if isinstance(self.x, Patches):
            yield from self.x.pairs(self.d)
        else:
            yield self.x, self.d

    def outer(self) -> torch.Tensor:
        """(out, in) float32, also under autocast: the sum over samples of d x^T, minus the gradient."""
        total = torch.zeros(self.d.shape[1], self.x.shape[1], dtype=torch.float32, device=self.d.device)
        for x, d in self.parts():
            total += torch.mm(d.mT, x, out=torch.empty_like(total))
        return total


class NewTile(Protocol):
    """Makes an array: its role decides its device, its key and its pulses."""

    def __call__(
        self, name: str, w: torch.Tensor, pulses: str = "update", digital: bool = False
    ) -> Tile | ComposedTile: ...


class Term(NamedTuple):
    """One part of the weight that the network sees: coefficient * signs * the apparent weight of an array."""

    tile: Tile | ComposedTile | Plane
    coefficient: float = 1.0
    row_signs: torch.Tensor | None = None  # (out,)
    column_signs: torch.Tensor | None = None  # (in,)

    def weight(self) -> torch.Tensor:
        """(out, in): the term as a matrix."""
        w = self.coefficient * self.tile.w
        if self.row_signs is not None:
            w = self.row_signs[:, None] * w
        return w if self.column_signs is None else w * self.column_signs


class State(Viewed):
    """Everything an algorithm remembers: tiles are submodules, numbers and tensors are buffers.

    `State(W=tile, t=0)` has `.W` and `.t`, an int64 buffer; a checkpoint of the model holds them all.
    """

    key = 0
    """64-bit name of the algorithm's own randomness (choppers); the block that holds the state sets it."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
                self.__dict__[name] = part  # found at once, not in nn.Module's three dictionaries
            else:
                where = part.device if isinstance(part, torch.Tensor) else "cpu"
                self.register_buffer(name, torch.as_tensor(part, device=where))

    if TYPE_CHECKING:  # s.W is a Tile, s.t a tensor: the algorithm knows which

        def __getattr__(self, name: str) -> Any: ...

        t: Any

    def tiles(self) -> dict[str, Tile | ComposedTile]:
        """The arrays by name."""
        return {name: part for name, part in self.named_children() if isinstance(part, (Tile, ComposedTile))}


class Algorithm(Record):
    """A training algorithm. A subclass has hyper-parameters as fields, and answers three questions:

    `init(new_tile, w0)` which arrays exist; `visible(s)` what forward and backward see of them;
    `step(s, g, lr)` what one mini-batch does. It touches a tile only through its verbs.
    """

    mix = "shared_adc"
    """"shared_adc": the terms' currents add up before one converter; "separate": a product a term, each with its
    own noise and converter, then added digitally; all but the first without bound management."""

    units = "mini-batch"
    """"mini-batch": one `step` for all samples since the last; "sample": one for each of them, in order."""

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        """The state for initial weights w0 (out, in)."""
        raise NotImplementedError

    def visible(self, s: State) -> list[Term]:
        """The terms whose sum is the weight that the network sees."""
        raise NotImplementedError

    def step(self, s: State, g: Factors, lr: float) -> None:
        """One mini-batch (or one sample, see `units`): pulses for the arrays, arithmetic for the digital state."""
        raise NotImplementedError

    def observe(self, s: State, loss: float) -> None:
        """The training loss of an epoch, from `AnalogOptimizer.observe`; most algorithms do not need it."""


def rate(value: float, scaled: bool, lr: float) -> float:
    """A learning rate as a field gives it: absolute, or a factor on the optimizer's `lr`."""
    return value * lr if scaled else value


def due(s: State, every: int) -> bool:
    """Counts a step in s.t (int64 buffer); true on every `every`-th."""
    t = s.counters("t")
    t[0] += 1
    return t[0] % every == 0


@functools.lru_cache(maxsize=4096)  # a new one costs 12 us a transfer
def one_hot(j: int, n: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(n,) float32 on the device: the j-th unit vector, the input that addresses one column. It is kept: do not
    write to it."""
    x = torch.zeros(n, dtype=torch.float32, device=device)
    x[j] = 1.0
    return x
