"""`Tile.pulse`: the numbers of pulses that were asked for, as the oracle sends them, on the cells they are for."""

import math

import numpy as np
import pytest
import torch

import mho
import mho.testing
from mho.kernels import oracle

SHAPE = 11, 19
SOFT = mho.Device(mho.responses.SoftBounds(), dw_min=2e-3, sigma_c2c=0.3, spread={"gain": 0.3})
KINDS = {"matrix": {}, "column": {"column": -3}, "row": {"row": 4}, "last row": {"row": -1}}


def devices():
    for law in mho.testing.laws():
        for c2c in ("additive", "multiplicative"):
            tau = {n: 0.1 for n in mho.base.records.float_fields(law) if n.startswith("tau")}
            yield mho.Device(law(), dw_min=0.01, sigma_c2c=0.3, c2c=c2c, spread={"gain": 0.3} | tau)
    yield mho.Device(dw_min=2e-3)
    yield mho.Device(dw_min=2e-3, reference_std=0.1)
    yield mho.Device(dw_min=2e-3, sigma_c2c=0.3, up_down=0.3, up_down_std=0.2)


def made(device, n_in=SHAPE[1], **options):
    g = torch.Generator().manual_seed(1)
    return mho.Tile(0.3 * torch.randn(SHAPE[0], n_in, generator=g), device, key=42, **options)


def rectangle(kind):
    """(row, column, rows, columns) of the cells that a call is for."""
    if "column" in kind:
        return 0, kind["column"] % SHAPE[1], SHAPE[0], 1
    return (kind["row"] % SHAPE[0], 0, 1, SHAPE[1]) if kind else (0, 0, *SHAPE)


def numbers(kind, seed=0, most=12):
    g = torch.Generator().manual_seed(seed)
    n = torch.randint(-most, most + 1, rectangle(kind)[2:], generator=g).float()
    n[torch.rand(n.shape, generator=g) < 0.3] = 0.0
    n[0] = 0.0 if len(n) > 1 else n[0]
    return n


@pytest.fixture(params=[1, 1 << 30], ids=["marks", "lists"])
def one_way_of_keeping_columns(request, monkeypatch):
    """All columns that get a pulse are kept as marks, or all as lists."""
    monkeypatch.setattr("mho.kernels.cpu.update.CpuKernels._list_below", lambda self, n_in: request.param)


@pytest.mark.usefixtures("one_way_of_keeping_columns")
@pytest.mark.parametrize("device", [*devices()], ids=lambda d: f"{type(d.response).__name__}-{d.c2c}")
def test_pulses_equal_the_oracle(device):
    tile = made(device, count_cells=True)
    cells, sent = tile.cells.numpy().copy(), np.zeros((2, *SHAPE), np.int64)
    for event, kind in enumerate([*KINDS.values(), {}]):
        row, column, rows, columns = rectangle(kind)
        n = numbers(kind, event)
        tile.touched.zero_()
        info = tile.pulse(n if not kind else n.flatten(), **kind)
        module, scal = tile._kernels.module, tile._kernels.scal
        args = module, cells, tile.planes.numpy(), scal, n.numpy(), row, column, 42, event
        assert (info.up, info.down, info.clipped, info.lines) == (*oracle.counted(*args), 0, 0)
        np.testing.assert_array_equal(tile.cells.numpy(), cells)
        torch.testing.assert_close(
            tile.w, tile.cells - tile.reference if tile.reference.numel() else tile.cells
        )
        sent[0, row : row + rows, column : column + columns] += n.clamp(min=0).numpy().astype(int)
        sent[1, row : row + rows, column : column + columns] -= n.clamp(max=0).numpy().astype(int)
        np.testing.assert_array_equal(tile.counts.numpy(), sent)
        marks = torch.zeros(sum(SHAPE), dtype=torch.uint8)
        if "column" in kind:
            marks[SHAPE[0] + column] = 1
        else:
            marks[row : row + rows] = n.any(1)
        assert torch.equal(tile.touched, marks), kind
    assert tile.pulses_sent == tuple(sent.sum((1, 2)))


@pytest.mark.parametrize("schedule", ["same", "mixed"])
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_threads_do_not_show(schedule, sigma, monkeypatch):
    monkeypatch.setattr("mho.kernels.cpu.update._WORTH_PULSES", 0)
    device = mho.Device(dw_min=2e-3, sigma_c2c=sigma)
    n = torch.ones(SHAPE) if schedule == "same" else numbers({}, most=1)
    results, before = [], mho.get_threads()
    try:
        for threads in (1, 2, 4):
            mho.set_threads(threads)
            tile = made(device)
            for sign in (1, -1, 1):
                tile.pulse(sign * n)
            results.append(tile.w.clone())
    finally:
        mho.set_threads(before)
    assert all(torch.equal(results[0], other) for other in results[1:])
    cells = made(device).cells.numpy().copy()
    for event, sign in enumerate((1, -1, 1)):
        module, scal = tile._kernels.module, tile._kernels.scal
        args = module, cells, tile.planes.numpy(), scal, (sign * n).numpy(), 0, 0, 42, event
        oracle.counted(*args)
    np.testing.assert_array_equal(results[0].numpy(), cells)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float16, torch.float64])
def test_any_type_of_number_will_do(dtype):
    one, other = made(SOFT), made(SOFT)
    n = numbers({})
    wide = torch.zeros(SHAPE[0], 2 * SHAPE[1], dtype=dtype)
    wide[:, ::2] = n.to(dtype)
    assert one.pulse(n) == other.pulse(wide[:, ::2])
    assert torch.equal(one.w, other.w)


def test_pulses_and_updates_draw_their_noise_from_the_same_events():
    tile = made(SOFT)
    tile.pulse(torch.zeros(SHAPE))
    tile.pulse(numbers({}))
    assert tile.events[mho.numerics.rng.Stream.C2C] == 2
    assert tile.granularity == 2e-3


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("pulses", [mho.Expected(), mho.Exact()], ids=lambda p: type(p).__name__)
def test_schemes_without_pulses_change_by_what_pulses_do_on_average(pulses, kind):
    device = mho.Device(dw_min=2e-3, spread={"gain": 0.3, "tau_max": 0.1}, reference_std=0.1)
    tile, row, column = made(device, pulses=pulses), *rectangle(kind)[:2]
    n, before, dw = numbers(kind), tile.cells.clone(), torch.zeros(SHAPE)
    dw[row : row + len(n), column : column + n.shape[1]] = device.dw_min * n
    assert tile.pulse(n if not kind else n.flatten(), **kind) == mho.UpdateInfo(0, 0, 0, 0)
    p = tile.parameters_of_cells
    law = device.response.with_fields(**p.fields)
    change = dw if pulses == mho.Exact() else p.gain * (dw * law.F(before) - dw.abs() * law.G(before))
    assert change.abs().sum() > 0.01
    torch.testing.assert_close(tile.cells, before + change)
    torch.testing.assert_close(tile.w, tile.cells - tile.reference)
    assert tile.pulses_sent == (0, 0)


def spoilt(value, dtype=torch.float32):
    n = torch.ones(SHAPE, dtype=dtype)
    n[3, 2] = value
    return n


@pytest.mark.parametrize("pulses", [mho.Pulses(), mho.Expected()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize(
    ("n", "kind", "message"),
    [
        (spoilt(math.nan), {}, "n holds nan. They must be whole numbers, less than 2^24 = 16777216 in size."),
        (spoilt(-math.inf), {}, "n holds -inf. They must be whole"),
        (spoilt(0.5), {}, "n holds 0.5. They must be whole"),
        (spoilt(1 + 1e-12, torch.float64), {}, "n holds 1.000000000001. They must be whole"),
        (spoilt(1 << 24), {}, "n holds 16777216.0. They must be"),
        (spoilt((1 << 24) + 1, torch.int64), {}, "n holds 16777217.0. They must be"),
        (spoilt(1, torch.complex64), {}, "n has dtype torch.complex64. Its numbers must be real."),
        (torch.ones(19), {}, "n has shape (19,). n must be (out, in), and this tile is (out=11, in=19)."),
        (torch.ones(19), {"column": 0}, "n has shape (19,). n must be (out,), and this"),
        (torch.ones(11, 1), {"column": 0}, "n has shape (11, 1). n must be (out,), and this"),
        (torch.ones(11), {"row": 0}, "n has shape (11,). n must be (in,), and this"),
        (torch.ones(11), {"column": 19}, "there is no column 19. This tile has 19, counted from 0."),
        (torch.ones(19), {"row": -12}, "there is no row -12. This tile has 11, counted from 0."),
        (torch.ones(19), {"row": 0, "column": 0}, "both a column and a row are given. It pulses one line."),
        ([1.0], {}, "n is of type list. It must be a tensor."),
    ],
)
def test_a_rejected_call_changes_and_counts_nothing(pulses, n, kind, message):
    tile = made(SOFT, pulses=pulses, count_cells=True)
    before = {name: value.clone() for name, value in tile.state_dict().items()}
    with pytest.raises(mho.MhoError) as failure:
        tile.pulse(n, **kind)
    assert str(failure.value).startswith(f"`Tile.pulse`: {message}")
    for name, value in tile.state_dict().items():
        assert torch.equal(value, before[name]), name
