"""Published devices: their numbers, what a pulse does to them, and how their cells differ."""

import math

import pytest
import torch

import mho
from mho import aihwkit
from mho.base import config
from mho.base.errors import MhoError
from mho.device.device import Device
from mho.presets import PRESETS
from mho.tile.tile import Tile

DEVICES = {name: preset.device for name, preset in PRESETS.items() if isinstance(preset.device, Device)}
MANY = (200, 200)


def nominal(device):
    """The same device without spread, noise and reference."""
    law = (
        device.response.replace(noise=0.0, noise_add=0.0, noise_slope=0.0)
        if device.c2c == "law"
        else device.response
    )
    quiet = {
        "sigma_c2c": 0.0,
        "write_noise": 0.0,
        "up_down_std": 0.0,
        "reference_std": 0.0,
        "subtract_sp": False,
    }
    return device.replace(response=law, spread={}, retention=None, **quiet)


def staircase(device, w, n):
    """Cells after n pulses up, and after n down, by hand in float64."""
    low, high = (float(b) for b in device.response.bounds())
    gains, found = device.gains, []
    for gain, q, sign in zip(gains, (device.response.q_up, device.response.q_down), (1, -1), strict=True):
        v = w
        for _ in range(n):
            v = min(max(v + sign * gain * device.dw_min * q(v), low), high)
        found.append(v)
    return found


@pytest.mark.parametrize("name", DEVICES)
def test_pulses_of_the_nominal_cell(name):
    """At 0, after 50 pulses, and to both bounds and not beyond."""
    device = nominal(DEVICES[name])
    low, high = (float(b) for b in device.response.bounds())
    for start, n in ((0.0, 1), (0.0, 50), (high, 3), (low, 3)):
        tile = Tile(torch.full((1, 2), start), device, key=1)
        tile.pulse(torch.tensor([[n, -n]]))
        expected = torch.tensor([staircase(device, start, n)])
        torch.testing.assert_close(tile.w, expected, rtol=1e-5, atol=2e-5 * device.dw_min * n + 1e-7)


@pytest.mark.parametrize("name", DEVICES)
def test_cells_never_leave_their_bounds(name):
    device = DEVICES[name]
    tile = Tile(torch.zeros(20, 30), device, key=2)
    p = tile.parameters_of_cells
    for n in (200, -400, 300):
        tile.pulse(torch.full((20, 30), n))
        assert (tile.cells <= p.upper).all()
        assert (tile.cells >= p.lower).all()
    assert tile.cells.std() > 0


@pytest.mark.parametrize("name", DEVICES)
def test_cells_differ_as_published(name):
    """Means and standard deviations of gains and bounds over 200 x 200 cells, within 5 standard errors."""
    device = DEVICES[name]
    cells = device.draw(MANY, key=3)
    n = math.prod(MANY)
    sigma = device.spread.get("gain", 0.0)
    width = getattr(sigma, "sigma", sigma)
    up, down = (
        torch.as_tensor(g, dtype=torch.float64).expand(MANY) for g in (cells.gain_up, cells.gain_down)
    )
    if isinstance(sigma, mho.LogNormal):
        logs = ((up + down) / 2).log()
        assert abs(logs.mean()) < 5 * width / n**0.5 + 1e-3  # the difference of up and down adds its square
        assert logs.std().item() == pytest.approx(width, rel=5 / (2 * n) ** 0.5 + 1e-2)
    elif width:
        expected = (min(device.up_down, 0) + 1 - max(device.up_down, 0) + 1) / 2
        assert ((up + down) / 2).mean().item() == pytest.approx(expected, abs=5 * width / n**0.5 + 1e-3)
        assert ((up + down) / 2).std().item() == pytest.approx(width, rel=5 / (2 * n) ** 0.5 + 1e-2)
    if device.up_down_std:
        half = (up - down) / 2
        assert half.std().item() == pytest.approx(device.up_down_std, rel=5 / (2 * n) ** 0.5 + 1e-2)
        if not device.up_down and width:
            correlation = torch.corrcoef(torch.stack([up.flatten(), down.flatten()]))[0, 1].item()
            v, r = up.var().item() - half.var().item(), half.var().item()
            assert correlation == pytest.approx((v - r) / (v + r), abs=0.02)
    for bound, field in ((cells.upper, "tau_max"), (cells.lower, "tau_min")):
        spread = device.spread.get(field, 0.0)
        if spread and spread <= 0.3:  # at more, folding at zero shows
            value = getattr(device.response, field)
            assert bound.mean().item() == pytest.approx(value, rel=5 * spread / n**0.5 + 1e-3)
            assert (bound / value).std().item() == pytest.approx(spread, rel=5 / (2 * n) ** 0.5 + 1e-2)


# Measured with aihwkit 1.2.0: dw_min 0.01, bounds +-1, no variation; one pulse up from 0, and 50.
PLAIN = {
    "dw_min": 0.01,
    "w_max": 1.0,
    "w_min": -1.0,
    "dw_min_dtod": 0.0,
    "up_down_dtod": 0.0,
    "w_max_dtod": 0.0,
    "w_min_dtod": 0.0,
    "dw_min_std": 0.0,
}
SLOPES = {"gamma_up": 0.5, "gamma_down": 0.5, "gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0}
MEASURED = [
    (aihwkit.constant_step(**PLAIN), 0.01, 0.5),
    (aihwkit.linear_step(**PLAIN, **SLOPES), 0.01, 0.44337),
    (aihwkit.soft_bounds(**PLAIN), 0.01, 0.39499),
    (aihwkit.pow_step(**PLAIN, pow_gamma=2.0, pow_gamma_dtod=0.0), 0.0025, 0.11134),
    (aihwkit.exp_step(**PLAIN), 0.009834, 0.48137),
]


@pytest.mark.parametrize(
    ("device", "first", "fiftieth"), MEASURED, ids=lambda v: type(getattr(v, "response", v)).__name__
)
def test_the_values_that_aihwkit_gives(device, first, fiftieth):
    tile = Tile(torch.zeros(1, 1), device)
    tile.pulse(torch.ones(1, 1))
    assert tile.w.item() == pytest.approx(first, rel=1e-4)
    tile.pulse(torch.full((1, 1), 49))
    assert tile.w.item() == pytest.approx(fiftieth, rel=6e-5)


@pytest.mark.parametrize(("up_down", "up", "down"), [(0.2, 0.01, 0.008), (-0.2, 0.008, 0.01)])
def test_up_down_shortens_one_side_only(up_down, up, down):
    device = aihwkit.constant_step(**PLAIN, up_down=up_down)
    tile = Tile(torch.zeros(1, 2), device)
    tile.pulse(torch.tensor([[1, -1]]))
    torch.testing.assert_close(tile.w, torch.tensor([[up, -down]]))


def test_the_documented_pmax_trace_and_aihwkits():
    law, dw_min, up_down = mho.responses.SoftBounds.pmax(1000, 5e-4, -1.0, 1.0)
    start = torch.full((1, 1), -1.0)
    there = Tile(start, Device(law, dw_min=dw_min, up_down=up_down))
    there.pulse(torch.full((1, 1), 1000))
    assert there.w.item() == pytest.approx(1.0, abs=2e-3)
    here = Tile(
        start,
        aihwkit.soft_bounds_pmax(dw_min_dtod=0, up_down_dtod=0, w_max_dtod=0, w_min_dtod=0, dw_min_std=0),
    )
    here.pulse(torch.full((1, 1), 1000))
    assert abs(here.w.item() - 1.0) > 0.1, "its code takes dw_min for the step at 0"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_plain_data(name):
    preset = PRESETS[name]
    assert config.from_dict(config.to_dict(preset.device)) == preset.device
    assert preset.source
    assert getattr(mho.presets, name) is preset.device


def test_what_cannot_be_followed_is_refused():
    with pytest.raises(MhoError, match="mean_bound_reference=False"):
        aihwkit.linear_step(mean_bound_reference=False)
    with pytest.raises(MhoError, match="no write noise"):
        aihwkit.constant_step(write_noise_std=1.0)


def test_symmetric_points_of_soft_bounds_near_a_bound():
    """One cell is almost one-sided: its point is close to the bound, and is found."""
    law = mho.responses.SoftBounds(tau_max=0.5, tau_min=-2.0)
    up, down = torch.tensor([1.0, 1.0, 1e-4]), torch.tensor([1.0, 1e-4, 1.0])
    point = law.central_sp(up, down)
    torch.testing.assert_close(up * law.q_up(point), down * law.q_down(point), rtol=1e-3, atol=1e-6)
    assert point[1] > 0.4995
    assert point[2] < -1.999
    assert law.central_sp() == 0.0
    skewed = mho.responses.SkewedSoftBounds(tau_max=0.5, tau_min=-2.0, alpha_up=1.0, alpha_down=1.0)
    torch.testing.assert_close(skewed.central_sp(up, down).float(), point, rtol=1e-4, atol=1e-6)
    assert law.central_sp(torch.zeros(2), torch.zeros(2)).tolist() == [0.0, 0.0], "no pulse moves them"
