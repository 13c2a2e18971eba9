"""Arguments that no record and no tile can mean: each is refused when it is given, with the field and the rule."""

import pytest
import torch

import mho

D = mho.Device()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: mho.Pulses(bl_management="no"), "bl_management is of type str. It must be True or False"),
        (lambda: mho.Pulses(update_management=-3), "update_management is of type int"),
        (lambda: mho.IO(perfect=None), "perfect is of type NoneType"),
        (lambda: mho.Device(subtract_sp="false"), "subtract_sp is of type str"),
        (
            lambda: mho.algorithms.MixedPrecision(optimizer=2.0),
            "optimizer is of type float. It must be a string",
        ),
        (lambda: mho.algorithms.MixedPrecision(max_pulses=10**30), "max_pulses must be less than 2^63"),
        (lambda: mho.Pulses(bl=31.5), "bl must be an integer"),
        (lambda: mho.Device(dw_min=1e-46), "dw_min must be zero, or a number that float32 holds"),
        (
            lambda: mho.Device(reference_mean=1e39),
            "reference_mean must be zero, or a number that float32 holds",
        ),
        (lambda: mho.IO(out_bound=1e300), "out_bound must be zero, or a number that float32 holds"),
        (lambda: mho.Mapping(omega=1e-320), "omega must be zero, or a number that float32 holds"),
    ],
)
def test_a_field_is_refused_when_the_record_is_made(make, words):
    with pytest.raises(mho.MhoError) as found:
        make()
    assert words in str(found.value)


def test_whole_numbers_and_flags_in_other_types_are_pythons():
    assert repr(mho.Mapping(max_in=512.0).max_in) == "512"
    assert repr(mho.Pulses(bl=torch.tensor(31.0)).bl) == "31"
    assert mho.IO(perfect=torch.tensor(True)).perfect is True


@pytest.mark.parametrize("key", [-1, 2**64, 1.5, "a"])
@pytest.mark.parametrize(
    "make",
    [
        lambda key: mho.Tile(torch.zeros(2, 2), D, key=key),
        lambda key: mho.cells.new_tile(torch.zeros(2, 2), mho.OneSided(D), key=key),
        lambda key: mho.nn.AnalogLinear(2, 2, hardware=mho.Crossbar(device=D), key=key),
    ],
    ids=["tile", "cells of several devices", "layer"],
)
def test_a_key_has_64_bits(make, key):
    with pytest.raises(mho.MhoError, match=r"key.*2\^64 - 1"):
        make(key)
