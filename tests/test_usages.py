"""Torch code of users that meets a converted model: each use computes what torch would, or raises."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

import mho
from mho.responses import Constant, SoftBounds
from mho.tile.tally import Tally

X, Y = torch.linspace(-1, 1, 96).reshape(12, 8).mul(7).sin(), torch.arange(12) % 3
PLAIN = mho.Mapping(out_scale="none")
PULSED = mho.Crossbar(
    algorithm=mho.algorithms.AnalogSGD(),
    device=mho.Device(SoftBounds(tau_max=0.6, tau_min=-0.6), dw_min=1e-3),
    io=None,
    mapping=PLAIN,
)
RESIDUAL = PULSED.replace(algorithm=mho.algorithms.ResidualLearning())
DIGITAL = PULSED.replace(algorithm=mho.algorithms.DigitalSGD())
EXACT = PULSED.replace(device=mho.Device(Constant(tau_max=9.0, tau_min=-9.0)), pulses=mho.Exact())
exactly = pytest.mark.parametrize("hardware", [DIGITAL, EXACT], ids=["DigitalSGD", "Exact"])


def digital():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))


def network(hardware=PULSED):
    return mho.convert_(digital(), hardware, key=5)


def twin(model):
    """The digital model with the same weights."""
    return mho.to_digital_(copy.deepcopy(model))


def loss(model, x=X):
    return nn.functional.cross_entropy(model(x), Y)


def parameter(layer):
    return layer.matrix.blocks[0].weight


def held(layer):
    """What a layer holds; a plain tensor."""
    return layer.weight.detach().clone()


def programs(model):
    buffers = (buffer for name, buffer in model.named_buffers() if name.endswith("tally"))
    return sum(int(tally[Tally.PROGRAMS]) for tally in buffers)


def assert_unchanged(model, before):
    now = model.state_dict()
    assert all(torch.equal(now[name], value) for name, value in before.items() if "calls" not in name)


def refused(match, call, error=mho.MhoError):
    with pytest.raises(error, match=match):
        call()


# Optimizers.


def test_lists_of_groups_may_be_edited():
    model = network()
    optimizer = mho.AnalogOptimizer(model[2], lr=0.3)
    own = optimizer.param_groups[0]["params"]
    own.extend(model[0].parameters())
    before = [held(model[0]), model[0].bias.detach().clone()]
    loss(model).backward()
    optimizer.step()
    now = [held(model[0]), model[0].bias.detach().clone()]
    assert not any(map(torch.equal, now, before)), "parameters that were put in learn"
    optimizer.param_groups[0]["params"] = own[:2]
    optimizer.zero_grad()
    loss(model).backward()
    optimizer.step()
    assert torch.equal(held(model[0]), now[0])
    assert torch.equal(model[0].bias, now[1])


class Slow(torch.optim.Optimizer):
    """An optimizer around another, which looks at gradients after the other's step."""

    def __init__(self, fast):
        super().__init__(fast.param_groups, {})
        self.fast = fast

    def step(self, closure=None):
        self.fast.step(closure)
        assert all(p.grad is not None for group in self.param_groups for p in group["params"])


@exactly
def test_an_optimizer_around_an_analog_one_is_refused(hardware):
    model = network(hardware)
    optimizer = Slow(mho.AnalogOptimizer(model, lr=0.1))
    loss(model).backward()
    before = copy.deepcopy(model.state_dict())
    refused("has an AnalogOptimizer too", optimizer.step)
    assert_unchanged(model, before)
    loss(alone := network(hardware)).backward()
    Slow(torch.optim.SGD(alone.parameters(), lr=0.1)).step()


@exactly
def test_a_penalty_is_part_of_the_gradient_and_refused_by_every_optimizer(hardware):
    model = network(hardware)
    reference = twin(model)
    for net in (model, reference):
        (loss(net) + sum(p.square().sum() for p in net.parameters())).backward()
    torch.testing.assert_close(parameter(model[0]).grad, reference[0].weight.grad)
    before = copy.deepcopy(model.state_dict())
    refused("other than by its layer's product", torch.optim.AdamW(model.parameters()).step)
    refused("other than by its layer's product", mho.AnalogOptimizer(model, lr=0.1).step)
    assert_unchanged(model, before)


def test_a_gradient_that_was_read_stays_until_the_next():
    """As loggers and wrappers of optimizers want it; it is not learned again."""
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.3)
    loss(model).backward()
    seen = parameter(model[0]).grad.clone()
    optimizer.step()
    assert torch.equal(parameter(model[0]).grad, seen)
    assert parameter(model[2]).grad is None, "nobody read it"
    after = held(model[0])
    parameter(model[0]).grad.mul_(2)
    optimizer.step()
    assert torch.equal(held(model[0]), after)
    loss(model).backward()
    reference = twin(model)
    loss(reference).backward()
    torch.testing.assert_close(parameter(model[0]).grad, reference[0].weight.grad)
    optimizer.zero_grad()
    assert parameter(model[0]).grad is None


def test_compiled_steps():
    model, reference = network(), network()
    for net, compiled in ((model, True), (reference, False)):
        optimizer = mho.AnalogOptimizer(net, lr=0.3)
        loss(net).backward()
        (torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step)()
    assert_unchanged(model, reference.state_dict())


# Gradients.


def test_hooks():
    model = network()
    refused("register_post_accumulate_grad_hook", lambda: parameter(model[0]).register_hook(print))
    torch.manual_seed(0)
    lstm = nn.LSTM(8, 6)
    analog = mho.convert_(copy.deepcopy(lstm), EXACT)
    found = {}
    for name, p in analog.named_parameters():
        p.register_post_accumulate_grad_hook(lambda p, name=name: found.setdefault(name, []).append(p.grad))
    for net in (analog, lstm):
        net(X.reshape(4, 3, 8))[0].square().sum().backward()
    assert [len(grads) for grads in found.values()] == [1] * 4
    by_width = {g.shape[1]: g for (g,) in found.values() if g.ndim == 2}
    torch.testing.assert_close(by_width[6], lstm.weight_hh_l0.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(by_width[8], lstm.weight_ih_l0.grad, rtol=1e-4, atol=1e-4)


def test_steps_within_backward():
    """The optimizer of each parameter steps in its hook, as in torch's tutorial."""
    model, reference = network(), network()
    optimizers = {p: mho.AnalogOptimizer([p], lr=0.3) for p in model.parameters()}
    for p in model.parameters():
        p.register_post_accumulate_grad_hook(lambda p: optimizers[p].step())
    loss(model).backward()
    optimizer = mho.AnalogOptimizer(reference, lr=0.3)
    loss(reference).backward()
    optimizer.step()
    assert_unchanged(model, reference.state_dict())


def test_a_buffer_of_numpy_may_be_filled_again():
    model, buffer = network(), np.zeros((12, 8), np.float32)
    reference, x = twin(model), torch.from_numpy(buffer)
    for net in (model, reference):
        for part in range(3):
            buffer[:] = X.numpy() * (part + 1)
            loss(net, x).backward()
    torch.testing.assert_close(parameter(model[0]).grad, reference[0].weight.grad)
    x = X.clone()
    model.zero_grad()
    loss(model, x).backward()
    x.zero_()
    refused("changed in place after the backward", lambda: parameter(model[0]).grad)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch.compile looks at it
def test_compiled_autograd_is_refused():
    from torch._dynamo import compiled_autograd

    with compiled_autograd._enable(torch.compile(backend="eager")):
        refused("compiled autograd", lambda: loss(network()).backward())


def test_a_loss_that_depends_on_the_copy_raises():
    """Penalties, and layers of other libraries that multiply with a weight themselves."""
    conv = mho.nn.AnalogConv2d(2, 4, 3, groups=2, hardware=PULSED)
    column = mho.convert_(nn.Linear(8, 3), PULSED.replace(mapping=mho.Mapping(bias="analog")))
    for copied in (network()[0].weight, conv.weight, conv.bias, column.weight, column.bias):
        assert copied.requires_grad
        refused(r"layer\.weight\.detach\(\)", copied.square().sum().backward)
        refused("pass the parameters", lambda: torch.optim.SGD([copied], lr=0.1))  # noqa: B023
    layer = network()[0]
    assert layer.weight.grad is None
    layer(X).sum().backward()
    refused(r"layer\.parameters\(\)", lambda: layer.weight.grad)
    layer.weight.grad = None
    assert parameter(layer).grad is None
    with torch.no_grad():
        assert layer.weight.requires_grad
        assert layer.weight.grad_fn is None


@pytest.mark.parametrize("how", ["attribute", "method"])
def test_the_copy_freezes_and_thaws(how):
    model = network()
    optimizer, before = mho.AnalogOptimizer(model, lr=0.3), held(model[0])
    for is_trained in (False, True):
        if how == "attribute":
            model[0].weight.requires_grad = is_trained
        else:
            model[0].weight.requires_grad_(is_trained)
        assert model[0].weight.requires_grad == is_trained
        loss(model).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert torch.equal(held(model[0]), before) != is_trained
    assert not model[0].weight.requires_grad_(False).requires_grad


# Writes, and other things in the place of a weight.


def test_writes_in_a_row_are_not_clipped_in_between():
    model, reference = network(), digital()
    for net in (model, reference):
        torch.manual_seed(2)
        with torch.no_grad():
            net[0].weight.normal_().mul_(0.1)
    torch.testing.assert_close(held(model[0]), reference[0].weight.detach(), rtol=0, atol=1e-6)
    model[0].weight.fill_(3.0)
    assert torch.equal(held(model[0]), torch.full((16, 8), 0.6))


def test_an_operation_in_place_programs_once():
    model = network()
    wanted = held(model[0]) + 0.05
    model[0].weight += 0.05
    torch.testing.assert_close(held(model[0]), wanted, rtol=0, atol=1e-6)
    assert programs(model) == 1


def test_assignments_that_would_lose_something():
    torch.manual_seed(1)
    first, second = (mho.convert_(nn.Linear(8, 8), PULSED) for _ in "ab")
    refused("another analog layer", lambda: setattr(second, "weight", first.weight))
    made = torch.full((8, 8), 0.1, requires_grad=True)
    refused(r"value\.detach\(\)", lambda: setattr(first, "weight", made * 2))
    assert programs(first) == programs(second) == 0
    second.weight = first.weight.detach().clone()
    assert torch.equal(held(second), held(first))
    refused("cannot assign", lambda: setattr(second, "bias", torch.ones(8)), TypeError)


def test_parameters_that_replace_a_weight():
    model, new = network(), torch.full((16, 8), 0.125)
    model[0].matrix.blocks[0].weight = nn.Parameter(new)
    assert torch.equal(held(model[0]), new)
    with torch.no_grad():
        parameter(model[0]).set_(new * 2)
    assert torch.equal(held(model[0]), new * 2)
    assert torch.equal(twin(model)[0].weight.detach(), new * 2)
    optimizer, before = mho.AnalogOptimizer(model, lr=0.3), held(model[2])
    loss(model).backward()
    optimizer.step()
    assert not torch.equal(held(model[2]), before)


class Half(nn.Module):
    def forward(self, w):
        return w / 2


@pytest.mark.parametrize(
    "change",
    [
        lambda block: parametrize.register_parametrization(block, "weight", Half()),
        lambda block: prune.l1_unstructured(block, "weight", 0.5),
        lambda block: delattr(block, "weight"),
        lambda block: setattr(block, "weight", nn.Parameter(torch.zeros(2, 2))),
    ],
)
def test_other_things_in_the_place_of_a_weight_are_refused(change):
    model = network()
    before, y = copy.deepcopy(model.state_dict()), model(X)
    refused(r"parameter of an analog layer was replaced.*program_", lambda: change(model[0].matrix.blocks[0]))
    assert_unchanged(model, before)
    assert torch.equal(model(X), y)


@pytest.mark.parametrize("kind", [nn.Parameter, mho.nn.AnalogParameter])
def test_a_weight_that_was_replaced_is_not_saved(kind):
    """As by accelerate's set_module_tensor_to_device; forward multiplies with it, as for functional_call."""
    model = network()
    model[0].matrix.blocks[0]._parameters["weight"] = kind(torch.zeros(16, 8))
    swapped = network()
    if kind is nn.Parameter:
        torch.utils.swap_tensors(parameter(swapped[0]), kind(torch.zeros(16, 8)))
    for net in (model, swapped)[: 2 if kind is nn.Parameter else 1]:
        for use in (net.state_dict, lambda: net[0].weight, lambda: copy.deepcopy(net)):  # noqa: B023
            refused("was replaced by", use)


def test_a_bias_may_be_parametrized():
    model = network()
    reference = twin(model)
    for net in (model, reference):
        nn.init.ones_(net[0].bias)
        parametrize.register_parametrization(net[0], "bias", Half())
        loss(net).backward()
    torch.testing.assert_close(model(X), reference(X))
    of_model, of_reference = (net[0].parametrizations.bias.original.grad for net in (model, reference))
    torch.testing.assert_close(of_model, of_reference)


# Functional calls and graphs.


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch.compile looks at it
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_functional_calls(backend):
    torch._dynamo.reset()
    model = network()
    given = {
        name: torch.full_like(p, 0.1, requires_grad=True).detach().requires_grad_()
        for name, p in model.named_parameters()
    }
    like = {name.replace("matrix.blocks.0.", ""): p.detach().requires_grad_() for name, p in given.items()}
    compiled = torch.compile(lambda w, x: torch.func.functional_call(model, w, (x,)), backend=backend)
    found, expected = compiled(given, X), torch.func.functional_call(digital(), like, (X,))
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(given.values(), like.values(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    own = torch.compile(lambda x: model(x), backend=backend, fullgraph=True)(X)
    torch.testing.assert_close(own, model(X), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["0.weight", "weight_hh_l0"])
def test_functional_calls_by_torchs_names_are_refused(name):
    model = network(RESIDUAL) if name == "0.weight" else mho.convert_(nn.LSTM(8, 16), RESIDUAL)
    before = copy.deepcopy(model.state_dict())
    w = torch.full((16, 8) if name == "0.weight" else (64, 16), 0.1)
    for given in (w, nn.Parameter(w)):
        refused("named_parameters", lambda: torch.func.functional_call(model, {name: given}, (X,)))  # noqa: B023
    assert_unchanged(model, before)


def test_functional_calls_with_other_cells_are_refused():
    model = network(RESIDUAL)
    y, before = model(X), copy.deepcopy(model.state_dict())
    buffers = dict(model.named_buffers())
    same = {name: b.clone() for name, b in buffers.items()}
    for given in (buffers, same, {name: b.detach() for name, b in buffers.items()}):
        assert torch.equal(torch.func.functional_call(model, given, (X,)), y)
    halved = {name: b / 2 if b.is_floating_point() else b for name, b in buffers.items()}
    refused("pass functional_call no buffers", lambda: torch.func.functional_call(model, halved, (X,)))
    assert torch.equal(model(X), y)
    assert_unchanged(model, before)


@pytest.mark.filterwarnings("ignore")
def test_traces_and_exports_of_nested_models_are_refused():
    nested = nn.Sequential(network(), nn.Sequential(mho.nn.AnalogLinear(3, 2, hardware=PULSED)))
    gru = mho.convert_(nn.GRU(8, 4), PULSED)
    for model in (nested, gru):
        for graph in (lambda: torch.jit.trace(model, X), lambda: torch.export.export(model, (X,))):  # noqa: B023
            refused("to_digital_", graph)


# State.


@pytest.mark.parametrize("assign", [False, True])
def test_a_checkpoint_of_another_precision_or_layout(assign):
    """Compiled code reads float32 in one piece, whatever was assigned."""
    model = network(RESIDUAL)
    states = [
        {name: v.half() if v.is_floating_point() else v.clone() for name, v in model.state_dict().items()},
        {name: v.clone().mT.contiguous().mT if v.ndim == 2 else v for name, v in model.state_dict().items()},
    ]
    for state in states:
        other = network(RESIDUAL)
        other.load_state_dict(state, assign=assign)
        for p in other.parameters():
            p.data = p.data.float()
        torch.testing.assert_close(other(X), model(X), rtol=0, atol=1e-2)
        tiles = [b for name, b in other.named_buffers() if name.endswith("cells")]
        assert all(b.dtype is torch.float32 and b.is_contiguous() for b in tiles)
        loss(other).backward()
        mho.AnalogOptimizer(other, lr=0.3).step()
        assert max(float(b.abs().max()) for b in tiles) <= 0.6


def test_arrays_of_numpy_are_read_only():
    weight = network()[0].weight
    for array in (weight.numpy(), np.asarray(weight)):
        assert np.array_equal(array, weight.detach())
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
