"""Write noise and stuck cells: what the network sees of a cell, and cells that no pulse moves."""

import numpy as np
import pytest
import torch

import mho
from chance import assert_mean, assert_normal
from mho.calibration import symmetric_point
from mho.kernels import oracle
from mho.numerics.rng import Stream

DW = 2e-3
NOISY = mho.Device(dw_min=DW, sigma_c2c=0.3, write_noise=5.0, spread={"gain": 0.3})
N_OUT, N_IN = 11, 29


def made(device=NOISY, shape=(N_OUT, N_IN), key=42, **options):
    g = torch.Generator().manual_seed(1)
    return mho.Tile(0.3 * torch.randn(shape, generator=g), device, key=key, **options)


def factors(samples=4, n_in=N_IN, n_out=N_OUT):
    g = torch.Generator().manual_seed(0)
    return torch.randn(samples, n_in, generator=g), 0.1 * torch.randn(samples, n_out, generator=g)


def consistent(tile):
    torch.testing.assert_close(tile.w, tile.cells - tile.reference + tile.noise, rtol=0, atol=3e-7)


@pytest.mark.parametrize(
    "pulses", [mho.Pulses(), mho.Pulses(aggregate=2), mho.Expected(), mho.Exact()], ids=str
)
@pytest.mark.parametrize("kind", ["update", "one column", "pulse", "column", "row"])
def test_noise_is_drawn_for_the_cells_that_change(pulses, kind):
    tile = made(NOISY.replace(reference_std=0.1), pulses=pulses)
    sigma = np.float32(5.0 * DW)
    for event in range(1, 3):
        before, noise = tile.cells.clone(), tile.noise.numpy().copy()
        if kind == "update":
            tile.update(*factors(), 0.02)
        elif kind == "one column":
            tile.update(
                torch.eye(N_IN)[3], torch.randn(N_OUT, generator=torch.Generator().manual_seed(3)), 0.01
            )
        else:
            place = {"pulse": {}, "column": {"column": 2}, "row": {"row": 4}}[kind]
            shape = {"pulse": (N_OUT, N_IN), "column": (N_OUT,), "row": (N_IN,)}[kind]
            tile.pulse(torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(event)), **place)
        changed = tile.cells != before
        assert changed.any()
        assert kind not in ("one column", "column") or changed.sum() <= N_OUT
        oracle.rewritten(noise, before.numpy(), tile.cells.numpy(), sigma, tile.key, event)
        np.testing.assert_array_equal(tile.noise.numpy(), noise)
        consistent(tile)
        shown = tile.w.clone()
        tile.refresh()
        assert torch.equal(tile.w, shown)
    assert tile.events[Stream.WRITE] == 3


def test_hidden_weights_are_those_without_write_noise():
    noisy, quiet = made(), made(NOISY.replace(write_noise=0.0))
    for tile in (noisy, quiet):
        tile.update(*factors(), 0.05)
    assert torch.equal(noisy.cells, quiet.cells)
    assert "noise" not in quiet.state_dict()
    assert not torch.equal(noisy.w, quiet.w)


def test_size_of_the_noise():
    tile = made(shape=(200, 200))
    for change in (
        lambda: None,
        lambda: tile.program(torch.zeros(200, 200)),
        lambda: tile.pulse(torch.ones(200, 200)),
    ):
        last = tile.noise.clone()
        change()
        xi = (tile.w - tile.cells) / (5.0 * DW)
        assert_mean(xi.flatten() ** 2, 1.0, "variance")
        assert_normal(xi, "write noise")
        if not torch.equal(last, tile.noise):
            assert_mean((xi * last / (5.0 * DW)).flatten(), 0.0, "covariance with the noise before")


def test_noise_does_not_depend_on_threads_or_on_what_else_changed():
    device, before, results = NOISY, mho.get_threads(), []
    x, d = factors(16, 130, 70)
    try:
        for threads in (1, 2):
            mho.set_threads(threads)
            tile = made(device, (70, 130))
            tile.update(x, d, 0.1)
            results.append(tile.w.clone())
    finally:
        mho.set_threads(before)
    assert torch.equal(*results)
    one, all_ = made(shape=(70, 130)), made(shape=(70, 130))
    one.pulse(torch.eye(70, 130))
    all_.pulse(torch.ones(70, 130))
    assert torch.equal(one.noise.diagonal(), all_.noise.diagonal())


def test_the_noise_is_state():
    tile, other = made(), made(key=42)
    tile.update(*factors(), 0.05)
    other.load_state_dict(tile.state_dict())
    assert torch.equal(other.w, tile.w)
    for t in (tile, other):
        t.update(*factors(), 0.05)
    assert torch.equal(other.w, tile.w)


def test_a_reference_can_be_subtracted():
    tile = made()
    before, offset = tile.w.clone(), 0.01 * torch.ones(N_OUT, N_IN)
    tile.subtract(offset)
    torch.testing.assert_close(tile.w, before - offset, rtol=0, atol=3e-7)
    tile.update(*factors(), 0.05)
    consistent(tile)


def test_without_compiled_code_the_noise_is_the_same(monkeypatch):
    """What a GPU does."""
    from mho.tile import write_noise

    fast, slow = made(), made()
    before = [t.cells.clone() for t in (fast, slow)]
    for t in (fast, slow):
        t.cells[2:5, 3:9] += 0.01
        t.refresh()
    write_noise.rewrite(fast, before[0])
    monkeypatch.setattr(torch.Tensor, "is_cpu", False)
    write_noise.rewrite(slow, before[1])
    monkeypatch.undo()
    assert torch.equal(fast.noise, slow.noise)
    assert torch.equal(fast.w, slow.w)


@pytest.mark.parametrize("line", [{"column": 11}, {"row": 6}])
def test_the_noise_of_a_line_is_that_of_the_whole(line, monkeypatch):
    """Pulses for a line draw what pulses for all cells draw that are zero elsewhere; compiled or not."""
    [(kind, j)] = line.items()
    n = torch.zeros(N_OUT, N_IN)
    of_line = n[:, j] if kind == "column" else n[j]
    of_line[::2] = 3
    tiles = [made() for _ in range(3)]
    start = tiles[0].noise.clone()
    tiles[0].pulse(n)
    tiles[1].pulse(of_line, **line)
    with monkeypatch.context() as patch:
        from mho.tile import write_noise

        before = tiles[2].cells.clone()
        tiles[2].cells.copy_(tiles[0].cells)
        tiles[2].refresh()
        place = (slice(None), slice(j, j + 1)) if kind == "column" else (slice(j, j + 1), slice(None))
        patch.setattr(torch.Tensor, "is_cpu", False)
        write_noise.rewrite(tiles[2], before[place], (0, j) if kind == "column" else (j, 0))
    assert not torch.equal(tiles[0].noise, start)
    for tile in tiles[1:]:
        assert torch.equal(tile.noise, tiles[0].noise)
        assert torch.equal(tile.w, tiles[0].w)


# Stuck cells.


def test_stuck_cells():
    device = mho.Device(dw_min=DW, corrupt=0.1348, corrupt_range=0.2, spread={"gain": 0.3}, sigma_c2c=0.3)
    cells = device.draw((200, 200), 3)
    stuck = cells.gain == 0
    assert cells.gain_up is cells.gain_down
    assert_mean(stuck.float().flatten(), 0.1348, "share")
    assert torch.equal(cells.lower[stuck], cells.upper[stuck])
    assert_mean(cells.upper[stuck], 0.0, "mean")
    assert_mean(cells.upper[stuck] ** 2, 0.2**2 / 3, "variance")
    assert cells.upper[stuck].abs().max() <= 0.2
    whole = device.replace(corrupt=0.0).draw((200, 200), 3)
    assert torch.equal(cells.gain[~stuck], whole.gain[~stuck])
    tile = made(device, (200, 200), key=3)
    for change in (
        lambda: tile.program(torch.full((200, 200), 0.5)),
        lambda: tile.update(torch.ones(1, 200), torch.ones(1, 200), 0.1),
        lambda: tile.pulse(-torch.ones(200, 200)),
    ):
        change()
        assert torch.equal(tile.cells[stuck], cells.upper[stuck])


def test_stuck_cells_have_their_symmetric_point_at_0():
    device = mho.Device(corrupt=0.3, subtract_sp=True, up_down=0.2)
    for one in (device, device.replace(up_down=0.0, response=mho.responses.Linear(0.3))):
        cells = one.draw((20, 20), 1)
        stuck = cells.gain == 0
        assert (cells.reference[stuck] == 0).all()
        assert (cells.reference[~stuck] != 0).all()
        tile = made(one, (20, 20), key=1)
        torch.testing.assert_close(symmetric_point(tile), torch.zeros(20, 20), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"corrupt": 1.2}, "`Device(corrupt=1.2)`: corrupt must be between 0 and 1."),
        (
            {"write_noise": -1.0},
            "`Device(write_noise=-1.0)`: write_noise must be zero or positive. Fix: did you mean write_noise=1.0?",
        ),
    ],
)
def test_messages(fields, message):
    with pytest.raises(mho.MhoError) as failure:
        mho.Device(**fields)
    assert str(failure.value) == message
