"""Roles: advice, diagnosis and calibration of an algorithm whose arrays and fields have names of its own."""

import copy
import re

import pytest
import torch
from torch import nn

import mho
import mho.testing
from mho.algorithms import AGAD, MultiTileResidual, ResidualLearning, TwoStage
from mho.algorithms.parts.lines import next_line
from mho.algorithms.state import due, rate
from mho.base.roles import FIELDS, Roles
from mho.calibration import Tracker, calibrate_
from mho.responses import Power, SoftBounds

DEVICE = mho.Device(Power(tau=0.6, gamma_res=1.0), dw_min=1e-3)
OFF = DEVICE.replace(reference_mean=0.3)
NAMES = {"fast_lr": "quick", "transfer_lr": "slow", "gamma": "share", "transfer_every": "wait"}


class Mine(mho.Algorithm):
    """Residual Learning with other names, its arrays made in the other order."""

    quick: float = 0.01
    slow: float = 1.0
    share: float = 0.4
    wait: int = 1
    eta: float = 0.0  # no filter: it has the name of a role and another meaning

    def roles(self):
        return Roles(gradient="learner", weights="keeper", fields=NAMES | {"eta": None})

    def init(self, new_tile, w0):
        learner = new_tile("learner", torch.zeros_like(w0))
        return mho.State(learner=learner, keeper=new_tile("keeper", w0, pulses="transfer"), t=0)

    def visible(self, s):
        return [mho.Term(s.keeper), mho.Term(s.learner, self.share)]

    def step(self, s, g, lr):
        s.learner.update(g.x, g.d, rate(self.quick, False, lr))
        if due(s, self.wait):
            line = next_line(s, "column", s.learner.shape, self.wait)
            line.write(s.keeper, line.read(s.learner), self.slow)


def crossbar(algorithm, gradient=DEVICE, weights=DEVICE, **more):
    roles = algorithm.roles()
    return mho.Crossbar(
        algorithm=algorithm, device={roles.gradient: gradient, roles.weights: weights}, **more
    )


def trained(hardware, steps=0, waiting=True):
    """A network after some steps; `waiting`: the factors of the next one are recorded."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3))
    mho.convert_(model, hardware)
    optimizer = mho.AnalogOptimizer(model, lr=0.1)
    for step in range(steps + waiting):
        optimizer.zero_grad()
        x = torch.rand(10, 12, generator=torch.Generator().manual_seed(step)) * 2 - 1
        (model(x) - x[:, :3]).square().mean().backward()
        if step < steps:
            optimizer.step()
    return model, optimizer


def diagnosed(hardware, **more):
    model, optimizer = trained(hardware, **more)
    return mho.diagnose(model, optimizer=optimizer)


def test_the_suite_takes_it():
    mho.testing.check_algorithm(Mine(quick=0.1, slow=0.05))
    assert Mine().field_of("fast_lr") == "quick" and Mine().setting("gamma") == 0.4
    assert Mine().field_of("eta") is None and Mine().setting("eta", 7) == 7


def test_advice_is_that_of_residual_learning_in_its_own_words():
    hardware = mho.Crossbar(device={"learner": mho.Device(SoftBounds(), dw_min=1e-3), "keeper": DEVICE})
    theirs = mho.Crossbar(device={"P": mho.Device(SoftBounds(), dw_min=1e-3), "W": DEVICE})
    like = ResidualLearning(scale_transfer_lr=False)
    mine = {a.name: a for a in mho.advise(hardware, (256, 784), Mine(), fixed={"quick": 0.2, "wait": 4})}
    other = mho.advise(theirs, (256, 784), like, fixed={"fast_lr": 0.2, "transfer_every": 4})
    own = NAMES | {"fast_lr_limit": "quick_limit", "transfer_every_most": "wait_most"}
    assert list(mine) == [own.get(a.name, a.name) for a in other]
    for theirs in other:
        found = mine[own.get(theirs.name, theirs.name)]
        assert (found.value, found.with_numbers) == (theirs.value, theirs.with_numbers), theirs.name
    assert {a.field for a in mine.values()} == {"device", "tile", *NAMES.values()}
    assert "quick" in mine["pulses_per_step"].formula and "quick" in mine["pulses_per_step"].inputs
    assert mine["sweep"].value == 392 * 4


@pytest.mark.parametrize("rule", ["reference", "below granularity", "clipped", "coarse", "dead"])
def test_findings_are_those_of_residual_learning(rule):
    pairs = {
        "reference": ({"gradient": OFF}, {}, {}),
        "below granularity": ({}, {"fast_lr": 1e-4}, {}),
        "clipped": ({}, {"fast_lr": 20.0, "transfer_lr": 0.0}, {"steps": 10}),
        "coarse": ({"weights": DEVICE.replace(dw_min=0.1)}, {}, {}),
        "dead": ({}, {"transfer_lr": 0.0}, {"steps": 110}),
    }
    devices, fields, run = pairs[rule]
    like = ResidualLearning(scale_transfer_lr=False, **fields)
    mine = Mine(**{NAMES[role]: value for role, value in fields.items()})
    expected = [f for f in diagnosed(crossbar(like, **devices), **run) if f.rule == rule]
    found = [f for f in diagnosed(crossbar(mine, **devices), **run) if f.rule == rule]
    own = {"P": "learner", "W": "keeper"}
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        layer, _, array = other.where.partition(": ")
        assert one.where == f"{layer}: {own[array]}" and one.severity == other.severity
        texts = one.fix, other.fix.replace("fast_lr ", "quick ")
        mine, theirs = (re.sub(r"\d\S*", "#", text) for text in texts) if run else texts
        assert mine == theirs
        assert one.numbers == pytest.approx(other.numbers, rel=0.2 if rule == "clipped" else 1e-5)


def test_a_healthy_training_has_no_findings():
    assert list(diagnosed(crossbar(Mine(quick=0.03, slow=0.1)), steps=150)) == []


def test_calibration_finds_the_array_of_the_gradient():
    model, _ = trained(crossbar(Mine(), gradient=OFF), waiting=False)
    found = calibrate_(model, 4000)
    states = [m for m in model.modules() if isinstance(m, mho.State)]
    assert len(found) == len(states) == 2
    for result, state in zip(found.values(), states, strict=True):
        assert result.estimate.mean() == pytest.approx(-0.3, abs=0.01)
        assert state.learner.w.abs().max() < 1e-6 and state.keeper.pulses_sent == (0, 0)
    assert len(Tracker(model)._watched) == 2
    alone, _ = trained(mho.Crossbar(algorithm=mho.algorithms.AnalogSGD()), waiting=False)
    with pytest.raises(mho.MhoError, match=r"calibrate_\(array=None\)`: no layer has such an array"):
        calibrate_(alone)


def test_the_state_of_a_layer_knows_its_roles_in_copies_too():
    model, _ = trained(crossbar(Mine()), waiting=False)
    for net in (model, copy.deepcopy(model)):
        assert all(m.roles == Mine().roles() for m in net.modules() if isinstance(m, mho.State))


WRONG = {
    "has gradient='P'; init made": Roles("P", "keeper"),
    "has buffer='H'; init made": Roles("learner", "keeper", buffer="H"),
    r"does not say what \['learner'\] are for": Roles("keeper", "keeper"),
    "has weights='learner', which starts": Roles("keeper", "learner"),
    "gives a field the role 'speed'": Roles("learner", "keeper", fields={"speed": "quick"}),
    "there is no field 'fast'": Roles("learner", "keeper", fields={"fast_lr": "fast"}),
}


@pytest.mark.parametrize("message", WRONG)
def test_the_suite_finds_wrong_roles(message):
    wrong = type("Wrong", (Mine,), {"__module__": __name__, "roles": lambda self: WRONG[message]})
    with pytest.raises(AssertionError, match=message):
        mho.testing.check_algorithm(wrong(quick=0.1))


def test_an_array_that_gets_no_gradient_is_found():
    def step(self, s, g, lr):
        s.keeper.update(g.x, g.d, 0.1)

    idle = type("Idle", (Mine,), {"__module__": __name__, "step": step})
    with pytest.raises(AssertionError, match="has gradient='learner', and no step wrote to it"):
        mho.testing.check_algorithm(idle())


def test_roles_follow_the_fields():
    assert AGAD().roles().buffer == "H" and AGAD(buffer=False).roles().buffer is None
    assert MultiTileResidual(tiles=3).roles().chain == ("W0", "W1", "W2")
    assert AGAD().roles().copes and not TwoStage().roles().copes and TwoStage().roles().calibrates
    known = {role for a in mho.testing.algorithms() for role in FIELDS if a().field_of(role)}
    assert known == set(FIELDS), "every role is played by a field of some algorithm"
