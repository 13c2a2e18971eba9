"""`mho algorithms`: the library explains itself on the command line."""

import json
from pathlib import Path

import pytest

from mho.cli import main


@pytest.fixture
def command(capfd, monkeypatch, tmp_path):
    """Runs `mho algorithms ...` in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(["algorithms", *map(str, words)])
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run


def numbers(out):
    return {a["name"]: a["value"] for a in json.loads(out)}


def test_help_teaches(command):
    assert "advise" in command("--help")[1]
    assert "mho algorithms show residual-learning" in command("show", "--help")[1]
    assert "mho algorithms advise --layer 256x784" in command("advise", "--help")[1]


def test_list(command):
    code, out, _ = command("list")
    line = next(line for line in out.splitlines() if "residual-learning " in line)
    assert (
        code == 0 and "Array P learns the residual" in line and "two arrays" in line and "2502.06309" in line
    )
    names = [entry["name"] for entry in json.loads(command("list", "--json")[1])]
    assert {"analog-sgd", "digital-sgd", "residual-learning"} <= set(names) and names == sorted(names)


@pytest.mark.parametrize("name", ["residual-learning", "ResidualLearning", "rl"])
def test_show(name, command):
    code, out, _ = command("show", name)
    assert code == 0 and out.startswith("ResidualLearning (--algorithm residual-learning)")
    assert "    P <- pulses(-fast_lr * grad f(W + gamma P))\n" in out
    assert "weight of P in what the network sees [relative], >= 0." in out  # brackets are no markup
    assert "an integer of at least 1" in out and "\nHardware: two arrays" in out and "\nSource: arXiv" in out
    entry = json.loads(command("show", name, "--json")[1])
    assert entry["fields"][0]["name"] == "gamma" and entry["fields"][0]["default"] == "0.4"


def test_show_without_fields(command):
    assert "--set" not in command("show", "analog-sgd")[1]


def test_advise_prints_number_formula_and_reason(command):
    code, out, _ = command("advise", "--layer", "256x784", "--response", "soft-bounds")
    assert (
        code == 0 and "  T_sp = 1000 pulses\n" in out and "  fast_lr ~ 0.031 weight units / gradient\n" in out
    )
    assert "= bl * dw_min / (x_max * d_max) = 31 * 0.001 / (1 * 0.1)\n" in out
    assert "whole train" in out and "  in_size = 392 lines\n" in out


def test_advise_takes_the_options_of_a_run(command):
    words = ["advise", "--layer", "10x100", "--algorithm", "residual-learning", "--json"]
    words += [
        "--set",
        "device.dw_min=0.01",
        "--set",
        "algorithm.fast_lr=1.0",
        "--bl",
        "10",
        "--read-noise",
        "0",
    ]
    found = {a["name"]: a for a in json.loads(command(*words)[1])}
    assert found["n_states"]["value"] == pytest.approx(120) and found["fast_lr_limit"]["value"] == 1.0
    assert found["fast_lr"]["now"] == 1.0 and found["pulses_per_step"]["inputs"]["fast_lr"] == 1.0
    assert found["sigma_read"]["value"] == 0 and "chop_prob" not in found and "threshold" not in found
    code, out, _ = command(*[w for w in words if w != "--json"])
    assert code == 0 and "fast_lr ~ 0.1 weight units / gradient   (now 1.0)" in out


def test_advise_reads_devices_crossbars_and_runs(command):
    words = "advise", "--layer", "10x100", "--json", "--device"
    device = {"type": "Device", "response": "SoftBounds", "dw_min": 0.1}
    Path("device.json").write_text(json.dumps(device))
    assert numbers(command(*words, "device.json")[1])["n_states"] == pytest.approx(20)
    Path("device.toml").write_text('type = "Device"\nresponse = "SoftBounds"\ndw_min = 0.2\n')
    assert numbers(command(*words, "device.toml")[1])["n_states"] == pytest.approx(10)
    crossbar = {"type": "Crossbar", "device": device, "mapping": {"type": "Mapping", "max_in": 60}}
    Path("crossbar.json").write_text(json.dumps(crossbar))
    assert numbers(command(*words, "crossbar.json")[1])["in_size"] == 50
    Path("run.json").write_text(json.dumps({"type": "RunSpec", "hardware": crossbar}))
    assert numbers(command(*words, "run.json")[1])["in_size"] == 50


def test_what_is_infinite_is_valid_json(command):
    assert (
        numbers(command("advise", "--layer", "4x4", "--response", "constant", "--json")[1])["T_sp"]
        == "infinite"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("show residual-lerning", "did you mean 'residual-learning'"),
        ("show sgd", "write analog-sgd or digital-sgd"),
        ("advise --layer 256", "--layer 256"),
        ("advise --layer 0x5", "--layer 0x5"),
        ("advise --layer 4x4 --algorithm analog-sdg", "did you mean 'analog-sgd'"),
        ("advise --layer 4x4 --algorithm digital", "sends no pulses"),
        ("advise --layer 4x4 --algorithm digital-sgd", "sends no pulses"),
        ("advise --layer 4x4 --d-max 0", "d_max must be positive"),
        ("advise --layer 4x4 --device absent.json", "cannot be read"),
        ("advise --layer 4x4 --set device.dw_mni=1", "did you mean 'dw_min'"),
    ],
)
def test_errors_are_one_line(words, message, command):
    code, out, err = command(*words.split())
    assert code == 2 and out == "" and message in err
    assert err.startswith("error: ") and len(err.strip().splitlines()) == 1
