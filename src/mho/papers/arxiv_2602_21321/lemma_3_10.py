"""Lemma 3.10 of arXiv 2602.21321: Q as a low-pass of P, and the motion that a chopper moves out of its reach.

The problem of `convergence-rates` at fixed steps, alpha = 0.05, eta = 0.02, after 2000 steps: spectra (Welch,
segments of 512 steps, mean over 640 cells) of P and Q. The lemma gives their ratio. The low-pass passes the motion
of P at low frequencies. Its power is measured with a chopper (E-RIDER, p = 0.01 and 0.05) and without (RIDER).
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from scipy import signal

from mho.algorithms.base import Factors
from mho.algorithms.erider import ERIDER
from mho.algorithms.rider import RIDER
from mho.experiments.experiment import Experiment, Numbers, Pair, Tick
from mho.experiments.mean_tile import MeanTile
from mho.experiments.statistics import means_of
from mho.numerics.rng import child_key
from mho.papers.convergence_rates import RATES, N
from mho.papers.quadratic import DEVICE, NOISE, D, problems
from mho.responses.base import DOUBLE
from mho.theory.tracking import lowpass_gain

ALPHA, ETA, SEGMENT = 0.05, 0.02, 512
PLACES = (1, 2, 4, 8, 16, 32, 64, 128)  # omega = 2 pi place / SEGMENT
CELLS = {
    f"{name}": {"p": p, "steps": 8192, "repeats": 3}
    for name, p in (("rider", 0.0), ("e-rider-p0.01", 0.01), ("e-rider-p0.05", 0.05))
}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return numbers of the spectra: means over the repeats, standard errors.

    "ratio w": power of Q over that of P, and "lemma w": `lowpass_gain`, both at omega = 2 pi w/512; "slow part of
    P": the part of the variance of P that the low-pass passes.
    """
    repeats = []
    for repeat in range(settings["repeats"]):
        p, q, _ = recorded(settings, child_key(seed, "repeat", repeat), tick)
        (f, of_p), (_, of_q) = (signal.welch(x.numpy(), nperseg=SEGMENT, axis=0) for x in (p, q))
        of_p, of_q = of_p.mean(1), of_q.mean(1)
        gain = lowpass_gain(2 * math.pi * f, ETA).numpy()
        found: dict[str, float] = {}
        for k in PLACES:
            found |= {f"ratio {k}": float(of_q[k] / of_p[k]), f"lemma {k}": float(gain[k])}
        repeats.append(found | {"slow part of P": float((of_p[1:] * gain[1:]).sum() / of_p[1:].sum())})
    return means_of(repeats)


def recorded(settings: Mapping[str, Any], key: int, tick: Tick) -> tuple[torch.Tensor, ...]:
    """Return P and Q after each step (steps, 640), and the symmetric points of P's cells (640,)."""
    rates = RATES | {"fast_lr": ALPHA, "transfer_lr": 0.02, "eta": ETA}
    p = settings["p"]
    algorithm: Any = ERIDER.printed(chop_prob=p, **rates) if p else RIDER(**rates)
    g = torch.Generator().manual_seed(key >> 1)
    hessian, goal = (v.double() for v in problems(N, g))

    def new_tile(name: str, w: torch.Tensor, pulses: str = "update", digital: bool = False) -> Any:
        return MeanTile(w, DEVICE, child_key(key, name))

    state = algorithm.init(new_tile, torch.zeros(N * D, 1, dtype=DOUBLE))
    state.key = child_key(key, "algorithm")
    steps, x, seen = settings["steps"], torch.ones(1, 1), []
    for k in range(steps + 2000):
        visible = sum(term.weight() for term in algorithm.visible(state)).reshape(N, D)
        slope = torch.bmm(hessian, (visible - goal)[:, :, None])[:, :, 0]
        slope = slope + NOISE * torch.randn(N, D, generator=g)
        algorithm.step(state, Factors(x, -slope.reshape(1, -1)), ALPHA)
        if k >= 2000:
            seen.append(torch.stack([state.P.w.flatten(), state.Q.flatten()]))
        if k % 200 == 0:
            tick(k, steps + 2000)
    both = torch.stack(seen)
    return both[:, 0], both[:, 1], state.P.sp.flatten()


def figure(numbers: Numbers) -> Any:
    """Draw the ratio of the spectra of Q and P, and the lemma."""
    from mho.experiments import figures

    picture, (axes,) = figures.panels(1)
    for i, name in enumerate(CELLS):
        values = {2 * math.pi * k / SEGMENT: numbers[name][f"ratio {k}"] for k in PLACES}
        figures.points(axes, values, i, name, line=False)
    omega = torch.logspace(-2, math.log10(math.pi), 200)
    axes.plot(omega, lowpass_gain(omega, ETA), color="0.5", linewidth=1, label="Lemma 3.10")
    axes.set(ylabel="power of Q / power of P")
    figures.finish(picture, "frequency [radian per step]", [axes])
    return picture


EXPERIMENT = Experiment(
    id="b-lemma-3-10",
    title="arXiv 2602.21321, Lemma 3.10: Q as a low-pass of P, the ratio of their spectra",
    source="arXiv 2602.21321, Lemma 3.10, eq. (16); Welch's estimate leaks at the lowest frequencies",
    cells=CELLS,
    run=run,
    figure=figure,
)
