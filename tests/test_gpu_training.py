"""Everything above the kernels on a GPU, held against the CPU; skipped where there is none."""

import copy
import io

import pytest
import torch
from torch import nn

import mho
import mho.calibration
import mho.testing
from blocks import NOISY, batches, block_of, step
from mho.cells import new_tile
from mho.nn import AnalogConv2d, AnalogLinear, AnalogLSTM
from mho.retention import Drift, age, drift, reset

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")
SHAPE = 20, 30
PACE = {
    "fast_lr": 0.1,
    "scale_fast_lr": False,
    "transfer_lr": 1.0,
    "scale_transfer_lr": False,
    "auto_granularity": 10.0,
    "max_pulses": 31,
    "delayed_start": False,
}
"""The published values are for large layers and many steps."""
DIGITAL = {"Q", "past", "H", "chi", "R.w", "weight"}
"""Numbers that torch's operations compute, which may contract a product and a sum on one processor alone."""


def assert_same(ours: nn.Module, theirs: nn.Module, steps: str = "") -> None:
    """Cells, pulses and events bit for bit, digital numbers up to rounding."""
    expected = theirs.state_dict()
    for name, value in ours.state_dict().items():
        if name.rsplit("state.", 1)[-1] in DIGITAL or "supplier." in name:
            torch.testing.assert_close(value.cpu(), expected[name].cpu(), rtol=1e-5, atol=1e-6, msg=name)
        else:
            assert torch.equal(value.cpu(), expected[name].cpu()), f"{name} differs {steps}"


# Algorithms: the same factors give the same pulses.


def quick(algorithm):
    return algorithm.replace(**{n: v for n, v in PACE.items() if hasattr(algorithm, n)})


VARIANTS = [
    mho.algorithms.ResidualLearning(transfer="row"),
    mho.algorithms.ResidualLearning(transfer="all"),
    mho.algorithms.ERIDER(residual="fresh"),
    mho.algorithms.ChoppedTikiTaka(cross_chop_prob=0.3),
    mho.algorithms.MixedPrecision(optimizer="Adam"),
]


@pytest.mark.parametrize(
    "algorithm", [*(kind() for kind in mho.testing.algorithms()), *VARIANTS], ids=lambda a: type(a).__name__
)
def test_the_steps_of_an_algorithm_are_those_of_the_cpu(algorithm):
    algorithm = quick(algorithm)
    cpu = block_of(algorithm, NOISY, SHAPE, count_cells=True)
    gpu = copy.deepcopy(cpu).cuda()
    for x, d, lr in batches(SHAPE, 60, samples=4):
        step(cpu, x, 0.1 * d, lr)
        step(gpu, x.cuda(), 0.1 * d.cuda(), lr)
    algorithm.observe(gpu.state, 1.0)
    algorithm.observe(cpu.state, 1.0)
    if not isinstance(algorithm, mho.algorithms.DigitalSGD):
        sent = [sum(t.pulses_sent) for t in cpu.state.tiles().values()]
        assert sum(n > 0 for n in sent) >= min(2, len(sent)), f"the test must send pulses, not {sent}"
    assert gpu.weight.is_cuda
    assert_same(gpu, cpu)


@pytest.mark.parametrize("algorithm", [mho.algorithms.ERIDER(), mho.algorithms.ResidualLearning()], ids=repr)
def test_made_on_the_gpu_is_moved_to_it(algorithm):
    cpu = block_of(algorithm, NOISY, SHAPE)
    with torch.device("cuda"):
        gpu = block_of(algorithm, NOISY, SHAPE)
    assert_same(gpu, cpu)


# Tiles: every verb.

CELLS = {
    "plain": mho.Device(mho.responses.SoftBounds(), dw_min=2e-3, sigma_c2c=0.3, spread={"gain": 0.3}),
    "reference": NOISY.replace(reference_mean=0.2, reference_std=0.1),
    "write noise": NOISY.replace(write_noise=0.5),
    "retention": NOISY.replace(retention=mho.Retention(lifetime=100.0, lifetime_std=0.3, diffusion=1e-3)),
    "one-sided": mho.OneSided(NOISY, refresh_every=3),
    "vector": mho.Vector((NOISY, NOISY), policy="sequential"),
    "reference cell": mho.Reference(NOISY),
}
PULSES = {
    "trains": mho.Pulses(),
    "rounded": mho.Pulses(rounding="stochastic"),
    "aggregated": mho.Pulses(aggregate=2),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pulses", PULSES)
def test_the_verbs_of_a_tile_are_those_of_the_cpu(cell, pulses):
    g = torch.Generator().manual_seed(0)
    w = 0.2 * torch.randn(SHAPE, generator=g)
    cpu = new_tile(w, CELLS[cell], None, PULSES[pulses], 11, count_cells=True)
    gpu = copy.deepcopy(cpu).cuda()
    n = torch.randint(-3, 4, SHAPE, generator=g).float()
    for _ in range(4):
        x, d = torch.randn(5, 30, generator=g), torch.randn(5, 20, generator=g)
        assert gpu.update(x.cuda(), d.cuda(), 0.02) == cpu.update(x, d, 0.02)
        assert gpu.pulse(n.cuda()) == cpu.pulse(n)
        assert gpu.pulse(n[:, 3].cuda(), column=3) == cpu.pulse(n[:, 3], column=3)
        assert gpu.pulse(n[4].cuda(), row=4) == cpu.pulse(n[4], row=4)
        for tile in (cpu, gpu):
            age(tile)
        assert torch.equal(gpu.read(7).cpu(), cpu.read(7))
    assert_same(gpu, cpu, "after pulses")
    for tile in (cpu, gpu):
        reset(tile, column=2)
        drift(tile, 10.0, Drift(nu=0.1, nu_std=0.3))
        tile.subtract(torch.full(SHAPE, 0.05, device=tile.w.device))
    for ours, theirs in ((gpu.read(row=3), cpu.read(row=3)), (gpu.w, cpu.w)):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-5, atol=1e-6)
    assert gpu.saturated() == cpu.saturated()


@pytest.mark.parametrize("pulses", [mho.Expected(), mho.Expected(per_sample=False), mho.Exact()], ids=repr)
def test_changes_without_pulses_are_those_of_the_cpu(pulses):
    cpu = mho.Tile(torch.zeros(SHAPE), NOISY, None, pulses, 3)
    gpu = copy.deepcopy(cpu).cuda()
    x, d, lr = batches(SHAPE, 1, samples=4)[0]
    cpu.update(x, d, lr)
    gpu.update(x.cuda(), d.cuda(), lr)
    torch.testing.assert_close(gpu.w.cpu(), cpu.w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
@pytest.mark.parametrize("cell", ["reference", "one-sided"])
def test_zero_shifting_is_that_of_the_cpu(schedule, cell):
    cpu = new_tile(torch.zeros(SHAPE), CELLS[cell], None, None, 3)
    gpu = copy.deepcopy(cpu).cuda()
    ours, theirs = (mho.calibration.zero_shift(tile, 20, schedule) for tile in (gpu, cpu))
    assert torch.equal(ours.estimate.cpu(), theirs.estimate)
    assert_same(gpu, cpu)


def test_bad_input_is_refused():
    tile = mho.Tile(torch.zeros(SHAPE), NOISY).cuda()
    x, d = torch.ones(2, 30, device="cuda"), torch.ones(2, 20, device="cuda")
    with pytest.raises(mho.MhoError, match="They must agree"):
        tile.update(x.cpu(), d.cpu(), 0.1)
    x[1, 2] = float("nan")
    with pytest.raises(mho.MhoError, match="x holds NaN or infinity in sample 1"):
        tile.update(x, d, 0.1)
    with pytest.raises(mho.MhoError, match="nan at sample 1, line 2"):
        tile.forward(x)


# Runs.


@pytest.mark.parametrize("kind", ["fcn", "digital"])
def test_a_run_on_the_gpu_learns_and_goes_on_on_the_cpu(kind, tmp_path):
    from mho.training import RunSpec, choose, train

    spec = RunSpec(epochs=2, lr_step=0)
    spec = choose(spec, "digital" if kind == "digital" else None, None, [], None)
    first = train(spec, tmp_path, where="cuda")
    assert first["where"] == torch.cuda.get_device_name()
    assert first["test_accuracy"] > 0.6
    assert kind == "digital" or first["arrays"]["W"]["up"] > 0
    more = train(spec.replace(epochs=3), tmp_path, resume=True)
    assert (more["where"], more["epochs"]) == ("cpu", 3)
    assert more["test_accuracy"] > 0.6


# Layers.


class Recurrent(nn.Module):
    def __init__(self, hardware):
        super().__init__()
        self.lstm, self.out = AnalogLSTM(6, 8, hardware=hardware), AnalogLinear(8, 3, hardware=hardware)

    def forward(self, x):
        return self.out(self.lstm(x)[0][-1])


def networks(hardware):
    return {
        "linear": (
            nn.Sequential(
                AnalogLinear(40, 30, hardware=hardware),
                nn.Tanh(),
                AnalogLinear(30, 3, hardware=hardware, key=1),
            ),
            (16, 40),
        ),
        "convolution": (
            nn.Sequential(
                AnalogConv2d(2, 8, 3, padding=1, hardware=hardware),
                nn.Tanh(),
                nn.Flatten(),
                AnalogLinear(8 * 36, 3, hardware=hardware, key=1),
            ),
            (16, 2, 6, 6),
        ),
        "lstm": (Recurrent(hardware), (5, 16, 6)),
    }


def hardware_of(algorithm, converters=None, **mapping):
    return mho.Crossbar(algorithm, NOISY, converters, mapping=mho.Mapping(max_in=24, max_out=24, **mapping))


def trained(name, hardware, where, steps=200):
    """The network on that device after some steps on one batch, and the losses."""
    torch.manual_seed(0)
    network, shape = networks(hardware)[name]
    network.to(where)
    x, y = torch.randn(shape).to(where), (torch.arange(16) % 3).to(where)
    optimizer = mho.AnalogOptimizer(network, lr=0.05)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return network, losses


@pytest.mark.parametrize("name", ["linear", "convolution", "lstm"])
@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_a_network_learns_and_repeats_itself(name, bias):
    hardware = hardware_of(mho.algorithms.ResidualLearning(fast_lr=0.1), mho.IO(), bias=bias)
    network, losses = trained(name, hardware, "cuda")
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    again, more = trained(name, hardware, "cuda")
    assert more == losses
    for key, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_the_gpu_may_be_the_default_device():
    hardware = hardware_of(mho.algorithms.TikiTakaV2(fast_lr=0.1), mho.IO())
    hardware = hardware.replace(device=NOISY.replace(retention=mho.Retention(lifetime=1e4, diffusion=1e-4)))
    with torch.device("cuda"):
        network, losses = trained("linear", hardware, "cuda", steps=20)
        assert losses == trained("linear", hardware, "cuda", steps=20)[1]
    assert network[0].matrix.weight.is_cuda


@pytest.mark.parametrize("name", ["linear", "convolution", "lstm"])
def test_the_first_loss_and_gradient_are_those_of_the_cpu(name):
    hardware = hardware_of(mho.algorithms.AnalogSGD())
    (_, ours), (_, theirs) = (trained(name, hardware, where, steps=1) for where in ("cuda", "cpu"))
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("here", "there"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_checkpoint_goes_from_one_device_to_the_other(here, there):
    hardware = hardware_of(mho.algorithms.ERIDER(fast_lr=0.1), mho.IO())
    network, _ = trained("linear", hardware, here, steps=20)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other = networks(hardware)["linear"][0].to(there)
    other.load_state_dict(torch.load(file, weights_only=True, map_location=there))
    assert_same(other, network)
    assert torch.equal(other[0].matrix.weight.cpu(), network[0].matrix.weight.cpu())


def test_a_model_on_the_gpu_is_converted_reported_and_converted_back():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 3)).cuda()
    mho.convert_(model, hardware_of(mho.algorithms.TwoStage(n_pulses=10), mho.IO()), key=3)
    assert {p.device.type for p in model.parameters()} == {"cuda"}
    optimizer = mho.AnalogOptimizer(model, lr=0.05, digital=torch.optim.Adam)
    with torch.autocast("cuda", torch.bfloat16):
        loss = model(torch.randn(16, 40, device="cuda")).square().mean()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    assert sum(line.up + line.down for line in mho.pulse_report(model)) > 0
    assert len(mho.summary(model)) == 2
    mho.to_digital_(model)
    assert model(torch.ones(2, 40, device="cuda")).is_cuda
