"""The gradient of an analog weight for those who ask: what it is, what may be done to it, and what that means."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

import mho
from chance import assert_mean
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.algorithms.base import Factors
from mho.nn.core.parameter import AnalogParameter

EXPECTED = mho.Crossbar(
    algorithm=AnalogSGD(),
    device=mho.Device(mho.responses.Constant(tau_max=100.0, tau_min=-100.0)),
    io=None,
    pulses=mho.Expected(),
    mapping=mho.Mapping(out_scale="none"),
)
NOISY = mho.Crossbar(
    algorithm=ResidualLearning(fast_lr=0.1),
    device=mho.Device(sigma_c2c=0.3),
    mapping=mho.Mapping(max_in=4, omega=0.5),
)


def digital_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def network(hardware=EXPECTED):
    """Two analog layers and a digital one."""
    return mho.convert_(digital_network(), {"0": hardware, "2": hardware})


def loss_of(model, step=0, samples=8):
    x = torch.randn(samples, 6, generator=torch.Generator().manual_seed(step))
    return (model(x) - x[:, :3]).square().mean()


def analog(model):
    return [p for p in model.parameters() if isinstance(p, AnalogParameter)]


def blocks(model):
    return [weight.of_block() for weight in analog(model)]


def everything(model):
    """All cells, counters and digital parameters; what a training may change."""
    return {name: value.clone() for name, value in model.state_dict().items() if not name.endswith("count")}


def assert_nothing_changed(model, before):
    for name, value in everything(model).items():
        assert torch.equal(value, before[name]), name


def changes(model, change, lr=0.1):
    """How much each weight changes in a step before which `change` was done to the gradients."""
    optimizer = mho.AnalogOptimizer(model, lr=lr)
    loss_of(model).backward()
    change(model)
    before = [w.detach().clone() for w in analog(model)]
    optimizer.step()
    return [w.detach() - was for w, was in zip(analog(model), before, strict=True)]


# What it is.


def test_it_is_that_of_torch():
    model, reference = network(), digital_network()
    assert [w.grad for w in analog(model)] == [None, None]
    for m in (model, reference):
        for step in range(2):  # accumulated
            loss_of(m, step).backward()
    for found, expected in zip(analog(model), (reference[0].weight, reference[2].weight), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
    found, expected = (get_total_norm([p.grad for p in m.parameters()]) for m in (model, reference))
    torch.testing.assert_close(found, expected)
    assert analog(model)[0].grad is analog(model)[0].grad


def test_it_is_that_of_the_array_before_digital_scales():
    hardware = EXPECTED.replace(mapping=mho.Mapping(omega=0.5, out_scale="none"))
    plain, scaled = network(), network(hardware)
    for model in (plain, scaled):
        loss_of(model).backward()
    for a, b in zip(analog(plain), analog(scaled), strict=True):
        torch.testing.assert_close(b.grad, a.grad * b.of_block().scale[:, None], rtol=1e-5, atol=1e-7)


def test_nothing_is_computed_for_those_who_do_not_ask(monkeypatch):
    monkeypatch.setattr(Factors, "outer", lambda self: pytest.fail("somebody computed the matrix"))
    model = network(NOISY)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    for step in range(3):
        optimizer.zero_grad()
        loss_of(model, step).backward()
        loss_of(model, step).backward()
        optimizer.step()
        model.zero_grad()
    assert all(block.learning.gradient() is None for block in blocks(model))


@pytest.mark.parametrize("grad_mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_logger_that_reads_the_norm_changes_nothing(grad_mode):
    plain, logged = network(NOISY), network(NOISY)
    for model in (plain, logged):
        optimizer = mho.AnalogOptimizer(model, lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            for part in range(2):
                loss_of(model, 2 * step + part).backward()
                if model is logged:
                    with grad_mode():
                        assert all(p.grad.norm().isfinite() for p in model.parameters())
            clip_grad_norm_(model.parameters(), 1e6)  # of what was made under the logger's mode
            optimizer.step()
    assert_nothing_changed(plain, everything(logged))


def test_a_step_uses_it_up():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    loss_of(model).backward()
    optimizer.step()
    assert [w.grad for w in analog(model)] == [None, None]


# What may be done to it.


def halve(p):
    p.grad = p.grad * 0.5


def halve_and_say_so_in_double(p):
    p.grad = p.grad.double() / 2


HALVES = {
    "in place": lambda p: p.grad.mul_(0.5),
    "by another tensor": halve,
    "of another dtype": halve_and_say_so_in_double,
    "behind autograd's back": lambda p: p.grad.data.mul_(0.5),
    "twice": lambda p: (p.grad.mul_(0.25), halve(p), p.grad.mul_(4)),
    "with torch._foreach": lambda p: torch._foreach_mul_([p.grad], 0.5),
}


@pytest.mark.parametrize("way", HALVES)
def test_half_the_gradient_is_half_the_update(way):
    whole = changes(network(), lambda m: None)
    half = changes(network(), lambda m: [HALVES[way](w) for w in analog(m)])
    for a, b in zip(whole, half, strict=True):
        assert a.abs().max() > 1e-3
        torch.testing.assert_close(b, a / 2, rtol=1e-5, atol=1e-7)


def test_only_the_samples_so_far_are_scaled():
    """A gradient halved between two micro-batches."""
    model, reference = network(), digital_network()
    for m in (model, reference):
        loss_of(m, 0).backward()
        for p in (m[0].weight, m[2].weight) if m is reference else analog(m):
            p.grad.mul_(0.5)
        loss_of(m, 1).backward()
    for found, expected in zip(analog(model), (reference[0].weight, reference[2].weight), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


FORGET = {
    "none": lambda model: [setattr(w, "grad", None) for w in analog(model)],
    "zero": lambda model: [w.grad.zero_() for w in analog(model)],
    "zeros": lambda model: [setattr(w, "grad", torch.zeros_like(w)) for w in analog(model)],
    "model to none": lambda model: model.zero_grad(),
    "model to zero": lambda model: model.zero_grad(set_to_none=False),
}


@pytest.mark.parametrize("way", FORGET)
def test_without_gradient_no_step(way):
    """And no samples of zeros, which an algorithm would count."""
    model = network(NOISY)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    before = everything(model)
    loss_of(model, 0).backward()
    FORGET[way](model)
    loss_of(model, 1).backward()
    assert [len(block.learning.calls()) for block in blocks(model)] == [1] * len(blocks(model))
    FORGET[way](model)
    for p in model.parameters():
        if not isinstance(p, AnalogParameter):
            p.grad = None
    optimizer.step()
    assert_nothing_changed(model, before)


# What must not.


def change_one(model):
    analog(model)[1].grad[0, 0] += 1.0


def add_decay(model):
    for w in analog(model):
        w.grad.add_(w, alpha=0.1)


BAD = {
    "clipped by value": lambda model: clip_grad_value_(model.parameters(), 1e-3),
    "behind autograd's back": lambda model: analog(model)[1].grad.data.clamp_(-1e-3, 1e-3),
    "one number": change_one,
    "weight decay": add_decay,
}


@pytest.mark.parametrize("way", BAD)
def test_other_changes_are_an_error_before_anything_has_changed(way):
    model = network(NOISY.replace(mapping=mho.Mapping()))
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    loss_of(model).backward()
    before = everything(model)
    BAD[way](model)
    with pytest.raises(mho.MhoError) as error:
        optimizer.step()
    assert str(error.value) == (
        "`weight.grad`: the gradient of an analog weight was changed by more than one common factor. Pulses are "
        "made of x and d, whose sum of d x^T it no longer is. Fix: clip by norm, or change the gradients of "
        "digital parameters only."
    )
    assert_nothing_changed(model, before)
    optimizer.zero_grad()
    loss_of(model, 1).backward()
    optimizer.step()


def test_a_gradient_from_nowhere_is_an_error():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    analog(model)[0].grad = torch.ones(5, 6)
    with pytest.raises(mho.MhoError, match="more than one common factor"):
        optimizer.step()


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_factor_that_is_not_finite_is_an_error_before_anything_has_changed(factor):
    model = network(NOISY)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    loss_of(model).backward()
    before = everything(model)
    analog(model)[-1].grad.mul_(factor)
    with pytest.raises(mho.MhoError, match="made NaN or infinite, such as by clipping"):
        optimizer.step()
    assert_nothing_changed(model, before)


def test_a_penalty_on_weights_is_an_error_before_anything_has_changed():
    """Autograd knows its gradient, and the array could not be told."""
    model = network(NOISY)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    before = everything(model)
    (loss_of(model) + 0.01 * sum(p.square().sum() for p in model.parameters())).backward()
    with pytest.raises(mho.MhoError, match="depends on an analog weight other than by its layer's product"):
        optimizer.step()
    assert_nothing_changed(model, before)
    optimizer.zero_grad()
    (loss_of(model) + 0.01 * model[4].weight.square().sum()).backward()
    optimizer.step()


def test_a_loss_of_nan_is_an_error_before_anything_has_changed():
    model = network(NOISY)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    before = everything(model)
    (loss_of(model) * math.nan).backward()
    clip_grad_norm_(model.parameters(), 1.0)
    with pytest.raises(
        mho.MhoError, match="a gradient at the output of an analog layer holds NaN or infinity"
    ):
        optimizer.step()
    assert_nothing_changed(model, before)
    optimizer.zero_grad()
    loss_of(model).backward()
    optimizer.step()


def test_an_input_that_is_overwritten_before_the_step_is_an_error():
    """Of a buffer that a loop fills with one micro-batch after the other; torch would not need it any more."""
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    before = everything(model)
    buffer = torch.ones(4, 6)
    model(buffer).sum().backward()
    buffer.copy_(2 * torch.ones(4, 6))
    with pytest.raises(mho.MhoError, match=r"changed in place after the backward .* layer\(x\.clone\(\)\)"):
        optimizer.step()
    assert_nothing_changed(model, before)
    optimizer.zero_grad()
    model(buffer).sum().backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(6, 5), "`weight.grad = ...`: it has shape (6, 5). The weight has shape (5, 6)."),
        (1.0, "`weight.grad = ...`: it is of type float. It must be a tensor or None."),
    ],
)
def test_what_is_no_gradient(value, message):
    model = network()
    with pytest.raises(mho.MhoError) as error:
        analog(model)[0].grad = value
    assert str(error.value) == message


# Clipping.


def test_clipping_by_norm_multiplies_the_update():
    model, reference = network(), digital_network()
    for m in (model, reference):
        loss_of(m).backward()
    norms = [clip_grad_norm_(m.parameters(), 0.05) for m in (model, reference)]
    torch.testing.assert_close(*norms)
    factor = 0.05 / (norms[1].item() + 1e-6)
    assert factor < 0.3
    whole = changes(network(), lambda m: None)
    clipped = changes(network(), lambda m: clip_grad_norm_(m.parameters(), 0.05))
    for a, b in zip(whole, clipped, strict=True):
        torch.testing.assert_close(b, a * factor, rtol=1e-4, atol=1e-7)


def test_a_norm_below_the_limit_changes_no_bit():
    plain, clipped = network(NOISY), network(NOISY)
    changes(plain, lambda m: None)
    changes(clipped, lambda m: clip_grad_norm_(m.parameters(), 1e6))
    assert_nothing_changed(plain, everything(clipped))


def test_clipping_multiplies_the_expected_number_of_pulses():
    """One sample many times. A row's cells share its bit line, so a step is one observation of all of them."""
    hardware = EXPECTED.replace(
        device=mho.Device(mho.responses.Constant(tau_max=100.0, tau_min=-100.0), dw_min=1e-3, sigma_c2c=0.3),
        pulses=mho.Pulses(),
    )
    layer = mho.nn.AnalogLinear(3, 2, bias=False, hardware=hardware, key=6)
    x, d = torch.tensor([[0.9, -0.5, 0.2]]), torch.tensor([[0.6, -0.3]])
    optimizer = mho.AnalogOptimizer(layer, lr=0.1)
    [weight] = analog(layer)
    moved = []
    for _ in range(1000):
        layer(x).backward(-d)
        norm = clip_grad_norm_([weight], 0.25)
        before = weight.detach().clone()
        optimizer.step()
        moved.append(weight.detach() - before)
    assert norm > 0.5
    assert_mean(torch.stack(moved), 0.1 * d.mT @ x * 0.25 / (norm + 1e-6), "change of each weight")


# GradScaler.


@pytest.mark.parametrize("hardware", [EXPECTED, NOISY], ids=["expected", "noisy"])
def test_a_scaled_loss_trains_as_a_plain_one(hardware):
    """The scale is a power of two: unscaled, the factors have the bits of a plain loss, up to perfect products."""
    plain, scaled = network(hardware.replace(io=None)), network(hardware.replace(io=None))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for model in (plain, scaled):
        optimizer = mho.AnalogOptimizer(model, lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            if model is plain:
                loss.backward()
                clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
                continue
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
    expected = everything(plain)
    for name, value in everything(scaled).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_a_step_with_overflow_is_skipped_and_the_next_one_works():
    model = network(NOISY)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    before, steps = everything(model), []
    for _ in range(12):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = loss_of(model)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scale = scaler.get_scale()
        scaler.update()
        steps.append(scaler.get_scale() >= scale)
        if not any(steps):
            assert_nothing_changed(model, before)
    assert not steps[0], "float16 must overflow at first"
    assert steps[-1]
    assert any(not torch.equal(value, before[name]) for name, value in everything(model).items())


# Who asks for something else.


def test_the_gradient_of_an_input_is_no_part_of_a_training():
    """As in adversarial training, saliency maps, gradients for a subset of the parameters."""
    model = network(NOISY)
    x = torch.randn(4, 6, requires_grad=True)
    torch.autograd.grad(model(x).sum(), x)
    model(x).sum().backward(inputs=[x, model[4].weight])
    assert [w.grad for w in analog(model)] == [None] * len(analog(model))
    one, *others = analog(model)
    model(x).sum().backward(inputs=[one])
    assert one.grad is not None
    assert [w.grad for w in others] == [None] * len(others)
    lstm = mho.convert_(nn.LSTM(6, 3), NOISY)
    torch.autograd.grad(lstm(x)[0].sum(), x)
    assert [w.grad for w in analog(lstm)] == [None] * len(analog(lstm))
    lstm(x)[0].sum().backward()
    assert all(w.grad is not None for w in analog(lstm))


def test_the_gradient_of_a_weight_comes_from_backward_alone():
    model = network()
    with pytest.raises(
        mho.MhoError, match=r"`torch\.autograd\.grad`: it is asked .* call loss\.backward\(\)"
    ):
        torch.autograd.grad(loss_of(model), analog(model))


def test_a_gradient_of_a_gradient_is_an_error():
    """Not a zero."""
    x = torch.randn(4, 6, requires_grad=True)
    [g] = torch.autograd.grad(network()(x).square().sum(), x, create_graph=True)
    with pytest.raises(mho.MhoError, match="`create_graph=True`: the loss depends on a gradient"):
        g.square().sum().backward()
