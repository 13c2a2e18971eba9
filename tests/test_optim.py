"""The optimizer: one for analog and digital parameters, and a torch optimizer in every respect."""

import copy
import io
import math
import pickle

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


def digital_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def network(hardware=HARDWARE):
    """One analog and one digital layer."""
    return mho.convert_(digital_network(), {"0": hardware})


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
    return model[0].weight.detach().clone(), *(
        p.detach().clone() for p in (model[0].bias, model[2].weight, model[2].bias)
    )


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
    model, reference = network(EXPECTED), digital_network()
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


SCHEDULES = {
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.1),
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, [lambda t: 0.9**t, lambda t: 0.5**t]),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, [0.1, 0.2], total_steps=9),
    "cyclic": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    "sequential": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [torch.optim.lr_scheduler.LinearLR(o, 0.1), torch.optim.lr_scheduler.CosineAnnealingLR(o, 6)],
        milestones=[2],
    ),
}


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        *((schedule, options) for schedule in SCHEDULES for options in (MOMENTUM, ADAM)),
        ("step", {"digital": torch.optim.Adagrad}),
        ("sequential", {"digital": torch.optim.AdamW, "weight_decay": 0.1}),
    ],
    ids=lambda value: value.get("digital").__name__ if isinstance(value, dict) else value,
)
def test_schedules_train_as_in_torch(schedule, options):
    """Groups, rates and momenta; the latter are about digital parameters, but stand in each group, as schedulers
    expect. An ideal analog weight follows plain SGD with the learning rate of its group."""
    kind = options.get("digital", torch.optim.SGD)
    rest = {name: value for name, value in options.items() if name != "digital"}
    model, reference = network(EXPECTED), digital_network()
    optimizer = mho.AnalogOptimizer(
        [{"params": m.parameters()} for m in (model[2], model[0])], 0.1, **options
    )
    others = kind([{"params": reference[2].parameters()}, {"params": [reference[0].bias]}], lr=0.1, **rest)
    weight = torch.optim.SGD([reference[0].weight], lr=0.1)
    schedulers = [SCHEDULES[schedule](o) for o in (optimizer, others)]
    for step in range(8):
        train(model, optimizer, [step], schedulers[0])
        weight.param_groups[0]["lr"] = others.param_groups[1]["lr"]
        weight.zero_grad()
        train(reference, others, [step], Both(weight, schedulers[1]))
        for group, expected in zip(optimizer.param_groups, others.param_groups, strict=True):
            assert group | {"params": None} == expected | {"params": None}
    for found, expected in zip(weights(model), weights(reference), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


class Both:
    """Steps the one and the other."""

    def __init__(self, *parts):
        self.parts = parts

    def step(self):
        for part in self.parts:
            part.step()


def test_reduce_on_plateau():
    optimizer = mho.AnalogOptimizer(network(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    for _ in range(4):
        scheduler.step(1.0)
    assert optimizer.param_groups[0]["lr"] == 0.05


# Groups.


def two_layers():
    return mho.convert_(digital_network(), EXPECTED)


def moves(model, groups, lr=0.1):
    """How far the analog weights move in one step."""
    optimizer = mho.AnalogOptimizer(groups, lr=lr)
    before = [model[n].weight for n in (0, 2)]
    train(model, optimizer, range(1))
    return [model[n].weight - was for n, was in zip((0, 2), before, strict=True)]


def test_each_layer_has_the_learning_rate_of_its_group():
    model = two_layers()
    plain = moves(model, model.parameters())
    model = two_layers()
    groups = [{"params": model[0].parameters(), "lr": 0.03}, {"params": model[2].parameters()}]
    first, second = moves(model, groups)
    torch.testing.assert_close(first, 0.3 * plain[0], rtol=1e-4, atol=1e-7)
    assert torch.equal(second, plain[1])
    model = two_layers()
    bias = model[0].bias.clone()
    first, second = moves(
        model, [{"params": model[0].parameters(), "lr": 0}, {"params": model[2].parameters()}]
    )
    assert not first.any()
    assert torch.equal(model[0].bias, bias)
    assert torch.equal(second, plain[1])


def test_groups_are_those_that_were_given():
    model = network(EXPECTED)
    groups = [
        {"params": model[0].parameters(), "lr": 0.3, "weight_decay": 0.1},
        {"params": list(model[2].parameters())},
    ]
    optimizer = mho.AnalogOptimizer(groups, lr=0.1, **MOMENTUM)
    assert [set(g["params"]) for g in optimizer.param_groups] == [set(model[n].parameters()) for n in (0, 2)]
    assert [(g["lr"], g["weight_decay"], g["momentum"]) for g in optimizer.param_groups] == [
        (0.3, 0.1, 0.9),
        (0.1, 0, 0.9),
    ]
    assert "params" not in groups[1] or isinstance(groups[1]["params"], list)
    assert "lr" not in groups[1], "what the caller gave is the caller's"


def test_names_of_parameters_are_kept():
    model = network(EXPECTED)
    optimizer = mho.AnalogOptimizer(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == [name for name, _ in model.named_parameters()]
    optimizer.add_param_group({"params": [("extra", nn.Parameter(torch.ones(2)))]})
    train(model, optimizer, range(2))
    assert optimizer.state_dict()["param_groups"][1]["param_names"] == ["extra"]


def test_a_group_that_comes_later():
    model, whole = network(EXPECTED), network(EXPECTED)
    optimizer = mho.AnalogOptimizer(model[2].parameters(), lr=0.1, **MOMENTUM)
    untouched = model[0].weight
    train(model, optimizer, range(1))
    assert torch.equal(model[0].weight, untouched)
    model.load_state_dict(whole.state_dict())
    optimizer = mho.AnalogOptimizer(model[2].parameters(), lr=0.1, **MOMENTUM)
    optimizer.add_param_group({"params": model[0].parameters()})
    train(model, optimizer, range(3))
    train(whole, mho.AnalogOptimizer(whole, lr=0.1, **MOMENTUM), range(3))
    for a, b in zip(weights(model), weights(whole), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": model[0].parameters()})


def test_a_purely_analog_optimizer_takes_digital_parameters_later():
    model = network(EXPECTED)
    [block] = model[0].matrix.blocks
    optimizer = mho.AnalogOptimizer([block.weight], lr=0.1, **MOMENTUM)
    optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.2})
    before = weights(model)
    train(model, optimizer, range(1))
    moved = [not torch.equal(a, b) for a, b in zip(weights(model), before, strict=True)]
    assert moved == [True, False, True, True]


def test_options_that_a_digital_optimizer_keeps_in_its_groups_survive():
    """As optimizers do that find their own learning rate."""

    class Counting(torch.optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                group["k"] = group.get("k", 0) + 1
            return super().step(closure)

    model = network(EXPECTED)
    optimizer = mho.AnalogOptimizer(model, lr=0.1, digital=Counting)
    train(model, optimizer, range(3))
    assert optimizer.param_groups[0]["k"] == 3
    assert optimizer.state_dict()["param_groups"][0]["k"] == 3


# Steps.


def test_closure_is_called_once_with_gradients_on():
    model, reference = network(), network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    found, calls = [], []
    for step in range(3):

        def closure(step=step):
            calls.append(step)
            assert torch.is_grad_enabled()
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()
            return loss

        found.append(optimizer.step(closure).item())
    assert calls == [0, 1, 2]
    assert found == train(reference, mho.AnalogOptimizer(reference, lr=0.1), range(3))
    for a, b in zip(weights(model), weights(reference), strict=True):
        assert torch.equal(a, b)


def test_hooks_are_called_once():
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


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_forgets_what_was_recorded(set_to_none):
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    [block] = model[0].matrix.blocks
    before = weights(model)
    loss_of(model, 0).backward()
    assert len(block.factors) == 1
    optimizer.zero_grad(set_to_none)
    assert (model[2].bias.grad is None) == set_to_none
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


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda both: pickle.loads(pickle.dumps(both))}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("model_first", [True, False])
def test_copies_of_model_and_optimizer_belong_together(kind, model_first):
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1, **ADAM)
    train(model, optimizer, range(2))
    both = COPIES[kind]([model, optimizer] if model_first else [optimizer, model])
    other, copied = both if model_first else both[::-1]
    losses = train(model, optimizer, range(2, 6))
    assert train(other, copied, range(2, 6)) == losses
    for a, b in zip(weights(model), weights(other), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_groups_continues_bit_for_bit():
    def fresh():
        model = network()
        groups = [{"params": model[0].parameters(), "lr": 0.03}, {"params": model[2].parameters()}]
        return model, mho.AnalogOptimizer(groups, lr=0.1, **ADAM)

    model, optimizer = fresh()
    train(model, optimizer, range(3))
    optimizer.param_groups[0]["lr"] = 0.05
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    losses = train(model, optimizer, range(3, 8))
    model, optimizer = fresh()
    for part, state in zip((model, optimizer), saved, strict=True):
        part.load_state_dict(state)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.1]
    assert train(model, optimizer, range(3, 8)) == losses


# What cannot be.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: mho.AnalogOptimizer(5, lr=0.1), r"`AnalogOptimizer\(model\)`: it is of type int"),
        (lambda m: mho.AnalogOptimizer([], lr=0.1), "no parameter that requires a gradient"),
        (
            lambda m: mho.AnalogOptimizer(m, lr=0.1, digital="adam"),
            r"`AnalogOptimizer\(digital=\.\.\.\)`: it is of type str\. It must be a class of torch optimizers\.",
        ),
        (
            lambda m: mho.AnalogOptimizer([{"params": m.parameters(), "lr": -1}], lr=0.1),
            r"`AnalogOptimizer.add_param_group`: lr is -1\. It must be finite and not negative\.",
        ),
        (lambda m: mho.AnalogOptimizer(m, lr=None), r"`AnalogOptimizer\(lr=None\)`: lr is None"),
        (
            lambda m: mho.AnalogOptimizer(m, lr=0.1, digital=torch.optim.LBFGS),
            "LBFGS calls a closure many times",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(network())


@pytest.mark.parametrize("lr", [math.nan, -0.1])
def test_a_bad_rate_of_any_group_is_found_before_anything_has_changed(lr):
    model = network()
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters()}]
    optimizer = mho.AnalogOptimizer(groups, lr=0.1)
    loss_of(model, 0).backward()
    optimizer.param_groups[1]["lr"] = lr
    before = weights(model)
    with pytest.raises(mho.MhoError, match=f"lr is {lr}"):
        optimizer.step()
    for found, expected in zip(weights(model), before, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("digital", "options"),
    [(torch.optim.SparseAdam, {}), (torch.optim.Adam, {"capturable": True})],
    ids=["SparseAdam", "capturable"],
)
def test_a_digital_step_that_raises_leaves_arrays_alone(digital, options):
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1, digital=digital, **options)
    before = model[0].read_weight()
    loss_of(model, 0).backward()
    with pytest.raises((RuntimeError, AssertionError)):
        optimizer.step()
    assert torch.equal(model[0].read_weight(), before)


@pytest.mark.parametrize("view", [False, True])
def test_inputs_that_are_learned_themselves(view):
    torch.manual_seed(0)
    exact = mho.Crossbar(
        algorithm=mho.algorithms.DigitalSGD(), io=None, mapping=mho.Mapping(out_scale="none")
    )
    analog, query = AnalogLinear(6, 3, hardware=exact, key=3), nn.Parameter(torch.randn(5, 6))
    digital, same = analog.to_digital(), nn.Parameter(query.detach().clone())
    ours = mho.AnalogOptimizer([*analog.parameters(), query], lr=0.1)
    theirs = torch.optim.SGD([*digital.parameters(), same], lr=0.1)
    for _ in range(3):
        for layer, x, optimizer in ((analog, query, ours), (digital, same, theirs)):
            optimizer.zero_grad()
            layer(x[1:4] if view else x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(query, same)
    torch.testing.assert_close(analog.read_weight(), digital.weight.detach())


def test_a_group_that_is_refused_is_not_there():
    hardware = mho.Crossbar(algorithm=AnalogSGD())
    one, twin = (AnalogLinear(6, 3, hardware=hardware, key=1) for _ in range(2))
    optimizer = mho.AnalogOptimizer(one, lr=0.1)
    with pytest.raises(mho.MhoError, match="one key"):
        optimizer.add_param_group({"params": list(twin.parameters())})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": list(twin.parameters())[:1]})


def test_equal_keys_are_found_in_frozen_layers():
    hardware = mho.Crossbar(algorithm=AnalogSGD())
    twins = nn.Sequential(*(AnalogLinear(6, 6, hardware=hardware, key=1) for _ in range(2)))
    twins[1].requires_grad_(False)
    with pytest.raises(mho.MhoError, match="one key"):
        mho.AnalogOptimizer(twins, lr=0.1)


def test_a_digital_scale_is_no_step_of_another_optimizer():
    exact = mho.Crossbar(algorithm=mho.algorithms.DigitalSGD(), mapping=mho.Mapping(omega=0.5))
    layer = AnalogLinear(6, 3, hardware=exact)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.read_weight()
    layer(torch.ones(2, 6)).sum().backward()
    with pytest.raises(mho.MhoError, match="digital scale"):
        optimizer.step()
    assert torch.equal(layer.read_weight(), before)


def test_frozen_analog_weights_may_lie_in_another_optimizer():
    model = network()
    model[0].requires_grad_(False)
    loss_of(model, 0).backward()
    torch.optim.AdamW(model.parameters(), lr=0.1).step()


def test_factors_of_a_weight_without_an_optimizer_are_not_kept():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    block = optimizer.blocks[0]
    optimizer.param_groups[0]["params"] = [p for p in model.parameters() if p is not block.weight]
    optimizer.step()
    assert block.learning.owner is None


def test_calls_without_gradients_are_forgotten(monkeypatch):
    monkeypatch.setattr("mho.nn.core.calls._MOST", 8)
    model = network()
    with torch.no_grad():
        for n in range(40):
            model(torch.full((1, 6), n / 40))
    assert len(model[0].matrix.calls._seen) <= 8


@pytest.mark.parametrize("kind", [mho.AnalogOptimizer, torch.optim.SGD], ids=lambda kind: kind.__name__)
def test_an_optimizer_of_layers_that_are_gone(kind):
    model = digital_network()
    optimizer = kind(model.parameters() if kind is torch.optim.SGD else model, lr=0.1)
    mho.convert_(model, HARDWARE)
    loss_of(model, 0).backward()
    with pytest.raises(mho.MhoError, match="after the conversion"):
        optimizer.step()


def test_an_optimizer_of_a_tied_layer_that_stays():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].bias = model[0].bias
    optimizer = torch.optim.SGD([model[1].bias], lr=0.1)
    mho.convert_(model, {"0": HARDWARE})
    optimizer.step()


def test_gradients_that_nobody_takes_are_told_of(monkeypatch):
    monkeypatch.setattr("mho.nn.core.factors._LONG", 10)
    model = network()
    mho.AnalogOptimizer(model, lr=0.1)
    with pytest.warns(UserWarning, match="no step has taken it"):
        for step in range(15):
            loss_of(model, step).backward()


class Closing(torch.optim.SGD):
    """An optimizer that requires a closure, as some without a schedule do."""

    def step(self, closure):
        return closure()


def test_optimizers_that_cannot_be_the_digital_one():
    with pytest.raises(mho.MhoError, match="requires a closure"):
        mho.AnalogOptimizer(network(), lr=0.1, digital=Closing)
    model = network()
    for optimizer in (mho.AnalogOptimizer, torch.optim.Adam):
        with pytest.raises(mho.MhoError, match=r"pass the parameters: layer\.parameters"):
            optimizer([model[0].weight], lr=0.1)


@pytest.mark.parametrize("name", ["ResidualLearning", "RIDER", "ERIDER", "MultiTileResidual", "TwoStage"])
def test_a_zero_rate_stops_algorithms_with_rates_of_their_own(name):
    hardware = mho.Crossbar(algorithm=getattr(mho.algorithms, name)(), io=None)
    model = network(hardware)
    optimizer = mho.AnalogOptimizer(model, lr=0.0)
    before = model[0].read_weight()
    for step in range(3):
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()
    assert torch.equal(model[0].read_weight(), before)
