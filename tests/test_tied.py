"""Tied weights on one array: an embedding that reads the rows of an analog head, and GPT-2 with its Conv1D."""

import copy
import pickle

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import mho
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning
from mho.nn import AnalogEmbedding, AnalogLinear, AnalogTransposedLinear
from mho.nn.core.block import Block
from mho.nn.core.calls import Calls
from mho.responses import Constant
from mho.tile.tally import Tally

N, WIDTH, PAD = 20, 12, 3
WIDE = mho.Device(Constant(tau_max=50.0, tau_min=-50.0))
PLAIN = mho.Mapping(out_scale="none")
EXACT = mho.Crossbar(algorithm=AnalogSGD(), pulses=mho.Exact(), io=None, device=WIDE, mapping=PLAIN)
NOISY = mho.Crossbar(
    algorithm=ResidualLearning(fast_lr=0.1),
    device=mho.Device(sigma_c2c=0.1),
    mapping=mho.Mapping(max_in=7, max_out=9, omega=0.5, out_scale="columnwise"),
)
SMALL = {"max_in": 7, "max_out": 9}
HARDWARE = {
    "exact pulses": EXACT,
    "digital": EXACT.replace(algorithm=DigitalSGD()),
    "sub-tiles": EXACT.replace(mapping=PLAIN.replace(**SMALL)),
    "scales": EXACT.replace(mapping=PLAIN.replace(**SMALL, omega=0.5)),
    "one scale": EXACT.replace(mapping=PLAIN.replace(omega=0.5, columnwise=False)),
    "analog bias": EXACT.replace(mapping=PLAIN.replace(**SMALL, bias="analog")),
}
each = pytest.mark.parametrize("name", HARDWARE)


class Tied(nn.Module):
    """A small language model: an embedding, a body, and a head that has the weight of the embedding."""

    def __init__(self, padding_idx=PAD, bias=True):
        super().__init__()
        self.embedding = nn.Embedding(N, WIDTH, padding_idx)
        self.body, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, N, bias=bias)
        self.head.weight = self.embedding.weight

    def forward(self, index):
        return self.head(self.body(self.embedding(index)).tanh())


def tied(hardware=EXACT, key=5, **options):
    torch.manual_seed(0)
    return mho.convert_(Tied(**options), hardware, key=key)


def tokens(*shape, low=0):
    return torch.randint(low, N, shape or (4, 6), generator=torch.Generator().manual_seed(1))


def loss(model, index, labels=None):
    logits = model(index).flatten(0, -2)
    return functional.cross_entropy(logits, tokens(index.numel()) if labels is None else labels)


def train(model, optimizer, steps=4, index=None):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model, tokens() if index is None else index)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def assert_same_state(model, other):
    for (name, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


# The gradient: head and embedding train one array as torch trains one parameter.


@each
@pytest.mark.parametrize("shape", [(4, 6), (5,), (2, 3, 4)])
def test_training_is_that_of_tied_weights_in_torch(name, shape):
    torch.manual_seed(0)
    digital, analog, index = Tied(), tied(HARDWARE[name]), tokens(*shape)
    assert (index == PAD).any() or len(shape) == 1
    expected = train(digital, torch.optim.SGD(digital.parameters(), lr=0.2), 8, index)
    losses = train(analog, mho.AnalogOptimizer(analog, lr=0.2), 8, index)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    assert losses[-1] < 0.8 * losses[0]
    back = mho.to_digital_(analog)
    for (which, p), q in zip(back.named_parameters(), digital.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-5, msg=lambda m, w=which: f"{w}: {m}")


@pytest.mark.parametrize("padding_idx", [None, PAD])
def test_the_gradient_as_a_matrix_and_that_of_output_scales(padding_idx):
    hardware = EXACT.replace(mapping=mho.Mapping(**SMALL, omega=0.5, out_scale="columnwise"))
    analog = tied(hardware, padding_idx=padding_idx)
    matrix = analog.embedding.matrix
    with torch.no_grad():
        for block in matrix.blocks:
            block.out_scale += 0.1 * torch.arange(len(block.out_scale))
    whole, scale, seen = (torch.empty(N, WIDTH) for _ in range(3))
    places = [(slice(*r), slice(*c)) for r in matrix.rows for c in matrix.columns]
    for block, place in zip(matrix.blocks, places, strict=True):
        whole[place], scale[place], seen[place] = (
            block.w,
            block.scale[:, None],
            block.out_scale.detach()[:, None],
        )
    weight, seen = (whole * scale).requires_grad_(), seen.requires_grad_()
    index, targets = tokens(), torch.randn(4, 6, WIDTH, generator=torch.Generator().manual_seed(2))
    y = functional.embedding(index, weight * seen, padding_idx)
    ((y + functional.linear(y.tanh(), weight * seen)[..., :WIDTH]) * targets).sum().backward()
    h = analog.embedding(index)
    ((h + (analog.head(h.tanh()) - analog.head.bias)[..., :WIDTH]) * targets).sum().backward()
    for block, place in zip(matrix.blocks, places, strict=True):
        expected = weight.grad[place] * block.scale[:, None]
        torch.testing.assert_close(block.weight.grad, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(block.out_scale.grad, seen.grad[place].sum(1), rtol=1e-4, atol=1e-4)


def test_padding_gets_its_gradient_from_the_head_alone():
    analog = tied()
    analog.embedding(torch.tensor([PAD, 1, PAD])).sum().backward()
    gradient = analog.embedding.matrix.blocks[0].weight.grad
    assert torch.equal(gradient.any(dim=1).nonzero()[:, 0], torch.tensor([1]))
    analog.zero_grad()
    loss(analog, tokens()).backward()
    assert analog.embedding.matrix.blocks[0].weight.grad[PAD].any()


def test_pulses_of_samples_follow_the_order_of_the_calls():
    analog, index = tied(EXACT.replace(algorithm=AnalogSGD(), pulses=mho.Pulses())), tokens()
    loss(analog, index).backward()
    first, second = analog.embedding.matrix.blocks[0].factors
    assert first.x.shape == (int((index != PAD).sum()), WIDTH)
    assert torch.equal(first.d, -functional.one_hot(index[index != PAD], N).float())
    assert second.x.shape == (index.numel(), WIDTH)
    train(analog, mho.AnalogOptimizer(analog, lr=0.1))
    assert analog.head.matrix.blocks[0].state.W.tally[Tally.UP] > 0


def test_a_gradient_that_is_not_finite_stops_the_step():
    analog = tied()
    optimizer = mho.AnalogOptimizer(analog, lr=0.1)
    before = analog.head.weight.clone()
    (analog.embedding(tokens()) * torch.inf).sum().backward()
    with pytest.raises(mho.MhoError, match="NaN or infinity"):
        optimizer.step()
    assert torch.equal(analog.head.weight, before)
    optimizer.zero_grad()
    train(analog, optimizer, 1)


def test_a_frozen_array_gets_no_factors():
    analog = tied()
    for p in analog.embedding.parameters():
        p.requires_grad_(False)
    assert not analog.embedding(tokens()).requires_grad
    loss(analog, tokens()).backward()
    assert analog.head.matrix.blocks[0].factors == []


def test_other_weights_for_one_call():
    """`torch.func.functional_call`: the gradient goes to what was passed.

    With tie_weights torch replaces a parameter once for each name of a module, and leaves the replacement behind.
    """
    analog, index = tied(EXACT.replace(mapping=PLAIN.replace(**SMALL))), tokens()
    names = [n for n, p in analog.named_parameters() if n.startswith("embedding") and p.ndim == 2]
    other = {n: (0.5 * analog.get_parameter(n).detach()).requires_grad_() for n in names}
    torch.testing.assert_close(
        functional_call(
            analog.embedding, {n.removeprefix("embedding."): p for n, p in other.items()}, (index,)
        ),
        0.5 * analog.embedding(index),
    )
    functional_call(analog, other, (index,), tie_weights=False).square().sum().backward()
    digital = Tied()
    weight = torch.cat([torch.cat([*other.values()][n : n + 2], dim=1) for n in range(0, len(names), 2)])
    digital.load_state_dict(mho.to_digital_(copy.deepcopy(analog)).state_dict())
    with torch.no_grad():
        digital.head.weight.copy_(weight)
    digital(index).square().sum().backward()
    places = [(slice(*r), slice(*c)) for r in analog.head.matrix.rows for c in analog.head.matrix.columns]
    for p, place in zip(other.values(), places, strict=True):
        torch.testing.assert_close(p.grad, digital.head.weight.grad[place], rtol=1e-4, atol=1e-4)
    assert all(block.factors == [] for block in analog.head.matrix.blocks)


# The read-out.


@each
def test_rows_are_exactly_those_that_the_network_sees(name):
    hardware = HARDWARE[name]
    hardware = hardware.replace(mapping=hardware.mapping.replace(out_scale="columnwise"))
    analog, index = tied(hardware), tokens(2, 3, 4)
    with torch.no_grad():
        for block in analog.head.matrix.blocks:
            block.out_scale += 0.1 * torch.arange(len(block.out_scale))
    for _ in range(2):
        rows = analog.embedding(index)
        assert rows.shape == (2, 3, 4, WIDTH)
        assert torch.equal(rows, torch.Tensor(analog.head.weight)[index])
        assert torch.equal(rows, analog.embedding(index.int()))
        nn.init.normal_(analog.head.weight)
    assert analog.embedding(torch.tensor(4)).shape == (WIDTH,)
    assert analog.embedding(torch.empty(0, 2, dtype=torch.int64)).shape == (0, 2, WIDTH)


@pytest.mark.parametrize("training", [True, False])
def test_a_row_is_the_backward_product_of_a_unit_vector(training):
    """Bit for bit, with the noise of the call: one read for each row, however often it is asked for."""
    analog = tied(NOISY).train(training)
    matrix, index = analog.embedding.matrix, torch.tensor([7, 2, 7, 15, 2, 8])
    events = []
    begin = Calls.begin

    def spy(self, *args):
        events.append(begin(self, *args))
        return events[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Calls, "begin", spy)
        first, second = analog.embedding(index), analog.embedding(index)
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[1], first[4])
    assert not torch.equal(first, second), "each call has noise of its own"
    for rows, event in zip((first, second), events, strict=True):
        for r, (top, bottom) in enumerate(matrix.rows):
            inside = index[(index >= top) & (index < bottom)].unique()
            if not len(inside):
                continue
            units = functional.one_hot(inside - top, bottom - top).float()
            for c, cut in enumerate(matrix.columns):
                block = matrix.blocks[r * len(matrix.columns) + c]
                y = block.product(units, "backward", event) * block.scale[inside - top, None]
                for row, expected in zip(inside, y, strict=True):
                    assert torch.equal(rows[(index == row).nonzero()[0, 0], slice(*cut)], expected)


def test_the_noise_of_rows_is_that_of_the_backward_converters():
    sigma, mapping = 0.3, PLAIN
    hardware = EXACT.replace(
        io={"forward": mho.IO(perfect=True), "backward": mho.IO(sigma_out=sigma, out_res=0)}
    )
    analog, index = tied(hardware.replace(mapping=mapping)), torch.arange(N)
    with torch.no_grad():
        error = torch.stack([analog.embedding(index) - analog.embedding.weight for _ in range(50)])
    n = error.numel()
    assert abs(error.mean()) < 5 * sigma / n**0.5
    assert abs(error.std() - sigma) < 5 * sigma / (2 * n) ** 0.5


def test_large_calls_are_read_in_pieces(monkeypatch):
    cut, index = tied(NOISY), tokens(30)
    noiseless = NOISY.replace(io=mho.IO(sigma_out=0.0))
    quiet, parts = tied(noiseless), tied(noiseless)
    expected = quiet.embedding(index)
    monkeypatch.setattr("mho.nn.core.gather.MOST", 20)
    assert torch.equal(parts.embedding(index), expected)
    matrix, seen = cut.embedding.matrix, []
    product = Block.product

    def spy(self, x, direction, event, *args):
        seen.append((self.key, event))
        return product(self, x, direction, event, *args)

    monkeypatch.setattr(Block, "product", spy)
    cut.embedding(index)
    assert len(seen) == len({*seen}), "each piece has an event of its own"
    assert len(seen) > len(matrix.blocks)
    assert max(bottom - top for top, bottom in matrix.rows) == 7
    assert matrix.calls.counters("count")[1] == 4, "two unit vectors of seven numbers a piece"


class Half(mho.Wires):
    """Wires that let half of each current through."""

    def currents(self, matrix):
        return 0.5 * matrix


def test_rows_come_through_the_wires():
    analog = tied(EXACT.replace(io=mho.IO(perfect=True, wires=Half())))
    torch.testing.assert_close(analog.embedding(tokens()), 0.5 * torch.Tensor(analog.head.weight)[tokens()])


# What is refused.


@pytest.mark.parametrize("index", [[0, N], [-1]])
@pytest.mark.parametrize("hardware", [EXACT, NOISY])
def test_rows_that_do_not_exist_are_index_errors(index, hardware):
    with pytest.raises(IndexError, match="index out of range in self"):
        nn.Embedding(N, WIDTH)(torch.tensor(index))
    with pytest.raises(IndexError, match="index out of range in self"):
        tied(hardware).embedding(torch.tensor(index))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.int16])
def test_numbers_of_other_dtypes_are_refused(dtype):
    with pytest.raises(mho.MhoError, match=r"AnalogEmbedding\.forward.*x\.long\(\)"):
        tied().embedding(tokens().to(dtype))


@pytest.mark.parametrize(
    "options",
    [{"max_norm": 1.0}, {"sparse": True}, {"scale_grad_by_freq": True}],
    ids=lambda options: next(iter(options)),
)
def test_options_that_an_array_cannot_have_are_refused(options):
    model = Tied()
    model.embedding = nn.Embedding(N, WIDTH, **options)
    model.head.weight = model.embedding.weight
    before = list(model.named_modules())
    with pytest.raises(mho.MhoError, match=rf"layer 'embedding'.*{next(iter(options))} is"):
        mho.convert_(model, EXACT)
    assert list(model.named_modules()) == before


class Mine(nn.Embedding):
    pass


def spoilt(kind):
    model, hardware = Tied(), EXACT
    if kind == "subclass":
        model.embedding = Mine(N, WIDTH)
        model.head.weight = model.embedding.weight
    elif kind == "other hardware":
        model.again = nn.Linear(WIDTH, N)
        model.again.weight = model.head.weight
        hardware = {"again": EXACT.replace(count_cells=True), "*": EXACT}
    elif kind == "one stays digital":
        model.again = nn.Linear(WIDTH, N)
        model.again.weight = model.head.weight
        hardware = {"again": None, "*": EXACT}
    elif kind == "analog bias":
        model.again = nn.Linear(WIDTH, N)
        model.again.weight = model.head.weight
        hardware = EXACT.replace(mapping=PLAIN.replace(bias="analog"))
    elif kind == "bias of a convolution":
        model.conv = nn.Conv1d(3, N, 1)
        model.conv.bias = model.head.bias
    elif kind == "other name":
        model.register_parameter("copied", model.head.weight)
    return model, hardware


@pytest.mark.parametrize(
    "kind",
    ["subclass", "other hardware", "one stays digital", "analog bias", "bias of a convolution", "other name"],
)
def test_other_ties_are_refused_and_leave_the_model_as_it_was(kind):
    model, hardware = spoilt(kind)
    before = list(model.named_modules())
    with pytest.raises(mho.MhoError, match="tied weights"):
        mho.convert_(model, hardware)
    assert list(model.named_modules()) == before


def test_hooks_on_the_state_of_an_embedding_are_refused():
    model = Tied()
    model.embedding.register_state_dict_post_hook(lambda *a: None)
    with pytest.raises(mho.MhoError, match="layer 'embedding'`: it has hooks on its state_dict"):
        mho.convert_(model, EXACT)


# A module of torch.


def test_conversion_there_and_back():
    torch.manual_seed(0)
    digital = Tied().eval()
    seen = []
    digital.embedding.register_forward_hook(lambda *a: seen.append("hook"))
    analog = mho.convert_(copy.deepcopy(digital), EXACT)
    assert isinstance(analog.embedding, AnalogEmbedding)
    assert analog.embedding.matrix is analog.head.matrix
    assert torch.equal(analog(tokens()), digital(tokens()))
    assert len(seen) == 2
    assert not any(part.training for part in analog.modules())
    assert repr(analog.embedding) == (
        "AnalogEmbedding(20, 12, padding_idx=3, tied, algorithm=AnalogSGD, law=Constant, io=None)"
    )
    back = mho.to_digital_(analog)
    assert type(back.embedding) is nn.Embedding
    assert back.embedding.padding_idx == PAD
    assert back.head.weight is back.embedding.weight
    assert [n for n, _ in back.named_parameters()] == [n for n, _ in digital.named_parameters()]
    assert torch.equal(back(tokens()), digital(tokens()))


def test_a_head_that_stays_digital_keeps_its_embedding():
    model = mho.convert_(Tied(), {"body": EXACT})
    assert type(model.embedding) is nn.Embedding
    assert model.head.weight is model.embedding.weight


def test_frozen_weights_stay_frozen():
    model = Tied()
    model.head.weight.requires_grad_(False)
    analog = mho.convert_(model, EXACT)
    assert not any(block.weight.requires_grad for block in analog.head.matrix.blocks)
    back = mho.to_digital_(analog)
    assert back.head.weight is back.embedding.weight
    assert not back.head.weight.requires_grad
    assert back.head.bias.requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_outputs_have_the_dtype_of_the_layer(dtype):
    analog = mho.convert_(Tied().to(dtype), EXACT)
    assert analog.embedding(tokens()).dtype is dtype
    assert analog(tokens()).dtype is dtype
    loss(analog, tokens()).backward()
    assert analog.embedding.to(torch.float32)(tokens()).dtype is torch.float32
    back = mho.to_digital_(analog)
    assert back.head.weight is back.embedding.weight
    assert back.head.weight.dtype is dtype


@pytest.mark.parametrize(
    "make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"]
)
def test_copies_are_tied(make):
    analog = tied(NOISY)
    other = make(analog)
    assert other.embedding.matrix is other.head.matrix
    assert other.embedding.matrix is not analog.head.matrix
    assert [n for n, _ in other.named_parameters()] == [n for n, _ in analog.named_parameters()]
    for model in (analog, other):
        train(model, mho.AnalogOptimizer(model, lr=0.1))
    assert_same_state(analog, other)


def test_a_state_has_shared_arrays_once_and_loads_under_any_name():
    analog = tied(NOISY)
    train(analog, mho.AnalogOptimizer(analog, lr=0.1))
    state = analog.state_dict()
    assert {n.split(".")[0] for n in state} == {"embedding", "body", "head"}
    assert [n for n in state if n.startswith("head.")] == ["head.bias"]
    assert {n for n, p in analog.named_parameters() if "out_scale" in n} < {*state}
    pointers = [t.data_ptr() for t in state.values() if t.numel()]
    assert len(pointers) == len({*pointers}), "safetensors takes no tensor twice"
    renamed = {n.replace("embedding.", "head."): t for n, t in state.items()}
    for given in (state, renamed, state | renamed):
        other = tied(NOISY, key=6)
        assert not torch.equal(other.head.weight, analog.head.weight)
        assert other.load_state_dict(given) == ([], [])
        assert_same_state(other, analog)
        assert torch.equal(other.embedding.weight, analog.embedding.weight)
    assert len(analog.embedding.state_dict()) == len(analog.head.state_dict()) - 1, "alone each has all"
    with pytest.raises(RuntimeError, match=r"Missing key.*matrix"):
        tied(NOISY).load_state_dict({n: t for n, t in state.items() if not n.startswith("embedding")})


def test_resuming_goes_on_with_the_same_bits():
    analog = tied(NOISY)
    optimizer = mho.AnalogOptimizer(analog, lr=0.1)
    train(analog, optimizer)
    other = tied(NOISY)
    other.load_state_dict(copy.deepcopy(analog.state_dict()))
    assert train(analog, optimizer) == train(other, mho.AnalogOptimizer(other, lr=0.1))
    assert_same_state(analog, other)


def programs(layer):
    return sum(int(block.state.W.tally[Tally.PROGRAMS]) for block in layer.matrix.blocks)


def test_writes_to_either_layer_program_one_array():
    analog = tied()
    analog.embedding.weight = torch.full((N, WIDTH), 0.25)
    assert torch.equal(analog.head.weight, torch.full((N, WIDTH), 0.25))
    nn.init.zeros_(analog.embedding.weight)
    analog.head.weight.data += 0.5
    assert torch.equal(analog.embedding(tokens()), torch.full((4, 6, WIDTH), 0.5))
    analog.head.weight += 0.25
    assert torch.equal(analog.embedding(tokens()), torch.full((4, 6, WIDTH), 0.75))
    assert programs(analog.head) == 4
    block = analog.head.matrix.blocks[0]
    for write, number in (
        (lambda: block.state.W.program(torch.full((N, WIDTH), 0.125)), 0.125),
        (lambda: block.weight.data.fill_(-0.5), -0.5),
    ):
        write()
        assert torch.equal(analog.embedding(tokens()), torch.full((4, 6, WIDTH), number)), "seen at once"
    analog.embedding.reset_parameters()
    assert 0.5 < analog.head.weight.std() < 2.0
    assert not analog.head.weight[PAD].any()
    with pytest.raises(mho.MhoError, match=r"It must be \(20, 12\)"):
        analog.embedding.weight = torch.zeros(2, 2)


def test_writes_leave_an_analog_bias_alone():
    analog = tied(HARDWARE["analog bias"])
    bias = analog.head.bias.clone()
    analog.embedding.weight = torch.full((N, WIDTH), 0.25)
    assert torch.equal(analog.head.weight, torch.full((N, WIDTH), 0.25))
    assert torch.equal(analog.head.bias, bias)
    assert bias.any()


def test_tying_once_more_changes_nothing():
    noise = mho.Device(Constant(tau_max=50.0, tau_min=-50.0), write_noise=0.1)
    analog = tied(EXACT.replace(device=noise, mapping=PLAIN.replace(omega=5.0)))
    before = torch.Tensor(analog.head.weight)
    assert isinstance(analog.get_parameter("embedding.weight"), nn.Parameter)
    analog.head.weight = analog.embedding.weight
    analog.embedding.weight = analog.head.weight
    assert torch.equal(analog.head.weight, before)
    assert programs(analog.head) == 0
    assert analog.embedding.matrix is analog.head.matrix
    old = analog.embedding.weight
    analog.head.weight = torch.zeros(N, WIDTH)
    analog.head.weight = old
    assert programs(analog.head) == 2, "an older copy is a write"


def test_tying_other_layers_to_an_array_is_an_error():
    analog = tied()
    for layer in (nn.Linear(WIDTH, N), AnalogLinear(WIDTH, N, hardware=EXACT)):
        before = torch.Tensor(layer.weight)
        with pytest.raises(mho.MhoError, match="Arrays are tied when they are made"):
            layer.weight = analog.embedding.weight
        assert torch.equal(layer.weight, before)
    layer.weight = analog.embedding.weight.detach().clone()
    assert torch.equal(layer.weight, analog.embedding.weight)
    alone = nn.Parameter(analog.embedding.weight)
    nn.Linear(WIDTH, N).weight = alone


def test_two_linear_layers_with_one_weight_have_one_array():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x).tanh())

    torch.manual_seed(0)
    digital, x = Twice(), torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    analog = mho.convert_(copy.deepcopy(digital), EXACT.replace(mapping=PLAIN.replace(max_out=3)))
    assert analog.first.matrix is analog.second.matrix
    assert torch.equal(analog.second.bias, digital.second.bias)
    for model, optimizer in ((digital, torch.optim.SGD), (analog, mho.AnalogOptimizer)):
        optimizer = optimizer(model.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    assert analog.load_state_dict(analog.state_dict()) == ([], [])
    back = mho.to_digital_(analog)
    assert back.second.weight is back.first.weight
    for p, q in zip(back.parameters(), digital.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-5)


def test_a_bias_that_others_have_too_stays_theirs():
    digital = Tied()
    digital.bias, digital.again = digital.head.bias, nn.Linear(WIDTH, N)
    digital.again.bias = digital.bias
    analog = mho.convert_(digital, EXACT)
    assert analog.head.bias is analog.again.bias is analog.bias
    back = mho.to_digital_(analog)
    assert back.head.bias is back.again.bias is back.bias
    with pytest.raises(mho.MhoError, match="tied weights"):
        mho.convert_(back, EXACT.replace(mapping=PLAIN.replace(bias="analog")))


# Graphs, checkpoints and processes.


def compiled(model):
    torch._dynamo.reset()
    return torch.compile(model, fullgraph=True, backend="aot_eager")


@pytest.mark.parametrize("hardware", [NOISY, *HARDWARE.values()], ids=["noisy", *HARDWARE])
def test_a_compiled_model_has_the_same_bits(hardware):
    plain, other = tied(hardware), tied(hardware)
    expected = train(plain, mho.AnalogOptimizer(plain, lr=0.1))
    assert train(compiled(other), mho.AnalogOptimizer(other, lr=0.1)) == expected
    assert_same_state(plain, other)
    graph = compiled(other.eval())
    with torch.no_grad():
        assert torch.equal(graph(tokens()), plain.eval()(tokens()))
        with pytest.raises(IndexError):
            graph(tokens() + N)


def test_an_activation_checkpoint_repeats_the_noise():
    plain, other = tied(NOISY), tied(NOISY)
    expected = train(plain, mho.AnalogOptimizer(plain, lr=0.1))

    def again(index):
        return checkpoint(other.forward, index, use_reentrant=False)

    assert train(again, mho.AnalogOptimizer(other, lr=0.1)) == expected
    assert_same_state(plain, other)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_graphs_that_outlive_the_model_are_refused():
    analog, index = tied(), tokens()
    for export in (
        lambda: torch.export.export(analog.embedding, (index,)),
        lambda: torch.jit.trace(analog.embedding, (index,)),
        lambda: torch.jit.script(analog.embedding),
    ):
        with pytest.raises(Exception, match="cannot carry the cells"):
            export()
    graph = torch.fx.symbolic_trace(analog)
    assert torch.equal(graph(index), analog(index))


def test_rows_that_lie_on_several_ranks_are_refused():
    analog = tied()
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        with pytest.raises(mho.MhoError, match="an embedding reads rows of a matrix"):
            mho.parallel.shard_rows_(analog)
    finally:
        dist.destroy_process_group()
    assert torch.equal(analog.embedding(tokens()), torch.Tensor(analog.head.weight)[tokens()])


def test_a_model_without_memory_gives_shapes():
    analog = tied().to("meta")
    assert analog(tokens().to("meta")).shape == (4, 6, N)


def test_lines_of_reports_count_shared_arrays_once():
    analog = tied(NOISY)
    assert len(mho.pulse_report(analog)) == 2 * (6 + 4)
    analog.own = nn.Parameter(torch.zeros(3))  # of the model itself
    lines, alone = mho.summary(analog), mho.summary(nn.ModuleList([analog.head, analog.body]))
    assert [line.cells > 0 for line in lines] == [False, True, True, False]
    for name, more in {"tiles": 0, "cells": 0, "memory": 12, "parameters": 3}.items():
        assert getattr(lines.total, name) == getattr(alone.total, name) + more, name


# By itself.


def test_an_embedding_with_arrays_of_its_own():
    torch.manual_seed(3)
    digital = nn.Embedding(N, WIDTH, PAD)
    torch.manual_seed(3)
    layer = AnalogEmbedding(N, WIDTH, PAD, hardware=EXACT, key=1)
    assert torch.equal(layer(tokens()), digital(tokens()))
    assert torch.equal(layer.to_digital().weight, digital.weight)
    assert layer.arrays()["W"].shape == (N, WIDTH)
    layer.reset_parameters()
    assert not torch.equal(layer.weight, digital.weight)
    assert type(mho.to_digital_(nn.Sequential(layer))[0]) is nn.Embedding
    with pytest.raises(mho.MhoError, match=r"AnalogEmbedding\(hardware=\.\.\.\)"):
        AnalogEmbedding(N, WIDTH, hardware=mho.Device())


# The Conv1D of transformers.


class Conv1D(nn.Module):
    """That of transformers, written anew; with its name if transformers is absent too."""

    __module__ = "transformers.pytorch_utils"

    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.empty(nx, nf)), nn.Parameter(torch.zeros(nf))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x):
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).view(*x.shape[:-1], self.nf)


@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_a_transposed_layer_there_and_back(bias):
    torch.manual_seed(0)
    digital, x = nn.Sequential(Conv1D(5, 8), nn.Tanh(), Conv1D(3, 5)), torch.randn(2, 4, 8)
    nn.init.normal_(digital[0].bias)
    hardware = EXACT.replace(mapping=PLAIN.replace(max_in=4, max_out=4, bias=bias))
    analog = mho.convert_(copy.deepcopy(digital), {"*": hardware})
    layer = analog[0]
    assert isinstance(layer, AnalogTransposedLinear)
    assert (layer.nf, layer.nx) == (5, 8)
    assert torch.equal(layer.weight, digital[0].weight)
    assert torch.equal(layer.bias, digital[0].bias)
    assert layer.arrays()["W"].shape == (5, 8 + (bias == "analog"))
    torch.testing.assert_close(analog(x), digital(x))
    for model, optimizer in ((digital, torch.optim.SGD), (analog, mho.AnalogOptimizer)):
        optimizer = optimizer(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    rng = torch.get_rng_state()
    back = mho.to_digital_(copy.deepcopy(analog))
    assert torch.equal(torch.get_rng_state(), rng), "it draws nothing"
    assert type(back[0]) is Conv1D
    for p, q in zip(back.parameters(), digital.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-5)


def test_writes_to_a_transposed_layer_have_its_shape():
    analog = mho.convert_(nn.Sequential(Conv1D(5, 8)), EXACT)[0]
    wanted = torch.arange(40.0).reshape(8, 5) / 40
    for write in (lambda: analog.program_(wanted), lambda: setattr(analog, "weight", nn.Parameter(wanted))):
        nn.init.zeros_(analog.weight)
        write()
        assert torch.equal(analog.weight, wanted)
        assert torch.equal(analog.arrays()["W"].hidden, wanted.mT)
    analog.weight[0] = 0.0
    assert not analog.arrays()["W"].hidden[:, 0].any()
    with pytest.raises(mho.MhoError, match=r"It must be \(in, out\) = \(8, 5\)"):
        analog.program_(wanted.mT)
    analog.reset_parameters()
    assert 0.005 < analog.weight.std() < 0.05
    assert not analog.bias.any()


def test_names_of_classes_are_whole():
    """Another library's Conv1D is another layer."""
    other = type("Conv1D", (Conv1D,), {"__module__": "elsewhere"})
    with pytest.raises(mho.MhoError, match="no module matched"):
        mho.convert_(nn.Sequential(other(5, 8)), EXACT)


# Models of transformers.

SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 32, "vocab_size": 64, "n_positions": 16}
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}


@pytest.fixture
def transformers():
    return pytest.importorskip(
        "transformers", reason="transformers is not installed: pip install 'mho[interop]'"
    )


def gpt2(transformers, **options):
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**SIZE, **NO_DROPOUT, **options))


def text():
    return torch.randint(0, 64, (4, 12), generator=torch.Generator().manual_seed(1))


def train_on_text(model, optimizer, steps=5):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = model(text(), labels=text()).loss
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def test_gpt2_with_one_call(transformers, tmp_path):
    digital = gpt2(transformers)
    analog = mho.convert_(copy.deepcopy(digital), EXACT)
    kinds = [type(part) for part in analog.modules()]
    assert kinds.count(AnalogTransposedLinear) == 4 * 2
    assert kinds.count(AnalogLinear) == kinds.count(AnalogEmbedding) == 1
    expected = train_on_text(digital, torch.optim.SGD(digital.parameters(), lr=0.1))
    losses = train_on_text(analog, mho.AnalogOptimizer(analog, lr=0.1))
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    assert losses[-1] < losses[0] - 0.1
    analog.tie_weights()
    assert programs(analog.lm_head) == 0
    assert analog.lm_head.matrix is analog.transformer.wte.matrix
    analog.save_pretrained(tmp_path)
    state = pytest.importorskip("safetensors.torch").load_file(tmp_path / "model.safetensors")
    other = mho.convert_(gpt2(transformers), EXACT)
    assert other.load_state_dict(state) == ([], [])
    assert torch.equal(other(text()).logits, analog(text()).logits)
    back = mho.to_digital_(analog)
    assert back.lm_head.weight is back.transformer.wte.weight
    assert [*back.state_dict()] == [*digital.state_dict()]
    for p, q in zip(back.parameters(), digital.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("algorithm", [AnalogSGD(), ResidualLearning(fast_lr=0.1)])
def test_gpt2_on_real_hardware(transformers, algorithm):
    mapping = mho.Mapping(max_in=20, max_out=20, omega=0.5)
    analog = mho.convert_(gpt2(transformers), mho.Crossbar(algorithm=algorithm, mapping=mapping))
    losses = train_on_text(analog, mho.AnalogOptimizer(analog, lr=0.1), 15)
    assert losses[-1] < losses[0] - 0.2
    assert analog.generate(text()[:1, :3], max_new_tokens=2, pad_token_id=0).shape == (1, 5)
    with pytest.raises(TypeError, match="Old embeddings"):
        analog.resize_token_embeddings(80)


def test_gpt2_without_ties_keeps_a_digital_embedding(transformers):
    analog = mho.convert_(gpt2(transformers, tie_word_embeddings=False), EXACT)
    assert type(analog.transformer.wte) is nn.Embedding


def test_bert_has_a_tied_bias_too(transformers):
    torch.manual_seed(0)
    size = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    size |= {"intermediate_size": 48, "max_position_embeddings": 16}
    config = transformers.BertConfig(**size, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    digital = transformers.BertForMaskedLM(config)
    analog = mho.convert_(copy.deepcopy(digital), EXACT)
    expected = train_on_text(digital, torch.optim.SGD(digital.parameters(), lr=0.1))
    losses = train_on_text(analog, mho.AnalogOptimizer(analog, lr=0.1))
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    head = analog.cls.predictions
    assert head.bias is head.decoder.bias
    assert head.decoder.matrix is analog.bert.embeddings.word_embeddings.matrix
    back = mho.to_digital_(analog).cls.predictions
    assert back.bias is back.decoder.bias
    assert back.decoder.weight is analog.bert.embeddings.word_embeddings.weight
