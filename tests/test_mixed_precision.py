"""Mixed precision: what adds up digitally, what is sent, and the digital optimizers in front of it."""

import copy

import numpy as np
import pytest
import torch

import mho
from blocks import FREE, batches, block_of, product, recorded, step
from mho.algorithms import MixedPrecision
from mho.algorithms.mixed_precision import binned

WIDE, TALL = (2, 3), (5, 2)


def dyadic(shape, n):
    """Factors whose products and sums are exact in float32."""
    g = torch.Generator().manual_seed(0)
    sizes = [(2, shape[1]), (2, shape[0])]
    return [(*(torch.randint(-4, 5, size, generator=g) / 4 for size in sizes), 0.25) for _ in range(n)]


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=["wide", "tall"])
@pytest.mark.parametrize(
    ("fields", "quantum"),
    [
        ({}, 2.0**-3),
        ({"transfer_every": 3, "max_pulses": 2}, 2.0**-3),
        ({"granularity": 2.0**-2, "max_pulses": 1}, 2.0**-2),
    ],
    ids=str,
)
def test_chi_is_exact_and_keeps_what_was_not_sent(fields, quantum, shape):
    """W gets trunc(chi / quantum) pulses, max_pulses at most; the rest stays, to the bit."""
    a = MixedPrecision(**fields)
    block = block_of(a, mho.Device(FREE, dw_min=2.0**-3), shape)
    block.state.W.program(torch.zeros(shape))
    data = dyadic(shape, 60)
    found = recorded(block, data)
    chi, W, sent, cut = np.zeros(shape), np.zeros(shape), 0, 0
    for t, (x, d, lr) in enumerate(data, 1):
        chi += lr * product(x, d)
        if t % a.transfer_every == 0:
            wanted = np.trunc(chi / quantum)
            n = np.clip(wanted, -a.max_pulses, a.max_pulses)
            chi -= n * quantum
            W += n * 2.0**-3
            sent, cut = sent + np.abs(n).sum(), cut + (n != wanted).sum()
        assert np.array_equal(found[t]["chi"], chi), t
        assert np.array_equal(found[t]["W"], W), t
        assert np.array_equal(found[t]["weight"], W), t
    assert sum(block.state.W.pulses_sent) == sent > 50
    assert (cut > 0) == (a.max_pulses < 31)


@pytest.mark.parametrize(
    ("bins", "v", "expected"),
    [
        (0, (0.31, -0.2, 0.17), (0.31, -0.2, 0.17)),
        (3, (0.3, 0.2, 0.1), (0.3, 0.2, 0.1)),
        (3, (0.3, -0.16, 0.04), (0.3, -0.2, 0.0)),
        (10, (1.0, -0.44, 0.06), (1.0, -0.4, 0.1)),
        (10, (-2.0, 1.05, 0.31), (-2.0, 1.0, 0.4)),
        (3, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ],
)
def test_bins_are_multiples_of_the_largest(bins, v, expected):
    """In each sample by itself, x and d by themselves (in aihwkit 1.2.0 bins of d alone lose rows)."""
    both = torch.tensor([v, (9.0, 9.0, 9.0)])
    torch.testing.assert_close(binned(both, bins), torch.tensor([expected, (9.0, 9.0, 9.0)]))
    other = torch.tensor([0.123, -0.456, 0.789])
    for fields, x, d in (({"x_bins": bins}, v, other), ({"d_bins": bins}, other, v)):
        block = block_of(MixedPrecision(**fields), mho.Device(FREE, dw_min=100.0), (3, 3))
        step(block, torch.as_tensor(x), torch.as_tensor(d), lr=1.0)
        xy = (torch.tensor(expected), other) if "x_bins" in fields else (other, torch.tensor(expected))
        torch.testing.assert_close(block.state.chi, torch.outer(xy[1], xy[0]))


@pytest.mark.parametrize("name", ["x_bins", "d_bins"])
def test_bins_are_a_whole_number(name):
    # Fails: the fields are Annotated[int, NonNegative], which lets fractions pass.
    with pytest.raises(mho.MhoError, match=name):
        MixedPrecision(**{name: 2.5})


OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"betas": (0.8, 0.99)}),
    ("AdamW", {"weight_decay": 0.3}),
    ("ASGD", {"lambd": 0.1}),
    ("Adafactor", {}),
]
SEES_THE_WEIGHT = ("AdamW", "ASGD", "Adafactor")  # which is a fraction of a pulse away from the digital one


def digital(name, options):
    return MixedPrecision(optimizer=name, options=options, max_pulses=10_000)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=str)
def test_w_follows_any_torch_optimizer_within_a_pulse(name, options):
    """On the same gradients, with learning rates that change."""
    dw_min = 2.0**-12
    block = block_of(digital(name, options), mho.Device(FREE, dw_min=dw_min), TALL)
    w = torch.nn.Parameter(block.weight.detach().clone())
    optimizer = getattr(torch.optim, name)([w], lr=1.0, **options)
    for x, d, lr in batches(TALL, 40):
        step(block, x, d, lr)
        w.grad, optimizer.param_groups[0]["lr"] = -(d.mT @ x), lr
        optimizer.step()
        allowed = dw_min * (2 if name in SEES_THE_WEIGHT else 1) + 2e-5
        assert (block.weight - w).abs().max() < allowed
        if name not in SEES_THE_WEIGHT:
            torch.testing.assert_close(block.state.W.w + block.state.chi, w.data, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS[1:3], ids=str)
def test_a_saved_optimizer_goes_on_to_the_bit(name, options):
    a, device = digital(name, options), mho.Device(FREE, dw_min=2.0**-12)
    block, other, fresh = (block_of(a, device, TALL) for _ in range(3))
    data = batches(TALL, 20)
    recorded(block, data[:9])
    state = copy.deepcopy(block.state_dict())
    own = {key: value for key, value in fresh.state_dict().items() if "supplier" in key}
    other.load_state_dict(state)
    fresh.load_state_dict(state | own)
    straight, resumed, without = (recorded(b, data[9:]) for b in (block, other, fresh))
    for one, two in zip(straight, resumed, strict=True):
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[key], two[key]) for key in one)
    assert not np.array_equal(straight[-1]["W"], without[-1]["W"]), "its moments are part of what was saved"
