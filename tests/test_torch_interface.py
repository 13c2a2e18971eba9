"""What torch code asks of a layer besides its forward: compiled writes, second derivatives, names, other inputs."""

import copy
import shutil
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

import mho
from mho.tile.tally import Tally

X, Y = torch.linspace(-1, 1, 96).reshape(12, 8).mul(7).sin(), torch.arange(12) % 3
ANALOG = mho.Crossbar(
    algorithm=mho.algorithms.AnalogSGD(), io=None, mapping=mho.Mapping(out_scale="none", omega=0.0)
)
HALVED = ANALOG.replace(mapping=mho.Mapping(out_scale="none", omega=0.5))
COLUMN = ANALOG.replace(mapping=mho.Mapping(out_scale="none", bias="analog"))


def layer(n=8, out=16, hardware=ANALOG):
    torch.manual_seed(1)
    return mho.convert_(nn.Linear(n, out), hardware, key=5)


def network(hardware=ANALOG):
    torch.manual_seed(1)
    return mho.convert_(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3)), hardware, key=5)


def loss(model, x=X):
    return functional.cross_entropy(model(x), Y)


def held(part):
    return part.weight.detach().clone()


def programs(part):
    return [int(tile.tally[Tally.PROGRAMS]) for array in part.arrays().values() for tile in array.tiles]


def refused(match, call, error=mho.MhoError):
    with pytest.raises(error, match=match):
        call()


def half(parameters):
    with torch.no_grad():
        for p in parameters:
            p.mul_(0.5)


# Compiled code.


own_warnings = pytest.mark.filterwarnings("ignore:.*is deprecated. Please switch:DeprecationWarning")
"""Torch's own, on importing its compiler and its transforms."""


@pytest.fixture(params=["aot_eager", "inductor"])
def backend(request):
    if request.param == "inductor" and shutil.which("g++") is None:
        pytest.skip("it needs a C++ compiler")
    torch._dynamo.reset()
    return request.param


@own_warnings
def test_compiled_writes_before_a_call_are_seen_or_refused(backend):
    eager, other = layer(), layer()

    def write_and_call(part):
        half(part.parameters())
        return part(X)

    expected, before = write_and_call(eager), held(other)
    compiled = torch.compile(lambda: write_and_call(other), backend=backend)
    try:
        y = compiled()
    except mho.MhoError as error:
        assert "outside of the compiled function" in str(error)
        assert torch.equal(held(other), before)
        assert programs(other) == [0]
    else:
        assert torch.equal(y, expected)
        assert torch.equal(held(other), held(eager))


@own_warnings
def test_compiled_writes_after_a_call_program_the_arrays(backend):
    """Inductor counts them before the call, and writes after it."""
    eager, other = layer(), layer()

    def call_and_write(part):
        y = part(X)
        half(part.parameters())
        return y

    expected = call_and_write(eager)
    y = torch.compile(lambda: call_and_write(other), backend=backend)()
    assert torch.equal(y, expected)
    assert torch.equal(other(X), eager(X))
    assert programs(other) == [1]
    hidden = [part.arrays()["W"].hidden for part in (other, eager)]
    assert torch.equal(*hidden)


def test_compiled_code_reads_and_writes_layer_weight():
    torch._dynamo.reset()

    def through(part):
        part.weight.data.mul_(0.5)
        with torch.no_grad():
            part.weight[0] = 0.1
            part.weight *= 0.5
        return part(X) * part.weight.detach().max()

    eager, other = layer(), layer()
    expected = through(eager)
    assert torch.equal(torch.compile(lambda: through(other), backend="aot_eager")(), expected)
    assert torch.equal(held(other), held(eager))
    assert programs(other) == programs(eager) == [3]


def test_compiled_loss_of_layer_weight_is_refused():
    torch._dynamo.reset()
    part = layer()
    compiled = torch.compile(lambda: part(X).sum() + part.weight.square().sum(), backend="aot_eager")
    refused("depends on layer.weight", lambda: compiled().backward())


@pytest.mark.parametrize("algorithm", ["AnalogSGD", "DigitalSGD"])
def test_compiled_step_of_another_optimizer_is_refused(algorithm):
    torch._dynamo.reset()
    model = network(ANALOG.replace(algorithm=getattr(mho.algorithms, algorithm)()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    loss(model).backward()
    before = [held(model[0]), model[0].bias.detach().clone()]
    refused(
        "outside of torch.compile", lambda: torch.compile(lambda: optimizer.step(), backend="aot_eager")()
    )
    assert all(map(torch.equal, before, [held(model[0]), model[0].bias]))


# Derivatives of derivatives, and transforms.


def first(y):
    return y[0] if isinstance(y, tuple) else y


@pytest.mark.parametrize(
    ("digital", "shape"),
    [
        (nn.Linear(8, 1), (4, 8)),
        (nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1)), (4, 8)),
        (nn.Conv2d(1, 2, 3), (2, 1, 5, 5)),
        (nn.RNN(8, 3), (5, 2, 8)),
        (nn.LSTM(8, 3, proj_size=2), (5, 2, 8)),
    ],
    ids=["one layer", "two layers", "Conv2d", "RNN", "LSTM"],
)
def test_gradient_penalties_are_refused(digital, shape):
    """On one linear layer torch's way leaves no trace of the penalty."""
    critic = mho.convert_(copy.deepcopy(digital), ANALOG)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = first(critic(x)).sum()
    [g] = torch.autograd.grad(y, x, create_graph=True)
    refused("gradient penalties", (y + (g.norm(dim=-1) - 1).square().mean()).backward)


def test_gradient_penalties_of_compiled_critics_are_refused():
    torch._dynamo.reset()
    critic, x = layer(), X.clone().requires_grad_()
    y = torch.compile(critic, backend="eager")(x).sum()
    [g] = torch.autograd.grad(y, x, create_graph=True)
    refused("gradient penalties", g.square().sum().backward)


@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize("which", [0, 1], ids=["product", "look-up"])
def test_penalties_on_the_gradient_of_a_weight_are_refused(which):
    part = [layer(), mho.nn.AnalogEmbedding(16, 8, hardware=HALVED)][which]
    part(X if which == 0 else torch.tensor([1, 3])).square().sum().backward(create_graph=True)
    refused("gradient penalties", part.matrix.blocks[0].weight.grad.square().sum().backward)


@pytest.mark.filterwarnings("ignore:Using backward")
def test_create_graph_alone_changes_nothing():
    models = [network(), network()]
    for model, create_graph in zip(models, (False, True), strict=True):
        optimizer = mho.AnalogOptimizer(model, lr=0.3)
        loss(model).backward(create_graph=create_graph)
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
    assert torch.equal(held(models[0][0]), held(models[1][0]))
    assert torch.equal(models[0][0].bias, models[1][0].bias)


def test_penalties_behind_analog_layers_work():
    model = nn.Sequential(layer(8, 4), nn.Linear(4, 3))
    twin = mho.to_digital_(copy.deepcopy(model))
    seconds = []
    for m in (model, twin):
        [g] = torch.autograd.grad(loss(m), m[1].weight, create_graph=True)
        seconds += torch.autograd.grad(g.square().sum(), m[1].weight)
    torch.testing.assert_close(*seconds)


@own_warnings
@pytest.mark.parametrize(
    "call",
    [
        lambda m, w: torch.func.grad(lambda p: functional_call(m, p, (X,)).square().sum())(w),
        lambda m, w: torch.func.vmap(m)(X),
        lambda m, w: torch.func.jacrev(m)(X),
        lambda m, w: torch.func.hessian(lambda x: m(x).sum())(X[0]),
        lambda m, w: torch.func.jvp(m, (X,), (X,)),
        lambda m, w: torch.func.vmap(mho.convert_(nn.RNN(8, 3), ANALOG, key=1))(X[:, None]),
        lambda m, w: torch.func.vmap(mho.nn.AnalogEmbedding(9, 2, hardware=HALVED))(torch.arange(3)),
    ],
    ids=["grad", "vmap", "jacrev", "hessian", "jvp", "vmap of an RNN", "vmap of an embedding"],
)
def test_transforms_are_refused(call):
    model = network()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    refused(r"torch\.func.*to_digital_", lambda: call(model, weights))


def test_forward_mode_is_refused():
    model = network()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(X, X)
        refused("forward_ad", lambda: model(dual))


@pytest.mark.parametrize(
    "given",
    [
        {"0.matrix.blocks.0.weight": torch.zeros(8, 16)},
        {"0.matrix.blocks.0.weight": torch.zeros(16, 8, dtype=torch.int64)},
        {"0.matrix.blocks.0.weight": torch.zeros(16, 8, dtype=torch.complex64)},
        {"0.matrix.blocks.0.weight": None},
        {"0.bias": torch.zeros(8)},
        {"0.matrix.blocks.0.out_scale": torch.ones(3)},
    ],
    ids=["shape", "int64", "complex64", "None", "bias", "out_scale"],
)
def test_functional_call_checks_what_it_is_given(given):
    model = network(ANALOG.replace(mapping=mho.Mapping()))
    refused("must be", lambda: functional_call(model, given, (X,)))


def test_biases_of_other_lengths_are_refused():
    part = layer()
    part.bias = nn.Parameter(torch.zeros(3))
    refused(r"bias has shape \(3,\)", lambda: part(X))


def test_biases_may_have_strides():
    part = layer()
    part.bias = nn.Parameter(torch.arange(32.0)[::2])
    torch.testing.assert_close(part(X), functional.linear(X, held(part), part.bias))


# Torch's names.


@pytest.mark.parametrize("hardware", [ANALOG, COLUMN], ids=["digital bias", "analog bias"])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"kdim": 3, "vdim": 5}], ids=str)
def test_attentions_have_torchs_projections(options, hardware):
    digital = nn.MultiheadAttention(4, 2, **options)
    attention = mho.convert_(copy.deepcopy(digital), hardware, key=1)
    names = [name for name, _ in digital.named_parameters() if "." not in name]
    for name in names:
        assert torch.allclose(getattr(attention, name), getattr(digital, name), atol=1e-6)
        nn.init.constant_(getattr(attention, name), 0.1)
        assert torch.allclose(getattr(attention.to_digital(), name), torch.tensor(0.1))
        setattr(attention, name, nn.Parameter(torch.full_like(getattr(digital, name), 0.2)))
        assert torch.allclose(getattr(attention.to_digital(), name), torch.tensor(0.2))
    assert (attention.in_proj_bias is None) is (digital.in_proj_bias is None)
    assert (attention.in_proj_weight is None) is (digital.in_proj_weight is None)
    attention._reset_parameters()
    assert attention.q_proj_weight.std() > 0.1


def test_parts_of_the_projections_can_be_written_and_frozen():
    attention = mho.convert_(nn.MultiheadAttention(4, 2), ANALOG, key=1)
    attention.in_proj_weight[4].zero_()
    assert not attention.k_proj.weight[0].any()
    attention.in_proj_weight.requires_grad = False
    assert not attention.v_proj.matrix.blocks[0].weight.requires_grad
    refused(r"must be \(12, 4\)", lambda: setattr(attention, "in_proj_weight", torch.zeros(4, 4)))
    refused("tensor", lambda: setattr(attention, "in_proj_weight", None))


@pytest.mark.parametrize(
    "digital", [nn.RNN(4, 3, 2, "relu", bidirectional=True), nn.LSTM(4, 3, proj_size=2, bias=False)], ids=str
)
def test_recurrent_layers_list_their_weights(digital):
    analog = mho.convert_(copy.deepcopy(digital), ANALOG)
    for own, theirs in zip(analog.all_weights, digital.all_weights, strict=True):
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(own, theirs, strict=True))
    if isinstance(digital, nn.RNN):
        assert analog.nonlinearity == analog.to_digital().nonlinearity == "relu"


def test_convolutions_have_torchs_attributes():
    digital = nn.Conv2d(1, 2, 3)
    analog = mho.convert_(copy.deepcopy(digital), ANALOG)
    for name in digital.__constants__:
        if name not in ("in_channels", "out_channels") and hasattr(digital, name):
            assert getattr(analog, name) == getattr(digital, name), name


@pytest.mark.parametrize(
    "digital",
    [nn.Linear(8, 4), nn.Conv2d(1, 2, 3), nn.LSTM(4, 3), nn.MultiheadAttention(4, 2)],
    ids=lambda d: type(d).__name__,
)
def test_a_layer_alone_is_no_graph_of_fx(digital):
    analog = mho.convert_(copy.deepcopy(digital), ANALOG)
    refused(r"nn\.Sequential\(layer\)", lambda: torch.fx.symbolic_trace(analog))


class Half(nn.Module):
    def forward(self, w):
        return w / 2


REWRITES = {
    "parametrization": lambda part: parametrize.register_parametrization(part, "weight", Half()),
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "old weight_norm": nn.utils.weight_norm,
    "pruning": lambda part: prune.l1_unstructured(part, "weight", 0.5),
    "global pruning": lambda part: prune.global_unstructured(
        [(part, "weight")], pruning_method=prune.L1Unstructured, amount=0.5
    ),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", REWRITES)
def test_computed_weights_are_refused(name):
    part = layer(8, 8)
    before, parameters = copy.deepcopy(part.state_dict()), list(part._parameters)
    refused("layer.weight.data *= mask".replace("*", r"\*"), lambda: REWRITES[name](part))
    assert type(part) is mho.nn.AnalogLinear
    assert list(part._parameters) == parameters
    assert not part._forward_pre_hooks
    assert all(torch.equal(value, before[key]) for key, value in part.state_dict().items())


def test_digital_biases_may_be_computed():
    part = layer()
    prune.l1_unstructured(part, "bias", 0.5)
    assert int((part.bias == 0).sum()) == 8
    for _ in range(2):
        torch.testing.assert_close(part(X), functional.linear(X, held(part), part.bias))
    other = layer()
    parametrize.register_parametrization(other, "bias", Half())
    bias = other.parametrizations.bias.original / 2
    torch.testing.assert_close(other(X), functional.linear(X, held(other), bias))


@pytest.mark.parametrize(
    ("digital", "name"),
    [(nn.Linear(8, 4), "weight"), (nn.Conv2d(1, 2, 3), "weight"), (nn.LSTM(4, 3), "weight_ih_l0"),
     (nn.MultiheadAttention(4, 2), "in_proj_weight")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_weights_cannot_be_deleted(digital, name):
    analog = mho.convert_(copy.deepcopy(digital), ANALOG)
    refused(f"del layer.{name}", lambda: delattr(analog, name))
    refused("must be a tensor", lambda: setattr(analog, name, None))
    with pytest.raises(AttributeError):
        del analog.nothing


# Torch's settings, and models without numbers.


@pytest.fixture(params=["swap", "overwrite"])
def conversion(request):
    put = getattr(torch.__future__, f"set_{request.param}_module_params_on_conversion")
    put(True)
    yield request.param
    put(False)


def test_layers_are_converted_and_loaded_in_place(conversion):
    model, other = network(), network()
    other[0].program_(torch.zeros(16, 8))
    model.double().float()
    assert getattr(torch.__future__, f"get_{conversion}_module_params_on_conversion")()
    torch.testing.assert_close(model(X), network()(X))
    optimizer = mho.AnalogOptimizer(model, lr=0.3)
    model.load_state_dict(other.state_dict())
    assert torch.equal(model(X), other(X))
    for m, o in ((model, optimizer), (other, mho.AnalogOptimizer(other, lr=0.3))):
        loss(m).backward()
        o.step()
    assert torch.equal(held(model[0]), held(other[0]))


@pytest.mark.parametrize("include_buffers", [False, True])
def test_empty_weights_of_accelerate(include_buffers):
    accelerate = pytest.importorskip("accelerate")
    with accelerate.init_empty_weights(include_buffers=include_buffers):
        model, part = network(), mho.nn.AnalogLinear(8, 16, hardware=ANALOG, key=3)
    model.load_state_dict(network().state_dict(), assign=True)
    part.load_state_dict(layer().state_dict(), assign=True)
    assert torch.equal(model(X), network()(X))
    assert torch.equal(part(X), layer()(X))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"device": mho.Device(mho.responses.SoftBounds(tau_max=1), sigma_c2c=0)},
         {"device": mho.Device(mho.responses.SoftBounds(tau_max=1.0), sigma_c2c=0.0)}),
        ({"mapping": mho.Mapping(omega=1)}, {"mapping": mho.Mapping(omega=1.0)}),
        ({"device": mho.Device(spread={"gain": 0.1, "tau_max": 0.2})},
         {"device": mho.Device(spread={"tau_max": 0.2, "gain": 0.1})}),
    ],
    ids=["device", "mapping", "order"],
)  # fmt: skip
def test_labels_compare_numbers(one, other):
    saved, model = (layer(hardware=ANALOG.replace(**fields)) for fields in (one, other))
    model.load_state_dict(saved.state_dict())
    saved.load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    "fields",
    [{"sigma_c2c": 0.1}, {"spread": {"gain": 0.2}}, {"spread": {"gain": 0.1, "tau_max": 0.1}}],
    ids=str,
)
def test_labels_of_other_numbers_differ(fields):
    saved = layer(hardware=ANALOG.replace(device=mho.Device(spread={"gain": 0.1})))
    model = layer(hardware=ANALOG.replace(device=mho.Device(**fields)))
    refused("other hardware", lambda: model.load_state_dict(saved.state_dict()))


# Other inputs.


@pytest.mark.parametrize(
    "digital",
    [
        nn.Linear(8, 4),
        nn.Conv2d(1, 2, 3),
        nn.Embedding(9, 3),
        nn.RNN(4, 3),
        nn.LSTM(4, 3),
        nn.MultiheadAttention(4, 2),
    ],
    ids=lambda d: type(d).__name__,
)
@pytest.mark.parametrize("x", [None, 3, [1.0], np.ones((2, 4))], ids=lambda x: type(x).__name__)
def test_inputs_are_tensors(digital, x):
    if isinstance(digital, nn.Embedding):
        part = mho.nn.AnalogEmbedding(9, 3, hardware=HALVED)
    else:
        part = mho.convert_(copy.deepcopy(digital), ANALOG)
    arguments = (x, x, x) if isinstance(digital, nn.MultiheadAttention) else (x,)
    refused(r"forward`: the input is of type .* must be a tensor", lambda: part(*arguments))


def test_keys_values_and_masks_are_tensors():
    attention, x = mho.convert_(nn.MultiheadAttention(4, 2), ANALOG), torch.zeros(3, 2, 4)
    refused("key is of type list", lambda: attention(x, [1], x))
    refused("attn_mask is of type list", lambda: attention(x, x, x, attn_mask=[1]))


def test_inputs_have_a_dimension():
    refused(r"shape \(\)", lambda: layer()(torch.tensor(1.0)))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "make",
    [
        lambda: mho.nn.AnalogLinear(0, 3, hardware=ANALOG),
        lambda: mho.nn.AnalogLinear(3, 0, hardware=ANALOG),
        lambda: mho.nn.AnalogConv2d(3, 2, 0, hardware=ANALOG),
        lambda: mho.nn.AnalogEmbedding(0, 3, hardware=ANALOG),
        lambda: mho.convert_(nn.Sequential(nn.Linear(3, 0)), ANALOG),
    ],
    ids=["no input", "no output", "no kernel", "no row", "convert_"],
)
def test_layers_of_no_cells_are_refused(make):
    refused("at least one row and one column", make)


def test_learning_rates_of_numpy():
    models = [network(), network()]
    for model, lr in zip(models, (0.1, np.array(0.1)), strict=True):
        optimizer = mho.AnalogOptimizer(model, lr=lr)
        loss(model).backward()
        optimizer.step()
    assert torch.equal(held(models[0][0]), held(models[1][0]))
    refused("finite", lambda: mho.AnalogOptimizer(network(), lr=np.array(np.nan)))


def test_other_cells_name_the_ways_to_write():
    part = layer()
    part.arrays()["W"].tiles[0].cells = torch.zeros(16, 8)
    refused(r"layer\.arrays\(\)", lambda: part(X))


# Ties, and ways past the arrays.


@pytest.mark.parametrize(
    "tie",
    [
        lambda a, b, c: setattr(b, "weight", nn.Parameter(a.weight.t())),
        lambda a, b, c: setattr(c.weight, "data", a.weight.data),
        lambda a, b, c: setattr(c, "weight", nn.Parameter(a.weight.detach())),
    ],
    ids=["transposed", "data", "detached"],
)
def test_weights_that_share_memory_are_no_tie(tie):
    layers = nn.ModuleList([nn.Linear(8, 4), nn.Linear(4, 8), nn.Linear(8, 4)])
    tie(*layers)
    refused("tied weights", lambda: mho.convert_(layers, ANALOG))
    assert all(type(part) is nn.Linear for part in layers)


def test_weights_beside_each_other_in_memory_are_converted():
    columns, flat = torch.ones(4, 16), torch.ones(64)
    layers = nn.ModuleList(nn.Linear(8, 4, bias=False) for _ in range(4))
    layers[0].weight, layers[1].weight = nn.Parameter(columns[:, ::2]), nn.Parameter(columns[:, 1::2])
    layers[2].weight, layers[3].weight = (nn.Parameter(part.view(4, 8)) for part in flat.chunk(2))
    mho.convert_(layers, ANALOG)
    assert all(isinstance(part, mho.nn.AnalogLinear) for part in layers)


def test_products_with_layer_weight_inside_of_a_network_are_refused():
    """As in the attention of timm's EVA; a product with an input, or without gradient, is arithmetic."""
    part, before = layer(), nn.Linear(8, 8)
    refused(r"linear\(x, layer.weight\).*layer\(x\)", lambda: functional.linear(before(X), part.weight))
    functional.linear(before(X), part.weight.detach())
    functional.linear(X, part.weight)
    with torch.no_grad():
        functional.linear(before(X), part.weight)


def test_data_parallel_models_are_connected_first(monkeypatch):
    wrapper = types.new_class("Wrapper", (nn.parallel.DistributedDataParallel,))
    monkeypatch.setattr(
        wrapper, "__init__", lambda self, model: (nn.Module.__init__(self), setattr(self, "module", model))[0]
    )
    refused(r"parallel\.connect", lambda: wrapper(network()))
    wrapper(network().requires_grad_(False))
    wrapper(nn.Linear(2, 2))
