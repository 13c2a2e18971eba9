"""Disagreements of arXiv 2502.06309 and 2602.21321 with their code, or with themselves, that a small run can show.

The page about them is docs/errata.md. In the names of cells "a-" is 2502.06309 and "b-" is 2602.21321. Numbers come
from exact arithmetic or from one key, except the mean squares of zero-shifting (4096 cells).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mho.algorithms.base import Algorithm, Factors
from mho.algorithms.erider import ERIDER
from mho.algorithms.residual_learning import ResidualLearning
from mho.algorithms.residual_learning_v2 import ResidualLearningV2
from mho.algorithms.rider import RIDER
from mho.algorithms.state import State
from mho.base.config import to_dict
from mho.calibration.zero_shift import zero_shift
from mho.device.device import Device
from mho.experiments.experiment import Experiment, Pair, Tick
from mho.numerics.rng import child_key
from mho.papers import quadratic
from mho.responses.base import DOUBLE
from mho.responses.linear import Linear
from mho.responses.pow_step import PowStep
from mho.responses.power import Power
from mho.responses.soft_bounds import SoftBounds
from mho.theory.interval import constants
from mho.theory.zero_shift import pulses_for
from mho.tile.tile import Tile

Values = dict[str, Pair]


def lemma_3(steps: int, seed: int, tick: Tick) -> Values:
    """Compare the Lipschitz constant of the Analog Update with F_max (Lemma 3 of 2502.06309) and with q_max."""
    law, w = Linear(c_lin=0.0), torch.linspace(-0.9, 0.9, steps, dtype=DOUBLE)
    step = torch.maximum(law.q_up(w), law.q_down(w))  # |U(w, dW) - U(w, 0)| of dW = +1 and -1
    largest = float(step.max())
    q_max = constants(law, -0.9, 0.9).q_max
    return {"step / F_max": (largest / float(law.F(w).max()), 0.0), "step / q_max": (largest / q_max, 0.0)}


def equation_104(steps: int, seed: int, tick: Tick) -> Values:
    """Return the symmetric point of (103) in 2602.21321 with the sign of tau_min, and (104) with tau_min = 0.8."""
    up, down, upper, lower = 1.2, 0.8, 1.0, 0.8
    [point] = SoftBounds(upper, -lower).symmetric_points(up, down)
    printed = (up - down) / (up / upper - down / lower)
    return {"symmetric point": (point.w, 0.0), "(104), tau_min > 0": (printed, 0.0)}


def theorem_c2(steps: int, seed: int, tick: Tick) -> Values:
    """Return the mean square over delta after n/4 and n pulses; Theorem C.2 of 2602.21321 says "N <= n"."""
    law, dw_min, start, delta = Linear(c_lin=0.25), 1e-3, -0.5, 0.02
    n = float(pulses_for(start, delta, dw_min, constants(law, -0.8, 0.8)))
    found = {"n": (n, 0.0)}
    for part in (0.25, 1.0):
        tile = Tile(
            torch.full((64, 64), start), Device(law, dw_min), key=child_key(seed, "c2", round(4 * part))
        )
        error = zero_shift(tile, int(part * n), "stochastic").error
        assert error is not None, "a linear law has a symmetric point"
        square = error.square().flatten() / delta
        found[f"N = {part:g} n"] = (float(square.mean()), float(square.std() / len(square) ** 0.5))
    return found


def algorithm_3(steps: int, seed: int, tick: Tick) -> Values:
    """Return the largest differences of W from Residual Learning's, with the same pulses.

    2602.21321 says: "RIDER is E-RIDER with p = 0". Its Algorithm 3 without a flip never renews its reference.
    """
    rates = quadratic.RATES
    ends = {
        "E-RIDER without flips": ERIDER.printed(gamma=0.4, eta=0.02, chop_prob=1e-12, **rates),
        "RIDER": RIDER(gamma=0.4, eta=0.02, **rates),
    }
    aim = _trained(ResidualLearning(gamma=0.4, **rates), steps, seed)
    return {f"{n} - RL": (float((_trained(a, steps, seed) - aim).abs().max()), 0.0) for n, a in ends.items()}


def _state(algorithm: Algorithm, w: torch.Tensor, seed: int) -> State:
    devices = {name: quadratic.DEVICE for name in ("W", "P")}
    state = algorithm.init(quadratic.new_tile_of(devices, seed), w)
    state.key = child_key(seed, "algorithm")
    return state


def _trained(algorithm: Algorithm, steps: int, seed: int) -> torch.Tensor:
    """Return W after steps of a noisy quadratic of 20 weights."""
    state = _state(algorithm, torch.zeros(20, 1), seed)
    g = torch.Generator().manual_seed(seed)
    goal = 0.3 * torch.randn(20, 1, generator=g)
    for _ in range(steps):
        visible: Any = sum(term.weight() for term in algorithm.visible(state))
        slope = visible - goal + 0.3 * torch.randn(20, 1, generator=g)
        algorithm.step(state, Factors(torch.ones(1, 1), -slope.T), quadratic.LR)
    return state.W.w.clone()


def period(steps: int, seed: int, tick: Tick) -> Values:
    """Count the steps between flips of one column of an array of 392, p = 0.05.

    In the text of 2602.21321 the chopper flips with probability p a step, in the code every 1/p reads of a column.
    """
    algorithm = ERIDER()
    state = _state(algorithm, torch.zeros(1, 392), seed)
    x, d = torch.zeros(1, 392), torch.zeros(1, 1)
    flips, sign = [], float(state.c[0])
    for k in range(steps):
        algorithm.step(state, Factors(x, d), 0.05)
        if float(state.c[0]) != sign:
            sign = -sign
            flips.append(k)
    return {"steps between flips": (float(flips[1] - flips[0]), 0.0), "1/p": (1 / algorithm.chop_prob, 0.0)}


def buffer(steps: int, seed: int, tick: Tick) -> Values:
    """Return errors of the quadratic on cells with their symmetric point at 0, 8 instances.

    Residual Learning v2 of 2502.06309: the text takes the sent part out of H ("decrement"), the code leaves it in
    H.
    """
    rates: dict[str, Any] = {"fast_lr": 0.05, "scale_fast_lr": False, "transfer_lr": 1.0, "max_pulses": 31}
    rates |= {"auto_granularity": 0.0, "transfer": "all", "gamma": 0.4}
    devices = {name: to_dict(quadratic.CENTRED) for name in ("W", "P")}
    found = {}
    for after in ("decrement", "keep"):
        algorithm = to_dict(ResidualLearningV2(after_pulses=after, **rates))
        settings = {"algorithm": algorithm, "devices": devices, "steps": steps, "instances": 8}
        found[after] = quadratic.run(settings, seed, tick)["error"]
    return found


def power_step(steps: int, seed: int, tick: Tick) -> Values:
    """Return q+(0) at gamma_res 0.5: (148) of 2502.06309, and the PowStepDevice of its script for MNIST."""
    ours, theirs = Power(tau=0.6, gamma_res=0.5), PowStep(0.6, -0.6, gamma_up=0.5, gamma_down=0.5)
    return {"(148)": (ours.q_up(0.0), 0.0), "PowStepDevice": (theirs.q_up(0.0), 0.0)}


ITEMS: dict[str, tuple[Callable[[int, int, Tick], Values], int]] = {
    "a-lemma-3": (lemma_3, 1801),
    "a-rl-v2-buffer": (buffer, 10_000),
    "a-power-step": (power_step, 1),
    "b-equation-104": (equation_104, 1),
    "b-theorem-c2": (theorem_c2, 1),
    "b-algorithm-3": (algorithm_3, 5000),
    "b-chopper-period": (period, 16_000),
}


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> Values:
    """Return the numbers of an item."""
    return ITEMS[settings["item"]][0](settings["steps"], seed, tick)


EXPERIMENT = Experiment(
    id="errata",
    title="Disagreements of the papers and their code",
    source="arXiv 2502.06309 and 2602.21321, and their authors' code",
    cells={name: {"item": name, "steps": steps} for name, (_, steps) in ITEMS.items()},
    run=run,
)
