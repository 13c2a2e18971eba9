"""A calibration pulse by pulse: cycle maps and kernels against a plain loop, in float64."""

import math
import time

import pytest
import torch

import mho
from chance import assert_mean
from mho.calibration import Offset, ZeroShiftRun
from mho.calibration.linear_laws import is_linear, lines
from mho.calibration.stopping import Motion
from mho.numerics.rng import Stream, call_key, philox4x32, split
from mho.responses import Exponential, Linear, Piecewise, Power, SoftBounds, Table

DW = 4e-3
SHAPE = (3, 70)  # more than a chunk of 64 columns


class Bent(mho.Response):
    """A user's law: skewed, not linear, w_sp = tau bend / 2 to first order."""

    tau: float = 0.6
    bend: float = 0.5

    def up(self, w):
        return (1 - w / self.tau) * torch.exp(self.bend * w)

    def down(self, w):
        return torch.where(w > 0, 1 + w / self.tau, (1 + w / self.tau) ** 0.5)


SPREADS = {
    SoftBounds(0.8, -0.6): {"tau_max": 0.1, "gain": 0.2},
    Linear(0.3, 0.7): {"c_lin": mho.Absolute(0.1)},
    Power(0.7, 0.5): {"tau": 0.1},
    Bent(): {"bend": 0.3, "gain": 0.2},
}


def tile_of(law, dw_min=DW, **more):
    g = torch.Generator().manual_seed(2)
    device = mho.Device(law, dw_min, spread=SPREADS.get(law, {}), up_down=0.1, **more)
    return mho.Tile(torch.rand(SHAPE, generator=g) * 0.8 - 0.4, device, key=9)


def by_hand(tile, n, up=lambda p: p % 2 == 0, first_averaged=0):
    """(weights, mean weight from pulse first_averaged on): a plain loop in float64, by the law as torch runs it."""
    p = tile.parameters_of_cells
    double = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in p.fields.items()}
    law, w, total = tile.device.response.with_fields(**double), tile.cells.double(), 0.0
    low, high = (torch.as_tensor(v, dtype=torch.float64) for v in (p.lower, p.upper))
    gain_up, gain_down = (torch.as_tensor(v, dtype=torch.float64) for v in (p.gain_up, p.gain_down))
    for k in range(n):
        rise = w + tile.device.dw_min * gain_up * law.q_up(w)
        fall = w - tile.device.dw_min * gain_down * law.q_down(w)
        w = torch.where(torch.as_tensor(up(k)), rise, fall)
        w = torch.minimum(torch.maximum(w, low), high)
        total = total + w * (k >= first_averaged)
    return w, total / max(n - first_averaged, 1)


@pytest.mark.parametrize("law", SPREADS, ids=lambda law: type(law).__name__)
def test_alternating_pulses_equal_a_plain_loop(law):
    """In pieces of odd length, so that averages begin in the middle of a cycle."""
    tile = tile_of(law)
    course = ZeroShiftRun(tile)
    assert (course._pair is not None) == isinstance(law, (SoftBounds, Linear))
    for n, average in ((101, False), (1, False), (33, True), (2, True), (166, True)):
        course.send(n, average)
    w, mean = by_hand(tile, 303, first_averaged=102)
    torch.testing.assert_close(course.w, w, rtol=0, atol=1e-13)
    torch.testing.assert_close(course.average, mean, rtol=0, atol=1e-13)
    assert (course.wear == torch.tensor([152, 151])[:, None, None]).all()


def test_the_cycle_map_equals_the_kernel(monkeypatch):
    """Long runs: 20,000 pulses, to 1e-12; the kernel would have to be wrong in the same way."""
    tile = tile_of(SoftBounds(0.8, -0.6))
    quick = ZeroShiftRun(tile)
    monkeypatch.setattr("mho.calibration.run.lines", lambda *_: None)
    slow = ZeroShiftRun(tile)
    assert slow._kernel is not None
    assert quick._kernel is None
    for course in (quick, slow):
        course.send(10_001)
        course.send(9_999, average=True)
    torch.testing.assert_close(quick.w, slow.w, rtol=0, atol=1e-12)
    torch.testing.assert_close(quick.average, slow.average, rtol=0, atol=1e-12)


def test_random_pulses_equal_a_plain_loop_with_the_same_signs():
    """Pulse p of cell (i, j) goes down where its bit of Philox counter (j, i, p // 128, 0) is set."""
    tile = tile_of(Bent())
    course = ZeroShiftRun(tile, "stochastic")
    key = split(call_key(9, Stream.ZERO_SHIFT, 0))

    def up(p):
        words = [[philox4x32(key, (j, i, p // 128, 0)) for j in range(SHAPE[1])] for i in range(SHAPE[0])]
        return torch.tensor(words)[..., p % 128 // 32] >> p % 32 & 1 == 0

    for n in (20, 130):  # over the border between two words, and between two counters
        course.send(n, average=True)
    w, mean = by_hand(tile, 150, up)
    torch.testing.assert_close(course.w, w, rtol=0, atol=1e-14)
    torch.testing.assert_close(course.average, mean, rtol=0, atol=1e-14)
    assert course.wear[0].tolist() == sum(up(p).long() for p in range(150)).tolist()


def test_noise_has_its_law_and_does_not_depend_on_the_pieces():
    """Additive noise of a constant step: mean n_up - n_down = 1, variance n sigma^2, in dw_min."""

    def run(*pieces):
        device = mho.Device(mho.responses.Constant(), DW, sigma_c2c=0.4)
        course = ZeroShiftRun(mho.Tile(torch.zeros(40, 65), device, key=4))
        for n in pieces:
            course.send(n)
        return course.w / DW

    whole = run(21)
    assert torch.equal(whole, run(3, 10, 8))
    assert_mean(whole.flatten(), 1.0, "mean")
    assert_mean((whole.flatten() - 1).square(), 21 * 0.16, "variance")
    rows = whole - whole.mean()
    assert_mean((rows[1:] * rows[:-1]).flatten(), 0.0, "neighbours")
    assert_mean((rows[:, 1:] * rows[:, :-1]).flatten(), 0.0, "neighbours in a row")


def test_laws_with_noise_of_their_own_keep_it():
    law = Table()
    tile = mho.Tile(torch.zeros(20, 64), mho.Device(law, 1e-3, c2c="law"), key=4)
    course = ZeroShiftRun(tile)
    course.send(1)
    assert_mean(course.w.flatten() / 1e-3, law.q_up(0.0), "first step")
    z = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    spread = law.q_up(torch.zeros_like(z), z).std().item()
    assert (course.w / 1e-3).std().item() == pytest.approx(spread, rel=0.1)


def test_cells_at_rest_are_not_computed():
    """A million pulses on cells that settle after a few thousand; then the mean is that of the two ends of a cycle,
    and an odd last pulse is still sent."""
    tile = tile_of(Power(0.7, 0.5), 0.05)
    course = ZeroShiftRun(tile)
    computed = []
    kernel = course._kernel
    course._kernel = lambda *a: computed.append(kernel(*a))
    course.send(1_000_000)
    assert sum(computed) < 6 * 5_000
    low = course.w
    course.send(1_000_001, average=True)
    course.finish()
    tile.cells.copy_(low)
    high, _ = by_hand(tile, 1)
    torch.testing.assert_close(course.w, high, rtol=0, atol=1e-7)  # by hand from cells in float32
    torch.testing.assert_close(course.average, (low + high) / 2, rtol=0, atol=1e-6)


def test_eight_million_pulses_on_512_x_512_cells_take_seconds():
    device = mho.Device(SoftBounds(), 1e-6, spread={"gain": 0.02}, up_down=0.4, up_down_std=0.08)
    tile = mho.Tile(torch.full((512, 512), -0.5), device, key=1)
    start = time.perf_counter()
    result = mho.calibration.zero_shift(tile, 8_000_000)
    assert time.perf_counter() - start < 60
    gains = tile.parameters_of_cells.gains
    up, down = (g.double() for g in gains)
    sp = (up - down) / (up + down)
    rate = torch.exp(-(up + down) / 2 * 1e-6 * 8_000_000)
    torch.testing.assert_close(result.estimate, sp + (-0.5 - sp) * rate, rtol=0, atol=3e-6)


def test_float32_rounds_small_steps():
    """2000 pulses of 1e-6 near .27: float64 follows exp(-2e-3), float32 (`Tile.pulse`) falls short by a quarter."""
    device = mho.Device(Linear(0.25), 1e-6)
    double, single = (mho.Tile(torch.full((4, 4), 0.27), device) for _ in range(2))
    course = ZeroShiftRun(double)
    course.send(2000)
    one = torch.ones(4, 4)
    for k in range(2000):
        single.pulse(one if k % 2 == 0 else -one)
    start = float(torch.tensor(0.27))
    way = (start - 0.25) * math.expm1(-2e-3)
    assert (course.w - start).mean().item() == pytest.approx(way, rel=0.02)
    assert abs((single.w.double() - start).mean().item() / way - 1) > 0.1


def test_which_laws_are_linear():
    for law in (SoftBounds(), Linear(), mho.responses.Constant()):
        assert is_linear(law, "up") and is_linear(law, "down"), law
    for law in (Power(gamma_res=1.0), Exponential(), Piecewise(), Bent(), Table()):
        assert not is_linear(law, "down"), law

    class Square(mho.Response):
        def up(self, w):
            return 1 - 0.1 * w * w

        def down(self, w):
            return 1 / (2 + w)

    assert not is_linear(Square(), "up")
    assert not is_linear(Square(), "down")
    device = mho.Device(mho.responses.Constant(), DW)
    assert lines(device, device.draw((2, 2), 0), (2, 2)) is None  # a pulse may end at a bound
    noisy = mho.Device(SoftBounds(), DW, sigma_c2c=0.1)
    assert lines(noisy, noisy.draw((2, 2), 0), (2, 2)) is None


def test_motion_extrapolates_a_decay():
    way = torch.tensor([[0.4, -0.2, 0.1]], dtype=torch.float64)
    motion = Motion(way)
    left = [motion.see(way * 0.5**k) for k in range(1, 6)]
    assert left[:2] == [math.inf] * 2
    assert left[2:] == pytest.approx([float((way * 0.5**k).square().mean().sqrt()) for k in range(3, 6)])
    assert motion.reads == 6
    assert motion.see(way * 0.5**5) == 0.0  # at rest
    away = Motion(way)
    assert [away.see(way * 2**k) for k in range(1, 5)] == [math.inf] * 4


def test_motion_sees_through_randomness():
    """Steps as large as the way itself, in 10,000 cells: within 10 %, and nothing once they only fluctuate."""
    g = torch.Generator().manual_seed(0)
    way = torch.full((100, 100), 0.4, dtype=torch.float64)
    motion, walk = Motion(way), 0.0
    for k in range(1, 4):
        walk = walk + 0.1 * torch.randn(100, 100, generator=g, dtype=torch.float64)
        left = motion.see(way * 0.7**k + walk)
    assert left == pytest.approx(0.4 * 0.7**3, rel=0.1)
    still = Motion(torch.randn(50, 50, generator=g))
    assert [still.see(torch.randn(50, 50, generator=g)) for _ in range(3)] == [math.inf, math.inf, 0.0]


def test_offset_of_errors():
    found = Offset.of(torch.tensor([[0.1, 0.3]]))
    assert (found.mu, found.sigma) == (pytest.approx(0.2), pytest.approx(0.1))
    with pytest.raises(mho.MhoError, match="not finite"):
        Offset.of(torch.tensor([math.nan]))
