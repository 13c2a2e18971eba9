"""Analog layers: shapes and dtypes, layouts on sub-tiles, digital scales, copies."""

import copy
import hashlib
import pickle

import pytest
import torch
from torch import nn

import mho
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning
from mho.nn import AnalogLinear
from mho.nn.core import assemble
from mho.numerics.rng import child_key

PLAIN = mho.Mapping(out_scale="none")
DIGITAL = mho.Crossbar(algorithm=DigitalSGD(), io=None, mapping=PLAIN)
NOISY = mho.Device(mho.responses.SoftBounds(), sigma_c2c=0.1)
RESIDUAL = mho.Crossbar(algorithm=ResidualLearning(fast_lr=0.1), device=NOISY)
SGD = mho.Crossbar(algorithm=AnalogSGD(), device=NOISY)
ALGORITHMS = pytest.mark.parametrize("hardware", [SGD, RESIDUAL], ids=["analog-sgd", "residual-learning"])


def layer_of(hardware, n_in=6, n_out=4, key=1, **options):
    torch.manual_seed(0)
    return AnalogLinear(n_in, n_out, hardware=hardware, key=key, **options)


def batch(step, n_in=6, n_out=4, samples=8):
    g = torch.Generator().manual_seed(step)
    return torch.randn(samples, n_in, generator=g), torch.randn(samples, n_out, generator=g)


def train(layer, steps, lr=0.1, optimizer=None):
    """Losses of a few steps of least squares; the whole state is in the layer and the optimizer."""
    optimizer = optimizer or mho.AnalogOptimizer(layer, lr=lr)
    losses = []
    for step in steps:
        x, y = batch(step, layer.in_features, layer.out_features)
        optimizer.zero_grad()
        loss = (layer(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def blocks(layer):
    return list(layer.matrix.blocks)


# Shapes and dtypes.


@pytest.mark.parametrize("shape", [(6,), (1, 6), (5, 6), (2, 3, 6), (2, 1, 3, 6), (0, 6), (2, 0, 6)])
@pytest.mark.parametrize("io", [None, mho.IO()], ids=["perfect", "converters"])
def test_shapes(shape, io):
    layer = layer_of(mho.Crossbar(algorithm=AnalogSGD(), io=io))
    x = torch.full(shape, 0.5, requires_grad=True)
    y = layer(x)
    assert y.shape == (*shape[:-1], 4)
    y.sum().backward()
    assert x.grad.shape == shape
    before = layer.weight
    mho.AnalogOptimizer(layer, lr=0.1).step()
    assert torch.equal(layer.weight, before) == (0 in shape), "no sample, no update"


@pytest.mark.parametrize("mapping", [PLAIN, mho.Mapping(), mho.Mapping(max_in=4, omega=0.3)], ids=repr)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_outputs_and_gradients_keep_the_dtype_of_the_input(dtype, mapping):
    layer = layer_of(RESIDUAL.replace(mapping=mapping, io=None))
    x = batch(0)[0].to(dtype).requires_grad_()
    y = layer(x)
    assert y.dtype == dtype
    y.square().sum().backward()
    assert x.grad.dtype == dtype
    expected = x.detach().float() @ layer.weight.mT + layer.bias
    torch.testing.assert_close(y.float(), expected, rtol=0.02 if dtype == torch.bfloat16 else 1e-5, atol=0.02)
    before = layer.weight
    mho.AnalogOptimizer(layer, lr=0.1).step()
    assert not torch.equal(layer.weight, before)


def test_gradients_are_those_of_a_linear_layer():
    """To the input, to the bias, and as factors to the weight: minus dL/dW is the sum of d x^T."""
    layer, linear = layer_of(DIGITAL), nn.Linear(6, 4)
    linear.load_state_dict({"weight": layer.weight, "bias": layer.bias.detach()})
    x, y = batch(0)
    grads = []
    for module in (layer, linear):
        z = x.clone().requires_grad_()
        (module(z) - y).square().mean().backward()
        grads.append((z.grad, module.bias.grad))
    assert torch.equal(grads[0][0], grads[1][0])
    assert torch.equal(grads[0][1], grads[1][1])
    [block] = blocks(layer)
    [factors] = block.factors
    assert torch.equal(factors.x, x)
    assert torch.equal(-factors.d.mT @ factors.x, linear.weight.grad)
    assert torch.equal(block.weight.grad, linear.weight.grad)


# Against torch.


def network(bias=True):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 12, bias=bias), nn.Tanh(), nn.Linear(12, 4, bias=bias))


def train_network(model, optimizer, micro_batches=1, steps=20):
    """All outputs of a training, in order."""
    outputs = []
    for step in range(steps):
        optimizer.zero_grad()
        for part in range(micro_batches):
            x, y = batch(2 * step + part, 20, 4)
            out = model(x)
            ((out - y).square().mean() / micro_batches).backward()
            outputs.append(out.detach())
        optimizer.step()
    return torch.stack(outputs)


def both_trainings(hardware, micro_batches=1, bias=True):
    assemble, analog = network(bias), mho.convert_(network(bias), hardware)
    return (
        train_network(assemble, torch.optim.SGD(assemble.parameters(), lr=0.1), micro_batches),
        train_network(analog, mho.AnalogOptimizer(analog, lr=0.1), micro_batches),
    )


@pytest.mark.parametrize("bias", [True, False])
def test_digital_sgd_is_torch_bit_for_bit(bias):
    expected, found = both_trainings(DIGITAL, bias=bias)
    assert (expected[0] - expected[-1]).abs().max() > 0.1, "the network must learn"
    assert torch.equal(expected, found)


@pytest.mark.parametrize(
    "hardware",
    [
        DIGITAL,
        DIGITAL.replace(
            algorithm=AnalogSGD(), device=mho.Device(mho.responses.Constant()), pulses=mho.Expected()
        ),
    ],
    ids=["digital", "ideal device, expected update"],
)
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_ideal_training_is_torch(hardware, micro_batches):
    """Two micro-batches: torch adds two products, a crossbar multiplies all their samples at once."""
    expected, found = both_trainings(hardware, micro_batches)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


# Layout.


def test_split_equals_unsplit():
    whole, split = (
        layer_of(DIGITAL.replace(mapping=mapping), 784, 150)
        for mapping in (PLAIN.replace(max_in=1000, max_out=1000), PLAIN.replace(max_in=300, max_out=100))
    )
    assert [b.shape for b in blocks(whole)] == [(150, 784)]
    assert [b.shape for b in blocks(split)] == [(75, 261), (75, 261), (75, 262)] * 2
    assert torch.equal(whole.weight, split.weight)
    x, y = batch(0, 784, 150)
    for layer in (whole, split):
        layer.z = x.clone().requires_grad_()
        layer.y = layer(layer.z)
        (layer.y - y).square().mean().backward()
        mho.AnalogOptimizer(layer, lr=50.0).step()
    torch.testing.assert_close(split.y, whole.y, rtol=0, atol=1e-5)
    torch.testing.assert_close(split.z.grad, whole.z.grad, rtol=0, atol=1e-5)
    torch.testing.assert_close(split.weight, whole.weight, rtol=0, atol=1e-5)
    assert (whole.weight - layer_of(DIGITAL, 784, 150).weight).abs().max() > 0.1


def test_sub_tiles_have_their_own_cells():
    device = mho.Device(spread={"gain": 0.3})
    mapping = mho.Mapping(max_in=3, max_out=2)
    layer = layer_of(mho.Crossbar(algorithm=AnalogSGD(), device=device, mapping=mapping))
    gains = [b.state.W.parameters_of_cells.gain for b in blocks(layer)]
    assert len(gains) == 4
    assert len({gain[0, 0].item() for gain in gains}) == 4


# Digital scales.


@pytest.mark.parametrize("columnwise", [True, False])
def test_omega_keeps_outputs_and_sets_the_largest_weight(columnwise):
    mapping = PLAIN.replace(omega=0.4, columnwise=columnwise)
    plain, scaled = layer_of(DIGITAL), layer_of(DIGITAL.replace(mapping=mapping))
    [block] = blocks(scaled)
    rows = block.state.W.w.abs().amax(1)
    assert rows.max().item() == pytest.approx(0.4)
    assert torch.allclose(rows, torch.full((4,), 0.4)) == columnwise
    x, _ = batch(0)
    torch.testing.assert_close(scaled(x), plain(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scaled.weight, plain.weight, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("columnwise", [True, False])
@pytest.mark.parametrize("max_in", [512, 4])
def test_omega_and_the_learning_rate(columnwise, max_in):
    """rates="layer": exact updates train the layer as without omega; "cells": scale^2 times as fast."""
    mapping = PLAIN.replace(omega=0.4, columnwise=columnwise, max_in=max_in)
    plain = layer_of(DIGITAL)
    start = plain.weight.clone()
    layers = {r: layer_of(DIGITAL.replace(mapping=mapping.replace(rates=r))) for r in ("layer", "cells")}
    for layer in (plain, *layers.values()):
        train(layer, [0])
    torch.testing.assert_close(layers["layer"].weight, plain.weight, rtol=1e-5, atol=1e-6)
    scales = torch.cat([b.scale.reshape(-1, 1).expand(b.shape) for b in blocks(layers["cells"])], dim=1)
    slower = start + scales.square() * (plain.weight - start)
    torch.testing.assert_close(layers["cells"].weight, slower, rtol=1e-5, atol=1e-6)


def test_omega_of_a_matrix_of_zeros():
    linear = nn.Linear(3, 2)
    nn.init.zeros_(linear.weight)
    layer = AnalogLinear.from_digital(linear, DIGITAL.replace(mapping=PLAIN.replace(omega=0.5)))
    assert torch.equal(layer(torch.ones(1, 3)), linear.bias[None])


@pytest.mark.parametrize(("kind", "size"), [("scalar", 1), ("columnwise", 4)])
def test_learned_output_scale(kind, size):
    layer = layer_of(DIGITAL.replace(mapping=mho.Mapping(out_scale=kind)))
    scale = blocks(layer)[0].out_scale
    assert scale.shape == (size,)
    assert (scale == 1).all()
    x, y = batch(0)
    (layer(x) - y).square().mean().backward()
    each = (2 * (layer(x) - y) / y.numel() * (x @ layer.weight.mT)).sum(0)
    expected = each if kind == "columnwise" else each.sum().reshape(1)
    torch.testing.assert_close(scale.grad, expected.detach())
    mho.AnalogOptimizer(layer, lr=0.1).step()
    torch.testing.assert_close(scale.detach(), 1 - 0.1 * expected.detach())
    assert layer_of(DIGITAL).matrix.blocks[0].out_scale is None


def test_weight_contains_the_scales():
    layer = layer_of(RESIDUAL.replace(io=None, mapping=mho.Mapping(omega=0.3, out_scale="columnwise")))
    train(layer, range(5))
    x, _ = batch(9)
    torch.testing.assert_close(layer(x), x @ layer.weight.mT + layer.bias, rtol=1e-5, atol=1e-6)


# Arrays.


def test_arrays_of_a_block_have_different_cells():
    layer = layer_of(RESIDUAL.replace(device=mho.Device(spread={"gain": 0.3})))
    gains = [tile.parameters_of_cells.gain for tile in blocks(layer)[0].state.tiles().values()]
    assert not torch.isclose(*gains).any()
    assert blocks(layer)[0].state.P.key == child_key(blocks(layer)[0].key, "P")


# Freezing, copies, checkpoints.


@ALGORITHMS
def test_frozen_weights_stay(hardware):
    layer = layer_of(hardware)
    for block in blocks(layer):
        block.weight.requires_grad_(False)
    before, bias = layer.matrix.blocks[0].weight.clone(), layer.bias.clone()
    train(layer, range(3))
    assert torch.equal(blocks(layer)[0].weight, before)
    assert blocks(layer)[0].factors == []
    assert not torch.equal(layer.bias, bias), "the bias is still trained"


def test_a_frozen_model_has_nothing_to_train():
    layer = layer_of(SGD).requires_grad_(False)
    with pytest.raises(mho.MhoError, match="no parameter that requires a gradient"):
        mho.AnalogOptimizer(layer, lr=0.1)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
}


@ALGORITHMS
@pytest.mark.parametrize("kind", COPIES)
def test_copies_of_a_trained_layer_continue_by_themselves(hardware, kind):
    layer = layer_of(hardware)
    train(layer, range(3))
    other = COPIES[kind](layer)
    losses = train(layer, range(3, 8))
    after = layer.weight
    assert train(other, range(3, 8)) == losses
    assert torch.equal(other.weight, after)
    train(other, range(8, 10))
    assert torch.equal(layer.weight, after), "the copy shares no memory with the original"
    assert not torch.equal(other.weight, after)


@ALGORITHMS
@pytest.mark.parametrize("assign", [False, True])
def test_a_checkpoint_continues_bit_for_bit(hardware, assign):
    layer = layer_of(hardware.replace(mapping=mho.Mapping(max_in=4, omega=0.5)))
    train(layer, range(3))
    saved = copy.deepcopy(layer.state_dict())
    losses = train(layer, range(3, 8))
    other = layer_of(hardware.replace(mapping=mho.Mapping(max_in=4, omega=0.5)))
    train(other, range(20, 22))
    other.load_state_dict(saved, assign=assign)
    assert train(other, range(3, 8)) == losses
    for name, value in layer.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_checkpoint_brings_its_own_cells():
    """The cells' parameters are part of it: the key of the layer it is loaded into does not matter for them."""
    hardware = RESIDUAL.replace(device=mho.Device(spread={"gain": 0.3, "tau_max": 0.1}, reference_std=0.1))
    layer, other = layer_of(hardware, key=1), layer_of(hardware, key=2)
    train(layer, range(2))
    train(other, range(2))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.weight, layer.weight)
    for name in ("W", "P"):
        one, two = (getattr(blocks(m)[0].state, name) for m in (layer, other))
        assert torch.equal(one.w, two.w)
        assert torch.equal(one.parameters_of_cells.gain, two.parameters_of_cells.gain)
    x, _ = batch(0)
    outputs = [(m(x) - m.bias).detach() for m in (layer, other)]
    assert not torch.equal(*outputs), "the noise is still that of its key"


def test_a_missing_entry_is_an_error():
    layer = layer_of(RESIDUAL)
    saved = layer.state_dict()
    assert not any(name.endswith("blocks.0.weight") for name in saved)
    del saved["matrix.blocks.0.state.t"]
    with pytest.raises(RuntimeError, match=r"Missing key.*state\.t"):
        layer.load_state_dict(saved)


# The layer as one node of autograd.

CUT = RESIDUAL.replace(mapping=mho.Mapping(max_in=4, max_out=3, omega=0.5, out_scale="columnwise"))


def passed(layer, x, g):
    """Outputs, gradients and recorded factors of one pass."""
    x = x.detach().requires_grad_() if x.is_leaf else x
    x.retain_grad()
    y = layer(x)
    y.backward(g)
    grads = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    factors = [part for block in blocks(layer) for pair in block.factors for part in pair]
    return [y.detach(), x.grad, *grads, *factors]


INPUTS = {
    "columns of a wider matrix": lambda x: torch.cat([x, x, x], 1)[:, 6:12],
    "transposed memory": lambda x: x.mT.contiguous().mT,
    "every second row": lambda x: torch.stack([x, -x], 1).reshape(-1, 6)[::2],
}


@pytest.mark.parametrize("hardware", [RESIDUAL, CUT], ids=["one block", "four blocks"])
@pytest.mark.parametrize("kind", INPUTS)
def test_strided_inputs_and_gradients_give_the_bits_of_contiguous_ones(hardware, kind):
    x, g = batch(0)
    expected = passed(layer_of(hardware), x, g)
    strided = INPUTS[kind](x)
    assert torch.equal(strided, x)
    assert not strided.is_contiguous()
    found = passed(layer_of(hardware), strided, g.mT.contiguous().mT)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("io", [None, mho.IO()], ids=["perfect", "converters"])
def test_memory_that_is_kept_between_calls_holds_nothing_that_is_still_needed(io):
    """Three passes of one shape before their backward passes, and a fourth between them."""
    one, many = (layer_of(CUT.replace(io=io)) for _ in range(2))
    pairs = [batch(step) for step in range(3)]
    expected = []
    for n, (x, g) in enumerate(pairs):
        one.matrix.calls.count[:] = torch.tensor([0, n, 0])  # the n-th call of the first pass
        y = one(x)
        y.backward(g)
        expected.append((y.detach().clone(), [block.learning.take().d.clone() for block in blocks(one)]))
    outputs = [many(x) for x, _ in pairs]
    for (_, g), y in zip(pairs, outputs, strict=True):
        y.backward(g)
        with torch.no_grad():
            many.eval()(torch.ones(8, 6))
            many.train()
    for n, (y, errors) in enumerate(expected):
        assert torch.equal(outputs[n], y)
        for block, d, columns in zip(blocks(many), errors, [slice(0, 3), slice(3, 6)] * 2, strict=True):
            assert torch.equal(block.factors[n].x, pairs[n][0][:, columns])
            assert torch.equal(block.factors[n].d, d)


def test_gradients_of_all_parts_are_those_of_the_formula():
    """Scales, bias and input of a matrix of four blocks against autograd through plain torch."""
    layer = layer_of(CUT.replace(io=None))
    for block in blocks(layer):
        block.out_scale.data = torch.linspace(0.5, 2.0, block.shape[0])
    x, g = batch(0)
    x.requires_grad_()
    scales = [block.out_scale.detach().clone().requires_grad_() for block in blocks(layer)]
    bias = layer.bias.detach().clone().requires_grad_()
    z = x.detach().clone().requires_grad_()
    parts = [
        (z[:, left:right] @ block.weight.detach().mT) * block.scale * scale
        for block, scale, (left, right) in zip(blocks(layer), scales, [(0, 3), (3, 6)] * 2, strict=True)
    ]
    y = torch.cat([parts[0] + parts[1], parts[2] + parts[3]], 1) + bias
    y.backward(g)
    found = layer(x)
    found.backward(g)
    torch.testing.assert_close(found, y)
    torch.testing.assert_close(x.grad, z.grad)
    torch.testing.assert_close(layer.bias.grad, bias.grad)
    for block, scale in zip(blocks(layer), scales, strict=True):
        torch.testing.assert_close(block.out_scale.grad, scale.grad)


class Elsewhere(torch.Tensor):
    """A tensor that says it is not on the CPU."""

    is_cpu = False


@pytest.mark.parametrize("size", [None, 1, 3])
def test_the_digital_side_is_the_same_in_torch_and_compiled(size):
    x, y = batch(0, 9, 3)
    scale, bias = None if size is None else torch.linspace(0.5, 2, size), torch.linspace(-1, 1, 7)
    results = []
    for kind in (torch.Tensor, Elsewhere):
        a, b = x.as_subclass(kind), y.as_subclass(kind)
        out = torch.zeros(8, 7).as_subclass(kind)
        assemble.add_output(b, scale, out, (2, 5), True, None)
        assemble.add_output(b, scale, out, (2, 5), False, bias)
        d, gy = assemble.error_of_block(a, (4, 7), scale, b)
        bare, nothing = assemble.error_of_block(a, (4, 7), scale, None)
        assert nothing is None
        results.append([*assemble.columns_of(a, [(0, 4), (4, 9)]), out, d, gy, bare])
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two.as_subclass(torch.Tensor))
        assert one.is_contiguous()


@pytest.mark.parametrize("io", [None, mho.IO()], ids=["perfect", "converters"])
def test_autocast_changes_nothing(io):
    x, g = batch(0)
    expected = passed(layer_of(CUT.replace(io=io)), x, g)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = passed(layer_of(CUT.replace(io=io)), x, g)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype == torch.float32
        assert torch.equal(a, b)


def test_an_input_that_torch_negates_when_it_is_read():
    x, g = batch(0)
    lazy = torch._neg_view(-x)
    assert lazy.is_neg()
    for a, b in zip(passed(layer_of(RESIDUAL), lazy, g), passed(layer_of(RESIDUAL), x, g), strict=True):
        assert torch.equal(a, b)


def test_parameters_of_another_dtype():
    layer, other = layer_of(CUT), layer_of(CUT)
    layer.bias.data = layer.bias.data.double()
    x, _ = batch(0)
    assert torch.equal(layer(x), other(x))


def test_bits_of_a_stored_run():
    """Converters, streams and counters; no pulses, which `test_kernels` holds to their oracle. All products are
    exact in float32, so these bits do not depend on how torch adds them up."""
    io = mho.IO(inp_res=1 / 16, out_bound=1.0, sigma_inp=0.0, sigma_out=0.05)
    hardware = mho.Crossbar(
        algorithm=ResidualLearning(gamma=0.5, fast_lr=0.25, transfer_every=2),
        device=mho.Device(mho.responses.Constant()),
        io={"forward": io, "transfer": mho.IO(perfect=True)},
        pulses=mho.Expected(),
        mapping=PLAIN.replace(max_in=5, max_out=4),
    )
    g = torch.Generator().manual_seed(0)

    def grid(*shape, size=8):
        return torch.randint(-size, size + 1, shape, generator=g) / size

    linear = nn.Linear(9, 7, bias=False)
    linear.weight.data = grid(7, 9) / 2
    layer = AnalogLinear.from_digital(linear, hardware, key=11)
    optimizer = mho.AnalogOptimizer(layer, lr=0.25)
    seen = hashlib.sha256()
    for _ in range(12):
        optimizer.zero_grad()
        x = grid(6, 9).requires_grad_()
        y = layer(x)
        y.backward(grid(6, 7) / 2)
        optimizer.step()
        for value in (y.detach(), x.grad, layer.weight):
            seen.update(value.numpy().tobytes())
    for block in blocks(layer):
        for tile in (block.state.W, block.state.P):
            seen.update(tile.cells.numpy().tobytes() + tile.events.numpy().tobytes())
    assert seen.hexdigest()[:16] == "986b5d27d414a347"
