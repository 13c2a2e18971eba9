"""The command line: help that is fast, errors that are one line, runs that can be stopped and resumed."""

import inspect
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from mho.base.errors import MhoError
from mho.base.records import NonNegative
from mho.cli import main
from mho.cli.catalogue import describe
from mho.cli.options import values_of, with_fields
from mho.cli.progress import Bars
from mho.cli.train import NO_OPTIONS, PANELS, train
from mho.cli.words import spoken
from mho.training import RunSpec
from mho.training.plan import RunPlan

QUICK = ["--hidden", "8", "--epochs", "2", "--batch-size", "100"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
MHO = [sys.executable, "-c", "from mho.cli import main; main()"]


@pytest.fixture
def mho_command(capfd, monkeypatch, tmp_path):
    """Runs the command in this process and an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MHO_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run


def test_help_comes_without_torch():
    code = (
        "import sys, os, mho.cli; assert os.environ['OMP_WAIT_POLICY'] == 'passive'; "
        "heavy = {'torch', 'numba', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    "verb", ["train", "diagnose", "calibrate", "bench", "data get", "device fit", "papers run"]
)
def test_help_of_a_verb_comes_without_torch(verb):
    code = f"from mho.cli import main\ntry: main([*{verb!r}.split(), '--help'])\nexcept SystemExit: pass\n"
    code += "import sys; print({'torch', 'numba', 'matplotlib'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    assert "Usage: mho" in done.stdout and done.stdout.endswith("set()\n")


def test_every_option_is_explained(mho_command):
    code, out, _ = mho_command("train", "--help")
    assert code == 0
    for option in inspect.signature(train).parameters:
        if option not in ("context", "settings", "folder"):
            assert f"--{option.replace('_', '-')}" in out
    assert "--compare digital,residual-learning,analog-sgd" in out
    for words in ([], ["data"]):
        assert "Usage: mho" in mho_command(*words, "--help")[1]


@pytest.mark.parametrize(("where", "wrong"), [("gpu", "neither cpu nor cuda"), ("cuda", "finds no CUDA GPU")])
def test_where_to_train_must_exist(where, wrong, mho_command, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = mho_command("train", *QUICK, "--where", where)
    assert code == 2
    assert wrong in err and "leave it out" in err


def test_shown_defaults_are_those_of_a_run():
    shown = {name: p.default for name, p in inspect.signature(train).parameters.items()}
    for field in (
        "data",
        "activation",
        "epochs",
        "batch_size",
        "lr",
        "lr_step",
        "lr_decay",
        "seed",
        "threads",
    ):
        assert shown[field] == getattr(RunSpec(), field), field
    assert tuple(map(int, shown["hidden"].split(","))) == RunSpec().hidden


def test_every_field_of_a_run_is_an_option_but_the_hardware():
    options = set(inspect.signature(train).parameters)
    assert {name for name in RunSpec().__dict__ if name not in options} == {*NO_OPTIONS} == {"hardware"}
    assert [*RunSpec().__dict__] == [*RunPlan().__dict__]
    assert [field.name for field in describe(RunSpec).fields if not field.text] == []


class Longer(RunPlan):
    """A run with one field more.

    Args:
        warm_up: steps at the beginning with a smaller `lr`.
        note_dir: folder of notes. None: the folder of the run.
    """

    warm_up: Annotated[int, NonNegative] = 5
    note_dir: str | None = None


def test_a_field_that_is_added_is_an_option(monkeypatch):
    """Name, type, default, domain and text of `Longer.warm_up` are written there and nowhere else."""
    monkeypatch.setenv("COLUMNS", "160")
    got, app = {}, typer.Typer()

    @app.command()
    @with_fields(Longer, PANELS, rest="Training", without=[n for n in RunPlan().__dict__ if n != "lr"])
    def run(context: typer.Context, **fields):
        got.update(values_of(Longer, context, fields))

    text = CliRunner().invoke(app, ["--help"]).output
    line = next(line for line in text.splitlines() if "--warm-up" in line)
    assert (
        "<int>" in line and "Steps at the beginning with a smaller" in line and "(zero or positive)." in line
    )
    assert "default: 5" in text and "(the folder of the run)" in text and "--epochs" not in text
    assert CliRunner().invoke(app, ["--warm-up", "7", "--note-dir", "notes"]).exit_code == 0
    assert got == {"warm_up": 7, "note_dir": "notes"}
    assert CliRunner().invoke(app, ["--warm-up", "x"]).exit_code == 2
    assert Longer(**got).warm_up == 7


FLAGS = {"algorithm": "--algorithm", "settings": "--set", "resume": "--resume", "lr": "--lr", "hidden": "--hidden",
         "data_dir": "--data-dir", "folder": "--out", "mirrors": "--mirror"}  # fmt: skip


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("`choose(algorithm='foo')`: no such.", "`--algorithm foo`: no such."),
        ("`settings='a.b=1'`: no.", "`--set a.b=1`: no."),
        ("`RunSpec(hidden=(3, 0))`: no.", "`--hidden 3,0`: no."),
        ("`train(folder='a b')`: no. Fix: pass resume=True.", "`--out a b`: no. Fix: pass --resume."),
        ("`train`: no. Fix: lower `lr`.", "`train`: no. Fix: lower --lr."),
        ("`x`: no. Fix: did you mean lr=-0.5?", "`x`: no. Fix: did you mean --lr -0.5?"),
        ("Fix: pass mirrors=[...], or data_dir=... or x=1", "Fix: pass --mirror, or --data-dir or x=1"),
        ("`mho.data.get('mnist', data_dir='d')` does.", "`mho data get mnist --data-dir d` does."),
        ("`lr`: 'x' does not fit.", "`lr`: 'x' does not fit."),  # a field in a file
        ("`AnalogOptimizer(lr=-1)`: no.", "`AnalogOptimizer(lr=-1)`: no."),
        ("`load('mnist')`: it holds lr = 1, not 2.", "`load('mnist')`: it holds lr = 1, not 2."),
        ("`a b(`: odd `lr=` and lr=?", "`a b(`: odd `lr=` and lr=?"),
    ],
)
def test_errors_of_the_library_get_the_words_of_the_command_line(python, command):
    assert spoken(python, FLAGS) == command


def test_bars_show_on_a_terminal_and_vanish():
    from rich.console import Console

    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Bars(each=True, console=terminal) as bars:
        bars.show("first", 1, 2, "half")
        bars.show("second", 1, 0)
        assert [task.visible for task in bars.progress.tasks] == [True, True]
        bars.show("first", 2, 2)
        assert [task.visible for task in bars.progress.tasks] == [False, True]
    assert "first" in terminal.file.getvalue() and "half" in terminal.file.getvalue()
    plain = Console(file=io.StringIO(), force_terminal=False)
    with Bars(console=plain) as bars:
        bars.show("first", 1, 2)
    assert plain.file.getvalue() == ""


def test_a_run_and_its_folder(mho_command):
    code, out, _ = mho_command(
        "train", *QUICK, "--set", "device.response.tau=0.6", "--out", "run", "--seed", "3"
    )
    assert code == 0 and "epoch   2" in out and "test accuracy" in out and "array P" in out
    config = json.loads(Path("run/config.json").read_text())
    assert config["seed"] == 3 and config["hidden"] == [8]
    assert config["hardware"]["device"]["response"]["tau"] == 0.6
    code, out, _ = mho_command(
        "train", "--config", "run/config.json", "--epochs", "1", "--out", "again", "--quiet"
    )
    assert code == 0 and "epoch   1" not in out
    again = json.loads(Path("again/config.json").read_text())
    assert again == config | {"epochs": 1}
    code, out, _ = mho_command("train", "--out", "again", "--resume", "--epochs", "2")
    assert code == 0 and "epoch   2" in out and "epoch   1 " not in out


def test_a_toml_file_may_leave_out_the_hardware(mho_command):
    Path("run.toml").write_text("hidden = [8]\nepochs = 1\nbatch_size = 200\n")
    assert mho_command("train", "--config", "run.toml", "--algorithm", "analog-sgd", "--out", "run")[0] == 0
    assert json.loads(Path("run/config.json").read_text())["hardware"]["algorithm"] == {"type": "AnalogSGD"}


def test_a_comparison_ends_with_a_table_and_a_plot(mho_command):
    words = [
        "train",
        *QUICK,
        "--compare",
        "digital,residual-learning,analog-sgd",
        "--seeds",
        "2",
        "--out",
        "all",
    ]
    code, out, _ = mho_command(*words)
    assert code == 0 and "all/compare.png" in out and "residual-learning  " in out and "±" in out
    assert "[6/6] analog-sgd, seed 1" in out
    code, again, _ = mho_command(*words)
    assert code == 0 and "epoch" not in again and out.endswith(again)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--algorithm residual-lerning", "did you mean 'residual-learning'"),
        ("--response power --set device.response.tau=-1", "tau must be positive"),
        ("--set device.response.tua=1", "did you mean 'tau'"),
        ("--data mnist", "data/mnist"),
        ("--data minst", "did you mean 'mnist'"),
        ("--lr inf", "lr is inf"),
        ("--hidden 8,x", "--hidden 8,x"),
        ("--resume", "no folder is named"),
        ("--resume --out nowhere", "holds no run to resume"),
        ("--config absent.toml", "cannot be read"),
        ("--compare digital,nothing", "no such algorithm"),
        ("--out /dev/null/run --algorithm digital", "cannot be written"),
        ("--algorithm foo", "`--algorithm foo`: no such algorithm."),
        ("--response foo", "`--response foo`: no such response."),
        ("--device absent.json", "absent.json`: cannot be read"),
        ("--set device.response.tua=1", "`--set device.response.tua=1`: Power has no 'tua'."),
        ("--compare digital,analog-sgd --set algorithm.gama=1", "`--set algorithm.gama=1`: none of"),
        ("--epochs 0", "`--epochs 0`: epochs must be an integer of at least 1"),
        ("--data minst", "`--data minst`: no such data set."),
        (
            "--network lenet",
            "`--network lenet`: the images are 8 x 8 pixels. It needs 16 x 16. Fix: pass --data mnist.",
        ),
        ("--where gpu", "`--where gpu`: it is neither cpu nor cuda."),
        (
            "--resume --out nowhere",
            "`--out nowhere`: the folder holds no run to resume. Fix: leave out --resume.",
        ),
        (
            "--data mnist",
            "Fix: `mho data get mnist --data-dir data` downloads them; or name their folder with --data-dir or",
        ),
    ],
)
def test_errors_are_one_line_and_leave_nothing(words, message, mho_command, tmp_path):
    code, out, err = mho_command("train", *words.split())
    assert code == 2 and out == ""
    assert err.startswith("error: ") and message in err and len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback():
    with pytest.raises(MhoError, match=r"RunSpec\(data='minst'\)"):
        main(["train", "--data", "minst", "--debug"])


def test_data_check_and_get(mho_command, tmp_path):
    code, out, _ = mho_command("data", "check")
    assert code == 0 and "1797 x 8 x 8" in out and "missing" in out
    assert mho_command("data", "check", "mnist")[0] == 2
    code, _, err = mho_command("data", "get", "mnist", "--mirror", "http://127.0.0.1:9", "--tries", "1")
    assert code == 2 and "train-images-idx3-ubyte.gz could not be fetched" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_run_that_can_be_resumed(number, code, tmp_path):
    words = [
        "train",
        "--algorithm",
        "digital",
        *QUICK,
        "--epochs",
        "100000",
        "--lr-step",
        "0",
        "--out",
        "run",
    ]
    run = subprocess.Popen([*MHO, *words], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run/metrics.csv").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode == code and "mho train --out run --resume" in err and "Traceback" not in err
    done = len((tmp_path / "run/metrics.csv").read_text().splitlines()) - 1
    words = ["train", "--out", "run", "--resume", "--epochs", str(done + 2)]
    subprocess.run([*MHO, *words], cwd=tmp_path, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    assert json.loads((tmp_path / "run/result.json").read_text())["epochs"] == done + 2


def test_an_array_without_pulses_is_pointed_out(mho_command):
    quick = ["--hidden", "", "--epochs", "1", "--batch-size", "500", "--quiet"]
    hint = "array W got no pulse at all"
    _, out, _ = mho_command("train", *quick, "--algorithm", "agad", "--out", "agad")
    assert hint in out
    assert "mho algorithms advise --algorithm agad" in out
    _, out, _ = mho_command("train", *quick, "--algorithm", "analog-sgd", "--out", "sgd")
    assert hint not in out
