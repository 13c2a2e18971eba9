"""E-RIDER: residual learning with a chopper and a filter that track the symmetric point."""

from typing import Annotated, Any, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.chopper import Flips
from mho.algorithms.parts.dynamic import dynamic_roles, dynamic_state, dynamic_step, refuse_no_flips
from mho.algorithms.parts.lines import By
from mho.algorithms.state import State
from mho.base.records import NonNegative, OneOrMore, Positive, Probability
from mho.base.roles import Roles
from mho.tile.plane import Plane


class ERIDER(Algorithm):
    r"""P learns the residual of W from a gradient that is chopped; Q filters P's symmetric point out of it.

        P <- pulses(-fast_lr * c * grad f(W + gamma R))        R = c (P - past)
        H[:, j] <- H[:, j] + transfer_lr * R[:, j] / threshold
        n = trunc(H[:, j]), +-max_pulses at most; W[:, j] gets n pulses; H[:, j] loses them
        Q[:, j] <- (1 - eta) Q[:, j] + eta P[:, j]; when c[j] flips, past[:, j] <- Q[:, j]

    The defaults are what the authors ran: column by column, with the buffer H that their text does not have,
    regular flips counted in reads of a column (a column keeps its sign for ceil(1/p) * columns mini-batches),
    R as old as its column's last read and multiplied in a pass of its own. `ERIDER.printed(...)` sets the
    fields as Algorithm 3 has them: all of P at each step, W <- pulses(transfer_lr * R), one chopper, random
    flips with probability p a step, R always fresh.

    Args:
        gamma: weight of R in what the network sees [relative], >= 0. With 0 this is `AGAD`.
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
        residual: what the network sees of column j is R as it was last read ("stale") or as it is ("fresh").
        mix: "separate": R has a product of its own, with its own noise and converter (the authors' code);
            "shared_adc": the currents of W and R add up before one converter.
    Hardware: three arrays (W, P, and one that R or past is programmed onto), three digital numbers per weight
    (H, Q, past), one sign per line.
    Source: arXiv 2602.21321, Algorithm 3, eqs. (12), (17), (18), and the authors' code. Defaults: its table 5
    (FCN); table 3 (LeNet) differs in nothing. The released scripts' own defaults differ from both.
    """

    repeats = True

    gamma: Annotated[float, NonNegative] = 0.1
    fast_lr: Annotated[float, NonNegative] = 0.5
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 0.05
    scale_transfer_lr: bool = False
    chop_prob: Annotated[float, Probability] = 0.05
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
    residual: Literal["stale", "fresh"] = "stale"
    mix: Literal["shared_adc", "separate"] = "separate"

    @classmethod
    def printed(cls, **fields: Any) -> "ERIDER":
        """Return Algorithm 3 as the paper prints it; `fields` change or add to that: fast_lr (alpha), transfer_lr
        (beta), gamma, eta, chop_prob (p)."""
        paper: dict[str, Any] = {"transfer": "all", "buffer": False, "chop": "random", "residual": "fresh"}
        return cls(**paper | {"delayed_start": False, "mix": "shared_adc"} | fields)

    def roles(self) -> Roles:
        return dynamic_roles(self)

    def validate(self) -> None:
        refuse_no_flips(self)

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        s = dynamic_state(self, new_tile, w0)
        s.add_module("R", Plane(torch.zeros_like(w0)))
        return s

    def visible(self, s: State) -> list[Term]:
        return [Term(s.W), Term(s.R, self.gamma)] if self.gamma else [Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        done = dynamic_step(self, s, g, lr)
        if self.residual == "fresh":
            c = s.c[:, None] if self.transfer == "row" else s.c
            s.R.program(c * (s.P.w - s.past))
        elif done:
            line, residual = done
            line.program(s.R, residual)
