"""Why a training fails: trainings that are broken on purpose, and one that is not."""

import csv
import json
import math

import pytest
import torch
from torch import nn

import mho
from mho.algorithms import AGAD, ERIDER, AnalogSGD, DigitalSGD, MixedPrecision, ResidualLearning
from mho.cli import main
from mho.diagnostics import rules
from mho.diagnostics.arrays import BINS
from mho.responses import Constant, Power, SoftBounds

LAW = Power(tau=0.6, gamma_res=1.0)
DEVICE = mho.Device(LAW, dw_min=1e-3, sigma_c2c=0.3, spread={"gain": 0.3})
SGD = mho.Crossbar(algorithm=AnalogSGD(), device=DEVICE)
RESIDUAL = mho.Crossbar(algorithm=ResidualLearning(fast_lr=0.03), device=DEVICE)


def batch(step):
    g = torch.Generator().manual_seed(step)
    x = torch.rand(10, 12, generator=g) * 2 - 1
    return x, x[:, :3] - x[:, 3:6]


def trained(hardware, lr=0.1, steps=150, waiting=True, change=None):
    """A network after some steps, and its optimizer; `waiting`: the next step's factors are recorded."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3))
    if change:
        change(model)
    mho.convert_(model, hardware, key=0)
    optimizer = mho.AnalogOptimizer(model, lr=lr)
    for step in range(steps + waiting):
        optimizer.zero_grad()
        x, y = batch(step)
        (model(x) - y).square().mean().backward()
        if step < steps:
            optimizer.step()
    if not waiting:
        optimizer.zero_grad()
    return model, optimizer


def diagnosed(*args, **options):
    model, optimizer = trained(*args, **options)
    return mho.diagnose(model, optimizer=optimizer)


def by_rule(diagnosis, rule):
    return [finding for finding in diagnosis if finding.rule == rule]


# A healthy training, and broken ones.


@pytest.mark.parametrize("hardware", [SGD, RESIDUAL], ids=["analog-sgd", "residual-learning"])
@pytest.mark.parametrize("waiting", [True, False])
def test_a_healthy_training_has_no_findings(hardware, waiting):
    found = diagnosed(hardware, waiting=waiting)
    assert list(found) == []
    assert str(found).endswith("Nothing found.")


@pytest.mark.parametrize(
    ("hardware", "lr", "array"),
    [(SGD, 1e-4, "W"), (RESIDUAL.replace(algorithm=ResidualLearning(fast_lr=1e-4)), 0.1, "P")],
    ids=["lr", "fast_lr"],
)
def test_a_rate_that_is_too_small_is_below_granularity(hardware, lr, array):
    found = diagnosed(hardware, lr=lr)
    assert found.rules == {"below granularity"}
    assert [f.where for f in found] == [f"{n}.matrix.blocks.0: {array}" for n in (0, 2)]
    for finding in found:
        assert finding.numbers["largest"] < 0.1
        assert finding.numbers["mean"] < finding.numbers["largest"] * 10
        assert finding.severity == ("error" if finding.numbers["largest"] < 0.01 else "warning")


def test_the_size_of_an_update_is_that_of_the_recorded_factors():
    model, optimizer = trained(SGD, lr=1e-4)
    block = model[0].matrix.blocks[0]
    [factors] = block.factors
    products = factors.d.abs()[:, :, None] * factors.x.abs()[:, None]
    finding = mho.diagnose(model, optimizer=optimizer)[0]
    assert finding.where == "0.matrix.blocks.0: W"
    assert finding.numbers["largest"] == pytest.approx(1e-4 * products.max().item() / 1e-3, rel=1e-5)
    assert finding.numbers["mean"] == pytest.approx(1e-4 * products.sum(0).mean().item() / 1e-3, rel=1e-5)
    assert "lr from" in finding.fix


def test_counters_tell_it_where_no_factors_wait():
    model, _ = trained(SGD, lr=1e-5, waiting=False)
    [first, second] = mho.diagnose(model)
    assert first.rule == second.rule == "below granularity"
    assert 0 < first.numbers["pulses"] < 1e-3
    assert "150 updates" in first.measured


@pytest.mark.parametrize(
    ("hardware", "lr", "rate"),
    [(SGD, 5.0, "lr"), (RESIDUAL.replace(algorithm=ResidualLearning(fast_lr=20.0)), 0.01, "fast_lr")],
    ids=["lr", "fast_lr"],
)
def test_a_rate_that_is_too_large_is_clipped(hardware, lr, rate):
    found = diagnosed(hardware, lr=lr, steps=20)
    clipped = by_rule(found, "clipped")
    assert {"0.matrix.blocks.0", "2.matrix.blocks.0"} == {f.where.partition(":")[0] for f in clipped}
    assert any(f.severity == "error" for f in clipped)
    assert any(f.fix.startswith(f"{rate} below ") for f in clipped)


def test_the_advised_limit_is_that_of_the_train():
    model, optimizer = trained(SGD, lr=5.0, steps=20)
    seen = [f for f in mho.diagnose(model, optimizer=optimizer) if f.where == "2.matrix.blocks.0: W"]
    [clipped] = [f for f in seen if f.rule == "clipped"]
    [factors] = model[2].matrix.blocks[0].factors
    limit = 31 * 1e-3 / (factors.x.abs().max() * factors.d.abs().max()).item()
    assert clipped.fix.startswith(f"lr below {limit:.2g} ")


def test_a_device_that_is_too_narrow_saturates():
    narrow = SGD.replace(device=mho.Device(Constant(tau_max=0.05, tau_min=-0.05)))
    with pytest.warns(mho.nn.ConversionWarning):
        found = diagnosed(narrow)
    saturated = by_rule(found, "saturated")
    assert len(saturated) == 2
    for finding in saturated:
        assert finding.severity == "error"
        assert finding.numbers["low"] > 0.1 and finding.numbers["high"] > 0.1
        assert "pulses took them there" in finding.measured
    with pytest.warns(mho.nn.ConversionWarning):
        started = mho.diagnose(trained(narrow, steps=0, waiting=False)[0])
    assert {f.measured.rpartition("; ")[2] for f in started} == {"they started there, or beyond"}


def test_soft_bounds_are_reached_when_they_are_near():
    model, _ = trained(SGD.replace(device=mho.Device(SoftBounds(), dw_min=0.01)), steps=0)
    tile = model[0].matrix.blocks[0].state.W
    tile.program(torch.full(tile.shape, 0.97))
    [finding] = by_rule(mho.diagnose(model), "saturated")
    assert finding.numbers == {"low": 0.0, "high": 1.0}
    tile.program(torch.full(tile.shape, -0.97))
    [finding] = by_rule(mho.diagnose(model), "saturated")
    assert finding.numbers == {"low": 1.0, "high": 0.0}
    tile.program(torch.full(tile.shape, 0.95))
    assert not by_rule(mho.diagnose(model), "saturated")


@pytest.mark.parametrize(
    ("algorithm", "severity"), [(ResidualLearning(), "error"), (AGAD(), "note"), (ERIDER(), "note")], ids=repr
)
def test_a_wrong_reference(algorithm, severity):
    device = {"P": DEVICE.replace(reference_mean=0.3), "W": DEVICE}
    found = diagnosed(SGD.replace(algorithm=algorithm, device=device), steps=5)
    of_reference = by_rule(found, "reference")
    assert [f.severity for f in of_reference] == [severity] * 2
    for finding in of_reference:
        assert finding.numbers["sp_mean"] == pytest.approx(-0.3)
        assert finding.numbers["sp_std"] == pytest.approx(0, abs=1e-6)
        assert finding.numbers["asymmetry_at_zero"] == pytest.approx(0.3 / 0.6, rel=1e-5)


def test_a_calibrated_reference_and_a_device_without_asymmetry_are_fine():
    skewed = DEVICE.replace(up_down=0.3)
    for device, n in (
        (skewed, 2),
        (skewed.replace(subtract_sp=True), 0),
        (DEVICE.replace(response=Constant(), reference_mean=0.3), 0),
    ):
        found = diagnosed(RESIDUAL.replace(device={"P": device, "W": DEVICE}), steps=0)
        assert len(by_rule(found, "reference")) == n, device


def test_asymmetric_pulses_on_the_weights_themselves():
    def far(model):
        model[0].weight.data = model[0].weight.data.sign() * 0.4

    [finding] = by_rule(diagnosed(SGD, steps=1, change=far), "asymmetric")
    assert finding.where == "0.matrix.blocks.0: W"
    assert finding.numbers["asymmetry"] == pytest.approx(0.4 / 0.6, rel=0.02)
    assert not by_rule(diagnosed(RESIDUAL, steps=1, change=far), "asymmetric"), "P takes the gradient there"
    off = {"P": DEVICE.replace(reference_mean=0.45), "W": DEVICE}
    found = diagnosed(RESIDUAL.replace(device=off), steps=1)
    assert by_rule(found, "reference") and not by_rule(found, "asymmetric")


def test_weights_that_get_many_pulses_to_and_fro_are_forgotten():
    model, optimizer = trained(SGD, steps=5, waiting=False)
    tile = model[0].matrix.blocks[0].state.W
    for n in range(2000):
        tile.pulse(torch.full(tile.shape, (-1.0) ** n))
    [finding] = by_rule(mho.diagnose(model, optimizer=optimizer), "forgetting")
    assert finding.where == "0.matrix.blocks.0: W"
    assert finding.numbers["T_sp"] == pytest.approx(0.6 / 1e-3, rel=1e-3)
    assert finding.numbers["pulses"] == pytest.approx(sum(tile.pulses_sent) / 192)
    assert tile.w.abs().mean() < 0.05, "they have been"
    even, _ = trained(SGD.replace(device=DEVICE.replace(response=Constant())), steps=5)
    even[0].matrix.blocks[0].state.W.tally[:2] = 10_000_000
    assert not by_rule(mho.diagnose(even), "forgetting"), "without asymmetry nothing is lost"


def test_a_threshold_that_is_never_reached_leaves_the_array_dead():
    device = {"P": DEVICE, "W": DEVICE}
    hardware = SGD.replace(algorithm=AGAD(auto_granularity=1e6), device=device)
    found = diagnosed(hardware, steps=120)
    dead = by_rule(found, "dead")
    assert [f.where for f in dead] == ["0.matrix.blocks.0: W", "2.matrix.blocks.0: W"]
    assert dead[0].numbers["threshold"] == pytest.approx(1e-3 * 1e6 / 12)
    assert dead[0].numbers["steps"] == 120
    assert not by_rule(diagnosed(hardware, steps=20), "dead"), "too early to say"


def test_a_layer_that_the_optimizer_does_not_know_is_untrained():
    model, _ = trained(SGD, steps=0, waiting=False)
    optimizer = mho.AnalogOptimizer(model[0], lr=0.1)
    for step in range(3):
        x, y = batch(step)
        (model(x) - y).square().mean().backward()
        optimizer.step()
    [finding] = by_rule(mho.diagnose(model), "untrained")
    assert finding.where == "2.matrix.blocks.0: W"
    for block in model[2].matrix.blocks:
        block.weight.requires_grad_(False)
    assert not by_rule(mho.diagnose(model), "untrained"), "it is frozen"


def test_errors_that_are_all_zero():
    model, optimizer = trained(SGD, steps=1, waiting=False)
    (0.0 * model(batch(0)[0])).sum().backward()
    found = mho.diagnose(model, optimizer=optimizer)
    assert [(f.rule, f.where) for f in found] == [("no gradient", f"{n}.matrix.blocks.0") for n in (0, 2)]


def test_errors_that_are_not_finite():
    model, optimizer = trained(SGD, steps=1, waiting=False)
    (torch.nan * model(batch(0)[0])).sum().backward()
    assert mho.diagnose(model, optimizer=optimizer).rules == {"not finite"}


def test_weights_of_few_granules():
    found = diagnosed(SGD.replace(device=mho.Device(LAW, dw_min=0.1)), steps=1)
    coarse = by_rule(found, "coarse")
    assert len(coarse) == 2
    assert coarse[0].numbers["states"] < 5
    spread = SGD.replace(device=mho.Device(LAW, dw_min=0.02), mapping=mho.Mapping(omega=0.4))
    assert not by_rule(diagnosed(spread, steps=1), "coarse")


def test_converters_that_clip_or_drown():
    cut = mho.IO(
        inp_bound=0.5, out_bound=0.2, sigma_out=0.0, noise_management="none", bound_management="none"
    )
    found = diagnosed(SGD.replace(io=cut), steps=1)
    [inputs] = [f for f in found if "inputs_clipped" in f.numbers and f.where == "0.matrix.blocks.0"]
    x = batch(1)[0]
    assert inputs.numbers["inputs_clipped"] == pytest.approx((x.abs() > 0.5).float().mean().item())
    assert any(f.numbers.get("outputs_clipped", 0) > 0.01 for f in found)
    noisy = by_rule(diagnosed(SGD.replace(io=mho.IO(sigma_out=2.0)), steps=1), "noisy outputs")
    assert len(noisy) == 2
    assert noisy[0].numbers["noise"] > 1
    assert not diagnosed(SGD.replace(io=None), steps=1).rules & {"converters", "noisy outputs"}


def test_stuck_cells_are_a_note_and_are_left_out_of_the_rest():
    hardware = SGD.replace(device=DEVICE.replace(corrupt=0.2, corrupt_range=0.05))
    with pytest.warns(mho.nn.ConversionWarning):
        found = diagnosed(hardware, steps=1)
    assert found.rules == {"stuck"}
    assert all(0.05 < f.numbers["stuck"] < 0.4 and f.severity == "note" for f in found)


# What is measured.


def test_numbers_of_an_array():
    model, _ = trained(RESIDUAL, waiting=False)
    found = mho.diagnose(model)
    assert [a.name for a in found.arrays] == [f"{n}.matrix.blocks.0: {a}" for n in (0, 2) for a in "WP"]
    tile, array = model[0].matrix.blocks[0].state.P, found.arrays[1]
    assert (array.up, array.down) == tile.pulses_sent
    assert (array.shape, array.cells, array.updates, array.dw_min) == ((16, 12), 192, 150, 1e-3)
    assert array.mean == pytest.approx(tile.w.mean().item(), abs=1e-6)
    assert array.std == pytest.approx(tile.w.std(unbiased=False).item(), rel=1e-5)
    assert array.distance == pytest.approx(tile.w.square().mean().sqrt().item(), rel=1e-5)
    assert array.asymmetry == pytest.approx(array.distance / 0.6, rel=1e-5)
    assert (array.lower, array.upper) == pytest.approx((-0.6, 0.6))
    expected = torch.histc(tile.w, BINS, -0.6, 0.6).int()
    assert sum(array.counts) == 192
    assert (torch.tensor(array.counts) - expected).abs().sum() <= 2, (
        "cells on an edge may fall to either side"
    )


def test_a_diagnosis_changes_nothing():
    model, optimizer = trained(RESIDUAL)
    other, same = trained(RESIDUAL)
    mho.diagnose(model, optimizer=optimizer)
    for network, stepper in ((model, optimizer), (other, same)):
        stepper.step()
        x, y = batch(500)
        (network(x) - y).square().mean().backward()
        stepper.step()
    for (name, value), expected in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(value, expected), name


@pytest.mark.parametrize(
    "device",
    [mho.Vector(devices=(DEVICE, DEVICE)), mho.Reference(DEVICE), mho.OneSided(DEVICE)],
    ids=lambda d: type(d).__name__,
)
def test_devices_of_composed_cells_are_looked_at_one_by_one(device):
    found = diagnosed(SGD.replace(device=device), steps=20)
    names = {a.array for a in found.arrays}
    assert len(names) == 2
    assert all(name.startswith("W.") for name in names)


def test_convolutions_and_algorithms_without_pulsed_gradients():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    mho.convert_(model, {"0": SGD, "2": SGD.replace(algorithm=MixedPrecision())})
    optimizer = mho.AnalogOptimizer(model, lr=1e-5)
    x = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    model(x).square().sum().backward()
    found = mho.diagnose(model, optimizer=optimizer)
    [finding] = by_rule(found, "below granularity")
    assert finding.where == "0.parts.0.matrix.blocks.0: W"
    assert "64 samples" in finding.measured


def test_every_rule_has_words_and_they_are_printed():
    found = diagnosed(SGD.replace(device=DEVICE.replace(dw_min=0.1)), lr=1e-4, steps=2)
    text = str(found)
    for finding in found:
        assert set(finding._fields) == {"rule", "severity", "where", "measured", "numbers", "why", "fix"}
        assert f"{finding.severity.upper()} {finding.rule}" in text
        assert finding.why[:40] in text
        assert all(math.isfinite(n) for n in finding.numbers.values())
    severities = [f.severity for f in found]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    causes = [value for value in vars(rules).values() if isinstance(value, rules.Cause)]
    assert len(rules.RULES) <= len(causes) + 1
    assert all(cause.why and cause.fix for cause in causes)
    assert "pulses/cell" in text.splitlines()[0]


def test_many_places_of_one_finding_are_not_all_printed():
    torch.manual_seed(0)
    model = mho.convert_(
        nn.Sequential(*[nn.Linear(4, 4) for _ in range(7)]), SGD.replace(device=mho.Device(dw_min=0.1))
    )
    found = mho.diagnose(model)
    assert len(by_rule(found, "coarse")) == 7
    assert "and 3 more" in str(found)


def test_the_figure_has_a_panel_an_array(tmp_path):
    found = diagnosed(RESIDUAL, steps=5)
    figure = found.plot()
    assert [axes.get_title() for axes in figure.axes] == [a.name for a in found.arrays]
    [line] = figure.axes[0].lines
    assert line.get_xdata()[0] == pytest.approx(0.5), "the symmetric point, half way between the bounds"
    from mho.figures.style import save

    for path in save(figure, tmp_path / "cells"):
        assert path.stat().st_size > 1000


def test_what_cannot_be_diagnosed():
    for model, message in (
        (nn.Linear(2, 2), "the model has no array of devices"),
        (
            mho.convert_(nn.Linear(2, 2), mho.Crossbar(algorithm=DigitalSGD(), io=None)),
            "has no array of devices",
        ),
        ([], r"a torch\.nn\.Module"),
    ):
        with pytest.raises(mho.MhoError, match=message):
            mho.diagnose(model)
    model, _ = trained(SGD, steps=0)
    with pytest.raises(mho.MhoError, match=r"diagnose\(optimizer=\.\.\.\)"):
        mho.diagnose(model, optimizer=torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1))


# Curves and the command.


def curve(tmp_path, losses, accuracies, pulses):
    rows = [
        {
            "epoch": n + 1, "lr": 0.1, "train_loss": loss, "test_loss": loss, "train_accuracy": a,
            "test_accuracy": a, "pulses_up_W": up, "pulses_down_W": up, "seconds": 1.0,
        }
        for n, (loss, a, up) in enumerate(zip(losses, accuracies, pulses, strict=True))
    ]  # fmt: skip
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


@pytest.mark.parametrize(
    ("losses", "accuracies", "pulses", "expected"),
    [
        ([2.0, 1.0, 0.5], [0.3, 0.6, 0.8], [100, 190, 270], {}),
        ([2.3, 2.3, 2.3], [0.1, 0.11, 0.09], [100, 200, 300], {"chance": "error"}),
        ([2.0, 1.0, 1.3], [0.3, 0.6, 0.55], [100, 200, 300], {"diverging": "warning"}),
        ([2.0, 1.0, 2.5], [0.3, 0.6, 0.55], [100, 200, 300], {"diverging": "error"}),
        ([2.0, 1.0, 1.1], [0.3, 0.8, 0.65], [100, 200, 300], {"unstable": "warning"}),
        ([2.0, 1.0, 0.9], [0.3, 0.6, 0.6], [1000, 1900, 1903], {"drying up": "warning"}),
        ([2.0, 0.1, 0.01], [0.3, 0.96, 0.99], [1000, 1900, 1903], {}),
        ([1e-3, 1e-4, 2e-4], [0.99, 1.0, 1.0], [100, 200, 300], {}),
    ],
)
def test_what_a_curve_says(tmp_path, losses, accuracies, pulses, expected):
    model, _ = trained(SGD, steps=0, waiting=False)
    found = mho.diagnose(model, curve(tmp_path, losses, accuracies, pulses))
    assert {f.rule: f.severity for f in found} == expected
    assert all(f.where.startswith("run") for f in found)


def test_without_an_optimizer_the_rate_is_that_of_the_run(tmp_path):
    model, _ = trained(SGD)
    assert not by_rule(mho.diagnose(model), "below granularity")
    folder = curve(tmp_path, [1.0], [0.5], [100])
    assert not by_rule(mho.diagnose(model, folder), "below granularity")
    text = (folder / "metrics.csv").read_text().replace(",0.1,", ",0.0001,")
    (folder / "metrics.csv").write_text(text)
    assert by_rule(mho.diagnose(model, folder), "below granularity")


def test_a_folder_without_a_curve_is_an_error(tmp_path):
    model, _ = trained(SGD, steps=0)
    with pytest.raises(mho.MhoError, match=r"the folder has no metrics\.csv"):
        mho.diagnose(model, tmp_path)
    (tmp_path / "metrics.csv").write_text("epoch,lr\n")
    with pytest.raises(mho.MhoError, match="holds no epoch"):
        mho.diagnose(model, tmp_path)


@pytest.fixture
def command(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MHO_DATA", raising=False)

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run


QUICK = ("--hidden", "8", "--epochs", "1", "--quiet", "--set", "device.dw_min=0.01")


def test_the_command_says_it_of_a_run_and_leaves_it_alone(command, tmp_path):
    command("train", *QUICK, "--algorithm", "analog-sgd", "--lr", "1e-4", "--out", "slow")
    before = {path.name: path.read_bytes() for path in (tmp_path / "slow").iterdir()}
    code, out, _ = command("diagnose", "slow", "--plot", "cells")
    assert code == 0
    for words in (
        "ERROR below granularity",
        "0.matrix.blocks.0: W",
        "lr from",
        "ERROR chance",
        "pulses/cell",
    ):
        assert words in out
    assert (tmp_path / "cells.png").exists() and (tmp_path / "cells.pdf").exists()
    code, out, _ = command("diagnose", "slow", "--json")
    data = json.loads(out)
    assert {f["rule"] for f in data["findings"]} >= {"below granularity", "chance"}
    assert [a["layer"] for a in data["arrays"]] == ["0.matrix.blocks.0", "2.matrix.blocks.0"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "slow").iterdir()} == before


def test_the_command_on_what_is_no_run(command, tmp_path):
    code, _, err = command("diagnose", "nothing")
    assert code == 2 and "the folder holds no run" in err
    command("train", *QUICK[:5], "--algorithm", "digital", "--out", "digital")
    code, _, err = command("diagnose", "digital")
    assert code == 2 and "the run is digital" in err
    (tmp_path / "started").mkdir()
    config = json.loads((tmp_path / "digital" / "config.json").read_text())
    config["hardware"] = {"type": "Crossbar"}
    (tmp_path / "started" / "config.json").write_text(json.dumps(config))
    code, _, err = command("diagnose", "started")
    assert code == 2 and "no checkpoint yet" in err
