"""Copies of analog models, moves of their memory, and models without memory."""

import copy
import io
import pickle

import pytest
import torch
import torch.multiprocessing
from torch import nn

import mho
import mho.testing
from mho import presets
from mho.algorithms import AnalogSGD, DigitalSGD
from mho.nn.core.parameter import AnalogParameter
from test_checkpoints import NOISY, RESIDUAL, assert_equal, entries, hardware_of, network, train

SGD = hardware_of(AnalogSGD())
BOTH = pytest.mark.parametrize("hardware", [SGD, RESIDUAL], ids=["analog-sgd", "residual-learning"])
ALL = [kind() for kind in mho.testing.algorithms()]


def blocks(model):
    return [layer.matrix.blocks[0] for layer in (model[2], model[4])]


def as_file(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda v: pickle.loads(pickle.dumps(v)), "torch.save": as_file}
KINDS = pytest.mark.parametrize("kind", COPIES)


# Copies.


@BOTH
@KINDS
@pytest.mark.parametrize("before", [0, 3])
def test_a_copy_trains_on_its_own_and_as_the_original(hardware, kind, before):
    """And the optimizer stays with the original."""
    model = network(hardware)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    train(model, range(before), optimizer)
    other = COPIES[kind](model)
    start = entries(other)
    losses = train(model, range(before, 6), optimizer)
    assert_equal(other, start)
    assert optimizer.blocks == blocks(model)
    assert train(other, range(before, 6)) == losses
    assert_equal(model, other.state_dict())


@KINDS
def test_a_copys_weight_is_linked_to_the_copys_block(kind):
    model = network(SGD)
    other = COPIES[kind](model)
    other(torch.ones(2, 6)).sum().backward()
    for mine, theirs in zip(blocks(model), blocks(other), strict=True):
        assert isinstance(theirs.weight, AnalogParameter)
        assert theirs.weight.of_block() is theirs
        assert theirs.weight.grad is not None
        assert mine.weight.of_block() is mine
        assert mine.weight.grad is None


@KINDS
def test_a_model_and_its_optimizer_are_copied_together(kind):
    model = network(RESIDUAL)
    optimizer = mho.AnalogOptimizer(model, lr=0.1, momentum=0.9)
    train(model, range(3), optimizer)
    other, its_optimizer = COPIES[kind]((model, optimizer))
    losses = train(model, range(3, 6), optimizer)
    assert its_optimizer.blocks == blocks(other)
    assert train(other, range(3, 6), its_optimizer) == losses


def loaded(model, **options):
    model.load_state_dict(entries(model), **options)
    return model


MOVES = {
    **COPIES,
    "load": loaded,
    "assign": lambda m: loaded(m, assign=True),
    "to": lambda m: m.to("cpu").double(),
    "to_empty": lambda m: m.to_empty(device="cpu"),
    "share": lambda m: m.share_memory(),
}


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("algorithm", [AnalogSGD(), DigitalSGD()], ids=["analog", "digital"])
def test_the_weight_stays_that_of_its_only_array(kind, algorithm):
    model = MOVES[kind](network(hardware_of(algorithm)))
    for block in blocks(model):
        if kind == "to_empty":  # there may be anything in it
            block.state.W.cells.fill_(0.25)
            block.follow()
        assert torch.equal(block.weight.data, block.state.W.cells)


# Moves.


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_arrays_stay_float32_whatever_the_dtype_of_the_model(hardware, dtype):
    model, other = network(hardware), network(hardware)
    other.to(dtype)
    for name, value in other.state_dict().items():
        assert value.dtype == (
            dtype if name.endswith("bias") or name == "0.weight" else model.state_dict()[name].dtype
        )
        if ".blocks." in name:
            assert torch.equal(value, model.state_dict()[name]), f"{name} was rounded"
    x = torch.ones(2, 6, dtype=dtype)
    y = other(x)
    assert y.dtype == dtype
    y.sum().backward()
    mho.AnalogOptimizer(other, lr=0.1).step()
    other.float()
    assert not torch.equal(other[4].weight, model[4].weight)


def test_digital_state_stays_in_its_dtype():
    """Moments of MixedPrecision and losses of MultiTileResidual are float64."""
    algorithms = mho.algorithms.MixedPrecision(optimizer="Adam"), mho.algorithms.MultiTileResidual()
    for algorithm in algorithms:
        model = network(hardware_of(algorithm))
        before = {name: value.dtype for name, value in model.state_dict().items() if ".state." in name}
        assert torch.float64 in before.values()
        model.half()
        assert {name: model.state_dict()[name].dtype for name in before} == before


@BOTH
def test_training_goes_on_after_its_memory_was_moved(hardware):
    """What sending a model, or its state_dict, to another process does to the tensors, in place."""
    model, reference = network(hardware), network(hardware)
    for other in (model, reference):
        train(other, range(3))
    places = [block.state.W.cells.data_ptr() for block in blocks(model)]
    for tensor in model.state_dict().values():
        tensor.share_memory_()
    assert [block.state.W.cells.data_ptr() for block in blocks(model)] != places
    assert train(model, range(3, 6)) == train(reference, range(3, 6))
    assert_equal(reference, model.state_dict())


def in_child(model, answers):
    torch.set_num_threads(1)
    answers.put((train(model, range(3, 6)), [model[4].weight.tolist(), blocks(model)[0].state.W.pulses_sent]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_trains_the_same_bits(method):
    """A spawned one on the parent's memory, as torch's own parameters; a forked one on its own."""
    if method not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    model = network(RESIDUAL)
    train(model, range(3))
    reference, before = copy.deepcopy(model), entries(model)
    context = torch.multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    child = context.Process(target=in_child, args=(model, answers))
    child.start()
    losses, numbers = answers.get()
    child.join(30)
    assert losses == train(reference, range(3, 6))
    assert numbers == [reference[4].weight.tolist(), blocks(reference)[0].state.W.pulses_sent]
    assert_equal(model, before if method == "fork" else entries(reference))
    after = copy.deepcopy(model)
    assert train(model, range(6, 8)) == train(after, range(6, 8))


# Models without memory.


def on_meta(hardware):
    with torch.device("meta"):
        model = network(hardware)
    assert {p.device.type for p in model.parameters()} == {"meta"}
    return model


DEVICES = {
    "plain": NOISY,
    "preset": presets.ReRamArrayHfO2,
    "pair": presets.PCMPair,
    "vector": mho.Vector((NOISY, NOISY)),
    "ageing": NOISY.replace(retention=mho.Retention(lifetime=100.0)),
}
CASES = [*((a, NOISY) for a in ALL), *((AnalogSGD(), device) for device in DEVICES.values())]
NAMES = [*(type(a).__name__ for a in ALL), *DEVICES]


@pytest.mark.parametrize(("algorithm", "device"), CASES, ids=NAMES)
def test_a_model_on_meta_becomes_the_one_that_is_loaded(algorithm, device):
    hardware = hardware_of(algorithm, device, count_cells=True)
    model = network(hardware)
    train(model, range(3))
    saved = entries(model)
    losses = train(model, range(3, 6))
    for assign in (True, False):
        other = on_meta(hardware)
        assert {n: v.shape for n, v in other.state_dict().items()} == {n: v.shape for n, v in saved.items()}
        if not assign:
            other.to_empty(device="cpu")
        other.load_state_dict({name: value.clone() for name, value in saved.items()}, assign=assign)
        assert train(other, range(3, 6)) == losses
        assert_equal(model, other.state_dict())


def test_parameters_that_vary_on_meta_are_those_that_are_drawn():
    device = mho.Device(corrupt=0.3, reference_std=0.1, subtract_sp=True, up_down_std=0.1, write_noise=1.0)
    model, other = network(hardware_of(AnalogSGD(), device)), on_meta(hardware_of(AnalogSGD(), device))
    other.load_state_dict(model.state_dict(), assign=True)
    for mine, theirs in zip(blocks(model), blocks(other), strict=True):
        assert torch.equal(mine.state.W.w, theirs.state.W.w)
        assert torch.equal(mine.weight, theirs.weight)
        cells, others = mine.state.W.parameters_of_cells, theirs.state.W.parameters_of_cells
        assert cells.values().keys() == others.values().keys()
        for name, value in cells.values().items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(others.values()[name])), name


@pytest.mark.parametrize("algorithm", ALL, ids=lambda a: type(a).__name__)
def test_a_model_on_meta_gives_shapes(algorithm):
    model = on_meta(hardware_of(algorithm))
    x = torch.empty(5, 6, device="meta", requires_grad=True)
    y = model(x)
    assert (y.device.type, y.shape) == ("meta", (5, 3))
    y.sum().backward()
    assert x.grad.shape == x.shape


def test_weights_on_meta_make_arrays_on_meta():
    layer = mho.nn.AnalogLinear.from_digital(nn.Linear(6, 4, device="meta"), RESIDUAL)
    assert {p.device.type for p in layer.parameters()} == {"meta"}
    assert layer.matrix.blocks[0].state.W.cells.is_meta
