"""Configurations: what is written is read back equal, and what cannot be read is named with its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.base import config, registry
from mho.base.errors import MhoError
from mho.training import RunSpec

POWER = mho.Device(mho.responses.Power(tau=0.6), spread={"gain": 0.1, "tau": 0.05})
CROSSBARS = [
    mho.Crossbar(),
    mho.Crossbar(algorithm=mho.algorithms.AnalogSGD(), device=POWER, io=None, pulses=mho.Expected()),
    mho.Crossbar(device={"W": POWER, "P": mho.Device()}, io={"forward": mho.IO(perfect=True)}),
    mho.Crossbar(pulses={"update": mho.Pulses(bl=5), "transfer": mho.Exact()}, count_cells=True),
]


@pytest.mark.parametrize("hardware", CROSSBARS)
def test_hardware_round_trips_through_json(hardware):
    spec = RunSpec(hardware=hardware, hidden=(5, 3))
    data = json.loads(json.dumps(config.to_dict(spec), allow_nan=False))
    back = config.from_dict(data)
    assert back == spec and repr(back) == repr(spec)


def test_every_public_default_round_trips():
    made = 0
    for name, cls in registry.registered().items():
        try:
            record = cls()
        except TypeError:  # a record without defaults
            continue
        assert config.from_dict(json.loads(json.dumps(config.to_dict(record)))) == record, name
        made += 1
    assert made >= 10


@given(st.floats(1.2e-38, 3.4e38), st.integers(1, 1024))
def test_numbers_keep_every_bit(tau, bl):
    hardware = mho.Crossbar(device=mho.Device(mho.responses.Power(tau=tau)), pulses=mho.Pulses(bl=bl))
    assert config.from_dict(json.loads(json.dumps(config.to_dict(hardware)))) == hardware


def test_names_stand_for_defaults_and_tags_may_be_implied():
    data = {"hardware": {"algorithm": "analog-sgd", "mapping": {"max_in": 64}, "io": None}}
    expected = mho.Crossbar(algorithm=mho.algorithms.AnalogSGD(), mapping=mho.Mapping(max_in=64), io=None)
    assert config.from_dict(data, kind=RunSpec) == RunSpec(hardware=expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"epoch": 3}, "`epoch`: RunSpec has no field 'epoch' (= 3). did you mean 'epochs'?"),
        ({"epochs": 2.5}, "`epochs`: 2.5 does not fit. Needed: int."),
        ({"lr": True}, "`lr`: True does not fit. Needed: float."),
        ({"hidden": "64"}, "`hidden`: '64' does not fit. Needed: tuple."),
        ({"hidden": [64, "a"]}, "`hidden`: 'a' does not fit. Needed: int."),
        ({"lr": -1}, "`configuration`: `RunSpec(lr=-1.0)`: lr must be positive."),
        ({"hardware": 3}, "`hardware`: 3 does not fit. Needed: Crossbar or null."),
        (
            {"hardware": {"type": "Crossbr"}},
            "`hardware`: no type 'Crossbr' fits here. did you mean 'Crossbar'?",
        ),
        (
            {"hardware": {"algorithm": "power"}},
            "`hardware.algorithm`: no type 'power' fits here. known: AGAD, AnalogSGD,",
        ),
        (
            {"hardware": {"device": {"type": "Device", "response": {"type": "Power", "tua": 1}}}},
            "`hardware.device.response.tua`: Power has no field 'tua' (= 1). did you mean 'tau'?",
        ),
        (
            {"hardware": {"device": {"type": "Device", "response": {"type": "Power", "tau": -1}}}},
            "`hardware.device.response`: `Power(tau=-1.0)`: tau must be positive.",
        ),
        (
            {"hardware": {"device": {"type": "Device", "c2c": "loud"}}},
            "`hardware.device.c2c`: 'loud' does not fit. Needed: 'additive' or 'multiplicative' or 'law'.",
        ),
        ({"hardware": {"device": {"type": "os.system"}}}, "`hardware.device`: os.system is no class of mho;"),
        ([], "`configuration`: [] is no table of fields."),
    ],
)
def test_errors_name_place_value_and_nearest_name(data, message):
    with pytest.raises(MhoError) as error:
        config.from_dict(data, kind=RunSpec)
    assert str(error.value).startswith(message)


def test_a_type_must_be_named_where_several_fit():
    with pytest.raises(MhoError, match=r"no type is named\. Needed: type = one of .*Crossbar"):
        config.from_dict({"max_in": 3})


class Mine(mho.Response):
    tau: float = 2.0

    def up(self, w):
        return 1 - w / self.tau

    def down(self, w):
        return 1 + w / self.tau


def test_a_users_own_law_is_written_but_not_rebuilt():
    data = config.to_dict(mho.Device(Mine(tau=3.0)))
    assert data["response"] == {"type": f"{__name__}.Mine", "tau": 3.0}
    with pytest.raises(MhoError, match=r"`response`: .*Mine is no class of mho; a file cannot rebuild it"):
        config.from_dict(data)


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("AnalogSGD", "analog-sgd"),
        ("TikiTakaV2", "tiki-taka-v2"),
        ("AGAD", "agad"),
        ("fashion_mnist", "fashion-mnist"),
    ],
)
def test_kebab(name, spelling):
    assert registry.kebab(name) == spelling == registry.kebab(spelling)


def test_override_sets_one_field_of_a_copy():
    first = data = config.to_dict(mho.Crossbar(device=POWER))
    for setting in ("device.response.tau=0.7", "device.spread.gamma_res=0.2", "pulses=Expected", "io=null"):
        data = config.override(data, setting)
    device = mho.Device(mho.responses.Power(tau=0.7), spread={"gain": 0.1, "tau": 0.05, "gamma_res": 0.2})
    assert config.from_dict(data) == mho.Crossbar(device=device, pulses=mho.Expected(), io=None)
    assert first == config.to_dict(mho.Crossbar(device=POWER))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("device.dw_mn=1", "`settings='device.dw_mn=1'`: Device has no 'dw_mn'. did you mean 'dw_min'?"),
        ("devise.dw_min=1", "`settings='devise.dw_min=1'`: Crossbar has no 'devise'. did you mean 'device'?"),
        ("device.dw_min.x=1", "`settings='device.dw_min.x=1'`: device.dw_min is 0.001 and has no fields."),
        ("device.spread.a.b=1", "`settings='device.spread.a.b=1'`: the table has no 'a'."),
        ("device.dw_min", "`settings='device.dw_min'`: this is no assignment."),
    ],
)
def test_override_errors(setting, message):
    with pytest.raises(MhoError) as error:
        config.override(config.to_dict(mho.Crossbar()), setting)
    assert str(error.value).startswith(message)


def test_files(tmp_path):
    (tmp_path / "a.toml").write_text('epochs = 3\n[hardware]\nalgorithm = "analog-sgd"\n')
    (tmp_path / "a.json").write_text('{"epochs": 3, "hardware": {"algorithm": "analog-sgd"}}')
    assert config.read(tmp_path / "a.toml") == config.read(tmp_path / "a.json")
    for name, text, message in (
        ("b.json", "{", "valid JSON"),
        ("b.toml", "=", "valid TOML"),
        ("c.json", "3", "table"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(MhoError, match=message):
            config.read(tmp_path / name)
    with pytest.raises(MhoError, match="cannot be read"):
        config.read(tmp_path / "absent.json")


def test_what_json_cannot_hold_is_refused():
    class Odd(mho.Response):
        extra: object = None

    with pytest.raises(MhoError, match=r"extra`: .* cannot be written as JSON"):
        config.to_dict(Odd(extra=object()))


# The registry.


@pytest.mark.parametrize(
    ("spelling", "cls"),
    [
        ("e-rider", "ERIDER"), ("erider", "ERIDER"), ("E-RIDER", "ERIDER"), ("ttv2", "TikiTakaV2"),
        ("c-ttv2", "ChoppedTikiTaka"), ("cTTv2", "ChoppedTikiTaka"), ("tt", "TikiTaka"), ("rl", "ResidualLearning"),
        ("rl-v2", "ResidualLearningV2"), ("residual_learning_v2", "ResidualLearningV2"), ("mp", "MixedPrecision"),
    ],
)  # fmt: skip
def test_spellings_of_papers_are_accepted_in_files(spelling, cls):
    spec = config.from_dict({"hardware": {"algorithm": spelling}}, kind=RunSpec)
    assert type(spec.hardware.algorithm).__name__ == cls
    assert registry.member("here", spelling, mho.Algorithm, "") is getattr(mho.algorithms, cls)


def test_a_name_of_several_is_an_error_that_lists_them():
    message = (
        r"`hardware.algorithm`: 'SGD' stands for several classes\. Fix: write analog-sgd or digital-sgd\."
    )
    with pytest.raises(MhoError, match=message):
        config.from_dict({"hardware": {"algorithm": "SGD"}}, kind=RunSpec)


def test_no_two_names_of_one_kind_are_alike():
    for kind in (mho.Algorithm, mho.Response, mho.cells.ComposedCell):
        known = registry.registered(kind)
        spellings = [registry.plain(name) for name in known]
        spellings += [registry.plain(a) for cls in known.values() for a in vars(cls).get("aliases", ())]
        twice = {name for name in spellings if spellings.count(name) > 1}
        assert twice <= {"sgd"}
    names = [cls.__name__ for cls in registry._below(registry.Record)]
    assert len(names) == len({*names})


def test_the_registry_is_what_the_rooms_export():
    assert {*registry.registered(mho.Algorithm)} == {*mho.algorithms.__all__}
    assert {*registry.registered(mho.Response)} == {*mho.responses.__all__} - {"Response", "SymmetricPoint"}
    assert {*registry.registered(mho.cells.ComposedCell)} == {"OneSided", "Reference", "Vector"}
    assert not {"Algorithm", "Response", "Cell", "Record"} & {*registry.registered()}


def test_a_users_classes_and_aliases_stay_outside():
    class Own(mho.Algorithm):
        aliases = ("power",)

    assert "Own" not in registry.registered() and "Mine" not in registry.registered()
    assert registry.find("here", "own") is None
    assert registry.find("here", "power") is mho.responses.Power


def test_only_the_class_itself_has_its_aliases():
    assert registry.find("here", "rl", mho.Algorithm) is mho.algorithms.ResidualLearning
    assert registry.find("here", "rl", mho.Response) is None
    assert registry.pick("Re-Ram_ES", mho.presets.PRESETS) == "ReRamES"
