"""The experiments on symmetric points: their parts by hand, and a glance at each."""

import math
from pathlib import Path

import matplotlib.figure
import pytest
import torch

import mho
from mho.algorithms import AnalogSGD
from mho.algorithms.base import Factors
from mho.algorithms.state import State
from mho.cli import main
from mho.experiments.mean_tile import MeanTile
from mho.experiments.results import numbers_in
from mho.experiments.statistics import exponent
from mho.papers import EXPERIMENTS, convergence_rates
from mho.papers.arxiv_2502_06309 import bias, bias_network, figure_2
from mho.papers.arxiv_2602_21321 import figure_1, lemma_3_5, lemma_3_10, zero_shifting, zero_shifting_bounds

RESULTS = Path(__file__).parent.parent / "results"


def silent(done, total):
    assert 0 <= done <= total


def test_exponents_by_hand():
    assert exponent([1, 2, 4, 8], [3, 12, 48, 192]) == (pytest.approx(2.0), pytest.approx(0.0, abs=1e-12))
    # residuals -.1, .2, -.1 of log y at log x = -1, 0, 1: sqrt(.06/(3 - 2)/2)
    x = [math.exp(u) for u in (-1, 0, 1)]
    y = [math.exp(v) for v in (-0.6, 0.2, 0.4)]
    assert exponent(x, y) == (pytest.approx(0.5), pytest.approx(0.03**0.5))


def test_pulses_to_one_percent():
    cells = zero_shifting.EXPERIMENT.cells
    small = {"shape": [40, 50], "repeats": 2, "steps": 1500}
    found = zero_shifting.run(cells["stochastic-0.01"] | small, 0, silent)
    assert found["N dw_min"][0] == pytest.approx(math.log(300), rel=0.25)
    assert found["G^2"][0] == pytest.approx(0.01 * (1 - 0.25**2 - 0.01) ** 2 / 2, rel=0.1)
    found = zero_shifting.run(cells["cyclic-0.01"] | small, 0, silent)
    assert "N" not in found  # 1 % is finer than the cycle
    assert found["mean error"][0] == pytest.approx(0.0142, abs=3e-4)
    found = zero_shifting.run(cells["cyclic-0.003"] | small | {"steps": 1000}, 0, silent)
    floor = 0.25 * found["mean error"][0]  # of the other sign than what is left of the way
    assert found["N dw_min"][0] == pytest.approx(math.log(0.75 / (0.0025 - floor)), rel=0.02)


@pytest.mark.parametrize("schedule", ["stochastic", "cyclic"])
def test_bounds_are_above(schedule):
    settings = zero_shifting_bounds.CELLS[f"linear-{schedule}-0.01"] | {"shape": [20, 32], "steps": 100}
    found = zero_shifting_bounds.run(settings, 0, silent)
    assert {"mean square", "distance"} <= {*found}
    assert all(0 < value <= 1 for value, _ in found.values())
    assert found["mean square"][0] > 0.5  # and not far above


def test_float32_pulses_are_those_of_a_tile():
    device = mho.Device(mho.responses.SoftBounds(), 1e-3, spread={"gain": 0.1}, up_down=0.4, up_down_std=0.05)
    tile = mho.Tile(torch.full((3, 70), -0.5), device, key=3)
    found = figure_1.alternate_in_float32(tile, 11)
    one = torch.ones(3, 70)
    for k in range(11):
        tile.pulse(one if k % 2 == 0 else -one)
    assert (found == tile.cells.numpy()).all()


def test_the_smallest_number_of_pulses():
    """q = 1 -+ w, .6 of it down: error -.75 e^(-.8 dw n) to .25/100, ln 300/.8 = 7.13/dw."""
    settings = figure_1.CELLS["b-0.001"] | {"shape": [16, 16], "repeats": 2}
    found = figure_1.run(settings, 0, silent)
    assert found["N"] == (8000.0, 0.0)
    assert found["exact N dw_min"][0] == pytest.approx(7.13, rel=0.05)
    left = figure_1.run(figure_1.CELLS["a-2000"] | {"shape": [16, 16], "repeats": 2}, 0, silent)
    assert left["mean"][0] == pytest.approx(-0.75 * math.exp(-1.6), rel=0.05)


def test_analog_sgd_ends_near_the_root():
    """A look of 1000 steps: within 5 standard errors and 15 %."""
    cell = bias.CELLS["root-linear"] | {"steps": 1000}
    found = bias.run(cell, 0, silent)
    slope, error = found["slope"]
    assert abs(slope - 1) < 5 * error + 0.15
    assert found["distance"][0] < 0.5
    assert found["bias"][0] > 0.3
    none = bias.run(bias.CELLS["noiseless-linear"] | {"steps": 1500}, 0, silent)
    assert none["bias"][0] < 0.1 * found["bias"][0]  # what 1500 steps leave of the start


def slope_of(w, x, target):
    v = w.clone().requires_grad_()
    bias_network._loss(v, x, target).backward()
    return v.grad


def test_the_network_and_its_steps():
    """The gradient is autograd's; a step is that of AnalogSGD on two tiles with expected pulses."""
    g = torch.Generator().manual_seed(0)
    w = 0.5 * torch.randn(24, generator=g, dtype=torch.float64)
    x = torch.randn(5, 6, generator=g, dtype=torch.float64)
    target = torch.randn(5, 2, generator=g, dtype=torch.float64)
    slope = slope_of(w, x, target)
    found = bias_network._gradient(w.repeat(2, 1), x.repeat(2, 1, 1), target.repeat(2, 1, 1))
    torch.testing.assert_close(found, slope.repeat(2, 1), rtol=1e-10, atol=1e-12)
    law = bias_network.DEVICE.response
    device = mho.Device(law)
    tiles = [
        mho.Tile(part.float(), device, pulses=mho.Expected())
        for part in (w[:18].reshape(3, 6), w[18:].reshape(2, 3))
    ]
    hidden = torch.tanh(x @ w[:18].reshape(3, 6).mT)
    d = (target - hidden @ w[18:].reshape(2, 3).mT) / 5
    back = (d @ w[18:].reshape(2, 3)) * (1 - hidden**2)
    AnalogSGD().step(State(W=tiles[1]), Factors(hidden.float(), d.float()), 0.1)
    AnalogSGD().step(State(W=tiles[0]), Factors(x.float(), back.float()), 0.1)
    step = w - 0.1 * (slope * law.F(w) + slope.abs() * law.G(w))
    ends = torch.cat([tile.w.flatten() for tile in tiles])
    torch.testing.assert_close(ends, step.float(), rtol=0, atol=1e-6)


def test_the_network_is_at_a_minimum():
    g = torch.Generator().manual_seed(3)
    x, target, star = bias_network._problem(g)
    assert slope_of(star, x, target).abs().max() < 1e-5
    sigma = bias_network._mean_size(star, x, target, 512 * 8, g)
    assert (sigma < 0.02).all()  # of large batches little is left
    assert (bias_network._mean_size(star, x, target, 1, g) > sigma).all()


def test_mean_tiles_are_tiles_with_expected_pulses():
    law = mho.responses.Linear(0.3, 0.7)
    device = mho.Device(law, spread={"c_lin": mho.Absolute(0.2), "gain": 0.3}, up_down_std=0.1)
    real = mho.Tile(torch.full((4, 3), 0.2), device, pulses=mho.Expected(), key=5)
    mean = MeanTile(torch.full((4, 3), 0.2), device, key=5)
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        x, d = torch.randn(2, 3, generator=g), torch.randn(2, 4, generator=g)
        real.update(x, d, 0.1)
        mean.update(x, d, 0.1)
        torch.testing.assert_close(mean.read().float(), real.read(), rtol=0, atol=2e-6)
    p = real.parameters_of_cells
    cells = law.with_fields(**p.fields)
    small = (p.gain_down * cells.q_down(real.cells) - p.gain_up * cells.q_up(real.cells)) / 2
    torch.testing.assert_close(mean.G().float(), small, rtol=0, atol=2e-6)
    right = MeanTile(torch.zeros(4, 3), device, key=5, calibrated=True)
    torch.testing.assert_close(right.G(), torch.zeros(4, 3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert (right.w == 0).all()


def test_metrics_of_rates():
    settings = convergence_rates.CELLS["rl-true-point"] | {"steps": 256}
    found = convergence_rates.run(settings, 0, silent)
    parts = sum(found[f"{name} at K"][0] for name in ("gradient", "P", "W"))
    assert found["E_K at K"][0] == pytest.approx(parts, rel=1e-9)
    assert found["exponent of E_K"][0] < 0
    assert 0.75 < found["C*/sigma at K"][0] < 0.9  # sqrt(2/pi) of a normal gradient without mean
    rider = convergence_rates.run(convergence_rates.CELLS["rider-w-at-minimum"] | {"steps": 128}, 0, silent)
    parts = sum(rider[f"{name} at K"][0] for name in ("W", "P - Q", "G"))
    assert rider["E_K at K"][0] == pytest.approx(parts, rel=1e-9)


def test_lemma_3_5_by_hand():
    """w_sp = 0, P at (1, 0), then (2, 0). Q_0 = (-2, 0): cos = 1, the interval is (1 - 2 2/4, 1) = (0, 1), and
    eta = .5 gives Q = (0, 0). Q_0 = (3, 0): P - Q_0 points away, cos = -1."""
    p = torch.tensor([[[1.0, 0.0]] * 2, [[2.0, 0.0]] * 2], dtype=torch.float64)
    q = torch.tensor([[[-2.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [2.5, 0.0]]], dtype=torch.float64)
    found = lemma_3_5.shares(p, q, torch.zeros(2, 2, dtype=torch.float64), 0.5)
    nearer = (2.5**2 / 2 / 4) ** 0.5
    assert found == pytest.approx(
        {"cos > 0": 0.5, "lemma": 1.0, "eta in it": 1.0, "Q nearer": 0.5, "Q / P": nearer}
    )


def test_lemma_3_5_tells_a_chopper_from_none():
    settings = {"steps": 500, "repeats": 1}
    without, with_one = (
        lemma_3_5.run(lemma_3_5.CELLS[name] | settings, 0, silent) for name in ("rider", "e-rider-p0.01")
    )
    assert without["lemma"][0] == with_one["lemma"][0] == 1.0
    assert with_one["cos > 0"][0] > 0.95 > 0.9 > without["cos > 0"][0]


def test_q_is_a_lowpass_of_p():
    found = lemma_3_10.run(lemma_3_10.CELLS["e-rider-p0.05"] | {"steps": 2048, "repeats": 1}, 0, silent)
    for k in (4, 16, 64):
        assert found[f"ratio {k}"][0] == pytest.approx(found[f"lemma {k}"][0], rel=0.25)


def test_least_squares_fall():
    for name in figure_2.ALGORITHMS:
        found = figure_2.run(figure_2.CELLS[f"{name}-c0.1"] | {"steps": 40, "repeats": 2}, 0, silent)
        assert 0 < found["least loss"][0] < 29  # from |1 - W*|^2/2 = 31
        assert found["least loss"][0] <= found["loss"][0]


@pytest.mark.parametrize("name", [name for name, e in EXPERIMENTS.items() if e.figure is not None])
def test_figures_are_drawn(name, tmp_path, capsys):
    experiment, folder = EXPERIMENTS[name], RESULTS / name
    if not all((folder / f"{cell}.json").exists() for cell in experiment.cells):
        with pytest.raises(mho.MhoError, match="has not been run"):
            numbers_in(experiment, folder)
        return
    numbers = numbers_in(experiment, folder)
    assert isinstance(experiment.figure(numbers), matplotlib.figure.Figure)
    if experiment.summary is not None:
        assert all(math.isfinite(value) for value, _ in experiment.summary(numbers).values())
    with pytest.raises(SystemExit) as done:
        main(["papers", "plot", name, "--results", str(folder), "--out", str(tmp_path / "figure.png")])
    assert done.value.code == 0
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert "written" in capsys.readouterr().out


def test_experiments_without_a_figure(capsys):
    for name, message in (("quadratic", "it has no figure"), ("quadratics", "did you mean 'quadratic'")):
        with pytest.raises(SystemExit):
            main(["papers", "plot", name])
        assert message in capsys.readouterr().err
