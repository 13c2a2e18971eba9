"""Analog attention against torch.nn, and torch's transformers with analog parts: none may pass the hardware by."""

import copy
import pickle

import pytest
import torch
from torch import nn

import mho
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.nn import AnalogLinear, AnalogMultiheadAttention

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
    mapping=mho.Mapping(max_in=5, max_out=5),
)
L, S, N, E, HEADS = 3, 5, 4, 8, 2
PARTS = ("q_proj", "k_proj", "v_proj", "out_proj")


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(hardware=IDEAL, **options):
    """A torch layer, biases included that are not zero, and its analog counterpart."""
    torch.manual_seed(0)
    digital = nn.MultiheadAttention(E, HEADS, **options)
    for name, p in digital.named_parameters():
        if "bias" in name:
            nn.init.normal_(p)
    return digital, AnalogMultiheadAttention.from_digital(digital, hardware, key=1)


def inputs(layer, batched=True):
    """Query, key and value in the layer's order of dimensions."""
    shapes = (L, N, E), (S, N, layer.kdim), (S, N, layer.vdim)
    parts = [numbers(*shape, seed=n) for n, shape in enumerate(shapes)]
    if not batched:
        return [part[:, 0] for part in parts]
    return [part.transpose(0, 1).contiguous() if layer.batch_first else part for part in parts]


def gradients(layer):
    """By the names of the torch layer."""
    weights = {name: getattr(layer, name).matrix.blocks[0].weight.grad for name in PARTS}
    if layer.kdim == layer.vdim == E:
        found = {"in_proj_weight": torch.cat([weights[name] for name in PARTS[:3]])}
    else:
        found = {f"{name}_weight": weights[name] for name in PARTS[:3]}
    found["out_proj.weight"] = weights["out_proj"]
    if layer.out_proj.bias is not None:
        found["in_proj_bias"] = torch.cat([getattr(layer, name).bias.grad for name in PARTS[:3]])
        found["out_proj.bias"] = layer.out_proj.bias.grad
    if layer.bias_k is not None:
        found |= {"bias_k": layer.bias_k.grad, "bias_v": layer.bias_v.grad}
    return found


def assert_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        if a is not None or b is not None:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


# Against torch.

OPTIONS = {
    "plain": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "other sizes": {"kdim": 3, "vdim": 6, "batch_first": True},
    "one more": {"add_bias_kv": True},
    "one and zero more": {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True, "kdim": 3},
}
EVERY_OPTION = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
CAUSAL = torch.triu(torch.ones(L, S, dtype=torch.bool), 1)
PADDING = torch.arange(S) >= torch.tensor([5, 4, 1, 2])[:, None]
MASKS = {
    "none": {},
    "padding": {"key_padding_mask": PADDING},
    "causal": {"attn_mask": CAUSAL},
    "both": {"key_padding_mask": PADDING, "attn_mask": CAUSAL},
    "numbers": {"key_padding_mask": -9.0 * PADDING, "attn_mask": numbers(N * HEADS, L, S, seed=5)},
    "each": {"attn_mask": numbers(N * HEADS, L, S, seed=6) > 1},
}


@EVERY_OPTION
@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("weights", [None, "averaged", "of each head"])
def test_outputs_weights_and_gradients_are_those_of_torch(options, masks, weights):
    results = []
    digital, analog = pair(**options)
    for layer in (digital, analog):
        leaves = [x.requires_grad_() for x in inputs(layer)]
        how = {"need_weights": weights is not None, "average_attn_weights": weights == "averaged"}
        y, w = layer(*leaves, **masks, **how)
        loss = (y * numbers(*y.shape, seed=7)).sum()
        if w is not None:
            loss = loss + (w * numbers(*w.shape, seed=8)).sum()
        loss.backward()
        results.append([y, w, *(x.grad for x in leaves)])
    assert_close(results[1], results[0])
    found = gradients(analog)
    assert found.keys() == dict(digital.named_parameters()).keys()
    for name, p in digital.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=1e-5, atol=1e-5, msg=name)


@EVERY_OPTION
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_inputs_without_samples(options, masked, need_weights):
    """As in torch, and bit for bit as a batch of one."""
    masks = {"key_padding_mask": PADDING[1], "attn_mask": CAUSAL.repeat(HEADS, 1, 1)} if masked else {}
    digital, analog = pair(**options)
    x = inputs(analog, batched=False)
    assert_close(*(layer(*x, need_weights=need_weights, **masks) for layer in (analog, digital)))
    one, other = (pair(NOISY, **options)[1] for _ in range(2))
    dim = 0 if analog.batch_first else 1
    batch = {"key_padding_mask": PADDING[1][None]} if masked else {}
    y, w = one(*x, **masks)
    z, of_batch = other(*(part.unsqueeze(dim) for part in x), **(masks | batch))
    assert torch.equal(y, z.squeeze(dim))
    assert torch.equal(w, of_batch[0])


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("options", [{}, {"add_zero_attn": True}])
def test_the_causal_hint_changes_nothing(need_weights, options):
    _, layer = pair(**options)
    x = numbers(L, N, E)
    mask = nn.Transformer.generate_square_subsequent_mask(L)
    found = layer(x, x, x, attn_mask=mask, is_causal=True, need_weights=need_weights)
    assert_close(found, layer(x, x, x, attn_mask=mask, need_weights=need_weights))
    assert not torch.allclose(found[0], layer(x, x, x)[0])


def train(layer, steps, optimizer):
    """Losses of a few steps."""
    losses = []
    for step in steps:
        optimizer.zero_grad()
        y = layer(*(x.roll(step, 0) for x in inputs(layer)))[0]
        loss = (y - numbers(*y.shape, seed=100 + step)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@EVERY_OPTION
@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_ideal_training_is_torch_sgd_for_20_steps(options, bias):
    digital, analog = pair(IDEAL.replace(mapping=PLAIN.replace(bias=bias)), **options)
    before = copy.deepcopy(digital.state_dict())
    expected = train(digital, range(20), torch.optim.SGD(digital.parameters(), lr=0.05))
    found = train(analog, range(20), mho.AnalogOptimizer(analog, lr=0.05))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0, atol=1e-5)
    weights = analog.to_digital().state_dict()
    assert weights.keys() == before.keys()
    for name, w in digital.state_dict().items():
        assert (w - before[name]).abs().max() > 1e-3, name
        torch.testing.assert_close(weights[name], w, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("need_weights", [False, True])
def test_results_have_the_dtype_of_the_query(dtype, need_weights):
    digital, analog = pair(add_bias_kv=True)
    digital.to(dtype)
    x = [part.to(dtype) for part in inputs(digital)]
    found = analog(*x, attn_mask=CAUSAL, need_weights=need_weights)
    expected = digital(*x, attn_mask=CAUSAL, need_weights=need_weights)
    for a, b in zip(found, expected, strict=True):
        if b is not None:
            assert a.dtype == b.dtype == dtype
            torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("need_weights", [False, True])
def test_dropout_is_that_of_torch(need_weights):
    """Of attention weights, in training: the same mask from the same seed."""
    results = []
    for layer in pair(dropout=0.5):
        torch.manual_seed(3)
        results.append([layer(*inputs(layer), need_weights=need_weights)[0], layer.eval()(*inputs(layer))[0]])
    assert (results[0][0] - results[0][1]).abs().max() > 0.01
    assert_close(*results)


ERRORS = {
    "query": (
        lambda m: m(numbers(L, N, 7), *inputs(m)[1:]),
        r"query has shape \(3, 4, 7\).*\(positions, N, 8\)",
    ),
    "key": (lambda m: m(*inputs(m)[:2], numbers(S, E)), r"value has shape \(5, 8\)"),
    "samples": (
        lambda m: m(numbers(L, 9, E), *inputs(m)[1:]),
        "query has 9 samples of 3 positions, key has 4",
    ),
    "positions": (
        lambda m: m(*inputs(m)[:2], numbers(6, N, E)),
        "value has 4 samples of 6 positions.*must agree",
    ),
    "padding": (
        lambda m: m(*inputs(m), PADDING.mT),
        r"key_padding_mask has shape \(5, 4\).*\(N, S\) = \(4, 5\)",
    ),
    "mask": (
        lambda m: m(*inputs(m), attn_mask=CAUSAL.mT),
        r"attn_mask has shape \(5, 3\).*\(3, 5\).*\(8, 3, 5\)",
    ),
    "whole numbers": (lambda m: m(*inputs(m), PADDING.long()), "a mask has dtype torch.int64"),
    "hint": (lambda m: m(*inputs(m), is_causal=True), "is_causal is given without attn_mask.*Fix: make it"),
    "nested": (
        lambda m: m(*[torch.nested.as_nested_tensor([numbers(L, E)])] * 3),
        "nested.*use_nested_tensor",
    ),
    "hardware": (
        lambda m: AnalogMultiheadAttention(E, HEADS, hardware=None),
        r"AnalogMultiheadAttention\(hardware=...\).*NoneType.*Crossbar",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_wrong_inputs_are_errors_that_say_what_is_right(case):
    call, message = ERRORS[case]
    with pytest.raises(mho.MhoError, match=message):
        call(pair()[1])


# Construction.


def test_arguments_are_in_the_order_of_torch():
    given = E, HEADS, 0.25, True, True, True, 3, 6, True
    torch.manual_seed(0)
    analog = AnalogMultiheadAttention(*given, hardware=IDEAL)
    torch.manual_seed(0)
    digital = nn.MultiheadAttention(*given)
    back = analog.to_digital()
    assert type(back) is nn.MultiheadAttention
    for name, value in vars(digital).items():
        if not name.startswith("_") or name == "_qkv_same_embed_dim":
            assert getattr(back, name) == value, name
    for name, p in digital.named_parameters():
        assert torch.equal(back.get_parameter(name), p), name
    assert "8, num_heads=2, algorithm=AnalogSGD" in repr(analog)


def test_every_matrix_has_its_own_cells():
    layers = [AnalogMultiheadAttention(E, HEADS, hardware=NOISY, key=key) for key in (3, 3, 4)]
    keys = [[getattr(layer, name).matrix.blocks[0].key for name in PARTS] for layer in layers]
    assert len(set(keys[0])) == 4
    assert keys[0] == keys[1]
    assert not set(keys[0]) & set(keys[2])


@pytest.mark.parametrize("batch_first", [False, True])
def test_samples_are_in_the_order_of_the_input(batch_first):
    _, layer = pair(batch_first=batch_first)
    x = inputs(layer)
    layer(*x)[0].sum().backward()
    for name, part in zip(PARTS, x, strict=False):
        [factors] = getattr(layer, name).matrix.blocks[0].factors
        assert torch.equal(factors.x, part.reshape(-1, E))


# Copies and checkpoints.

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda layer: pickle.loads(pickle.dumps(layer))}


def train_noisy(layer, steps):
    return train(layer, steps, mho.AnalogOptimizer(layer, lr=0.05))


@pytest.mark.parametrize("way", COPIES)
def test_copies_of_a_trained_layer_continue_by_themselves(way):
    _, layer = pair(NOISY, add_bias_kv=True)
    train_noisy(layer, range(2))
    other = COPIES[way](layer)
    losses = train_noisy(layer, range(2, 5))
    after = layer.to_digital().state_dict()
    assert train_noisy(other, range(2, 5)) == losses
    train_noisy(other, range(5, 6))
    for name, w in layer.to_digital().state_dict().items():
        assert torch.equal(w, after[name]), "the copy shares no memory with the original"


def test_a_checkpoint_continues_bit_for_bit():
    layers = [pair(NOISY, add_bias_kv=True)[1] for _ in range(2)]
    train_noisy(layers[0], range(2))
    saved = copy.deepcopy(layers[0].state_dict())
    losses = train_noisy(layers[0], range(2, 5))
    train_noisy(layers[1], range(20, 21))
    layers[1].load_state_dict(saved)
    assert train_noisy(layers[1], range(2, 5)) == losses
    for name, value in layers[0].state_dict().items():
        assert torch.equal(value, layers[1].state_dict()[name]), name


# Transformers.

FULL = torch.zeros(N, S, dtype=torch.bool)
LOUD = IDEAL.replace(io=mho.IO(sigma_out=0.1))
FUSED = ("_transformer_encoder_layer_fwd", "_native_multi_head_attention", "_nested_tensor_from_mask")


def transformer(kind, **options):
    """A model of (sequences, padding mask)."""
    torch.manual_seed(0)
    shape = {"dim_feedforward": 16, "batch_first": True, "dropout": 0.0} | options
    if kind == "transformer":
        return nn.Transformer(E, HEADS, 2, 2, **shape)
    if kind == "decoder layer":
        return nn.TransformerDecoderLayer(E, HEADS, **shape)
    layer = nn.TransformerEncoderLayer(E, HEADS, **shape)
    return layer if kind == "encoder layer" else nn.TransformerEncoder(layer, 2)


def run(model, x, mask):
    if isinstance(model, nn.Transformer):
        return model(x, x, src_key_padding_mask=mask, memory_key_padding_mask=mask, tgt_key_padding_mask=mask)
    if isinstance(model, nn.TransformerDecoderLayer):
        return model(x, x, tgt_key_padding_mask=mask, memory_key_padding_mask=mask)
    return model(x, src_key_padding_mask=mask)


def outputs(model, mask, grad=False):
    with torch.set_grad_enabled(grad):
        return run(model, numbers(N, S, E), mask).detach()


@pytest.fixture
def fused(monkeypatch):
    """Counts calls of torch's fused inference."""
    calls = []

    def counted(name, function):
        def call(*args, **kwargs):
            calls.append(name)
            return function(*args, **kwargs)

        return call

    for name in FUSED:
        monkeypatch.setattr(torch, name, counted(name, getattr(torch, name)))
    return calls


TRANSFORMERS = ["encoder layer", "encoder", "decoder layer", "transformer"]
WHICH = {
    "all": lambda module, name: True,
    "attention": lambda module, name: name.endswith("attn"),
    "feed forward": lambda module, name: "linear" in name,
    "one matrix": lambda module, name: name.endswith(("layers.1.linear2", "layers.0.linear1", "linear1")),
    "one matrix of the last layer": lambda module, name: name.endswith("1.linear2") or name == "linear2",
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("kind", ["encoder layer", "encoder", "transformer"])
def test_digital_transformers_take_the_fused_inference(kind, fused):
    """The control: without analog layers, these conditions are those in which torch takes it."""
    model = transformer(kind).eval()
    outputs(model, PADDING)
    assert "_transformer_encoder_layer_fwd" in fused
    assert ("_nested_tensor_from_mask" in fused) == (kind != "encoder layer")


@pytest.mark.parametrize("kind", TRANSFORMERS)
@pytest.mark.parametrize("which", WHICH)
def test_transformers_do_not_pass_the_hardware_by(kind, which, fused):
    """In training and in evaluation, with and without gradients, with and without a mask: each call has noise."""
    model = mho.convert_(transformer(kind), LOUD, WHICH[which])
    for each in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for training in (True, False):
            each.train(training)
            for mask in (None, FULL, PADDING):
                for grad in (True, False):
                    one, two = outputs(each, mask, grad), outputs(each, mask, grad)
                    assert not torch.equal(one, two), (training, mask, grad)
    assert "_nested_tensor_from_mask" not in fused
    if which != "one matrix of the last layer":  # where the first one may well take it
        assert "_transformer_encoder_layer_fwd" not in fused
    if which == "all":
        assert not fused


@pytest.mark.parametrize("part", ["linear1", "linear2", "self_attn"])
def test_a_layer_put_in_by_hand_is_not_passed_by_either(part, fused):
    model = transformer("encoder layer").eval()
    setattr(model, part, mho.convert_(getattr(model, part), LOUD))
    assert not torch.equal(outputs(model, None), outputs(model, None))
    assert "_transformer_encoder_layer_fwd" not in fused


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("kind", TRANSFORMERS)
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_converted_transformers_compute_what_digital_ones_do_and_back(kind, norm_first, fused):
    model = transformer(kind, norm_first=norm_first).eval()
    expected, plain = (outputs(model, mask) for mask in (PADDING, None))
    before, calls = copy.deepcopy(model.state_dict()), len(fused)
    mho.convert_(model, IDEAL)
    assert not any(type(part) in (nn.Linear, nn.MultiheadAttention) for part in model.modules())
    torch.testing.assert_close(outputs(model, None), plain, rtol=1e-5, atol=1e-5)
    found = outputs(model, PADDING)
    torch.testing.assert_close(found[~PADDING[:, :S]], expected[~PADDING[:, :S]], rtol=1e-5, atol=1e-5)
    assert len(fused) == calls
    mho.to_digital_(model)
    assert torch.equal(outputs(model, PADDING), expected)
    assert (len(fused) > calls) == (calls > 0), "the fused inference is open again"
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_ideal_training_of_transformers_is_torch_sgd_for_20_steps(kind):
    digital, analog = transformer(kind), mho.convert_(transformer(kind), IDEAL)
    before = copy.deepcopy(digital.state_dict())
    for model, optimizer in (
        (digital, torch.optim.SGD(digital.parameters(), lr=0.02)),
        (analog, mho.AnalogOptimizer(analog, lr=0.02)),
    ):
        for step in range(20):
            optimizer.zero_grad()
            x = numbers(N, S, E, seed=step)
            (run(model, x, PADDING) - x.flip(1)).square().mean().backward()
            optimizer.step()
    found = mho.to_digital_(analog).state_dict()
    for name, w in digital.state_dict().items():
        torch.testing.assert_close(found[name], w, rtol=0, atol=1e-5, msg=name)
    moved = [(w - before[name]).abs().max() > 1e-3 for name, w in digital.state_dict().items()]
    assert sum(moved) > 0.8 * len(moved)


def test_the_output_projection_of_a_digital_attention_is_not_converted_by_itself():
    model = nn.ModuleDict({"attention": nn.MultiheadAttention(E, HEADS), "linear": nn.Linear(E, E)})
    converted = mho.convert_(model, IDEAL, lambda module, name: name != "attention")
    assert type(converted["attention"]) is nn.MultiheadAttention
    assert [n for n, m in converted.named_modules() if isinstance(m, AnalogLinear)] == ["linear"]
    with pytest.raises(mho.MhoError, match="NonDynamicallyQuantizableLinear"):
        mho.convert_(nn.MultiheadAttention(E, HEADS).out_proj, IDEAL)
    attention = mho.convert_(nn.MultiheadAttention(E, HEADS), IDEAL)
    assert [type(part) for part in attention.children()] == [AnalogLinear] * 4
