"""What pulses do to the weights: closed forms of each law, the compact model as their small-step limit, bounds,
symmetric points, and the cells' own parameters.

The bit line of a column is shared by all rows, so rows are not independent samples of an update unless that
line always fires. Where a test averages over rows, x has p_x = 1 and only the rows' own lines are random.
"""

import math

import numpy as np
import pytest
import torch

import mho
import mho.testing
from chance import assert_mean
from mho.numerics.draw import draw_normal
from mho.responses import Constant, Exponential, Power, SoftBounds

NO_MANAGEMENT = {"update_management": False, "bl_management": False}
ONE_PULSE = mho.Pulses(bl=1, **NO_MANAGEMENT)  # with |x| = |d| = 1 and lr = dw_min: exactly one pulse
LAWS = [Constant(2.0, -2.0), SoftBounds(0.9, -0.6), Power(0.6, 0.5), Power(0.8, 1.7), Exponential(0.9, 1.2)]
CURVED = [SoftBounds(0.9, -0.6), Power(0.6, 0.5), Exponential(0.9, 1.2)]


class Shifted(mho.Response):
    """Its symmetric point is (strength - 1) / (strength + 1)."""

    strength: float = 1.5

    def up(self, w):
        return self.strength * (1 - w)

    def down(self, w):
        return 1 + w

    def bounds(self):
        return -1.0, 1.0


def pulse(tile, signs):
    """One pulse of each sign in turn on every cell."""
    signs = torch.tensor(signs)[:, None]
    n_out, n_in = tile.shape
    tile.update(torch.ones(len(signs), n_in), signs.expand(-1, n_out), tile.device.dw_min)


def iterated(law, w, signs, dw_min):
    """The same on one cell, in float64."""
    low, high = law.bounds()
    for sign in signs:
        w += sign * dw_min * (law.q_up(w) if sign > 0 else law.q_down(w))
        w = min(max(w, low), high)
    return w


def flowing_up(law, n, dw_min):
    """Where n pulses up from 0 lead in the limit of small steps: the solution of dw/dn = dw_min q_up(w)."""
    t = n * dw_min
    match law:
        case Constant():
            return t
        case SoftBounds():
            return law.tau_max * (1 - math.exp(-t / law.tau_max))
        case Power(tau=tau, gamma_res=gamma):
            return tau * (1 - (1 - (1 - gamma) * t / tau) ** (1 / (1 - gamma)))
        case Exponential(tau=tau, gamma_res=gamma):
            rest = -math.expm1(-gamma) * math.exp(-gamma * t / tau / math.expm1(gamma))
            return tau * (1 + math.log1p(-rest) / gamma)


# Trajectories.


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_fifty_pulses_up_and_down_again(law):
    signs = [1.0] * 50 + [-1.0] * 50
    tile = mho.Tile(torch.zeros(3, 2), mho.Device(law, dw_min=0.01), pulses=ONE_PULSE)
    for part in (signs[:50], signs):
        pulse(tile, part[-50:])
        assert tile.w.numpy() == pytest.approx(iterated(law, 0.0, part, 0.01), abs=1e-6)
    assert tile.pulses_sent == (6 * 50, 6 * 50)


def test_soft_bounds_by_hand():
    tile = mho.Tile(torch.zeros(1, 1), mho.Device(SoftBounds(), dw_min=0.01), pulses=ONE_PULSE)
    pulse(tile, [1.0] * 50)
    assert tile.w.item() == pytest.approx(0.39499, abs=1e-5)
    assert tile.w.item() == pytest.approx(1 - 0.99**50, abs=1e-6)
    pulse(tile, [-1.0] * 50)
    assert tile.w.item() == pytest.approx((2 - 0.99**50) * 0.99**50 - 1, abs=1e-6)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_small_steps_follow_the_closed_form(law):
    """Halving dw_min halves the distance to the continuous solution (for Constant there is none)."""
    away = []
    for n, dw_min in ((50, 0.008), (100, 0.004)):
        tile = mho.Tile(torch.zeros(1, 1), mho.Device(law, dw_min=dw_min), pulses=ONE_PULSE)
        pulse(tile, [1.0] * n)
        away.append(tile.w.item() - flowing_up(law, n, dw_min))
    if isinstance(law, Constant):
        assert away == pytest.approx([0, 0], abs=1e-6)
    else:
        assert 0 < away[1] < 2e-3
        assert 1.9 < away[0] / away[1] < 2.1, away


@pytest.mark.parametrize("law", mho.testing.laws(), ids=lambda law: law.__name__)
def test_never_outside_the_bounds(law):
    """Thousands of coarse, noisy pulses on cells that all differ."""
    spread = {"gain": 0.3} | {n: 0.1 for n in mho.base.records.float_fields(law) if n.startswith("tau")}
    device = mho.Device(law(), dw_min=0.1, sigma_c2c=0.5, spread=spread)
    tile = mho.Tile(torch.zeros(11, 19), device, pulses=ONE_PULSE, key=1)
    cells = tile.parameters_of_cells
    g = torch.Generator().manual_seed(0)
    for bias in (0.0, 0.8, -0.8):
        for _ in range(10):
            pulse(tile, (torch.rand(200, generator=g) + bias / 2 - 0.5).sign().tolist())
            assert (tile.cells <= cells.upper).all()
            assert (tile.cells >= cells.lower).all()
        if bias:
            assert (tile.cells.sign() == math.copysign(1, bias)).all(), (
                "these pulses should lead to the bound"
            )
            assert tile.saturated() > 0
    assert cells.upper.std() > 0.03


def test_saturated_counts_cells_at_their_bounds():
    tile = mho.Tile(torch.tensor([[0.0, 2.0, 0.5], [-3.0, 1.0, -0.99]]), mho.Device(SoftBounds()))
    assert tile.w.tolist() == [[0.0, 1.0, 0.5], [-1.0, 1.0, pytest.approx(-0.99)]]
    assert tile.saturated() == 3


# The compact model.


def pulsed(law, dw_min, w0, direction, bl=20, rows=4000):
    """(weights after one update, pulses of each cell): p_x = 1, p_d = 1/2, so on average bl / 2 pulses a cell."""
    tile = mho.Tile(
        torch.full((rows, 1), w0),
        mho.Device(law, dw_min=dw_min),
        pulses=mho.Pulses(bl=bl, **NO_MANAGEMENT),
        key=6,
        count_cells=True,
    )
    tile.update(torch.ones(1), torch.full((rows,), 0.5 * direction), bl * dw_min)
    return tile.w.double().flatten(), tile.counts.sum(0).double().flatten()


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("law", CURVED, ids=repr)
def test_pulses_leave_the_compact_model_with_the_square_of_the_step(law, direction):
    """|E[w pulsed] - (w + dw F - |dw| G)| is of second order in dw_min, where the number of pulses is given.

    E[n] = bl/2 is tested as such; its scatter, of first order, is taken out of the mean of w pulse by pulse.
    """
    w0, steps = 0.25, [4e-4, 1.2e-3, 4e-3]
    q = law.q_up(w0) if direction > 0 else law.q_down(w0)
    away = []
    for dw_min in steps:
        w, n = pulsed(law, dw_min, w0, direction)
        assert_mean(n, 10.0, "pulses")
        dw = 10 * dw_min * direction
        compact = w0 + dw * law.F(w0) - abs(dw) * law.G(w0)
        away.append((w - (n - 10) * dw_min * q * direction).mean().item() - compact)
    slope = np.polyfit(np.log(steps), np.log(np.abs(away)), 1)[0]
    assert 1.9 < slope < 2.1, (slope, away)
    assert np.sign(away).tolist() == [-direction] * 3, "steps that shrink on the way fall short"


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_constant_pulses_are_the_compact_model(direction):
    w, n = pulsed(Constant(), 2e-3, 0.25, direction)
    assert_mean(w, 0.25 + 10 * 2e-3 * direction, "weight")
    assert_mean((n - 10) ** 2, 5.0, "variance of the pulse number")


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_expected_is_the_formula(law, per_sample):
    device = mho.Device(law, spread={"gain": 0.2})
    g = torch.Generator().manual_seed(0)
    w0 = 0.2 * torch.randn(4, 5, generator=g)
    x, d, lr = torch.randn(3, 5, generator=g), torch.randn(3, 4, generator=g), 0.02
    tile = mho.Tile(w0, device, pulses=mho.Expected(per_sample=per_sample), key=2)
    info = tile.update(x, d, lr)
    w, gain = w0.double(), tile.parameters_of_cells.gain.double()
    outer = lr * torch.einsum("so,si->soi", d.double(), x.double())
    for dw in outer if per_sample else [outer.sum(0)]:
        w = w + gain * (dw * law.F(w) - dw.abs() * law.G(w))
    assert w.abs().max() < 0.6, "the test must stay off the bounds"
    assert tile.w.numpy() == pytest.approx(w.numpy(), abs=3e-7)
    assert info == mho.UpdateInfo(0, 0, 0, 0)
    assert tile.pulses_sent == (0, 0)


def test_expected_is_clipped_and_exact_is_not():
    x, d = torch.ones(3), torch.tensor([1.0, -1.0])
    tiles = [
        mho.Tile(torch.zeros(2, 3), mho.Device(Constant()), pulses=p) for p in (mho.Expected(), mho.Exact())
    ]
    for tile, edge in zip(tiles, (1.0, 4.0), strict=True):
        tile.update(x, d, 4.0)
        assert tile.w.tolist() == [[edge] * 3, [-edge] * 3]


# Symmetric points.


@pytest.mark.parametrize("law", [*CURVED, Shifted()], ids=repr)
@pytest.mark.parametrize("w0", [-0.5, 0.5])
def test_alternating_pulses_end_at_the_symmetric_point(law, w0):
    dw_min = 0.01
    tile = mho.Tile(torch.full((1, 1), w0), mho.Device(law, dw_min=dw_min), pulses=ONE_PULSE)
    pulse(tile, [1.0, -1.0] * 500)
    [point] = law.symmetric_points()
    assert tile.w.item() == pytest.approx(point.w, abs=dw_min * law.F(point.w))
    pulse(tile, [1.0])
    assert tile.w.item() == pytest.approx(point.w, abs=dw_min * law.F(point.w)), "a mid-cycle step crosses it"
    assert tile.w.item() > point.w


def test_subtracting_the_symmetric_point():
    """Cells with symmetric points of their own: a calibrated reference leaves only its own error."""
    device = mho.Device(
        Shifted(),
        dw_min=5e-3,
        spread={"strength": 0.2},
        reference_mean=0.05,
        reference_std=0.1,
        subtract_sp=True,
    )
    tile = mho.Tile(torch.zeros(20, 20), device, pulses=ONE_PULSE, key=8)
    xi = draw_normal((20, 20), 8, "reference")
    strength = tile.parameters_of_cells.fields["strength"]
    sp = (strength - 1) / (strength + 1)
    assert sp.std() > 0.05
    torch.testing.assert_close(tile.reference, sp + 0.05 + 0.1 * xi, rtol=0, atol=1e-6)
    pulse(tile, [1.0, -1.0] * 1500)
    step = device.dw_min * 2 * strength / (strength + 1)  # q_up = q_down at the symmetric point
    assert ((tile.w + 0.05 + 0.1 * xi) / step).abs().max() <= 1


# The cells' own parameters.


def folded(sigma):
    """Mean and second moment of |1 + sigma xi|."""
    mean = sigma * math.sqrt(2 / math.pi) * math.exp(-0.5 / sigma**2) + math.erf(1 / sigma / math.sqrt(2))
    return mean, 1 + sigma**2


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
def test_spread_of_cells(sigma):
    device = mho.Device(SoftBounds(0.6, -0.4), spread={"gain": sigma, "tau_max": sigma, "tau_min": sigma})
    cells = device.draw((200, 200), key=4)
    mean, second = folded(sigma)
    parts = [cells.gain, cells.fields["tau_max"] / 0.6, cells.fields["tau_min"] / -0.4]
    for part in parts:
        assert (part > 0).all(), "a parameter keeps its sign"
        assert_mean(part.flatten(), mean, "mean")
        assert_mean((part.flatten() - mean) ** 2, second - mean**2, "variance")
    for k in range(3):
        product = (parts[k] - mean) * (parts[k - 1] - mean)
        assert_mean(product.flatten(), 0.0, "correlation of two parameters")
    assert torch.equal(cells.upper, cells.fields["tau_max"])
    assert torch.equal(cells.lower, cells.fields["tau_min"])


def test_pulses_use_the_parameters_of_their_cell():
    """Up and down share the gain; each cell follows its own tau."""
    device = mho.Device(
        SoftBounds(0.6, -0.4), dw_min=1e-2, spread={"gain": 0.3, "tau_max": 0.1, "tau_min": 0.1}
    )
    tile = mho.Tile(torch.zeros(50, 40), device, pulses=ONE_PULSE, key=4)
    cells = tile.parameters_of_cells
    gain = 1e-2 * cells.gain
    pulse(tile, [1.0])
    torch.testing.assert_close(tile.w, gain, rtol=1e-6, atol=0)
    w = tile.w.clone()
    pulse(tile, [1.0])
    torch.testing.assert_close(tile.w, w + gain * (1 - w / cells.fields["tau_max"]), rtol=0, atol=1e-7)
    w = tile.w.clone()
    pulse(tile, [-1.0])
    torch.testing.assert_close(tile.w, w - gain * (1 - w / cells.fields["tau_min"]), rtol=0, atol=1e-7)


def test_cycle_to_cycle_noise_on_cells_that_differ():
    """Variance of one pulse: additive noise is scaled by the cell's gain, as the step itself is."""
    spread = {"gain": 0.3, "tau_max": 0.1, "tau_min": 0.1}
    device = mho.Device(SoftBounds(), dw_min=1e-3, sigma_c2c=0.2, spread=spread)
    tile = mho.Tile(torch.zeros(200, 200), device, pulses=ONE_PULSE, key=4)
    pulse(tile, [1.0])
    n = (tile.w / device.dw_min / tile.parameters_of_cells.gain).flatten()
    assert_mean(n, 1.0, "mean")
    assert_mean((n - 1) ** 2, 0.2**2, "variance")


def test_reference_is_subtracted_from_the_hidden_weight():
    device = mho.Device(Constant(5.0, -5.0), reference_mean=0.2, reference_std=0.3)
    w = torch.linspace(-1, 1, 40_000).reshape(200, 200)
    tile = mho.Tile(w, device, key=4)
    assert_mean(tile.reference.flatten(), 0.2, "mean of the references")
    assert_mean((tile.reference.flatten() - 0.2) ** 2, 0.3**2, "variance of the references")
    torch.testing.assert_close(tile.w, w, rtol=0, atol=1e-6)
    assert torch.equal(tile.w, tile.cells - tile.reference)
    tile.update(torch.ones(200), torch.ones(200), 0.01)
    torch.testing.assert_close(tile.w, w + 0.01, rtol=0, atol=5e-3)
    assert torch.equal(tile.w, tile.cells - tile.reference)
