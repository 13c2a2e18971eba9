"""Device-to-device spread in absolute units, and how it is written."""

import json

import pytest
import torch

import mho
from chance import assert_mean
from mho import config
from mho.responses import Linear

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


def test_spreads_round_trip_and_can_be_set():
    spread = {"c_lin": mho.Absolute(SIGMA), "tau": mho.Absolute(0.1, low=0.2, high=3), "gain": 0.1}
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
            "`Device(spread={'c_lin': Absolute(sigma=0.1, low=0.2, high=None)})`: the nominal c_lin = 0.1 "
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
