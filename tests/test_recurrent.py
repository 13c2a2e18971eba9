"""Analog recurrent layers against torch.nn: forms of input, states, training; and what is analog in them."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

import mho
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.nn import AnalogGRU, AnalogLinear, AnalogLSTM, AnalogRNN
from mho.nn.recurrent.direction import Direction

PLAIN = mho.Mapping(out_scale="none")
IDEAL = mho.Crossbar(
    algorithm=AnalogSGD(),
    device=mho.Device(mho.responses.Constant(tau_max=10.0, tau_min=-10.0)),
    io=None,
    pulses=mho.Expected(),
    mapping=PLAIN,
)
NOISY = mho.Crossbar(
    algorithm=ResidualLearning(fast_lr=0.1),
    device=mho.Device(mho.responses.SoftBounds(), sigma_c2c=0.1, spread={"gain": 0.2}),
    mapping=mho.Mapping(max_in=8),
)
UNROUNDED = NOISY.replace(io=mho.IO(inp_res=0.0, out_res=0.0))
"""With noise, but no converter that makes a large difference of a small one."""
KINDS = {
    "tanh": (AnalogRNN, {}),
    "relu": (AnalogRNN, {"nonlinearity": "relu"}),
    "lstm": (AnalogLSTM, {}),
    "projected lstm": (AnalogLSTM, {"proj_size": 3}),
    "gru": (AnalogGRU, {}),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def pair(kind, hardware=IDEAL, input_size=6, hidden_size=5, **options):
    """A torch layer and its analog counterpart."""
    cls, more = KINDS[kind]
    torch.manual_seed(0)
    digital = cls.digital(input_size, hidden_size, **options, **more)
    return digital, cls.from_digital(digital, hardware, key=1)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def directions(layer):
    return [module for module in layer.modules() if isinstance(module, Direction)]


def matrices(layer):
    return [module for module in layer.modules() if isinstance(module, AnalogLinear)]


def flat(results):
    """All tensors in the outputs and states of a layer."""
    if isinstance(results, torch.Tensor):
        return [results]
    return [t for part in results if part is not None for t in flat(part)]


def states(layer, samples=4, single=False):
    """Initial states as the layer takes them."""
    n = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size]
    found = [
        numbers(n, samples, size, seed=7 + size)
        for size in sizes[: 1 + isinstance(layer, (nn.LSTM, AnalogLSTM))]
    ]
    found = [part[:, 0] for part in found] if single else found
    return tuple(found) if len(found) > 1 else found[0]


def gradients(layer):
    """By the names of the torch layer."""
    found = {}
    for direction in directions(layer):
        for name, part in direction.named_children():
            [block] = part.matrix.blocks
            found[f"weight_{name}_{direction.place}"] = block.weight.grad
            if part.bias is not None:
                found[f"bias_{name}_{direction.place}"] = part.bias.grad
    return found


def train(layer, steps, lr=0.1, optimizer=None):
    """Losses of a few steps; the state is carried on from step to step, without its gradient."""
    optimizer = optimizer or mho.AnalogOptimizer(layer, lr=lr)
    losses, carried = [], None
    for step in steps:
        optimizer.zero_grad()
        y, carried = layer(numbers(7, 3, 6, seed=step), carried)
        loss = (y - numbers(*y.shape, seed=100 + step)).square().mean()
        loss.backward()
        optimizer.step()
        carried = tuple(part.detach() for part in carried) if isinstance(carried, tuple) else carried.detach()
        losses.append(loss.item())
    return losses


# Against torch.

OPTIONS = {
    "plain": {},
    "two layers, both ways": {"num_layers": 2, "bidirectional": True},
    "batch first": {"num_layers": 2, "batch_first": True},
    "no bias": {"bias": False, "bidirectional": True, "batch_first": True},
}
LENGTHS = {"sorted": [7, 7, 3, 1], "unsorted": [3, 7, 1, 7]}


def as_form(form, batch_first):
    """Sequences of at most 7 steps, 4 of them or one."""
    x = numbers(4, 7, 6) if batch_first else numbers(7, 4, 6)
    if form == "single":
        return numbers(7, 6)
    if form == "batch":
        return x
    return pack_padded_sequence(x, torch.tensor(LENGTHS[form]), batch_first, enforce_sorted=form == "sorted")


@EVERY_KIND
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("form", ["batch", "single", "sorted", "unsorted"])
@pytest.mark.parametrize("given", [False, True], ids=["from zero", "from states"])
def test_outputs_states_and_gradients_are_those_of_torch(kind, options, form, given):
    results = []
    for layer in pair(kind, **options):
        x = as_form(form, layer.batch_first)
        data = (x.data if isinstance(x, PackedSequence) else x).requires_grad_()
        hx = states(layer, single=form == "single") if given else None
        leaves = [data, *(part.requires_grad_() for part in flat(hx if given else ()))]
        y, last = layer(x, hx)
        if isinstance(x, PackedSequence):
            assert isinstance(y, PackedSequence)
            assert all(a is b for a, b in zip(y[1:], x[1:], strict=True))
        outputs = [*flat(y)[:1], *flat(last)]
        sum((out * numbers(*out.shape, seed=n)).sum() for n, out in enumerate(outputs)).backward()
        results.append(([*outputs, *(leaf.grad for leaf in leaves)], layer))
    (expected, digital), (found, analog) = results
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    of_weights = gradients(analog)
    assert of_weights.keys() == dict(digital.named_parameters()).keys()
    for name, p in digital.named_parameters():
        torch.testing.assert_close(of_weights[name], p.grad, rtol=1e-5, atol=1e-5, msg=name)


@EVERY_KIND
@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_ideal_training_is_torch_sgd_for_20_steps(kind, bias):
    mapping = PLAIN.replace(bias=bias)
    digital, analog = pair(kind, IDEAL.replace(mapping=mapping), num_layers=2, bidirectional=True)
    before = copy.deepcopy(digital.state_dict())
    optimizer = torch.optim.SGD(digital.parameters(), lr=0.5)
    expected, found = train(digital, range(20), optimizer=optimizer), train(analog, range(20), lr=0.5)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0, atol=1e-5)
    weights = analog.to_digital().state_dict()
    assert weights.keys() == before.keys()
    for name, w in digital.state_dict().items():
        assert (w - before[name]).abs().max() > 2e-4, name
        torch.testing.assert_close(weights[name], w, rtol=0, atol=1e-5, msg=name)


@EVERY_KIND
def test_sub_tiles_give_the_sums_of_one_array(kind):
    mapping = PLAIN.replace(max_in=4, max_out=3, omega=0.5)
    digital, analog = pair(kind, IDEAL.replace(mapping=mapping), bidirectional=True)
    assert len(matrices(analog)[0].matrix.blocks) > 2
    for a, b in zip(flat(analog(numbers(7, 4, 6))), flat(digital(numbers(7, 4, 6))), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


# Forms of input.


@EVERY_KIND
def test_a_sequence_without_samples_is_a_batch_of_one(kind):
    """Bit for bit, noise included."""
    one, other = (pair(kind, NOISY, bidirectional=True)[1] for _ in range(2))
    x = numbers(7, 6)
    for a, b in zip(flat(one(x)), flat(other(x[:, None])), strict=True):
        assert torch.equal(a, b[:, 0])
    found, expected = one(x, states(one, 1, single=True)), other(x[:, None], states(one, 1))
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert torch.equal(a, b[:, 0])


@EVERY_KIND
def test_packed_sequences_of_one_length_are_a_batch(kind):
    """Bit for bit, noise included, for both orders of dimensions."""
    results = []
    for batch_first in (False, True):
        x = numbers(7, 3, 6)
        x = x.transpose(0, 1) if batch_first else x
        plain, packed = (pair(kind, NOISY, bidirectional=True, batch_first=batch_first)[1] for _ in range(2))
        y, last = plain(x)
        z, packed_last = packed(pack_padded_sequence(x, [7] * 3, batch_first))
        z, _ = pad_packed_sequence(z, batch_first)
        assert torch.equal(y, z)
        assert all(torch.equal(a, b) for a, b in zip(flat(last), flat(packed_last), strict=True))
        results.append(y.transpose(0, 1) if batch_first else y)
    assert torch.equal(*results)


@EVERY_KIND
def test_packed_sequences_are_each_as_if_alone(kind):
    _, layer = pair(kind, num_layers=2, bidirectional=True)
    sequences = [numbers(length, 6, seed=length) for length in (2, 5, 1, 4)]
    y, last = layer(pack_sequence(sequences, enforce_sorted=False))
    padded, lengths = pad_packed_sequence(y)
    assert lengths.tolist() == [2, 5, 1, 4]
    for n, x in enumerate(sequences):
        alone, of_alone = layer(x)
        torch.testing.assert_close(padded[: len(x), n], alone, rtol=1e-5, atol=1e-6)
        for a, b in zip(flat(last), flat(of_alone), strict=True):
            torch.testing.assert_close(a[:, n], b, rtol=1e-5, atol=1e-6)


@EVERY_KIND
def test_a_batch_without_samples(kind):
    digital, analog = pair(kind, NOISY, bidirectional=True)
    for a, b in zip(flat(analog(numbers(7, 0, 6))), flat(digital(numbers(7, 0, 6))), strict=True):
        assert a.shape == b.shape


@EVERY_KIND
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_outputs_and_states_have_the_dtype_of_the_input(kind, dtype):
    """They are computed in float32, so those of half inputs are the nearest to what float32 inputs give."""
    _, layer = pair(kind)
    x, hx = numbers(7, 4, 6).to(dtype), states(pair(kind)[0])
    x.requires_grad_()
    found = flat(layer(x, hx))
    expected = flat(layer(x.detach().float(), hx))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == dtype
        assert torch.equal(a, b.to(dtype))
    found[0].sum().backward()
    assert x.grad.dtype == dtype


def test_layers_of_half_precision_convert():
    lstm = nn.LSTM(6, 5).bfloat16()
    analog = AnalogLSTM.from_digital(lstm, IDEAL)
    y, _ = analog(numbers(7, 4, 6).bfloat16())
    torch.testing.assert_close(y, lstm(numbers(7, 4, 6).bfloat16())[0], rtol=0.02, atol=0.02)


ERRORS = {
    "features": (lambda m: m(numbers(7, 4, 5)), r"\(7, 4, 5\).*\(time, samples, input_size=6\)"),
    "dimensions": (lambda m: m(numbers(6)), r"the input has shape \(6,\)"),
    "four dimensions": (lambda m: m(numbers(1, 7, 4, 6)), r"the input has shape \(1, 7, 4, 6\)"),
    "no step": (lambda m: m(numbers(0, 4, 6)), "must have a time step"),
    "packed features": (lambda m: m(pack_sequence([numbers(7, 5)])), r"\(7, 5\)"),
    "no pair": (lambda m: m(numbers(7, 4, 6), numbers(1, 4, 5)), r"hx is of type Tensor.*pair \(h_0, c_0\)"),
    "not tensors": (lambda m: m(numbers(7, 4, 6), (1, 2)), "h_0 is of type int.*a tensor"),
    "samples": (
        lambda m: m(numbers(7, 4, 6), (numbers(1, 4, 5), numbers(1, 3, 5))),
        r"c_0 has shape \(1, 3, 5\).*\(1, 4, 5\)",
    ),
    "state of a batch": (
        lambda m: m(numbers(7, 6), (numbers(1, 1, 5), numbers(1, 5))),
        r"h_0 has shape \(1, 1, 5\).*\(1, 5\)",
    ),
    "hardware": (lambda m: AnalogLSTM(6, 5, hardware=mho.Device()), r"AnalogLSTM\(hardware=...\).*Crossbar"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_inputs_are_errors_that_name_the_shape(case):
    call, message = ERRORS[case]
    with pytest.raises(mho.MhoError, match=message):
        call(AnalogLSTM(6, 5, hardware=IDEAL))


@EVERY_KIND
def test_dropout_is_that_of_torch(kind):
    """Between layers, in training: the same mask from the same seed."""
    digital, analog = pair(kind, num_layers=3, dropout=0.4)
    outputs = []
    for layer in (digital, analog):
        torch.manual_seed(3)
        outputs.append([layer(numbers(7, 4, 6))[0], layer.eval()(numbers(7, 4, 6))[0]])
    assert (outputs[0][0] - outputs[0][1]).abs().max() > 0.01
    for expected, found in zip(*outputs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


# Construction and conversion.


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        (AnalogRNN, (6, 5, 2, "relu", False, True, 0.25, True)),
        (AnalogLSTM, (6, 5, 2, False, True, 0.25, True, 3)),
        (AnalogGRU, (6, 5, 2, False, True, 0.25, True)),
    ],
)
def test_arguments_are_in_the_order_of_torch(cls, given):
    torch.manual_seed(0)
    analog = cls(*given, hardware=IDEAL)
    torch.manual_seed(0)
    digital = cls.digital(*given)
    back = analog.to_digital()
    assert repr(back) == repr(digital)
    assert type(back) is cls.digital
    for name, p in digital.named_parameters():
        assert torch.equal(back.get_parameter(name), p), name
    back.flatten_parameters()
    analog.flatten_parameters()
    torch.testing.assert_close(back.eval()(numbers(2, 7, 6)), digital.eval()(numbers(2, 7, 6)))
    assert "num_layers=2, bias=False, batch_first=True, dropout=0.25, bidirectional=True" in repr(analog)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.out = nn.Embedding(9, 6), nn.LSTM(6, 5, 2), nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.lstm(self.embedding(x))[0])


def test_conversion_of_a_model_and_back():
    torch.manual_seed(0)
    model = Tagger()
    x = torch.arange(9)[:, None]
    before, state = model(x), copy.deepcopy(model.state_dict())
    mho.convert_(model, IDEAL)
    kinds = [type(part).__name__ for part in model.children()]
    assert kinds == ["Embedding", "AnalogLSTM", "AnalogLinear"]
    torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-6)
    assert isinstance(model.get_submodule("lstm.layers.1.forward_.hh"), AnalogLinear)
    mho.to_digital_(model)
    assert type(model.lstm) is nn.LSTM
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


# What is analog in it.


def test_every_matrix_has_its_own_cells():
    layers = [AnalogLSTM(5, 5, 2, bidirectional=True, hardware=NOISY, key=key) for key in (3, 3, 4)]
    keys = [[part.matrix.blocks[0].key for part in matrices(layer)] for layer in layers]
    assert len(set(keys[0])) == len(keys[0]) == 8
    assert keys[0] == keys[1]
    assert not set(keys[0]) & set(keys[2])


@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_factors_are_in_the_order_of_time_step_and_sample(bias):
    _, layer = pair("lstm", IDEAL.replace(mapping=PLAIN.replace(bias=bias)), bidirectional=True)
    x = numbers(7, 4, 6)
    y, _ = layer(x)
    y.square().sum().backward()
    h = y.detach()
    for direction, before in zip(
        directions(layer),
        (
            torch.cat([torch.zeros(1, 4, 5), h[:-1, :, :5]]),
            torch.cat([torch.zeros(1, 4, 5), h.flip(0)[:-1, :, 5:]]),
        ),
        strict=True,
    ):
        [of_input] = direction.ih.matrix.blocks[0].factors
        assert torch.equal(of_input.x[:, :6], x.reshape(-1, 6)), "one product, time step by time step"
        calls = direction.hh.matrix.blocks[0].factors
        assert len(calls) == 7
        for n, factors in enumerate(calls):
            assert torch.equal(factors.x[:, :5], before[n]), "one product a step, in the order of the steps"
        if bias == "analog":
            assert (of_input.x[:, 6] == 1).all()
            assert all((factors.x[:, 5] == 1).all() for factors in calls)


def test_noise_is_new_in_each_step_and_call():
    """With no input and no recurrence from it, each step would be the same."""
    hardware = IDEAL.replace(io=mho.IO(noise_management="none", sigma_out=0.1))
    layer = AnalogRNN(3, 4, bias=False, hardware=hardware).eval()
    with torch.no_grad():
        y, z = layer(torch.zeros(9, 1, 3))[0], layer(torch.zeros(9, 1, 3))[0]
    every = torch.cat([y, z]).reshape(18, 4)
    assert len({tuple(row) for row in every.tolist()}) == 18


@EVERY_KIND
@pytest.mark.parametrize("bias", ["digital", "analog"])
@pytest.mark.parametrize("form", ["batch", "unsorted"])
def test_hooks_on_matrices_see_each_step_and_change_nothing(kind, bias, form):
    """With hooks the steps run module by module, without them in one node: the same noise, the same factors."""
    mapping = mho.Mapping(max_in=3, bias=bias, out_scale="columnwise")
    results, seen = [], []
    for hooked in (False, True):
        _, layer = pair(kind, UNROUNDED.replace(mapping=mapping), num_layers=2, bidirectional=True)
        if hooked:
            for direction in directions(layer):
                direction.hh.register_forward_hook(lambda module, x, y: seen.append(len(y)))
        x = as_form(form, False)
        data = (x.data if isinstance(x, PackedSequence) else x).requires_grad_()
        y, last = layer(x, states(layer))
        sum((out * numbers(*out.shape, seed=n)).sum() for n, out in enumerate(flat((y[0], last)))).backward()
        results.append([*flat((y[0], last)), data.grad, *(p.grad for p in layer.parameters())])
    assert len(seen) == 4 * 7
    assert sum(seen) == 4 * (28 if form == "batch" else sum(LENGTHS[form]))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert torch.equal(results[0][0], results[1][0])


@EVERY_KIND
def test_layers_compile(kind):
    results = []
    for compiled in (False, True):
        _, layer = pair(kind, UNROUNDED)
        x = numbers(3, 2, 6).requires_grad_()
        y, _ = (torch.compile(layer, backend="aot_eager", fullgraph=True) if compiled else layer)(x)
        y.square().sum().backward()
        factors = [f for part in matrices(layer) for block in part.matrix.blocks for f in block.factors]
        results.append([y.detach(), x.grad, *(t for f in factors for t in f)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@EVERY_KIND
def test_evaluation_does_not_change_a_training(kind):
    one, other = (pair(kind, NOISY)[1] for _ in range(2))
    assert train(one, range(1)) == train(other, range(1))
    with torch.no_grad():
        other.eval()(numbers(3, 2, 6))
        other.train()
    assert train(one, range(1, 3)) == train(other, range(1, 3))


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda layer: pickle.loads(pickle.dumps(layer))}


@EVERY_KIND
@pytest.mark.parametrize("way", COPIES)
def test_copies_of_a_trained_layer_continue_by_themselves(kind, way):
    _, layer = pair(kind, NOISY, num_layers=2, bidirectional=True)
    train(layer, range(2))
    other = COPIES[way](layer)
    losses = train(layer, range(2, 5))
    after = layer.to_digital().state_dict()
    assert train(other, range(2, 5)) == losses
    train(other, range(5, 6))
    for name, w in layer.to_digital().state_dict().items():
        assert torch.equal(w, after[name]), "the copy shares no memory with the original"


@EVERY_KIND
def test_a_checkpoint_continues_bit_for_bit(kind):
    layers = [pair(kind, NOISY, num_layers=2, bidirectional=True)[1] for _ in range(2)]
    train(layers[0], range(2))
    saved = copy.deepcopy(layers[0].state_dict())
    losses = train(layers[0], range(2, 5))
    train(layers[1], range(20, 21))
    layers[1].load_state_dict(saved)
    assert train(layers[1], range(2, 5)) == losses
    for name, value in layers[0].state_dict().items():
        assert torch.equal(value, layers[1].state_dict()[name]), name


@EVERY_KIND
def test_activation_checkpoints_replay_the_noise(kind):
    results = []
    for again in (False, True):
        _, layer = pair(kind, NOISY, bidirectional=True)
        x = numbers(7, 4, 6).requires_grad_()
        y = checkpoint(layer, x, use_reentrant=False)[0] if again else layer(x)[0]
        y.square().sum().backward()
        factors = [f for part in matrices(layer) for block in part.matrix.blocks for f in block.factors]
        results.append([y.detach(), x.grad, *(t for f in factors for t in f)])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
