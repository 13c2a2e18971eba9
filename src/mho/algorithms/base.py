"""The contract of a training algorithm: the arrays that exist, the weight that the network sees, and one step.

An `Algorithm` is a frozen record of hyper-parameters. Its `State` holds arrays and digital memory, `Factors` bring
the gradient, and `Term` is one summand of the visible weight.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, cast

import torch

from mho.algorithms.state import State
from mho.base.records import Record, field_rules
from mho.base.roles import Roles
from mho.tile.array import Array, Shown
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

    repeats = False
    """True if `step` does the same whenever its decisions (`State.decide`, `State.turn`) have the same outcome: it
    looks at nothing else but fields and lr, and prints or counts nothing. Its requests are then remembered, which
    makes steps faster, see `mho.requests`."""

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
