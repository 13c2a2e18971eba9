"""Runs: complete folders, resuming bit for bit, comparisons with the right arithmetic."""

import copy
import csv
import json
import math
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import mho
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.base.errors import MhoError
from mho.base.files import whole, write_json
from mho.data import Dataset, load
from mho.figures import curves
from mho.figures.style import save
from mho.training import (
    Interrupted,
    RunFolder,
    RunSpec,
    Session,
    choose,
    choose_several,
    compare,
    default_hardware,
    networks,
    summarise,
    train,
)
from mho.training.spec import order

SMALL = RunSpec(hidden=(8,), epochs=3, batch_size=100, lr=0.1, lr_step=2, deterministic=True)
ANALOG = SMALL.replace(
    hardware=mho.Crossbar(
        device=mho.Device(mho.responses.Power(tau=0.6), sigma_c2c=0.3, spread={"gain": 0.1})
    )
)
SPECS = pytest.mark.parametrize("spec", [SMALL, ANALOG], ids=["digital", "residual-learning"])


class Watcher:
    """Counts batches, and raises SIGINT after one of them."""

    def __init__(self, stop_after=None):
        self.batches, self.epochs, self.closed, self.stop_after = 0, 0, 0, stop_after
        self.threads = set()

    def batch(self, session):
        self.batches += 1
        self.threads.add((torch.get_num_threads(), mho.get_threads()))
        if self.batches == self.stop_after:
            signal.raise_signal(signal.SIGINT)

    def epoch(self, session, row):
        self.epochs += 1

    def close(self):
        self.closed += 1


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def state(folder):
    """The checkpoint without wall times, flattened to {path: value}."""
    flat = {}

    def walk(value, path):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{key}")
        elif isinstance(value, (list, tuple)):
            for i, inner in enumerate(value):
                walk(inner, f"{path}.{i}")
        elif not path.endswith("seconds"):
            flat[path] = value

    walk(torch.load(folder / "checkpoint.pt", weights_only=True), "")
    return flat


def assert_same(left, right):
    assert left.keys() == right.keys()
    for path, value in left.items():
        same = torch.equal(value, right[path]) if isinstance(value, torch.Tensor) else value == right[path]
        assert same, path


@SPECS
def test_a_run_folder_is_complete(spec, tmp_path):
    result = train(spec, tmp_path / "run")
    names = ["checkpoint.pt", "config.json", "curves.pdf", "curves.png", "metrics.csv", "result.json"]
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == names
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    lines = rows(tmp_path / "run")
    assert [line["epoch"] for line in lines] == ["1", "2", "3"]
    assert [float(line["lr"]) for line in lines] == [0.1, 0.1, 0.05]
    assert float(lines[-1]["test_accuracy"]) == result["test_accuracy"]
    assert {"torch", "numba", "numpy", "python", "mho"} == set(result["versions"])
    if spec.hardware is not None:
        for array in ("W", "P"):
            counts = result["arrays"][array]
            assert int(lines[-1][f"pulses_up_{array}"]) == counts["up"] > 0
            assert counts["cells"] == 64 * 8 + 8 * 10
        assert 0 <= result["clipped_fraction"] < 1 and result["saturated_cells"] >= 0


@SPECS
@pytest.mark.parametrize("batches", [1, 19, 30], ids=["start", "middle", "end-of-epoch"])
def test_resuming_continues_bit_for_bit(spec, batches, tmp_path):
    train(spec, tmp_path / "whole")
    watcher = Watcher(stop_after=batches)
    with pytest.raises(Interrupted) as stop:
        train(spec, tmp_path / "parts", watch=watcher)
    assert stop.value.number == signal.SIGINT and watcher.batches == batches and watcher.closed == 1
    assert not (tmp_path / "parts" / "result.json").exists()
    watcher = Watcher()
    train(spec, tmp_path / "parts", resume=True, watch=watcher)
    assert watcher.batches == 3 * 15 - batches
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert_same(state(tmp_path / "parts"), state(tmp_path / "whole"))


def test_a_deterministic_run_does_not_depend_on_the_threads(tmp_path):
    before = torch.get_num_threads(), mho.get_threads()
    for threads in (1, 2):
        watcher = Watcher()
        train(ANALOG.replace(threads=threads), tmp_path / str(threads), watch=watcher)
        assert watcher.threads == {(1, threads)}
        assert (torch.get_num_threads(), mho.get_threads()) == before
    assert_same(state(tmp_path / "1"), state(tmp_path / "2"))


def test_a_run_can_be_extended(tmp_path):
    train(SMALL.replace(epochs=5), tmp_path / "long")
    train(SMALL, tmp_path / "short")
    result = train(SMALL.replace(epochs=5), tmp_path / "short", resume=True)
    assert result["epochs"] == 5 and rows(tmp_path / "short") == rows(tmp_path / "long")
    with pytest.raises(MhoError, match="has 5 epochs behind it"):
        train(SMALL, tmp_path / "short", resume=True)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, written, watcher = train(SMALL, tmp_path), (tmp_path / "result.json").stat(), Watcher()
    assert train(SMALL, tmp_path, resume=True, watch=watcher) == first
    assert watcher.batches == 0 and (tmp_path / "result.json").stat() == written


def test_a_folder_holds_one_run(tmp_path):
    train(SMALL.replace(epochs=1), tmp_path)
    with pytest.raises(MhoError, match=r"the folder holds a run already\. Fix: pass resume=True"):
        train(SMALL, tmp_path)
    with pytest.raises(MhoError, match=r"it holds a run with lr = 0.1, not 0.2"):
        train(SMALL.replace(lr=0.2), tmp_path, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(MhoError, match=r"checkpoint.pt`: is no checkpoint"):
        train(SMALL, tmp_path, resume=True)


def test_missing_data_leaves_no_folder(tmp_path):
    with pytest.raises(MhoError, match="is no folder"):
        train(SMALL.replace(data="mnist", data_dir=str(tmp_path)), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    data = load("digits")
    session = Session(SMALL, data)
    session.step()
    with torch.no_grad():
        next(session.model.parameters()).fill_(math.nan)
    before = [p.clone() for p in session.model.parameters()]
    with pytest.raises(MhoError, match=r"the loss is nan in epoch 1, batch 2, at lr = 0.1"):
        session.step()
    assert all(
        torch.equal(a, b) or a.isnan().all() for a, b in zip(before, session.model.parameters(), strict=True)
    )


def test_the_order_of_images_depends_on_seed_and_epoch_alone():
    torch.manual_seed(1)
    first = order(SMALL, 0, 50)
    torch.manual_seed(2)
    assert torch.equal(first, order(SMALL, 0, 50))
    assert sorted(first.tolist()) == list(range(50))
    assert not torch.equal(first, order(SMALL, 1, 50))
    assert not torch.equal(first, order(SMALL.replace(seed=1), 0, 50))


def test_building_a_run_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    Session(SMALL, load("digits"))
    assert torch.equal(before, torch.get_rng_state())


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), whole(tmp_path / "a.txt") as part:
        part.write_text("new, but")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}


def test_files_are_replaced_in_one_place():
    """The cache of compiled code has another one: its files have digests, and need not wait for the disk."""
    by_hand = re.compile(r"mkstemp|os\.replace|\.tmp\b")
    source = Path(mho.__file__).parent
    found = [str(f.relative_to(source)) for f in source.rglob("*.py") if by_hand.search(f.read_text())]
    assert sorted(found) == ["base/cache.py", "base/files.py"]


# -- comparisons


def test_means_spreads_and_paired_errors():
    def runs(*accuracies):
        return [
            {"test_accuracy": a, "arrays": {"W": {"up": 3, "down": 2}}, "seconds": 1.0} for a in accuracies
        ]

    found = summarise({"digital": runs(0.9, 0.8, 1.0), "mine": runs(0.8, 0.7, 0.6)})
    assert found["digital"]["mean"] == pytest.approx(0.9)
    assert found["mine"]["standard_deviation"] == pytest.approx(0.1)
    pair = found["mine"]["paired"]["digital"]  # differences -.1, -.1, -.4: their deviation is sqrt(.03)
    assert pair["difference"] == pytest.approx(-0.2)
    assert pair["standard_error"] == pytest.approx(math.sqrt(0.03 / 3))
    assert found["digital"]["paired"] == {} and found["mine"]["pulses"] == 5
    alone = summarise({"digital": runs(0.9), "mine": runs(0.8)})["mine"]
    assert alone["standard_deviation"] is None and alone["paired"]["digital"]["standard_error"] is None


def test_a_comparison_keeps_what_is_finished(tmp_path):
    short = SMALL.replace(epochs=2)
    specs = choose_several(short, ["digital", "AnalogSGD"], "soft-bounds")
    watchers = []

    def watch(title):
        watchers.append(Watcher(stop_after=20 if len(watchers) == 1 else None))
        return watchers[-1]

    with pytest.raises(Interrupted):
        compare(specs, range(2), tmp_path, watch=watch)
    summary = compare(specs, range(2), tmp_path, watch=watch)
    assert [w.batches for w in watchers] == [30, 20, 0, 10, 30, 30]
    assert list(summary["algorithms"]) == ["digital", "analog-sgd"]
    assert set(summary["algorithms"]["analog-sgd"]["paired"]) == {"digital"}
    assert json.loads((tmp_path / "compare.json").read_text()) == summary
    with (tmp_path / "compare.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["algorithm"], line["seed"]) for line in lines] == [
        ("digital", "0"), ("digital", "1"), ("analog-sgd", "0"), ("analog-sgd", "1"),
    ]  # fmt: skip
    assert (tmp_path / "compare.png").stat().st_size > 5000 and (tmp_path / "compare.pdf").exists()


def test_settings_reach_the_algorithms_that_have_the_field():
    specs = choose_several(
        SMALL,
        ["digital", "analog-sgd", "residual-learning"],
        "exponential",
        ["algorithm.gamma=0.1", "device.dw_min=0.01"],
    )
    assert specs["digital"].hardware is None
    assert specs["analog-sgd"].hardware.algorithm == mho.algorithms.AnalogSGD()
    assert specs["residual-learning"].hardware.algorithm == mho.algorithms.ResidualLearning(gamma=0.1)
    assert specs["analog-sgd"].hardware.device == specs["residual-learning"].hardware.device
    assert specs["analog-sgd"].hardware.device == default_hardware().device.replace(
        response=mho.responses.Exponential(), dw_min=0.01
    )
    with pytest.raises(
        MhoError, match=r"\(settings='algorithm.gamma=1'\)`: none of digital, analog-sgd has this field"
    ):
        choose_several(SMALL, ["digital", "analog-sgd"], None, ["algorithm.gamma=1"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choose(SMALL, "residul-learning"), "did you mean 'residual-learning'"),
        (lambda: choose(SMALL, "power"), "no such algorithm"),
        (lambda: choose(SMALL, "analog-sgd", "response"), "no such response"),
        (lambda: choose(SMALL, "digital", "power"), "no hardware can be set"),
        (lambda: RunSpec(data="mnits"), "did you mean 'mnist'"),
        (lambda: RunSpec(activation="gelu"), "known: relu, sigmoid, tanh"),
        (lambda: RunSpec(hidden=(3, 0)), "a layer has at least one unit"),
        (lambda: RunSpec(hardware="analog"), "it must be a Crossbar"),
    ],
)
def test_wrong_choices(call, message):
    with pytest.raises(MhoError, match=message):
        call()


def test_figures_are_reproducible(tmp_path):
    figure = curves.comparison({"a": [[0.1, 0.5], [0.2, 0.6]], "b": [[0.3, 0.4]]})
    line = figure.axes[0].lines[0]
    assert np.allclose(line.get_ydata(), [15, 55]) and line.get_label() == "a"
    first = [path.read_bytes() for path in save(figure, tmp_path / "a")]
    assert first == [path.read_bytes() for path in save(figure, tmp_path / "b")]
    assert first[0].startswith(b"\x89PNG") and first[1].startswith(b"%PDF")


def test_no_run_to_resume(tmp_path):
    with pytest.raises(MhoError, match="the folder holds no run to resume"):
        RunFolder(tmp_path).config()


def test_lenet_is_the_network_of_the_papers():
    """80,202 numbers for 28 x 28 pixels, and an error that says so for images that are too small."""
    model = networks.lenet()
    assert sum(p.numel() for p in model.parameters()) == 416 + 12_832 + 65_664 + 1_290
    assert model(torch.rand(3, 784)).exp().sum(1).tolist() == pytest.approx([1] * 3, abs=1e-5)
    with pytest.raises(mho.MhoError, match=r"the images are 8 x 8 pixels\. It needs 16 x 16"):
        Session(RunSpec(network="lenet"), load("digits"))


@pytest.mark.parametrize("algorithm", [AnalogSGD(), ResidualLearning()], ids=lambda a: type(a).__name__)
def test_lenet_resumes_bit_for_bit(algorithm):
    """On a few images of noise: a session, and one that is restored after its first step."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.rand(12, 324, generator=g), torch.arange(12) % 3
    data = Dataset("noise", x, y, x, y, 3, (18, 18), "")
    hardware = mho.Crossbar(algorithm=algorithm, device=mho.Device(sigma_c2c=0.1))
    spec = RunSpec(network="lenet", batch_size=4, hardware=hardware)
    one, other = Session(spec, data), Session(spec, data)
    one.step()
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for session in (one, other):
        session.step()
        session.step()
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
    assert one.loss_sum == other.loss_sum
