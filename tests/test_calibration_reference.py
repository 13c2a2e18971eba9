"""Stopping rules, refusals, references and offsets of calibrations."""

import warnings

import pytest
import torch

import mho
from chance import assert_mean
from mho.calibration import CalibrationWarning, Offset, program_reference, symmetric_point, zero_shift
from mho.responses import Linear, SoftBounds

DW = 2e-3
LAW = Linear(c_lin=0.25, tau=0.8)  # w_sp = .2


class Wells(mho.Response):
    """G = w (w^2 - 1/4): repels at 0, attracts at +-1/2."""

    def up(self, w):
        return 1 - w * (w * w - 0.25)

    def down(self, w):
        return 1 + w * (w * w - 0.25)

    def bounds(self):
        return -1.0, 1.0


class Flat(mho.Response):
    """G = w^3: attracts at 0, algebraically."""

    def up(self, w):
        return 1 - w * w * w

    def down(self, w):
        return 1 + w * w * w

    def bounds(self):
        return -0.9, 0.9


def tile_of(law=LAW, dw_min=DW, start=-0.3, shape=(30, 40), **more):
    spread = {"c_lin": mho.Absolute(0.1)} if isinstance(law, Linear) else {}
    return mho.Tile(torch.full(shape, start), mho.Device(law, dw_min, spread=spread, **more), key=6)


@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
def test_the_rule_stops_when_what_is_left_is_small(schedule):
    """The cells are left at the distance asked for, within a factor 2. Asked for less than a cell's randomness,
    sqrt(dw_min tau/2) F = .027, the rule ends where that hides the rest."""
    tile = tile_of()
    result = zero_shift(tile, 100_000, schedule, stop=0.05, every=62)
    assert result.settled
    assert result.pulses < 4000
    assert result.reads == result.pulses // 62 + 1
    assert (result.wear.sum(0) == result.pulses).all()
    assert 0.025 < result.error.square().mean().sqrt() < 0.1
    tight = zero_shift(tile_of(), 100_000, schedule, stop=1e-3)
    assert result.pulses < tight.pulses < 20_000
    assert tight.settled
    assert abs(tight.error.mean()) < (0.027 if schedule == "stochastic" else 2e-3)


def test_the_budget_ends_what_does_not_settle():
    result = zero_shift(tile_of(), 333, stop=1e-3, every=100)
    assert (result.pulses, result.reads, result.settled) == (333, 5, False)
    result = zero_shift(tile_of(), 810, stop=0.01, every=100)
    assert not result.settled  # the ten last pulses move little, being ten
    assert result.error.abs().mean() > 0.03


def test_averages_have_less_randomness():
    """At rest w relaxes by dw_min/tau a pulse, and each adds +-dw_min F, F = 1 - c^2 at w_sp: the last weight has
    the variance dw_min tau F^2/2, the mean of n weights 2 tau/(n dw_min) of that."""
    result = zero_shift(tile_of(start=0.2), 40_000, "stochastic", tail=0.9)
    last, mean = result.error.square().mean().item(), result.average_error.square().mean().item()
    assert last == pytest.approx(DW * 0.8 / 2 * (1 - 0.25**2) ** 2, rel=0.15)
    assert mean == pytest.approx(last * 2 * 0.8 / (36_000 * DW), rel=0.2)
    assert_mean(result.average_error.flatten(), 0.0, "average")


def test_points_that_repel_are_refused():
    tile = tile_of(Wells())
    with pytest.raises(mho.MhoError) as failure:
        zero_shift(tile, 100)
    assert str(failure.value) == (
        "`zero_shift(tile of Wells)`: the symmetric point w = 0 repels: pulses up and down drive cells away from "
        "it. It must attract (G rises through 0 there). Fix: program the cells near a point that attracts (-0.5, "
        "0.5) and pass check=False."
    )
    assert tile.pulses_sent == (0, 0)
    result = zero_shift(tile, 20_000, check=False)
    torch.testing.assert_close(result.estimate, torch.full_like(result.estimate, -0.5), rtol=0, atol=2e-3)


def test_points_that_attract_algebraically_are_warned_of():
    with pytest.warns(CalibrationWarning, match=r"G is flat at the symmetric point w = 0"):
        first = zero_shift(tile_of(Flat()), 4000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fourfold = zero_shift(tile_of(Flat()), 16_000, check=False)
        zero_shift(tile_of(), 10)
    # dw/dn = -dw_min w^3: w = (w0^-2 + 2 dw_min n)^-1/2, half as far after four times as many pulses
    for result in (first, fourfold):
        left = (0.3**-2 + 2 * DW * result.pulses) ** -0.5
        assert -result.average_error[0, 0].item() == pytest.approx(left, rel=0.25)
    assert result.average_error.abs().max() > 0.1


def test_a_reference_is_programmed_with_its_own_error():
    tile = tile_of()
    found = zero_shift(tile, 4000)
    programmed = program_reference(tile, found.estimate, write_error=0.01)
    torch.testing.assert_close(tile.w, -(programmed - found.estimate).float(), rtol=0, atol=1e-6)
    z = (programmed - found.estimate).flatten() / 0.01
    assert_mean(z, 0.0, "mean")
    assert_mean(z.square(), 1.0, "variance")
    exact = tile_of()
    assert program_reference(exact, found.estimate) is found.estimate
    torch.testing.assert_close(symmetric_point(exact), -found.error.float(), rtol=0, atol=1e-6)
    with pytest.raises(mho.MhoError, match=r"write_error=-1.*>= 0"):
        program_reference(tile, found.estimate, -1)


def test_offsets_are_drawn_around_the_true_points():
    tile, offset = tile_of(), Offset(0.05, 0.02)
    r = offset.draw(tile)
    z = (r - symmetric_point(tile) - 0.05).flatten() / 0.02
    assert_mean(z, 0.0, "mean")
    assert_mean(z.square(), 1.0, "variance")
    assert torch.equal(r, offset.draw(tile))
    assert_mean((Offset(0.05).draw(tile) - symmetric_point(tile)).flatten(), 0.05, "sigma 0", 1e-7)
    again = mho.Tile(torch.zeros(30, 40), offset.device(tile.device), key=6)
    found = -symmetric_point(again).flatten()
    assert_mean(found, 0.05, "device, mean")
    assert_mean((found - 0.05).square(), 4e-4, "device, variance")
    short = zero_shift(tile_of(), 300)
    assert short.offset.mu == pytest.approx(short.error.mean().item())
    assert short.offset.sigma == pytest.approx(short.error.std(unbiased=False).item())


def test_written_noise_is_in_the_estimate():
    tile = tile_of(write_noise=5.0)
    result = zero_shift(tile, 6000)
    torch.testing.assert_close(tile.w.double(), result.estimate, rtol=0, atol=1e-6)
    assert result.error.std() == pytest.approx(5 * DW, rel=0.2)
    assert result.average_error.std() < DW


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stop": 0.0}, "stop must be positive and finite"),
        ({"stop": float("nan")}, "stop must be positive and finite"),
        ({"every": 3}, "every must be an even integer"),
        ({"tail": 0.0}, r"tail must be in \(0, 1\]"),
        ({"tail": float("nan")}, r"tail must be in \(0, 1\]"),
    ],
)
def test_wrong_rules_are_named(arguments, message):
    tile = tile_of(SoftBounds())
    with pytest.raises(mho.MhoError, match=message):
        zero_shift(tile, 100, **arguments)
    assert tile.pulses_sent == (0, 0)
