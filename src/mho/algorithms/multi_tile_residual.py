"""Multi-tile residual learning: a chain of coarse arrays, each of which learns the residual of the coarser ones."""

import itertools
import math
from typing import Annotated, Literal

import torch

from mho.algorithms.base import Algorithm, Factors, NewTile, Term
from mho.algorithms.parts.lines import By, next_line
from mho.algorithms.state import State, due, is_turn, rate
from mho.base.errors import complaint
from mho.base.records import NonNegative, OneOrMore
from mho.base.roles import Roles
from mho.tile.array import Array


class MultiTileResidual(Algorithm):
    r"""The weight is a geometric sum of tiles, W = sum over n = 0..N of gamma^n W_n; only W_N sees the gradient.

        W_N <- pulses(-fast_lr * grad f(W))
        W_n <- pulses(transfer_lr growth^(n+1) * W_(n+1)[:, j]), n = N-1, ..., 0,
               every transfer_every ratio^(N-1-n) mini-batches, each on its own column j

    Tile n is gamma^-1 times as coarse as tile n+1 and that much slower, so that few states a cell suffice. With
    `warm_start` W_N is transferred to W_0 alone until the loss stops falling, then to W_1 alone, and so on. After
    W_(N-1) the chain above begins. The loss must be reported once an epoch by `optimizer.observe(loss)`, which
    `mho train` does.

    Args:
        tiles: N + 1, at least 2.
        gamma: scale of each tile relative to the coarser one before it [relative]; the paper's rule is a little
            above 1 / (number of states of a cell).
        fast_lr: learning rate of W_N, alpha in the paper [weight units / gradient].
        scale_fast_lr: fast_lr is a factor on the optimizer's lr instead of absolute.
        transfer_lr: W_0's change at a transfer, as a fraction of what was read from W_1, is transfer_lr * growth.
        growth: of the transfer rate from one source tile to the next finer.
        scale_transfer_lr: transfer_lr is a factor on the optimizer's lr instead of absolute.
        transfer: "column", "row", or "all" columns at each transfer.
        transfer_every: steps between two transfers out of W_N.
        ratio: of the periods of one tile and the next finer.
        warm_start: fill the tiles one after another first.
        units: a step is a "mini-batch" or a "sample".
        mix: "shared_adc": the currents of all tiles add up before one converter; "separate": one each.
    Hardware: N + 1 arrays, no digital memory per weight.
    Source: arXiv 2510.02516, eqs. (6), (7), Algorithm 1 and appendix H (plateau of the loss; its history starts
    anew at a switch, as in the authors' code, which also counts changes up to 0.01 as rises). Defaults: its
    MNIST experiment, but fast_lr, which the paper does not give: the code leaves it at 1.
    """

    aliases = ("multi-tile-residual-learning",)
    repeats = True

    tiles: Annotated[int, OneOrMore] = 4
    gamma: Annotated[float, NonNegative] = 0.5
    fast_lr: Annotated[float, NonNegative] = 1.0
    scale_fast_lr: bool = False
    transfer_lr: Annotated[float, NonNegative] = 0.1
    growth: Annotated[float, NonNegative] = 1.2
    scale_transfer_lr: bool = False
    transfer: By = "column"
    transfer_every: Annotated[int, OneOrMore] = 2
    ratio: Annotated[int, OneOrMore] = 5
    warm_start: bool = False
    units: Literal["mini-batch", "sample"] = "mini-batch"
    mix: Literal["shared_adc", "separate"] = "shared_adc"

    def roles(self) -> Roles:
        arrays = tuple(f"W{n}" for n in range(self.tiles))
        return Roles(gradient=arrays[-1], weights=arrays[0], chain=arrays)

    def validate(self) -> None:
        if self.tiles < 2:
            raise complaint(f"MultiTileResidual(tiles={self.tiles})", "a residual takes at least 2 tiles")
        largest = math.log10(self.transfer_lr or 1.0)
        if largest + (self.tiles - 1) * math.log10(max(self.growth, 1e-9)) > 30:
            where = f"MultiTileResidual(growth={self.growth:g}, tiles={self.tiles})"
            what = "transfer_lr * growth^(tiles - 1), the largest rate of a transfer, is beyond 1e30"
            raise complaint(where, what, fix="use a smaller growth; the paper has 1.2")

    def init(self, new_tile: NewTile, w0: torch.Tensor) -> State:
        names, finest = [f"W{n}" for n in range(self.tiles)], self.tiles - 1
        arrays = {
            name: new_tile(
                name, w0 if n == 0 else torch.zeros_like(w0), "update" if n == finest else "transfer"
            )
            for n, name in enumerate(names)
        }
        losses = torch.full((6,), math.inf, dtype=torch.float64)
        return State(**arrays, t=0, stage=0 if self.warm_start else finest, losses=losses)

    def _arrays(self, s: State) -> list[Array]:
        return [getattr(s, f"W{n}") for n in range(self.tiles)]

    def visible(self, s: State) -> list[Term]:
        return [Term(tile, self.gamma**n) for n, tile in enumerate(self._arrays(s))]

    def step(self, s: State, g: Factors, lr: float) -> None:
        W, finest, stage = self._arrays(s), self.tiles - 1, s.decide(_stage)
        W[finest].update(g.x, g.d, rate(self.fast_lr, self.scale_fast_lr, lr))
        due(s, 1)
        pairs = [(stage, finest)] if stage < finest else [(n, n + 1) for n in reversed(range(finest))]
        for to, source in pairs:
            every = self.transfer_every * self.ratio ** (finest - source)
            if is_turn(s, every):
                line = next_line(s, self.transfer, W[0].shape, every)
                beta = rate(self.transfer_lr, self.scale_transfer_lr, lr) * self.growth**source
                line.write(W[to], line.read(W[source]), beta)

    def observe(self, s: State, loss: float) -> None:
        stage = s.counters("stage")
        if stage[0] < self.tiles - 1:
            s.losses.copy_(torch.cat([s.losses[1:], s.losses.new_tensor([loss])]))
            if plateau(s.losses.tolist(), stage[0]):
                stage[0] += 1
                s.losses.fill_(math.inf)


def _stage(s: State) -> int:
    return s.counters("stage")[0]


def plateau(losses: list[float], stage: int) -> bool:
    """Return whether the last 6 losses (infinite: not yet known) call for the next tile.

    At the first four stages they do if the last one rose, later if two of the last five changes were rises.
    """
    rises = [b > a for a, b in itertools.pairwise(losses)]
    return rises[-1] if stage <= 3 else losses[0] < math.inf and sum(rises) >= 2
