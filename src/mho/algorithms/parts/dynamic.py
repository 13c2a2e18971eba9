"""The step that AGAD and E-RIDER share, which tracks P's symmetric point while it transfers P to W."""

from typing import Any

import torch

from mho.algorithms.base import Factors, NewTile
from mho.algorithms.parts.buffer import fire, scale
from mho.algorithms.parts.chopper import chopped, flips, period, signs
from mho.algorithms.parts.lines import TransferLine, n_lines, next_line
from mho.algorithms.state import State, due, rate
from mho.base.errors import complaint
from mho.base.roles import Roles


def dynamic_roles(a: Any) -> Roles:
    """Return the roles of `AGAD` and `ERIDER`."""
    buffer = "H" if a.buffer else None
    return Roles(gradient="P", weights="W", buffer=buffer, reference="Q", seen="past", chopper="c")


def dynamic_state(a: Any, new_tile: NewTile, w0: torch.Tensor) -> State:
    """Return the state: arrays W and P, the buffer H, the running mean Q of P, its copy `past` at the last flip,
    and the choppers c."""
    W, P = new_tile("W", w0, pulses="transfer"), new_tile("P", torch.zeros_like(w0))
    H, Q, past = (torch.zeros_like(w0) for _ in range(3))
    return State(W=W, P=P, H=H, Q=Q, past=past, c=signs(a.transfer, (w0.shape[0], w0.shape[1])), t=0)


def dynamic_step(a: Any, s: State, g: Factors, lr: float) -> tuple[TransferLine, torch.Tensor] | None:
    """Do one step of `AGAD` or `ERIDER`, whose common fields `a` has.

    Returns: the line that was read, if one was due, and its residual c (P - past), which points against the
    gradient for either sign of c. Q keeps the part of P that does not follow c: the symmetric point.
    """
    s.P.update(*chopped(g, a.transfer, s.c), rate(a.fast_lr, a.scale_fast_lr, lr))
    if not due(s, a.transfer_every):
        return None
    line = next_line(s, a.transfer, s.P.shape, a.transfer_every)
    c, Q, past = s.c[line.j : line.j + 1], line.of(s.Q), line.of(s.past)
    read = line.read(s.P)
    residual = c * (read - past)
    if a.buffer:
        line.of(s.H).add_(residual, alpha=scale(a, s, lr))
        fire(a, s, line, held=waits(a, s))
    elif not waits(a, s):
        line.write(s.W, residual, rate(a.transfer_lr, a.scale_transfer_lr, lr))
    Q.lerp_(read, tail(a))
    if flips(a, s, line):
        c.neg_()
        past.copy_(Q)
    return line, residual


def tail(a: Any) -> float:
    """Return the weight of a read in the running mean Q: eta, or tail_weightening / (reads between flips), 1 at
    most."""
    return a.eta if a.eta is not None else min(a.tail_weightening / period(a.chop_prob), 1.0)


def waits(a: Any, s: State) -> bool:
    """Return whether it is too early to write to W: with `delayed_start`, during the first ceil(1 / chop_prob)
    sweeps, after which each line has flipped once if flips are regular."""
    return s.decide(_waits, a)


def _waits(s: State, a: Any) -> bool:
    sweep = n_lines(a.transfer, s.P.shape) * a.transfer_every
    return a.delayed_start and s.counters("t")[0] <= period(a.chop_prob) * sweep


def refuse_no_flips(a: Any) -> None:
    """Raise an MhoError for an algorithm without flips, whose reference would never change."""
    if a.chop_prob == 0:
        name = type(a).__name__
        need = "without flips the reference would stay what it was at the start"
        fix = "take mho.algorithms.RIDER, which tracks without a chopper, or ResidualLearning, which does not track"
        raise complaint(f"{name}(chop_prob=0)", f"{name} needs a chopper", need, fix)
