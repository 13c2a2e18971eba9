"""Writes of torch code to analog weights: each is a programming of the arrays, seen at once, or an error."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import mho
from mho.responses import SoftBounds
from mho.tile.tally import Tally

X, Y = torch.linspace(-1, 1, 96).reshape(12, 8).sin(), torch.arange(12) % 3
BOUND = 0.6
PLAIN = mho.Mapping(out_scale="none")
ALGORITHMS = {
    "AnalogSGD": mho.algorithms.AnalogSGD(),
    "ResidualLearning": mho.algorithms.ResidualLearning(),
    "TikiTaka": mho.algorithms.TikiTaka(),
    "MixedPrecision": mho.algorithms.MixedPrecision(),
    "MultiTileResidual": mho.algorithms.MultiTileResidual(),
    "DigitalSGD": mho.algorithms.DigitalSGD(),
}
each = pytest.mark.parametrize("name", ALGORITHMS)


def hardware(name="AnalogSGD", **options):
    device = mho.Device(SoftBounds(tau_max=BOUND, tau_min=-BOUND), dw_min=1e-3)
    options = {"io": None, "mapping": PLAIN, "device": device} | options
    return mho.Crossbar(algorithm=ALGORITHMS[name], **options)


def network(name="AnalogSGD", **options):
    torch.manual_seed(1)
    return mho.convert_(
        nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3)), hardware(name, **options)
    )


def loss(model):
    return nn.functional.cross_entropy(model(X), Y)


def step(model, optimizer):
    optimizer.zero_grad()
    loss(model).backward()
    optimizer.step()


def programs(layer):
    return sum(
        int(part.tally[Tally.PROGRAMS])
        for part in layer.modules()
        if "tally" in dict(part.named_buffers(recurse=False))
    )


def parameter(layer):
    return layer.matrix.blocks[0].weight


def assert_holds(model, expected, atol=1e-6):
    """Forward, state_dict, copies and the next step see the same weight."""
    layer, digital = model[0], nn.Linear(8, 16)
    torch.testing.assert_close(torch.Tensor(layer.weight), expected, atol=atol, rtol=0)
    torch.testing.assert_close(layer(X), X @ expected.mT + layer.bias, atol=1e-5, rtol=0)
    loaded = copy.deepcopy(model)
    torch.testing.assert_close(loaded[0].weight, layer.weight, atol=0, rtol=0)
    nn.init.zeros_(loaded[0].weight)
    loaded.load_state_dict(model.state_dict())
    torch.testing.assert_close(loaded[0].weight, layer.weight, atol=0, rtol=0)
    digital = layer.to_digital()
    torch.testing.assert_close(digital.weight.detach(), expected, atol=atol, rtol=0)
    step(model, mho.AnalogOptimizer(model, lr=0.0))
    assert (layer.weight - expected).abs().max() < 0.1


WRITES = {
    "init": lambda w: nn.init.constant_(w, 0.25),
    "add to data": lambda w: setattr(w, "data", w.data + 0.1),
    "clamp": lambda w: w.data.clamp_(-0.01, 0.01),
    "item": lambda w: w.data.__setitem__((0, slice(None)), 0.5),
    "view": lambda w: w.data.view(-1)[3:9].fill_(0.125),
    "foreach": lambda w: torch._foreach_mul_([w.detach()], 0.5),
    "out": lambda w: torch.mul(w.detach(), 0.5, out=w.detach()),
}
writes = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@each
@writes
def test_write_to_parameter(name, write):
    model = network(name)
    plain, before = nn.Parameter(model[0].weight.clone()), programs(model[0])
    write(plain)
    write(parameter(model[0]))
    model[0](X)
    assert programs(model[0]) > before, "a write is counted as a programming"
    assert_holds(model, plain.detach().clone())


@writes
@pytest.mark.parametrize(
    "make",
    [
        lambda h: mho.convert_(nn.Linear(8, 16), h),
        lambda h: mho.nn.AnalogConv2d(2, 4, 3, groups=2, hardware=h),
    ],
)
def test_write_to_layer_weight(make, write):
    torch.manual_seed(1)
    layer = make(hardware(mapping=mho.Mapping(max_in=5, max_out=3)))
    plain = nn.Parameter(torch.Tensor(layer.weight).clone())
    write(plain)
    write(layer.weight)
    torch.testing.assert_close(torch.Tensor(layer.weight), plain.detach(), atol=1e-6, rtol=0)


def test_write_with_scales_and_analog_bias():
    torch.manual_seed(1)
    layer = mho.convert_(nn.Linear(8, 16), hardware(mapping=mho.Mapping(omega=0.5, bias="analog")))
    bias = layer.weight_and_bias()[1]
    layer.weight.mul_(0.5)
    torch.testing.assert_close(layer.weight_and_bias()[1], bias)
    layer.program_(torch.full((16, 8), 0.25), torch.full((16,), -0.125))
    torch.testing.assert_close(layer(torch.ones(1, 8)), torch.full((1, 16), 2 - 0.125))


def test_writes_are_clipped():
    model = network()
    with torch.no_grad():
        model[0].weight.fill_(5.0)
    assert torch.equal(torch.Tensor(model[0].weight), torch.full((16, 8), BOUND))
    parameter(model[0]).data.fill_(-5.0)
    assert_holds(model, torch.full((16, 8), -BOUND))


@pytest.mark.filterwarnings("ignore:.*what the arrays hold:UserWarning")
def test_writes_have_noise():
    device = mho.Device(SoftBounds(tau_max=BOUND, tau_min=-BOUND), dw_min=1e-3, write_noise=10.0)
    layer = mho.convert_(nn.Linear(8, 16), hardware(device=device))
    layer.weight.fill_(0.1)
    assert layer.weight.std() > 1e-3


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_bad_writes_change_nothing(value):
    model = network()
    before = model[0].weight.clone()
    parameter(model[0]).data[0, 0] = value
    with pytest.raises(mho.MhoError, match="NaN or infinity"):
        model(X)
    assert_holds(model, before)
    with pytest.raises(mho.MhoError, match="NaN or infinity"):
        model[0].program_(torch.full((16, 8), value))


def test_old_copy():
    model = network()
    old = model[0].weight
    nn.init.zeros_(model[0].weight)
    with pytest.raises(mho.MhoError, match=r"read layer\.weight again"):
        old.add_(1)
    assert not model[0].weight.any()


def test_assignment():
    model = network()
    w = torch.linspace(-0.5, 0.5, 128).reshape(16, 8)
    model[0].weight = nn.Parameter(w)
    assert_holds(model, w)
    model[0].weight = -w
    assert_holds(model, -w)
    with pytest.raises(mho.MhoError, match="shape"):
        model[0].weight = w.mT


def test_copies_of_weight_are_plain():
    model = network()
    weight = model[0].weight
    for plain in (weight * 1, weight.clone(), copy.deepcopy(weight), weight.detach() + 0):
        assert type(plain) is torch.Tensor
    own = nn.Parameter(weight.detach())
    own.data.fill_(3.0)
    own.sum().backward()
    assert torch.equal(own.grad, torch.ones(16, 8)) and torch.equal(model[0].weight, weight)
    with pytest.raises(ValueError, match="read-only"):
        weight.numpy()[0] = 1


@pytest.mark.parametrize("other", [torch.optim.SGD, torch.optim.AdamW, torch.optim.LBFGS])
def test_other_optimizers_are_refused(other):
    model = network("ResidualLearning")
    optimizer = other(model.parameters(), lr=0.05)
    loss(model).backward()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(mho.MhoError, match="AnalogOptimizer"):
        optimizer.step(lambda: loss(model))
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    torch.optim.SGD([model[0].bias], lr=0.1).step()


@pytest.mark.parametrize("options", [{"name": "DigitalSGD"}, {"name": "AnalogSGD", "pulses": mho.Exact()}])
def test_exact_updates_by_other_optimizers(options):
    model = network(**options, device=mho.Device(SoftBounds(tau_max=9.0, tau_min=-9.0)))
    torch.manual_seed(1)
    digital = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    for part in (model, digital):
        optimizer = torch.optim.AdamW(part.parameters(), lr=0.01)
        for _ in range(5):
            step(part, optimizer)
    torch.testing.assert_close(torch.Tensor(model[0].weight), digital[0].weight.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64])
@pytest.mark.parametrize(
    "make",
    [
        lambda h: mho.convert_(nn.Linear(5, 5), h),
        lambda h: mho.convert_(nn.Conv2d(1, 2, 3), h),
        lambda h: mho.convert_(nn.GRU(5, 3), h),
    ],
)
def test_inputs_that_are_no_numbers(make, dtype):
    layer = make(hardware())
    shape = (1, 1, 5, 5) if "Conv" in type(layer).__name__ else (2, 2, 5)
    with pytest.raises(mho.MhoError, match=r"complex64|pass x\.float\(\)"):
        layer(torch.ones(shape).to(dtype))


@pytest.mark.parametrize("name", ["AnalogSGD", "TikiTaka"])
def test_maximize(name):
    up, down = network(name), network(name)
    nn.init.zeros_(down[2].bias), nn.init.zeros_(up[2].bias)
    for model, maximize in ((up, True), (down, False)):
        optimizer = mho.AnalogOptimizer(model, lr=0.3, maximize=maximize)
        before = loss(model)
        for _ in range(20):
            step(model, optimizer)
        assert (loss(model) > before) == maximize


def test_freeze_and_thaw():
    model = network()
    model[0].requires_grad_(False)
    optimizer = mho.AnalogOptimizer(model, lr=0.3)
    before = model[0].weight.clone()
    step(model, optimizer)
    assert torch.equal(before, model[0].weight)
    model[0].requires_grad_(True)
    step(model, optimizer)
    assert not torch.equal(before, model[0].weight)
    model.requires_grad_(False)
    with pytest.raises(mho.MhoError, match="no parameter that requires"):
        mho.AnalogOptimizer(model, lr=0.3)


def test_factors_that_nobody_owns():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(300, 200), nn.Linear(200, 3))
    digital = copy.deepcopy(model)
    mho.convert_(model, hardware(device=mho.Device(SoftBounds(tau_max=9.0, tau_min=-9.0))))
    optimizer = mho.AnalogOptimizer(model[1], lr=0.0)
    x = torch.randn(128, 300)
    for _ in range(12):
        for net in (model, digital):
            net(x).square().sum().backward()
        optimizer.step()
    assert len(parameter(model[0]).block().factors) < 8
    torch.testing.assert_close(parameter(model[0]).grad, digital[0].weight.grad, rtol=1e-4, atol=1e-2)
    before = model[0].weight.clone()
    with pytest.raises(mho.MhoError, match="before any optimizer"):
        mho.AnalogOptimizer(model, lr=0.1).step()
    assert torch.equal(model[0].weight, before)
    model.zero_grad()
    assert parameter(model[0]).grad is None
    step_of = mho.AnalogOptimizer(model, lr=0.1)
    model(x).square().sum().backward()
    step_of.step()
    assert not torch.equal(model[0].weight, before)


def test_functional_call():
    model = network()
    torch.manual_seed(1)
    digital = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    name = next(n for n, p in model.named_parameters() if p is parameter(model[0]))
    other = torch.linspace(-0.5, 0.5, 128).reshape(16, 8).requires_grad_()
    before = model[0].weight.clone()
    y = torch.func.functional_call(model, {name: other}, (X,))
    expected = torch.func.functional_call(
        digital, {"0.weight": other.detach().clone().requires_grad_()}, (X,)
    )
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)
    (found,) = torch.autograd.grad(y.square().sum(), other)
    again = other.detach().clone().requires_grad_()
    y = torch.func.functional_call(digital, {"0.weight": again}, (X,))
    torch.testing.assert_close(found, torch.autograd.grad(y.square().sum(), again)[0], atol=1e-4, rtol=1e-4)
    assert torch.equal(model[0].weight, before)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    noisy = {n: p + 0.01 if p.ndim > 1 else p for n, p in model.named_parameters()}
    torch.func.functional_call(model, noisy, (X,)).sum().backward()
    with pytest.raises(mho.MhoError, match="other than by its layer's product"):
        optimizer.step()


@pytest.mark.parametrize("name", ["AnalogSGD", "ResidualLearning", "TikiTaka"])
@pytest.mark.parametrize("how", ["parameters", "buffers", "state_dict"])
def test_averages(name, how):
    model = network(name)
    optimizer = mho.AnalogOptimizer(model, lr=0.3)
    swa = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=how == "buffers")
    by_hand, mean = copy.deepcopy(model), model[0].weight.clone()
    swa.update_parameters(model)
    for _ in range(5):
        step(model, optimizer)
        swa.update_parameters(model)
        mean = 0.5 * mean + 0.5 * model[0].weight
        with torch.no_grad():
            for a, b in zip(by_hand.state_dict().values(), model.state_dict().values(), strict=True):
                a.copy_(0.5 * a + 0.5 * b)
    found = by_hand if how == "state_dict" else swa.module
    torch.testing.assert_close(torch.Tensor(found[0].weight), mean, atol=1e-5, rtol=0)
    loaded = copy.deepcopy(found)
    nn.init.zeros_(loaded[0].weight)
    loaded.load_state_dict(found.state_dict())
    torch.testing.assert_close(torch.Tensor(loaded[0].weight), mean, atol=1e-5, rtol=0)


def test_write_to_cells():
    model = network("ResidualLearning")
    parameter(model[0]).block().state.W.cells.fill_(5.0)
    assert_holds(model, torch.full((16, 8), BOUND))


class Switched(torch.optim.SGD):
    """A digital optimizer that steps in train mode only, as those without a schedule do."""

    def train(self):
        for group in self.param_groups:
            group["train_mode"] = True

    def eval(self):
        for group in self.param_groups:
            group["train_mode"] = False

    @torch.no_grad()
    def step(self, closure=None):
        if not self.param_groups[0].get("train_mode"):
            raise RuntimeError("not in train mode")
        super().step.__wrapped__(self)


def test_train_and_eval_reach_the_digital_optimizer():
    model = network()
    optimizer = mho.AnalogOptimizer(model, lr=0.1, digital=Switched)
    optimizer.train()
    step(model, optimizer)
    optimizer.eval()
    with pytest.raises(RuntimeError, match="train mode"):
        step(model, optimizer)
    optimizer.train()
    step(model, optimizer)
    mho.AnalogOptimizer(model, lr=0.1).eval()
