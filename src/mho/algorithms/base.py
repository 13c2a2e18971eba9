"""The contract of a training algorithm: the arrays that exist, the weight that the network sees, and one step.

An `Algorithm` is a frozen record of hyper-parameters. Its `State` holds arrays and digital memory, `Factors` bring
the gradient, and `Term` is one summand of the visible weight.
"""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import torch
from torch import nn

from mho.base.records import Record, field_rules
from mho.base.roles import Roles
from mho.numerics.views import Viewed
from mho.tile.array import Array, Pulsed, Shown
from mho.tile.patches import Patches


class Factors(NamedTuple):
    """The rank-1 factors of a mini-batch's gradient: minus the gradient is the sum over samples of d x^T."""

    x: torch.Tensor | Patches  # (samples, in)
    d: torch.Tensor  # (samples, out), minus dL/dy; carries the loss's own 1/batch

    def parts(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (x, d) as tensors, some samples at a time, in order."""
        if isinstance(self.x, Patches):
            yield from self.x.pairs(self.d)
        else:
            yield self.x, self.d

    def outer(self) -> torch.Tensor:
        """Return minus the gradient, the sum over samples of d x^T: (out, in) float32, also under autocast."""
        total = torch.zeros(self.d.shape[1], self.x.shape[1], dtype=torch.float32, device=self.d.device)
        for x, d in self.parts():
            total += torch.mm(d.mT, x, out=torch.empty_like(total))
        return total


class NewTile(Protocol):
    """The maker of arrays that `init` is given: a name decides the device and the key, `pulses` the pulse
    scheme."""

    def __call__(
        self, name: str, w: torch.Tensor, pulses: str = "update", digital: bool = False
    ) -> Array: ...


class Term(NamedTuple):
    """One part of the weight that the network sees: coefficient * signs * the apparent weight of an array."""

    tile: Shown
    coefficient: float = 1.0
    row_signs: torch.Tensor | None = None  # (out,)
    column_signs: torch.Tensor | None = None  # (in,)

    def weight(self) -> torch.Tensor:
        """Return the term as a matrix (out, in)."""
        w = self.coefficient * self.tile.w
        if self.row_signs is not None:
            w = self.row_signs[:, None] * w
        return w if self.column_signs is None else w * self.column_signs


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

    def tiles(self) -> dict[str, Array]:
        """Return the arrays by name, in the order in which `init` made them."""
        return {n: cast(Array, part) for n, part in self.named_children() if isinstance(part, Pulsed)}


class Algorithm(Record, named=False):
    """A training algorithm. A subclass lists its hyper-parameters as fields, and answers three questions:

    `init(new_tile, w0)` makes the arrays, `visible(s)` lists what forward and backward see of them, and `step(s,
    g, lr)` does one mini-batch. It touches an array only through its verbs. Unless the gradient goes to the one
    array W, it also declares its `roles`.
    """

    mix = "shared_adc"
    """"shared_adc": the terms' currents add up before one converter. "separate": each term has a product of its
    own, with its own noise and converter, and all but the first are without bound management."""

    units = "mini-batch"
    """"mini-batch": one `step` for all samples since the last; "sample": one for each of them, in order."""

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        """Return the state for initial weights w0 (out, in)."""
        raise NotImplementedError

    def visible(self, s: State) -> list[Term]:
        """Return the terms whose sum is the weight that the network sees."""
        raise NotImplementedError

    def step(self, s: State, g: Factors, lr: float) -> None:
        """Do one mini-batch, or one sample, see `units`: pulses for arrays, arithmetic for digital state."""
        raise NotImplementedError

    def program(self, s: State, w: torch.Tensor) -> None:
        """Program arrays so that the network sees w (out, in): the first visible one, around the others."""
        first, *others = self.visible(s)
        tile, coefficient, rows, columns = cast(tuple[Any, float, Any, Any], first)
        if others:
            w = w - sum(term.weight() for term in others)
        w = w / coefficient if coefficient != 1.0 else w
        w = w if rows is None else rows[:, None] * w
        tile.program(w if columns is None else w * columns)

    def observe(self, s: State, loss: float) -> None:
        """Take the training loss of an epoch from `AnalogOptimizer.observe`; most algorithms do not need it."""

    def roles(self) -> Roles:
        """Return the roles of the arrays, of the digital state and of the fields."""
        return Roles()

    def field_of(self, role: str) -> str | None:
        """Return the name of the field that plays a role of `mho.base.roles.FIELDS`; None if no field does."""
        name = self.roles().fields.get(role, role)
        return name if name in field_rules(type(self)) else None

    def setting(self, role: str, otherwise: Any = None) -> Any:
        """Return the value of the field that plays a role, or `otherwise` if no field does."""
        name = self.field_of(role)
        return otherwise if name is None else getattr(self, name)


def rate(value: float, scaled: bool, lr: float) -> float:
    """Return a learning rate as a field gives it: absolute, or a factor on the optimizer's `lr`."""
    return value * lr if scaled else value


def due(s: State, every: int) -> bool:
    """Count a step in s.t (int64 buffer), and return whether it is an `every`-th one."""
    t = s.counters("t")
    t[0] += 1
    return t[0] % every == 0


@functools.lru_cache(maxsize=4096)  # a new one costs 12 us a transfer
def one_hot(j: int, n: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return the j-th unit vector (n,) float32, the input that addresses one column. It is kept: do not write to
    it."""
    x = torch.zeros(n, dtype=torch.float32, device=device)
    x[j] = 1.0
    return x
