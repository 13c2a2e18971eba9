"""Files of mho.fit: what it reads, what it refuses, real measurements, and the command line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import mho
from fit_ramps import SPAN, ramps, soft, write
from mho.base.config import from_dict
from mho.base.config import read as read_config
from mho.fit import fit
from mho.fit.families import chosen, families
from mho.fit.read import read
from mho.responses.fitting import HIGH, LOW, Fitting
from test_cli import mho_command  # noqa: F401

PULSES = Path(os.environ.get("MHO_DATA", "none")) / "pulses"
measured = pytest.mark.skipif(
    not PULSES.is_dir(), reason="needs the folder pulses of measured devices in $MHO_DATA"
)


def luts(name):
    folder = PULSES / "luts_BSD3" / name
    return folder / "dG_increasing.txt", folder / "dG_decreasing.txt"


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
@pytest.mark.parametrize("header", [None, ("pulse", "up", "down")])
def test_separators_headers_and_counters(tmp_path, separator, header):
    up, down = ramps(soft(), 0, pulses=40)
    path = write(tmp_path / "ramps.txt", [np.arange(41.0), down, up][:: 1 if header else -1], None, separator)
    if header:
        path = write(path, [np.arange(41.0), up, down], header, separator)
    data = read([path])
    assert [r.sign for r in data.ramps] == [1, -1]
    np.testing.assert_allclose(data.ramps[0].values, up, rtol=1e-7)
    np.testing.assert_allclose(data.ramps[1].values, down, rtol=1e-7)
    assert "counts the pulses" in data.notes[0]


def test_decimal_commas_short_ramps_and_two_files(tmp_path):
    up, down = ramps(soft(), 0, pulses=30)
    rows = [f"{u:.6f};{'' if i > 25 else f'{u + 1:.6f}'}".replace(".", ",") for i, u in enumerate(up)]
    first, second = tmp_path / "up.csv", write(tmp_path / "down.csv", [down])
    first.write_text("# made\nLTP 1;LTP 2\n" + "\n".join(rows))
    data = read([second, first])
    assert [(r.sign, len(r.values)) for r in data.ramps] == [(1, 31), (1, 26), (-1, 31)]


TABLE = "words\n1,2,3,4,5\n0,0.5,1\n" + "\n".join(["0.1,0.1,0.1,0.1,0.1"] * 3)
RISING = "\n".join(str(i / 10) for i in range(20))


@pytest.mark.parametrize(
    "content, where, what",
    [
        (None, "a.csv", "cannot be read"),
        ("", "a.csv", "holds no numbers"),
        ("up,down\n", "a.csv", "holds no numbers"),
        ("1,2\n2,x\n", "a.csv, line 2", "'x' is no number"),
        ("1,2\n2,nan\n", "a.csv, line 2", "not finite"),
        ("1,2\n2,1,3\n", "a.csv, line 2", "3 columns"),
        ("1,2\n2,\n3,4\n" + "3,4\n" * 20, "a.csv, line 2", "has a gap"),
        ("1,2\n2,1\n", "a.csv, column 1", "2 values"),
        (RISING, "a.csv", "there are no down pulses"),
        ("down\n" + RISING, "a.csv, column 1 (down)", "rises"),
        ("1\n2\n" * 10, "a.csv, column 1", "neither rises nor falls"),
        (TABLE, "a.csv", "there are no down pulses"),
        ("w\n1,2,3,4,5\n0,0.2,0.6,1\n1,1,1,1,1\n", "a.csv", "1 rows of steps for 4 levels"),
        ("w\n1,2,2,4,5\n0,0.2,0.6,1\n" + "1,1,1,1,1\n" * 4, "a.csv, line 2", "do not rise"),
        ("w\n1,2,3,4,5\n0,0.2,0.6,1\n" + "1,1,1,1,1\n" * 3 + "1,1\n", "a.csv, line 7", "2 steps"),
    ],
)
def test_bad_files(tmp_path, content, where, what):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(mho.MhoError) as error:
        read([path])
    assert where in str(error.value) and what in str(error.value)


def test_bad_calls(tmp_path):
    path = write(tmp_path / "a.csv", ramps(soft(), 0, pulses=40))
    with pytest.raises(mho.MhoError, match="did you mean 'soft-bounds'"):
        fit(path, law="sofbounds")
    with pytest.raises(mho.MhoError, match="low must be less than high"):
        fit(path, span=(1, 1))


def test_the_range_is_a_choice_of_units(tmp_path):
    """Twice the range halves the weights and all that is measured in them."""
    path = write(tmp_path / "a.csv", ramps(soft(), 3, pulses=150))
    one = fit(path, law="soft-bounds", span=SPAN)
    two = fit(path, law="soft-bounds", span=(-2, 2))
    assert two.device.dw_min == pytest.approx(one.device.dw_min / 2, rel=1e-3)
    assert two.points[0].w == pytest.approx(one.points[0].w / 2, abs=1e-3)


@measured
def test_enode_has_no_law():
    found = fit(*luts("ENODe"))
    assert found.law in ("table", "piecewise") and all(c.rejected for c in found.ranking)
    assert found.shapes[0].startswith("shrinks") and found.shapes[1] == "hump"
    assert len(found.crossings) == 1 and found.crossings[0].attracts
    assert found.crossings[0].w == pytest.approx(0.45, abs=0.03)
    assert found.crossings[0].interval[1] - found.crossings[0].interval[0] < 0.1
    law, dw_min = found.device.response, found.device.dw_min
    for name, bins in zip(("q_up", "q_down"), found.bins, strict=True):
        steps = dw_min * np.array([getattr(law, name)(w) for w in bins.w])
        away = np.abs(steps - bins.step) / np.sqrt(bins.variance)
        assert away.max() < 0.5, f"{name}: {away.max():.2f} standard deviations of a pulse"


@measured
def test_taox_attracts():
    found = fit(*luts("TaOx_1"), law="soft-bounds")
    assert found.law == "soft-bounds" and found.best.rejected
    assert [p.attracts for p in found.crossings] == [True]
    assert found.crossings[0].w == pytest.approx(0.44, abs=0.02)


@measured
def test_gong_attracts():
    found = fit(PULSES / "gong_reram_MIT" / "gong_et_al.csv", law="linear")
    assert [r.sign for r in found.measured.ramps] == [1, -1]
    (point,) = found.points
    half, middle = (found.span.high - found.span.low) / 2, (found.span.high + found.span.low) / 2
    low, high = (middle + half * w for w in point.interval)
    assert point.attracts and low < -0.45 < high
    assert found.best.noise.read > 0.05


def test_command_line_end_to_end(mho_command, tmp_path):  # noqa: F811
    path = write(tmp_path / "ramps.csv", ramps(soft(), 0, pulses=150), ("up", "down"))
    code, out, err = mho_command(
        "device", "fit", path, "--law", "soft-bounds", "--out", "mine", "--range=-1,1"
    )
    assert code == 0, err
    for text in ("soft-bounds fits", "95 % interval", "attracts", "not identifiable", "mine/device.json"):
        assert text in out, out
    assert Path("mine/fit.png").read_bytes()[:4] == b"\x89PNG" and Path("mine/fit.pdf").exists()
    report = json.loads(Path("mine/report.json").read_text())
    assert (
        report["parameters"]["dw_min"]["interval"][0] < 0.01 < report["parameters"]["dw_min"]["interval"][1]
    )
    device = from_dict(read_config("mine/device.json"), kind=mho.Device)
    assert device.dw_min == report["parameters"]["dw_min"]["value"]
    quick = ["--hidden", "8", "--epochs", "1", "--batch-size", "100", "--out", "run", "--quiet"]
    code, out, err = mho_command(
        "train", "--device", "mine/device.json", "--set", "device.sigma_c2c=0", *quick
    )
    assert code == 0, err
    trained = json.loads(Path("run/config.json").read_text())["hardware"]["device"]
    assert trained["dw_min"] == device.dw_min and trained["sigma_c2c"] == 0
    assert trained["response"]["type"] == "SoftBounds"
    code, out, _ = mho_command("device", "fit", path, "--law", "linear", "--json")
    assert code == 0 and json.loads(out)["law"] == "linear" and Path("fit-ramps/device.json").exists()


def test_command_line_errors(mho_command, tmp_path):  # noqa: F811
    code, _, err = mho_command("device", "fit", "none.csv")
    assert code == 2 and "none.csv" in err and "cannot be read" in err
    code, _, err = mho_command("device", "fit", "a", "b", "c")
    assert code == 2 and "3 files" in err
    code, _, err = mho_command("device", "fit", "a", "--range", "2")
    assert code == 2 and "this is no range" in err
    other = tmp_path / "other.json"
    for text, words in (
        ('{"type": "Crossbar"}', "describes a Crossbar"),
        ('{"type": "Device", "dw_min": -1}', "dw_min must be positive"),
        ("{", "no valid JSON"),
    ):
        other.write_text(text)
        code, _, err = mho_command("train", "--device", other)
        assert code == 2 and words in err, err
    code, _, err = mho_command("train", "--device", "none.json")
    assert code == 2 and "cannot be read" in err
    other.write_text('{"type": "Device"}')
    code, _, err = mho_command("train", "--algorithm", "digital", "--device", other)
    assert code == 2 and "no hardware can be set" in err


def test_a_law_says_itself_how_it_is_fitted(monkeypatch, tmp_path):
    """`Response.fitting` is all that a law needs; one without it is refused by name, and so is an unknown one."""
    path = write(tmp_path / "a.csv", ramps(soft(), 0, pulses=40))
    with pytest.raises(mho.MhoError, match="Piecewise does not say how it is fitted"):
        mho.fit.fit(path, law="piecewise")
    monkeypatch.setattr(mho.responses.Piecewise, "fitting", Fitting({"tau_max": HIGH, "tau_min": LOW}))
    assert mho.fit.fit(path, law="piecewise").best.family.names == ("dw_min", "tau_max", "tau_min")
    assert {"piecewise", "soft-bounds"} < chosen("auto").keys()
    assert "skewed-soft-bounds" not in chosen("auto") and "skewed-soft-bounds" in chosen("SkewedSoftBounds")


def test_every_law_that_is_fitted_starts_inside_its_domain():
    for name, one in families().items():
        low, high = one.bounds()
        for x in one.grid(0.01):
            assert (low <= x).all() and (x <= high).all(), name
            assert np.isfinite(one.steps(x, np.linspace(-0.9, 0.9, 7))).all(), name
