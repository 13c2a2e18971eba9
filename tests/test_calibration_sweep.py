"""`calibration.sweep` and `mho calibrate`: pulses that a device needs, table, files, refusals."""

import json
import math
import warnings

import matplotlib.image
import pytest

import mho
from mho.calibration import CalibrationWarning, sweep
from mho.cli import main
from mho.responses import Linear, SoftBounds
from test_calibration_reference import Flat, Wells

DEVICE = mho.Device(Linear(c_lin=0.25), spread={"tau": 0.05})


@pytest.fixture
def command(capfd, monkeypatch, tmp_path):
    """Runs `mho calibrate ...` in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(["calibrate", *map(str, words)])
        out, err = capfd.readouterr()
        return stop.value.code, out, err

    return run


def test_pulses_follow_the_closed_form():
    """From -.5 to .25 of .25: ln(.75/.0025)/dw_min = 5.70/dw_min, up to the cycle itself, which is dw_min."""
    found = sweep(DEVICE, [2e-3, 5e-4], [1000, 4000, 16_000], shape=(20, 30), repeats=2)
    assert (found.scale, found.of, found.missing) == (0.25, "the nominal w_sp = 0.25", 0)
    for dw_min, slack in ((2e-3, 0.08), (5e-4, 0.03)):
        assert found.needed[dw_min] * dw_min == pytest.approx(math.log(300), rel=slack)
    for row in found.rows:
        left = 3 * math.exp(-row.n * row.dw_min)
        assert row.mean == pytest.approx(left, rel=0.05, abs=2 * row.dw_min)
        assert row.cell >= row.mean * found.scale * 0.999
        assert row.average >= row.mean * 0.9 or row.mean < 2 * row.dw_min
    never = sweep(DEVICE, [1e-2], [100, 200], shape=(4, 4), repeats=1)
    assert never.needed == {1e-2: None}
    assert [row.mean_std for row in never.rows] == [0.0, 0.0]
    at_once = sweep(DEVICE, [1e-2], [100, 200], shape=(4, 4), repeats=1, start=0.25, tolerance=0.1)
    assert at_once.needed[1e-2] <= 100


def test_errors_are_relative_to_the_range_where_the_point_is_zero():
    found = sweep(mho.Device(SoftBounds(2.0, -2.0)), [1e-2], [100], shape=(4, 4), repeats=1)
    assert (found.scale, found.of) == (2.0, "half the range of w")
    assert found.rows[0].mean == pytest.approx(0.25 * math.exp(-0.5), rel=0.05)


def test_cells_without_a_point_are_left_out():
    """Of gains that differ by more than the law's range some cells have none."""

    class Short(mho.Response):
        def up(self, w):
            return 1 - 0.2 * w

        def down(self, w):
            return 1 + 0.2 * w

        def bounds(self):
            return -1.0, 1.0

    found = sweep(mho.Device(Short(), up_down_std=0.1), [1e-2], [500, 2000], shape=(20, 20), repeats=1)
    assert 0 < found.missing < 100
    assert found.rows[-1].cell < 0.02
    assert all(math.isfinite(v) for row in found.rows for v in row)


def test_devices_that_cannot_be_calibrated():
    with pytest.raises(mho.MhoError, match="repels"):
        sweep(mho.Device(Wells()), [1e-2], [10])
    with pytest.raises(mho.MhoError, match="every weight is a symmetric point"):
        sweep(mho.Device(mho.responses.Constant()), [1e-2], [10])
    with pytest.raises(mho.MhoError, match="start lies outside"):
        sweep(DEVICE, [1e-2], [10], start=1.5)
    with pytest.raises(mho.MhoError, match="are needed"):
        sweep(DEVICE, [], [10])
    with pytest.warns(CalibrationWarning, match="flat"):
        sweep(mho.Device(Flat()), [1e-2], [10], shape=(2, 2), repeats=1)


def test_the_command(command, tmp_path):
    words = ("linear", "--set", "response.c_lin=0.25", "--dw-min", "4e-3,2e-3", "--pulses", "500,4000")
    code, out, _ = command(*words, "--cells", "8x8", "--repeats", 2, "--out", "there")
    assert code == 0
    assert "the nominal w_sp = 0.25" in out
    assert "pulses to 1 %" in out
    data = json.loads((tmp_path / "there" / "calibrate.json").read_text())
    assert [(r["dw_min"], r["n"]) for r in data["rows"]] == [
        (d, n) for d in (4e-3, 2e-3) for n in (500, 4000)
    ]
    assert data["settings"]["device"]["response"] == {"type": "Linear", "c_lin": 0.25, "tau": 1.0}
    assert matplotlib.image.imread(tmp_path / "there" / "calibrate.png").shape[1] > 2000
    assert (tmp_path / "there" / "calibrate.pdf").exists()
    code, out, _ = command(*words, "--cells", "4x4", "--schedule", "stochastic", "--json")
    assert json.loads(out)["settings"]["schedule"] == "stochastic"
    assert (tmp_path / "runs" / "calibrate" / "linear" / "calibrate.json").exists()


def test_the_command_teaches_and_refuses(command):
    assert "mho calibrate ReRamES --schedule stochastic" in command("--help")[1]
    for words, message in (
        (("constant",), "every weight is a symmetric point"),
        (("--dw-min", "a"), "this is no list of numbers"),
        (("--dw-min", "0"), "all of them must be positive"),
        (("--cells", "8"), "this is no size"),
        (("--schedule", "fast"), "there is no such schedule"),
        (("--start", "3"), "outside of the bounds"),
        (("--tolerance", "nan"), "tolerance > 0"),
    ):
        code, out, err = command(*words)
        assert (code, out) == (2, "")
        assert message in err


def test_nothing_is_warned_of_without_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(DEVICE, [1e-2], [10], shape=(2, 2), repeats=1)
