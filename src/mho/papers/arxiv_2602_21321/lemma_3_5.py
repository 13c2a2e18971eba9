"""Lemma 3.5 of B: when a step of the filter brings Q nearer to P's symmetric point than P is.

Trajectories of `b-lemma-3-10`: 32 problems of 20 weights each, alpha = .05, eta = .02. The lemma is about the angle
theta between P - w_sp and P - Q, Q before the step: if cos theta > 0, some eta below 1 brings Q nearer than P.
"""

from collections.abc import Mapping
from typing import Any

import torch

from mho.experiments.experiment import Experiment, Tick
from mho.experiments.statistics import mean_of
from mho.numerics.rng import child_key
from mho.papers.arxiv_2602_21321 import lemma_3_10
from mho.papers.arxiv_2602_21321.lemma_3_10 import ETA
from mho.papers.convergence_rates import N
from mho.papers.quadratic import D

CELLS = {name: settings | {"steps": 4096} for name, settings in lemma_3_10.CELLS.items()}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, tuple[float, float]]:
    """Shares of all steps and problems: {"cos > 0"; "lemma": of these, eta halfway in the lemma's interval brings Q
    nearer than P; "eta in it": of these, .02 lies in the interval; "Q nearer": Q is nearer than P, with .02}; and
    "Q / P", the ratio of their root mean square distances. Means over the repeats, standard errors."""
    found: dict[str, list[float]] = {}
    for repeat in range(settings["repeats"]):
        p, q, sp = recorded_vectors(settings, child_key(seed, "repeat", repeat), tick)
        for name, value in shares(p, q, sp, ETA).items():
            found.setdefault(name, []).append(value)
    return {name: mean_of(values) for name, values in found.items()}


def recorded_vectors(settings: Mapping[str, Any], key: int, tick: Tick) -> tuple[torch.Tensor, ...]:
    """P and Q after each step (steps, 32, 20) and the symmetric points (32, 20)."""
    p, q, sp = lemma_3_10.recorded(settings, key, tick)
    return p.reshape(-1, N, D), q.reshape(-1, N, D), sp.reshape(N, D)


def shares(p: torch.Tensor, q: torch.Tensor, sp: torch.Tensor, eta: float) -> dict[str, float]:
    """What `run` returns, for one recording."""
    before, p, q = q[:-1], p[1:], q[1:]
    to_point, to_mean = p - sp, p - before
    of_p, step = to_point.norm(dim=-1), to_mean.norm(dim=-1)
    cosine = (to_point * to_mean).sum(-1) / (of_p * step)
    least = (1 - 2 * of_p * cosine / step).clamp(min=0)
    middle = ((least + 1) / 2)[..., None]
    halfway = ((1 - middle) * before + middle * p - sp).norm(dim=-1)
    good, of_q = cosine > 0, (q - sp).norm(dim=-1)
    return {
        "cos > 0": float(good.double().mean()),
        "lemma": float((halfway < of_p)[good].double().mean()),
        "eta in it": float((least < eta)[good].double().mean()),
        "Q nearer": float((of_q < of_p).double().mean()),
        "Q / P": float((of_q.square().mean() / of_p.square().mean()).sqrt()),
    }


EXPERIMENT = Experiment(
    id="b-lemma-3-5",
    title="How often the filter's step brings Q nearer to the symmetric point than P is",
    source="arXiv 2602.21321, Lemma 3.5",
    cells=CELLS,
    run=run,
    published={},
)
