"""The lines of a transfer: one column, one row, or all of an array."""

from typing import Any, Literal, NamedTuple

import torch

from mho.algorithms.state import State, due, one_hot, rate
from mho.tile.array import Array, Programmable

By = Literal["column", "row", "all"]


def n_lines(by: By, shape: tuple[int, int]) -> int:
    """Return the number of transfers that go once round an array (out, in)."""
    return {"column": shape[1], "row": shape[0], "all": 1}[by]


class TransferLine(NamedTuple):
    """Line number j of an array: (out,) numbers for a column, (in,) for a row, (out, in) for all."""

    by: By
    j: int

    def of(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return this line of a matrix (out, in) as a view, which can be written to."""
        return matrix if self.by == "all" else matrix[:, self.j] if self.by == "column" else matrix[self.j]

    def read(self, tile: Array) -> torch.Tensor:
        """Read the line through the transfer converters."""
        return tile.read(**self._where)

    def write(self, tile: Array, change: torch.Tensor, lr: float) -> None:
        """Ask the array for w + lr change on this line, by its own pulses."""
        out, n_in = tile.shape
        if self.by == "all":
            tile.update(torch.eye(n_in, device=change.device), change.mT, lr)
        elif self.by == "column":
            tile.update(one_hot(self.j, n_in, change.device), change, lr)
        else:
            tile.update(change, one_hot(self.j, out, change.device), lr)

    def pulse(self, tile: Array, n: torch.Tensor) -> None:
        """Send exactly n pulses, an integer for each cell of the line."""
        tile.pulse(n, **self._where)

    def program(self, plane: Programmable, values: torch.Tensor) -> None:
        """Write digital numbers onto the line of a plane."""
        plane.program(values, **self._where)

    @property
    def _where(self) -> dict[str, int]:
        return {} if self.by == "all" else {self.by: self.j}


def next_line(s: State, by: By, shape: tuple[int, int], every: int = 1) -> TransferLine:
    """Return the line whose turn it is at a transfer that is due: 0, 1, ..., the last, 0, ..."""
    return TransferLine(by, s.turn(_turn, every, n_lines(by, shape)))


def _turn(s: State, every: int, lines: int) -> int:
    return (s.counters("t")[0] // every - 1) % lines


def transfer(a: Any, s: State, lr: float) -> None:
    """Add the next line of P to that of W when it is due: W[line] <- pulses(transfer_lr * P[line]).

    a: an algorithm with the fields transfer, transfer_every, transfer_lr and scale_transfer_lr.
    """
    if due(s, a.transfer_every):
        line = next_line(s, a.transfer, s.P.shape, a.transfer_every)
        line.write(s.W, line.read(s.P), rate(a.transfer_lr, a.scale_transfer_lr, lr))
