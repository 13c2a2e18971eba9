"""Theorems 1 and 5 of arXiv 2502.06309: the end of Analog SGD on quadratics, and its bias against the noise.

f(W) = 1/2 (W - W*)^T H (W - W*), 20 weights, 32 instances as in `quadratic`; gradient noise N(0, sigma^2),
expected steps (no granularity) unless the cell says "pulses". Each cell is run with two step sizes, and the ends
are extrapolated to the step size 0: 2 W(lr/2) - W(lr). The end is compared with the root of the mean step. Eight
copies of each instance differ in the noise only; the mean is over them and over time. In the cells "noise-..." H
is 0.1 times the identity.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.base import Factors
from mho.algorithms.state import State
from mho.device.device import Device
from mho.device.pulses import Pulses
from mho.experiments.experiment import Experiment, Numbers, Pair, Settings, Tick
from mho.experiments.mean_tile import MeanTile
from mho.experiments.statistics import exponent, mean_over
from mho.numerics.rng import child_key
from mho.papers.quadratic import D, problems
from mho.responses.base import DOUBLE, Response
from mho.responses.exponential import Exponential
from mho.responses.linear import Linear
from mho.responses.power import Power
from mho.responses.soft_bounds import SoftBounds
from mho.theory.law import R
from mho.theory.penalty import folded_mean, root
from mho.tile.tile import Tile

N, COPIES, LR, SOFT = 32, 8, 0.02, 0.1
NOISES = (0.0025, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 2.5)


class Skewed(Response, named=False):
    """A law that is not in the package, as a user would write it; w_sp = 0.155.

    Source: none, number 0; README has one like it.
    """

    tau: float = 0.9
    bend: float = 0.5

    def up(self, w: torch.Tensor) -> torch.Tensor:
        return 1.2 * (1 - w / self.tau) * (1 + self.bend * w)

    def down(self, w: torch.Tensor) -> torch.Tensor:
        return 0.9 * (1 + w / self.tau)


LAWS: dict[str, Response] = {
    "linear": Linear(c_lin=0.3),
    "power": Power(1.0, 0.5),
    "exponential": Exponential(1.0, 2.0),
    "user": Skewed(),
    "soft": SoftBounds(),
}
CELLS: dict[str, Settings] = {
    **{f"root-{law}": {"law": law, "noise": 0.3} for law in ("linear", "power", "exponential", "user")},
    "root-linear-pulses": {"law": "linear", "noise": 0.3, "dw_min": 1e-3},
    **{f"noiseless-{law}": {"law": law, "noise": 0.0} for law in ("linear", "power", "exponential", "user")},
    **{
        f"noise-{noise}": {"law": "soft", "noise": noise, "curvature": SOFT, "lr": min(0.2, 0.05 / noise)}
        for noise in NOISES
    },
}
for _settings in CELLS.values():
    _settings["steps"] = 6_000 if _settings["noise"] else 10_000


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return means over the instances, standard errors.

    "bias": |W - W*|, without noise that of the smaller step; "distance": |W - root| over |root - W*|; "slope": of
    W - W* on root - W*, 1 if they agree. In the cells noise-...: "size", Sigma R'/h, and "part", the part of the
    way from W* to the symmetric point that W has gone, with "predicted part".
    """
    g = torch.Generator().manual_seed(seed)
    hessian, goal = problems(N, g)
    if "curvature" in settings:
        hessian = settings["curvature"] * torch.eye(D).expand(N, D, D)
    steps = settings["steps"]
    ends = []
    for k, lr in enumerate((settings.get("lr", LR), settings.get("lr", LR) / 2)):
        noise = torch.Generator().manual_seed(child_key(seed, "noise", k) >> 1)

        def watch(done: int, first: int = k * steps) -> None:
            tick(first + done, 2 * steps)

        ends.append(_end(settings, hessian, goal, lr, noise, child_key(seed, "device", k), watch))
    w = 2 * ends[1] - ends[0]
    off = w - goal.double()
    if settings["noise"] == 0:
        return {
            name: mean_over((end - goal).norm(dim=1))
            for name, end in zip(("bias at lr", "bias"), ends, strict=True)
        }
    found = {"bias": mean_over(off.norm(dim=1))}
    law = LAWS[settings["law"]]
    aim = torch.stack(
        [root(law, h, w0, noise=settings["noise"]) for h, w0 in zip(hessian, goal, strict=True)]
    )
    way = aim - goal
    found |= {
        "distance": mean_over((w - aim).norm(dim=1) / way.norm(dim=1)),
        "distance at lr": mean_over((ends[0] - aim).norm(dim=1) / way.norm(dim=1)),
        "slope": mean_over((off * way).sum(1) / way.square().sum(1)),
    }
    if "curvature" in settings:
        sigma = float(folded_mean(0.0, settings["noise"]))
        size = sigma * (R(law, 1e-4) - R(law, -1e-4)) / 2e-4 / settings["curvature"]
        full = law.central_sp() - goal
        found |= {
            "size": (size, 0.0),
            "part": mean_over((off * full).sum(1) / full.square().sum(1)),
            "predicted part": mean_over((way * full).sum(1) / full.square().sum(1)),
        }
    return found


def _end(
    settings: Mapping[str, Any],
    hessian: torch.Tensor,
    goal: torch.Tensor,
    lr: float,
    g: torch.Generator,
    key: int,
    watch: Any,
) -> torch.Tensor:
    """Return (N, D) float64: the mean of W over the copies and the steps after the first quarter.

    Without noise it is W at the end.
    """
    dw_min = settings.get("dw_min")
    device, w0 = Device(LAWS[settings["law"]], dw_min or 1e-3), torch.zeros(COPIES * N * D, 1)
    algorithm = AnalogSGD()
    tile = Tile(w0, device, pulses=Pulses(rounding="stochastic"), key=key) if dw_min else MeanTile(w0, device)
    state, x, total = State(W=tile), torch.ones(1, 1), torch.zeros(N, D, dtype=DOUBLE)
    steps, noise = settings["steps"], settings["noise"]
    first = steps // 4 if noise else steps - 1
    hessian, goal = hessian.double(), goal.double()
    for k in range(steps):
        w = tile.w.reshape(COPIES, N, D).double()
        slope = torch.bmm((w - goal).transpose(0, 1), hessian).transpose(0, 1)  # H is symmetric
        if noise:
            slope = slope + noise * torch.randn(COPIES, N, D, generator=g)
        algorithm.step(state, Factors(x, -slope.reshape(1, -1)), lr)
        if k >= first:
            total += tile.w.reshape(COPIES, N, D).mean(0)
        if k % 500 == 0:
            watch(k)
    return total / (steps - first)


def summary(numbers: Numbers) -> dict[str, Pair]:
    """Return the exponent of the bias in the noise for Sigma R'/h < 0.1, and that of the last two noises."""
    part = {n: numbers[f"noise-{n}"]["part"][0] for n in NOISES}
    small = [n for n in NOISES if numbers[f"noise-{n}"]["size"][0] < 0.1]
    a, b = NOISES[-2:]
    last = math.log(part[b] / part[a]) / math.log(b / a)
    return {
        "exponent of the bias for Sigma R'/h < 0.1": exponent(small, [part[n] for n in small]),
        "exponent between the last two": (last, 0.0),
    }


def figure(numbers: Numbers) -> Any:
    """Draw the part of the way to the symmetric point that W has gone, against Sigma R'/h."""
    from mho.experiments import figures

    picture, (axes,) = figures.panels(1)
    for i, name in enumerate(("part", "predicted part")):
        values = {numbers[f"noise-{n}"]["size"][0]: numbers[f"noise-{n}"][name] for n in NOISES}
        figures.points(axes, values, i, {"part": "measured"}.get(name, "root of T"), line=i > 0)
    axes.set(ylabel="part of the way from $W^*$ to $w_{sp}$")
    figures.finish(picture, r"$\Sigma R'/h$", [axes])
    return picture


EXPERIMENT = Experiment(
    id="analog-sgd-bias",
    title="arXiv 2502.06309, Theorems 1 and 5: the end of Analog SGD on quadratics against the root of T(W)",
    source="arXiv 2502.06309, Theorems 1 and 5",
    cells=CELLS,
    run=run,
    published={(f"root-{law}", "slope"): 1.0 for law in ("linear", "power", "exponential", "user")},
    summary=summary,
    figure=figure,
)
