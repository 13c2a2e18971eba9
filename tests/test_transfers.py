"""What moves from array to array: each algorithm against a loop that is written here from the papers' text."""

import math

import numpy as np
import pytest
import torch

import mho
import mho.testing
from blocks import (
    COUNTED,
    DEVICES,
    DW_W,
    NOISY,
    alpha,
    assert_follows,
    assert_products,
    batches,
    beta,
    block_of,
    fields_of,
    line,
    n_lines,
    product,
    recorded,
    step,
    take_pulses,
    threshold,
)
from chance import assert_mean
from mho.algorithms import ChoppedTikiTaka, ResidualLearning, ResidualLearningV2, TikiTaka, TikiTakaV2
from mho.algorithms.base import Factors

WIDE, TALL = (2, 3), (5, 2)
shapes = pytest.mark.parametrize("shape", [WIDE, TALL], ids=["wide", "tall"])


# Without a buffer.


def residual_learning(a, data, W, gamma):
    """arXiv 2502.06309, eqs. (10) and (11), one line at a time; the new P is transferred."""
    P = np.zeros_like(W)
    for t, (x, d, lr) in enumerate(data, 1):
        P = P + alpha(a, lr) * product(x, d)
        if t % a.transfer_every == 0:
            _, at = line(a.transfer, t // a.transfer_every, W.shape)
            W[at] += beta(a, lr) * P[at]
        yield {"W": W, "P": P, "weight": W + gamma * P, "t": t}


UNBUFFERED = [
    ResidualLearning(fast_lr=0.1),
    ResidualLearning(fast_lr=0.1, transfer="row", transfer_every=3, scale_transfer_lr=False, transfer_lr=0.3),
    ResidualLearning(scale_fast_lr=True, fast_lr=1.5, transfer="all", gamma=1.0),
    TikiTaka(fast_lr=0.1, transfer_every=3),
    TikiTaka(scale_fast_lr=True, fast_lr=1.5, transfer="row"),
]


@shapes
@pytest.mark.parametrize("algorithm", UNBUFFERED, ids=fields_of)
def test_residual_learning_and_tiki_taka(algorithm, shape):
    data = batches(shape, 30)
    found = recorded(block_of(algorithm, shape=shape, pulses=mho.Expected()), data)
    gamma = getattr(algorithm, "gamma", 0.0)
    assert_follows(found, residual_learning(algorithm, data, found[0]["W"].copy(), gamma))


@shapes
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("by", ["column", "row", "all"])
def test_once_round_w_has_all_of_p_to_the_bit(by, every, shape):
    """In whole pulses: line after line in order, and after one round W = P and the network sees (1 + gamma) P."""
    a = ResidualLearning(
        gamma=0.5, transfer_lr=1.0, scale_transfer_lr=False, transfer=by, transfer_every=every
    )
    block = block_of(a, shape=shape, pulses=mho.Pulses(rounding="stochastic"))
    pulses = torch.randint(1, 32, shape, generator=torch.Generator().manual_seed(1)) * 2.0**-7
    pulses[0] *= -1
    block.state.W.program(torch.zeros(shape))
    block.state.P.program(pulses)
    expected = torch.zeros(shape)
    for t in range(1, every * n_lines(by, shape) + 1):
        step(block, torch.zeros(shape[1]), torch.zeros(shape[0]))
        if t % every == 0:
            at = line(by, t // every, shape)[1]
            expected[at] = pulses[at]
        assert torch.equal(block.state.W.w, expected), t
    assert torch.equal(block.state.W.w, pulses)
    assert torch.equal(block.weight.data, 1.5 * pulses)
    assert sum(block.state.W.pulses_sent) == pulses.abs().sum() / DW_W
    assert block.state.P.pulses_sent == (0, 0)


# With a buffer, with and without choppers.


def tiki_taka_v2(a, data, found):
    """TT-v2, and c-TTv2 where `a` chops. Random signs are taken from the block; regular ones are counted here."""
    chops = isinstance(a, ChoppedTikiTaka)
    W, shape, gamma = found[0]["W"].copy(), found[0]["W"].shape, getattr(a, "gamma", 0.0)
    P, H = np.zeros(shape), np.zeros(shape)
    c_d, c_x = np.ones(shape[0]), np.ones(shape[1])
    reads = np.zeros(n_lines(a.transfer, shape), int)
    sent, cut, kept = 0, 0, 0
    for t, (x, d, lr) in enumerate(data, 1):
        own, cross = (c_x, c_d) if a.transfer == "column" else (c_d, c_x)
        P = P + alpha(a, lr) * np.outer(c_d, c_x) * product(x, d)
        if t % a.transfer_every == 0:
            j, at = line(a.transfer, t // a.transfer_every, shape)
            H[at] += (np.outer(c_d, c_x) * P)[at] * beta(a, lr) / threshold(a, shape)
            wanted = np.trunc(H[at])
            n = take_pulses(H, at, a)
            W[at] += n * DW_W
            sent, cut, kept = sent + np.abs(n).sum(), cut + (n != wanted).sum(), kept + (n == 0).sum()
            reads[j] += 1
            if chops and a.chop == "regular" and a.chop_prob:
                own[j] *= -1 if reads[j] % max(math.ceil(1 / a.chop_prob), 2) == 0 else 1
            if chops and a.chop == "random":
                new = [found[t][name] for name in (("c_x", "c_d") if own is c_x else ("c_d", "c_x"))]
                others = np.arange(len(own)) != j
                assert (new[0][others] == own[others]).all(), "only the line that was read may flip"
                assert j == len(own) - 1 or (new[1] == cross).all(), "the others only after a full sweep"
                own[:], cross[:] = new
        weight = W + gamma * np.outer(c_d, c_x) * P
        yield {"W": W, "P": P, "H": H, "weight": weight} | ({"c_d": c_d, "c_x": c_x} if chops else {})
    assert min(sent, cut, kept) > 0, "a branch was not passed"
    if chops:
        assert any(len(np.unique(s[name])) > 1 for s in found for name in ("c_d", "c_x")), "no signs differed"
    tally = found[-1]["pulses"]
    assert sent == tally, "every pulse was counted"


SMALL = {"fast_lr": 0.1, "transfer_lr": 0.5, "auto_granularity": 0.0}
AUTO = SMALL | {"auto_granularity": 2.0, "scale_transfer_lr": False, "transfer_lr": 0.1}
KEEP = {"forget_buffer": False, "max_pulses": 2}
BUFFERED = [
    (TikiTakaV2(**SMALL, **KEEP, thres_scale=0.8), WIDE),
    (TikiTakaV2(**SMALL, **KEEP, momentum=0.25, transfer="row", scale_fast_lr=True), TALL),
    (TikiTakaV2(**SMALL, max_pulses=2, momentum=0.5, transfer="all"), TALL),
    (TikiTakaV2(**AUTO, transfer_every=3), WIDE),
    (TikiTakaV2(**AUTO, **KEEP, transfer="row", transfer_every=3), WIDE),
    (ChoppedTikiTaka(**SMALL, **KEEP, gamma=0.5, chop="regular", chop_prob=0.4), WIDE),
    (ChoppedTikiTaka(**SMALL, chop="regular", chop_prob=0.9, transfer="row", transfer_every=3), TALL),
    (ChoppedTikiTaka(**AUTO, gamma=0.3, chop_prob=0.3, cross_chop_prob=0.4), TALL),
    (ChoppedTikiTaka(**SMALL, **KEEP, chop_prob=0.3, cross_chop_prob=0.4, transfer="row"), WIDE),
]


@pytest.mark.parametrize(
    ("algorithm", "shape"), BUFFERED, ids=map(fields_of, next(zip(*BUFFERED, strict=True)))
)
def test_buffered_transfers(algorithm, shape):
    data = batches(shape, 60)
    block = block_of(algorithm, shape=shape, pulses=COUNTED)
    found = recorded(block, data)
    found[-1]["pulses"] = sum(block.state.W.pulses_sent)
    assert_follows(found, tiki_taka_v2(algorithm, data, found))


@pytest.mark.parametrize("by", ["column", "row"])
def test_choppers_flip_as_often_as_they_should(by):
    block = block_of(ChoppedTikiTaka(chop_prob=0.3, cross_chop_prob=0.2, transfer=by), pulses=mho.Expected())
    n = n_lines(by, WIDE)
    own, cross = ("c_x", "c_d") if by == "column" else ("c_d", "c_x")
    signs = {own: [], cross: []}
    for _ in range(600 * n + 1):
        for name in signs:
            signs[name].append(getattr(block.state, name).clone())
        block.hardware.algorithm.step(block.state, Factors(torch.zeros(1, 3), torch.zeros(1, 2)), 0.1)
    flips = {name: torch.stack(c).diff(dim=0) != 0 for name, c in signs.items()}
    flips = {name: c.double() for name, c in flips.items()}
    mine = flips[own].reshape(600, n, n).diagonal(dim1=1, dim2=2)
    assert mine.sum() == flips[own].sum(), "a line's sign changes at its own read"
    others = flips[cross][n - 1 :: n]
    assert others.sum() == flips[cross].sum(), "the others' after each sweep"
    assert_mean(mine, 0.3, "flips of a line that was read")
    assert_mean(others, 0.2, "flips of the other lines")
    assert_mean(mine[:, -1] * others[:, 0], 0.06, "flips are independent")
    assert_mean(mine[1:] * mine[:-1], 0.09, "flips of successive reads are independent")


@shapes
@pytest.mark.parametrize("mix", ["shared_adc", "separate"])
def test_the_network_sees_p_with_the_signs_of_its_own_lines(mix, shape):
    """In aihwkit 1.2.0 the choppers are transposed on the CPU, which uniform ones cannot show."""
    block = block_of(ChoppedTikiTaka(gamma=0.5, mix=mix), shape=shape)
    g = torch.Generator().manual_seed(2)
    P, c_d, c_x = torch.randn(shape, generator=g), torch.ones(shape[0]), torch.ones(shape[1])
    c_d[-1] = c_x[0] = -1.0
    block.state.P.program(P)
    block.state.c_d.copy_(c_d)
    block.state.c_x.copy_(c_x)
    block.refresh()
    weight = block.state.W.w + 0.5 * torch.outer(c_d, c_x) * P
    torch.testing.assert_close(block.weight.data, weight)
    assert_products(block)


# Residual learning v2.


def residual_learning_v2(a, data, W):
    """arXiv 2502.06309, eqs. (14), (15) and the threshold rule, in the code's units: H counts pulses."""
    P, H, gamma, fired = np.zeros_like(W), np.zeros_like(W), a.gamma, 0
    for t, (x, d, lr) in enumerate(data, 1):
        P = P + alpha(a, lr) * product(x, d)
        if t % a.transfer_every == 0:
            _, at = line(a.transfer, t // a.transfer_every, W.shape)
            weight = 1.0 if a.pulses == "plain" else beta(a, lr) / threshold(a, W.shape)
            H[at] = a.momentum * H[at] + (1 - a.momentum) * weight * P[at]
            if a.pulses == "plain":
                W[at] += beta(a, lr) * H[at]
            else:
                n = np.clip(np.trunc(H[at]), -a.max_pulses, a.max_pulses)
                W[at] += n * DW_W
                H[at] -= n if a.after_pulses == "decrement" else 0
                fired += (n != 0).sum()
        yield {"W": W, "P": P, "H": H, "weight": W + gamma * P}
    assert a.pulses == "plain" or 5 < fired < len(data) * W.size / 2


def section_5(a, data, W):
    """The same in the paper's words: beta = 1 - momentum, H in weight units, one pulse where |H| >= dw_min."""
    P, H, b, n = np.zeros_like(W), np.zeros_like(W), 1 - a.momentum, 0
    for x, d, lr in data:
        P = P + alpha(a, lr) * product(x, d)
        H = (1 - b) * H + b * P
        fired = np.sign(H) * (np.abs(H) >= DW_W)
        W, H, n = W + DW_W * fired, H - DW_W * fired, n + np.abs(fired).sum()
        yield {"W": W, "P": P, "H": H / DW_W}
    assert 5 < n < len(data) * W.size


V2 = {"fast_lr": 0.3, "transfer_lr": 0.3}
FILTERED = [
    (ResidualLearningV2(**V2, auto_granularity=2.0), WIDE),
    (ResidualLearningV2(**V2, auto_granularity=2.0, after_pulses="decrement", max_pulses=3), TALL),
    (ResidualLearningV2(**V2, auto_granularity=0.0, thres_scale=1.5, transfer="row", transfer_every=3), TALL),
    (ResidualLearningV2(**V2, pulses="plain", scale_transfer_lr=True, transfer="all"), WIDE),
    (ResidualLearningV2(**V2, pulses="plain", momentum=0.5, transfer_every=3), TALL),
]


@pytest.mark.parametrize(
    ("algorithm", "shape"), FILTERED, ids=map(fields_of, next(zip(*FILTERED, strict=True)))
)
def test_residual_learning_v2(algorithm, shape):
    data = batches(shape, 60)
    plain = algorithm.pulses == "plain"
    found = recorded(block_of(algorithm, shape=shape, pulses=mho.Expected() if plain else COUNTED), data)
    assert_follows(found, residual_learning_v2(algorithm, data, found[0]["W"].copy()))


def test_residual_learning_v2_has_the_scales_of_the_paper():
    scales = {"transfer_lr": 1.0, "auto_granularity": 0.0, "thres_scale": 1.0, "after_pulses": "decrement"}
    a = ResidualLearningV2(fast_lr=0.02, scale_fast_lr=False, momentum=0.9, transfer="all", **scales)
    data = batches(WIDE, 60)
    found = recorded(block_of(a, pulses=COUNTED), data)
    assert_follows(found, section_5(a, data, found[0]["W"].copy()))


# What they have in common.

WITH_RATES = [c for c in mho.testing.algorithms() if hasattr(c, "scale_fast_lr")]
WITH_UNITS = [c for c in mho.testing.algorithms() if "units" in c.__dataclass_fields__]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("algorithm", WITH_RATES, ids=lambda c: c.__name__)
def test_fast_lr_is_absolute_or_a_factor_on_lr(algorithm, scaled):
    """In aihwkit before 1.2.0 it was absolute, since then a factor, silently."""
    x, d = torch.tensor([1.0, -0.5, 0.7]), torch.tensor([0.8, -0.6])
    for lr in (0.02, 0.3):
        short = {"n_pulses": 10} if hasattr(algorithm, "n_pulses") else {}
        a = algorithm(fast_lr=0.4, scale_fast_lr=scaled, **short)
        block = block_of(a, DEVICES["W"], pulses=mho.Expected())
        tiles = block.state.tiles()
        fast = tiles.get("P") or list(tiles.values())[-1]
        before = fast.w.clone()
        step(block, x, d, lr)
        torch.testing.assert_close(fast.w - before, 0.4 * (lr if scaled else 1.0) * torch.outer(d, x))


@pytest.mark.parametrize("algorithm", WITH_UNITS, ids=lambda c: c.__name__)
def test_a_sample_is_a_mini_batch_of_one(algorithm):
    """To the bit, with pulses and their noise."""
    pace = {"fast_lr": 0.1, "scale_fast_lr": False, "transfer_lr": 0.5, "scale_transfer_lr": False}
    pace |= {"auto_granularity": 10.0, "chop_prob": 0.5, "n_pulses": 10}
    every = algorithm(transfer_every=3, **{name: v for name, v in pace.items() if hasattr(algorithm, name)})
    whole, single, sampled = (block_of(a, NOISY) for a in (every, every, every.replace(units="sample")))
    for x, d, lr in batches(WIDE, 20, samples=4):
        step(whole, x, d, lr)
        step(sampled, x, d, lr)
        for one_x, one_d in zip(x, d, strict=True):
            step(single, one_x, one_d, lr)
    assert int(sampled.state.t) == 80
    assert int(whole.state.t) == 20
    slowest = next(iter(sampled.state.tiles().values()))
    assert sum(slowest.pulses_sent) > 0
    states = sampled.state_dict(), single.state_dict()
    assert states[0].keys() == states[1].keys()
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name]), name
    assert torch.equal(sampled.weight, single.weight)
