"""Zero-shifting against closed forms and plain loops, what it costs, and what it leaves behind."""

import pytest
import torch

import mho
from chance import assert_mean
from mho.calibration import symmetric_point, zero_shift
from mho.numerics.rng import Stream
from mho.responses import Linear, SoftBounds

C, TAU, DW, START = 0.3, 0.8, 4e-3, -0.3
LAW = Linear(c_lin=C, tau=TAU)
SPREAD = {"c_lin": mho.Absolute(0.2, low=-0.8, high=0.8), "gain": 0.3}


class Tilted(mho.Response):
    """Down pulses are always the larger ones."""

    def up(self, w):
        return torch.ones_like(w)

    def down(self, w):
        return 2 * torch.ones_like(w)

    def bounds(self):
        return -1.0, 1.0


def expected(schedule, n):
    """Mean weight after n pulses: each maps it to w + dw_min q_up(w), or w - dw_min q_down(w), both linear."""
    a, b, w = 1 + C, 1 - C, START
    for k in range(n):
        up, down = w + DW * a * (1 - w / TAU), w - DW * b * (1 + w / TAU)
        w = (up + down) / 2 if schedule == "stochastic" else (down if k % 2 else up)
    return w


@pytest.mark.parametrize("n", [1, 101, 400])
@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
def test_mean_weight_follows_the_closed_form(schedule, n):
    device = mho.Device(LAW, dw_min=DW, sigma_c2c=0.3)
    tile = mho.Tile(torch.full((50, 80), START), device, key=11, count_cells=True)
    result = zero_shift(tile, n, schedule)
    assert_mean(result.estimate.flatten(), expected(schedule, n), f"{n} pulses", rounding=1e-6)
    torch.testing.assert_close(result.error, result.estimate - C * TAU, rtol=0, atol=1e-9)  # a bisection
    torch.testing.assert_close(tile.w, result.estimate.float(), rtol=0, atol=0)
    assert (result.pulses, result.reads, result.settled) == (n, 1, False)
    assert (result.wear.sum(0) == n).all()
    torch.testing.assert_close(result.wear, tile.counts.long())
    assert tile.pulses_sent == tuple(result.wear.flatten(1).sum(1).tolist())
    assert (tile.counts.sum(0) == n).all()
    if schedule == "stochastic":  # the closed form of its recursion: (a + b) / 2 = 1
        rate = 1 - DW / TAU
        assert expected(schedule, n) - C * TAU == pytest.approx(rate**n * (START - C * TAU), rel=1e-9)


@pytest.mark.parametrize("pulses", [mho.Pulses(), mho.Expected()], ids=["pulses", "expected"])
def test_every_cell_finds_its_own_point_and_can_be_shifted_to_it(pulses):
    device = mho.Device(LAW, dw_min=DW, spread=SPREAD, reference_std=0.1)
    tile = mho.Tile(torch.zeros(20, 30), device, pulses=pulses, key=5)
    p = tile.parameters_of_cells
    truth = p.fields["c_lin"] * TAU - p.reference
    torch.testing.assert_close(symmetric_point(tile), truth, rtol=0, atol=1e-6)
    result = zero_shift(tile, 4000)
    torch.testing.assert_close(result.error, result.estimate - truth.double(), rtol=0, atol=1e-6)
    # An up pulse maps w to w - up (w - tau), a down pulse to w - down (w + tau): where both lead, and how fast.
    c, size = (v.double() for v in (p.fields["c_lin"], p.gain * DW / TAU))
    up, down = size * (1 + c), size * (1 - c)
    both = (1 - up) * (1 - down)
    end = TAU * (up * (1 - down) - down) / (1 - both)
    end += (tile.reference - end) * both**2000  # the hidden weight where it began
    torch.testing.assert_close(result.estimate, end - p.reference, rtol=0, atol=1e-8)
    assert ((end - c * TAU).abs() < 1.5 * DW * p.gain + both**2000).all()
    tile.subtract(result.estimate)
    torch.testing.assert_close(tile.w, torch.zeros(20, 30), rtol=0, atol=1e-7)  # sums are rounded
    torch.testing.assert_close(symmetric_point(tile), -result.error.float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("pulses", [mho.Pulses(), mho.Exact()], ids=["pulses", "exact"])
def test_signs_are_fair_and_independent_from_cell_to_cell_and_from_time_to_time(pulses):
    device = mho.Device(mho.responses.Constant(), dw_min=1e-3)
    tile = mho.Tile(torch.zeros(100, 130), device, pulses=pulses, key=7)
    steps, before = [], tile.w.clone()
    for k in range(2):
        zero_shift(tile, 1, "stochastic")
        steps.append(((tile.w - before) / 1e-3).round().flatten())
        before = tile.w.clone()
        assert tile.events[Stream.ZERO_SHIFT] == k + 1
        assert (steps[-1].abs() == 1).all()
        assert_mean(steps[-1], 0.0, "signs")
        for lag in (1, 32, 128, 130):
            assert_mean(steps[-1][lag:] * steps[-1][:-lag], 0.0, f"neighbours at {lag}")
    assert_mean(steps[0] * steps[1], 0.0, "the next signs")


def test_the_same_key_gives_the_same_run():
    def run(key):
        tile = mho.Tile(torch.zeros(7, 9), mho.Device(LAW, dw_min=DW, sigma_c2c=0.3), key=key)
        return zero_shift(tile, 20, "stochastic").estimate

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


def test_laws_without_a_symmetric_point_have_no_error():
    tile = mho.Tile(torch.zeros(2, 2), mho.Device(Tilted(), dw_min=0.01), pulses=mho.Expected())
    result = zero_shift(tile, 10)
    assert result.error is None
    torch.testing.assert_close(result.estimate, torch.full((2, 2), -0.05, dtype=torch.float64))
    assert result.average_error is None
    with pytest.raises(mho.MhoError, match="nothing to compare"):
        result.offset  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, "fast"), '`zero_shift(schedule=\'fast\')`: schedule is "cyclic" or "stochastic".'),
        ((0, "cyclic"), "`zero_shift(n_pulses=0)`: n_pulses must be an integer of at least 1."),
        ((1.5, "cyclic"), "`zero_shift(n_pulses=1.5)`: n_pulses must be an integer of at least 1."),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    tile = mho.Tile(torch.zeros(2, 2), mho.Device(SoftBounds()))
    with pytest.raises(mho.MhoError) as failure:
        zero_shift(tile, *arguments)
    assert str(failure.value) == message
    assert tile.pulses_sent == (0, 0)
