"""Decay, diffusion, resets and drift against arithmetic, for every array of a layer."""

import copy
import io
import math

import pytest
import torch

import mho
from blocks import block_of, step
from chance import assert_mean, assert_normal
from mho import retention
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.numerics.draw import draw_normal
from mho.numerics.rng import Stream
from mho.responses import Constant, SoftBounds

WIDE = 100, 122
FREE = Constant(tau_max=100.0, tau_min=-100.0)


def tile_of(w, law=FREE, key=3, **fields):
    return mho.Tile(w, mho.Device(law, retention=mho.Retention(**fields)), key=key)


def changes(tile, steps=1):
    before = tile.w.clone()
    retention.age(tile, steps)
    return tile.w - before


# Decay.


@pytest.mark.parametrize("bias", [0.0, 0.25, -0.3])
@pytest.mark.parametrize("cell", [None, mho.Reference, mho.OneSided])
def test_every_array_of_a_layer_decays_to_its_reset(bias, cell):
    """w = (w0 - b) s^n + b in P and W, and in both devices of each where a cell has two."""
    device = mho.Device(FREE, retention=mho.Retention(lifetime=4.0, reset=bias), reference_mean=0.05)
    block = block_of(ResidualLearning(gamma=0.5), device if cell is None else cell(device))
    tiles = [part for part in block.state.modules() if isinstance(part, mho.Tile)]
    assert len(tiles) == (2 if cell is None else 4)
    start = [0.1 * k + torch.linspace(-0.3, 0.4, 6).reshape(2, 3) for k in range(len(tiles))]
    for tile, w in zip(tiles, start, strict=True):
        tile.program(w - 0.05)
    for n in (1, 2, 3):
        block.step(0.1)
        for tile, w in zip(tiles, start, strict=True):
            torch.testing.assert_close(tile.cells, (w - bias) * 0.75**n + bias)
            torch.testing.assert_close(tile.w, tile.cells - 0.05)
    torch.testing.assert_close(block.weight.data, block.state.W.w + 0.5 * block.state.P.w)
    for _ in range(80):
        block.step(0.1)
    for tile in tiles:
        torch.testing.assert_close(tile.cells, torch.full((2, 3), bias))


def test_it_ages_once_a_step_behind_the_update():
    device = mho.Device(FREE, dw_min=2.0**-7, retention=mho.Retention(lifetime=2.0))
    block = block_of(AnalogSGD(), device, pulses=mho.Exact())
    w = block.state.W.w.clone()
    x, d = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]]), torch.tensor([[0.5, -0.5], [1.0, 0.0]])
    step(block, x, d, lr=0.1)
    torch.testing.assert_close(block.weight.data, (w + 0.1 * d.mT @ x) / 2)


def test_lifetimes_and_resets_of_cells():
    fields = {"lifetime": 8.0, "lifetime_std": 0.5, "reset": 0.1, "reset_std": 0.2}
    w0 = torch.linspace(-0.5, 0.5, 12200).reshape(WIDE)
    tile = tile_of(w0, **fields)
    lifetime = 8 * (1 + 0.5 * draw_normal(WIDE, 3, "lifetime")).abs()
    bias = 0.1 + 0.2 * draw_normal(WIDE, 3, "reset")
    retention.age(tile)
    torch.testing.assert_close(tile.w, bias + (w0 - bias) * (1 - (1 / lifetime).clamp(max=1)))
    short = lifetime < 1
    assert short.any()
    torch.testing.assert_close(tile.w[short], bias[short])
    assert_mean((bias.flatten() - 0.1) ** 2, 0.04, "spread of the resets: added, not a factor")
    other = tile_of(w0, key=4, **fields)
    retention.age(other)
    assert not torch.equal(other.w, tile.w)


def test_several_steps_at_once():
    w0 = torch.linspace(-0.5, 0.5, 30).reshape(5, 6)
    fields = {"lifetime": 8.0, "lifetime_std": 0.1, "reset": -0.2}
    one, many = tile_of(w0, **fields), tile_of(w0, **fields)
    retention.age(one, 5)
    for _ in range(5):
        retention.age(many)
    torch.testing.assert_close(one.w, many.w)
    at_once = tile_of(w0, lifetime=1.0, reset=-0.2)
    retention.age(at_once, 3)
    torch.testing.assert_close(at_once.w, torch.full((5, 6), -0.2))


# Diffusion.


def test_diffusion_is_normal_and_anew_each_time():
    tile, other = (tile_of(torch.zeros(WIDE), key=key, diffusion=0.01) for key in (3, 4))
    first, second, elsewhere = changes(tile), changes(tile), changes(other)
    assert_normal((first / 0.01).double(), "one step")
    assert first.std() == pytest.approx(0.01, rel=0.1)
    for name, a, b in (("time", first, second), ("tile", first, elsewhere)):
        assert_mean((a * b).flatten(), 0.0, f"from {name} to {name}")
    assert tile.events[Stream.AGE] == 2


@pytest.mark.parametrize(("lifetime", "variance"), [(0.0, 3.0), (2.0, 1 + 1 / 4 + 1 / 16)])
def test_diffusion_of_several_steps(lifetime, variance):
    tile = tile_of(torch.zeros(WIDE), lifetime=lifetime, diffusion=0.01)
    assert_mean((changes(tile, 3) / 0.01).flatten() ** 2, variance, "variance")


def test_diffusion_of_cells_and_their_bounds():
    still = tile_of(torch.zeros(WIDE), diffusion=0.01, diffusion_std=0.0)
    tile = tile_of(torch.zeros(WIDE), diffusion=0.01, diffusion_std=0.3)
    factors = (1 + 0.3 * draw_normal(WIDE, 3, "diffusion")).abs()
    torch.testing.assert_close(changes(tile), changes(still) * factors)
    bounded = tile_of(torch.full(WIDE, 0.9), SoftBounds(tau_max=1.0), diffusion=1.0)
    retention.age(bounded)
    assert bounded.w.max() == 1.0
    assert bounded.w.min() == -1.0
    assert bounded.saturated() > 1000


# Resets and drift.


def test_resets():
    fields = {"reset": -0.2, "reset_noise": 0.05}
    tile = tile_of(torch.full(WIDE, 0.5), **fields)
    retention.reset(tile, 1)
    assert (tile.w[:, [0, *range(2, 122)]] == 0.5).all()
    assert (tile.w[:, 1] < 0.1).all()
    where = torch.zeros(WIDE, dtype=torch.bool)
    where[3, 4] = True
    again = tile_of(torch.full(WIDE, 0.5), **fields)
    retention.reset(again, where=where)
    assert torch.equal(again.w == 0.5, ~where)
    retention.reset(tile)
    z = (tile.w + 0.2) / 0.05
    assert_normal(z.double(), "noise of a reset")
    first = tile.w.clone()
    retention.reset(tile)
    assert_mean(((tile.w + 0.2) * (first + 0.2)).flatten(), 0.0, "noise of two resets")


def test_a_reset_leads_where_the_cells_want():
    tile = tile_of(torch.full(WIDE, 0.5), reset=0.1, reset_std=0.2, reset_noise=0.0)
    retention.reset(tile)
    assert torch.equal(tile.w, 0.1 + 0.2 * draw_normal(WIDE, 3, "reset"))
    bounded = tile_of(torch.full(WIDE, 0.5), SoftBounds(tau_min=-0.1), reset=-0.2)
    retention.reset(bounded)
    assert bounded.w.min() == -0.1
    ideal = mho.Tile(torch.full((2, 3), 0.5), mho.Device(reference_mean=0.25))
    retention.reset(ideal)
    assert torch.equal(ideal.w, torch.full((2, 3), -0.25))


def test_drift_is_a_power_law():
    w0 = torch.linspace(-0.5, 0.5, 30).reshape(5, 6)
    tile = mho.Tile(w0, mho.Device(FREE))
    law = retention.Drift(nu=0.1, t0=2.0)
    retention.drift(tile, 2.0, law)
    assert torch.equal(tile.w, w0)
    retention.drift(tile, 6.0, law)
    torch.testing.assert_close(tile.w, w0 * 3**-0.1)
    retention.drift(tile, 60.0, law.replace(t0=6.0))
    torch.testing.assert_close(tile.w, w0 * 30**-0.1)


def test_cells_drift_by_their_own_exponents():
    pair = mho.cells.new_tile(torch.ones(WIDE), mho.Reference(mho.Device(FREE)), key=3)
    pair.parts[1].program(torch.ones(WIDE))
    retention.drift(pair, 20.0, retention.Drift(nu=0.1, nu_std=0.3))
    for part in pair.parts:
        nu = 0.1 * (1 + 0.3 * draw_normal(WIDE, part.key, "drift")).abs()
        torch.testing.assert_close(part.w, 20**-nu)
    assert torch.equal(pair.w, pair.parts[0].w - pair.parts[1].w)


# What it costs, and what is kept of it.


def test_without_retention_nothing_happens():
    block = block_of(ResidualLearning())
    assert block._ageing == []
    tile = block.state.W
    before = tile.w.clone()
    retention.age(tile, 10)
    still = tile_of(before, reset=0.5, reset_std=0.1)
    retention.age(still)
    for kept in (tile, still):
        assert torch.equal(kept.w, before)
        assert kept.events[Stream.AGE] == 0


def trained(block, steps):
    for n in range(steps):
        x, d = torch.linspace(-1, 1, 3) + 0.1 * n, torch.tensor([0.3, -0.2])
        step(block, x, d)
    return block


def test_a_resumed_training_has_the_same_bits():
    fields = {
        "lifetime": 50.0,
        "lifetime_std": 0.3,
        "diffusion": 0.01,
        "diffusion_std": 0.3,
        "reset_std": 0.1,
    }
    device = mho.Device(FREE, dw_min=2.0**-7, retention=mho.Retention(**fields))

    def new():
        return block_of(ResidualLearning(), device)

    straight = trained(new(), 5)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    copied = copy.deepcopy(straight)
    file.seek(0)
    resumed = new()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    trained(straight, 4)
    for other in (trained(resumed, 4), trained(copied, 4)):
        for name, value in straight.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
    fresh = trained(block_of(ResidualLearning(), device, key=6), 9)
    assert not torch.equal(fresh.weight, straight.weight)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda t: mho.Retention(lifetime=0.5),
            "`Retention(lifetime=0.5)`: lifetime is 0 (no decay), or 1 step or more.",
        ),
        (
            lambda t: mho.Retention(diffusion=-1),
            "`Retention(diffusion=-1)`: diffusion must be zero or positive.",
        ),
        (
            lambda t: mho.Device(retention=3),
            "`Device(retention=...)`: it is of type int. It must be an mho.Retention or None.",
        ),
        (lambda t: retention.age(t, 0), "`age(steps=0)`: steps must be an integer of at least 1."),
        (lambda t: retention.reset(t, 9), "`reset(column=9)`: the tile has 3 columns, counted from 0."),
        (
            lambda t: retention.reset(t, where=torch.ones(3, 2)),
            "`reset(where=...)`: where is torch.float32 of shape (3, 2). It must be bool and of shape (out, in) = "
            "(2, 3).",
        ),
        (
            lambda t: retention.drift(t, -math.inf, retention.Drift(nu=0.1)),
            "`drift(t=-inf)`: t must be positive and finite.",
        ),
    ],
)
def test_errors(call, message):
    tile = mho.Tile(torch.zeros(2, 3), mho.Device())
    with pytest.raises(mho.MhoError) as failure:
        call(tile)
    assert str(failure.value).startswith(message)
