"""The theorems as functions: numbers by hand, closed forms, and exact recursions in place of simulations."""

import math

import pytest
import torch

from mho import Device, Response
from mho.base.errors import MhoError
from mho.responses import Constant, Exponential, Linear, Power, SoftBounds
from mho.theory import (
    E_K,
    S_K,
    E_K_residual,
    E_K_tracking,
    R,
    R_c,
    chopper_leak,
    constants,
    cyclic_distance,
    cyclic_limit,
    cyclic_mean_square,
    folded_mean,
    linear_pulses,
    lowpass_gain,
    minimiser,
    penalty,
    phi,
    pulses_for,
    pulses_for_training,
    random_distance,
    random_mean_square,
    rider_fixed_point,
    root,
)

TAU = 0.5
SOFT = SoftBounds(TAU, -TAU)
W = torch.tensor([[-0.5, -0.2, 0.0], [0.1, 0.3, 0.5]], dtype=torch.float64)
H = torch.tensor([[1.0, 0.3], [0.3, 0.6]], dtype=torch.float64)


class TwoWells(Response):
    """G = w (w^2 - 1/4): repels at 0, attracts at +-1/2."""

    def up(self, w):
        return 1 - w * (w * w - 0.25)

    def down(self, w):
        return 1 + w * (w * w - 0.25)

    def bounds(self):
        return -1.0, 1.0


def near(value, expected, tolerance=1e-9):
    torch.testing.assert_close(
        torch.as_tensor(value, dtype=torch.float64),
        torch.as_tensor(expected, dtype=torch.float64),
        rtol=tolerance,
        atol=tolerance,
    )


# Responses.


def test_soft_bounds_by_hand():
    """F = 1, G = w/tau: R = w/tau, R_c = phi = w^2/(2 tau)."""
    near(R(SOFT, W), W / TAU)
    near(R_c(SOFT, W), W**2 / (2 * TAU))
    near(phi(SOFT, W), W**2 / (2 * TAU))
    assert R_c(SOFT, 0.3) == pytest.approx(0.09, rel=1e-12)
    assert isinstance(R_c(SOFT, 0.3), float)
    assert R_c(SOFT, W.float()).dtype == torch.float32


def test_linear_by_hand():
    """R = (u - c)/(1 - c u), u = w/tau: its integral is tau (-u/c - (1 - c^2)/c^2 ln(1 - c u)), less that at c."""
    c, tau = 0.3, 0.5

    def integral(u):
        return tau * (-u / c - (1 - c**2) / c**2 * torch.log(1 - c * u))

    u = W / tau
    near(R_c(Linear(c, tau), W), integral(u) - integral(torch.tensor(c, dtype=torch.float64)))
    near(phi(Linear(c, tau), W), tau * (u - c) ** 2 / 2)


def test_laws_that_end_in_a_root():
    """Power: phi = tau/(2 (g + 1)) ((1 + u)^(g+1) + (1 - u)^(g+1) - 2), u = w/tau, up to the bound itself."""
    g = 0.5
    u = W / TAU
    expected = TAU / (2 * (g + 1)) * ((1 + u) ** (g + 1) + (1 - u) ** (g + 1) - 2)
    near(phi(Power(TAU, g), W), expected, 1e-8)
    curved = R_c(Exponential(TAU, 2.0), W)
    near(curved, TAU / 2 * torch.log(torch.tensor(0.0) + exponential_size(u) / exponential_size(0 * u)), 1e-8)


def exponential_size(u, gamma=2.0):
    """F of Exponential up to a factor; G = sinh(gamma u) e^gamma / (e^gamma - 1), so that R = F'/F tau/gamma."""
    return math.exp(gamma) * torch.cosh(gamma * u) - 1


def test_cells_and_gains():
    """A device's gains count; a response may differ from cell to cell, and another symmetric point may be given."""
    strong = Device(
        SoftBounds(1.0, -1.0), up_down=0.5, up_down_rule="two-sided"
    )  # up 1.5, down .5: Linear(.5, 1)
    near(R_c(strong, 0.9), R_c(Linear(0.5, 1.0), 0.9))
    tau = torch.tensor([[0.5, 1.0, 2.0]])
    near(R_c(SoftBounds().with_fields(tau_max=tau, tau_min=-tau), 0.4), [[0.16, 0.08, 0.04]])
    near(R_c(SOFT, 0.3, sp=0.1), (0.09 - 0.01) / (2 * TAU))


def test_weights_outside_and_wrong_laws():
    with pytest.raises(MhoError, match=r"`R_c\(law, w\)`: 0\.51 lies outside"):
        R_c(SOFT, 0.51)
    with pytest.raises(MhoError, match=r"sp=.*outside"):
        R_c(SOFT, 0.1, sp=0.6)
    with pytest.raises(MhoError, match="outside"):
        R(SOFT, torch.tensor([0.1, math.nan]))
    with pytest.raises(MhoError, match=r"an mho\.Response or an mho\.Device"):
        R(0.5, 0.1)


# The penalty.


def test_penalty_by_hand():
    assert penalty(SOFT, [0.1, -0.2], [2.0, 1.0]) == pytest.approx(2 * 0.01 + 0.04)
    with pytest.raises(MhoError, match="negative"):
        penalty(SOFT, [0.1], -1.0)


def test_minimiser_by_hand():
    """One weight, H = 2, W* = .3, soft bounds tau = .5, Sigma = 1: dR/dw = 2, so W~* = .6/(2 + 2)."""
    near(minimiser(SOFT, [[2.0]], [0.3], 1.0), [0.15])
    # Linear(c = .2, tau = .5): w_sp = .1, dR/dw = (1/tau)/(1 - c^2) = 2.083333
    d = 2 / 0.96
    near(minimiser(Linear(0.2, 0.5), [[2.0]], [0.3], 1.0), [(0.6 + d * 0.1) / (2 + d)], 1e-7)


def test_minimiser_of_a_law_linear_in_w_is_the_root():
    """Soft bounds: R is linear, so with fixed Sigma both are the same for any W*."""
    star, sigma = (
        torch.tensor([0.3, -0.4], dtype=torch.float64),
        torch.tensor([0.2, 0.5], dtype=torch.float64),
    )
    near(root(SOFT, H, star, sigma=sigma), minimiser(SOFT, H, star, sigma), 1e-9)


@pytest.mark.parametrize("law", [Linear(0.3, 0.5), Exponential(0.5, 2.0), Power(0.5, 0.5)], ids=repr)
def test_minimiser_meets_the_root_to_second_order(law):
    """Theorem 5: what T(W~*) leaves, over T(W*), goes to zero with |w_sp - W*|; here the distance to the root does,
    at least with the square, for Sigma that depends on W as well."""
    sp = law.central_sp()
    sigma = folded_mean(0.0, 0.4)
    distances = []
    for step in (0.04, 0.02, 0.01):
        star = sp + step * torch.tensor([1.0, -0.7], dtype=torch.float64)
        guess, exact = minimiser(law, H, star, sigma), root(law, H, star, noise=0.4)
        assert (guess - star).norm() > 0.2 * step
        distances.append(float((guess - exact).norm()))
    assert distances[0] > 3.5 * distances[1] > 3.5**2 * distances[2]
    assert distances[2] < 1e-4


def test_folded_mean_by_hand():
    near(folded_mean([0.0, 3.0, -3.0], [2.0, 0.0, 0.0]), [2 * math.sqrt(2 / math.pi), 3.0, 3.0])
    near(folded_mean(1.0, 1.0), 1.1666309411)  # sqrt(2/pi) e^-.5 + erf(1/sqrt 2) = .4839414 + .6826895
    with pytest.raises(MhoError, match="negative"):
        folded_mean(1.0, -1.0)


def test_root_is_where_the_mean_step_is_zero():
    """E g F + E|g| G = 0, far from the symmetric point too; without noise it is W*, at large noise w_sp."""
    law, star = Linear(0.3, 0.5), torch.tensor([-0.4, 0.4], dtype=torch.float64)
    w = root(law, H, star, noise=0.2)
    g = H @ (w - star)
    near(g * law.F(w) + folded_mean(g, 0.2) * law.G(w), [0.0, 0.0], 1e-10)
    near(root(law, H, star, noise=1e6), [0.15, 0.15], 1e-5)
    # with no noise at all T = g + |g| R is zero at W* only, with a kink there
    near(root(law, H, star, noise=0.0), star, 1e-8)


def test_wrong_quadratics():
    with pytest.raises(MhoError, match="not both or none"):
        root(SOFT, H, [0.1, 0.1])
    with pytest.raises(MhoError, match=r"must be \(d, d\) and \(d,\)"):
        minimiser(SOFT, H, [0.1], 1.0)
    with pytest.raises(MhoError, match="singular"):
        minimiser(SOFT, [[0.0]], [0.1], 0.0)
    with pytest.raises(MhoError, match="no zero was found"):
        root(SOFT, [[1.0]], [2.0], sigma=0.1)  # g + .1 R < 0 up to the bound


# Metrics.


def test_metrics_by_hand():
    """Two steps of two weights, soft bounds +-.5: (G^2/F) = (w/tau)^2."""
    steps = [[0.1, -0.2], [0.3, 0.0]]
    assert S_K(SOFT, steps) == pytest.approx((0.16 + 0.36) / 2)
    assert S_K(Linear(0.5, 1.0), [[0.0]]) == pytest.approx(0.25)  # F = 1, G = -.5
    assert S_K(Linear(0.5, 1.0), [[-1.0]]) == pytest.approx(1.5)  # F = G = -1.5 in size
    assert E_K([[1.0, 2.0], [3.0, 0.0]]) == pytest.approx((5 + 9) / 2)
    assert E_K_tracking(
        SOFT, steps, [0.1, 0.0], steps, [[0.1, 0.0], [0.1, 0.0]], 10.0, 100.0
    ) == pytest.approx((0.04 + 0.04) / 2 + 10 * (0.04 + 0.04) / 2 + 100 * (0.2 + 0.36) / 2)
    assert E_K_residual(steps, steps, [[0.0, 0.0]], steps, [0.1, 0.0], 10.0, 100.0) == pytest.approx(
        (0.05 + 0.09) / 2 * 11 + 100 * 0.04
    )
    with pytest.raises(MhoError, match="K > 0"):
        E_K([])


# Zero-shifting.


def test_constants_by_hand():
    soft = constants(SOFT, -0.5, 0.5)
    near(list(soft), [0.0, 2.0, 2.0, 2.0, 0.0, 0.0, -0.5, 0.5])
    # q_up = 1.3 (1 - 2 w), q_down = .7 (1 + 2 w): slopes 2.6 and 1.4, G' = 2
    line = constants(Linear(0.3, 0.5), -0.4, 0.5)
    near(list(line), [0.0, 2.34, 1.4, 2.0, 0.0, 0.15, -0.4, 0.5])
    # Power, gamma 3, on half its range: q' = 3/tau (1 -+ 1/2)^2, least 1.5 at the ends, G' = 3/tau (1 + u^2)
    power = constants(Power(0.5, 3.0), -0.25, 0.25)
    near(power[:4], [0.125, 3.375, 1.5, 7.5], 1e-3)
    wells = constants(TwoWells(), -0.9, 0.9)
    assert wells.mu_q < 0
    near(wells.phi_min, -1 / 64, 1e-5)  # w^4/4 - w^2/8 at 1/2


def test_constants_that_are_none():
    with pytest.raises(MhoError, match="slope of G grows"):
        constants(Power(0.5, 0.5), -0.5, 0.5)
    with pytest.raises(MhoError, match="symmetric point"):
        constants(SOFT, 0.1, 0.4)
    with pytest.raises(MhoError, match="outside the bounds"):
        constants(SOFT, -0.5, 0.7)
    with pytest.raises(MhoError, match="vary from cell to cell"):
        constants(SOFT.with_fields(tau_max=torch.tensor([[0.5, 0.6]])), -0.4, 0.4)
    with pytest.raises(MhoError, match="monotone"):
        random_distance(0.3, 10, 1e-3, constants(TwoWells(), -0.9, 0.9))
    assert constants(Constant(), -0.5, 0.5).L_q == 0.0


def test_random_bounds_by_hand():
    """tau = .5, w0 = .4, dw_min = 1e-3, n = 1000: phi = .16, so .16/1 + 2 * 1e-3 * 4 / 2 = .164."""
    of = constants(SOFT, -0.5, 0.5)
    near(random_mean_square(SOFT, 0.4, 1000, 1e-3, of), 0.164)
    near(random_distance(0.4, 1000, 1e-3, of), 0.996**1000 * 0.16 + 1e-3 * 4 / 2)
    near(cyclic_mean_square(SOFT, 0.4, 500, 1e-3, of), 0.16 + 3e-3 * 4 * 2 / 2)
    near(cyclic_distance(0.4, 500, 1e-3, of), 0.996**1000 * 0.16 + 1e-3 * 4 * (4 + 2 + 4) / 2)
    # floor .002, so delta = .02 is allowed: ln(2 * .16/.02)/(2 * 2 * 1e-3) = ln 16 * 250
    near(pulses_for(0.4, 0.02, 1e-3, of), 250 * math.log(16))
    near(pulses_for([0.4, 0.01], 0.05, 1e-3, of, cyclic=True), [250 * math.log(6.4), 0.0])
    with pytest.raises(MhoError, match="no error below"):
        pulses_for(0.4, 0.0039, 1e-3, of)
    for bound in (random_distance, cyclic_distance, cyclic_limit):
        with pytest.raises(MhoError, match="start outside"):
            bound(0.6, 10, 1e-3, of)
    with pytest.raises(MhoError, match="start outside"):
        random_mean_square(SOFT, -0.45, 10, 1e-3, of._replace(lower=-0.4))
    with pytest.raises(MhoError, match="n is not positive"):
        random_mean_square(SOFT, 0.4, 0, 1e-3, of)


def test_random_bounds_hold_for_exact_moments():
    """Soft bounds of 1: both pulses multiply w by 1 - dw and add +-dw, so E w^2 <- (1 - dw)^2 E w^2 + dw^2."""
    law, dw, w0 = SoftBounds(), 1e-2, 0.8
    of = constants(law, -1.0, 1.0)
    square, total = w0**2, 0.0
    for n in range(1, 601):
        total += square
        square = (1 - dw) ** 2 * square + dw**2
        if n % 100 == 0 or n < 4:
            assert square <= random_distance(w0, n, dw, of)
            assert total / n <= random_mean_square(law, w0, n, dw, of)
    enough = math.ceil(pulses_for(w0, 0.1, dw, of))
    assert ((1 - dw) ** (2 * enough)) * w0**2 + dw / 2 <= 0.1


@pytest.mark.parametrize("law", [Linear(0.3, 0.5), Exponential(0.5, 2.0), Power(0.5, 3.0)], ids=repr)
def test_cyclic_bounds_hold_pulse_by_pulse(law):
    """Cyclic zero-shifting has no chance in it: the bounds are compared with the trajectory itself."""
    dw = 1e-3
    of = constants(law, -0.3, 0.3)
    w, total = -0.25, 0.0
    for cycle in range(1, 1001):
        total += law.G(w) ** 2
        w += dw * law.q_up(w)
        total += law.G(w) ** 2
        w -= dw * law.q_down(w)
        if cycle % 50 == 0:
            distance = abs(w - of.w_sp)
            assert distance <= cyclic_limit(-0.25, cycle, dw, of)
            assert distance**2 <= cyclic_distance(-0.25, cycle, dw, of)
            assert total / (2 * cycle) <= cyclic_mean_square(law, -0.25, cycle, dw, of)


def test_cyclic_limit_falls_with_dw_min():
    of = constants(SoftBounds(), -1.0, 1.0)
    near(cyclic_limit(0.5, 10**9, 1e-3, of), 1e-3 * 1 * 2 / 2)
    with pytest.raises(MhoError, match="must be <= 1"):
        cyclic_limit(0.5, 10, 0.49, of._replace(L_q=2.0))


def test_linear_pulses_by_hand():
    """a + b = 2, tau = 1, from -.5 to .25, to 1 % of .25: ln(.75/.0025) = 5.70 over dw_min."""
    near(linear_pulses(-0.5, 0.25, 0.0025, 1e-3), 1000 * math.log(300))
    near(linear_pulses([0.3, 0.001], 0.0, 0.01, 1e-3, tau=0.5, a=1.5, b=0.5), [500 * math.log(30), 0.0])
    with pytest.raises(MhoError, match="a is not positive"):
        linear_pulses(0.1, 0.0, 0.01, 1e-3, a=0.0)


def test_linear_pulses_agrees_with_the_mean():
    """E w of random zero-shifting is exact for a law linear in w: x <- x (1 - dw (a + b)/(2 tau))."""
    dw, law = 1e-3, Linear(0.25, 0.5)
    n = float(linear_pulses(-0.4, 0.125, 0.01, dw, tau=0.5, a=1.25, b=0.75))
    w = -0.4
    for _ in range(round(n)):
        w -= dw * law.G(w)
    assert 0.125 - w == pytest.approx(0.01, rel=1e-2)


# Tracking.


def test_rider_fixed_point_by_hand():
    """W at its own symmetric point; there the gradient is .5 (.1 - .3) = -.1, so that R_p = w/tau = .1/E|g|."""
    found = rider_fixed_point(Linear(0.2, 0.5), SOFT, [[0.5]], [0.3], 0.2)
    size = 0.2 * math.sqrt(2 / math.pi) * math.exp(-0.125) + 0.1 * math.erf(0.5 / math.sqrt(2))
    near(found.w, [0.1])
    near(found.p, [0.5 * 0.1 / size], 1e-12)


def test_rider_fixed_point_at_its_ends():
    """No noise: P is driven to a bound; W* at W's symmetric point: P ends at its own."""
    near(rider_fixed_point(SOFT, SOFT, H, [0.3, -0.3], 0.0).p, [0.5, -0.5])
    near(rider_fixed_point(SOFT, Linear(0.2, 0.5), H, [0.0, 0.0], 0.0).p, [0.1, 0.1])
    with pytest.raises(MhoError, match="does not reach"):
        rider_fixed_point(SOFT, TwoWells(), H, [0.3, -0.3], 0.0)


def test_lowpass_gain_by_hand():
    near(lowpass_gain([0.0, math.pi / 2, math.pi], 0.2), [1.0, 0.04 / 1.64, (0.2 / 1.8) ** 2])
    with pytest.raises(MhoError, match="eta must be"):
        lowpass_gain(0.0, 0.0)


@pytest.mark.parametrize(("eta", "p"), [(0.02, 0.01), (0.5, 0.3), (0.1, 0.9)])
def test_chopper_leak_is_the_mean_gain_over_its_spectrum(eta, p):
    r = 1 - 2 * p
    omega = (torch.arange(4096, dtype=torch.float64) + 0.5) * (2 * math.pi / 4096)
    spectrum = (1 - r**2) / (1 + r**2 - 2 * r * torch.cos(omega))
    near((spectrum * lowpass_gain(omega, eta)).mean(), chopper_leak(eta, p), 1e-9)
    assert chopper_leak(eta, 0.0) == pytest.approx(1.0)


def test_pulses_for_training_by_hand():
    """delta = dw_min: twice the pulses; delta = 10 dw_min: eleven times."""
    found = pulses_for_training([1e-3, 1e-2], 1e-3)
    near(found.two_stage / found.tracking, [2.0, 11.0])
    near(found.tracking, [1e6, 1e4])
    with pytest.raises(MhoError, match="must be positive"):
        pulses_for_training(0.0, 1e-3)
