"""torch.compile around forward and backward, and activation checkpointing: the bits of a training without them."""

import copy
import shutil

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import mho
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.nn.core.calls import Calls

NOISY = mho.Crossbar(
    algorithm=ResidualLearning(fast_lr=0.1),
    device=mho.Device(sigma_c2c=0.1),
    mapping=mho.Mapping(max_in=8, out_scale="columnwise", omega=0.5),
)
PERFECT = NOISY.replace(algorithm=AnalogSGD(), io=None, mapping=mho.Mapping(max_in=4))


class Net(nn.Module):
    """A convolution, a linear layer on several sub-tiles, and one that is used twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.wide, self.twice = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(75, 7), nn.Linear(7, 7)

    def forward(self, x):
        h = self.wide(self.conv(x).tanh().flatten(1)).tanh()
        return self.twice(self.twice(h).tanh())


def network(hardware=NOISY):
    torch.manual_seed(0)
    return mho.convert_(Net(), hardware)


def trained(model, loss, steps=3, micro_batches=2, samples=(4, 4)):
    """Losses of a training, and what the model then holds."""
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    g = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        for part in range(micro_batches):
            value = loss(torch.randn(samples[part], 1, 5, 5, generator=g))
            value.backward()
            losses.append(value.item())
        optimizer.step()
    return losses, model.state_dict()


def assert_same(found, expected):
    assert found[0] == expected[0]
    for name, value in expected[1].items():
        assert torch.equal(found[1][name], value), name


def loss_of(model):
    return lambda x: model(x).square().mean()


@pytest.fixture(autouse=True)
def forget_graphs():
    torch._dynamo.reset()


# Compilation.


@pytest.mark.parametrize("hardware", [NOISY, PERFECT], ids=["noisy", "perfect"])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_training_has_the_bits_of_an_eager_one(backend, hardware):
    eager, compiled = network(hardware), network(hardware)
    graph = torch.compile(loss_of(compiled), fullgraph=True, backend=backend)
    assert_same(trained(compiled, graph), trained(eager, loss_of(eager)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, on importing its compiler
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_inductor_differs_by_its_own_arithmetic_alone():
    """It fuses what is between the layers, in another order; what the layers are asked for is the same."""
    eager, compiled = network(PERFECT), network(PERFECT)
    graph = torch.compile(loss_of(compiled), fullgraph=True)
    found, expected = trained(compiled, graph), trained(eager, loss_of(eager))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-7)
    assert [c.up for c in mho.pulse_report(compiled)] != [0] * 5


def test_batches_of_all_sizes_take_one_graph():
    eager, compiled = network(), network()
    graphs = []

    def counting(graph, inputs):
        graphs.append(graph)
        return graph.forward

    graph = torch.compile(loss_of(compiled), fullgraph=True, backend=counting, dynamic=True)
    sizes = {"micro_batches": 3, "samples": (2, 5, 9)}
    assert_same(trained(compiled, graph, **sizes), trained(eager, loss_of(eager), **sizes))
    assert len(graphs) == 1


def test_a_compiled_model_evaluates_without_touching_the_training():
    eager, compiled = network(), network()
    graph = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        outputs = [graph.eval()(torch.ones(2, 1, 5, 5)) for _ in range(2)]
        expected = [eager.eval()(torch.ones(2, 1, 5, 5)) for _ in range(2)]
    assert all(map(torch.equal, outputs, expected))
    assert not torch.equal(*outputs)
    eager.train(), graph.train()
    assert_same(trained(compiled, lambda x: graph(x).square().mean()), trained(eager, loss_of(eager)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_compiled_layers_keep_the_dtype_of_their_input(dtype):
    model = network()
    conv = torch.compile(model.conv, fullgraph=True, backend="aot_eager")
    x = torch.ones(2, 1, 5, 5, dtype=dtype, requires_grad=True)
    y = conv(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(x.detach().float()).dtype == torch.float32


def test_a_frozen_layer_records_nothing_when_compiled():
    model = network()
    model.wide.requires_grad_(False)
    torch.compile(loss_of(model), fullgraph=True, backend="aot_eager")(torch.ones(2, 1, 5, 5)).backward()
    recorded = {n: len(m.factors) for n, m in model.named_modules() if isinstance(m, mho.nn.core.block.Block)}
    assert {n.partition(".")[0] for n, found in recorded.items() if found} == {"conv", "twice"}
    model.conv.requires_grad_(False)
    frozen = torch.compile(model.conv, fullgraph=True, backend="aot_eager")
    assert not frozen(torch.ones(2, 1, 5, 5)).requires_grad


def test_copies_are_compiled_with_their_own_cells():
    model = network()
    graph = torch.compile(loss_of(model), fullgraph=True, backend="aot_eager")
    trained(model, graph, steps=1)
    other = copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    trained(other, torch.compile(loss_of(other), fullgraph=True, backend="aot_eager"), steps=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.equal(other.wide.weight, model.wide.weight)


@pytest.mark.parametrize("layer", ["conv", "wide"])
def test_operators_are_what_torch_asks_of_custom_operators(layer, monkeypatch):
    """The calls' counter is held still: an operator that draws new noise each time is not a function."""
    monkeypatch.setattr(Calls, "begin", lambda self, *args, **kwargs: 0)
    module = getattr(network(PERFECT), layer)
    affine = module.parts[0] if layer == "conv" else module
    x = torch.randn((2, 1, 5, 5) if layer == "conv" else (2, 3, 75), requires_grad=True)
    handle, scales = affine.matrix.handle, [block.out_scale for block in affine.matrix.blocks]
    seen = [block.w for block in affine.matrix.blocks]
    arguments = x, affine.bias, scales, handle.tap, seen, handle.number, True
    torch.library.opcheck(torch.ops.mho.product.default, arguments)
    with torch.no_grad():
        y, event, unscaled = torch.ops.mho.product(*arguments)
        back = torch.randn_like(y), x.detach(), event, unscaled, [s.detach() for s in scales]
        torch.library.opcheck(torch.ops.mho.product_backward.default, (*back, handle.number, [True] * 4))


# Activation checkpoints.


@pytest.mark.parametrize("reentrant", [False, True], ids=["saved tensors hooks", "reentrant"])
def test_recomputation_draws_the_noise_of_the_first_time(reentrant):
    """Nested, and with a layer in several checkpoints, whose recomputations come in the opposite order."""
    plain, saving = network(), network()

    def with_checkpoints(x):
        def head(x):
            return saving.wide(saving.conv(x).tanh().flatten(1)).tanh()

        h = checkpoint(head, x.requires_grad_(), use_reentrant=reentrant)
        for _ in range(2):
            h = checkpoint(lambda h: saving.twice(h), h, use_reentrant=reentrant)
            h = h.tanh() if _ == 0 else h
        return h.square().mean()

    assert_same(trained(saving, with_checkpoints), trained(plain, loss_of(plain)))


def test_nested_checkpoints_draw_the_noise_of_the_first_time():
    plain, saving = network(), network()

    def tail(h):
        return saving.twice(checkpoint(saving.twice, h, use_reentrant=False).tanh())

    def with_checkpoints(x):
        def all_of_it(x):
            return tail(saving.wide(saving.conv(x).tanh().flatten(1)).tanh())

        return checkpoint(all_of_it, x, use_reentrant=False).square().mean()

    assert_same(trained(saving, with_checkpoints), trained(plain, loss_of(plain)))


def test_checkpoints_inside_of_compiled_code_draw_the_noise_of_the_first_time():
    plain, saving = network(), network()

    def with_checkpoints(x):
        h = checkpoint(lambda x: saving.wide(saving.conv(x).tanh().flatten(1)).tanh(), x, use_reentrant=False)
        return saving.twice(saving.twice(h).tanh()).square().mean()

    graph = torch.compile(with_checkpoints, fullgraph=True, backend="aot_eager")
    assert_same(trained(saving, graph), trained(plain, loss_of(plain)))
