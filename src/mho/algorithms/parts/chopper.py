"""Choppers: signs that turn the gradient's part of an array's motion to and fro, and leave its own drift alone."""

import math
from typing import Any, Literal

import torch

from mho.algorithms.base import Factors, State
from mho.algorithms.parts.lines import By, TransferLine, n_lines
from mho.numerics.rng import Stream, call_key, philox4x32, split

Flips = Literal["regular", "random"]


def signs(by: By, shape: tuple[int, int]) -> torch.Tensor:
    """The choppers of an array (out, in), all +1: (in,) for columns, (out,) for rows, (1,) for all."""
    return torch.ones(n_lines(by, shape), dtype=torch.float32)


def chopped(g: Factors, by: By, c: torch.Tensor) -> Factors:
    """The factors of a gradient whose columns (rows, all) are multiplied by c."""
    return Factors(g.x * c, g.d) if by == "column" else Factors(g.x, g.d * c)


def period(p: float) -> int:
    """Reads of a line between two regular flips that are as rare as random ones of probability p: ceil(1/p), 2
    at least (as in aihwkit)."""
    return max(math.ceil(min(1 / p, 2.0**62)), 2)


def flips(a: Any, s: State, line: TransferLine) -> bool:
    """Whether the line's chopper flips after its read. a: an algorithm with the fields chop, chop_prob and
    transfer_every."""
    if a.chop == "random":
        return bool(chances(s, a.chop_prob, 1)[0])
    reads = (s.counters("t")[0] // a.transfer_every - 1) // n_lines(line.by, s.P.shape) + 1
    return a.chop_prob > 0 and reads % period(a.chop_prob) == 0


def chances(s: State, p: float, n: int, which: int = 0) -> torch.Tensor:
    """(n,) bool, each true with probability p: a pure function of s.key, s.t and `which` set of them it is."""
    key = split(call_key(s.key, Stream.CHOP, s.counters("t")[0]))
    words = [word for q in range((n + 3) // 4) for word in philox4x32(key, (q, which, 0, 0))]
    return torch.tensor(words[:n]) < p * 2.0**32
