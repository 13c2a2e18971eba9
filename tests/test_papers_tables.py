"""Tables of the papers: trainings that are found again and go on, several processes, and the report."""

import json
import math
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mho
from mho.base.errors import MhoError
from mho.cli import main
from mho.experiments import page, runner
from mho.experiments.experiment import Experiment, training
from mho.experiments.runner import run_cells
from mho.experiments.store import folder_of
from mho.papers import EXPERIMENTS
from mho.training.spec import RunSpec

ROOT = Path(__file__).parent.parent
SMALL = RunSpec(hidden=(8,), epochs=3, batch_size=50)


def table(published=(), cells=None, **fields):
    cells = cells or {"small": training(SMALL)}
    return Experiment("tiny", "Tiny", "none", cells, dict(published), **fields)


def train(settings, seed, store, tell=lambda done, total: None):
    """The numbers of a cell that is a training, and the rest of its file."""
    found = runner.training(settings, seed, tell, store)
    return found.pop("numbers"), found


# Trainings.


def test_equal_runs_share_a_folder(tmp_path):
    folder = folder_of(SMALL, tmp_path)
    assert folder == folder_of(SMALL.replace(epochs=9, threads=1, data_dir="/x"), tmp_path)
    for other in (SMALL.replace(seed=1), SMALL.replace(lr=0.2)):
        assert folder != folder_of(other, tmp_path)


@pytest.fixture
def key(tmp_path):
    """The key of an E-RIDER run in a copy of the package's sources, one file of which is changed."""
    spec = SMALL.replace(hardware=mho.Crossbar(mho.algorithms.ERIDER()))
    package = Path(mho.__file__).parent

    def of(file="__init__.py", change=str):
        copy = tmp_path / f"copy{len([*tmp_path.iterdir()])}" / "mho"
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
        (copy / file).write_text(change((copy / file).read_text()))
        return folder_of(spec, Path("store"), copy).name

    return of


def one_more(text):
    return text + "\nX = 1\n"


def test_an_edit_of_what_takes_part_in_a_training_makes_a_new_folder(key):
    files = ("kernels/cpu/update.py", "kernels/cpu/aggregated.py", "numerics/philox.py", "nn/linear.py")
    files += ("algorithms/erider.py",)
    assert len({key(), *(key(file, one_more) for file in files)}) == 1 + len(files)


def test_an_edit_of_anything_else_keeps_the_folder(key):
    papers = ("papers/quadratic.py", "papers/arxiv_2502_06309/tables_7_8.py", "experiments/page.py")
    others = ("figures/curves.py", "cli/train.py", "fit/fitting.py", "__init__.py")
    other_records = ("algorithms/agad.py", "responses/piecewise.py")
    assert {key(file, one_more) for file in papers + others + other_records} == {key()}


def test_the_key_knows_all_that_a_training_loads(tmp_path):
    """Except lists of records, of which a run has some, and modules that show results."""
    script = f"""
import sys
from mho.algorithms.erider import ERIDER
from mho.base.sources import reachable
from mho.crossbar import Crossbar
from mho.experiments.store import APART, TAKE_PART, modules_of
from mho.training.loop import train
from mho.training.spec import RunSpec
spec = RunSpec(hidden=(8,), epochs=1, batch_size=500, hardware=Crossbar(ERIDER()))
train(spec, {str(tmp_path / "run")!r})
known = reachable([*TAKE_PART, *modules_of(spec)], APART)
loaded = [name for name, m in sys.modules.items() if name.startswith("mho.") and not hasattr(m, "__path__")]
print(*(name for name in loaded if name not in known))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    rooms = ("kernels", "numerics", "tile", "nn", "device", "data", "training", "crossbar", "optim")
    loaded = done.stdout.split()
    assert loaded, "a training loads modules that only show its results"
    assert [name for name in loaded if name.split(".")[1] in rooms] == []


def test_an_edit_of_prose_keeps_the_folder(key):
    def other_words(text):
        return text.replace('"""', '"""Another word. ', 1) + "\n# another comment\n"

    assert key("kernels/cpu/update.py", other_words) == key()


def test_a_training_goes_on_from_its_last_epoch(tmp_path):
    settings, other, batches = training(SMALL), training(SMALL.replace(batch_size=20)), []

    def stops(done, total):  # told every 50 batches; an epoch has 29
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(other, 5, tmp_path / "other", stops)
    whole, _ = train(settings, 5, tmp_path / "whole")
    first, _ = train(settings | {"steps": 2}, 5, tmp_path / "parts")
    assert first != whole
    again, kept = train(settings, 5, tmp_path / "parts", lambda *what: batches.append(what))
    assert again == whole
    assert train(other, 5, tmp_path / "other")[0] == train(other, 5, tmp_path / "new")[0]
    assert len(kept["test accuracy by epoch"]) == 3
    assert kept["test accuracy by epoch"][-1] == pytest.approx(whole["test accuracy"][0], abs=1e-3)
    assert whole["best accuracy"][0] == pytest.approx(max(kept["test accuracy by epoch"]), abs=1e-3)
    assert kept["seconds"] > 0
    assert kept["pulses sent"] == {}  # it is digital


def test_seeds_are_files_of_their_own_and_means(tmp_path):
    lines = run_cells(table(), ["small"], tmp_path / "results", range(2), store=tmp_path / "store")
    assert sorted(p.name for p in (tmp_path / "results").iterdir()) == ["small-seed1.json", "small.json"]
    of_seed = [train(training(SMALL), k, tmp_path / "store")[0]["test accuracy"][0] for k in range(2)]
    [line] = [one for one in lines if one.quantity == "test accuracy"]
    assert line.ours == pytest.approx(sum(of_seed) / 2)
    assert line.spread == pytest.approx(abs(of_seed[0] - of_seed[1]) / 2**0.5)


# Processes.


def test_processes_write_the_files_that_one_process_does(tmp_path):
    errata, cells = EXPERIMENTS["errata"], ["a-power-step", "b-equation-104", "b-chopper-period"]
    watched = []
    run_cells(errata, cells, tmp_path / "two", [0], jobs=2, watch=lambda *what: watched.append(what))
    run_cells(errata, cells, tmp_path / "one", [0])
    for cell in cells:
        one, two = (json.loads((tmp_path / n / f"{cell}.json").read_text()) for n in ("one", "two"))
        assert one["numbers"] == two["numbers"]
    assert {name for name, *_ in watched} == set(cells)


def test_an_error_in_a_process_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MHO_DATA", str(tmp_path))
    with pytest.raises(MhoError, match=r"mho\.data\.get\('mnist'"):
        run_cells(
            EXPERIMENTS["a-table-8"], ["digital"], tmp_path / "r", [0], jobs=2, store=tmp_path / "store"
        )


def alive_in(group):
    """Processes of a group, but those that have ended and that nobody has asked about."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has gone meanwhile
            continue
        if int(of_group) == group and state != "Z":
            found.append(stat.parent.name)
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for child processes in /proc")
def test_sigterm_stops_all_processes(tmp_path):
    cells = "two-stage-4000,rider-long"
    words = ["papers", "run", "quadratic", "--cells", cells, "--jobs", "2", "--out", str(tmp_path)]
    code = f"from mho.cli import main\nif __name__ == '__main__': main({words})"
    (tmp_path / "run.py").write_text(code)
    run = subprocess.Popen(
        [sys.executable, tmp_path / "run.py"], start_new_session=True, stderr=subprocess.PIPE
    )
    children, deadline = Path(f"/proc/{run.pid}/task/{run.pid}/children"), time.monotonic() + 150
    while run.poll() is None and len(children.read_text().split()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)  # two cells, and what counts their semaphores
    run.terminate()
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130 and b"the same command goes on" in err
    while alive_in(run.pid) and time.monotonic() < deadline + 60:
        time.sleep(0.1)
    assert not alive_in(run.pid)


# The report.


def write(folder, name, seed, numbers, settings):
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"settings": settings, "seed": seed, "numbers": numbers, "test accuracy by epoch": [50.0, 90.0]}
    (folder / (f"{name}-seed{seed}.json" if seed else f"{name}.json")).write_text(json.dumps(kept))


@pytest.fixture
def tiny(tmp_path):
    cells = {name: {"steps": 1} for name in ("two", "one", "none", "short")}
    published = {(name, "test accuracy"): (96.5, 0.5) for name in cells}
    curves = {"tiny-curves": ("two", "one", "none"), "nothing": ("none",)}
    experiment = table(published, cells, causes={"one": "a test"}, notes="A note.")._replace(curves=curves)
    folder = tmp_path / "results" / "tiny"
    for seed, value in ((0, 95.0), (1, 97.0)):
        write(folder, "two", seed, {"test accuracy": [value, 0.0]}, cells["two"])
    write(folder, "one", 0, {"test accuracy": [95.0, 0.0]}, cells["one"])
    write(folder, "short", 0, {"train loss": [1.0, 0.0]}, cells["short"])
    return experiment, tmp_path


def test_verdicts_by_hand(tiny):
    experiment, root = tiny
    two, one, none, short = page.rows(experiment, root / "results" / "tiny")
    assert (two.ours, two.seeds) == (96.0, 2)
    assert two.spread == pytest.approx(math.sqrt(2))
    assert two.away == pytest.approx(0.5 / math.sqrt(2.25))
    assert two.verdict == "agrees"
    assert one.away == pytest.approx(1.5 / (0.5 * math.sqrt(2)))  # one seed: the paper's spread twice
    assert one.verdict == "differs: a test"
    assert (none.verdict, none.away, none.ours) == ("not run", None, None)
    assert (short.verdict, short.seeds) == ("differs: not known", 1)
    assert none._replace(seeds=1, ours=96.0, published_spread=None).verdict == "no spread"
    for ours, verdict in ((96.5, "agrees"), (96.0, "no spread: a test")):
        assert one._replace(ours=ours, published_spread=None).verdict == verdict


def test_the_command_and_the_page_tell_the_same(capsys, monkeypatch):
    """One cell of which three seeds are committed, 0.29 of spread against the paper's 0.05."""
    monkeypatch.setenv("COLUMNS", "120")
    cell, results = "power-0.5-0.7-residual-learning", ROOT / "results" / "a-table-8"
    [row] = [one for one in page.rows(EXPERIMENTS["a-table-8"], results) if one.cell == cell]
    words = ["papers", "run", "a-table-8", "--cells", cell, "--seeds", "3", "--out", str(results)]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if f"{cell}  " in line and "test" in line]
    name, _, ours, spread, paper, away, verdict = re.split(r"\s{2,}", line.strip())
    assert name == cell
    assert (ours, spread, paper) == (f"{row.ours:.4g}", f"{row.spread:.2g}", f"{row.published:.4g}")
    assert (away, verdict) == (f"{row.away:.1f}", row.kind)
    told = f"| {cell} | 97.05 ± 0.05 | 97.10 ± 0.29 | 3 | {away} | {verdict} |"
    assert told in (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    assert row.away == pytest.approx(abs(row.ours - 97.05) / math.hypot(row.spread, 0.05))


def test_the_page_and_the_summary_in_a_readme(tiny):
    experiment, root = tiny
    readme, file = root / "README.md", root / "docs" / "papers.md"
    readme.write_text(f"before\n{page.MARK}\nold\n{page.MARK}\nafter\n")
    written = page.write({"tiny": experiment}, root / "results", file, readme)
    figures = [root / "docs" / "papers" / f"{name}.png" for name in ("tiny", "tiny-curves")]
    assert written == [file, *figures, readme]
    assert all(figure.stat().st_size > 1000 for figure in figures)
    text = file.read_text()
    assert "A note." in text
    assert "(papers/tiny-curves.png)" in text and "nothing" not in text
    assert "| two | 96.5 ± 0.5 | 96.0 ± 1.4 | 2 | 0.3 | agrees |" in text
    assert "| short | 96.5 ± 0.5 | not reached | 1 |  | differs: not known |" in text
    assert "\nNot run: none.\n" in text
    assert "| Tiny | 4 | 1 | 2 | 0 | 1 | 1 to 2 |" in readme.read_text()
    assert readme.read_text().startswith("before\n")
    assert readme.read_text().endswith("after\n")
    assert "old" not in readme.read_text()
    readme.write_text("no mark")
    with pytest.raises(MhoError, match="no two marks"):
        page.write({"tiny": experiment}, root / "results", file, readme)


def test_many_cells_that_were_not_run_are_counted(tiny, monkeypatch):
    experiment, root = tiny
    monkeypatch.setattr(page, "_NAMED", 0)
    file = root / "docs" / "papers.md"
    page.write({"tiny": experiment}, root / "results", file, None)
    assert "\nNot run: 1 cells (`mho papers list` names them).\n" in file.read_text()


def test_the_committed_page_and_readme_are_of_the_committed_results():
    """`mho papers report --readme README.md` writes them."""
    results = ROOT / "results"
    assert (ROOT / "docs" / "papers.md").read_text(encoding="utf-8") == page.page(EXPERIMENTS, results)
    assert page.summary(EXPERIMENTS, results) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_report_command(tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main(["papers", "report", "--results", str(tmp_path / "none"), "--out", str(tmp_path / "p.md")])
    assert done.value.code == 2
    assert "mho papers run" in capsys.readouterr().err


def test_cells_by_pattern(tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main(["papers", "run", "errata", "--cells", "a-pow*,b-equation-10?", "--out", str(tmp_path)])
    assert done.value.code == 0
    assert sorted(p.stem for p in tmp_path.iterdir()) == ["a-power-step", "b-equation-104"]
    with pytest.raises(SystemExit) as done:
        main(["papers", "run", "errata", "--cells", "z*", "--out", str(tmp_path)])
    assert done.value.code == 2
    assert "there is no such cell" in capsys.readouterr().err


# The tables as printed.


def test_printed_tables():
    """Some of the numbers, and the sizes: 3 methods, 4 means, 6 deviations, and two methods at five offsets with
    other settings; 18 + 18 + digital; 7; 20 + digital."""
    tables = {
        name: EXPERIMENTS[name]
        for name in ("b-table-1", "b-table-2", "a-table-8", "a-table-8-controls", "a-table-7")
    }
    assert [len(t.published) for t in tables.values()] == [72, 82, 37, 7, 21]
    assert tables["b-table-2"].published["e-rider-0.4-0.4", "test accuracy"] == (96.23, 0.3)
    assert tables["b-table-2"].published["tiki-taka-v2-0.4-1.0", "test accuracy"] == (57.79, 0.8)
    assert tables["b-table-1"].published["agad-0.2-0.3", "test accuracy"] == (91.61, 0.1)
    published = tables["a-table-8"].published
    assert published["power-2-0.7-residual-learning", "test accuracy"] == (97.27, 0.02)
    assert published["exponential-0.5-0.8-analog-sgd", "test accuracy"] == (94.0, 0.63)
    assert published["exponential-0.5-0.7-analog-sgd", "test accuracy"] == (11.35, 0.0)
    device = EXPERIMENTS["b-table-2"].cells["agad-0.3-0.7"]["run"]["hardware"]["device"]
    assert (device["reference_mean"], device["reference_std"]) == (0.3, 0.7)


def test_errata_by_hand():
    cells, run = EXPERIMENTS["errata"].cells, EXPERIMENTS["errata"].run

    def numbers(name):
        return {key: value for key, (value, _) in run(cells[name], 0, lambda done, total: None).items()}

    assert numbers("a-lemma-3") == {"step / F_max": pytest.approx(1.9), "step / q_max": pytest.approx(1.0)}
    found = numbers("b-equation-104")  # (1.2 - .8) / (1.2 + .8/.8), and with a minus there
    assert found == {"symmetric point": pytest.approx(0.4 / 2.2), "(104), tau_min > 0": pytest.approx(2.0)}
    found = numbers("b-theorem-c2")
    assert found["N = 1 n"] < 1 < found["N = 0.25 n"]
    found = numbers("b-algorithm-3")
    assert found["E-RIDER without flips - RL"] == 0 < found["RIDER - RL"]
