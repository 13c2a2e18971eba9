"""Residual Learning v2: filtered transfers, so that the noise of the reads makes no penalty."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.buffer import scale, whole_pulses
from mho.algorithms.parts.lines import By, next_line
from mho.algorithms.state import State, due, rate
from mho.base.records import NonNegative, OneOrMore, Positive, Probability
from mho.base.roles import Roles


class ResidualLearningV2(Algorithm):
    r"""A low-pass filter H stands between P and W, and W gets a pulse where H has grown to a whole one.

        P <- pulses(-fast_lr * grad f(W + gamma P))
        H[:, j] <- momentum H[:, j] + (1 - momentum) transfer_lr * (P[:, j] + read noise) / threshold
        n = trunc(H[:, j]), +-max_pulses at most; W[:, j] gets n pulses

    `after_pulses="decrement"` (the paper) then takes n out of H; "keep" (the authors' code, which made their
    tables) leaves H as it is, so that it fires at every read while it is above one pulse. `pulses="plain"`
    has no threshold: W <- pulses(transfer_lr * H), eq. (15), where H = momentum H + (1 - momentum) P.
    The paper's own scales, beta = 1 - momentum and a threshold of dw_min, are transfer_lr = 1,
    auto_granularity = 0, thres_scale = 1.

    Args:
        gamma: weight of P in what the network sees [relative], >= 0.
        fast_lr: learning rate of P, alpha in the paper.
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        momentum: of the filter, 1 - beta in eq. (14) [relative].
        transfer_lr: weight of a read in the filter.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        pulses: "threshold", or "plain".
        after_pulses: "keep" or "decrement".
        auto_granularity: if > 0, threshold = dw_min of P * auto_granularity / (lines * transfer_every).
        thres_scale: else threshold = thres_scale * dw_min of W.
        max_pulses: most pulses a cell of W gets in one transfer.
        transfer: "column", "row", or "all" columns at each transfer, as the paper writes it.
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
        mix: "shared_adc": the currents of W and P add up before one converter; "separate": one each.
    Hardware: two arrays, one digital number per weight.
    Source: arXiv 2502.06309, eqs. (14), (15) and the threshold rule of section 5. Defaults: the authors' code
    and script S2-mnist-FCN.py, where transfer_lr is 0.11 + 1 / number of states.
    """

    aliases = ("rl-v2",)
    repeats = True

    gamma: Annotated[float, NonNegative] = 0.4
    fast_lr: Annotated[float, NonNegative] = 1.0
    scale_fast_lr: bool = True
    momentum: Annotated[float, Probability] = 0.9
    transfer_lr: Annotated[float, NonNegative] = 0.11
    scale_transfer_lr: bool = False
    pulses: Literal["threshold", "plain"] = "threshold"
    after_pulses: Literal["keep", "decrement"] = "keep"
    auto_granularity: Annotated[float, NonNegative] = 100.0
    thres_scale: Annotated[float, Positive] = 1.0
    max_pulses: Annotated[int, OneOrMore] = 1
    transfer: By = "column"
    transfer_every: Annotated[int, OneOrMore] = 1
    units: Literal["mini-batch", "sample"] = "mini-batch"
    mix: Literal["shared_adc", "separate"] = "shared_adc"

    def roles(self) -> Roles:
        buffer = "H" if self.pulses == "threshold" else None
        return Roles(gradient="P", weights="W", buffer=buffer, forgets=True)

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        P = new_tile("P", torch.zeros_like(w0))
        return State(W=new_tile("W", w0, pulses="transfer"), P=P, H=torch.zeros_like(w0), t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W), Term(s.P, self.gamma)] if self.gamma else [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))
        if not due(s, self.transfer_every):
            return
        line = next_line(s, self.transfer, s.P.shape, self.transfer_every)
        plain = self.pulses == "plain"
        H = line.of(s.H)
        H.mul_(self.momentum)
        H.add_(line.read(s.P), alpha=(1 - self.momentum) * (1.0 if plain else scale(self, s, lr)))
        if plain:
            line.write(s.W, H, rate(self.transfer_lr, self.scale_transfer_lr, lr))
            return
        n = whole_pulses(H, self.max_pulses)
        if self.after_pulses == "decrement":
            H.sub_(n)
        line.pulse(s.W, n)
