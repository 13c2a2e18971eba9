"""The command line: help that is fast, errors that are one line, runs that can be stopped and resumed."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mho.cli import main
from mho.cli.train import train
from mho.training import RunSpec

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


def test_every_option_is_explained(mho_command):
    code, out, _ = mho_command("train", "--help")
    assert code == 0
    for option in inspect.signature(train).parameters:
        if option not in ("context", "settings"):
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
    ],
)
def test_errors_are_one_line_and_leave_nothing(words, message, mho_command, tmp_path):
    code, out, err = mho_command("train", *words.split())
    assert code == 2 and out == ""
    assert err.startswith("error: ") and message in err and len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback():
    from mho.base.errors import MhoError

    with pytest.raises(MhoError):
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
