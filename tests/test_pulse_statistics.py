"""The pulsed update against its formulas: mean, variance, and covariance along rows and columns.

The unit of every statistic is one update: its cells share bit lines and are not independent of each other.
A cell gets n pulses where slot by slot its row's line (probability p_d) and its column's line (p_x) fire:
E[n] = BL p, Var n = BL p (1 - p), p = p_x p_d; Cov along a row BL p_x^2 p_d (1 - p_d), along a column
BL p_d^2 p_x (1 - p_x). Cycle-to-cycle noise adds E[n] sigma^2 to the variance alone.
"""

import math

import pytest
import torch

import mho
from chance import assert_mean
from mho.tile.tally import Tally

SIDE = 12
UPDATES = 3000
FREE = mho.responses.Constant(tau_max=1e3, tau_min=-1e3)  # bounds out of reach
NO_MANAGEMENT = {"update_management": False, "bl_management": False}
UM_ONLY = {"update_management": True, "bl_management": False}
ONE_PULSE = mho.Pulses(bl=1, **NO_MANAGEMENT)  # with x = 1, |d| = 1 and lr = dw_min: exactly one a cell


def train(x, d, lr, dw_min, pulses):
    """(BL, p_x, p_d) of one sample with equal |x| and equal |d|, from the definition."""
    k = lr * x * d / dw_min
    bl = min(math.ceil(k), pulses.bl) if pulses.bl_management else pulses.bl
    a = b = math.sqrt(lr / (dw_min * bl))
    if pulses.update_management or pulses.bl_management:
        effective = d * min(1.0, pulses.bl / k)
        a, b = a * math.sqrt(x / effective), b * math.sqrt(effective / x)
    return bl, min(x * b, 1.0), min(d * a, 1.0)


def changes(x, d, lr, device, pulses, updates=UPDATES, w0=0.0):
    """(updates, out, in): change of the weights in each update, in units of dw_min; and the tile."""
    start = torch.full((len(d), len(x)), w0)
    tile = mho.Tile(start, device, pulses=pulses, key=2)
    found = torch.empty(updates, *start.shape, dtype=torch.float64)
    for u in range(updates):
        tile.program(start)
        tile.update(x, d, lr)
        found[u] = tile.w
    return (found - w0) / device.dw_min, tile


def mean_of_pairs(n):
    """(...,): mean product of two different entries along the last dimension."""
    m = n.shape[-1]
    return (n.sum(-1) ** 2 - (n**2).sum(-1)) / (m * (m - 1))


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize(
    ("x", "d", "lr", "kind"),
    [
        (0.5, -0.3, 0.01, {}),
        (0.5, -0.3, 0.01, UM_ONLY),
        (0.5, -0.3, 0.01, NO_MANAGEMENT),
        (1.0, -1.0, 0.1, {}),
    ],
    ids=["both managements", "update management", "none", "k beyond bl"],
)
def test_table(x, d, lr, kind, sigma):
    device, pulses = mho.Device(FREE, dw_min=1e-3, sigma_c2c=sigma), mho.Pulses(**kind)
    n, _ = changes(torch.full((SIDE,), x), torch.full((SIDE,), d), lr, device, pulses)
    n = -n  # d < 0 sends pulses down
    bl, p_x, p_d = train(x, -d, lr, device.dw_min, pulses)
    p = p_x * p_d
    around = n - bl * p
    assert_mean(n.mean((1, 2)), bl * p, "mean", rounding=1e-4)
    assert_mean((around**2).mean((1, 2)), bl * p * (1 - p) + bl * p * sigma**2, "variance", rounding=1e-3)
    assert_mean(mean_of_pairs(around).mean(1), bl * p_x**2 * p_d * (1 - p_d), "row covariance", rounding=1e-3)
    along_columns = mean_of_pairs(around.mT).mean(1)
    assert_mean(along_columns, bl * p_d**2 * p_x * (1 - p_x), "column covariance", rounding=1e-3)


def test_the_formulas_give_the_numbers_that_aihwkit_was_measured_at():
    """aihwkit 1.2.0, 12 x 12 tile, 3000 updates: mean, and variance and covariances to its error of 5%."""
    assert train(0.5, 0.3, 0.01, 1e-3, mho.Pulses()) == pytest.approx((2, 0.75**0.5, 0.75**0.5))
    assert train(1.0, 1.0, 0.1, 1e-3, mho.Pulses()) == pytest.approx((31, 1.0, 1.0))
    bl, p_x, p_d = train(0.5, 0.3, 0.01, 1e-3, mho.Pulses(**UM_ONLY))
    p = p_x * p_d
    assert bl * p * (1 - p + 0.09) == pytest.approx(1.5661, rel=0.05)
    assert bl * p_x**2 * p_d * (1 - p_d) == pytest.approx(0.2530, rel=0.05)
    bl, p_x, p_d = train(0.5, 0.3, 0.01, 1e-3, mho.Pulses(**NO_MANAGEMENT))
    assert bl * p_x**2 * p_d * (1 - p_d) == pytest.approx(0.3488, rel=0.05)


def test_updates_are_independent():
    n, _ = changes(torch.full((SIDE,), 0.5), torch.full((SIDE,), 0.3), 0.01, mho.Device(FREE), mho.Pulses())
    around = n - 1.5
    assert_mean((around[:-1] * around[1:]).mean((1, 2)), 0.0, "covariance of an update with the next")


# Unequal inputs.

X = torch.tensor([0.9, -0.4, 0.0, 0.1, -1.3, 0.02, 0.7])
D = torch.tensor([-0.2, 0.0, 0.5, 0.03, -0.35])
SCHEMES = pytest.mark.parametrize(
    "pulses",
    [mho.Pulses(), mho.Pulses(**UM_ONLY), mho.Pulses(**NO_MANAGEMENT), mho.Pulses(rounding="stochastic")],
    ids=["both managements", "update management", "none", "stochastic"],
)


@SCHEMES
def test_mean_of_every_cell(pulses):
    lr, device = 0.01, mho.Device(FREE, dw_min=1e-3)
    n, tile = changes(X, D, lr, device, pulses)
    assert int(tile.tally[Tally.CLIPPED]) == 0
    assert_mean(n, lr * torch.outer(D, X) / device.dw_min, "pulses of a cell", rounding=1e-4)
    assert (n[:, 1] == 0).all()
    assert (n[:, :, 2] == 0).all()
    assert (n * torch.outer(D, X) >= 0).all(), "a cell got pulses of the wrong sign"


def test_stochastic_rounding_varies_by_less_than_one_pulse():
    lr, device = 0.03, mho.Device(FREE, dw_min=1e-3)
    n, _ = changes(X, D, lr, device, mho.Pulses(rounding="stochastic"))
    want = lr * torch.outer(D.double(), X.double()) / device.dw_min
    part = want.abs() - want.abs().floor()
    assert_mean((n - want) ** 2, part * (1 - part), "variance", rounding=1e-3)
    assert_mean(mean_of_pairs(n - want), torch.zeros(len(D)), "covariance within a row", rounding=1e-3)
    assert ((n - want).abs() < 1 + 1e-3).all()


def test_stochastic_rounding_with_noise():
    device = mho.Device(FREE, dw_min=1e-3, sigma_c2c=0.3)
    n, _ = changes(
        torch.ones(SIDE), torch.full((SIDE,), -0.25), 0.01, device, mho.Pulses(rounding="stochastic")
    )
    assert_mean(-n.mean((1, 2)), 2.5, "mean")
    assert_mean(((n + 2.5) ** 2).mean((1, 2)), 0.25 + 2.5 * 0.3**2, "variance")


# What is counted.


@SCHEMES
@pytest.mark.parametrize("lr", [0.03, -0.03])
def test_counters_are_exact(pulses, lr):
    dw_min = 2.0**-10  # so that sums of pulses are exact in float32
    device = mho.Device(FREE, dw_min=dw_min)
    tile = mho.Tile(torch.zeros(len(D), len(X)), device, pulses=pulses, key=3, count_cells=True)
    up = down = 0
    for u in range(50):
        before = tile.w.clone()
        info = tile.update(X, D.roll(u), lr)
        n = (tile.w - before) / dw_min  # one sample: a cell's pulses all have one sign
        assert (info.up, info.down) == (n.clamp(min=0).sum(), -n.clamp(max=0).sum())
        up, down = up + info.up, down + info.down
    assert up > 100
    assert down > 100
    assert tile.pulses_sent == (up, down)
    assert tile.counts.sum((1, 2)).tolist() == [up, down]
    tile.update(torch.stack([X, X.flip(0), -X]), torch.stack([D, D.roll(1), D.roll(2)]), lr)
    assert torch.equal((tile.counts[0] - tile.counts[1]).float(), tile.w / dw_min)
    assert tile.counts.sum((1, 2)).tolist() == list(tile.pulses_sent)


def test_clipped_lines_are_counted():
    """k = 100 of at most 31: rows with |d| beyond 0.31 are clipped, columns never."""
    steep = torch.tensor([1.0, 0.2, 0.0, -1.0, -0.3])
    device = mho.Device(FREE, dw_min=1e-3)
    tile = mho.Tile(torch.zeros(5, 7), device, key=3)
    info = tile.update(torch.ones(7), torch.ones(5), 0.1)
    assert info == mho.UpdateInfo(up=31 * 35, down=0, clipped=5, lines=12)
    info = tile.update(torch.ones(7), steep, 0.1)
    assert (info.clipped, info.lines) == (2, 11)
    assert tile.tally[[Tally.CLIPPED, Tally.LINES]].tolist() == [7, 23]
    stochastic = mho.Tile(torch.zeros(5, 7), device, pulses=mho.Pulses(rounding="stochastic"), key=3)
    info = stochastic.update(torch.ones(7), steep, 0.1)
    assert info.clipped == 14
    assert info.up == 7 * (31 + 20)
    assert info.down == 7 * (31 + 30)


@SCHEMES
@pytest.mark.parametrize(
    ("x", "d", "lr"), [(X, D, 0.0), (0 * X, D, 0.1), (X, 0 * D, 0.1), (X[None][:0], D[None][:0], 0.1)]
)
def test_nothing_is_sent_for_nothing(pulses, x, d, lr):
    tile = mho.Tile(torch.zeros(len(D), len(X)), mho.Device(FREE), pulses=pulses)
    info = tile.update(x, d, lr)
    assert (info.up, info.down, info.clipped) == (0, 0, 0)
    assert tile.pulses_sent == (0, 0)
    assert (tile.w == 0).all()


@SCHEMES
def test_negative_lr_flips_the_sign(pulses):
    device = mho.Device(FREE, dw_min=2.0**-10)
    results = []
    for x, d, lr in ((X, D, 0.03), (X, D, -0.03), (X, -D, -0.03)):
        tile = mho.Tile(torch.zeros(len(D), len(X)), device, pulses=pulses, key=4)
        tile.update(x, d, lr)
        results.append(tile.w)
    assert results[0].abs().sum() > 0
    assert torch.equal(results[0], -results[1])
    assert torch.equal(results[0], results[2])


def test_the_learning_rate_may_be_a_tensor():
    tiles = [mho.Tile(torch.zeros(len(D), len(X)), mho.Device(FREE), key=4) for _ in range(2)]
    for tile, lr in zip(tiles, (0.125, torch.tensor(0.125)), strict=True):
        tile.update(X, D, lr)
    assert torch.equal(tiles[0].w, tiles[1].w)


# Where the law is not 1.


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("c2c", ["additive", "multiplicative"])
def test_noise_of_one_pulse(c2c, direction):
    """Away from the symmetric point: additive noise does not know the step, multiplicative noise scales with it."""
    w0, sigma = 0.5, 0.3
    device = mho.Device(mho.responses.SoftBounds(), dw_min=1e-3, sigma_c2c=sigma, c2c=c2c)
    q = device.response.q_up(w0) if direction > 0 else device.response.q_down(w0)
    x, d = torch.ones(200), torch.full((200,), direction)
    [n], _ = changes(x, d, device.dw_min, device, ONE_PULSE, updates=1, w0=w0)
    spread = sigma if c2c == "additive" else sigma * q
    n = direction * n.flatten()  # one pulse a cell: here the cells are independent
    assert_mean(n, q, "mean")
    assert_mean((n - q) ** 2, spread**2, "variance")
    assert_mean((n - q) ** 3, 0.0, "skewness")
