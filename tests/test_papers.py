"""Experiments: cells that are run once, kept, and compared with what was published."""

import json
from pathlib import Path

import pytest

from mho.base.errors import MhoError
from mho.cli import main
from mho.experiments.experiment import Experiment
from mho.experiments.runner import run_cells
from mho.experiments.verdict import Comparison
from mho.papers import EXPERIMENTS

QUADRATIC = EXPERIMENTS["quadratic"]


def numbers_of(lines):
    return {(line.cell, line.quantity): line.ours for line in lines}


def test_the_quadratic_tells_biased_algorithms_from_exact_ones(tmp_path):
    """A tenth of the steps: factors of 4 and more, where the spread over 32 instances is 6 %."""
    cells = ["analog-sgd", "rl-uncalibrated", "rl-true-point", "e-rider-p0.01", "digital"]
    found = numbers_of(run_cells(QUADRATIC, cells, tmp_path, [0], 0.1))
    assert found["rl-true-point", "error"] < 4e-3
    assert found["e-rider-p0.01", "error"] < 6e-3
    assert found["digital", "error"] < 5e-3
    assert found["analog-sgd", "error"] > 1.5e-2
    assert found["rl-uncalibrated", "error"] > 2.5e-2


def test_finished_cells_are_not_run_again(tmp_path):
    calls = []

    def run(settings, seed, tick):
        calls.append((settings["steps"], seed))
        tick(1, 2)
        return {"error": (2.0 * settings["steps"] + seed, 0.5)}

    cells = {"a": {"steps": 10}, "b": {"steps": 20}}
    tiny = Experiment("tiny", "Tiny", "none", cells, {("a", "error"): 22.0}, run, published_spread=2.0)
    watched = []
    lines = run_cells(tiny, ["a", "b"], tmp_path, [3], watch=lambda *what: watched.append(what))
    assert lines == [
        Comparison("a", "error", 22.0, 1.0, 23.0, 0.5, 1),
        Comparison("b", "error", None, None, 43.0, 0.5, 1),
    ]
    assert lines[0].away == pytest.approx(1.0 / 1.25**0.5)
    assert (lines[1].away, lines[1].kind) == (None, "")
    assert watched == [("a, seed 3", 1, 2), ("b, seed 3", 1, 2)]
    assert run_cells(tiny, ["b", "a"], tmp_path, [3]) == lines[::-1]
    assert calls == [(10, 3), (20, 3)]
    kept = json.loads(Path(tmp_path / "a-seed3.json").read_text())
    assert (kept["settings"], kept["seed"], kept["numbers"]) == ({"steps": 10}, 3, {"error": [23.0, 0.5]})
    with pytest.raises(MhoError, match="other settings or another seed"):
        run_cells(tiny, ["a"], tmp_path, [3], 0.5)
    with pytest.raises(MhoError, match="there is no such cell"):
        run_cells(tiny, ["c"], tmp_path, [3])


def test_every_published_number_has_its_cell():
    for experiment in EXPERIMENTS.values():
        assert {cell for cell, _ in experiment.published} <= set(experiment.cells)


def test_the_command_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main(["papers", "list"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert "quadratic" in printed
    assert "analog-sgd" in printed
    for _ in range(2):  # the second time from the folder
        with pytest.raises(SystemExit) as done:
            main(["papers", "run", "quadratic", "--quick", "--cells", "digital", "--out", str(tmp_path)])
        assert done.value.code == 0
        assert "0.003" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["digital.json"]
    with pytest.raises(SystemExit) as done:
        main(["papers", "run", "quadratics"])
    assert done.value.code == 2
    assert "did you mean 'quadratic'" in capsys.readouterr().err
