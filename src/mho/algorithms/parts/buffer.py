"""The digital buffer between two arrays, which adds up small numbers until they are worth a pulse."""

from typing import Any

import torch

from mho.algorithms.parts.lines import TransferLine, n_lines
from mho.algorithms.state import State, rate


def scale(a: Any, s: State, lr: float) -> float:
    """Return the factor of a read of P in the buffer, whose unit is one pulse on W [1 / weight unit].

    The factor is |transfer_lr| / threshold. The threshold is thres_scale * dw_min of W, or, if auto_granularity >
    0, dw_min of P * auto_granularity / (lines of P * transfer_every): the longer a line waits for its turn, the
    more its read counts.

    a: an algorithm with these fields. Source: aihwkit 1.2.0, rpu_buffered_transfer_device.cpp (first form) and
    rpu_chopped_transfer_device.cpp (second form).
    """
    threshold = a.thres_scale * s.W.granularity
    if a.auto_granularity:
        wait = n_lines(a.transfer, s.P.shape) * a.transfer_every
        threshold = s.P.granularity * a.auto_granularity / wait
    return abs(rate(a.transfer_lr, a.scale_transfer_lr, lr)) / threshold


def whole_pulses(h: torch.Tensor, most: int, quantum: float = 1.0) -> torch.Tensor:
    """Return the pulses that a buffer asks for: its whole quanta, `most` at most in either direction."""
    whole = h.div(quantum, rounding_mode="trunc")  # h.trunc() wakes torch's other threads: 70 us with two
    return whole.clamp_(-most, most)


def fire(a: Any, s: State, line: TransferLine, held: bool = False) -> None:
    """Take the whole pulses out of the buffer H of this line, and send them to W unless they are held back.

    With `forget_buffer` an entry that fired is multiplied by `momentum`, and so loses its remainder too; otherwise
    it loses (1 - momentum) of its pulses. a: an algorithm with these fields and max_pulses.
    """
    h = line.of(s.H)
    n = whole_pulses(h, a.max_pulses)
    if a.forget_buffer:
        h.mul_(torch.where(n == 0, 1.0, a.momentum))
    else:
        h.sub_(n, alpha=1 - a.momentum)
    if not held:
        line.pulse(s.W, n)
