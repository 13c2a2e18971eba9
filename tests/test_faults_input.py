"""Arguments that no record and no tile can mean: each is refused when it is given, with the field and the rule."""

import pytest
import torch

import mho
import mho.base.config
import mho.training

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
        (lambda: mho.responses.Piecewise(nodes_up=3), "nodes_up is of type int. It must be a sequence"),
        (lambda: mho.responses.Piecewise(nodes_up=None), "nodes_up is of type NoneType"),
        (lambda: mho.responses.Piecewise(nodes_up=(1, 1e39)), "nodes_up[1] must be zero, or a number that"),
        (lambda: mho.responses.Table(steps_up=((1, 2), ("a", 3))), "steps_up[1][0] is a str. It must be a"),
        (lambda: mho.responses.Table(steps_up=((1, 2), 3)), "steps_up[1] is of type int"),
        (lambda: mho.responses.Table(steps_up=((1, 2), (3, 10**400))), "steps_up[1][1] is 1000"),
        (lambda: mho.training.RunSpec(hidden=(2.5,)), "hidden[0] must be an integer"),
        (lambda: mho.Vector(devices=(D, D), gammas=("a", 1)), "gammas[0] is a str"),
        (lambda: mho.Device(spread={"gain": True}), "a spread is zero or positive"),
        (lambda: mho.Device(spread={"gain": 1e39}), "a spread must be zero, or a number that float32 holds"),
        (lambda: mho.Device(spread={3: 0.1}), "SoftBounds has no field 3"),
        (lambda: mho.algorithms.MixedPrecision(options=3), "options is of type int. It must be a mapping"),
        (lambda: mho.set_threads(10**6), "the number of threads must be at most 1024"),
    ],
)
def test_a_field_is_refused_when_the_record_is_made(make, words):
    with pytest.raises(mho.MhoError) as found:
        make()
    assert words in str(found.value)


def test_a_law_has_no_field_of_the_name_of_itself():
    with pytest.raises(mho.MhoError, match="the field self has the name of the law itself"):
        type("Own", (mho.Response,), {"__annotations__": {"self": float}, "self": 1.0})


@pytest.mark.parametrize("number", [10**400, -(10**400), 10**5000], ids=["400", "-400", "5000"])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: mho.Device(dw_min=n),
        lambda n: mho.Device(spread={"gain": n}),
        lambda n: mho.Device(c2c=n),
        lambda n: mho.IO(perfect=n),
        lambda n: mho.Pulses(bl=n),
        lambda n: mho.Device(no_field=n),
        lambda n: mho.responses.Piecewise(nodes_up=(1, n)),
        lambda n: mho.training.RunSpec(seed=n),
        lambda n: mho.Tile(torch.zeros(2, 2), D, key=n),
        lambda n: mho.AnalogOptimizer(torch.nn.Linear(2, 2), lr=n),
        lambda n: mho.fit.fit("no file", key=n),
        lambda n: mho.set_threads(n),
    ],
)
def test_integers_beyond_every_float_are_refused_in_few_words(make, number):
    """Python does not even write those of more than 4300 digits."""
    with pytest.raises(mho.MhoError) as found:
        make(number)
    assert len(str(found.value)) < 3100


def test_messages_about_long_texts_are_short():
    with pytest.raises(mho.MhoError) as found:
        mho.base.config.from_dict({"type": "A" * 1_000_000})
    assert len(str(found.value)) < 3100


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


def test_a_law_may_call_a_field_as_the_constructor_calls_its_class():
    class Odd(mho.responses.Response):
        cls: float = 0.5

        def up(self, w):
            return 1 - self.cls * w

        def down(self, w):
            return 1 + self.cls * w

    assert Odd(cls=0.25).cls == 0.25


@pytest.mark.parametrize("lr", [10**400, None, "1", float("nan")], ids=["huge", "None", "text", "nan"])
def test_a_rate_that_is_no_number(lr):
    tile = mho.Tile(torch.zeros(2, 3), mho.Device())
    with pytest.raises(mho.MhoError, match=r"`Tile\.update`: lr is"):
        tile.update(torch.ones(3), torch.ones(2), lr)


@pytest.mark.parametrize("line", [1.5, "a"])
def test_a_line_that_is_no_integer(line):
    tile = mho.Tile(torch.zeros(2, 3), mho.Device())
    with pytest.raises(mho.MhoError, match="the line is of type"):
        tile.pulse(torch.ones(2), column=line)


def test_cells_beyond_float32_are_not_drawn():
    device = mho.Device(reference_std=3e38)
    with pytest.raises(mho.MhoError, match="beyond what float32 holds"):
        device.draw((40, 40), 1)
    with pytest.raises(mho.MhoError, match="a key is an integer from 0"):
        device.draw((2, 2), 2**64 + 1)
