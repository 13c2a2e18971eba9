"""Ramps: what a law predicts for the next read, given the reads so far.

Least squares on differences of reads is wrong: each read noise enters two of them with opposite signs. Least
squares between the reads and the noise-free staircase w_{k+1} = w_k +- dw_min q(w_k) is right only without
cycle-to-cycle noise: that moves the cell off the staircase for good, so the distances from it are correlated over
hundreds of pulses and intervals come out far too narrow. So the staircase is corrected after each read, by the
part K of the distance that the two noises justify (Kalman's gain). With K = 0 after the first read it is the plain
staircase, with K = 1 it starts anew at each read. The distances that remain are independent of each other.
"""

from typing import NamedTuple

import numpy as np

from mho.fit.families import Family
from mho.fit.measured import UP, Array, Ramp

NODES = 1001  # of a law's table; linear interpolation then errs by less than 1e-6 of a step


class Lanes(NamedTuple):
    """Ramps side by side.

    Args:
        reads: shape (ramps, n), the shorter ones continued by their last value.
        inside: where a read is one of the ramp, shape (ramps, n).
        signs: +1 or -1 for each, shape (ramps,).
        low, step: first node of a law's table and distance of the nodes.
    """

    reads: Array
    inside: Array
    signs: Array
    low: float
    step: float

    @property
    def nodes(self) -> Array:
        """The weights at which laws are tabulated."""
        return self.low + self.step * np.arange(NODES)


class Filter(NamedTuple):
    """Gains and variances of the predictions, held while a law is fitted.

    Args:
        gain: K at each read, shape (ramps, n).
        deviation: standard deviation of read - prediction, shape (ramps, n); the first read has none.
    """

    gain: Array
    deviation: Array


class Path(NamedTuple):
    """A pass over all ramps; leading dimension: the parameter sets.

    Args:
        innovations: read - prediction, shape (sets, ramps, n - 1), 0 behind the end of a ramp.
        state: the weight before each pulse as the filter sees it, shape (sets, ramps, n - 1).
        steps: the signed step that the law makes there, likewise.
    """

    innovations: Array
    state: Array
    steps: Array


def side_by_side(ramps: tuple[Ramp, ...]) -> Lanes:
    """Return the ramps as lanes; values are weights."""
    n = max(len(r.values) for r in ramps)
    reads = np.stack([np.pad(r.values, (0, n - len(r.values)), mode="edge") for r in ramps])
    inside = np.stack([np.arange(n) < len(r.values) for r in ramps])
    low, high = float(reads.min()), float(reads.max())
    margin = 0.1 * (high - low)
    step = (high - low + 2 * margin) / (NODES - 1)
    return Lanes(reads, inside, np.array([float(r.sign) for r in ramps]), low - margin, step)


def tables(family: Family, lanes: Lanes, sets: list[Array]) -> Array:
    """Return the signed steps of several parameter sets at the nodes, shape (sets, 2, NODES)."""
    both = np.stack([family.steps(x, lanes.nodes) for x in sets])
    return both * np.array([1.0, -1.0])[:, None]


def walk(family: Family, lanes: Lanes, laws: Array, gain: Array) -> Path:
    """Predict every read from the reads before, for all ramps and all tabulated laws at once."""
    n_sets, n_ramps, n = len(laws), *lanes.reads.shape
    flat = laws.reshape(-1)
    first = (2 * np.arange(n_sets)[:, None] + (lanes.signs < 0)) * NODES
    innovations = np.zeros((n - 1, n_sets, n_ramps))
    states, steps = np.empty_like(innovations), np.empty_like(innovations)
    state = np.broadcast_to(lanes.reads[:, 0], (n_sets, n_ramps))
    for t in range(n - 1):
        at = np.clip((state - lanes.low) / lanes.step, 0, NODES - 1.000001)
        node = at.astype(np.intp)
        left = flat[first + node]
        step = left + (at - node) * (flat[first + node + 1] - left)
        ahead = state + step
        if family.how.hard:
            ahead = np.clip(ahead, -1, 1)
        miss = (lanes.reads[:, t + 1] - ahead) * lanes.inside[:, t + 1]
        states[t], steps[t], innovations[t] = state, step, miss
        state = ahead + gain[:, t + 1] * miss
    return Path(*(np.moveaxis(a, 0, -1) for a in (innovations, states, steps)))


def gains(slopes: Array, pulse: Array, read: float) -> Filter:
    """Return Kalman's gains along the paths of all ramps.

    Args:
        slopes: derivative of the next weight by the weight, shape (ramps, n - 1).
        pulse: variance of each pulse, shape (ramps, n - 1).
        read: variance of a read.
    """
    n_ramps, n = slopes.shape
    gain, deviation = np.ones((n_ramps, n + 1)), np.ones((n_ramps, n + 1))
    known = np.full(n_ramps, read)
    for t in range(n):
        ahead = slopes[:, t] ** 2 * known + pulse[:, t]
        total = ahead + read
        gain[:, t + 1] = ahead / total
        deviation[:, t + 1] = np.sqrt(total)
        known = ahead * read / total
    return Filter(gain, deviation)


def slopes_along(law: Array, lanes: Lanes, state: Array) -> Array:
    """Return 1 + the derivative of the signed step at all states, of their shape (ramps, n - 1)."""
    rise = np.gradient(law, lanes.step, axis=-1)
    row = np.where(lanes.signs == UP, 0, 1)[:, None]
    node = np.clip(((state - lanes.low) / lanes.step).astype(np.intp), 0, NODES - 1)
    return np.clip(1 + rise[row, node], 0.0, 1.2)
