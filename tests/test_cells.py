"""Cells of several devices: what each device gets, and that a tile of them does all that a tile does."""

import copy
import io
import itertools
import json
import pickle

import pytest
import torch

import mho
import mho.testing
from blocks import FREE, batches, block_of, step
from mho import algorithms
from mho.base import config
from mho.calibration import zero_shift
from mho.cells import ComposedTile, new_tile
from mho.diagnostics.advice import advise
from mho.responses import SoftBounds

DW = 2.0**-7
PLAIN = mho.Device(FREE, dw_min=DW)
NOISY = mho.Device(SoftBounds(), dw_min=2e-3, sigma_c2c=0.3)
SHAPE = 4, 6
CELLS = {
    "one-sided": mho.OneSided(NOISY, refresh_every=3),
    "vector": mho.Vector((NOISY, mho.OneSided(NOISY)), policy="sequential"),
    "random": mho.Vector((NOISY, NOISY, NOISY), policy="random"),
    "reference": mho.Reference(NOISY),
}


def tile_of(cell, w=None, pulses=None, **options):
    return new_tile(torch.zeros(SHAPE) if w is None else w, cell, None, pulses, 11, **options)


def weights(shape=SHAPE):
    return torch.linspace(-0.4, 0.4, shape[0] * shape[1]).reshape(shape)


def factors(samples=5, shape=SHAPE, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(samples, shape[1], generator=g), torch.randn(samples, shape[0], generator=g)


# Vectors and references.


def test_a_vector_is_a_weighted_sum():
    """W = (w0 + w1 + w2) / 3, and a weight is programmed to all; W = w0 - 0.5 w1 by 1 and -1 of W / 1.5."""
    mean = tile_of(mho.Vector((PLAIN,) * 3), weights())
    for part in mean.parts:
        torch.testing.assert_close(part.w, weights())
    mean.parts[1].program(weights() + 0.3)
    torch.testing.assert_close(mean.w, weights() + 0.1)
    pair = tile_of(mho.Vector((PLAIN, PLAIN), (1.0, -0.5)), weights())
    torch.testing.assert_close(pair.parts[0].w, weights() / 1.5)
    torch.testing.assert_close(pair.parts[1].w, -weights() / 1.5)
    pair.program(-weights())
    torch.testing.assert_close(pair.w, -weights())


@pytest.mark.parametrize(
    ("policy", "turns"),
    [("all", [(0, 1, 2)] * 4), ("first", [(0,)] * 4), ("sequential", [(0,), (1,), (2,), (0,)])],
)
def test_policies_choose_who_gets_an_update(policy, turns):
    """gammas 0.5, -0.25, 1: the second device goes the other way, and the sum where it was asked to."""
    gammas = 0.5, -0.25, 1.0
    tile = tile_of(mho.Vector((PLAIN,) * 3, gammas, policy), pulses=mho.Exact())
    expected = [torch.zeros(SHAPE) for _ in gammas]
    x, d = factors()
    n = torch.arange(-12.0, 12.0).reshape(SHAPE)
    for k, turn in enumerate(turns):
        change = 0.1 * d.mT @ x if k % 2 == 0 else DW * n
        tile.update(x, d, 0.1) if k % 2 == 0 else tile.pulse(n)
        for i in turn:
            expected[i] += change if gammas[i] > 0 else -change
        for part, w in zip(tile.parts, expected, strict=True):
            torch.testing.assert_close(part.w, w)
        torch.testing.assert_close(
            tile.w, sum(g * w for g, w in zip(gammas, expected, strict=True)), rtol=1e-5, atol=1e-6
        )


def test_a_random_policy_is_fair_and_a_function_of_the_key():
    def run(key):
        tile = new_tile(
            torch.zeros(1, 1), mho.Vector((PLAIN,) * 2, policy="random"), pulses=mho.Exact(), key=key
        )
        turns = []
        for _ in range(400):
            before = tile.parts[0].w.item()
            tile.pulse(torch.ones(1, 1))
            turns.append(tile.parts[0].w.item() > before)
        return turns

    turns = run(3)
    assert turns == run(3) != run(4)
    assert abs(sum(turns) - 200) < 5 * 10
    assert abs(sum(a == b for a, b in itertools.pairwise(turns)) - 199.5) < 5 * 10


@pytest.mark.parametrize("name", CELLS)
def test_parts_of_a_cell_are_those_of_its_tile(name):
    """By name and factor; the weight is the sum of the leaves."""
    cell = CELLS[name]
    tile, parts, leaves = tile_of(cell, weights()), cell.parts(), cell.leaves()
    assert [part.name for part in parts] == [child for child, _ in tile.named_children()]
    assert tuple(part.factor for part in parts) == tile.weights
    assert [leaf.device for leaf in leaves] == [array.device for array in tile.leaves()]
    total = sum(leaf.factor * tile.get_submodule(leaf.name).w for leaf in leaves)
    torch.testing.assert_close(total, tile.w)


def test_granularity_is_what_a_pulse_does():
    fine, coarse = mho.Device(FREE, dw_min=0.01), mho.Device(FREE, dw_min=0.04)
    for policy, step_size in (("all", 0.015), ("first", 0.005), ("sequential", 0.0075), ("random", 0.0075)):
        cell = mho.Vector((fine, coarse), (0.5, -0.25), policy)
        assert tile_of(cell).granularity == pytest.approx(step_size)
    assert tile_of(mho.Vector((fine, fine))).granularity == pytest.approx(0.01)
    assert (
        tile_of(mho.OneSided(coarse)).granularity == tile_of(mho.Reference(coarse, fine)).granularity == 0.04
    )


@pytest.mark.parametrize(("gamma", "expected"), [(0.0, 0.52), (0.1, 0.546)])
def test_composition_of_a_transfer_cell_with_references(gamma, expected):
    """W = gamma (A - A_ref) + (C - C_ref), with aihwkit's numbers .47, .21, .64, .12."""
    block = block_of(algorithms.ResidualLearning(gamma=gamma), mho.Reference(PLAIN))
    parts = *block.state.P.parts, *block.state.W.parts
    for part, value in zip(parts, (0.47, 0.21, 0.64, 0.12), strict=True):
        part.program(torch.full((2, 3), value))
    block.refresh()
    torch.testing.assert_close(block.weight.data, torch.full((2, 3), expected))


def test_only_the_first_of_a_reference_pair_is_written():
    tile = tile_of(mho.Reference(NOISY, NOISY.replace(dw_min=0.1)), weights())
    assert not tile.parts[1].w.any()
    tile.parts[1].program(torch.full(SHAPE, 0.2))
    torch.testing.assert_close(tile.w, weights() - 0.2)
    tile.update(*factors(), 0.01)
    tile.program(weights())
    torch.testing.assert_close(tile.w, weights())
    assert torch.equal(tile.parts[1].w, torch.full(SHAPE, 0.2))
    assert tile.parts[1].pulses_sent == (0, 0)
    assert (tile.granularity, tile.parts[1].granularity) == (2e-3, 0.1)


# What all of them do.


@pytest.mark.parametrize("name", CELLS)
def test_the_sum_is_up_to_date_after_every_verb(name):
    """Whole or on the lines that changed: the same bits as all over again."""
    tile = tile_of(CELLS[name], weights())
    assert isinstance(tile, ComposedTile)
    assert tile.shape == SHAPE
    seen = [tile.w]
    x, d = factors()
    one = torch.zeros(6)
    one[2] = 1.0
    for change in (
        lambda: tile.update(x, d, 0.01),
        lambda: tile.update(one, d[0], 0.05),
        lambda: tile.pulse(torch.arange(-2.0, 2.0), column=-1),
        lambda: tile.pulse(torch.arange(-3, 3), row=1),
        lambda: tile.parts[0].pulse(torch.ones(6), row=0),
        lambda: tile.subtract(0.1 * weights()),
        lambda: tile.program(-weights()),
        lambda: mho.retention.reset(tile),
    ):
        before = tile.w.clone()
        tile.touched.zero_()
        change()
        total = tile.weights[0] * tile.parts[0].w
        for weight, part in zip(tile.weights[1:], tile.parts[1:], strict=True):
            total = total + weight * part.w
        assert torch.equal(tile.w, total)
        marks = tile.touched.bool()
        assert not (tile.w != before)[~marks[:4]][:, ~marks[4:]].any()
        seen.append(tile.w)
    assert len({w.data_ptr() for w in seen}) == 1, "its memory stays: a layer's weight may be this tensor"
    tile.touched.zero_()
    tile.pulse(torch.ones(4), column=2)
    assert tile.touched.nonzero().tolist() == [[4 + 2]]


@pytest.mark.parametrize("name", ["one-sided", "random", "reference"])
def test_devices_of_one_cell_are_drawn_independently(name):
    device = NOISY.replace(spread={"gain": 0.3})
    fields = {"devices": (device,) * 3} if name == "random" else {"device": device}
    tile = tile_of(CELLS[name].replace(**fields))
    gains = [part.parameters_of_cells.gain for part in tile.parts]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(gains, 2))
    again = tile_of(CELLS[name].replace(**fields))
    assert torch.equal(gains[0], again.parts[0].parameters_of_cells.gain)


def test_products_and_reads_are_those_of_the_sum():
    tile = tile_of(mho.OneSided(NOISY), weights())
    x, d = factors()
    torch.testing.assert_close(tile.forward(x), x @ weights().mT)
    torch.testing.assert_close(tile.backward(d), d @ weights())
    torch.testing.assert_close(tile.read(2), weights()[:, 2])
    torch.testing.assert_close(tile.read(row=-1), weights()[-1])
    torch.testing.assert_close(tile.read(), weights())
    assert tile.tally[2] == 8
    noisy = new_tile(weights(), mho.OneSided(NOISY), mho.IO(), key=11)
    single = mho.Tile(weights(), mho.Device(FREE), mho.IO(), key=11)
    for direction, v in (("forward", x), ("backward", d)):
        assert torch.equal(getattr(noisy, direction)(v), getattr(single, direction)(v)), (
            "one converter, one noise"
        )
    assert torch.equal(noisy.read(1), single.read(1))


@pytest.mark.parametrize("name", CELLS)
def test_subtract_moves_the_zero(name):
    tile = tile_of(CELLS[name], weights())
    hidden = tile.cells
    tile.subtract(0.3 * weights())
    torch.testing.assert_close(tile.w, 0.7 * weights())
    assert torch.equal(tile.cells, hidden)


def trainer(algorithm, cell):
    torch.manual_seed(0)
    mapping = mho.Mapping(out_scale="none")
    hardware = mho.Crossbar(algorithm=algorithm, device=cell, mapping=mapping, count_cells=True)
    layer = mho.nn.AnalogLinear(6, 4, bias=False, hardware=hardware, key=7)
    return layer, mho.AnalogOptimizer(layer, lr=0.1)


def train(layer, optimizer, steps):
    losses = []
    for n in steps:
        g = torch.Generator().manual_seed(n)
        x = torch.randn(8, 6, generator=g)
        optimizer.zero_grad()
        loss = (layer(x) - x @ weights().roll(5).mT).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


PACE = {"fast_lr": 0.1, "scale_fast_lr": False, "transfer_lr": 0.5, "scale_transfer_lr": False}
TRAINED = [
    algorithms.TikiTaka(**PACE),
    algorithms.ResidualLearning(**PACE),
    algorithms.AGAD(**PACE, auto_granularity=10.0, max_pulses=31),
]


@pytest.mark.parametrize("name", ["one-sided", "vector"])
@pytest.mark.parametrize("algorithm", TRAINED, ids=lambda a: type(a).__name__)
def test_they_train_and_resume_with_the_same_bits(algorithm, name):
    layer, optimizer = trainer(algorithm, CELLS[name])
    losses = train(layer, optimizer, range(60))
    file = io.BytesIO()
    torch.save({"model": layer.state_dict(), "optimizer": optimizer.state_dict()}, file)
    copied = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
    losses += train(layer, optimizer, range(60, 300))
    assert sum(losses[-30:]) < 0.4 * sum(losses[:30])
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other, its_optimizer = trainer(algorithm, CELLS[name])
    other.load_state_dict(saved["model"])
    its_optimizer.load_state_dict(saved["optimizer"])
    assert torch.equal(copied.weight, other.weight)
    assert train(other, its_optimizer, range(60, 70)) == losses[60:70]
    assert train(copied, mho.AnalogOptimizer(copied, lr=0.1), range(60, 70)) == losses[60:70]
    for key, value in copied.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


@pytest.mark.parametrize("name", ["one-sided", "vector"])
@pytest.mark.parametrize("algorithm", mho.testing.algorithms(), ids=lambda a: a.__name__)
def test_every_algorithm_runs_on_them(algorithm, name):
    chosen = algorithm()
    if algorithm is algorithms.TwoStage:
        chosen = chosen.replace(n_pulses=4)
    block = block_of(chosen, CELLS[name], io=mho.IO())
    for x, d, lr in batches(block.shape, 8):
        step(block, x, d, lr)
    assert block.weight.isfinite().all()


def test_results_do_not_depend_on_the_threads():
    def run(threads):
        mho.set_threads(threads)
        tile = new_tile(torch.zeros(300, 400), CELLS["one-sided"], key=2)
        for seed in range(3):
            tile.update(*factors(20, (300, 400), seed), 0.01)
        return tile

    before = mho.get_threads()
    try:
        one, two = run(1), run(2)
    finally:
        mho.set_threads(before)
    assert torch.equal(one.cells, two.cells)
    assert one.pulses_sent == two.pulses_sent


def test_the_report_adds_up_the_devices():
    layer, optimizer = trainer(TRAINED[1], CELLS["one-sided"])
    train(layer, optimizer, range(4))
    state = layer.matrix.blocks[0].state
    for entry in mho.pulse_report(layer):
        tile = getattr(state, entry.array)
        assert entry.cells == 48
        assert entry.up == tile.plus.pulses_sent[0] + tile.minus.pulses_sent[0] > 0
        assert entry.down == 0
        assert entry.max_per_cell == max(part.counts.max() for part in tile.parts)
        assert entry.saturated == tile.saturated() == 0
    reads = {entry.array: entry.reads for entry in mho.pulse_report(layer)}
    refreshes = {"P": 1, "W": 1}  # at the third update, of both arrays of 6 columns
    assert reads == {"P": 4 + refreshes["P"] * 12, "W": refreshes["W"] * 12}


def test_zero_shifting_moves_each_chosen_device():
    device = mho.Device(SoftBounds(), dw_min=0.01, up_down=0.2)
    result = zero_shift(tile_of(mho.Vector((device, device))), 2000)
    torch.testing.assert_close(result.estimate, torch.full(SHAPE, 0.1071), rtol=0, atol=1e-4)
    assert result.error is None


# What can be written down, and what cannot be made.


@pytest.mark.parametrize("name", CELLS)
def test_hardware_round_trips(name):
    device = CELLS[name]
    for hardware in (mho.Crossbar(device=device), mho.Crossbar(device={"P": device, "W": NOISY})):
        assert config.from_dict(json.loads(json.dumps(config.to_dict(hardware)))) == hardware
        names = vars(mho.responses) | {n: getattr(mho, n) for n in mho.__all__}
        assert eval(repr(device), names) == device
    retained = mho.Device(retention=mho.Retention(lifetime=10.0))
    assert config.from_dict(json.loads(json.dumps(config.to_dict(retained)))) == retained


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mho.OneSided(SoftBounds()),
            "`OneSided(device=...)`: the device is of type SoftBounds. It must be an mho.Device.",
        ),
        (
            lambda: mho.OneSided(upper=0.2, lower=0.4),
            "`OneSided(upper=0.2, lower=0.4)`: lower must not exceed upper.",
        ),
        (lambda: mho.Vector(()), "`Vector(devices=())`: a cell has at least one device."),
        (
            lambda: mho.Vector((PLAIN, 3)),
            "`Vector(devices=...)`: it is of type int. It must be an mho.Device or a cell of mho.cells.",
        ),
        (lambda: mho.Vector(PLAIN), "`Vector(devices=Device("),
        (
            lambda: mho.Vector((PLAIN,), (1, 2)),
            "`Vector(gammas=(1, 2))`: there are 2 gammas and 1 devices. They must agree.",
        ),
        (
            lambda: mho.Vector((PLAIN, PLAIN), (1, 0)),
            "`Vector(gammas=(1, 0))`: gammas must be finite and not zero.",
        ),
        (
            lambda: mho.Reference(PLAIN, SoftBounds()),
            "`Reference(reference_device=...)`: it is of type SoftBounds. It must be an mho.Device or a cell",
        ),
        (
            lambda: mho.Crossbar(device=SoftBounds()),
            "`Crossbar(device=...)`: it is of type SoftBounds. It must be an mho.Device or a cell of mho.cells.",
        ),
        (
            lambda: tile_of(mho.OneSided()).pulse(torch.full(SHAPE, -0.5)),
            "`Tile.pulse`: n holds -0.5. They must be whole numbers",
        ),
        (lambda: tile_of(mho.OneSided()).read(6), "`Tile.read`: there is no column 6."),
        (
            lambda: tile_of(mho.OneSided()).forward(torch.zeros(4)),
            "`Tile.forward`: x has shape (4,) but this tile",
        ),
        (lambda: tile_of(mho.OneSided()).program(torch.zeros(6, 4)), "`Tile.program`: w has shape (6, 4)"),
        (
            lambda: tile_of(mho.OneSided()).update(torch.zeros(6), torch.full((4,), float("nan")), 0.1),
            "`Tile.update`: d holds NaN or infinity in sample 0.",
        ),
        (
            lambda: advise(mho.Crossbar(device={"P": NOISY, "W": mho.OneSided()}), (4, 6)),
            "`advise(hardware)`: OneSided is a cell of several devices. The formulas are for one.",
        ),
        (
            lambda: mho.calibration.symmetric_point(tile_of(mho.OneSided())),
            "`symmetric_point(tile)`: a cell of several devices has no symmetric point of its own.",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(mho.MhoError) as failure:
        call()
    assert str(failure.value).startswith(message)
