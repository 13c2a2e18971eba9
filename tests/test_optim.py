"""The optimizer: one for analog and digital parameters, and a torch optimizer in every respect."""

import copy
import io

import pytest
import torch
from torch import nn

import mho
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.nn import AnalogLinear

ADAM = {"digital": torch.optim.Adam}
MOMENTUM = {"digital": torch.optim.SGD, "momentum": 0.9, "nesterov": True}
HARDWARE = mho.Crossbar(algorithm=ResidualLearning(fast_lr=0.1), device=mho.Device(sigma_c2c=0.1))
EXPECTED = mho.Crossbar(
    algorithm=AnalogSGD(),
    device=mho.Device(mho.responses.Constant()),
    io=None,
    pulses=mho.Expected(),
    mapping=mho.Mapping(out_scale="none"),
)


def network(hardware=HARDWARE):
    """One analog and one digital layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    return mho.convert_(model, {"0": hardware})


def loss_of(model, step):
    g = torch.Generator().manual_seed(step)
    x = torch.randn(8, 6, generator=g)
    return (model(x) - x[:, :3] + x[:, 3:] / 2).square().mean()


def train(model, optimizer, steps, scheduler=None):
    losses = []
    for step in steps:
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.item())
    return losses


def weights(model):
    return model[0].weight, *(p.detach().clone() for p in (model[0].bias, model[2].weight, model[2].bias))


def test_it_is_a_torch_optimizer_over_all_parameters():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1, **MOMENTUM)
    assert isinstance(optimizer, torch.optim.Optimizer)
    held = {p for group in optimizer.param_groups for p in group["params"]}
    assert held == set(model.parameters())
    [group] = optimizer.param_groups
    assert (group["lr"], group["momentum"]) == (0.1, 0.9)
    losses = train(model, optimizer, range(60))
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_models_of_one_kind():
    digital = nn.Linear(6, 3)
    train_digital = mho.AnalogOptimizer(digital, lr=0.1)
    reference = copy.deepcopy(digital)
    losses = train(digital, train_digital, range(3))
    assert losses == train(reference, torch.optim.SGD(reference.parameters(), lr=0.1), range(3))
    analog = AnalogLinear(6, 3, bias=False, hardware=EXPECTED)
    before = analog.weight
    train(analog, mho.AnalogOptimizer(analog, lr=0.1), range(3))
    assert not torch.equal(analog.weight, before)


@pytest.mark.parametrize("options", [{}, MOMENTUM, ADAM], ids=["sgd", "momentum", "adam"])
def test_digital_parameters_follow_their_own_optimizer(options):
    """With an ideal analog layer, all is as if torch trained: that layer by SGD, the rest by their optimizer."""
    model, reference = network(EXPECTED), network(EXPECTED)
    torch.manual_seed(0)
    reference = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    rest = [reference[0].bias, *reference[2].parameters()]
    kind = options.get("digital", torch.optim.SGD)
    others = kind(rest, lr=0.1, **{k: v for k, v in options.items() if k != "digital"})
    weight = torch.optim.SGD([reference[0].weight], lr=0.1)
    train(model, mho.AnalogOptimizer(model, lr=0.1, **options), range(10))
    for step in range(10):
        reference.zero_grad()
        loss_of(reference, step).backward()
        others.step()
        weight.step()
    for found, expected in zip(weights(model), weights(reference), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


# Schedules.


def test_a_schedule_reaches_analog_and_digital_parameters():
    model = network(EXPECTED)
    optimizer = mho.AnalogOptimizer(model, lr=1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    moved = []
    for step in range(4):
        before = weights(model)
        train(model, optimizer, [0], scheduler)
        moved.append([(a - b).norm().item() for a, b in zip(weights(model), before, strict=True)])
        expected = 1e-3 * 0.1 ** ((step + 1) // 2)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([expected])
    for first, third in zip(moved[0], moved[2], strict=True):
        assert third == pytest.approx(0.1 * first, rel=0.02)


def test_a_zero_learning_rate_stops_everything():
    model = network(EXPECTED)
    before = weights(model)
    train(model, mho.AnalogOptimizer(model, lr=0.0), range(2))
    for found, expected in zip(weights(model), before, strict=True):
        assert torch.equal(found, expected)


# Steps.


def test_closure():
    model, reference = network(), network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    found = []
    for step in range(3):

        def closure(step=step):
            assert torch.is_grad_enabled()
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()
            return loss

        found.append(optimizer.step(closure).item())
    assert found == train(reference, mho.AnalogOptimizer(reference, lr=0.1), range(3))
    for a, b in zip(weights(model), weights(reference), strict=True):
        assert torch.equal(a, b)


def test_hooks_are_called():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    called = []
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    train(model, optimizer, range(1))
    assert called == ["before", "after"]


def test_backward_passes_accumulate_in_order():
    """Two backward passes and one step are one step on the concatenated batch, bit for bit in the pulses."""
    hardware = HARDWARE.replace(io=None)
    models = [AnalogLinear(6, 3, bias=False, hardware=hardware, key=4) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    x, y = torch.randn(8, 6, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 3)
    for model, parts in zip(models, ([slice(0, 3), slice(3, 8)], [slice(0, 8)]), strict=True):
        optimizer = mho.AnalogOptimizer(model, lr=0.1)
        for part in parts:
            (model(x[part]) - y[part]).square().sum().backward()
        optimizer.step()
    one, two = (m.matrix.blocks[0].state for m in models)
    assert sum(one.P.pulses_sent) > 100
    assert one.P.pulses_sent == two.P.pulses_sent
    assert one.t == two.t == 1
    torch.testing.assert_close(one.P.w, two.P.w, rtol=0, atol=1e-6)


def test_zero_grad_forgets_what_was_recorded():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    [block] = model[0].matrix.blocks
    before = weights(model)
    loss_of(model, 0).backward()
    assert len(block.factors) == 1
    optimizer.zero_grad()
    assert block.factors == []
    optimizer.step()
    for found, expected in zip(weights(model), before, strict=True):
        assert torch.equal(found, expected)
    assert sum(block.state.P.pulses_sent) == 0


def test_a_step_uses_up_what_was_recorded():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    loss_of(model, 0).backward()
    optimizer.step()
    [block] = model[0].matrix.blocks
    sent = block.state.P.pulses_sent
    assert sum(sent) > 0
    optimizer.step()
    assert block.state.P.pulses_sent == sent


def test_evaluation_records_nothing():
    model = network()
    with torch.no_grad():
        loss_of(model, 0)
    model[0](torch.ones(2, 6)).detach()
    assert model[0].matrix.blocks[0].factors == []


def test_freezing_in_the_middle_of_a_training():
    model = network(EXPECTED)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    train(model, optimizer, range(2))
    frozen = model[0].weight
    model[0].requires_grad_(False)
    train(model, optimizer, range(2, 4))
    assert torch.equal(model[0].weight, frozen)
    model[0].requires_grad_(True)
    train(model, optimizer, range(4, 6))
    assert not torch.equal(model[0].weight, frozen)


# Checkpoints.


@pytest.mark.parametrize("options", [{}, MOMENTUM, ADAM], ids=["sgd", "momentum", "adam"])
def test_a_checkpoint_continues_bit_for_bit(options):
    def fresh():
        model = network()
        optimizer = mho.AnalogOptimizer(model, lr=0.1, **options)
        return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)

    parts = fresh()
    train(*parts[:2], range(5), parts[2])
    file = io.BytesIO()
    torch.save([part.state_dict() for part in parts], file)
    losses = train(*parts[:2], range(5, 12), parts[2])
    file.seek(0)
    others = fresh()
    train(*others[:2], range(30, 32), others[2])
    for part, saved in zip(others, torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(saved)
    assert train(*others[:2], range(5, 12), others[2]) == losses
    for a, b in zip(weights(parts[0]), weights(others[0]), strict=True):
        assert torch.equal(a, b)
    assert [g["lr"] for g in others[1].param_groups] == [g["lr"] for g in parts[1].param_groups]
