"""The examples run from end to end, on made-up data; where the real data are, ResNet-20 scores what it should."""

import ast
import importlib
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import mho
from mho import MhoError
from mho.training import Interrupted

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    """As if the examples' own folder were that of the script."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def texts(tmp_path):
    """A folder with both texts, which are easy to learn."""
    for name in ("warpeace_input.txt", "tinyshakespeare.txt"):
        (tmp_path / name).write_text("abcd" * 750)
    return tmp_path


def results(path):
    return json.loads((path / "results.json").read_text())["algorithms"]


def options(texts, out, *more):
    small = "--batch", "2", "--length", "5"
    return ["--data", str(texts), "--out", str(out), *small, *more]


def test_examples_import_public_names_only():
    """A name is public if `mho`, or a module that `mho` lists, lists it."""
    private = []
    for file in EXAMPLES.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "mho":
                room = importlib.import_module(node.module)
                listed = node.module == "mho" or node.module.removeprefix("mho.") in mho.__all__
                private += [a.name for a in node.names if not listed or a.name not in room.__all__]
            elif isinstance(node, ast.Import):
                private += [a.name for a in node.names if a.name.startswith("mho.")]
    assert private == []


TEXT_EXAMPLES = pytest.mark.parametrize("name", ["lstm_war_and_peace", "char_transformer"])


def losses(path, algorithm="residual-learning"):
    return [
        (row["step"], row["train_loss"], row["held_out_loss"]) for row in results(path)[algorithm]["curve"]
    ]


@TEXT_EXAMPLES
def test_examples_with_text_train_every_algorithm(name, texts, tmp_path):
    example = importlib.import_module(name)
    known = list(example.ALGORITHMS)
    example.main(options(texts, tmp_path, "--algorithms", ",".join(known), "--steps", "1"))
    assert list(results(tmp_path)) == known
    for run in results(tmp_path).values():
        assert [row["step"] for row in run["curve"]] == [1]
        assert 0 < run["held_out_loss"] < 5


def test_an_example_learns(texts, tmp_path):
    example = importlib.import_module("lstm_war_and_peace")
    size = "--batch", "4", "--length", "8", "--steps", "80", "--every", "40"
    example.main(options(texts, tmp_path, "--algorithms", "residual-learning", *size))
    (*_, last) = losses(tmp_path)[-1]
    assert last < 0.1  # 1.39 without knowing the letter before


@TEXT_EXAMPLES
def test_a_stopped_example_goes_on_as_if_nothing_had_been(name, texts, tmp_path, monkeypatch):
    example = importlib.import_module(name)
    run = "--algorithms", "residual-learning", "--steps", "4", "--every", "2"
    example.main(options(texts, tmp_path / "whole", *run))
    usual, calls = example.cross_entropy, []

    def stop_in_the_third_step(*args):
        calls.extend([0] if torch.is_grad_enabled() else [])
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return usual(*args)

    monkeypatch.setattr(example, "cross_entropy", stop_in_the_third_step)
    with pytest.raises(Interrupted):
        example.main(options(texts, tmp_path / "stopped", *run))
    assert len(calls) == 3
    example.main(options(texts, tmp_path / "stopped", *run))
    assert len(calls) == 4
    assert losses(tmp_path / "whole") == losses(tmp_path / "stopped")


def test_results_of_other_algorithms_stay_in_the_file(texts, tmp_path):
    example = importlib.import_module("lstm_war_and_peace")
    for name in ("digital", "analog-sgd"):
        example.main(options(texts, tmp_path, "--algorithms", name, "--steps", "1"))
    assert list(results(tmp_path)) == ["digital", "analog-sgd"]


def test_a_folder_with_another_run_is_refused(texts, tmp_path):
    example = importlib.import_module("lstm_war_and_peace")
    example.main(options(texts, tmp_path, "--algorithms", "digital", "--steps", "1"))
    with pytest.raises(MhoError, match=r"lr = 4.0, not 1.0"):
        example.main(options(texts, tmp_path, "--algorithms", "digital", "--steps", "1", "--lr", "1"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lstm_war_and_peace", "warpeace_input.txt"),
        ("char_transformer", "tinyshakespeare.txt"),
        ("resnet20_cifar10", "resnet20-12fca82f.th"),
    ],
)
def test_missing_data_are_named(name, file, tmp_path):
    with pytest.raises(MhoError, match=file):
        importlib.import_module(name).main(["--data", str(tmp_path)])


def test_an_unknown_algorithm_is_an_error(texts, tmp_path):
    with pytest.raises(MhoError, match="analog-sgd"):
        importlib.import_module("lstm_war_and_peace").main(
            options(texts, tmp_path, "--algorithms", "analogue-sgd")
        )


@pytest.fixture
def pictures(tmp_path):
    """A folder with a network of new weights and random images, in the files' form."""
    from resnet import ResNet20

    torch.manual_seed(0)
    weights = {f"module.{name}": value for name, value in ResNet20().state_dict().items()}
    torch.save({"state_dict": weights, "best_prec1": 10.0}, tmp_path / "resnet20-12fca82f.th")
    chance = np.random.default_rng(0)
    parts = {
        f"x_{part}": chance.integers(0, 256, (n, 32, 32, 3), np.uint8)
        for part, n in (("train", 9), ("test", 4))
    }
    labels = {f"y_{part}": chance.integers(0, 10, n, np.uint8) for part, n in (("train", 9), ("test", 4))}
    np.savez(tmp_path / "cifar10_exact_subset.npz", **parts, **labels)
    return tmp_path


def test_resnet_measures_everything_once(pictures, tmp_path, monkeypatch):
    example = importlib.import_module("resnet20_cifar10")
    file = tmp_path / "resnet.json"
    run = ["--data", str(pictures), "--seeds", "1", "--epochs", "1", "--results", str(file)]
    example.main(run)
    found = json.loads(file.read_text())
    assert len(found["measured"]) == 1 + len(example.OMEGAS) + 2 * len(example.TRAINED)
    perfect = found["measured"]["perfect 0"]
    assert perfect["digital"] == perfect["analog"]
    assert perfect["largest_difference_of_scores"] < 1e-4 * perfect["largest_score"]
    assert set(found["summary"]["residual-learning, new weights"]) == {"before", "after"}
    monkeypatch.setattr(example, "noisy", pytest.fail)
    example.main(run)
    assert json.loads(file.read_text())["measured"] == found["measured"]
    with pytest.raises(MhoError, match="epochs = 1, not 2"):
        example.main([*run[:4], "--epochs", "2", *run[6:]])


@pytest.mark.skipif(
    not Path(os.environ.get("MHO_DATA", ""), "pretrained_cifar10_resnet").is_dir(), reason="needs MHO_DATA"
)
def test_resnet_20_scores_91_64_percent_digitally_and_the_same_on_perfect_crossbars():
    example = importlib.import_module("resnet20_cifar10")
    network, data = example.pretrained(None), example.images(None)
    outputs = example.outputs_of(network, data["x_test"])
    assert example.accuracy(outputs, data["y_test"]) == pytest.approx(100 * 932 / 1017, abs=1e-3)
    analog = example.outputs_of(example.converted(network, None, 0.36, 0), data["x_test"][:100])
    assert torch.equal(analog.argmax(1), outputs[:100].argmax(1))
    torch.testing.assert_close(analog, outputs[:100], atol=1e-4, rtol=0)
