"""How cells differ: spreads in absolute units and log-normal ones, gains of the two directions."""

import json
import math

import pytest
import torch

import mho
from chance import assert_mean
from mho.base import config
from mho.calibration import symmetric_point, zero_shift
from mho.numerics.draw import draw_normal
from mho.responses import Constant, Linear, SoftBounds

SIGMA = 0.2
SHAPE = 200, 200


def drawn(spread, key=3):
    return mho.Device(Linear(c_lin=0.1), spread={"c_lin": spread}).draw(SHAPE, key).fields["c_lin"]


def test_values_are_normal_around_the_nominal_one():
    c = drawn(mho.Absolute(SIGMA)).flatten()
    assert_mean(c, 0.1, "mean")
    assert_mean((c - 0.1) ** 2, SIGMA**2, "variance")
    assert (c < 0).any(), "the sign may change"


def test_values_are_clipped():
    free, c = drawn(mho.Absolute(SIGMA)), drawn(mho.Absolute(SIGMA, low=-0.1, high=0.25))
    assert torch.equal(c, free.clamp(-0.1, 0.25))
    assert_mean(
        (c == -0.1).float().flatten(), torch.special.ndtr(torch.tensor(-1.0)), "share at the lower limit"
    )
    assert_mean(
        (c == 0.25).float().flatten(), torch.special.ndtr(torch.tensor(-0.75)), "share at the upper limit"
    )
    assert torch.equal(drawn(mho.Absolute(SIGMA, high=0.25)), free.clamp(max=0.25))


def test_the_draw_is_that_of_a_relative_spread():
    relative = mho.Device(Linear(c_lin=0.1), spread={"c_lin": 0.02}).draw(SHAPE, 3).fields["c_lin"]
    torch.testing.assert_close(drawn(mho.Absolute(0.002)), relative)
    assert drawn(mho.Absolute(0.0)) == 0.1
    gain = mho.Device(spread={"gain": mho.Absolute(0.3, low=0.0)}).draw(SHAPE, 3).gain
    assert gain.min() == 0.0
    assert mho.Device(Linear(), spread={"c_lin": mho.Absolute(0.0), "tau": 0.1}).varying == {"tau"}


def test_a_folded_spread_keeps_the_sign():
    free = drawn(mho.Absolute(SIGMA))
    assert torch.equal(drawn(mho.Absolute(SIGMA, fold=True)), free.abs())
    assert torch.equal(drawn(mho.Absolute(SIGMA, high=0.2, fold=True)), free.abs().clamp(max=0.2))
    device = mho.Device(spread={"tau_min": mho.Absolute(0.8, fold=True)})
    lower = device.draw(SHAPE, 3).lower
    xi = draw_normal(SHAPE, 3, "tau_min")
    torch.testing.assert_close(lower, -(-1.0 + 0.8 * xi).abs(), rtol=0, atol=0)


def test_a_log_normal_spread():
    device = mho.Device(spread={"gain": mho.LogNormal(0.7), "tau_min": mho.LogNormal(0.5)})
    cells = device.draw(SHAPE, 3)
    assert_mean(cells.gain.log().flatten(), 0.0, "mean logarithm")
    assert_mean(cells.gain.log().flatten() ** 2, 0.49, "its variance")
    assert_mean(cells.gain.flatten(), math.exp(0.49 / 2), "mean")
    assert (cells.lower < 0).all()
    assert device.varying == {"tau_min"}
    assert mho.Device(spread={"gain": mho.LogNormal(0.0)}).draw(SHAPE, 3).gain == 1.0


# Gains of the two directions.


@pytest.mark.parametrize("up_down", [0.2, -0.2])
def test_gains_by_the_two_rules(up_down):
    """One-sided, as measured with aihwkit 1.2.0: dw_min .01, up_down .2: up .0100, down .0080; -.2: the reverse."""
    one = mho.Device(dw_min=0.01, up_down=up_down)
    both = mho.Device(dw_min=0.01, up_down=up_down, up_down_rule="two-sided")
    assert one.gains == pytest.approx((1.0, 0.8) if up_down > 0 else (0.8, 1.0))
    assert both.gains == pytest.approx((1 + up_down, 1 - up_down))
    for device in (one, both):
        tile = mho.Tile(torch.zeros(1, 2), device)
        tile.pulse(torch.tensor([[1.0, -1.0]]))
        assert tile.w[0].tolist() == pytest.approx([0.01 * device.gains[0], -0.01 * device.gains[1]])


def test_gains_spread_as_in_aihwkit():
    """200 x 200 cells, measured with aihwkit 1.2.0: correlation of up and down .9978, half difference .0099."""
    device = mho.Device(spread={"gain": mho.Absolute(0.3)}, up_down_std=0.01)
    cells = device.draw(SHAPE, 3)
    g, r = 1 + 0.3 * draw_normal(SHAPE, 3, "gain"), 0.01 * draw_normal(SHAPE, 3, "up_down")
    torch.testing.assert_close(cells.gain_up, (g + r).abs())
    torch.testing.assert_close(cells.gain_down, (g - r).abs())
    assert torch.corrcoef(torch.stack([cells.gain_up, cells.gain_down]).flatten(1))[0, 1] == pytest.approx(
        0.9978, abs=2e-4
    )
    assert ((cells.gain_up - cells.gain_down) / 2).std() == pytest.approx(0.0099, abs=3e-4)
    shared = mho.Device(spread={"gain": 0.3}).draw(SHAPE, 3)
    assert shared.gain_up is shared.gain_down
    assert "gain" in shared.values()
    torch.testing.assert_close(cells.gain, (cells.gain_up + cells.gain_down) / 2)


def test_symmetric_point_with_gains_is_where_alternating_pulses_lead():
    """aihwkit 1.2.0, SoftBoundsReference, q_up .01, q_down .008: .1111, and .1071 behind the last down pulse."""
    device = mho.Device(dw_min=0.01, up_down=0.2)
    tile = mho.Tile(torch.zeros(1, 1), device)
    assert symmetric_point(tile).item() == pytest.approx(0.2 / 1.8)
    result = zero_shift(tile, 4000)
    assert result.estimate.item() == pytest.approx(0.1071, abs=5e-5)
    wide = mho.Device(
        SoftBounds(1.25, -0.75), up_down=-0.3, up_down_std=0.1, spread={"tau_max": 0.2, "gain": 0.2}
    )
    cells = wide.draw((20, 20), 5)
    up, down = cells.gain_up, cells.gain_down
    expected = (up - down) / (up / cells.upper - down / cells.lower)
    tile = mho.Tile(torch.zeros(20, 20), wide, key=5)
    torch.testing.assert_close(symmetric_point(tile), expected, rtol=0, atol=1e-6)
    calibrated = wide.replace(subtract_sp=True).draw((20, 20), 5)
    torch.testing.assert_close(calibrated.reference, expected, rtol=0, atol=1e-6)
    moved = mho.Tile(torch.zeros(20, 20), wide.replace(subtract_sp=True), key=5)
    torch.testing.assert_close(symmetric_point(moved), torch.zeros(20, 20), rtol=0, atol=1e-6)


def test_expected_updates_know_the_gains():
    device = mho.Device(up_down=0.4, up_down_std=0.1, dw_min=1e-3)
    tile = mho.Tile(0.1 * torch.ones(30, 40), device, pulses=mho.Expected(), key=2)
    before, p = tile.w.clone(), tile.parameters_of_cells
    n = torch.randint(-3, 4, (30, 40), generator=torch.Generator().manual_seed(0)).float()
    tile.pulse(n)
    steps = torch.where(n > 0, p.gain_up * 0.9, p.gain_down * 1.1)
    torch.testing.assert_close(tile.w, before + 1e-3 * n * steps)
    tile.pulse(n[2], row=2)
    assert (tile.w[2] != (before + 1e-3 * n * steps)[2]).any()


def test_no_symmetric_point_is_an_error():
    with pytest.raises(mho.MhoError, match="nowhere between the bounds"):
        mho.Device(Constant(), up_down=0.2, subtract_sp=True).draw((2, 2), 0)


def test_spreads_round_trip_and_can_be_set():
    spread = {"c_lin": mho.Absolute(SIGMA), "tau": mho.Absolute(0.1, low=0.2, high=3, fold=True), "gain": 0.1}
    device = mho.Device(Linear(), spread=spread)
    data = json.loads(json.dumps(config.to_dict(device), allow_nan=False))
    assert config.from_dict(data) == device
    crossbar = config.to_dict(mho.Crossbar(device=device))
    for assignment in (
        "device.spread.gain=0.3",
        "device.spread.c_lin.sigma=0.3",
        "device.spread.c_lin.high=0.9",
    ):
        crossbar = config.override(crossbar, assignment)
    new = config.from_dict(crossbar).device.spread
    assert new == {**spread, "gain": 0.3, "c_lin": mho.Absolute(0.3, high=0.9)}
    new = config.from_dict(config.override(config.to_dict(mho.Crossbar()), "device.spread.gain=0.1"))
    assert new.device.spread == {"gain": 0.1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mho.Absolute(-0.1),
            "`Absolute(sigma=-0.1)`: sigma must be zero or positive. Fix: did you mean sigma=0.1?",
        ),
        (
            lambda: mho.Absolute(0.1, low=1.0, high=0.0),
            "`Absolute(low=1.0, high=0.0)`: low must be less than high.",
        ),
        (
            lambda: mho.Absolute(0.1, low=float("-inf")),
            "`Absolute(low=-inf)`: low is -inf. It must be finite.",
        ),
        (
            lambda: mho.Device(Linear(), spread={"c_lin": mho.Absolute(0.1, low=0.2)}),
            "`Device(spread={'c_lin': Absolute(sigma=0.1, low=0.2, high=None, "
            "fold=False)})`: the nominal c_lin = 0.1 "
            "lies outside of the limits.",
        ),
        (
            lambda: mho.Device(spread={"gain": "0.1"}),
            "`Device(spread={'gain': '0.1'})`: a spread is zero or positive.",
        ),
    ],
)
def test_messages(call, message):
    with pytest.raises(mho.MhoError) as failure:
        call()
    assert str(failure.value) == message


def test_bounds_that_cross_are_an_error():
    wide = mho.Device(SoftBounds(), spread={"tau_max": mho.Absolute(0.6), "tau_min": mho.Absolute(0.6)})
    with pytest.raises(mho.MhoError, match=r"not in rising order for \d+ of 2500 cells.*low="):
        mho.Tile(torch.zeros(50, 50), wide, key=1)
    limited = wide.replace(
        spread={"tau_max": mho.Absolute(0.6, low=0.1), "tau_min": mho.Absolute(0.6, high=-0.1)}
    )
    mho.Tile(torch.zeros(50, 50), limited, key=1)
