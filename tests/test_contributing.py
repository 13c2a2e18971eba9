"""The skeletons of CONTRIBUTING.md: each is built as it stands, and does what its section says."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import mho
from mho.testing import check_algorithm, check_response

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SKELETONS = dict(re.findall(r"```python\n# ([\w ]+)\n(.*?)```", TEXT, re.DOTALL))


def build(name, tmp_path):
    """The names that a skeleton defines; it is a file of its own, whose text compilers can read."""
    file = tmp_path / f"skeleton_{name.replace(' ', '_')}.py"
    file.write_text(SKELETONS[name], encoding="utf-8")
    module: dict = {"__name__": file.stem}
    exec(compile(SKELETONS[name], str(file), "exec"), module)
    return module


def test_each_kind_of_addition_has_a_skeleton():
    kinds = {
        "response",
        "preset",
        "algorithm",
        "operation",
        "table",
        "command",
        "energy",
        "wires",
        "read noise",
    }
    assert set(SKELETONS) == kinds
    assert TEXT.count("```python") == len(kinds)


def test_the_response(tmp_path):
    check_response(build("response", tmp_path)["HalfSoft"])


def test_the_preset(tmp_path):
    preset = build("preset", tmp_path)["MY_RERAM"]
    assert mho.datasheet.measure(preset.device, cells=(4, 5)).as_dict()


def test_the_algorithm(tmp_path):
    check_algorithm(build("algorithm", tmp_path)["TwiceAsFast"])


def test_the_table(tmp_path):
    experiment = build("table", tmp_path)["EXPERIMENT"]
    [cell] = experiment.cells
    assert experiment.paper(cell, "test accuracy") == (90.0, 0.5)
    assert experiment.cells[cell]["steps"] == 1


def test_the_command(tmp_path):
    app = build("command", tmp_path)["app"]
    assert CliRunner().invoke(app, ["--dw-min", "0.001"]).output == "2000 states\n"
    assert '"states": 2000' in CliRunner().invoke(app, ["--dw-min", "0.001", "--json"]).output


def layer(io=None):
    torch.manual_seed(0)
    hardware = mho.Crossbar(mho.algorithms.AnalogSGD(), mho.Device(), io=io)
    return mho.convert_(nn.Linear(6, 4), hardware, key=1)


def test_the_energy(tmp_path):
    energy, model = build("energy", tmp_path)["energy"], layer()
    assert energy(model) == 0
    optimizer = mho.AnalogOptimizer(model, lr=0.5)
    model(torch.ones(3, 6)).sum().backward()
    optimizer.step()
    [line] = mho.pulse_report(model)
    assert energy(model) == pytest.approx(1e-14 * (line.up + line.down)) and line.up + line.down > 0


@pytest.mark.parametrize(("name", "cls"), [("wires", "SeriesResistance"), ("read noise", "FrozenReadNoise")])
def test_what_lies_between_cells_and_converters(name, cls, tmp_path):
    wires = build(name, tmp_path)[cls]()
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(2))
    plain, seen = layer(mho.IO(perfect=True)), layer(mho.IO(perfect=True, wires=wires))
    w = plain.weight.T.contiguous()
    assert torch.allclose(seen(x) - plain(x), x @ (wires.currents(w) - w), atol=1e-6)
    assert not torch.equal(seen(x), plain(x))


def test_the_operation(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "skeleton_operation.py"
    file.write_text(SKELETONS["operation"], encoding="utf-8")
    __import__("skeleton_operation")

    class Jump(mho.Response):
        def up(self, w):
            return 1 + 0.5 * torch.sign(w)

        def down(self, w):
            return 1 - 0.5 * torch.sign(w)

        def bounds(self):
            return -1.0, 1.0

    tile = mho.Tile(torch.tensor([[0.5, -0.5]]), mho.Device(Jump(), dw_min=0.25), key=1)
    tile.pulse(torch.ones(1, 2))
    assert tile.cells.tolist() == [[0.875, -0.375]]
