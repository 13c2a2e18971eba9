"""Conversion of models, there and back: names and patterns, what is kept, what is refused."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import mho
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning
from mho.nn import AnalogLinear, ConversionWarning
from mho.nn.conversion.convert import ANALOG_OF
from mho.responses import Constant

PLAIN = mho.Mapping(out_scale="none")
DIGITAL = mho.Crossbar(algorithm=DigitalSGD(), io=None, mapping=PLAIN)
SGD = mho.Crossbar(algorithm=AnalogSGD())
RESIDUAL = mho.Crossbar(algorithm=ResidualLearning(fast_lr=0.1))
PERFECT = SGD.replace(io=None, device=mho.Device(Constant(tau_max=10.0, tau_min=-10.0)))
NOISY = SGD.replace(io=mho.IO(sigma_out=0.5))


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.ReLU(), nn.Linear(6, 6)), nn.Linear(6, 2))


def batch(*shape):
    return torch.randn(*(shape or (8, 6)), generator=torch.Generator().manual_seed(1))


def analog_names(converted):
    return {n for n, m in converted.named_modules(remove_duplicate=False) if isinstance(m, AnalogLinear)}


# Which layers.


@pytest.mark.parametrize(
    ("hardware", "filter_fn", "analog"),
    [
        (SGD, None, {"0", "1.1", "2"}),
        (SGD, lambda module, name: name != "0", {"1.1", "2"}),
        (SGD, lambda module, name: module.out_features == 2, {"2"}),
        ({"0": SGD, "1.1": RESIDUAL}, None, {"0", "1.1"}),
        ({"0": SGD, "1.1": RESIDUAL}, lambda module, name: name != "0", {"1.1"}),
        ({"1.*": SGD, "[02]": RESIDUAL}, None, {"0", "1.1", "2"}),
        ({"2": None, "*": SGD}, None, {"0", "1.1"}),
    ],
)
def test_conversion_of_a_model(hardware, filter_fn, analog):
    original = model()
    converted = mho.convert_(original, hardware, filter_fn)
    assert converted is original
    assert analog_names(converted) == analog
    assert sum(isinstance(m, nn.Linear) for m in converted.modules()) == 3 - len(analog)
    if isinstance(hardware, dict) and "0" in hardware:
        assert all(converted.get_submodule(name).hardware == hardware[name] for name in analog)


def test_the_first_entry_that_fits_a_name_counts():
    one, two, three = (SGD.replace(device=mho.Device(dw_min=dw)) for dw in (0.1, 0.2, 0.3))
    converted = mho.convert_(model(), {"1.1": one, "[01]*": two, "*": three})
    assert [converted.get_submodule(n).hardware for n in ("0", "1.1", "2")] == [two, one, three]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("1.2", r"no layer that can be converted has this name.* did you mean '1.1'"),
        ("layers.*", "no layer that can be converted has this name.* there are 3"),
        ("1.0", "it is a ReLU"),
    ],
)
def test_a_pattern_that_fits_nothing_is_an_error(pattern, message):
    with pytest.raises(mho.MhoError, match=message):
        mho.convert_(model(), {"0": SGD, pattern: SGD})


def test_a_wrong_type_of_hardware_is_an_error():
    for hardware in (None, mho.Device(), {"0": mho.Device()}, [SGD]):
        with pytest.raises(mho.MhoError, match=r"convert_\(hardware=\.\.\.\)"):
            mho.convert_(model(), hardware)
    with pytest.raises(mho.MhoError, match=r"a torch\.nn\.Module"):
        mho.convert_([nn.Linear(2, 2)], SGD)


class Mine(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def test_subclasses_are_left_alone_and_errors_say_so():
    converted = mho.convert_(nn.Sequential(Mine(6, 6), nn.Linear(6, 2)), SGD)
    assert type(converted[0]) is Mine
    with pytest.raises(mho.MhoError, match="'0' is a Mine, a subclass of Linear"):
        mho.convert_(nn.Sequential(Mine(6, 6)), SGD)
    with pytest.raises(mho.MhoError, match="it is a Mine, a subclass of Linear"):
        mho.convert_(nn.Sequential(Mine(6, 6), nn.Linear(6, 2)), {"0": SGD})


def test_parts_of_composite_layers_are_not_converted_by_themselves(monkeypatch):
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    class Special(Pair):
        pass

    made = []

    def make(layer, hardware, key):
        made.append(layer)
        return AnalogLinear.from_digital(layer.first, hardware, key)

    monkeypatch.setitem(ANALOG_OF, Pair, make)
    parts = nn.Sequential(Pair(), Special(), nn.Linear(6, 6))
    pair = parts[0]
    converted = mho.convert_(parts, SGD, lambda module, name: name != "0")
    assert analog_names(converted) == {"2"}
    assert analog_names(mho.convert_(parts, SGD)) == {"0", "2"}
    assert made == [pair]


def test_layers_that_are_analog_already_stay():
    once = mho.convert_(model(), SGD, lambda module, name: name == "0")
    first = once[0]
    mho.convert_(once, RESIDUAL)
    assert once[0] is first
    assert first.hardware == SGD
    assert once[2].hardware == RESIDUAL
    with pytest.raises(mho.MhoError, match=r"no module matched.*AnalogLinear"):
        mho.convert_(once, SGD)


def test_a_layer_with_two_names_is_converted_once_and_stays_one():
    original = model()
    original.again, original.box = original[0], nn.ModuleList([original[1]])
    converted = mho.convert_(original, {"again": RESIDUAL, "*": SGD})
    assert converted.again is converted[0]
    assert converted[0].hardware == RESIDUAL
    assert converted.box[0][1] is converted[1][1]
    assert analog_names(converted) == {"0", "1.1", "2", "again", "box.0.1"}
    back = mho.to_digital_(converted)
    assert back.again is back[0]
    assert type(back.box[0][1]) is nn.Linear
    assert analog_names(back) == set()


class Rows(nn.Embedding):
    """A subclass, which may read something else; see tests/test_tied.py for ties that are kept."""


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.body, self.head = (
            Rows(9, 6),
            nn.Linear(6, 6),
            nn.Linear(6, 9, bias=False),
        )
        self.head.weight = self.embedding.weight


def test_tied_weights_are_refused_and_may_stay_digital():
    tied = Tied()
    with pytest.raises(mho.MhoError, match=r"'head'.*its weight is also embedding\.weight \(tied weights\)"):
        mho.convert_(tied, SGD)
    assert type(tied.body) is nn.Linear, "nothing has been changed"
    mho.convert_(tied, {"head": None, "*": SGD})
    assert analog_names(tied) == {"body"}
    assert tied.head.weight is tied.embedding.weight


def test_two_converted_layers_with_one_weight_on_two_kinds_of_hardware_are_refused():
    tied = model()
    tied[1][1].weight = tied[0].weight
    with pytest.raises(mho.MhoError, match="tied weights"):
        mho.convert_(tied, {"0": SGD, "*": RESIDUAL})


# No half conversion.


def spoilt(kind):
    original = model()
    last = original[2]
    if kind == "weight_norm":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            nn.utils.weight_norm(last)
    elif kind == "pruning":
        prune.random_unstructured(last, "weight", amount=0.5)
    elif kind == "state hook":
        last.register_state_dict_post_hook(lambda *a: None)
    elif kind == "forward":
        last.forward = lambda x: x
    elif kind == "NaN":
        last.weight.data[0, 0] = torch.nan
    elif kind == "frozen":
        last.bias.requires_grad_(False)
        return original, SGD.replace(mapping=mho.Mapping(bias="analog"))
    return original, SGD


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("weight_norm", "layer '2'`: a WeightNorm of torch.nn.utils"),
        ("pruning", "layer '2'`: a RandomUnstructured of torch.nn.utils"),
        ("state hook", "layer '2'`: it has hooks on its state_dict"),
        ("forward", "layer '2'`: its forward was replaced on the instance"),
        ("NaN", "layer '2': .*w holds NaN"),
        ("frozen", "layer '2'`: one of its weight and its bias is frozen"),
    ],
)
def test_an_error_leaves_the_model_as_it_was(kind, message):
    original, hardware = spoilt(kind)
    before = list(original.named_modules())
    with pytest.raises(mho.MhoError, match=message):
        mho.convert_(original, hardware)
    assert list(original.named_modules()) == before


def test_hardware_that_fails_at_the_last_layer_leaves_the_model_as_it_was():
    original = model()
    before = list(original.named_modules())
    wrong = SGD.replace(device={"Q": mho.Device()})
    with pytest.raises(mho.MhoError, match=r"layer '2': .*nothing is given for 'W'"):
        mho.convert_(original, {"2": wrong, "*": SGD})
    assert list(original.named_modules()) == before


# What is kept.


def test_conversion_keeps_weights_and_mode():
    digital, analog = model().eval(), mho.convert_(model().eval(), DIGITAL)
    assert torch.equal(digital(batch()), analog(batch()))
    assert not any(module.training for module in analog.modules())
    words = "in_features=6, out_features=2, algorithm=DigitalSGD, law=SoftBounds, io=None"
    assert analog[2].extra_repr() == words


def test_conversion_of_a_single_layer():
    linear = nn.Linear(6, 4, bias=False)
    layer = mho.convert_(linear, DIGITAL)
    assert isinstance(layer, AnalogLinear)
    assert layer.bias is None
    assert torch.equal(layer.weight, linear.weight)
    assert type(mho.to_digital_(layer)) is nn.Linear


def test_the_key_names_all_cells():
    hardware = SGD.replace(device=mho.Device(spread={"gain": 0.3}))

    def gains(key):
        converted = mho.convert_(model(), hardware, key=key)
        layers = [m for m in converted.modules() if isinstance(m, AnalogLinear)]
        return [layer.matrix.blocks[0].state.W.parameters_of_cells.gain for layer in layers]

    first, again, other = gains(3), gains(3), gains(4)
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.isclose(a, c).any()
    assert not torch.isclose(first[0], first[1]).any(), "layers of one size have different cells"


SAMPLES = {
    nn.Linear: (lambda: nn.Linear(6, 4), (8, 6)),
    nn.Conv1d: (lambda: nn.Conv1d(4, 6, 3, groups=2), (2, 4, 7)),
    nn.Conv2d: (lambda: nn.Conv2d(3, 5, 3, padding=1), (2, 3, 6, 6)),
    nn.Conv3d: (lambda: nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4)),
    nn.RNN: (lambda: nn.RNN(6, 4), (5, 2, 6)),
    nn.GRU: (lambda: nn.GRU(6, 4, bidirectional=True), (5, 2, 6)),
    nn.LSTM: (lambda: nn.LSTM(6, 4, num_layers=2, batch_first=True), (5, 2, 6)),
    nn.MultiheadAttention: (lambda: nn.MultiheadAttention(6, 2), (5, 2, 6)),
}
EACH = pytest.mark.parametrize("kind", ANALOG_OF, ids=lambda kind: kind.__name__)


def sample(kind):
    torch.manual_seed(0)
    make, shape = SAMPLES[kind]
    return make(), batch(*shape)


def output(layer, x):
    y = layer(x, x, x) if "Attention" in type(layer).__name__ else layer(x)
    return y[0] if isinstance(y, tuple) else y


@EACH
@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_the_round_trip_keeps_outputs_and_weights(kind, bias):
    """Bit for bit the weights; outputs too where the sums are the same."""
    digital, x = sample(kind)
    digital.eval()
    expected = output(digital, x)
    hardware = PERFECT.replace(mapping=mho.Mapping(bias=bias))
    analog = mho.convert_(copy.deepcopy(digital), hardware)
    torch.testing.assert_close(output(analog, x), expected, rtol=1e-5, atol=1e-6)
    back = mho.to_digital_(analog)
    assert type(back) is kind
    assert not back.training
    for (name, p), (other, q) in zip(back.named_parameters(), digital.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(p, q), name
    assert torch.equal(output(back, x), expected)


@EACH
@pytest.mark.parametrize("omega", [0.0, 0.3])
def test_a_trained_layer_becomes_what_it_computes(kind, omega):
    digital, x = sample(kind)
    scaled = mho.Mapping(omega=omega, out_scale="columnwise", max_in=4, max_out=3)
    analog = mho.convert_(digital, PERFECT.replace(mapping=scaled))
    optimizer = mho.AnalogOptimizer(analog, lr=0.1)
    for _ in range(3):
        output(analog, x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    analog.eval()
    expected = output(analog, x)
    torch.testing.assert_close(output(mho.to_digital_(analog), x), expected, rtol=1e-4, atol=1e-5)


@EACH
@pytest.mark.parametrize("frozen", ["weights", "biases", "all"])
def test_frozen_parameters_stay_frozen_both_ways(kind, frozen):
    digital, x = sample(kind)
    for p in digital.parameters():
        p.requires_grad_(frozen == ("biases" if p.ndim > 1 else "weights"))
    flags = {name: p.requires_grad for name, p in digital.named_parameters()}
    analog = mho.convert_(digital, SGD)
    before = {name: value.clone() for name, value in analog.to_digital().state_dict().items()}
    if frozen != "all":
        optimizer = mho.AnalogOptimizer(analog, lr=0.5)
        output(analog, x).square().sum().backward()
        optimizer.step()
    back = mho.to_digital_(analog)
    assert {name: p.requires_grad for name, p in back.named_parameters()} == flags
    for name, p in back.named_parameters():
        if not flags[name]:
            assert torch.equal(p, before[name]), f"{name} was trained"


def test_weights_of_which_some_are_frozen_are_refused():
    lstm = nn.Linear(6, 4)
    lstm.more = nn.Parameter(torch.zeros(2, 2), requires_grad=False)
    with pytest.raises(mho.MhoError, match="are frozen and others are not"):
        mho.convert_(lstm, SGD)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtypes_of_biases_stay_and_weights_come_back_in_theirs(dtype):
    digital = model().to(dtype)
    analog = mho.convert_(copy.deepcopy(digital), PERFECT)
    x = batch().to(dtype)
    y = analog(x)
    assert y.dtype == dtype
    y.square().sum().backward()
    assert analog[0].bias.dtype == analog[0].bias.grad.dtype == dtype
    assert analog[0].matrix.blocks[0].state.W.cells.dtype == torch.float32
    back = mho.to_digital_(analog)
    for (name, p), q in zip(back.named_parameters(), digital.parameters(), strict=True):
        assert p.dtype == dtype, name
        assert torch.equal(p, q.float().to(dtype)), name


def test_hooks_move_with_the_layer_and_their_handles_still_remove_them():
    original, seen = model(), []
    handles = [
        original[0].register_forward_hook(lambda m, x, y: seen.append("forward")),
        original[0].register_forward_pre_hook(lambda m, x: seen.append("pre")),
        original[0].register_full_backward_hook(lambda m, x, y: seen.append("backward")),
        original[0].register_forward_hook(lambda m, a, k, y: seen.append("keywords"), with_kwargs=True),
    ]
    for change in (lambda: mho.convert_(original, SGD), lambda: mho.to_digital_(original)):
        change()
        seen.clear()
        original(batch().requires_grad_()).sum().backward()
        assert seen == ["pre", "forward", "keywords", "backward"]
    mho.convert_(original, SGD)
    for handle in handles:
        handle.remove()
    seen.clear()
    original(batch().requires_grad_()).sum().backward()
    assert seen == []


def test_names_in_a_state_dict():
    """What docs/layers.md says of them."""
    names = set(mho.convert_(nn.Sequential(nn.Linear(6, 2)), SGD).state_dict())
    assert {"0.bias", "0.matrix.blocks.0.out_scale", "0.matrix.blocks.0.state.W.cells"} <= names
    back = mho.to_digital_(mho.convert_(model(), SGD))
    assert list(back.state_dict()) == list(model().state_dict())


def test_weights_beyond_the_bounds_are_a_warning():
    original = model()
    original[2].weight.data *= 10
    with pytest.warns(ConversionWarning, match=r"layer '2' by \d+% .*omega"):
        mho.convert_(copy.deepcopy(original), SGD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mho.convert_(original, SGD.replace(mapping=mho.Mapping(omega=0.5)))


def test_a_digital_model_cannot_become_digital():
    with pytest.raises(mho.MhoError, match="the model has no analog layer"):
        mho.to_digital_(model())


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_transformers_do_not_slip_past_the_converters(activation):
    """In eval mode and without gradients torch has a fused path that takes the weights and multiplies by itself."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation=activation, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    x = batch(2, 3, 8)
    flags = [part.activation_relu_or_gelu for part in encoder.layers]
    assert all(flags)
    mho.convert_(encoder, NOISY, lambda module, name: "linear" in name)
    with torch.no_grad():
        assert not torch.equal(encoder(x), encoder(x)), "the noise of two evaluations differs"
    mho.to_digital_(encoder)
    assert [part.activation_relu_or_gelu for part in encoder.layers] == flags
