"""The fast kernels equal the plain-loop oracle bit for bit, for any law, any noise and any number of threads."""

import numpy as np
import pytest
import torch

import mho
import mho.testing
from chance import assert_mean
from mho.kernels import oracle
from mho.numerics.rooms import Rooms

LAWS = [law() for law in mho.testing.laws()]


class Scattered(mho.responses.SoftBounds):
    """Steps that scatter more where w is large, and not symmetrically."""

    wide: float = 0.4

    def noisy_up(self, w, z):
        return self.up(w) + self.wide * torch.abs(w) * torch.where(z > 0, z, 0.5 * z)

    def noisy_down(self, w, z):
        return self.down(w) + self.wide * z


class Wavy(mho.Response):
    """A user's law: where, exp and four fields."""

    tau: float = 0.9
    bend: float = 0.4
    knee: float = 0.1
    rate: float = 1.5

    def up(self, w):
        return torch.where(w > self.knee, (1 - w / self.tau), torch.exp(-self.rate * w) * (1 - w / self.tau))

    def down(self, w):
        return (1 + w / self.tau) * (1 + self.bend * w * w)

    def bounds(self):
        return -self.tau, self.tau


@pytest.fixture(autouse=True, params=[1, 1 << 30], ids=["marks", "lists"])
def one_way_of_keeping_lines(request, monkeypatch):
    """Every test runs with all firing columns kept as marks, and with all kept as lists."""
    monkeypatch.setattr("mho.kernels.cpu.update.CpuKernels._list_below", lambda self, n_in: request.param)


def factors(samples, n_in, n_out, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, n_in, generator=g)
    x[torch.rand(samples, n_in, generator=g) < 0.3] = 0.0
    return x, 0.1 * torch.randn(samples, n_out, generator=g)


def check_against_oracle(device, pulses, samples=6, n_in=19, n_out=11, lr=0.05, **tile):
    """Runs the kernel and the oracle from the same key; asserts equal bits and equal counts."""
    g = torch.Generator().manual_seed(1)
    w0 = 0.3 * torch.randn(n_out, n_in, generator=g)
    fast = mho.Tile(w0, device, pulses=pulses, key=42, **tile)
    x, d = factors(samples, n_in, n_out)
    start = fast.cells.numpy().copy()
    for event in range(2):
        before = start.copy()
        info = fast.update(x, d, lr)
        kernels = fast._kernels
        plain, module = oracle.trains, kernels.module
        if pulses.rounding == "stochastic":
            plain = oracle.rounded
        elif pulses.aggregate:
            plain, module = oracle.aggregated, kernels.flow
        up, down = plain(
            module, start, fast.planes.numpy(), kernels.scal, x.numpy(), d.numpy(), lr, device.dw_min,
            pulses, 42, event,
        )  # fmt: skip
        assert info.up + info.down > 100, "the test must send pulses"
        assert (info.up, info.down) == (up, down)
        np.testing.assert_array_equal(fast.cells.numpy(), start)
        assert not np.array_equal(before, start)
    return fast


@pytest.mark.parametrize("law", [*LAWS, Wavy()], ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("c2c", ["additive", "multiplicative"])
def test_trains_equal_the_oracle(law, c2c):
    spread = {"gain": 0.3} | {
        name: 0.1 for name in mho.base.records.float_fields(type(law)) if name.startswith("tau")
    }
    device = mho.Device(law, dw_min=0.01, sigma_c2c=0.3, c2c=c2c, spread=spread)
    check_against_oracle(device, mho.Pulses(bl=31, bl_management=False))


@pytest.mark.parametrize("law", [*LAWS, Wavy()], ids=lambda law: type(law).__name__)
def test_rounded_pulses_equal_the_oracle(law):
    device = mho.Device(law, dw_min=2e-3, sigma_c2c=0.3, spread={"gain": 0.3})
    check_against_oracle(device, mho.Pulses(bl=7, rounding="stochastic"))


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("lr", [0.05, -0.05])
@pytest.mark.parametrize("bl", [5, 31, 100])
@pytest.mark.parametrize("management", [(True, True), (True, False), (False, False)])
def test_every_kind_of_train_equals_the_oracle(sigma, lr, bl, management):
    device = mho.Device(mho.responses.SoftBounds(), dw_min=2e-3, sigma_c2c=sigma)
    pulses = mho.Pulses(bl=bl, update_management=management[0], bl_management=management[1])
    check_against_oracle(device, pulses, samples=4, lr=lr)


@pytest.mark.parametrize("law", [*LAWS, Wavy()], ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("c2c", ["additive", "multiplicative"])
def test_aggregated_pulses_equal_the_oracle(law, c2c):
    device = mho.Device(law, dw_min=2e-3, sigma_c2c=0.3, c2c=c2c, spread={"gain": 0.3})
    check_against_oracle(device, mho.Pulses(bl_management=False, aggregate=4))


@pytest.mark.parametrize("lr", [0.05, -0.05])
@pytest.mark.parametrize("bl", [5, 31, 100])
def test_every_kind_of_aggregated_train_equals_the_oracle(bl, lr):
    device = mho.Device(mho.responses.SoftBounds(), dw_min=2e-3, reference_std=0.1)
    tile = check_against_oracle(device, mho.Pulses(bl=bl, aggregate=4), lr=lr, count_cells=True)
    torch.testing.assert_close(tile.w, tile.cells - tile.reference, rtol=0, atol=0)
    assert tile.counts.sum(dim=(1, 2)).tolist() == list(tile.pulses_sent)


GAINS = {"up_down": 0.3, "up_down_std": 0.2}


@pytest.mark.parametrize("kind", [{}, {"rounding": "stochastic"}, {"aggregate": 4}], ids=str)
@pytest.mark.parametrize("c2c", ["additive", "multiplicative"])
@pytest.mark.parametrize(
    "gains", [GAINS, {"up_down": -0.3, "up_down_rule": "two-sided"}], ids=["cells", "numbers"]
)
def test_gains_of_the_two_directions_equal_the_oracle(gains, c2c, kind):
    device = mho.Device(dw_min=2e-3, sigma_c2c=0.3, c2c=c2c, spread={"tau_max": 0.1}, **gains)
    tile = check_against_oracle(device, mho.Pulses(bl=31, bl_management=False, **kind))
    names = ["gain_up", "gain_down"]
    assert [n for n in tile._kernels.plan.values if n.startswith("gain")] == names
    assert [n for n in names if n in tile._kernels.plan.planes] == (names if gains is GAINS else [])


@pytest.mark.parametrize("kind", [{}, {"rounding": "stochastic"}], ids=str)
@pytest.mark.parametrize(
    "law",
    [Scattered(), mho.responses.ExpStep(noise=0.5, noise_add=0.3, noise_slope=2.0), mho.responses.Table()],
    ids=lambda v: type(v).__name__,
)
def test_noise_of_the_law_equals_the_oracle(law, kind):
    device = mho.Device(law, dw_min=2e-3, c2c="law", spread={"gain": 0.3, "tau_max": 0.1}, up_down=0.1)
    check_against_oracle(device, mho.Pulses(bl=31, bl_management=False, **kind))


def test_noise_of_the_law_cannot_be_aggregated():
    tile = mho.Tile(torch.zeros(3, 2), mho.Device(Scattered(), c2c="law"))
    tile.pulses = mho.Pulses(aggregate=4)
    for send in (
        lambda: mho.Tile(torch.zeros(3, 2), tile.device, pulses=tile.pulses),
        lambda: tile.update(torch.ones(4, 2), torch.ones(4, 3), 0.1),
    ):
        with pytest.raises(mho.MhoError) as failure:
            send()
    assert str(failure.value) == (
        '`Pulses(aggregate=...)`: the device has c2c="law", whose noise is defined for single pulses. Fix: use '
        "aggregate=0, or another c2c."
    )
    assert not tile.w.any()


def test_a_law_without_noise_is_refused():
    with pytest.raises(mho.MhoError) as failure:
        mho.Device(c2c="law")
    assert str(failure.value) == (
        '`Device(c2c="law")`: SoftBounds has no noise of its own. noisy_up(w, z) and noisy_down(w, z) define it. '
        'Fix: choose "additive" or "multiplicative".'
    )
    with pytest.raises(mho.MhoError, match=r"the law defines the noise. sigma_c2c must be 0"):
        mho.Device(Scattered(), c2c="law", sigma_c2c=0.3)


def test_the_noise_of_exp_step_has_the_size_of_aihwkits():
    """sigma = s (|dw| + add + slope |w|), in weight units: its PCM has .6, .042, .108 and dw_min .01."""
    s, add, slope, dw_min = 0.6, 0.042, 0.108, 0.01
    law = mho.responses.ExpStep(noise=s, noise_add=s * add / dw_min, noise_slope=s * slope / dw_min)
    tile = mho.Tile(torch.full((100, 200), 0.3), mho.Device(law, dw_min, c2c="law"), key=1)
    tile.pulse(torch.ones(100, 200))
    change, mean = tile.w.flatten() - 0.3, dw_min * law.q_up(0.3)
    assert_mean(change, mean, "mean step", rounding=1e-7)
    assert_mean((change - mean) ** 2, (s * (mean + add + slope * 0.3)) ** 2, "variance")


def test_aggregated_update_sends_the_pulses_of_the_exact_one_on_any_number_of_threads(monkeypatch):
    device = mho.Device(mho.responses.Power(), dw_min=1e-3, sigma_c2c=0.3, spread={"gain": 0.3})
    x, d = factors(40, 130, 70)
    monkeypatch.setattr("mho.kernels.cpu.update._WORTH_COUNTS", 0)
    monkeypatch.setattr("mho.kernels.cpu.update._BLOCK", 15 * 31 * 130)
    counts, weights, before = [], [], mho.get_threads()
    try:
        for threads, aggregate in ((1, 0), (1, 7), (2, 7), (4, 7)):
            mho.set_threads(threads)
            pulses = mho.Pulses(aggregate=aggregate)
            tile = mho.Tile(torch.zeros(70, 130), device, pulses=pulses, key=5, count_cells=True)
            tile.update(x, d, 0.1)
            counts.append(tile.counts.clone())
            weights.append(tile.w.clone())
    finally:
        mho.set_threads(before)
    assert all(torch.equal(counts[0], other) for other in counts[1:])
    assert all(torch.equal(weights[1], other) for other in weights[2:])


def test_blocks_of_samples_do_not_show(monkeypatch):
    device = mho.Device(mho.responses.SoftBounds(), dw_min=2e-3, sigma_c2c=0.3)
    monkeypatch.setattr("mho.kernels.cpu.update._WORTH_DRAWS", 0)
    monkeypatch.setattr("mho.kernels.cpu.update._BLOCK", 2 * 31 * 19)  # two samples a block
    check_against_oracle(device, mho.Pulses())


@pytest.mark.parametrize("aggregate", [0, 2])
def test_scratch_memory_may_be_forgotten_at_any_time(monkeypatch, aggregate):
    device = mho.Device(mho.responses.SoftBounds(), dw_min=2e-3, sigma_c2c=0.3)
    monkeypatch.setattr("mho.kernels.cpu.update._rooms", Rooms(0))
    for limit in ("_WORTH_PULSES", "_WORTH_COUNTS"):
        monkeypatch.setattr(f"mho.kernels.cpu.update.{limit}", 0)
    check_against_oracle(device, mho.Pulses(aggregate=aggregate))


def test_reference_and_cell_counters():
    device = mho.Device(
        mho.responses.SoftBounds(), dw_min=5e-3, sigma_c2c=0.3, reference_mean=0.1, reference_std=0.2
    )
    tile = check_against_oracle(device, mho.Pulses(), count_cells=True)
    torch.testing.assert_close(tile.w, tile.cells - tile.reference, rtol=0, atol=0)
    assert tile.counts.sum(dim=(1, 2)).tolist() == list(tile.pulses_sent)


@pytest.mark.parametrize("rounding", ["trains", "stochastic"])
def test_threads_do_not_show(rounding):
    device = mho.Device(mho.responses.Power(), dw_min=1e-3, sigma_c2c=0.3, spread={"gain": 0.3})
    x, d = factors(16, 130, 70)
    results, before = [], mho.get_threads()
    try:
        for threads in (1, 2, 4):
            mho.set_threads(threads)
            tile = mho.Tile(torch.zeros(70, 130), device, pulses=mho.Pulses(rounding=rounding), key=5)
            info = tile.update(x, d, 0.1)
            assert info.up + info.down > 60_000, "too few pulses to be sent to several threads"
            read = [tile.read(3), tile.read(row=2)]
            tile.program(tile.w * 0.5)
            results.append([tile.w.clone(), *read])
    finally:
        mho.set_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_two_updates_use_different_random_numbers():
    device = mho.Device(mho.responses.Constant(), dw_min=1e-3, sigma_c2c=0.3)
    tile = mho.Tile(torch.zeros(8, 8), device, key=5)
    x, d = factors(2, 8, 8)
    tile.update(x, d, 0.05)
    first = tile.w.clone()
    tile.update(x, d, 0.05)
    assert not torch.equal(tile.w - first, first)
