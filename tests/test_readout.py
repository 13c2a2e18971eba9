"""The one read-out: every tile and layer sees a model of wires, and its next output sees a write to an array."""

import copy
from typing import Annotated

import pytest
import torch
from torch import nn

import mho
from blocks import block_of, see
from mho.algorithms import ERIDER, AnalogSGD, ChoppedTikiTaka, MultiTileResidual, ResidualLearning
from mho.base.config import from_dict, to_dict
from mho.base.records import NonNegative
from mho.cells import new_tile
from mho.responses import Constant, SoftBounds
from mho.tile.plane import Plane

SHAPE = (4, 6)
FREE = mho.Device(Constant(tau_max=100.0, tau_min=-100.0), dw_min=1e-3)


class Falling(mho.Wires):
    """Toy wires: along a driven line the voltage falls by the load before each cell."""

    r: Annotated[float, NonNegative] = 0.3

    def currents(self, matrix):
        return matrix / (1 + self.r * matrix.abs().cumsum(1))


class Series(mho.Wires):
    """Toy wires that are the same in both directions: a resistance in series with each cell."""

    r: Annotated[float, NonNegative] = 0.5

    def currents(self, matrix):
        return matrix / (1 + self.r * matrix.abs())


FALLING = Falling()
PERFECT = mho.IO(perfect=True, wires=FALLING)
CELLS = {
    "device": FREE,
    "vector": mho.Vector(devices=(FREE, FREE), gammas=(0.25, -0.75)),
    "reference": mho.Reference(FREE),
    "one-sided": mho.OneSided(FREE),
    "nested": mho.Vector(devices=(mho.Reference(FREE), FREE), gammas=(0.5, 0.5)),
}
TWO = {
    "shared": ResidualLearning(gamma=0.4),
    "separate": ResidualLearning(gamma=0.4, mix="separate"),
    "signs": ChoppedTikiTaka(),
    "plane": ERIDER(),
    "three": MultiTileResidual(tiles=3, gamma=0.5),
}
ALGORITHMS = {"one": AnalogSGD(), **TWO}
each = pytest.mark.parametrize


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def behind(tile, backward, wires=FALLING):
    """The matrix (driven, sensed) of a tile: each single array behind wires of its own."""
    if isinstance(tile, mho.cells.ComposedTile):
        parts = zip(tile.weights, tile.parts, strict=True)
        return sum(weight * behind(part, backward, wires) for weight, part in parts)
    return wires.currents(tile.w if backward else tile.w.mT.contiguous())


def behind_all(block, backward, wires=FALLING):
    """The matrix (driven, sensed) of a block: its terms, each behind its own wires, and then its signs."""
    total = 0
    for term in block.hardware.algorithm.visible(block.state):
        matrix = behind(term.tile, True, wires) if backward else behind(term.tile, False, wires).mT
        matrix = term.coefficient * matrix
        matrix = matrix if term.row_signs is None else matrix * term.row_signs[:, None]
        total = total + (matrix if term.column_signs is None else matrix * term.column_signs)
    return total if backward else total.mT


def filled(block):
    """A block whose arrays all hold something, and whose signs differ."""
    for n, array in enumerate(part for part in block.state.children() if hasattr(part, "program")):
        array.program(0.5 * random(*block.shape, seed=n + 1))
    for name, signs in block.state.named_buffers(recurse=False):
        if "sign" in name:
            signs[::2] = -1
    block.refresh()
    return block


# Wires.


@each("cell", CELLS)
def test_a_tile_is_read_through_its_wires(cell):
    tile = new_tile(random(*SHAPE), CELLS[cell], PERFECT, key=3)
    x, d = random(5, 6, seed=1), random(5, 4, seed=2)
    forward, backward = behind(tile, False), behind(tile, True)
    torch.testing.assert_close(tile.forward(x), x @ forward)
    torch.testing.assert_close(tile.backward(d), d @ backward)
    torch.testing.assert_close(tile.read(2), forward[2])
    torch.testing.assert_close(tile.read(row=3), backward[3])
    torch.testing.assert_close(tile.read(), forward.mT)
    assert not torch.allclose(forward, tile.w.mT, atol=0.05)


@each("cell", CELLS)
def test_wires_follow_every_write(cell):
    tile = new_tile(random(*SHAPE), CELLS[cell], PERFECT, key=3)
    x = random(5, 6, seed=1)
    part = tile.parts[0] if hasattr(tile, "parts") else tile
    for write in (
        lambda: tile.update(x, random(5, 4, seed=2), 0.1),
        lambda: tile.program(random(*SHAPE, seed=4)),
        lambda: part.program(random(*SHAPE, seed=5)),
    ):
        before = tile.forward(x)
        write()
        torch.testing.assert_close(tile.forward(x), x @ behind(tile, False))
        assert not torch.allclose(tile.forward(x), before)


def test_noise_and_converters_act_behind_the_wires():
    """Bit for bit as without wires, on cells that hold the other matrix; whatever the direction."""
    noisy = mho.IO(sigma_inp=0.1, wires=FALLING)
    w = random(*SHAPE)
    wired = mho.Tile(w, FREE, noisy, key=5)
    tile = mho.Tile(behind(wired, False).mT, FREE, noisy.replace(wires=None), key=5)
    x = random(7, 6, seed=1)
    assert torch.equal(wired.forward(x), tile.forward(x))
    assert torch.equal(wired.read(1), tile.read(1))


def test_wires_may_differ_by_direction():
    perfect = mho.IO(perfect=True)
    tile = mho.Tile(random(*SHAPE), FREE, {"forward": perfect, "backward": PERFECT, "transfer": perfect})
    x, d = random(5, 6), random(5, 4)
    assert torch.equal(tile.forward(x), x @ tile.w.mT)
    assert torch.equal(tile.read(2), tile.w[:, 2])
    torch.testing.assert_close(tile.backward(d), d @ behind(tile, True))


@each("cell", ["device", "reference"])
@each("algorithm", ALGORITHMS)
def test_a_block_is_seen_through_the_wires_of_each_array(algorithm, cell):
    block = filled(block_of(ALGORITHMS[algorithm], CELLS[cell], SHAPE, io=PERFECT))
    x, gradient = random(5, 6, seed=1).requires_grad_(), random(5, 4, seed=2)
    y = see(block, x)
    y.backward(gradient)
    torch.testing.assert_close(y.detach(), x.detach() @ behind_all(block, False))
    torch.testing.assert_close(x.grad, gradient @ behind_all(block, True))
    assert not torch.allclose(y.detach(), x.detach() @ block.weight.data.mT, atol=0.05)


def hardware(wires, algorithm="shared", **mapping):
    io = mho.IO(perfect=True, wires=wires)
    plain = mho.Mapping(out_scale="none", **mapping)
    return mho.Crossbar(algorithm=ALGORITHMS[algorithm], device=FREE, io=io, mapping=plain)


def fill(model):
    for module in model.modules():
        if isinstance(module, mho.nn.core.block.Block):
            filled(module)
    return model


LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (5, 6)),
    "conv": (lambda: nn.Conv2d(2, 4, 3, padding=1), (3, 2, 5, 5)),
    "lstm": (lambda: nn.LSTM(3, 4), (6, 2, 3)),
    "lstm, two ways": (lambda: nn.LSTM(3, 4, bidirectional=True), (6, 2, 3)),
    "gru": (lambda: nn.GRU(3, 4, 2), (6, 2, 3)),
}


@each("algorithm", ["one", "shared", "separate"])
@each("layer", LAYERS)
def test_every_layer_sees_the_wires(layer, algorithm):
    """Only W holds something, so that the sum of the terms behind wires is the wires' matrix of the sum."""
    make, shape = LAYERS[layer]
    torch.manual_seed(0)
    wires = Series()
    model = nn.Sequential(mho.convert_(make(), hardware(wires, algorithm, max_in=5, max_out=3), key=2))
    twin = mho.to_digital_(copy.deepcopy(model))
    with torch.no_grad():
        for p in twin.parameters():
            p.copy_(wires.currents(p) if p.ndim > 1 else p)
    x = random(*shape, seed=3)
    found = []
    for own in (model, twin):
        given = x.clone().requires_grad_()
        y = own(given)
        y = y[0] if isinstance(y, tuple) else y
        y.square().sum().backward()
        found.append((y.detach(), given.grad))
    torch.testing.assert_close(*(y for y, _ in found), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(*(g for _, g in found), rtol=1e-4, atol=1e-5)


def test_training_goes_on_behind_wires():
    """A step changes the matrix that the next product sees."""
    layer = mho.nn.AnalogLinear(6, 4, bias=False, hardware=hardware(FALLING), key=1)
    optimizer = mho.AnalogOptimizer(layer, lr=0.5)
    x, losses = random(16, 6), []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (layer(x) - 0.3 * x[:, :4]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        torch.testing.assert_close(layer(x), x @ behind_all(layer.matrix.blocks[0], False))
    assert losses[-1] < 0.6 * losses[0]


def test_a_matrix_behind_wires_is_computed_once_for_each_write():
    seen = []

    class Counting(mho.Wires):
        def currents(self, matrix):
            seen.append(tuple(matrix.shape))
            return matrix + 0

    tile = mho.Tile(random(*SHAPE), FREE, mho.IO(wires=Counting()))
    for _ in range(3):
        tile.forward(random(2, 6))
        tile.read()
    assert seen == [(6, 4)]
    tile.backward(random(2, 4))
    tile.read(row=1)
    assert seen == [(6, 4), (4, 6)]
    tile.pulse(torch.ones(4), column=0)
    tile.forward(random(2, 6))
    assert seen == [(6, 4), (4, 6), (6, 4)]


def test_what_wires_must_return():
    class Short(mho.Wires):
        def currents(self, matrix):
            return matrix[:-1]

    with pytest.raises(mho.MhoError) as error:
        mho.Tile(random(*SHAPE), FREE, mho.IO(wires=Short())).forward(random(6))
    assert str(error.value) == (
        "`Short.currents`: it gave torch.float32 of shape (5, 4). The matrix must keep its dtype, torch.float32, "
        "and its shape (6, 4)."
    )
    with pytest.raises(
        mho.MhoError, match=r"`IO\(wires=\.\.\.\)`: it is of type float. It must be an mho.Wires"
    ):
        mho.IO(wires=0.5)


def test_wires_in_files():
    """Files of before have no such field; the labels of checkpoints leave converters out."""
    data = to_dict(mho.IO())
    assert data.pop("wires") is None
    assert from_dict(data) == mho.IO()
    wired, plain = (mho.nn.AnalogLinear(6, 4, hardware=hardware(wires)) for wires in (FALLING, None))
    wired.load_state_dict(plain.state_dict())
    assert torch.equal(wired.matrix.analog_hardware, plain.matrix.analog_hardware)


def test_a_copy_has_wires_of_its_own():
    layer = mho.nn.AnalogLinear(6, 4, bias=False, hardware=hardware(FALLING), key=1)
    x = random(3, 6)
    y = layer(x)
    other = copy.deepcopy(layer)
    other.matrix.blocks[0].state.W.program(random(*SHAPE, seed=9))
    assert torch.equal(layer(x), y)
    torch.testing.assert_close(other(x), x @ behind_all(other.matrix.blocks[0], False))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")
@each("algorithm", ALGORITHMS)
def test_wires_on_a_gpu(algorithm):
    x = random(5, 6)
    y = []
    for where in ("cpu", "cuda"):
        layer = fill(mho.nn.AnalogLinear(6, 4, bias=False, hardware=hardware(FALLING, algorithm), key=1)).to(
            where
        )
        given = x.to(where).requires_grad_()
        out = layer(given)
        out.sum().backward()
        tile = layer.matrix.blocks[0].state.W if algorithm != "three" else layer.matrix.blocks[0].state.W0
        y.append([t.detach().cpu() for t in (out, given.grad, tile.read(2), tile.read(row=1))])
    torch.testing.assert_close(*y)


# Writes from outside.

KEEPS = mho.Retention(lifetime=3.0, diffusion=0.1)
AGEING = mho.Device(SoftBounds(), dw_min=1e-3, retention=KEEPS)
WRITES = {
    "program": lambda t: t.program(0.4 * random(*SHAPE, seed=7)),
    "update": lambda t: t.update(random(3, 6, seed=8), random(3, 4, seed=9), 0.1),
    "pulse": lambda t: t.pulse(torch.full((4,), 50.0), column=2),
    "subtract": lambda t: t.subtract(0.2 * random(*SHAPE, seed=7)),
    "drift": lambda t: mho.retention.drift(t, 50.0, mho.retention.Drift(nu=0.2)),
    "age": mho.retention.age,
    "reset": mho.retention.reset,
}
HELD = {
    "device": AGEING,
    "reference": mho.Reference(AGEING),
    "vector": mho.Vector(devices=(AGEING, AGEING)),
    "noisy": AGEING.replace(write_noise=2.0),
    "shifted": AGEING.replace(reference_mean=0.1),
}


def assert_seen(layer):
    """The layer multiplies with the sum of its terms as they are now."""
    x = random(5, 6, seed=1).requires_grad_()
    [block] = layer.matrix.blocks
    w = sum(term.weight() for term in block.hardware.algorithm.visible(block.state))
    y = layer(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), x.detach() @ w.mT)
    torch.testing.assert_close(x.grad, torch.ones_like(y) @ w)
    torch.testing.assert_close(layer.weight, w)
    return w.clone()


@each("write", WRITES)
@each("device", HELD)
@each("algorithm", ALGORITHMS)
def test_a_write_to_an_array_shows_in_the_next_output(algorithm, device, write):
    own = mho.Crossbar(
        algorithm=ALGORITHMS[algorithm], device=HELD[device], io=None, mapping=mho.Mapping(out_scale="none")
    )
    layer = mho.nn.AnalogLinear(6, 4, bias=False, hardware=own, key=1)
    fill(layer)
    [block] = layer.matrix.blocks
    before = assert_seen(layer)
    for term in block.hardware.algorithm.visible(block.state):
        tile = term.tile
        if not hasattr(tile, "cells"):
            continue
        version = tile.version
        WRITES[write](tile)
        assert tile.version > version
        after = assert_seen(layer)
        assert not torch.equal(after, before)
        hidden = tile.cells.clone()
        assert_seen(layer)
        assert torch.equal(tile.cells, hidden)
        before = after


@each("at", [{}, {"column": 1}, {"row": 2}])
def test_a_plane_that_is_programmed_shows_in_the_next_output(at):
    layer = mho.nn.AnalogLinear(6, 4, bias=False, hardware=hardware(None, "plane"), key=1)
    before = assert_seen(layer)
    layer.matrix.blocks[0].state.R.program(
        random(*({"column": (4,), "row": (6,)}.get(next(iter(at), ""), SHAPE))), **at
    )
    assert not torch.equal(assert_seen(layer), before)


def test_only_writes_raise_the_version():
    for cell in CELLS.values():
        tile = new_tile(random(*SHAPE), cell, key=3)
        version = tile.version
        tile.forward(random(6)), tile.backward(random(4)), tile.read(), tile.saturated()
        assert tile.version == version
        tile.pulse(torch.ones(4), column=1)
        assert tile.version > version


def test_a_layer_without_writes_computes_its_weight_once(monkeypatch):
    layer = fill(mho.nn.AnalogLinear(6, 4, hardware=hardware(None)))
    [block] = layer.matrix.blocks
    refreshed = []
    monkeypatch.setattr(type(block), "refresh", lambda self: (refreshed.append(self), self.is_shown()))
    layer(random(5, 6)).sum().backward()
    assert refreshed == []
    block.state.P.pulse(torch.ones(4), column=1)
    layer(random(5, 6))
    assert refreshed == [block]


def test_a_plane_marks_the_lines_that_change():
    plane = Plane(torch.zeros(3, 5))
    for values, rows, columns in (
        (torch.zeros(3, 5), [], []),
        (torch.zeros(3, 5).index_fill(1, torch.tensor([2]), 0.5), [], [2]),
        (torch.zeros(3, 5).index_fill(0, torch.tensor([1]), 0.5), [1], [2]),
        (torch.full((3, 5), 2.0), [0, 1, 2], []),
    ):
        plane.touched.zero_()
        plane.program(values)
        assert torch.equal(plane.w, values)
        marked = plane.touched.nonzero().flatten().tolist()
        assert marked == [*rows, *(3 + n for n in columns)]
