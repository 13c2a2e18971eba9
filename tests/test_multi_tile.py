"""Many coarse tiles: the chain, its periods, and the stages of its warm start."""

import math

import numpy as np
import pytest
from torch import nn

import mho
from blocks import (
    DEVICES,
    alpha,
    assert_follows,
    assert_products,
    batches,
    beta,
    block_of,
    fields_of,
    line,
    product,
    recorded,
    snapshot,
    step,
)
from mho.algorithms import MultiTileResidual

WIDE, TALL = (2, 3), (5, 2)


def multi_tile(a, data, W0):
    """arXiv 2510.02516, eqs. (6) and (7): tile n + 1 is read every transfer_every ratio^(N-1-n) steps."""
    N = a.tiles - 1
    W = [W0, *(np.zeros_like(W0) for _ in range(N))]
    for t, (x, d, lr) in enumerate(data, 1):
        W[N] = W[N] + alpha(a, lr) * product(x, d)
        for n in range(N - 1, -1, -1):
            every = a.transfer_every * a.ratio ** (N - 1 - n)
            if t % every == 0:
                _, at = line(a.transfer, t // every, W0.shape)
                W[n][at] += beta(a, lr) * a.growth ** (n + 1) * W[n + 1][at]
        yield {f"W{n}": w for n, w in enumerate(W)} | {"weight": sum(a.gamma**n * w for n, w in enumerate(W))}


ONE_DEVICE = DEVICES["W"]
TILES = [
    (MultiTileResidual(tiles=3, fast_lr=0.1, ratio=3), WIDE),
    (
        MultiTileResidual(
            tiles=3, fast_lr=1.5, scale_fast_lr=True, ratio=2, transfer_every=3, transfer="row"
        ),
        TALL,
    ),
    (
        MultiTileResidual(tiles=4, ratio=2, transfer_every=1, growth=0.5, scale_transfer_lr=True, gamma=0.2),
        TALL,
    ),
    (MultiTileResidual(tiles=2, transfer="all", mix="separate"), WIDE),
]


@pytest.mark.parametrize(("algorithm", "shape"), TILES, ids=map(fields_of, next(zip(*TILES, strict=True))))
def test_a_chain_of_tiles(algorithm, shape):
    data = batches(shape, 60)
    block = block_of(algorithm, ONE_DEVICE, shape, pulses=mho.Expected())
    found = recorded(block, data)
    assert_follows(found, multi_tile(algorithm, data, found[0]["W0"].copy()))
    moved = [(found[-1][f"W{n}"] != found[0][f"W{n}"]).all() for n in range(algorithm.tiles)]
    assert all(moved), "every cell of every tile took part"
    assert_products(block)


def test_a_warm_start_fills_one_tile_after_another():
    a = MultiTileResidual(tiles=3, fast_lr=0.1, transfer_every=1, warm_start=True)
    block = block_of(a, ONE_DEVICE, pulses=mho.Expected())
    for stage in range(2):
        assert block.state.stage == stage
        before = snapshot(block)
        for k, (x, d, lr) in enumerate(batches(WIDE, 3, seed=stage)):
            at = line("column", k + 1, WIDE)[1]
            expected = snapshot(block)
            step(block, x, d, lr)
            expected["W2"] += 0.1 * product(x, d)
            expected[f"W{stage}"][at] += 0.1 * 1.2**2 * expected["W2"][at]
            after = snapshot(block)
            for name in ("W0", "W1", "W2"):
                np.testing.assert_allclose(after[name], expected[name], rtol=2e-5, atol=3e-6)
        assert (after[f"W{stage}"] != before[f"W{stage}"]).all()
        for loss in (1.0, 2.0):
            a.observe(block.state, loss)
    assert block.state.stage == 2
    before = snapshot(block)
    for x, d, lr in batches(WIDE, 15):
        step(block, x, d, lr)
    after = snapshot(block)
    assert (after["W1"] != before["W1"]).all(), "then the chain: W2 to W1"
    assert (after["W0"] != before["W0"]).all(), "and W1 to W0, each five times as rare"


PLATEAUS = [  # losses while a stage lasts; the last one ends it
    [5, 4, 4.5],
    [9, 9, 9.1],  # its history is its own, and no change is no rise
    [1, 2],
    [1, 0.5, 0.6],
    [1, 2, 3, 2.5, 2, 1.5],  # from the fifth on: two rises in five changes, all of them known
    [3, 2, 1, 0.9, 0.8, 0.95, 0.9, 0.92],
]


def test_stages_end_on_a_plateau_of_the_loss():
    a = MultiTileResidual(tiles=7, warm_start=True)
    state = block_of(a, ONE_DEVICE, pulses=mho.Expected()).state
    for stage, losses in enumerate(PLATEAUS):
        for loss in losses:
            assert state.stage == stage, loss
            a.observe(state, loss)
    for loss in (1, 2, 3, 4, 5, 6):
        a.observe(state, loss)
    assert state.stage == 6, "the chain stays"


def test_the_optimizer_tells_every_block_the_loss():
    a = MultiTileResidual(tiles=3, warm_start=True)
    model = nn.Sequential(nn.Linear(5, 2), nn.Linear(2, 2))
    mho.convert_(model, mho.Crossbar(algorithm=a, mapping=mho.Mapping(max_in=3)))
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    for loss in (1.0, 2.0):
        optimizer.observe(loss)
    stages = [int(m.stage) for m in model.modules() if isinstance(m, mho.State)]
    assert stages == [1, 1, 1]
    for loss in (math.nan, math.inf):
        with pytest.raises(mho.MhoError, match=f"the loss is {loss}"):
            optimizer.observe(loss)
