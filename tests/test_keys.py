"""Keys of layers: their own by default, repeated by torch's seed, and never equal unawares."""

import copy

import pytest
import torch
from torch import nn

import mho

HARDWARE = mho.Crossbar(device=mho.Device(spread={"gain": 0.3}))


def keys(model):
    return [part.key for part in model.modules() if hasattr(part, "learning")]


def made(seed):
    torch.manual_seed(seed)
    layers = mho.nn.AnalogLinear(3, 2, hardware=HARDWARE), mho.nn.AnalogGRU(3, 2, hardware=HARDWARE)
    return nn.Sequential(*layers, *(mho.convert_(nn.Linear(3, 2), HARDWARE) for _ in "ab"))


def test_layers_have_keys_of_their_own_that_the_seed_repeats():
    found = keys(made(0))
    assert len({*found}) == len(found)
    assert keys(made(0)) == found
    assert not {*keys(made(1))} & {*found}


def test_a_given_key_draws_nothing():
    digital = nn.Linear(3, 2)
    state = torch.get_rng_state()
    layer = mho.nn.AnalogLinear.from_digital(digital, HARDWARE, 3)
    mho.convert_(digital, HARDWARE, key=3)
    assert torch.equal(state, torch.get_rng_state())
    assert layer.key == 3
    with pytest.raises(mho.MhoError, match="key is of type str"):
        mho.nn.AnalogLinear(3, 2, hardware=HARDWARE, key="a")


def test_equal_keys_are_refused_unless_asked_for():
    layer = mho.nn.AnalogLinear(3, 3, hardware=HARDWARE, key=1)
    twins = nn.Sequential(layer, copy.deepcopy(layer))
    with pytest.raises(mho.MhoError, match=r"AnalogOptimizer.*one key.*equal_keys=True"):
        mho.AnalogOptimizer(twins, lr=0.1)
    mho.AnalogOptimizer(twins, lr=0.1, equal_keys=True)
    model = nn.Sequential(*twins, nn.Linear(3, 2))
    with pytest.raises(mho.MhoError, match=r"convert_.*'0' and '1' have one key"):
        mho.convert_(model, HARDWARE)
    assert type(model[2]) is nn.Linear
    mho.convert_(model, HARDWARE, equal_keys=True)
