"""`mho bench`, the cases that are timed, and the arithmetic of the comparison's report."""

import json
import math
from pathlib import Path

import pytest
import torch

import mho
from mho.cli import main
from mho.testing import bench

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def scripts(monkeypatch):
    """The folder benchmarks/ as a place to import from."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def run(capfd, *words):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *words])
    out, err = capfd.readouterr()
    return stop.value.code, out, err


def test_quick_bench_prints_a_table(capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    before = mho.get_threads()
    try:
        code, out, _ = run(capfd, "--quick", "--laws", "constant,soft-bounds", "--threads", "1")
    finally:
        mho.set_threads(before)
    assert code == 0 and "1 thread" in out and "32x64, 4" in out
    rows = [line.split() for line in out.splitlines() if line.strip().startswith("32x64")]
    assert [row[2] for row in rows] == ["constant", "soft-bounds"]
    for row in rows:
        ms, pulses, ns = float(row[3]), float(row[5]), float(row[6])
        assert 1e6 * ms / pulses == pytest.approx(ns, rel=0.02)


def test_unknown_law_of_bench(capfd):
    code, _, err = run(capfd, "--laws", "soft-bonds")
    assert code == 2 and "there is no 'soft-bonds'. did you mean 'soft-bounds'?" in err


@pytest.mark.parametrize("law", bench.LAWS)
def test_pulses_of_a_case_do_not_depend_on_the_law_but_for_its_step(law):
    """lr / q(0): the expected change of a weight is the same for all, up to its law away from 0."""
    case = bench.Case(law, 64, 64, 20, sigma_c2c=0.0)
    update = bench.TileUpdate(case)
    info = update()
    x, d = bench.inputs(case)
    expected = bench.LR / bench.law_of(case).F(0.0) * (d.abs().T @ x).sum().item() / bench.DW_MIN
    assert info.up + info.down == pytest.approx(expected, rel=0.05)
    assert info.clipped == 0
    moved = update.tile.w.clone()
    update.reset()
    assert update.tile.w.abs().max() == 0
    gain = update.tile.parameters_of_cells.gain
    nominal = bench.LR * gain * (d.T @ x)
    assert ((moved * nominal).sum() / (nominal * nominal).sum()).item() == pytest.approx(1, abs=0.15)
    assert torch.equal(bench.inputs(case)[0], x)


def test_quartiles():
    assert bench.spread([3.0]) == (3.0, 3.0, 3.0, 1)
    assert bench.spread([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0, 5)


def test_a_repetition_does_not_time_resets():
    log = []
    bench.timed(lambda: log.append("run"), lambda: log.append("reset"), 2)
    assert log == ["reset", "run"] * 3
    log.clear()
    bench.timed(lambda: log.append("run"), lambda: log.append("reset"), 1)
    assert log == ["reset", "run"]


def row(case, **medians):
    of = {
        name: {"median": m, "low": 0.9 * m, "high": 1.1 * m, "n": 7, "peak_mib": m}
        for name, m in medians.items()
    }
    return {"case": case, "of": of}


def update_row(law, **medians):
    return row({"kind": "update", **bench.Case(law, 8, 8, 2)._asdict()}, **medians)


def test_ratios_and_means(scripts):
    import ratios

    rows = [update_row("constant", mho=0.1, aihwkit=0.4), update_row("exp-step", mho=0.1, aihwkit=1.6)]
    rows.append(update_row("pow-step", mho=0.1))
    assert ratios.ratios(rows, "aihwkit", "mho") == pytest.approx([4, 16])
    assert ratios.geometric_mean([4.0, 16.0]) == pytest.approx(8)
    assert ratios.geometric_mean([]) is None
    assert ratios.ratio(rows[2], "aihwkit", "mho") is None
    sizes = [10.0, 100.0, 1000.0]
    assert ratios.exponent(sizes, [3 * n**1.25 for n in sizes]) == pytest.approx(1.25)


def test_bars_are_met_or_missed(scripts):
    import ratios

    rows = [update_row("constant", mho=0.1, aihwkit=0.4), update_row("exp-step", mho=0.1, aihwkit=1.6001)]
    fcn = [row({"kind": "fcn", "algorithm": "ttv1"}, mho=2.0, aihwkit=3.0, digital=1.0)]
    found = ratios.bars({"update": {"rows": rows}, "fcn": {"rows": fcn}, "update-aggregated": {"rows": []}})
    assert {bar.what: (bar.value and round(bar.value, 2), bar.verdict) for bar in found} == {
        "update: aihwkit / mho, geometric mean": (8.0, "met"),
        "update: aihwkit / mho, worst case": (4.0, "missed"),
        "update-aggregated: aihwkit / mho, geometric mean": (None, "not measured"),
        "fcn, ttv1: mho / digital": (2.0, "met"),
        "fcn, ttv1: aihwkit / mho": (1.5, "missed"),
    }


def test_page(scripts):
    from report import page

    linear = [
        row(
            {"kind": "update", "axis": "cells", **bench.Case("soft-bounds", n, n, 4)._asdict()},
            mho=1e-6 * n**2.2,
        )
        for n in (10, 100)
    ]
    failed = update_row("pow-step", mho=0.1)
    failed["of"]["aihwkit"] = {"error": "OSError: gone"}
    found = {
        "date": "2026-01-01", "commit": None, "quick": False, "minutes": 1.0,
        "machine": {"processor": "a processor", "cores": 2, "system": "Linux", "load": 0.0},
        "versions": {"mho": "0"}, "contenders": {"mho": {"versions": {"torch": "2"}, "engine_mib": 300.0}},
        "groups": {
            "update": {"threads": 2, "rows": [update_row("constant", mho=0.125, aihwkit=2.0), failed]},
            "linear": {"threads": 1, "rows": linear},
            "first-call": {"import mho": {"median": 0.25, "low": 0.2, "high": 0.3, "n": 7}},
        },
    }  # fmt: skip
    text = page(json.loads(json.dumps(found)))
    assert "| 8x8, 2: constant | 125 (112-138) | 2e+03 (1.8e+03-2.2e+03) | 16 |" in text
    assert "| geometric mean |  |  | 16 |" in text
    assert "Not measured: aihwkit, 8x8, 2: pow-step: failed: OSError: gone." in text
    assert "Exponent in cells, over 2.0 decades: **1.100**" in text
    assert "| linear: distance of the exponent in cells from 1 | 0.1 | <= 0.05 | missed |" in text
    assert "| first call: import mho [s] | 0.25 | <= 0.3 | met |" in text


def test_cases_are_those_that_were_asked_for(scripts):
    from groups import groups

    by_name = {group.name: group for group in groups(quick=False)}
    assert len(by_name["update"].cases) == 16
    assert {case["sigma_c2c"] for case in by_name["update-without-c2c"].cases} == {0.0}
    assert {case["algorithm"] for case in by_name["fcn"].cases} == {"analog-sgd", "ttv1", "ttv2", "agad"}
    cells = [c["out"] * c["n_in"] for c in by_name["linear"].cases if c["axis"] == "cells"]
    samples = [c["samples"] for c in by_name["linear"].cases if c["axis"] == "samples"]
    for sizes in (cells, samples):
        assert math.log10(max(sizes) / min(sizes)) == pytest.approx(3, abs=0.02)


def test_driver_and_contender_understand_each_other(scripts):
    from driver import available, measure

    contenders = available(1, ["digital"])
    case = {"kind": "update", **bench.Case("constant", 8, 6, 4)._asdict()}
    [(name, found)] = measure(contenders, case, 2).items()
    contenders["digital"].close()
    assert name == "digital" and found["n"] == 2 and 0 < found["low"] <= found["median"] <= found["high"]


def test_the_page_about_gpus_shows_what_was_measured(scripts):
    import gpu

    measured = json.loads((BENCHMARKS.parent / "results" / "gpu.json").read_text())
    assert gpu.table(measured) in (BENCHMARKS.parent / "docs" / "gpu.md").read_text()
    assert all(row["same_bits"] for row in measured["updates"])
