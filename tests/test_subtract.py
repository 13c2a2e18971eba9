"""`Tile.subtract`: hidden weights stay, apparent ones move, and all other verbs see the new reference."""

import copy
import pickle

import pytest
import torch

import mho

SHAPE = 5, 3
DEVICES = {
    "none": mho.Device(sigma_c2c=0.1, dw_min=0.01),
    "drawn": mho.Device(sigma_c2c=0.1, dw_min=0.01, reference_std=0.2),
}


@pytest.fixture(params=DEVICES.values(), ids=DEVICES)
def tile(request):
    return made(request.param)


def made(device, key=3):
    g = torch.Generator().manual_seed(1)
    return mho.Tile(0.1 * torch.randn(*SHAPE, generator=g), device, key=key)


def offset(seed=2):
    return 0.1 * torch.randn(*SHAPE, generator=torch.Generator().manual_seed(seed))


def update(tile):
    tile.update(torch.ones(4, 3), torch.ones(4, 5), 0.02)


def test_the_apparent_weight_moves_and_the_hidden_one_stays(tile):
    update(tile)  # the kernels are made, with their addresses
    before, hidden = tile.w.clone(), tile.cells.clone()
    tile.touched.zero_()
    tile.subtract(offset())
    assert torch.equal(tile.cells, hidden)
    torch.testing.assert_close(tile.w, before - offset())
    assert tile.touched.all()
    tile.subtract(offset(7).double())
    torch.testing.assert_close(tile.w, before - offset() - offset(7))


def test_other_verbs_see_the_reference(tile):
    update(tile)
    tile.subtract(offset())
    for change in (
        update,
        lambda t: t.pulse(3 * torch.ones(5), column=1),
        lambda t: t.pulse(torch.ones(SHAPE)),
    ):
        before = tile.cells.clone()
        change(tile)
        assert (tile.cells != before).any()
        torch.testing.assert_close(tile.w, tile.cells - tile.reference, rtol=0, atol=0)
    torch.testing.assert_close(tile.read(), tile.w)
    torch.testing.assert_close(tile.forward(torch.eye(3)), tile.w.mT)
    tile.program(offset(9))
    torch.testing.assert_close(tile.w, offset(9))
    assert tile.pulses_sent[0] > 0 and tile.pulses_sent[1] == 0


def test_pulses_do_not_depend_on_the_reference():
    one, other = made(DEVICES["none"]), made(DEVICES["none"])
    other.subtract(offset())
    update(one)
    update(other)
    assert torch.equal(one.cells, other.cells)


def test_states_and_copies_keep_the_reference(tile):
    tile.subtract(offset())
    update(tile)
    other = made(tile.device, key=8)
    other.subtract(torch.zeros(SHAPE))
    update(other)
    other.load_state_dict(tile.state_dict())
    other.key = tile.key
    twins = other, copy.deepcopy(tile), pickle.loads(pickle.dumps(tile))
    for twin in twins:
        assert torch.equal(twin.w, tile.w) and torch.equal(twin.reference, tile.reference)
    other._kernels = None  # they know the old key
    update(tile)
    for twin in twins:
        update(twin)
        assert torch.equal(twin.w, tile.w)


@pytest.mark.parametrize("bad", [torch.zeros(3, 5), torch.full(SHAPE, torch.nan)], ids=["shape", "nan"])
def test_a_reference_that_does_not_fit_changes_nothing(tile, bad):
    before = tile.w.clone()
    with pytest.raises(mho.MhoError, match=r"`Tile.subtract`: reference has shape .* finite and of shape"):
        tile.subtract(bad)
    assert torch.equal(tile.w, before)
