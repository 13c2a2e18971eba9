"""Advice: numbers worked out by hand, and the formulas that are shown being those that are computed."""

import math

import numpy as np
import pytest
import torch

import mho
import mho.testing
from mho.base.roles import Roles
from mho.diagnostics.advice import Setup, advise
from mho.diagnostics.advice.formula import Rule, evaluate, parse, short
from mho.nn.core.matrix import AnalogMatrix
from mho.responses import Constant, PowStep, SoftBounds

SOFT = mho.Crossbar(device=mho.Device(SoftBounds(), dw_min=1e-3))


class Leaning(mho.Response):
    """Up is weaker than down everywhere; no bound above."""

    def up(self, w):
        return 1 + 0 * w

    def down(self, w):
        return 2 + 0 * w


class Repelling(mho.Response):
    def up(self, w):
        return (1 + 0.5 * w) * (1 - w**4)

    def down(self, w):
        return (1 - 0.5 * w) * (1 - w**4)


class Flat(mho.Response):
    def up(self, w):
        return 1 - w**3

    def down(self, w):
        return 1 + w**3


def values(hardware=SOFT, layer=(256, 784), *rest, **more):
    return {a.name: a.value for a in advise(hardware, layer, *rest, **more)}


def test_the_numbers_of_soft_bounds_by_hand():
    v = values()
    device = {"n_states": 2000, "q_0": 1, "asymmetry_0": 0, "w_sp": 0, "slope": 1, "R_slope": 1, "T_sp": 1000}
    tile = {"in_size": 392, "out_size": 256, "lines": 392, "n_reads": 36, "adc_step": 24 / 510}
    fast = {"fast_lr_limit": 0.31, "fast_lr": 0.031, "pulses_per_step": 0.31, "T_steps": 1000 / 0.31}
    buffer = {"threshold": 1 / 392, "steps_to_pulse": 1000, "reads_to_pulse": 1000 / 392, "beta": 1e-4}
    direct = {"transfer_lr": 1, "beta_direct": 0.1 / 392, "noise_pulses": 6, "n_pulses": 6908}
    chopper = {"chop_period": 6000 / 0.31, "chop_prob": 392 * 0.31 / 6000, "chop_steps": 50 * 392, "eta": 0.1}
    rest = {"transfer_every_most": 8, "max_pulses": 1, "wander": math.sqrt(5e-4), "gamma": 0.4}
    for name, value in (device | tile | fast | buffer | direct | chopper | rest).items():
        assert v[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_another_law_and_granularity():
    law = SoftBounds(tau_max=0.6, tau_min=-0.3)
    v = values(mho.Crossbar(device=mho.Device(law, dw_min=0.03)))
    # q_down - q_up = w / 0.3 + w / 0.6 = 5 w, and G is half of that
    assert v["slope"] == pytest.approx(2.5) and v["T_sp"] == pytest.approx(1 / 0.075)
    assert v["n_states"] == pytest.approx(30) and v["gamma"] == 0.1
    assert v["fast_lr_limit"] == pytest.approx(9.3) and v["n_reads"] == pytest.approx(0.04)
    half = values(mho.Crossbar(device=mho.Device(PowStep(), dw_min=1e-3)))
    assert half["q_0"] == pytest.approx(0.5) and half["granularity"] == pytest.approx(5e-4)


def test_assumptions_count():
    v = values(
        setup=Setup(x_max=2.0, d_max=0.5, lr=0.01, batch_size=100, activity=0.1, read_noise=0.0, bl=10)
    )
    assert v["fast_lr_limit"] == pytest.approx(0.01) and v["lr_limit"] == pytest.approx(0.01)
    assert v["pulses_per_step"] == pytest.approx(100 * 0.001 * 0.1 / 1e-3)
    assert v["noise_pulses"] == 0 and v["n_reads"] == 0 and v["transfer_lr"] == pytest.approx(10)
    assert v["chop_prob"] == 0.5  # 392 / 600 would be more than regular flips can do


def test_what_was_chosen_is_used():
    v = values(fixed={"fast_lr": 0.31})
    assert v["fast_lr"] == pytest.approx(0.031) and v["T_steps"] == pytest.approx(1000 / 3.1)
    rows = mho.algorithms.ResidualLearning(transfer_every=4, scale_fast_lr=True, transfer="row")
    v = values(SOFT, (256, 784), rows)
    assert v["lines"] == 256 and v["sweep"] == 1024
    assert v["fast_lr"] == pytest.approx(0.31) and v["pulses_per_step"] == pytest.approx(0.31)


@pytest.mark.parametrize(
    ("law", "n_states", "w_sp", "T_sp"),
    [
        (Constant(), 2000, 0, math.inf),
        (Flat(), 2000, 0, math.inf),
        (Repelling(), 2000, 0, math.inf),
        (Leaning(), math.inf, None, None),
    ],
    ids=lambda x: type(x).__name__,
)
def test_devices_without_a_point_to_relax_to(law, n_states, w_sp, T_sp):
    found = {a.name: a for a in advise(mho.Crossbar(device=mho.Device(law), io=None), (10, 10))}
    assert found["n_states"].value == pytest.approx(n_states)
    assert found["w_sp"].value == (None if w_sp is None else pytest.approx(w_sp, abs=1e-9))
    assert found["T_sp"].value == T_sp and found["chop_prob"].value is None
    assert found["T_sp"].text == ("none" if T_sp is None else "infinite") and found["eta"].text == "none"
    assert found["fast_lr"].value == pytest.approx(0.031)


def test_relaxation_and_wander_are_what_random_pulses_do():
    device = mho.Device(SoftBounds(), dw_min=0.01, sigma_c2c=0.3)
    v, rng = values(mho.Crossbar(device=device)), np.random.default_rng(0)
    w = np.full(20000, 0.8)
    for k in range(800):
        sign = rng.choice((-1, 1), w.size)
        w = w + 0.01 * sign * (1 - sign * w + 0.3 * rng.standard_normal(w.size))
        if k + 1 == round(v["T_sp"]):
            assert w.mean() == pytest.approx(0.8 / math.e, abs=5 * w.std() / math.sqrt(w.size) + 0.002)
    assert w.std() == pytest.approx(v["wander"], rel=0.04)


@pytest.mark.parametrize("layer", [(10, 784), (513, 1025), (7, 512), (1, 1)])
def test_the_sub_tile_is_the_largest_that_a_layer_is_cut_into(layer):
    v = values(SOFT, layer)
    blocks = AnalogMatrix(torch.zeros(layer), SOFT, key=0).blocks
    assert (v["out_size"], v["in_size"]) == tuple(max(b.shape[n] for b in blocks) for n in (0, 1))


@pytest.mark.parametrize("algorithm", mho.testing.algorithms(), ids=lambda a: a.__name__)
def test_an_algorithm_gets_advice_on_its_own_fields_only(algorithm):
    a = algorithm()
    fields = {x.field for x in advise(SOFT, (256, 784), a)}
    assert {"device", "tile"} < fields
    assert all(hasattr(a, field) for field in fields - {"device", "tile", "lr"})
    assert ("lr" in fields) is not (hasattr(a, "fast_lr") or hasattr(a, "granularity"))
    assert all(x.why for x in advise(SOFT, (256, 784), a))


class Filtered(mho.Algorithm):
    """Has the fields that change which rules apply."""

    fast_lr: float = 1.0
    transfer_lr: float = 0.1
    scale_transfer_lr: bool = False
    auto_granularity: float = 100.0
    momentum: float = 0.6
    after_pulses: str = "keep"
    gamma: float = 0.5
    tiles: int = 3
    units: str = "sample"
    transfer: str = "all"

    def roles(self):
        return Roles(gradient="P", weights="W", chain=("W", "P"), buffer="H", forgets=True)


def test_fields_that_change_the_rules():
    v = values(SOFT, (256, 784), Filtered())
    assert v["pulses_per_step"] == pytest.approx(0.031)  # a step is one sample, not ten
    assert v["threshold"] == pytest.approx(0.1) and v["P_fires"] == pytest.approx(1.0)
    assert v["filter_noise"] == pytest.approx(0.03) and v["gamma"] == pytest.approx(1 / 2000)
    assert "reads_to_pulse" not in v and "beta_direct" not in v
    v = values(SOFT, (256, 784), Filtered(auto_granularity=0.0))
    assert v["threshold"] == pytest.approx(1e-3) and "auto_granularity" not in v


def test_devices_by_role():
    fine, coarse = mho.Device(SoftBounds(), dw_min=1e-3), mho.Device(SoftBounds(), dw_min=0.1)
    v = values(mho.Crossbar(device={"W": coarse, "P": fine}))
    assert v["n_states"] == pytest.approx(2000) and v["transfer_lr"] == pytest.approx(100)
    alone = values(mho.Crossbar(device={"W": coarse, "P": fine}), (8, 8), mho.algorithms.AnalogSGD())
    assert alone["n_states"] == pytest.approx(20) and alone["lr_limit"] == pytest.approx(31)


@pytest.mark.parametrize(
    ("layer", "setup"), [((0, 5), Setup()), ((5, 5), Setup(x_max=0.0)), ((5, 5), Setup(lr=math.nan))]
)
def test_impossible_assumptions_are_refused(layer, setup):
    with pytest.raises(mho.MhoError, match="must be positive"):
        advise(SOFT, layer, setup=setup)


def test_a_rule_is_parsed_and_evaluated():
    text = "\nhead\na [m] = x / 2\n    Half,\n    of it.\nb ~ max(a, zero)\nc = 1 / zero\nd = c + 1\n"
    rules = parse(text)
    assert rules[0] == Rule("head", "a", "m", "x / 2", False, "Half, of it.")
    a, b, c, d = evaluate(rules, {"x": 3.0, "zero": 0.0}, {"a": 7.0})
    assert (a.value, a.text, a.with_numbers) == (1.5, "1.5 m", "3 / 2")
    assert (b.value, b.thumb, b.inputs) == (7.0, True, {"a": 7.0, "zero": 0.0})
    assert (c.value, c.text, d.value) == (math.inf, "infinite", None)
    assert [short(x) for x in (None, 0.0314159, 1234.5, 2e9, 0)] == ["none", "0.0314", "1234", "2e+09", "0"]
