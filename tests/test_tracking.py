"""Algorithms that track P's symmetric point: each against a loop written from the papers, and their identities."""

import math

import numpy as np
import pytest

import mho
from blocks import (
    COUNTED,
    DW_W,
    NOISY,
    alpha,
    assert_follows,
    assert_products,
    assert_same,
    batches,
    beta,
    block_of,
    fields_of,
    line,
    n_lines,
    product,
    recorded,
    take_pulses,
    threshold,
    trained,
)
from mho.algorithms import AGAD, ERIDER, RIDER, ResidualLearning, TikiTaka
from mho.responses import Linear, SoftBounds

WIDE, TALL = (2, 3), (5, 2)
TAU = 0.8
SOFT = mho.Device(SoftBounds(tau_max=TAU, tau_min=-TAU), dw_min=2.0**-7)


def signed(by, c):
    """The choppers as a matrix or a row or column of one."""
    return {"column": c[None, :], "row": c[:, None], "all": c}[by]


def pulsed(w, dw):
    """arXiv 2502.06309, eq. (3), for soft bounds: q+ = 1 - w / tau, q- = 1 + w / tau."""
    return w + np.where(dw >= 0, dw * (1 - w / TAU), dw * (1 + w / TAU))


# AGAD and E-RIDER as the authors ran them.


def tracking(a, data, found):
    """papers.md, section 3.5: what AGAD does line by line, and E-RIDER's residual. Random signs are the block's."""
    W, shape = found[0]["W"].copy(), found[0]["W"].shape
    n, by, every = n_lines(a.transfer, shape), a.transfer, a.transfer_every
    P, H, Q, past, R = (np.zeros(shape) for _ in range(5))
    c, reads = np.ones(n), np.zeros(n, int)
    period = max(math.ceil(1 / a.chop_prob), 2)
    eta = min(a.tail_weightening / period, 1.0) if a.eta is None else a.eta
    gamma, fresh = getattr(a, "gamma", 0.0), getattr(a, "residual", "") == "fresh"
    held, sent, flipped = 0, 0, np.zeros(n, int)
    for t, (x, d, lr) in enumerate(data, 1):
        P = P + alpha(a, lr) * signed(by, c) * product(x, d)
        if t % every == 0:
            j, at = line(by, t // every, shape)
            raw = c[j] * (P[at] - past[at])
            early = a.delayed_start and t <= period * n * every
            if a.buffer:
                H[at] += raw * beta(a, lr) / threshold(a, shape)
                pulses = take_pulses(H, at, a)
                held += early * np.abs(pulses).sum()
                W[at] += 0.0 if early else pulses * DW_W
                sent += 0 if early else np.abs(pulses).sum()
            elif early:
                held += 1
            else:
                W[at] += beta(a, lr) * raw
                sent += 1
            Q[at] = (1 - eta) * Q[at] + eta * P[at]
            reads[j] += 1
            flip = found[t]["c"][j] != c[j] if a.chop == "random" else reads[j] % period == 0
            if flip:
                c[j], past[at] = -c[j], Q[at]
                flipped[j] += 1
            R[at] = raw
        if fresh:
            R = signed(by, c) * (P - past)
        numbers = {"W": W, "P": P, "H": H, "Q": Q, "past": past, "c": c, "weight": W + gamma * R}
        yield numbers | ({"R": R} if isinstance(a, ERIDER) else {})
    assert sent > 10, "W moved"
    assert flipped.min() >= 2, "each line flipped to and fro"
    assert (held > 0) == a.delayed_start


PACE = {"fast_lr": 0.1, "transfer_lr": 0.1, "auto_granularity": 2.0}
UNIT = PACE | {"auto_granularity": 0.0, "thres_scale": 1.5}
KEEP = {"forget_buffer": False, "max_pulses": 2}
TRACKERS = [
    (AGAD(**PACE, chop_prob=0.25), WIDE),
    (AGAD(**PACE, **KEEP, chop_prob=0.4, eta=0.3, delayed_start=False, momentum=0.25, transfer="row"), TALL),
    (AGAD(**UNIT, chop="random", chop_prob=0.3, tail_weightening=0.9, transfer_every=3), TALL),
    (AGAD(**UNIT, buffer=False, transfer="all", chop_prob=0.15, scale_fast_lr=True), WIDE),
    (ERIDER(**PACE, chop_prob=0.25, tail_weightening=2.0), WIDE),
    (
        ERIDER(
            **PACE, **KEEP, chop_prob=0.5, eta=0.3, transfer="row", transfer_every=3, scale_transfer_lr=True
        ),
        TALL,
    ),
    (ERIDER(**PACE, gamma=0.5, chop="random", chop_prob=0.3, delayed_start=False, residual="fresh"), TALL),
    (ERIDER(**UNIT, residual="fresh", mix="shared_adc", chop_prob=0.5, transfer="row", buffer=False), WIDE),
]


@pytest.mark.parametrize(("algorithm", "shape"), TRACKERS, ids=[fields_of(a) for a, _ in TRACKERS])
def test_agad_and_erider_line_by_line(algorithm, shape):
    data = batches(shape, 90)
    pulses = COUNTED if algorithm.buffer else mho.Expected()
    block = block_of(algorithm, shape=shape, pulses=pulses)
    found = recorded(block, data)
    assert_follows(found, tracking(algorithm, data, found))
    assert_products(block)


# RIDER and E-RIDER as the paper prints them.


def algorithm_2(a, data, W):
    """arXiv 2602.21321, eqs. (11), (12) by lines; the new P and the old Q move W."""
    P, Q = np.zeros_like(W), np.zeros_like(W)
    for t, (x, d, lr) in enumerate(data, 1):
        P = pulsed(P, alpha(a, lr) * product(x, d))
        if t % a.transfer_every == 0:
            _, at = line(a.transfer, t // a.transfer_every, W.shape)
            W[at] = pulsed(W[at], beta(a, lr) * (P - Q)[at])
            Q[at] = (1 - a.eta) * Q[at] + a.eta * P[at]
        yield {"W": W, "P": P, "Q": Q, "R": P - Q, "weight": W + a.gamma * (P - Q)}


RIDERS = [
    (RIDER(gamma=0.4, transfer="all", eta=0.2), WIDE),
    (RIDER(gamma=0.4, fast_lr=0.6, scale_fast_lr=True, eta=0.3, transfer_every=3), TALL),
    (RIDER(gamma=0.0, transfer="row", eta=0.3, transfer_lr=0.1, scale_transfer_lr=False), TALL),
]


@pytest.mark.parametrize(("algorithm", "shape"), RIDERS, ids=[fields_of(a) for a, _ in RIDERS])
def test_rider_is_algorithm_2(algorithm, shape):
    data = batches(shape, 40)
    found = recorded(block_of(algorithm, SOFT, shape, pulses=mho.Expected()), data)
    assert_follows(found, algorithm_2(algorithm, data, found[0]["W"].copy()))


def algorithm_3(a, data, found):
    """arXiv 2602.21321, Algorithm 3 as printed; c_k is what the block holds when step k begins."""
    W, shape = found[0]["W"].copy(), found[0]["W"].shape
    P, Q, Q_frozen, c, flips = np.zeros(shape), np.zeros(shape), np.zeros(shape), 1.0, 0
    for k, (x, d, lr) in enumerate(data):
        c_k = found[k]["c"].item()
        if c_k != c:
            Q_frozen, c, flips = Q.copy(), c_k, flips + 1
        seen = W + a.gamma * c * (P - Q_frozen)
        np.testing.assert_allclose(found[k]["weight"], seen, rtol=2e-5, atol=1e-5, err_msg=f"before step {k}")
        P = pulsed(P, alpha(a, lr) * c * product(x, d))
        Q = (1 - a.eta) * Q + a.eta * P
        W = pulsed(W, beta(a, lr) * c * (P - Q_frozen))
        yield {"W": W, "P": P, "Q": Q}
    assert flips > 5


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=["wide", "tall"])
def test_the_printed_erider_is_algorithm_3(shape):
    a = ERIDER.printed(gamma=0.4, fast_lr=0.05, transfer_lr=0.1, eta=0.2, chop_prob=0.2)
    assert a.replace(gamma=0.1) == ERIDER.printed(fast_lr=0.05, transfer_lr=0.1, eta=0.2, chop_prob=0.2)
    data = batches(shape, 60)
    found = recorded(block_of(a, SOFT, shape, pulses=mho.Expected()), data)
    assert_follows(found, algorithm_3(a, data, found))


@pytest.mark.parametrize("algorithm", [AGAD, ERIDER, ERIDER.printed])
def test_a_chopper_that_never_flips_is_refused(algorithm):
    with pytest.raises(mho.MhoError, match="RIDER, which tracks without a chopper"):
        algorithm(chop_prob=0.0)


# Identities, to the bit, with pulses and noise.

OFFSET = {"P": NOISY.replace(reference_mean=0.1), "W": NOISY}
RATES = {"fast_lr": 0.05, "scale_fast_lr": False, "transfer_lr": 0.2, "scale_transfer_lr": False}
DYNAMIC = RATES | {"chop_prob": 0.3, "auto_granularity": 3.0}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"transfer": "row", "chop": "random", "transfer_every": 3, "delayed_start": False},
        {"transfer": "all", "buffer": False, "eta": 0.2},
    ],
    ids=str,
)
def test_erider_without_gamma_is_agad(fields):
    pairs = [
        trained(a, OFFSET, io=mho.IO())
        for a in (AGAD(**DYNAMIC | fields), ERIDER(gamma=0.0, **DYNAMIC | fields))
    ]
    assert_same(*pairs, ("W", "P", "H", "Q", "past", "c", "weight"))
    assert sum(pairs[0].state.W.pulses_sent) > 10
    assert pairs[0].state.past.abs().max() > 0


def test_residual_learning_without_gamma_is_tiki_taka():
    one, other = (trained(a, io=mho.IO()) for a in (ResidualLearning(**RATES, gamma=0.0), TikiTaka(**RATES)))
    assert_same(one, other, ("W", "P", "weight"))
    assert sum(one.state.W.pulses_sent) > 10


@pytest.mark.parametrize("device", [NOISY, OFFSET], ids=["no offset", "offset"])
@pytest.mark.parametrize("by", ["column", "all"])
def test_erider_that_never_flips_is_residual_learning(by, device):
    """Its frozen reference is P's zero."""
    never = {"chop": "random", "chop_prob": 1e-30, "eta": 0.3, "residual": "fresh", "mix": "shared_adc"}
    never |= {"buffer": False, "delayed_start": False}
    one = trained(ERIDER(**RATES, **never, gamma=0.4, transfer=by), device, io=mho.IO())
    other = trained(ResidualLearning(**RATES, gamma=0.4, transfer=by), device, io=mho.IO())
    assert_same(one, other, ("W", "P", "weight"))
    assert one.state.Q.abs().max() > 0
    assert sum(one.state.W.pulses_sent) > 10


def test_two_stages_with_the_true_point_are_residual_learning_on_a_calibrated_device():
    from mho.algorithms.two_stage import TwoStage

    skewed = NOISY.replace(response=Linear(c_lin=0.3), spread={"c_lin": 0.4})
    one = trained(TwoStage(**RATES, schedule="oracle"), {"P": skewed, "W": NOISY}, io=mho.IO())
    calibrated = {"P": skewed.replace(subtract_sp=True), "W": NOISY}
    other = trained(ResidualLearning(**RATES, gamma=0.4), calibrated, io=mho.IO())
    assert one.state.P.reference.std() > 0.01, "each cell has its own symmetric point"
    assert_same(one, other, ("W", "P", "weight"))
