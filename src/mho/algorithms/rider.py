"""RIDER: residual learning that tracks the symmetric point during the training."""

from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.lines import By, next_line
from mho.algorithms.state import State, due, rate
from mho.base.records import NonNegative, OneOrMore, Probability
from mho.base.roles import Roles
from mho.tile.plane import Plane


class RIDER(Algorithm):
    r"""P learns the residual of W relative to Q, a running mean of P that drifts to P's symmetric point.

        P <- pulses(-fast_lr * grad f(W + gamma (P - Q)))
        W <- pulses(transfer_lr * (P - Q))       with the new P and the old Q
        Q <- (1 - eta) Q + eta P

    With fixed steps and noisy gradients it does not converge: W creeps to its own array's symmetric point and
    takes P and Q along (design/007 derives and measures this). A small eta makes the creep slow. `ERIDER`, which
    chops the gradient, is the cure.

    Args:
        gamma: weight of P - Q in what the network sees [relative], >= 0.
        fast_lr: learning rate of P, alpha in the paper [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: W's change at a transfer, as a fraction of P - Q; beta in the paper.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        eta: weight of a read in Q [relative].
        transfer: "column", "row", or "all" columns at each transfer, as the paper writes it.
        transfer_every: steps between two transfers.
        units: a step is a "mini-batch" or a "sample".
        mix: "shared_adc": the currents of W, P and Q's copy add up before one converter; "separate": P - Q has
            a product of its own.
    Hardware: three arrays (W, P, and one that Q is programmed onto at each transfer), one digital number per
    weight.
    Source: arXiv 2602.21321, Algorithm 2, eqs. (11), (12). gamma as in its table 5 for E-RIDER; fast_lr,
    transfer_lr and eta are ours, none is published.
    """

    repeats = True

    gamma: Annotated[float, NonNegative] = 0.1
    fast_lr: Annotated[float, NonNegative] = 0.05
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 1.0
    scale_transfer_lr: bool = True
    eta: Annotated[float, Probability] = 1e-3
    transfer: By = "column"
    transfer_every: Annotated[int, OneOrMore] = 1
    units: Literal["mini-batch", "sample"] = "mini-batch"
    mix: Literal["shared_adc", "separate"] = "shared_adc"

    def roles(self) -> Roles:
        return Roles(gradient="P", weights="W", reference="Q")

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        W, P = new_tile("W", w0, pulses="transfer"), new_tile("P", torch.zeros_like(w0))
        return State(W=W, P=P, Q=torch.zeros_like(w0), R=Plane(torch.zeros_like(w0)), t=0)

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W), Term(s.R, self.gamma)] if self.gamma else [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        s.P.update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))
        if due(s, self.transfer_every):
            line = next_line(s, self.transfer, s.P.shape, self.transfer_every)
            read, Q = line.read(s.P), line.of(s.Q)
            line.write(s.W, read - Q, rate(self.transfer_lr, self.scale_transfer_lr, lr))
            Q.lerp_(read, self.eta)
        s.R.program(s.P.w - s.Q)
