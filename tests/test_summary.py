"""The summary of a model: what its lines say, and the table that they print."""

import copy
import io
import subprocess
import sys

import pytest
import torch
from torch import nn

import mho
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning
from mho.responses import Power

SGD = mho.Crossbar(algorithm=AnalogSGD(), device=mho.Device(spread={"gain": 0.1}))
RESIDUAL = mho.Crossbar(
    algorithm=ResidualLearning(),
    device={"P": mho.Device(Power(), dw_min=0.01), "W": mho.Device()},
    mapping=mho.Mapping(max_in=16, bias="analog"),
)


class Mine(nn.Linear):
    pass


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8), nn.Linear(40, 5), Mine(5, 2))
    return mho.convert_(model, {"0": SGD, "3": RESIDUAL})


def by_name(model):
    return {line.name: line for line in mho.summary(model)}


def test_a_line_for_each_layer_and_its_numbers():
    lines = by_name(network())
    assert list(lines) == ["0", "2", "3", "4"]
    conv, norm, linear, mine = lines.values()
    assert (conv.kind, conv.shapes, conv.tiles, conv.arrays) == ("AnalogConv2d", ((8, 27),), 1, ("W",))
    assert (conv.cells, conv.algorithm, conv.place) == (8 * 27, "AnalogSGD", "cpu")
    assert conv.device == "SoftBounds, dw_min 0.001"
    assert conv.parameters == 8 + 1, "biases and the output scale"
    assert linear.shapes == ((5, 41),), "the bias is a column"
    assert (linear.tiles, linear.arrays, linear.cells) == (3, ("W", "P"), 2 * 5 * 41)
    assert linear.device == "W: SoftBounds, dw_min 0.001, P: Power, dw_min 0.01"
    assert linear.parameters == 3, "an output scale for each sub-tile"
    assert (norm.kind, norm.shapes, norm.parameters) == ("BatchNorm2d", ((8,), (8,)), 16)
    assert (norm.tiles, norm.arrays, norm.cells, norm.device) == (0, (), 0, "digital")
    assert (mine.kind, mine.parameters) == ("Mine", 12)


def test_a_cell_of_several_devices_shows_them():
    """Its rules that are no defaults, and equal devices in one place."""
    pair = mho.presets.PCMPair
    coarse = mho.Device(Power(), dw_min=0.1)
    for device, text in (
        (pair, "OneSided(refresh_every=1) of plus, minus: ExpStep, dw_min 0.01"),
        (mho.Reference(coarse), "Reference of 0, 1: Power, dw_min 0.1"),
        (
            mho.Vector(devices=(coarse, pair), policy="sequential"),
            "Vector(policy='sequential') of 0: Power, dw_min 0.1; 1.plus, 1.minus: ExpStep, dw_min 0.01",
        ),
    ):
        layer = mho.nn.AnalogLinear(4, 3, hardware=SGD.replace(device=device), key=1)
        [line] = mho.summary(layer)
        assert line.device == text and line.cells == 12 * len(device.leaves())
    assert "OneSided(refresh_every=1) of plus, minus: ExpStep" in repr(
        mho.summary(mho.nn.AnalogLinear(4, 3, hardware=SGD.replace(device=pair), key=1))
    )


def test_sums_are_those_of_the_model():
    model = network()
    found = mho.summary(model)
    blocks = [m for m in model.modules() if isinstance(m, mho.nn.AnalogLinear)]
    assert len(blocks) == 1
    total = found.total
    weights = {id(p) for p in model.parameters() if isinstance(p, mho.nn.AnalogParameter)}
    assert total.parameters == sum(p.numel() for p in model.parameters() if id(p) not in weights)
    assert total.cells == 8 * 27 + 2 * 5 * 41
    assert total.tiles == 4
    assert total.memory == sum(line.memory for line in found)
    unique = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors_of(model)}
    assert total.memory == sum(unique.values())


def tensors_of(model):
    return [t for t in (*model.parameters(), *model.buffers()) if t.numel()]


def test_bytes_of_a_checkpoint_are_those_that_are_written():
    """Up to what the file says about each tensor."""
    layer = mho.convert_(nn.Linear(400, 300), SGD)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    saved = mho.summary(layer).total.saved
    assert 0.97 < saved / file.tell() < 1.0


def test_equal_layers_have_equal_numbers():
    """A state_dict may make tensors of its own, whose addresses are used again."""
    torch.manual_seed(0)
    parts = [nn.Linear(9, 7), nn.MultiheadAttention(8, 2), nn.Linear(9, 7), nn.MultiheadAttention(8, 2)] * 3
    found = mho.summary(mho.convert_(nn.Sequential(*copy.deepcopy(parts)), SGD))
    assert len({(line.kind, line.memory, line.saved) for line in found}) == 2


def test_buffers_that_are_not_saved():
    module = nn.Module()
    module.register_buffer("kept", torch.zeros(5))
    module.register_buffer("lost", torch.zeros(7), persistent=False)
    [line] = mho.summary(module)
    assert (line.memory, line.saved, line.parameters) == (48, 20, 0)


def test_spread_costs_a_plane():
    plain, spread = (
        mho.convert_(nn.Linear(400, 300), SGD.replace(device=mho.Device(spread=s)))
        for s in ({}, {"gain": 0.1})
    )
    more = mho.summary(spread).total.memory - mho.summary(plain).total.memory
    assert more == 4 * 400 * 300


def test_shared_modules_and_weights_count_once():
    model = network()
    once = mho.summary(model).total
    model.again = model[3]
    model.tied = nn.Linear(5, 2, bias=False)
    model.tied.weight = model[4].weight
    twice = mho.summary(model)
    assert twice.total.memory == once.memory
    assert twice.total.cells == once.cells
    assert [line.name for line in twice] == ["0", "2", "3", "4", "tied"]


def test_a_single_layer_and_a_digital_model():
    [line] = mho.summary(mho.convert_(nn.Linear(3, 2), SGD))
    assert (line.name, line.kind) == ("", "AnalogLinear")
    found = mho.summary(nn.Sequential(nn.ReLU()))
    assert len(found) == found.total.memory == 0
    [line] = mho.summary(mho.convert_(nn.Linear(3, 2), SGD.replace(algorithm=DigitalSGD(), io=None)))
    assert line.device == "digital"
    [line] = mho.summary(
        mho.convert_(nn.Linear(3, 2), SGD.replace(device=mho.Vector(devices=(mho.Device(), mho.Device()))))
    )
    assert (line.device, line.cells) == ("Vector of 0, 1: SoftBounds, dw_min 0.001", 12)


def test_the_table_says_all_of_it():
    text = str(mho.summary(network()))
    for words in (
        "AnalogConv2d", "8x27", "5x41", "W P", "W: SoftBounds, dw_min 0.001, P: Power, dw_min 0.01", "AnalogSGD",
        "ResidualLearning", "2 of 8", "total", "bytes a cell in memory", "on cpu",
        "'4' is a Mine: convert_ leaves subclasses of torch's layers digital",
    ):  # fmt: skip
        assert words in text
    rows = [line.split() for line in text.splitlines() if "AnalogLinear" in line]
    assert rows[0][3:6] == ["3", "W", "P"]
    assert rows[0][6] == "410"


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 B"), (1000, "1 kB"), (999_700, "1 MB"), (52_345_678, "52.3 MB")]
)
def test_sizes_in_words(size, text):
    from mho.diagnostics.summary import _size

    assert _size(size) == text


def test_rich_is_loaded_by_printing_only():
    code = (
        "import sys, torch, mho; s = mho.summary(torch.nn.Linear(2, 2)); assert 'rich' not in sys.modules; "
        "str(s); assert 'rich' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
