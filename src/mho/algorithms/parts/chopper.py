"""Choppers: signs that modulate the gradient on an array but not the array's own drift."""

import math
from typing import Any, Literal

import torch

from mho.algorithms.base import Factors
from mho.algorithms.parts.lines import By, TransferLine, n_lines
from mho.algorithms.state import State
from mho.numerics.rng import Stream, call_key, philox4x32, split

Flips = Literal["regular", "random"]


def signs(by: By, shape: tuple[int, int]) -> torch.Tensor:
    """Return the choppers of an array (out, in), all +1: (in,) for columns, (out,) for rows, (1,) for all."""
    return torch.ones(n_lines(by, shape), dtype=torch.float32)


def chopped(g: Factors, by: By, c: torch.Tensor) -> Factors:
    """Return the factors of a gradient whose columns (rows, all) are multiplied by c."""
    return Factors(g.x * c, g.d) if by == "column" else Factors(g.x, g.d * c)


def period(p: float) -> int:
    """Return the reads of a line between two regular flips, as rare as random ones of probability p: ceil(1/p), and
    at least 2 (as in aihwkit)."""
    return max(math.ceil(min(1 / p, 2.0**62)), 2)


def flips(a: Any, s: State, line: TransferLine) -> bool:
    """Return whether the line's chopper flips after its read. a: an algorithm with the fields chop, chop_prob and
    transfer_every."""
    return s.decide(_flips, a, line.by)


def _flips(s: State, a: Any, by: By) -> bool:
    if a.chop == "random":
        return bool(chances(s, a.chop_prob, 1)[0])
    reads = (s.counters("t")[0] // a.transfer_every - 1) // n_lines(by, s.P.shape) + 1
    return a.chop_prob > 0 and reads % period(a.chop_prob) == 0


def chances(s: State, p: float, n: int, which: int = 0) -> torch.Tensor:
    """Draw (n,) bool, each true with probability p: a function of s.key, of s.t and of `which` set is drawn."""
    key = split(call_key(s.key, Stream.CHOP, s.counters("t")[0]))
    words = [word for q in range((n + 3) // 4) for word in philox4x32(key, (q, which, 0, 0))]
    return torch.tensor(words[:n]) < p * 2.0**32
