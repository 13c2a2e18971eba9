"""Lemma 3.10 of B: Q as a low-pass of P, and what a chopper moves out of its reach.

The problem of `convergence-rates` at fixed steps, alpha = .05, eta = .02, after 2000 steps: spectra (Welch,
segments of 512 steps, mean over 640 cells) of P and Q. The lemma gives their ratio. What the low-pass lets
through of P's motion is the power of P at low frequencies, with a chopper (E-RIDER, p = .01 and .05) and
without (RIDER).
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from scipy import signal

from mho.algorithms.base import Factors
from mho.algorithms.erider import ERIDER
from mho.algorithms.rider import RIDER
from mho.experiments.experiment import Experiment, Numbers, Tick
from mho.experiments.mean_tile import MeanTile
from mho.experiments.statistics import mean_of
from mho.numerics.rng import child_key
from mho.papers.convergence_rates import RATES, N
from mho.papers.quadratic import DEVICE, NOISE, D, _problems
from mho.responses.base import DOUBLE
from mho.theory.tracking import lowpass_gain

ALPHA, ETA, SEGMENT = 0.05, 0.02, 512
CELLS = {
    f"{name}": {"p": p, "steps": 8192, "repeats": 3}
    for name, p in (("rider", 0.0), ("e-rider-p0.01", 0.01), ("e-rider-p0.05", 0.05))
}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, tuple[float, float]]:
    """{"ratio w": power of Q over that of P, "lemma w": `lowpass_gain`, at omega = 2 pi w/512; "slow part of P":
    what the low-pass lets through of the variance of P}: means over the repeats, standard errors."""
    found: dict[str, list[float]] = {}
    for repeat in range(settings["repeats"]):
        p, q, _ = recorded(settings, child_key(seed, "repeat", repeat), tick)
        (f, of_p), (_, of_q) = (signal.welch(x.numpy(), nperseg=SEGMENT, axis=0) for x in (p, q))
        of_p, of_q = of_p.mean(1), of_q.mean(1)
        gain = lowpass_gain(2 * math.pi * f, ETA).numpy()
        for k in (1, 2, 4, 8, 16, 32, 64, 128):
            found.setdefault(f"ratio {k}", []).append(float(of_q[k] / of_p[k]))
            found.setdefault(f"lemma {k}", []).append(float(gain[k]))
        found.setdefault("slow part of P", []).append(float((of_p[1:] * gain[1:]).sum() / of_p[1:].sum()))
    return {name: mean_of(values) for name, values in found.items()}


def recorded(settings: Mapping[str, Any], key: int, tick: Tick) -> tuple[torch.Tensor, ...]:
    """P and Q after each step (steps, 640), and the symmetric points of P's cells (640,)."""
    rates = RATES | {"fast_lr": ALPHA, "transfer_lr": 0.02, "eta": ETA}
    p = settings["p"]
    algorithm: Any = ERIDER.printed(chop_prob=p, **rates) if p else RIDER(**rates)
    g = torch.Generator().manual_seed(key >> 1)
    hessian, goal = (v.double() for v in _problems(N, g))

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
    """Ratio of the spectra of Q and P, and the lemma."""
    from mho.experiments import figures

    picture, (axes,) = figures.panels(1)
    places = (1, 2, 4, 8, 16, 32, 64, 128)
    for i, name in enumerate(CELLS):
        values = {2 * math.pi * k / SEGMENT: numbers[name][f"ratio {k}"] for k in places}
        figures.points(axes, values, i, name, line=False)
    omega = torch.logspace(-2, math.log10(math.pi), 200)
    axes.plot(omega, lowpass_gain(omega, ETA), color="0.5", linewidth=1, label="Lemma 3.10")
    axes.set(ylabel="power of Q / power of P")
    figures.finish(picture, "frequency [radian per step]", [axes])
    return picture


EXPERIMENT = Experiment(
    id="b-lemma-3-10",
    title="Q as a low-pass of P: ratio of their spectra, and what passes of P's motion",
    source="arXiv 2602.21321, Lemma 3.10, eq. (16); Welch's estimate leaks at the lowest frequencies",
    cells=CELLS,
    run=run,
    published={},
    figure=figure,
)
