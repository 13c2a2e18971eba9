"""`Tracker`: what it sees, by hand; that it changes nothing, and is gone when it is detached."""

import math

import pytest
import torch

import mho
from mho.algorithms import ERIDER, RIDER, AnalogSGD, ResidualLearning
from mho.calibration import Tracker, calibrate_, symmetric_point
from mho.responses import Linear

DEVICE = mho.Device(Linear(0.3), 1e-3, spread={"c_lin": mho.Absolute(0.1)})
RATES = {"fast_lr": 0.05, "transfer_lr": 0.02, "scale_transfer_lr": False, "transfer": "all"}


def model_of(algorithm):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    hardware = mho.Crossbar(algorithm=algorithm, device=DEVICE)
    mho.convert_(net, hardware, key=3)
    return net, mho.AnalogOptimizer(net, lr=0.1)


def train(net, optimizer, steps):
    g = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        (net(torch.randn(4, 6, generator=g)) - 0.3).square().mean().backward()
        optimizer.step()


def states_of(net):
    return [module for module in net.modules() if isinstance(module, mho.State)]


def test_it_sees_distances_and_changes_nothing():
    plain, seen = model_of(RIDER(**RATES)), model_of(RIDER(**RATES))
    tracker = Tracker(seen[0], every=5).attach(seen[1])
    train(*plain, 12)
    train(*seen, 12)
    for one, other in zip(plain[0].state_dict().values(), seen[0].state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert [shot.step for shot in tracker.snapshots] == [5, 5, 10, 10]
    train(*seen, 3)
    first, second = tracker.snapshots[-2:]
    assert first.array != second.array
    for shot, state in zip((first, second), states_of(seen[0]), strict=True):
        truth = symmetric_point(state.P)
        assert shot.distance == pytest.approx((state.Q - truth).square().mean().sqrt().item(), rel=1e-4)
        assert shot.distance_p == pytest.approx((state.P.w - truth).square().mean().sqrt().item(), rel=1e-4)
        assert shot.bias == pytest.approx((state.Q - truth).mean().item(), rel=1e-4)


def test_all_arrays_of_a_model_are_calibrated():
    net, optimizer = model_of(ResidualLearning(gamma=0.4))
    weights = [state.W.w.clone() for state in states_of(net)]
    for block in net.modules():
        if hasattr(block, "state"):
            block.state.P.program(torch.full(block.state.P.shape, 0.1))
            block.refresh()
    found = calibrate_(net, 4000)
    assert len(found) == 2
    for result, state, w in zip(found.values(), states_of(net), weights, strict=True):
        torch.testing.assert_close(state.P.w, torch.zeros_like(w), rtol=0, atol=1e-6)
        torch.testing.assert_close(symmetric_point(state.P), -result.error.float(), rtol=0, atol=1e-6)
        assert result.error.abs().max() < 0.02
        assert state.P.pulses_sent == (2000 * w.numel(), 2000 * w.numel())
        assert torch.equal(state.W.w, w)
    seen = [block.weight.detach() for block in net.modules() if hasattr(block, "state")]
    for weight, w in zip(seen, weights, strict=True):  # gamma P is no part of it any more
        torch.testing.assert_close(weight, w, rtol=0, atol=1e-6)
    train(net, optimizer, 1)
    with pytest.raises(mho.MhoError, match="no layer has such an array"):
        calibrate_(net, array="A")


def test_it_is_gone_when_it_is_detached():
    net, optimizer = model_of(RIDER(**RATES))
    tracker = Tracker(net, every=1).attach(optimizer)
    train(net, optimizer, 2)
    tracker.detach()
    train(net, optimizer, 2)
    assert len(tracker.snapshots) == 4
    assert not optimizer._optimizer_step_post_hooks
    for state in states_of(net):
        assert "update" not in vars(state.P)
    tracker.attach(optimizer)
    tracker.attach(optimizer)  # not twice
    train(net, optimizer, 1)
    assert tracker.step == 3
    tracker.detach()


@pytest.mark.parametrize(
    "algorithm",
    [RIDER(**RATES), ERIDER.printed(chop_prob=0.2, fast_lr=0.05, eta=0.05)],
    ids=lambda a: type(a).__name__,
)
def test_the_residual_points_down_the_gradient(algorithm):
    """One weight a row, always the same gradient -1: c (P - Q') is positive after a step, so the cosine is 1."""
    state = algorithm.init(
        lambda name, w, **_: mho.Tile(w, DEVICE, pulses=mho.Expected(), key=4), torch.zeros(1, 1)
    )
    state.roles = algorithm.roles()  # a layer does this
    tracker = Tracker(state, every=1).attach()
    for _ in range(20):
        algorithm.step(state, mho.algorithms.base.Factors(torch.ones(1, 1), torch.ones(1, 1)), 0.1)
        tracker.see()
    cosines = [shot.alignment for shot in tracker.snapshots]
    assert cosines[0] is None
    if isinstance(algorithm, RIDER):
        assert all(c == pytest.approx(1.0) for c in cosines[1:])
    else:  # it lags a flip by the steps that P needs to turn round
        assert {round(c, 6) for c in cosines[1:]} <= {1.0, -1.0}
        assert sum(c > 0 for c in cosines[1:]) >= 10


def test_cosines_by_hand():
    net, _ = model_of(ResidualLearning())
    state = states_of(net)[0]
    tracker = Tracker(net, every=1, probes=0).attach()
    g = torch.Generator().manual_seed(0)
    x, d = torch.randn(3, 6, generator=g), torch.randn(3, 5, generator=g)
    state.P.program(torch.randn(5, 6, generator=g) * 0.1)
    p, change = state.P.w.clone(), -(d.mT @ x)
    state.P.update(x, d, -0.1)
    tracker.see()
    expected = (p * change).sum() / p.norm() / change.norm()
    assert tracker.snapshots[0].alignment == pytest.approx(expected.item(), rel=1e-4)
    tracker.detach()


def test_spectrum_has_its_power_where_p_moves():
    """Up and down in turn: all at omega = pi, and its integral is the variance."""
    net, _ = model_of(ResidualLearning())
    tracker = Tracker(net, probes=7).attach()
    for k in range(600):
        for state in states_of(net):
            state.P.program(torch.full(state.P.shape, 0.1 * (-1) ** k))
        tracker.see()
    name = tracker.snapshots[0].array
    omega, power = tracker.spectrum(name, segment=128)
    assert omega[-1] == pytest.approx(math.pi)
    assert int(power.argmax()) == len(omega) - 1
    assert power.sum() * omega[1] == pytest.approx(0.01, rel=0.05)
    with pytest.raises(mho.MhoError, match="known: "):
        tracker.spectrum("nobody")
    with pytest.raises(mho.MhoError, match="A segment has 1000 steps"):
        tracker.spectrum(name, segment=1000)


def test_what_cannot_be_tracked():
    with pytest.raises(mho.MhoError, match="no array P"):
        Tracker(model_of(AnalogSGD())[0])
    with pytest.raises(mho.MhoError, match="every >= 1"):
        Tracker(model_of(RIDER())[0], every=0)
