"""Stand-ins of a step give the bits of the tensors and arrays they stand for."""

import contextlib
import copy
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional

import mho
import mho.testing
from mho.algorithms.base import Factors
from mho.algorithms.parts.lines import next_line
from mho.algorithms.state import State, due
from mho.base.records import field_rules
from mho.requests.compiled import collected
from mho.requests.numbers import Numbers


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def both(step, *tensors):
    """Return what `step` leaves in copies of the tensors, done at once, and by requests."""
    usual, asked = ([t.clone() for t in tensors] for _ in range(2))
    step(*usual)
    with collected() as queue:
        step(*(Numbers.of(queue, t) for t in asked))
    return usual, asked


STEPS = {
    "add": lambda h, r, c: h[:, 3].add_(r[:, 1], alpha=0.37),
    "add a row": lambda h, r, c: h[3].add_(r[2], alpha=-1.7),
    "subtract": lambda h, r, c: h[:, 0].sub_(r[:, 2], alpha=0.21),
    "difference": lambda h, r, c: h.copy_(h - r),
    "chopped": lambda h, r, c: h.copy_(h * c),
    "one chopper": lambda h, r, c: h[:, 2].copy_(c[4:5] * (h[:, 2] - r[:, 2])),
    "scale": lambda h, r, c: h.mul_(0.9),
    "product": lambda h, r, c: h[1].mul_(c),
    "lerp": lambda h, r, c: h[:, 3].lerp_(r[:, 3], 0.3),
    "lerp by a half": lambda h, r, c: h[:, 3].lerp_(r[:, 3], 0.5),
    "lerp by more": lambda h, r, c: h[0].lerp_(r[1], 0.8),
    "flip": lambda h, r, c: c[2:3].neg_(),
    "whole part": lambda h, r, c: h.copy_((h * 3.0).div(1.0, rounding_mode="trunc").clamp_(-2, 2)),
    "zeros": lambda h, r, c: h.mul_(torch.where(r.div(1.0, rounding_mode="trunc") == 0, 1.0, 0.25)),
    "transposed": lambda h, r, c: h.mT[2].add_(r.mT[1]),
    "unknown": lambda h, r, c: h.copy_(torch.tanh(h) + r.exp()),
    "unknown in place": lambda h, r, c: h.add_(r).tanh_(),
    "mixed": lambda h, r, c: h.add_(torch.sign(r) * c),
}


@pytest.mark.parametrize("shape", [(5, 7), (256, 300), (33, 5), (8, 6)], ids=str)
@pytest.mark.parametrize("name", STEPS)
def test_arithmetic_has_the_bits_of_torch(name: str, shape: tuple[int, int]) -> None:
    usual, asked = both(STEPS[name], numbers(1, *shape), numbers(2, *shape), numbers(3, shape[1]))
    for one, other in zip(usual, asked, strict=True):
        assert torch.equal(one, other)


# Whole steps: the same training, once by requests and once with each verb at its turn.

DEVICE = mho.Device(sigma_c2c=0.3, spread={"gain": 0.3})


def net(kind: str) -> tuple[nn.Module, torch.Tensor]:
    if kind == "conv":
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 5)), numbers(
            9, 6, 1, 6, 6
        )
    return nn.Sequential(nn.Linear(20, 12), nn.Sigmoid(), nn.Linear(12, 5)), numbers(9, 6, 20)


def train(
    algorithm: mho.Algorithm, by_requests: bool, steps: int = 40, kind: str = "full", change=None, **hardware
):
    """Return the state of a small network after a few steps, whose batches and rates change now and then."""
    torch.manual_seed(0)
    model, x = net(kind)
    hardware = {"device": DEVICE, **hardware}
    mho.convert_(model, mho.Crossbar(algorithm=algorithm, **hardware), key=1)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    y = torch.arange(6) % 5
    with pytest.MonkeyPatch.context() as patch:
        if not by_requests:
            patch.setattr("mho.optim.collected", lambda: contextlib.nullcontext(None))
        for step in range(steps):
            n = 4 if step % 7 == 3 else 6
            optimizer.param_groups[0]["lr"] = 0.05 if step % 11 == 5 else 0.1
            optimizer.zero_grad()
            functional.cross_entropy(model(x[:n] + 0.1 * step), y[:n]).backward()
            optimizer.step()
            if change is not None:
                model, optimizer = change(step, model, optimizer) or (model, optimizer)
    return model.state_dict()


def assert_equal(one, other) -> None:
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def algorithms():
    """Every algorithm, and what its fields change in a step."""
    for cls in mho.testing.algorithms():
        yield cls()
        fields = field_rules(cls)
        for name, values in VARIANTS.items():
            for value in values if name in fields else ():
                with contextlib.suppress(mho.MhoError):
                    yield cls(**{name: value})


VARIANTS = {
    "transfer": ["row", "all"], "transfer_every": [3], "units": ["sample"], "mix": ["separate", "shared_adc"],
    "chop": ["random"], "chop_prob": [0.4], "buffer": [False], "momentum": [0.5], "forget_buffer": [False],
    "max_pulses": [5], "delayed_start": [False], "residual": ["fresh"], "warm_start": [True], "tiles": [2],
    "pulses": ["plain"], "after_pulses": ["decrement"], "gamma": [0.0, 0.3], "optimizer": ["Adam"], "x_bins": [7],
    "cross_chop_prob": [0.5], "eta": [0.7],
}  # fmt: skip


@pytest.mark.parametrize("algorithm", list(algorithms()), ids=lambda a: str(a)[:60])
def test_a_training_has_the_bits_of_one_verb_after_the_other(algorithm: mho.Algorithm) -> None:
    assert_equal(train(algorithm, True), train(algorithm, False))


@pytest.mark.parametrize(
    "name", ["AnalogSGD", "ResidualLearning", "AGAD", "ERIDER", "ChoppedTikiTaka", "MixedPrecision"]
)
def test_a_convolution_too(name: str) -> None:
    algorithm = getattr(mho.algorithms, name)()
    assert_equal(train(algorithm, True, kind="conv"), train(algorithm, False, kind="conv"))


HARDWARE = {
    "noise of writes": {"device": mho.Device(dw_min=0.01, write_noise=0.5)},
    "pairs": {"device": mho.OneSided(mho.Device())},
    "three devices": {"device": mho.Vector((mho.Device(),) * 3, (1.0, 0.5, 0.25))},
    "expected": {"pulses": mho.Expected()},
    "exact": {"pulses": mho.Exact()},
    "rounded": {"pulses": mho.Pulses(rounding="stochastic")},
    "aggregated": {"pulses": mho.Pulses(aggregate=4)},
    "retention": {"device": mho.Device(retention=mho.Retention(lifetime=100))},
    "omega": {"mapping": mho.Mapping(omega=0.5, rates="layer")},
    "analog bias": {"mapping": mho.Mapping(bias="analog")},
    "cut": {"mapping": mho.Mapping(max_in=7, max_out=5)},
    "perfect": {"io": None},
    "noisy reads": {"io": mho.IO(sigma_out=0.1)},
    "counted cells": {"count_cells": True},
}


@pytest.mark.parametrize("hardware", list(HARDWARE.values()), ids=list(HARDWARE))
@pytest.mark.parametrize("name", ["TikiTakaV2", "ERIDER"])
def test_any_hardware(name: str, hardware: dict) -> None:
    algorithm = getattr(mho.algorithms, name)()
    assert_equal(train(algorithm, True, **hardware), train(algorithm, False, **hardware))


def test_any_number_of_threads(monkeypatch) -> None:
    """With limits of 1 each update is left to Python, which has threads."""
    before = train(mho.algorithms.ERIDER(), False)
    threads = mho.get_threads()
    for name in ("_WORTH_DRAWS", "_WORTH_PULSES", "_WORTH_COUNTS"):
        monkeypatch.setattr(f"mho.kernels.cpu.update.{name}", 1)
    try:
        mho.set_threads(2)
        assert_equal(before, train(mho.algorithms.ERIDER(), True))
    finally:
        mho.set_threads(threads)


def loaded(step, model, optimizer):
    """Load the state of four steps before, and exchange memory."""
    if step == 20:
        model.kept = {name: part.clone() for name, part in model.state_dict().items()}
    elif step == 24:
        model.load_state_dict(model.kept)


def assigned(step, model, optimizer):
    if step == 20:
        model.load_state_dict({name: part.clone() for name, part in model.state_dict().items()}, assign=True)


def copied(step, model, optimizer):
    if step == 20:
        model = copy.deepcopy(model)
        return model, mho.AnalogOptimizer(model, lr=0.1)
    return None


def other_pulses(step, model, optimizer):
    if step == 20:
        model[0].matrix.blocks[0].state.W.pulses = mho.Pulses(bl=7)


def programmed(step, model, optimizer):
    if step in (20, 30):
        model[0].program_(weight=torch.full((12, 20), 0.1))


def moved(step, model, optimizer):
    if step == 20:
        state = model[0].matrix.blocks[0].state
        state.H = state.H.clone()


@pytest.mark.parametrize("change", [loaded, assigned, copied, other_pulses, programmed, moved])
@pytest.mark.parametrize("name", ["AGAD", "ERIDER"])
def test_what_happens_between_steps_is_seen(name: str, change) -> None:
    algorithm = getattr(mho.algorithms, name)()
    assert_equal(train(algorithm, True, change=change), train(algorithm, False, change=change))


# Algorithms of users.


class Odd(mho.Algorithm):
    """Does what no algorithm here does."""

    seen: ClassVar = []

    def init(self, new_tile, w0):
        return State(
            W=new_tile("W", w0, pulses="transfer"), P=new_tile("P", 0 * w0), m=torch.zeros_like(w0), t=0
        )

    def visible(self, s):
        return [mho.Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        self.seen.append(float(s.m.abs().max()))
        s.m.mul_(0.9).add_(g.outer(), alpha=0.1)
        s.P.update(g.x, g.d / (1 + s.m.norm()), lr)
        if s.P.w.std() > 0 and due(s, 2):
            line = next_line(s, "column", s.P.shape, 2)
            j = line.j
            if j % 3 == 0:
                s.W.update(torch.eye(s.W.shape[1])[int(j)], s.P.w[:, j] * 0.5, lr)
            s.m[:, j] = 0
            s.m += torch.tanh(s.m)
            n = (100 * s.P.read(j)).round()
            s.W.pulse(torch.where(n.abs() > 2, 0.0, n), column=j)


class OddAndRepeating(Odd):
    """Says that it repeats, and is found out."""

    repeats = True


@pytest.mark.parametrize("kind", [Odd, OddAndRepeating])
def test_a_step_of_any_kind(kind) -> None:
    kind.seen.clear()
    one = train(kind(), True)
    seen = list(kind.seen)
    kind.seen.clear()
    assert_equal(one, train(kind(), False))
    assert seen == kind.seen


class Paced(mho.Algorithm):
    """Measures its rate."""

    repeats = True

    def init(self, new_tile, w0):
        return State(W=new_tile("W", w0), H=torch.zeros_like(w0), t=0)

    def visible(self, s):
        return [mho.Term(s.W)]

    def step(self, s: State, g: Factors, lr: float) -> None:
        rate = s.measure(largest, g, lr)
        s.W.update(g.x, g.d, rate)
        if due(s, 3):
            s.H[:, 1].add_(s.W.read(1), alpha=rate).mul_(rate)
            s.W.pulse((s.H[:, 1] * 300.0).div(1.0, rounding_mode="trunc"), column=1)


def largest(s: State, g: Factors, lr: float) -> float:
    return lr / float(g.x.abs().max())


def test_rates_that_are_measured() -> None:
    assert_equal(train(Paced(), True), train(Paced(), False))


def test_a_remembered_step_does_not_call_the_algorithm(monkeypatch) -> None:
    """It calls for each way: to the first flips all is held back, and of a line's reads every second flips it."""
    calls = []
    step = mho.algorithms.AGAD.step
    monkeypatch.setattr(mho.algorithms.AGAD, "step", lambda *args: calls.append(1) or step(*args))
    model = nn.Sequential(nn.Linear(20, 12), nn.Sigmoid(), nn.Linear(12, 5))
    mho.convert_(model, mho.Crossbar(mho.algorithms.AGAD(chop_prob=0.5), device=DEVICE), key=1)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        model(numbers(9, 6, 20)).square().mean().backward()
        optimizer.step()
    assert len(calls) <= 2 * 4


class Root(mho.Response):
    """No number above 0.1."""

    def up(self, w):
        return torch.sqrt(0.1 - w)

    def down(self, w):
        return 1 + w

    def bounds(self):
        return -1.0, 1.0


def test_the_error_of_a_law_is_raised_and_earlier_blocks_are_done() -> None:
    """The second layer's law runs away; the first layer has its step, as without requests."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 12), nn.Sigmoid(), nn.Linear(12, 5))
    model[0] = mho.convert_(model[0], mho.Crossbar(device=DEVICE), key=1)
    model[2] = mho.convert_(model[2], mho.Crossbar(device=mho.Device(Root(), dw_min=0.01)), key=2)
    optimizer = mho.AnalogOptimizer(model, lr=1.0)
    functional.cross_entropy(model(numbers(9, 6, 20)), torch.arange(6) % 5).backward()
    with pytest.raises(mho.MhoError, match="the law drove cell"):
        optimizer.step()
    assert sum(model[0].matrix.blocks[0].state.W.pulses_sent) > 0


def test_a_summary_says_whose_steps_are_not_remembered() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    for n, crossbar in enumerate([mho.Crossbar(), mho.Crossbar(Odd()), mho.Crossbar(pulses=mho.Expected())]):
        model[n] = mho.convert_(model[n], crossbar, key=n)
    assert [line.slow for line in mho.summary(model)] == [
        "",
        "Odd.repeats is False",
        "its verbs on W and P are carried out one by one",
    ]
    assert "\n1: each step is written down anew, Odd.repeats is False" in repr(mho.summary(model))
