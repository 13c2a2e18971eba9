"""Lemma 3.5 of arXiv 2602.21321: steps of the filter that bring Q nearer to P's symmetric point than P is.

Trajectories of `b-lemma-3-10`: 32 problems of 20 weights each, alpha = 0.05, eta = 0.02. The lemma is about the
angle theta between P - w_sp and P - Q, Q before the step: if cos theta > 0, some eta below 1 brings Q nearer than
P.
"""

from collections.abc import Mapping
from typing import Any

import torch

from mho.experiments.experiment import Experiment, Pair, Tick
from mho.experiments.statistics import means_of
from mho.numerics.rng import child_key
from mho.papers.arxiv_2602_21321 import lemma_3_10
from mho.papers.arxiv_2602_21321.lemma_3_10 import ETA
from mho.papers.convergence_rates import N
from mho.papers.quadratic import D

CELLS = {name: settings | {"steps": 4096} for name, settings in lemma_3_10.CELLS.items()}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return the numbers of `shares`: means over the repeats, standard errors."""
    keys = [child_key(seed, "repeat", repeat) for repeat in range(settings["repeats"])]
    return means_of(shares(*recorded_vectors(settings, key, tick), ETA) for key in keys)


def recorded_vectors(
    settings: Mapping[str, Any], key: int, tick: Tick
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return P and Q after each step (steps, 32, 20) and the symmetric points (32, 20)."""
    p, q, sp = lemma_3_10.recorded(settings, key, tick)
    return p.reshape(-1, N, D), q.reshape(-1, N, D), sp.reshape(N, D)


def shares(p: torch.Tensor, q: torch.Tensor, sp: torch.Tensor, eta: float) -> dict[str, float]:
    """Return shares of all steps and problems of one recording.

    "cos > 0"; "lemma": of these, eta halfway in the lemma's interval brings Q nearer than P; "eta in it": of
    these, `eta` lies in the interval; "Q nearer": Q is nearer than P, with `eta`. And "Q / P": the ratio of their
    root mean square distances.
    """
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
    title="arXiv 2602.21321, Lemma 3.5: steps that bring Q nearer to the symmetric point than P is",
    source="arXiv 2602.21321, Lemma 3.5",
    cells=CELLS,
    run=run,
)
