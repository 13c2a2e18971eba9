"""Tiki-Taka v2 with a chopped gradient, so that an offset of P's reads cancels."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.buffer import fire, scale
from mho.algorithms.parts.chopper import Flips, chances, flips
from mho.algorithms.parts.lines import next_line
from mho.algorithms.state import State, due, rate
from mho.base.records import NonNegative, OneOrMore, Positive, Probability
from mho.base.roles import Roles


class ChoppedTikiTaka(Algorithm):
    r"""c-TTv2: columns (and rows) of the gradient carry a sign that flips now and then; reads are de-chopped.

        P <- pulses(-fast_lr * c_d c_x^T * grad f(W + gamma c_d c_x^T * P))
        H[:, j] <- H[:, j] + c_x[j] transfer_lr * c_d * P[:, j] / threshold
        n = trunc(H[:, j]), +-max_pulses at most; W[:, j] gets n pulses; H[:, j] loses them
        c_x[j] <- -c_x[j] with probability chop_prob; c_d once a sweep, with cross_chop_prob

    A constant offset of P (a wrong reference) enters the buffer with changing signs and averages out, as long as a
    period is longer than P's response. By rows, x and d change places.

    Args:
        gamma: weight of P in what the network sees [relative]; with choppers, of c_d c_x^T * P.
        fast_lr: learning rate of P [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: weight of a read in the buffer.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        chop_prob: of a flip of a line's chopper after its read; 0 never flips.
        chop: "random" flips, or "regular" ones after every ceil(1 / chop_prob) reads.
        cross_chop_prob: of a flip of each chopper of the other lines, once all lines were read (random).
        auto_granularity: if > 0, threshold = dw_min of P * auto_granularity / (lines * transfer_every).
        thres_scale: else threshold = thres_scale * dw_min of W.
        momentum: what stays in the buffer of what was sent [relative].
        forget_buffer: cells that were sent pulses also lose the remainder (what is below one pulse).
        max_pulses: most pulses a cell of W gets in one transfer.
        transfer: "column" or "row".
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
        mix: "shared_adc": the currents of W and P add up before one converter; "separate": one each.
    Hardware: two arrays, one digital number per weight, one sign per line.
    Source: Rasch et al., Nat. Commun. 15:7133 (2024), c-TTv2; gamma: aihwkit pull request 764, whose CPU code
    transposes the choppers. aihwkit: ChoppedTransferCompound (there auto_granularity = 0 takes dw_min of P).
    """

    aliases = ("c-ttv2", "chopped-tiki-taka-v2", "ttv3")
    repeats = True

    gamma: Annotated[float, NonNegative] = 0.0
    fast_lr: Annotated[float, NonNegative] = 0.01
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 1.0
    scale_transfer_lr: bool = True
    chop_prob: Annotated[float, Probability] = 0.1
    chop: Flips = "random"
    cross_chop_prob: Annotated[float, Probability] = 0.0
    auto_granularity: Annotated[float, NonNegative] = 1000.0
    thres_scale: Annotated[float, Positive] = 1.0
    momentum: Annotated[float, Probability] = 0.0
    forget_buffer: bool = True
    max_pulses: Annotated[int, OneOrMore] = 1
    transfer: Literal["column", "row"] = "column"
    transfer_every: Annotated[int, OneOrMore] = 1
    units: Literal["mini-batch", "sample"] = "mini-batch"
    mix: Literal["shared_adc", "separate"] = "shared_adc"

    def roles(self) -> Roles:
        lines = "c_x" if self.transfer == "column" else "c_d"
        return Roles(gradient="P", weights="W", buffer="H", chopper=lines)

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        W, P = new_tile("W", w0, pulses="transfer"), new_tile("P", torch.zeros_like(w0))
        signs = [torch.ones(n, dtype=torch.float32) for n in w0.shape]
        return State(W=W, P=P, H=torch.zeros_like(w0), c_d=signs[0], c_x=signs[1], t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W), Term(s.P, self.gamma, s.c_d, s.c_x)] if self.gamma else [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x * s.c_x, g.d * s.c_d, rate(self.fast_lr, self.scale_fast_lr, lr))
        if not due(s, self.transfer_every):
            return
        line = next_line(s, self.transfer, s.P.shape, self.transfer_every)
        own, other = (s.c_x, s.c_d) if self.transfer == "column" else (s.c_d, s.c_x)
        c = own[line.j : line.j + 1]
        line.of(s.H).add_(c * other * line.read(s.P), alpha=scale(self, s, lr))
        fire(self, s, line)
        if flips(self, s, line):
            c.neg_()
        if self.cross_chop_prob and line.j == len(own) - 1:
            other[chances(s, self.cross_chop_prob, len(other), which=1)] *= -1
