"""Convergence theorems of arXiv 2502.06309 and 2602.21321: exponents of K in the metrics E_K of K steps.

Step sizes are proportional to 1/sqrt(K). The problem is that of `quadratic`, strongly convex: 20 weights, 32
instances, gradient noise 0.3, symmetric points of W and P at N(0.3, 0.2^2). Steps are expected ones: no
granularity, so no floor of it. alpha = 0.05 sqrt(1000/K), gamma = 0.4, beta = eta = 0.4 alpha, p = 0.2 alpha. For
each instance log E_K is fitted against log K over seven K, a factor 2 from one to the next; exponents are means
over the instances with standard errors. All instances share the flips of one chopper, of which a run has few;
E-RIDER's metrics are means over the instances for each of six choppers, and its errors are those over the
choppers.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from mho.algorithms.analog_sgd import AnalogSGD
from mho.algorithms.base import Algorithm, Factors
from mho.algorithms.digital_sgd import DigitalSGD
from mho.algorithms.erider import ERIDER
from mho.algorithms.residual_learning import ResidualLearning
from mho.algorithms.rider import RIDER
from mho.algorithms.state import State
from mho.base.config import from_dict, to_dict
from mho.device.device import Device
from mho.device.pulses import Exact
from mho.experiments.experiment import Experiment, Numbers, Pair, Settings, Tick
from mho.experiments.mean_tile import MeanTile
from mho.experiments.statistics import mean_over
from mho.numerics.rng import child_key
from mho.papers.quadratic import CENTRED, DEVICE, NOISE, D, problems
from mho.responses.base import DOUBLE
from mho.responses.constant import Constant
from mho.theory.penalty import folded_mean
from mho.tile.tile import Tile

N, GAMMA, LENGTHS = 32, 0.4, 7
METRICS = {  # the parts of E_K in the theorem of an algorithm
    "digital": ("gradient",),
    "analog-sgd": ("gradient",),
    "rl": ("gradient", "P", "W"),
    "rider": ("W", "P - Q", "G"),
    "e-rider": ("W", "P - Q", "G"),
}
RATES: dict[str, Any] = {"transfer": "all", "gamma": GAMMA, "scale_transfer_lr": False}


def _cell(algorithm: str, w: Device = DEVICE, p: Device = DEVICE, **more: bool) -> Settings:
    """Return a cell. at_minimum: W* stands at the symmetric points of W; calibrated: P is read against its own."""
    flags = {"at_minimum": False, "calibrated": False} | more
    return {"algorithm": algorithm, "devices": {"W": to_dict(w), "P": to_dict(p)}, "steps": 8000} | flags


CELLS = {
    "digital": _cell("digital"),
    "analog-sgd": _cell("analog-sgd"),
    "rl-wrong-reference": _cell("rl"),
    "rl-true-point": _cell("rl", calibrated=True),
    "rl-centred": _cell("rl", CENTRED, CENTRED),
    "rider": _cell("rider"),
    "rider-w-at-minimum": _cell("rider", at_minimum=True),
    "e-rider": _cell("e-rider") | {"choppers": 6},
}


def algorithm_of(name: str, alpha: float) -> Algorithm:
    """Return an algorithm with the step sizes of the theorems."""
    rates = RATES | {"fast_lr": alpha, "transfer_lr": 0.4 * alpha}
    eta = 0.4 * alpha
    makers = {
        "digital": DigitalSGD,
        "analog-sgd": AnalogSGD,
        "rl": lambda: ResidualLearning(**rates),
        "rider": lambda: RIDER(eta=eta, **rates),
        "e-rider": lambda: ERIDER.printed(eta=eta, chop_prob=eta / 2, **rates),
    }
    return makers[name]()


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, Pair]:
    """Return the exponent of K in each metric, and the metric at the largest K ("... at K"): means over instances.

    "E_K" is the metric of the theorem. Its parts: "gradient" |grad f(visible W)|^2, "W" |W - W*|^2, "P"
    |P - P*(W)|^2, "P - Q", "G" |G(P)|^2. "W, end": |W - W*|^2 in the last quarter. "C*/sigma": the least
    E|grad f|_d in the last quarter, at least 4 sqrt(2)/mu by assumption 3.6.
    """
    lengths = [settings["steps"] >> k for k in range(LENGTHS)][::-1]
    choppers, done = settings.get("choppers", 1), 0
    total = sum(lengths) * choppers
    values: dict[str, list[torch.Tensor]] = {}
    for k in lengths:
        runs = []
        for chopper in range(choppers):
            runs.append(_one(settings, seed, k, chopper, lambda now, before=done: tick(before + now, total)))
            done += k
        for name in runs[0]:
            each = [one[name] for one in runs]
            values.setdefault(name, []).append(each[0] if choppers == 1 else torch.stack(each).mean(1))
    x = torch.tensor(lengths, dtype=DOUBLE).log()
    x -= x.mean()
    found = {}
    for name, per_length in values.items():
        y = torch.stack(per_length)
        found[f"{name} at K"] = mean_over(y[-1])
        if name != "C*/sigma":
            found[f"exponent of {name}"] = mean_over((x[:, None] * y.log()).sum(0) / (x * x).sum())
            late = x[-3:] - x[-3:].mean()
            found[f"exponent of {name}, last 3"] = mean_over(
                (late[:, None] * y[-3:].log()).sum(0) / (late * late).sum()
            )
    return found


def _one(
    settings: Mapping[str, Any], seed: int, steps: int, chopper: int, watch: Any
) -> dict[str, torch.Tensor]:
    """Return the metrics (instances,) of a run of that many steps."""
    alpha = 0.05 * math.sqrt(1000 / steps)
    algorithm = algorithm_of(settings["algorithm"], alpha)
    g = torch.Generator().manual_seed(seed)
    hessian, goal = problems(N, g)
    devices = {name: from_dict(data) for name, data in settings["devices"].items()}

    def new_tile(name: str, w: torch.Tensor, pulses: str = "update", digital: bool = False) -> Any:
        if digital:
            return Tile(w, Device(Constant(100.0, -100.0)), pulses=Exact())
        return MeanTile(w, devices[name], child_key(seed, name), settings["calibrated"] and name == "P")

    state = algorithm.init(new_tile, torch.zeros(N * D, 1, dtype=DOUBLE))
    state.key, state.roles = child_key(seed, "algorithm", chopper), algorithm.roles()
    hessian, goal = hessian.double(), goal.double()
    if settings["at_minimum"]:
        goal = state.W.sp.reshape(N, D)
    x, least = torch.ones(1, 1), torch.full((N, D), math.inf, dtype=DOUBLE)
    sums: dict[str, Any] = {}
    for k in range(steps):
        visible = sum(term.weight() for term in algorithm.visible(state)).reshape(N, D)  # type: ignore[union-attr]
        slope = torch.bmm(hessian, (visible - goal)[:, :, None])[:, :, 0]
        for name, value in _parts(state, goal, slope).items():
            sums[name] = sums.get(name, 0.0) + value.square().sum(1)
            if name == "W" and k >= steps * 3 // 4:
                sums["W, end"] = sums.get("W, end", 0.0) + 4 * value.square().sum(1)
        if k >= steps * 3 // 4 and k % 10 == 0:
            least = torch.minimum(least, folded_mean(slope, NOISE))
        noisy = slope + NOISE * torch.randn(N, D, generator=g)
        algorithm.step(state, Factors(x, -noisy.reshape(1, -1)), alpha)
        if k % 200 == 0:
            watch(k)
    found = {name: value / steps for name, value in sums.items()}
    whole: Any = sum(found[name] for name in METRICS[settings["algorithm"]])
    return {"E_K": whole, **found, "C*/sigma": least.amin(1) / NOISE}


def _parts(s: State, goal: torch.Tensor, slope: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the vectors (instances, 20) whose squares the metrics are made of."""
    w = s.W.w.reshape(N, D)
    found = {"gradient": slope, "W": w - goal}
    if not s.roles.has_residual:
        return found
    p = s.P.w.reshape(N, D)
    q = s.Q.reshape(N, D) if s.roles.reference else 0.0
    if s.roles.reference:
        found["P - Q"] = p - q
    return found | {"P": p - q - (goal - w) / GAMMA, "G": s.P.G().reshape(N, D)}


def figure(numbers: Numbers) -> Any:
    """Draw the exponents of E_K and of |W - W*|^2, with their errors."""
    from mho.experiments import figures

    picture, (axes,) = figures.panels(1)
    names = [*CELLS]
    for i, quantity in enumerate(("exponent of E_K", "exponent of W, end")):
        values = {k + 0.15 * i: numbers[name][quantity] for k, name in enumerate(names)}
        figures.points(axes, values, i, quantity.removeprefix("exponent of "), line=False)
    axes.axhline(-0.5, color="0.5", linewidth=1)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=7)
    axes.set(ylabel="exponent of K")
    figures.finish(picture, "", [axes], log="")
    return picture


EXPERIMENT = Experiment(
    id="convergence-rates",
    title="arXiv 2502.06309 and 2602.21321, convergence theorems: exponents of the number of steps in the metrics",
    source="arXiv 2502.06309, Theorems 2 and 3, Corollary 1; arXiv 2602.21321, Theorem 3.7: -1/2, or a plateau (0)",
    cells=CELLS,
    run=run,
    published={
        ("analog-sgd", "exponent of E_K, last 3"): 0.0,
        ("rl-wrong-reference", "exponent of E_K, last 3"): 0.0,
        **{
            (name, "exponent of E_K, last 3"): -0.5
            for name in ("digital", "rl-true-point", "rl-centred", "rider")
        },
    },
    causes={
        "analog-sgd": "it comes to its plateau slowly, and K is finite (docs/theory/analog-sgd.md)",
        "rl-wrong-reference": "as Analog SGD",
        "rl-true-point": "by 3 %: the error is that of a line through three points, which bend a little",
        "rl-centred": "as with the true point",
        "rider": "the theorem's assumption cannot hold near the minimum (docs/theory/rider.md)",
    },
    figure=figure,
)
