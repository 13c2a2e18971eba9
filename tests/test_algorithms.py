"""Training algorithms: the conformance suite on every one, and what is particular to each."""

import copy

import pytest
import torch
from torch import nn

import mho
import mho.data
import mho.testing
from blocks import see
from chance import assert_mean
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning
from mho.algorithms.state import State, due, one_hot
from mho.nn.core.block import Block
from mho.responses import Constant, SoftBounds
from mho.tile.tally import Tally

FREE = Constant(tau_max=100.0, tau_min=-100.0)


class ColumnByColumn(mho.Algorithm):
    """A user's own: the gradient adds up in digital memory, and is written to the array one column a step."""

    write_lr: float = 1.0

    def init(self, new_tile, w0):
        return mho.State(W=new_tile("W", w0), H=torch.zeros_like(w0), t=0)

    def visible(self, s):
        return [mho.Term(s.W)]

    def step(self, s, g, lr):
        s.H += lr * g.d.mT @ g.x
        j = int(s.t) % s.W.shape[1]
        s.W.update(one_hot(j, s.W.shape[1]), s.H[:, j], self.write_lr)
        s.H[:, j] = 0.0
        s.t += 1


# Conformance.

OTHERS = [
    ResidualLearning(transfer_every=3, fast_lr=0.05),
    ResidualLearning(mix="separate"),
    ResidualLearning(gamma=0.0, fast_lr=0.1),
]


@pytest.mark.parametrize("algorithm", mho.testing.algorithms(), ids=lambda a: a.__name__)
def test_published_algorithm_conforms(algorithm):
    mho.testing.check_algorithm(algorithm, published=True)


@pytest.mark.parametrize("algorithm", [ColumnByColumn(), *OTHERS], ids=repr)
def test_other_algorithms_conform(algorithm):
    mho.testing.check_algorithm(algorithm)


def broken(**methods):
    """A ColumnByColumn with other methods."""
    return type("Broken", (ColumnByColumn,), {"__module__": __name__, **methods})


def forgetful_step(self, s, g, lr):
    s.skipped = not getattr(s, "skipped", False)
    if not s.skipped:
        s.W.update(g.x, g.d, lr)


GENERATOR = torch.Generator().manual_seed(0)
FAULTS = {
    "the loss only fell": broken(step=lambda self, s, g, lr: s.W.update(g.x, g.d, 0.0)),
    "two runs with the same key differ": broken(
        step=lambda self, s, g, lr: s.W.update(g.x, g.d, lr * (1 + 0.1 * torch.rand((), generator=GENERATOR)))
    ),
    "a resumed run differs": broken(step=forgetful_step),
    r"touches \['cells'\] of a tile": broken(
        step=lambda self, s, g, lr: s.W.program(s.W.cells + lr * g.d.mT @ g.x)
    ),
    "repr gives": broken(__repr__=lambda self: "Broken(write_lr=3.0)"),
}


@pytest.mark.parametrize("message", FAULTS)
def test_the_suite_finds_the_fault(message):
    with pytest.raises(AssertionError, match=message):
        mho.testing.check_algorithm(FAULTS[message])


def test_the_suite_wants_a_source():
    with pytest.raises(AssertionError, match="has no Source: line"):
        mho.testing.check_algorithm(ColumnByColumn, published=True)


# One block, by hand.


def block_of(algorithm, device=None, out=2, n_in=3, key=5, **options):
    device = device or mho.Device(FREE)
    hardware = mho.Crossbar(
        algorithm=algorithm, device=device, io=None, mapping=mho.Mapping(out_scale="none"), **options
    )
    return Block(torch.linspace(-0.3, 0.3, out * n_in).reshape(out, n_in), hardware, key)


def step(block, x, d, lr=0.1):
    """One step with these factors, as the optimizer would do it."""
    block.record(x.reshape(-1, block.shape[1]), d.reshape(-1, block.shape[0]))
    block.step(lr)


X, D = torch.tensor([1.0, -0.5, 0.7]), torch.tensor([0.8, -0.6])


def test_analog_sgd_sends_the_gradient_to_its_array():
    block = block_of(AnalogSGD(), pulses=mho.Expected())
    before = block.weight.clone()
    step(block, X, D)
    torch.testing.assert_close(block.weight.data, before + 0.1 * torch.outer(D, X))
    assert torch.equal(block.weight.data, block.state.W.w), "one array: the weight is its"
    assert block.weight.data_ptr() != block.state.W.w.data_ptr(), (
        "in memory of its own, which averages write to"
    )


def test_digital_sgd_ignores_the_device():
    block = block_of(DigitalSGD(), mho.Device(SoftBounds(0.1, -0.1)))
    before = block.weight.clone()
    assert before.abs().max() > 0.2, "no bounds"
    step(block, X, D, lr=10.0)
    torch.testing.assert_close(block.weight.data, before + 10.0 * torch.outer(D, X))
    assert block.state.W.pulses_sent == (0, 0)


# Residual learning.


@pytest.mark.parametrize("every", [1, 2])
def test_transfers_move_one_column_when_it_is_due(every):
    block = block_of(ResidualLearning(fast_lr=0.1, transfer_every=every))
    moved = []
    for t in range(1, 4 * every + 1):
        before = block.state.W.w.clone()
        step(block, X, D)
        columns = (block.state.W.w != before).any(0).nonzero().flatten().tolist()
        assert (columns == []) == (t % every != 0)
        moved += columns
    assert moved == [0, 1, 2, 0]
    assert block.state.W.tally[Tally.READS] == 0
    assert block.state.P.tally[Tally.READS] == 4
    assert block.state.t == 4 * every


def test_a_transfer_adds_the_column_of_p_to_that_of_w():
    device = mho.Device(FREE, dw_min=2.0**-10)
    block = block_of(ResidualLearning(fast_lr=0.0, transfer_lr=0.5), device, pulses=mho.Expected())
    P = torch.tensor([[0.2, -0.4, 0.1], [0.3, 0.5, -0.6]])
    block.state.P.program(P)
    before = block.state.W.w.clone()
    for _ in range(3):
        step(block, X, D, lr=0.1)
    torch.testing.assert_close(block.state.W.w, before + 0.5 * 0.1 * P)
    assert torch.equal(block.state.P.w, P), "P keeps what it transferred"


@pytest.mark.parametrize("gamma", [0.4, 1.0, 0.0])
@pytest.mark.parametrize("mix", ["shared_adc", "separate"])
def test_the_network_sees_w_plus_gamma_p(gamma, mix):
    block = block_of(ResidualLearning(gamma=gamma, fast_lr=0.1, mix=mix))
    for _ in range(5):
        step(block, X, D)
    W, P = block.state.W.w, block.state.P.w
    assert P.abs().min() > 0.05
    assert torch.equal(block.weight.data, W + gamma * P)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(see(block, x), x @ (W + gamma * P).mT)
    if gamma == 0.0:
        assert torch.equal(block.weight.data, W)


class Fading(ResidualLearning):
    """P counts for less with every mini-batch."""

    def visible(self, s):
        return [mho.Term(s.W), mho.Term(s.P, self.gamma / (1 + int(s.t)))]


def test_the_visible_weight_follows_every_way_of_writing():
    """Only what was touched is computed again: rows by updates, a column by a transfer, all by the rest."""
    device = mho.Device(SoftBounds(), dw_min=2e-3, sigma_c2c=0.3, reference_std=0.1)
    g = torch.Generator().manual_seed(0)
    for algorithm in (ResidualLearning(fast_lr=0.1), Fading(fast_lr=0.1)):
        w0 = 0.1 * torch.randn(30, 50, generator=g)
        block = Block(w0, mho.Crossbar(algorithm=algorithm, device=device), 3)
        for t in range(8):
            d = torch.zeros(2, 30)
            d[:, t : t + 3] = torch.randn(2, 3, generator=g)
            step(block, torch.randn(2, 50, generator=g), d)
            if t == 4:
                block.state.W.program(0.2 * torch.randn(30, 50, generator=g))
                block.refresh()
            if t == 6:
                block.load_state_dict(copy.deepcopy(block.state_dict()))
            factor = algorithm.visible(block.state)[1].coefficient
            assert torch.equal(block.weight.data, block.state.W.w + factor * block.state.P.w), t
        assert (block.state.W.tally[Tally.UP : Tally.DOWN + 1] > 0).all()


def test_noise_of_shared_and_separate_converters():
    """One converter has one noise, two have two."""
    io = {"forward": mho.IO(inp_res=0.0, out_res=0.0, sigma_out=0.1, bound_management="none")}
    x = torch.ones(20_000, 3)
    for mix, variance in (("shared_adc", 0.1**2), ("separate", 2 * 0.1**2)):
        block = block_of(ResidualLearning(gamma=1.0, mix=mix))
        block.io = block.io | io
        noise = (see(block, x) - x @ block.weight.mT).detach()
        assert_mean(noise**2, torch.full((2,), variance), f"variance of the noise, {mix}")


def test_fast_lr_is_absolute():
    """The optimizer's lr scales the transfers alone; 0 stops all. (In aihwkit 1.2.0 it scales both by default.)"""
    found = []
    for lr in (0.1, 1e-4, 1e-12, 0.0):
        block = block_of(ResidualLearning(fast_lr=0.01), pulses=mho.Expected())
        step(block, X, D, lr)
        found.append(block.state.P.w.clone())
    torch.testing.assert_close(found[0], 0.01 * torch.outer(D, X))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert not found[3].any()


def mapping_of(dw_P, dw_W):
    return {"P": mho.Device(FREE, dw_min=dw_P), "W": mho.Device(FREE, dw_min=dw_W)}


def test_pulses_on_p_follow_the_granularity_of_p():
    """In aihwkit 1.2.0 that of W decides, too: P moves 0.17 to 1.8 times as far as it should."""
    sent = []
    for dw_W in (1e-3, 1e-2, 1e-1):
        block = block_of(ResidualLearning(fast_lr=0.05), mapping_of(1e-2, dw_W))
        moves = []
        for _ in range(400):
            before = block.state.P.w.clone()
            step(block, X, D, lr=1e-3)
            moves.append(block.state.P.w - before)
        assert_mean(torch.stack(moves), 0.05 * torch.outer(D, X), f"change of P, dw_min of W {dw_W}")
        sent.append(block.state.P.pulses_sent)
    assert sent[0] == sent[1] == sent[2]
    assert sum(sent[0]) == pytest.approx(400 * 0.05 * torch.outer(D, X).abs().sum().item() / 1e-2, rel=0.1)


@pytest.mark.parametrize("dw_W", [1e-3, 1e-2])
@pytest.mark.parametrize("dw_P", [1e-4, 1e-1])
def test_pulses_on_w_follow_the_granularity_of_w(dw_P, dw_W):
    block = block_of(ResidualLearning(fast_lr=0.0), mapping_of(dw_P, dw_W))
    P = torch.tensor([[0.2, -0.4, 0.1], [0.3, 0.5, -0.6]])
    block.state.P.program(P)
    pulses = []
    for _ in range(300):
        before = sum(block.state.W.pulses_sent)
        for _ in range(3):  # once round the columns
            step(block, X, D, lr=0.02)
        pulses.append(float(sum(block.state.W.pulses_sent) - before))
    assert_mean(torch.tensor(pulses), 0.02 * P.abs().sum().item() / dw_W, "pulses on W in one round")
    assert block.state.P.pulses_sent == (0, 0)


def test_arrays_have_the_device_and_pulses_of_their_role():
    pulses = {"update": mho.Pulses(bl=7), "transfer": mho.Pulses(bl=100)}
    block = block_of(ResidualLearning(), mapping_of(1e-2, 1e-3))
    assert block.state.P.device.dw_min == 1e-2
    assert block.state.W.device.dw_min == 1e-3
    block = block_of(ResidualLearning(), pulses=pulses)
    assert block.state.P.pulses.bl == 7
    assert block.state.W.pulses.bl == 100
    block = block_of(AnalogSGD(), pulses=pulses)
    assert block.state.W.pulses.bl == 7


@pytest.mark.filterwarnings("ignore::mho.nn.ConversionWarning")  # bounds so narrow that cells saturate
def test_the_report_adds_up():
    """One entry for each array of each sub-tile, with the counters of its tile."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 2), nn.ReLU(), nn.Linear(2, 2))
    hardware = mho.Crossbar(
        algorithm=ResidualLearning(fast_lr=0.5),
        device=mho.Device(SoftBounds(0.2, -0.2), dw_min=0.01),
        mapping=mho.Mapping(max_in=3),
        count_cells=True,
    )
    mho.convert_(model, {"0": hardware, "2": hardware.replace(count_cells=False)})
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    for _ in range(6):
        model(torch.ones(4, 5)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    report = mho.pulse_report(model)
    blocks = ["0.matrix.blocks.0", "0.matrix.blocks.1", "2.matrix.blocks.0"]
    assert [(entry.layer, entry.array) for entry in report] == [(b, name) for b in blocks for name in "WP"]
    assert [entry.cells for entry in report] == [4, 4, 6, 6, 4, 4]
    assert [entry.reads for entry in report] == [0, 6] * 3
    for entry in report:
        tile = getattr(model.get_submodule(entry.layer).state, entry.array)
        assert (entry.up, entry.down) == tile.pulses_sent
        assert entry.saturated == tile.saturated()
        assert entry.clipped <= entry.lines
        counted = tile.counts.sum(0).max().item() if entry.layer.startswith("0") else None
        assert entry.max_per_cell == counted
    assert max(entry.max_per_cell or 0 for entry in report) > 20
    assert sum(entry.up + entry.down for entry in report) > 100


# Whole trainings.


@pytest.fixture
def restored_threads():
    ours, torchs = mho.get_threads(), torch.get_num_threads()
    yield
    mho.deterministic(False)
    mho.set_threads(ours)
    torch.set_num_threads(torchs)


def trained_on_digits(key=0):
    """Final weights of a small network after 30 steps, and how many pulses it took."""
    torch.manual_seed(0)
    digits = mho.data.load("digits")
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    device = mho.Device(SoftBounds(), sigma_c2c=0.3)
    mho.convert_(model, mho.Crossbar(algorithm=ResidualLearning(fast_lr=0.1), device=device), key=key)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    for i in range(30):
        rows = slice(40 * i, 40 * i + 40)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(digits.x_train[rows]), digits.y_train[rows]).backward()
        optimizer.step()
    return [model[0].weight, model[2].weight, model[0].bias.detach(), model[2].bias.detach()]


def test_a_training_gives_the_same_bits_on_any_number_of_threads(restored_threads, monkeypatch):
    monkeypatch.setattr("mho.kernels.cpu.update._WORTH_DRAWS", 50)  # so that these small updates are divided
    monkeypatch.setattr("mho.kernels.cpu.update._WORTH_PULSES", 50)
    shared = []
    monkeypatch.setattr("mho.kernels.cpu.update.over_rows", counting_blocks(shared))
    runs = []
    for ours, torchs in ((1, 1), (2, 2), (4, 1), (1, 2)):
        mho.deterministic(False)
        torch.set_num_threads(torchs)
        mho.set_threads(ours)
        mho.deterministic(True)
        assert torch.get_num_threads() == 1
        runs.append(trained_on_digits())
        mho.deterministic(False)
        assert torch.get_num_threads() == torchs
    assert set(shared) >= {2, 4}, "the updates were not divided"
    for run in runs[1:]:
        for a, b in zip(runs[0], run, strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(runs[0][0], trained_on_digits(key=1)[0])


def counting_blocks(found):
    """`over_rows` that notes how many blocks it made."""
    from mho.numerics.threads import over_rows

    def counting(*arguments):
        results = over_rows(*arguments)
        found.append(len(results))
        return results

    return counting


# Counters.


def test_counters_follow_the_buffer_whatever_happens_to_it():
    s, fresh = State(t=0), State(t=torch.tensor(5))
    assert [due(s, 2) for _ in range(3)] == [False, True, False]
    s.t += 2
    assert [int(s.t), due(s, 2), int(s.t)] == [5, True, 6]
    other = copy.deepcopy(s)
    due(other, 1)
    assert [int(s.t), int(other.t)] == [6, 7], "a copy counts for itself"
    s.t = torch.tensor(10)
    assert [due(s, 11), int(s.t)] == [True, 11]
    for assign in (False, True):
        s.load_state_dict({"t": torch.tensor(20)}, assign=assign)
        assert [due(s, 7), int(s.t)] == [True, 21]
    s.share_memory()
    assert [due(s, 11), int(s.t)] == [True, 22]
    assert int(fresh.t) == 5


def test_the_unit_vector():
    assert torch.equal(one_hot(2, 4), torch.tensor([0.0, 0.0, 1.0, 0.0]))
    block = block_of(ResidualLearning(fast_lr=0.1))
    for _ in range(9):
        step(block, X, D)
    for j in range(3):
        assert torch.equal(one_hot(j, 3), torch.eye(3)[j]), "it is kept: no update may write to it"
