"""`mho device`: lists, numbers, figures, and errors of one line."""

import json
import subprocess
import sys

import matplotlib.image
import pytest

import mho
from mho.base.config import to_dict
from mho.cli import main
from mho.presets import PRESETS


@pytest.fixture
def command(capfd, monkeypatch, tmp_path):
    """Runs `mho device ...` in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(["device", *map(str, words)])
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run


def line_of(out, start):
    return next(line for line in out.splitlines() if line.strip().startswith(start)).split()


def test_help_teaches(command):
    top = command("--help")[1]
    assert all(name in top for name in ("list", "show", "plot", "fit"))
    assert "mho device show ReRamES --set sigma_c2c=0" in command("show", "--help")[1]
    assert "mho device plot fitted.json --out fitted" in command("plot", "--help")[1]
    assert "mho device list" in command("list", "--help")[1]


def test_help_comes_without_torch():
    code = "from mho.cli import main\ntry: main(['device', 'plot', '--help'])\nexcept SystemExit: pass\n"
    code += "import sys; print({'torch', 'matplotlib', 'rich.table'} & {*sys.modules} - {'rich.table'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_list(command):
    code, out, _ = command("list")
    assert code == 0 and all(name in out for name in PRESETS)
    assert line_of(out, "soft-bounds")[1:] == ["q_up(w)", "=", "1", "-", "w/tau_max", "0,", "attracts"]
    assert line_of(out, "constant")[-2:] == ["every", "weight"]
    assert line_of(out, "ReRamArrayHfO2")[1:4] == ["SoftBounds", "0.4622", "4.327"]  # 2 / 0.4622


def test_list_shows_the_parts_of_a_cell(command):
    """A pair has the range of the difference, and its devices have lines of their own."""
    out = command("list")[1]
    assert line_of(out, "PCMPair")[1:8] == ["OneSided", "of", "2", "0.01", "400", "-2", ".."]
    assert line_of(out, "plus, minus")[2:5] == ["ExpStep", "0.01", "200"]
    entry = next(e for e in json.loads(command("list", "--json")[1])["presets"] if e["name"] == "PCMPair")
    assert (entry["law"], entry["dw_min"], entry["lower"], entry["upper"]) == ("OneSided", 0.01, -2, 2)
    assert [(part["name"], part["factor"], part["law"]) for part in entry["parts"]] == [
        ("plus", 1.0, "ExpStep"),
        ("minus", -1.0, "ExpStep"),
    ]


def test_show_explains_a_cell_and_its_parts(command):
    code, out, _ = command("show", "PCMPair", "--set", "refresh_every=5", "--set", "device.dw_min=0.02")
    assert code == 0 and out.startswith(
        "PCMPair: a cell of 2 devices (plus, minus), OneSided\nSource: Nandak"
    )
    assert line_of(out, "refresh_every")[1] == "5" and line_of(out, "granularity")[1] == "0.02"
    assert line_of(out, "plus ")[1:5] == ["1", "ExpStep", "0.02", "100"]
    assert line_of(out, "minus ")[1:5] == ["-1", "ExpStep", "0.02", "100"]
    assert "Device of plus, minus: law ExpStep\n" in out and out.count("40,000 cells") == 1
    assert line_of(out, "device.retention.reset ")[1] == "0.01"
    data = json.loads(command("show", "PCMPair", "--json")[1])
    assert data["cell"]["refresh_every"] == 1 and data["granularity"] == 0.01 and data["states"] == 400
    assert [part["device"]["dw_min"] for part in data["parts"]] == [0.01, 0.01]
    assert [part["points"][0]["w"] for part in data["parts"]] == [pytest.approx(0.5001, abs=1e-4)] * 2


def test_show_explains_a_cell_in_a_file(command, tmp_path):
    """Each different device has its tables, those inside of a composed part too."""
    coarse, fine = mho.Device(mho.responses.Power(), dw_min=0.1), mho.Device(dw_min=0.01)
    cell = mho.Vector(devices=(coarse, mho.OneSided(fine)), gammas=(1.0, -0.5), policy="first")
    (tmp_path / "mine.json").write_text(json.dumps(to_dict(cell)))
    out = command("show", "mine.json")[1]
    assert "a cell of 3 devices (0, 1.plus, 1.minus), Vector" in out
    assert line_of(out, "1.plus ")[1:3] == ["-0.5", "SoftBounds"]
    assert line_of(out, "1.minus ")[1:3] == ["0.5", "SoftBounds"]
    assert line_of(out, "bounds")[1:4] == ["-2", "..", "2"] and line_of(out, "granularity")[1] == "0.1"
    assert "Device of 0: law Power\n" in out and "Device of 1.plus, 1.minus: law SoftBounds\n" in out
    (tmp_path / "pair.json").write_text(json.dumps(to_dict(mho.Crossbar(device=mho.Reference(coarse, fine)))))
    assert "a cell of 2 devices (0, 1), Reference" in command("show", "pair.json")[1]
    code, _, err = command("plot", "pair.json")
    assert code == 2 and "it is a Reference, made of several devices (0, 1)" in err


def test_list_as_json(command):
    data = json.loads(command("list", "--json")[1])
    presets = {entry["name"]: entry for entry in data["presets"]}
    assert set(presets) == set(PRESETS) and presets["ReRamSB"]["states"] == pytest.approx(1000)
    assert all(entry["source"] for entry in presets.values())
    laws = {entry["name"]: entry for entry in data["laws"]}
    assert laws["linear"]["formulas"] == ["q_up(w) = (1 + c)(1 - w/tau)", "q_down(w) = (1 - c)(1 + w/tau)"]
    assert laws["linear"]["points"][0]["w"] == pytest.approx(0.1) and laws["constant"]["points"] == []


def test_a_narrow_terminal_keeps_names_whole(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = command("list")[1]
    assert all(name in out for name in PRESETS) and max(map(len, out.splitlines())) <= 80


def test_show(command):
    code, out, _ = command("show", "soft-bounds", "--set", "dw_min=0.01", "--set", "response.tau_max=2")
    assert code == 0 and out.startswith("soft-bounds: a device with the law SoftBounds\n")
    assert "    q_up(w) = 1 - w/tau_max      q_down(w) = 1 - w/tau_min\n" in out
    assert line_of(out, "response.tau_max")[1:4] == ["2", "weight", "units"]
    assert line_of(out, "number of states")[3] == "300"
    assert line_of(out, "step up at w = 0")[6:9] == ["0.01", "weight", "units"]
    assert line_of(out, "symmetric point  ")[2:] == ["0", "weight", "units", "attracts,", "exponential"]
    assert line_of(out, "relaxation")[1] == "133.3"  # 1 / (0.01 (1 + 1/2) / 2)
    assert "40,000 cells" in out and "see up_down" in out and "[dw_min]" not in line_of(out, "write_noise")


@pytest.mark.parametrize("name", ["ReRamES", "reram-es", "re_ram_es"])
def test_show_takes_names_in_any_spelling(name, command):
    code, out, _ = command("show", name)
    assert code == 0 and out.startswith("ReRamES: a device with the law ExpStep\nSource: Gong et al.")
    assert "symmetric point" in out


def test_show_a_law_that_is_symmetric_everywhere(command):
    out = command("show", "constant")[1]
    assert line_of(out, "symmetric point  ")[2:] == ["every", "weight", "G", "=", "0"]
    assert "relaxation" not in out


def test_show_as_json(command):
    words = ("power", "--set", "response.gamma_res=2", "--set", "device.spread.gain=0.3", "--json")
    data = json.loads(command("show", *words)[1])
    assert data["name"] == "power" and data["device"]["response"]["gamma_res"] == 2
    assert data["device"]["spread"] == {"gain": 0.3}
    assert data["points"][0]["slope"] == pytest.approx(2) and data["states"] == pytest.approx(2000)
    assert data["cells"]["count"] == 40_000 and data["cells"]["step_up"]["std"] == pytest.approx(
        3e-4, rel=0.05
    )


def test_show_reads_files(command, tmp_path):
    device = mho.Device(mho.responses.Linear(c_lin=0.3), dw_min=0.02)
    crossbar = mho.Crossbar(device=device)
    (tmp_path / "run").mkdir()
    for path, record in (("mine.json", device), ("run/config.json", crossbar)):
        (tmp_path / path).write_text(json.dumps(to_dict(record)))
    (tmp_path / "mine.toml").write_text('type = "Device"\nresponse = "linear"\ndw_min = 0.02\n')
    for path, name, w in (
        ("mine.json", "mine", 0.3),
        ("run/config.json", "run", 0.3),
        ("mine.toml", "mine", 0.1),
    ):
        data = json.loads(command("show", path, "--json")[1])
        assert data["name"] == name and data["points"][0]["w"] == pytest.approx(w)
        assert data["device"]["dw_min"] == 0.02


def test_a_run_is_known_by_its_device(tmp_path):
    """Of the file of a run only the hardware is read; a digital run has no device."""
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "config.json"
    device = mho.Device(mho.responses.Linear(c_lin=0.3), dw_min=0.02)
    path.write_text(json.dumps(to_dict(mho.training.RunSpec(hardware=mho.Crossbar(device=device)))))
    found = mho.datasheet.lookup(str(path), ["dw_min=0.03"])
    assert found.name == "mine" and found.device == device.replace(dw_min=0.03)
    path.write_text(json.dumps(to_dict(mho.training.RunSpec())))
    with pytest.raises(mho.MhoError, match="this run is digital, so it holds no device"):
        mho.datasheet.lookup(str(path))


def test_plot(command, tmp_path):
    code, out, err = command("plot", "soft-bounds", "--set", "dw_min=0.05", "--out", "figures/mine")
    assert (code, err) == (0, "") and out == "written: figures/mine.png\nwritten: figures/mine.pdf\n"
    picture = matplotlib.image.imread(tmp_path / "figures/mine.png")[..., :3]
    assert picture.shape == (1980, 2160, 3)  # 7.2 x 6.6 inches at 300 dpi
    assert 0.02 < (picture < 0.9).any(-1).mean() < 0.5
    for half in (picture[:, :1080], picture[:, 1080:]):
        for third in range(3):  # no panel is blank
            assert (half[660 * third : 660 * (third + 1)] < 0.9).any(-1).mean() > 0.01
    assert (tmp_path / "figures/mine.pdf").read_bytes().startswith(b"%PDF")


def test_plot_of_a_cell_names_its_devices(command, tmp_path):
    """Equal devices have one figure, which says that it shows each of them."""
    words = ("--set", "device.dw_min=0.1", "--out", "pair.svg")
    assert command("plot", "PCMPair", *words)[0] == 0
    assert "PCMPair, each of plus, minus: ExpStep, dw_min 0.1" in (tmp_path / "pair.svg").read_text()


def test_plot_names_its_files_and_obeys_the_suffix(command, tmp_path):
    command("plot", "constant", "--set", "dw_min=0.05")
    assert {p.name for p in tmp_path.iterdir()} == {"device-constant.png", "device-constant.pdf"}
    _, out, _ = command("plot", "constant", "--set", "dw_min=0.05", "--out", "c.svg", "--title", "Hello")
    assert out == "written: c.svg\n" and "Hello" in (tmp_path / "c.svg").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "sofbounds"], "did you mean 'soft-bounds'?"),
        (["show", "ReRamEX"], "did you mean 'ReRamES'?"),
        (["show", "nothing.json"], "cannot be read"),
        (["show", "power", "--set", "response.tauu=1"], "did you mean 'tau'?"),
        (["show", "power", "--set", "dw_min"], "this is no assignment"),
        (["show", "power", "--set", "dw_min=0"], "dw_min must be positive"),
        (["show", "PCMPair", "--set", "dw_min=0.1"], "OneSided has no 'dw_min'. known: device, lower"),
        (["plot", "power", "--out", "x.gif"], "no figure is written as '.gif'. Known: .png, .pdf, .svg"),
    ],
)
def test_errors(words, message, command, tmp_path):
    code, out, err = command(*words)
    assert code == 2 and out == "" and message in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_files_without_one_device(command, tmp_path):
    two = mho.Crossbar(device={"P": mho.Device(), "W": mho.Device()})
    (tmp_path / "two.json").write_text(json.dumps(to_dict(two)))
    assert "several devices (P, W)" in command("show", "two.json")[2]
    (tmp_path / "law.json").write_text(json.dumps(to_dict(mho.responses.Power())))
    assert "no type 'Power' fits here" in command("show", "law.json")[2]
