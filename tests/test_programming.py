"""Programmings: the cells that they write, the checks before them, and the readers that see them at once."""

import pytest
import torch
from torch import nn

import mho
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning

PLAIN = mho.Mapping(out_scale="none")
X = torch.linspace(-1, 1, 96).reshape(12, 8).sin()


def layer(algorithm=None, **options):
    options = {"io": None, "mapping": PLAIN} | options
    hardware = mho.Crossbar(algorithm=algorithm or AnalogSGD(), **options)
    return mho.nn.AnalogLinear(8, 4, hardware=hardware, key=3)


def parameter(of):
    return of.matrix.blocks[0].weight


@pytest.mark.parametrize(
    "algorithm", [AnalogSGD(), ResidualLearning(), DigitalSGD()], ids=lambda a: type(a).__name__
)
def test_weights_survive_an_exchange_of_data(algorithm):
    one = layer(algorithm)
    p, w = parameter(one), one.read_weight()
    held, other = p.data, nn.Parameter(torch.zeros(4, 8))
    p.data = torch.zeros(4, 8)
    assert torch.equal(held, w), "who kept the former data keeps its numbers"
    assert not one.read_weight().any()
    p.data = held
    assert torch.equal(one.read_weight(), w)
    p.data, other.data = other.data, p.data
    assert not one(X).sub(one.bias).any()
    assert torch.equal(other.data, w)


READERS = {
    "hidden": lambda layer: layer.arrays()["W"].hidden[0, 0],
    "gain": lambda layer: layer.arrays()["W"]["gain"].mean() * layer.read_weight()[0, 0],
    "tile": lambda layer: layer.matrix.blocks[0].state.W.read()[0, 0],
    "diagnose": lambda layer: mho.diagnose(layer).arrays[0].mean,
    "state_dict": lambda layer: layer.state_dict()["matrix.blocks.0.state.W.cells"][0, 0],
}


@pytest.mark.parametrize("name", READERS)
def test_readers_see_a_write_at_once(name):
    one = layer()
    with torch.no_grad():
        parameter(one).fill_(0.25)
    assert float(READERS[name](one)) == pytest.approx(0.25, abs=1e-6)


def test_an_array_that_was_asked_for_before_sees_later_writes():
    one = layer()
    array = one.arrays()["W"]
    with torch.no_grad():
        parameter(one).fill_(0.25)
    assert float(array.hidden.mean()) == 0.25


def test_writes_to_what_arrays_show_reach_the_cells():
    one = layer()
    array = one.arrays()["W"]
    array.hidden.zero_()
    array.hidden[1] += 0.5
    array["gain"].mul_(2.0)
    assert one.read_weight().sum(1).tolist() == [0.0, 4.0, 0.0, 0.0]
    assert torch.equal(array["gain"] + 0, torch.full((4, 8), 2.0))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda a: a["W"].__setitem__("gain", -1.0), "gain is -1.*0 or more"),
        (lambda a: a["W"].__setitem__("tau_min", 0.5), "tau_min must be negative"),
        (lambda a: a["W"].__setitem__("tau_max", 0.0), "tau_max must be positive"),
        (lambda a: setattr(a["W"], "hidden", "none"), "no numbers"),
        (lambda a: setattr(a["W"], "hidden", torch.tensor(torch.nan)), "NaN"),
        (lambda a: setattr(a["W"], "hiden", 1.0), "hiden"),
        (lambda a: a.__setitem__("W", torch.zeros(4, 8)), "__setitem__"),
    ],
)
def test_wrong_writes_to_arrays_raise(write, message):
    one = layer()
    before = one.read_weight()
    with pytest.raises((mho.MhoError, AttributeError), match=message):
        write(one.arrays())
    assert torch.equal(one.read_weight(), before)


WRITES = {
    "layer.weight": lambda layer: layer.weight[1].fill_(0.1),
    "parameter": lambda layer: parameter(layer).data[1].fill_(0.1),
    "program_": lambda layer: layer.program_(
        torch.where(torch.arange(4)[:, None] == 1, 0.1, layer.read_weight())
    ),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("mapping", [PLAIN, mho.Mapping(omega=0.4)], ids=["plain", "scaled"])
def test_cells_whose_weight_stays_keep_their_write_noise(name, mapping):
    one = layer(device=mho.Device(write_noise=3.0), mapping=mapping)
    before = one.read_weight()
    WRITES[name](one)
    changed = (one.read_weight() != before).any(1)
    assert changed.tolist() == [False, True, False, False]


BAD = {
    "NaN": torch.full((4,), torch.nan),
    "complex": torch.zeros(4, dtype=torch.complex64),
    "type list": [0.0] * 4,
    "type float": 1.0,
    "sparse": torch.ones(4).to_sparse(),
    "meta": torch.zeros(4, device="meta"),
    "shape": torch.zeros(3),
}


@pytest.mark.parametrize("message", BAD)
@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_a_bad_bias_leaves_the_weight_alone(message, bias):
    one = layer(mapping=mho.Mapping(out_scale="none", bias=bias))
    before = one.read_weight()
    with pytest.raises(mho.MhoError, match=message):
        one.program_(torch.zeros(4, 8), BAD[message])
    assert torch.equal(one.read_weight(), before)


def test_a_bad_group_of_a_convolution_leaves_the_others_alone():
    hardware = mho.Crossbar(algorithm=AnalogSGD(), io=None)
    conv = mho.nn.AnalogConv1d(4, 4, 2, groups=2, hardware=hardware, key=1)
    with torch.no_grad():
        conv.parts[1].matrix.blocks[0].out_scale.zero_()
    before = conv.parts[0].read_weight()
    with pytest.raises(mho.MhoError, match="output scale"):
        conv.program_(torch.zeros(4, 2, 2))
    assert torch.equal(conv.parts[0].read_weight(), before)


def test_other_memory_is_no_array():
    one = layer()
    with pytest.raises(mho.MhoError, match="copy_"):
        one.weight.set_(torch.zeros(4, 8))
    other = layer()
    torch.utils.swap_tensors(parameter(one), parameter(other))
    with pytest.raises(mho.MhoError, match="replaced"):
        one(X)


def test_a_copy_is_old_after_a_change_of_scales():
    one = layer(mapping=mho.Mapping(out_scale="scalar"))
    copy = one.weight
    with torch.no_grad():
        one.matrix.blocks[0].out_scale.mul_(2.0)
    with pytest.raises(mho.MhoError, match=r"read .* again"):
        copy.mul_(0.5)


def test_hidden_weights_that_stay_keep_their_write_noise():
    one = layer(device=mho.Device(write_noise=3.0))
    before = one.read_weight()
    one.arrays()["W"].hidden[1].zero_()
    assert (one.read_weight() != before).any(1).tolist() == [False, True, False, False]


def test_a_write_that_the_cells_cannot_hold_is_told_of():
    one = layer()
    with pytest.warns(mho.nn.ConversionWarning, match=r"\(4, 8\) by 50%.*are clipped"):
        one.program_(torch.full((4, 8), 2.0))
    with pytest.warns(mho.nn.ConversionWarning, match="are clipped"):
        parameter(one).data[0].fill_(2.0)
        one(X)


def test_a_view_of_one_parameter_outlives_writes_to_another():
    array = layer().arrays()["W"]
    gain, bound = array["gain"], array["tau_max"]
    gain[0] = 0.5
    bound[0] = 0.5
    assert array["tau_max"][0].tolist() == [0.5] * 8
    old = array.hidden
    array.hidden = 0.1
    with pytest.raises(mho.MhoError, match=r"arrays\(\)\['W'\]\.hidden.*read .* again"):
        old.zero_()


def test_cells_of_one_sign_are_told_of():
    with pytest.warns(mho.nn.ConversionWarning, match="weights of one sign"):
        layer(device=mho.presets.PCM).program_(torch.linspace(-0.5, 0.5, 32).reshape(4, 8))


@pytest.mark.parametrize("name", ["in_proj_weight", "in_proj_bias"])
def test_a_bad_last_part_of_an_attention_leaves_the_first_alone(name):
    torch.manual_seed(0)
    layer = mho.convert_(nn.MultiheadAttention(8, 2), mho.Crossbar(AnalogSGD(), io=None))
    before = layer.q_proj.read_weight(), layer.q_proj.bias.detach().clone()
    with pytest.raises(mho.MhoError, match="NaN"):
        getattr(layer, name).data[-1].fill_(torch.nan)
    assert torch.equal(layer.q_proj.read_weight(), before[0])
    bad = torch.cat(
        [
            torch.full_like(getattr(layer, name)[:16], 0.1),
            torch.full_like(getattr(layer, name)[16:], torch.nan),
        ]
    )
    with pytest.raises(mho.MhoError, match="NaN"):
        setattr(layer, name, bad.detach())
    assert torch.equal(layer.q_proj.read_weight(), before[0])
    assert torch.equal(layer.q_proj.bias, before[1])
