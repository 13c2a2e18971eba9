"""Pairs of devices that are only pulsed upwards: which device gets what, and refreshes."""

import pytest
import torch

import mho
from blocks import FREE
from mho.cells import new_tile
from mho.responses import Constant, SoftBounds
from mho.tile.tally import Tally

DW = 2.0**-7
PLAIN = mho.Device(FREE, dw_min=DW)
NOISY = mho.Device(SoftBounds(), dw_min=2e-3, sigma_c2c=0.3)
SHAPE = 4, 6
FULL = mho.Pulses(bl_management=False, update_management=False)


def tile_of(cell, w=None, pulses=None, **options):
    return new_tile(torch.zeros(SHAPE) if w is None else w, cell, None, pulses, 11, **options)


def weights():
    return torch.linspace(-0.4, 0.4, 24).reshape(SHAPE)


def factors(samples=5):
    g = torch.Generator().manual_seed(0)
    return torch.randn(samples, 6, generator=g), torch.randn(samples, 4, generator=g)


def test_positive_pulses_go_to_plus_and_negative_ones_to_minus():
    """Every line fires in all 31 slots: each cell gets 31 pulses, all in one direction."""
    tile = tile_of(mho.OneSided(PLAIN), torch.zeros(2, 3), FULL, count_cells=True)
    x, d = torch.tensor([1.0, -1.0, 0.0]), torch.tensor([1.0, -1.0])
    info = tile.update(x, d, 31 * DW)
    up = 31 * DW * torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    down = 31 * DW * torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert torch.equal(tile.plus.w, up)
    assert torch.equal(tile.minus.w, down)
    assert torch.equal(tile.w, up - down)
    assert info[:2] == tile.pulses_sent == (4 * 31, 0)
    assert tile.plus.pulses_sent == tile.minus.pulses_sent == (2 * 31, 0)
    assert tile.counts.sum(dim=(1, 2)).tolist() == [4 * 31, 0]
    tile.update(x, d, -31 * DW)
    assert torch.equal(tile.w, torch.zeros(2, 3))
    assert torch.equal(tile.plus.w, up + down)


@pytest.mark.parametrize("lines", ["all", "column", "row"])
@pytest.mark.parametrize(
    "pulses", [mho.Pulses(), mho.Pulses(rounding="stochastic")], ids=["trains", "rounded"]
)
def test_both_devices_see_the_bit_lines_of_one_tile(pulses, lines):
    """A tile of one device with this key counts the coincidences of each direction."""
    x, d = factors(3 if lines == "all" else 1)
    if lines == "column":
        x[:, [0, 1, 3, 4, 5]] = 0
    if lines == "row":
        d[:, :3] = 0
    pair, single = (tile_of(cell, pulses=pulses, count_cells=True) for cell in (mho.OneSided(PLAIN), PLAIN))
    for lr in (0.05, -0.02, 0.0, 2.0):
        sent, expected = pair.update(x, d, lr), single.update(x, d, lr)
        assert sent == (expected.up + expected.down, 0, expected.clipped, expected.lines)
    assert torch.equal(pair.plus.counts[0], single.counts[0])
    assert torch.equal(pair.minus.counts[0], single.counts[1])
    assert not pair.plus.counts[1].any() and not pair.minus.counts[1].any()
    assert torch.equal(pair.w, single.w)
    assert pair.tally[3:5].tolist() == single.tally[3:5].tolist()
    assert single.tally[3] > 0


def test_a_cell_without_pulses_does_not_move():
    """Additive noise belongs to pulses; a pulse in the other direction is none for this device."""
    tile = tile_of(mho.OneSided(NOISY), count_cells=True)
    tile.update(*factors(2), 0.02)
    for part in (tile.plus, tile.minus):
        still = part.counts[0] == 0
        assert still.any() and not still.all()
        assert torch.equal(part.w != 0, ~still)
    rise = mho.Tile(torch.zeros(SHAPE), NOISY, key=tile.plus.key)
    rise.pulse(tile.plus.counts[0])
    assert torch.equal(rise.w, tile.plus.w)


def test_programming_splits_by_sign():
    tile = tile_of(mho.OneSided(NOISY.replace(reference_mean=0.1)), weights())
    for n, w in enumerate((weights(), weights(), -2 * weights().flip(0))):
        if n > 0:
            tile.program(w)
        torch.testing.assert_close(tile.plus.w, w.clamp(min=0), rtol=0, atol=1e-7)
        torch.testing.assert_close(tile.minus.w, -w.clamp(max=0), rtol=0, atol=1e-7)
        torch.testing.assert_close(tile.w, w, rtol=0, atol=2e-7)


@pytest.mark.parametrize("per_sample", [False, True])
def test_expected_updates_of_pairs(per_sample):
    """Each device rises by its share of lr d x^T, times q_up = 1 - w."""
    device = mho.Device(SoftBounds(), dw_min=0.01)
    tile = tile_of(mho.OneSided(device), weights(), mho.Expected(per_sample=per_sample))
    plus, minus = tile.plus.w.clone(), tile.minus.w.clone()
    x, d = factors()
    changes = [torch.outer(b, a) for a, b in zip(x, d, strict=True)] if per_sample else [d.mT @ x]
    for dw in changes:
        plus += (0.05 * dw).clamp(min=0) * (1 - plus)
        minus += (-0.05 * dw).clamp(min=0) * (1 - minus)
    tile.update(x, d, 0.05)
    torch.testing.assert_close(tile.plus.w, plus)
    torch.testing.assert_close(tile.minus.w, minus)
    exact = tile_of(mho.OneSided(device), weights(), mho.Exact())
    exact.update(x, d, 0.05)
    torch.testing.assert_close(exact.w, weights() + 0.05 * d.mT @ x)


# Refreshes.

PAIRS = [(0.8, 0.4), (0.6, 0.3), (0.3, 0.8), (0.8, 0.2), (0.2, 0.9)]
"""(g+, g-), aihwkit's own test and two more; the thresholds are 0.75 and 0.25."""


def full_pairs(device, io=None, **fields):
    tile = new_tile(torch.zeros(1, 5), mho.OneSided(device, **fields), io, None, 11)
    for part, values in zip((tile.plus, tile.minus), zip(*PAIRS, strict=True), strict=True):
        part.program(torch.tensor([values]))
    return tile


def test_a_refresh_rewrites_the_difference_of_full_pairs():
    tile = full_pairs(mho.Device(Constant(), dw_min=0.01))
    before = tile.w.clone()
    assert tile.refresh_pairs() == 2
    torch.testing.assert_close(tile.plus.w, torch.tensor([[0.4, 0.6, 0.0, 0.8, 0.2]]))
    torch.testing.assert_close(tile.minus.w, torch.tensor([[0.0, 0.3, 0.5, 0.2, 0.9]]))
    torch.testing.assert_close(tile.w, before)
    assert tile.plus.pulses_sent == (40, 0)
    assert tile.minus.pulses_sent == (50, 0)
    assert tile.tally[Tally.READS] == 10
    assert tile.refresh_pairs() == 0


def test_thresholds_are_relative_to_the_bound():
    assert full_pairs(mho.Device(Constant(tau_max=2.0))).refresh_pairs() == 0
    assert full_pairs(mho.Device(Constant(tau_max=0.95)), upper=0.9, lower=0.2).refresh_pairs() == 1
    assert full_pairs(mho.Device(FREE)).refresh_pairs() == 0


def test_a_refresh_counts_pulses_by_the_nominal_law():
    """From 0 to w a device with q_up = 1 - w needs -ln(1 - w) / dw_min pulses: 51.08 and 69.31."""
    tile = full_pairs(mho.Device(SoftBounds(), dw_min=0.01))
    assert tile.refresh_pairs() == 2
    assert (tile.plus.pulses_sent, tile.minus.pulses_sent) == ((51, 0), (69, 0))
    assert tile.plus.w[0, 0].item() == pytest.approx(1 - 0.99**51)
    assert tile.minus.w[0, 2].item() == pytest.approx(1 - 0.99**69)
    stronger = full_pairs(mho.Device(SoftBounds(), dw_min=0.01, up_down=-0.5))
    stronger.refresh_pairs()
    assert stronger.plus.pulses_sent == (102, 0)


def test_a_refresh_begins_where_resets_lead():
    retention = mho.Retention(reset=0.1, reset_noise=0.0)
    tile = full_pairs(mho.Device(Constant(), dw_min=0.01, retention=retention))
    tile.refresh_pairs()
    torch.testing.assert_close(tile.plus.w[0, 0], torch.tensor(0.5))
    torch.testing.assert_close(tile.minus.w[0, 0], torch.tensor(0.1))
    soft = full_pairs(mho.Device(SoftBounds(), dw_min=0.01, retention=retention))
    soft.refresh_pairs()
    assert soft.plus.pulses_sent == (59, 0), "100 ln(0.9 / 0.5)"


def test_a_refresh_reads_through_the_converters():
    coarse = mho.IO(out_res=0.5, out_bound=1.0, sigma_out=0.0, inp_res=0)
    tile = full_pairs(mho.Device(Constant(), dw_min=0.01), {"transfer": coarse})
    seen = torch.maximum(tile.plus.read(), tile.minus.read())
    assert not torch.equal(seen, torch.maximum(tile.plus.w, tile.minus.w))
    expected = (seen > 0.75) & (torch.minimum(tile.plus.read(), tile.minus.read()) > 0.25)
    assert tile.refresh_pairs() == expected.sum()


def test_a_refresh_is_due_every_so_many_updates():
    tile = full_pairs(mho.Device(Constant(), dw_min=0.01), refresh_every=2)
    tile.update(torch.zeros(5), torch.zeros(1), 0.1)
    assert tile.plus.w[0, 0].item() == pytest.approx(0.8)
    tile.pulse(torch.tensor([1.0]), column=1)
    assert tile.plus.w[0, :2].tolist() == pytest.approx([0.4, 0.61])


def test_a_refresh_never_asks_for_more_than_a_device_can_hold():
    slow = mho.Device(mho.responses.Exponential(tau=0.0095, gamma_res=0.0922), dw_min=1.15e-5)
    io = mho.IO(out_res=0.00148, sigma_out=0.462)
    tile = new_tile(torch.zeros(4, 4), mho.OneSided(slow, refresh_every=1, upper=0.97, lower=0.24), io, key=1)
    tile.update(torch.ones(4), torch.zeros(4), 0.1)
    assert 0 < sum(tile.pulses_sent) <= 16 * 8 * 0.0095 / 1.15e-5
