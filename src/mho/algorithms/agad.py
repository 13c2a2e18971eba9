"""AGAD: Tiki-Taka with a reference of its own, the mean of its reads before the last flip of the chopper."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.chopper import Flips
from mho.algorithms.parts.dynamic import dynamic_roles, dynamic_state, dynamic_step, refuse_no_flips
from mho.algorithms.parts.lines import By
from mho.algorithms.state import State
from mho.base.records import NonNegative, OneOrMore, Positive, Probability
from mho.base.roles import Roles


class AGAD(Algorithm):
    r"""Chopped Tiki-Taka whose reads are taken relative to their own running mean at the last flip.

        P <- pulses(-fast_lr * c * grad f(W))
        H[:, j] <- H[:, j] + transfer_lr * c[j] (P[:, j] - past[:, j]) / threshold
        n = trunc(H[:, j]), +-max_pulses at most; W[:, j] gets n pulses; H[:, j] loses them
        Q[:, j] <- (1 - eta) Q[:, j] + eta P[:, j]; when c[j] flips, past[:, j] <- Q[:, j]

    Any offset of P's symmetric point is found on the way, without a calibration. `ERIDER` also shows the network
    the residual in P. With gamma = 0 it is this class.

    Args:
        fast_lr: learning rate of P, alpha in the paper [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: weight of a read in the buffer, or without it W's change as a fraction of what was read.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        chop_prob: flips of a line's chopper per read of that line, > 0.
        chop: "regular" flips after every ceil(1 / chop_prob) reads (2 at least), or "random" ones.
        eta: weight of a read in Q [relative]; None takes tail_weightening / (reads between flips), 1 at most.
        tail_weightening: see eta.
        buffer: reads add up in H, and W gets whole pulses; else W gets what its own pulses make of each read.
        auto_granularity: if > 0, threshold = dw_min of P * auto_granularity / (lines * transfer_every).
        thres_scale: else threshold = thres_scale * dw_min of W.
        momentum: what stays in the buffer of what was sent [relative].
        forget_buffer: cells that were sent pulses also lose the remainder (what is below one pulse).
        max_pulses: most pulses a cell of W gets in one transfer from the buffer.
        delayed_start: pulses to W are held back in the first ceil(1 / chop_prob) sweeps: there is no reference yet.
        transfer: "column", "row", or "all" columns at each transfer; each has its own chopper.
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
    Hardware: two arrays, three digital numbers per weight (H, Q, past), one sign per line.
    Source: Rasch et al., Nat. Commun. 15:7133 (2024); aihwkit: DynamicTransferCompound. Defaults: arXiv
    2602.21321, table 5 (FCN); its table 3 (LeNet) has fast_lr 0.01 and transfer_lr 0.2.
    """

    aliases = ("ttv4",)
    repeats = True

    fast_lr: Annotated[float, NonNegative] = 0.05
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 0.3
    scale_transfer_lr: bool = True
    chop_prob: Annotated[float, Probability] = 0.1
    chop: Flips = "regular"
    eta: Annotated[float | None, Probability] = None
    tail_weightening: Annotated[float, Positive] = 5.0
    buffer: bool = True
    auto_granularity: Annotated[float, NonNegative] = 1000.0
    thres_scale: Annotated[float, Positive] = 1.0
    momentum: Annotated[float, Probability] = 0.0
    forget_buffer: bool = True
    max_pulses: Annotated[int, OneOrMore] = 1
    delayed_start: bool = True
    transfer: By = "column"
    transfer_every: Annotated[int, OneOrMore] = 1
    units: Literal["mini-batch", "sample"] = "mini-batch"

    def roles(self) -> Roles:
        return dynamic_roles(self)

    def validate(self) -> None:
        refuse_no_flips(self)

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        return dynamic_state(self, new_tile, w0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        dynamic_step(self, s, g, lr)
