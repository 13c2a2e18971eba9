"""Torch's layer interface: biases, new initial weights, names of recurrent weights, graphs, arrays by name."""

import copy
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import mho

SGD = mho.Crossbar(algorithm=mho.algorithms.AnalogSGD(), io=None)
ANALOG_BIAS = mho.Crossbar(algorithm=mho.algorithms.AnalogSGD(), io=None, mapping=mho.Mapping(bias="analog"))


@pytest.mark.parametrize("hardware", [SGD, ANALOG_BIAS])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_has_a_bias_that_can_be_written(hardware, groups):
    layer = mho.nn.AnalogConv1d(2, 4, 3, groups=groups, hardware=hardware, key=1)
    assert layer.bias.shape == (4,)
    nn.init.constant_(layer.bias, 0.25)
    torch.testing.assert_close(layer(torch.zeros(1, 2, 3)).flatten(), torch.full((4,), 0.25))
    layer.bias = nn.Parameter(torch.full((4,), 0.5))
    torch.testing.assert_close(layer.to_digital().bias.detach(), torch.full((4,), 0.5))


def test_reset_parameters_programs_new_weights_and_keeps_cells_and_counters():
    torch.manual_seed(0)
    device = mho.Device(spread={"gain": 0.3}, reference_std=0.1)
    layer = mho.nn.AnalogLinear(4, 3, hardware=mho.Crossbar(device=device, io=None), key=1)
    before, bias = layer.weight.clone(), layer.bias.detach().clone()
    tiles = [part for part in layer.modules() if isinstance(part, mho.Tile)]
    planes, tallies = [t.planes.clone() for t in tiles], [t.tally.clone() for t in tiles]
    layer.reset_parameters()
    assert not torch.equal(layer.weight, before)
    assert not torch.equal(layer.bias, bias)
    for tile, plane, tally in zip(tiles, planes, tallies, strict=True):
        assert torch.equal(tile.planes, plane)
        assert (tile.tally - tally).tolist() == [0, 0, 0, 0, 0, 1], "one programming"


def test_recurrent_weights_have_torchs_names():
    layer = mho.nn.AnalogGRU(3, 2, hardware=SGD, key=1)
    digital = layer.to_digital()
    assert torch.equal(layer.weight_hh_l0, digital.weight_hh_l0.detach())
    layer.bias_ih_l0 = nn.Parameter(torch.zeros(6))
    nn.init.zeros_(layer.weight_ih_l0)
    assert not layer.to_digital().weight_ih_l0.any()
    assert not layer.to_digital().bias_ih_l0.any()
    with pytest.raises(AttributeError, match="weight_ih_l1"):
        layer.weight_ih_l1  # noqa: B018


def test_graphs_that_outlive_the_model_are_refused():
    model, x = mho.convert_(nn.Sequential(nn.Linear(4, 3)), SGD, key=1), torch.ones(2, 4)
    for refused in (
        lambda: torch.export.export(model, (x,)),
        lambda: torch.jit.trace(model, x),
        lambda: torch.jit.script(model),
    ):
        with pytest.raises(mho.MhoError, match="to_digital_"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refused()
    graph = torch.fx.symbolic_trace(model)
    assert torch.equal(graph(x), model(x))


def test_a_layer_prints_one_line():
    model = nn.Sequential(mho.nn.AnalogConv2d(1, 2, 3, bias=False, hardware=SGD, key=1))
    shape = "1, 2, kernel_size=(3, 3), stride=(1, 1), bias=False"
    text = f"AnalogConv2d({shape}, algorithm=AnalogSGD, law=SoftBounds, io=None)"
    assert repr(model) == f"Sequential(\n  (0): {text}\n)"


def test_a_birth_tells_clipping_from_write_noise():
    narrow = mho.Device(mho.responses.SoftBounds(tau_max=0.1, tau_min=-0.1))
    with pytest.warns(mho.nn.ConversionWarning, match="are clipped"):
        mho.nn.AnalogLinear(4, 8, hardware=mho.Crossbar(device=narrow), key=1)
    with pytest.warns(mho.nn.ConversionWarning, match="Write noise") as found:
        mho.nn.AnalogLinear(
            4, 8, hardware=mho.Crossbar(device=mho.Device(dw_min=0.01, write_noise=5.0)), key=1
        )
    assert len(found) == 1


def test_a_birth_tells_stuck_cells_from_clipping():
    """Cells of a composed cell, too; both errors where there are both."""
    stuck = mho.Device(corrupt=0.3)
    for device in (stuck, mho.OneSided(stuck)):
        with pytest.warns(mho.nn.ConversionWarning, match="Cells of the device are stuck") as found:
            mho.nn.AnalogLinear(9, 8, hardware=mho.Crossbar(device=device), key=1)
        assert len(found) == 1
    both = mho.Device(mho.responses.SoftBounds(tau_max=0.1, tau_min=-0.1), corrupt=0.3)
    with pytest.warns(mho.nn.ConversionWarning) as found:
        mho.nn.AnalogLinear(9, 8, hardware=mho.Crossbar(device=both), key=1)
    assert ["clipped." in str(w.message) for w in found] == [True, False]


def test_a_layer_of_composed_cells_prints_their_laws():
    layer = mho.nn.AnalogLinear(3, 2, hardware=mho.Crossbar(device=mho.presets.PCMPair, io=None), key=1)
    assert "law=OneSided(ExpStep)" in repr(layer)
    mixed = mho.Vector(devices=(mho.Device(mho.responses.Power()), mho.OneSided(mho.Device())))
    layer = mho.nn.AnalogLinear(3, 2, hardware=mho.Crossbar(device=mixed), key=1)
    assert "law=Vector(Power, SoftBounds)" in repr(layer)


def test_arrays_are_read_and_set_by_name():
    hardware = mho.Crossbar(algorithm=mho.algorithms.AnalogSGD(), io=None, mapping=mho.Mapping(max_in=2))
    layer = mho.nn.AnalogLinear(4, 3, bias=False, hardware=hardware, key=1)
    array = layer.arrays()["W"]
    values = torch.linspace(-0.5, 0.5, 12).reshape(3, 4)
    array.hidden = values
    assert torch.equal(array.hidden, values)
    assert torch.equal(layer.weight, values)
    bounds = torch.linspace(0.1, 1.2, 12).reshape(3, 4)
    array["tau_max"] = bounds
    assert torch.equal(array["tau_max"], bounds)
    assert torch.equal(array["upper"], bounds), "the bound follows the law"
    assert torch.equal(layer.weight, values.minimum(bounds))
    array["reference"] = 0.1
    torch.testing.assert_close(layer.weight + 0, values.minimum(bounds) - 0.1)
    optimizer = mho.AnalogOptimizer(layer, lr=1.0)
    layer(torch.ones(5, 4)).sum().neg().backward()
    optimizer.step()
    assert (array.hidden <= bounds).all()
    with pytest.raises(mho.MhoError, match="no such parameter"):
        array["tau"]
    with pytest.raises(mho.MhoError, match="set by name"):
        copy.deepcopy(layer).load_state_dict(
            mho.nn.AnalogLinear(4, 3, bias=False, hardware=hardware, key=1).state_dict()
        )


def test_the_code_on_arrays_runs(capsys):
    page = (Path(__file__).parent.parent / "docs/arrays.md").read_text(encoding="utf-8")
    names: dict = {"mho": mho, "torch": torch}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert names["w"]["tau_max"].unique().tolist() == [pytest.approx(0.8)]
    assert "W" in capsys.readouterr().out


def test_a_frozen_weight_stays_with_an_output_scale():
    hardware = mho.Crossbar(algorithm=mho.algorithms.AnalogSGD())
    layer = mho.nn.AnalogLinear(8, 3, hardware=hardware, key=1)
    layer.weight.requires_grad = False
    before, optimizer = layer.read_weight(), mho.AnalogOptimizer(layer, lr=0.3)
    layer(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    assert torch.equal(layer.read_weight(), before)


@pytest.mark.parametrize(
    ("digital", "read", "bound"),
    [
        (nn.LSTM(8, 64), lambda layer: layer.weight_ih_l0, 64**-0.5),
        (nn.MultiheadAttention(16, 2), lambda layer: layer.q_proj.weight, (6 / 64) ** 0.5),
    ],
    ids=["LSTM", "attention"],
)
def test_a_loop_over_all_modules_resets_parts_as_their_layer_does(digital, read, bound):
    torch.manual_seed(0)
    hardware = mho.Crossbar(algorithm=mho.algorithms.AnalogSGD(), io=None)
    layer = mho.convert_(digital, hardware)
    for module in layer.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert 0.9 * bound < float(read(layer).detach().abs().max()) <= bound * 1.0001
