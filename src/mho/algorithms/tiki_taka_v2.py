"""Tiki-Taka with a digital buffer between the two arrays."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.buffer import fire, scale
from mho.algorithms.parts.lines import By, next_line
from mho.algorithms.state import State, due, rate
from mho.base.records import NonNegative, OneOrMore, Positive, Probability
from mho.base.roles import Roles


class TikiTakaV2(Algorithm):
    r"""Reads of P add up in a digital buffer H; W gets a pulse where H has grown to a whole one.

        P <- pulses(-fast_lr * grad f(W))
        H[:, j] <- H[:, j] + transfer_lr * P[:, j] / threshold
        n = trunc(H[:, j]), +-max_pulses at most; W[:, j] gets n pulses; H[:, j] loses them

    The buffer averages the noise of the reads, and lets W have fewer states than P's numbers need.

    Args:
        fast_lr: learning rate of P [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: weight of a read in the buffer.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        auto_granularity: if > 0, threshold = dw_min of P * auto_granularity / (lines * transfer_every).
        thres_scale: else threshold = thres_scale * dw_min of W.
        momentum: what stays in the buffer of what was sent [relative].
        forget_buffer: cells that were sent pulses also lose the remainder (what is below one pulse).
        max_pulses: most pulses a cell of W gets in one transfer.
        transfer: "column", "row", or "all" columns at each transfer.
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
    Hardware: two arrays, one digital number per weight.
    Source: Gokmen, Front. Artif. Intell. 4:699148 (2021); aihwkit: BufferedTransferCompound (thres_scale) and
    ChoppedTransferCompound without choppers (auto_granularity), which differ in the threshold. Defaults:
    arXiv 2502.06309, S2-mnist-FCN.py, its "ttv2". arXiv 2602.21321, table 5, has fast_lr 0.03, transfer_lr
    0.01, auto_granularity 0, thres_scale 0.8, momentum 0.1.
    """

    aliases = ("ttv2",)
    repeats = True

    fast_lr: Annotated[float, NonNegative] = 0.01
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 1.0
    scale_transfer_lr: bool = True
    auto_granularity: Annotated[float, NonNegative] = 1000.0
    thres_scale: Annotated[float, Positive] = 1.0
    momentum: Annotated[float, Probability] = 0.0
    forget_buffer: bool = True
    max_pulses: Annotated[int, OneOrMore] = 1
    transfer: By = "column"
    transfer_every: Annotated[int, OneOrMore] = 1
    units: Literal["mini-batch", "sample"] = "mini-batch"

    def roles(self) -> Roles:
        return Roles(gradient="P", weights="W", buffer="H")

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        P = new_tile("P", torch.zeros_like(w0))
        return State(W=new_tile("W", w0, pulses="transfer"), P=P, H=torch.zeros_like(w0), t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))
        if due(s, self.transfer_every):
            line = next_line(s, self.transfer, s.P.shape, self.transfer_every)
            line.of(s.H).add_(line.read(s.P), alpha=scale(self, s, lr))
            fire(self, s, line)
