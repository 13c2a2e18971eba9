"""The cross-check against aihwkit: its statistics find what is wrong and nothing else; a small part of it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import mho

CROSSCHECK = Path(__file__).parent.parent / "benchmarks" / "crosscheck"
OUT, IN, TILES = 4, 6, 2000


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """The folder benchmarks/crosscheck as a place to import from."""
    monkeypatch.syspath_prepend(str(CROSSCHECK))


def signs():
    return np.outer([1, -1, 1, 1], [1, 1, -1, 1, -1, 1])


def tiles(seed, row=0.3, column=0.3, own=1.0, shift=0.0, number=TILES):
    """(number, OUT, IN): normal changes that share a part along rows and one along columns, up to the signs."""
    rng = np.random.default_rng(seed)
    noise = own * rng.normal(size=(number, OUT, IN))
    noise += row * rng.normal(size=(number, OUT, 1)) + column * rng.normal(size=(number, 1, IN))
    return signs() * (1 + shift + noise)


def wrong(a, b):
    import compare

    findings = compare.of_tiles(a, b, signs())
    return {f.statistic for f, fine in zip(findings, compare.agree(findings), strict=True) if not fine}


@pytest.mark.parametrize("seed", range(5))
def test_equal_distributions_agree(seed):
    assert wrong(tiles(seed), tiles(100 + seed)) == set()
    assert wrong(tiles(seed), tiles(200 + seed, number=300)) == set()


def test_z_of_equal_distributions_is_normal():
    """Standard errors of tiles, not of cells: those would make the z of strongly correlated cells too large."""
    import compare

    z, unlikely = [], 0
    for s in range(200):
        a, b = (tiles(seed, row=1, column=1, own=0.3, number=100) for seed in (s, s + 500))
        found = compare.of_tiles(a, b, signs())
        z.append([f.z for f in found if "worst" not in f.statistic])
        unlikely += sum(f.p < 0.05 for f in found if "worst" in f.statistic)
    mean, deviation = np.mean(z, 0), np.std(z, 0)
    assert (np.abs(mean) < 5 / 200**0.5).all(), mean
    assert (np.abs(deviation - 1) < 5 / 400**0.5).all(), deviation
    assert unlikely < 0.05 * 400 + 5 * (0.05 * 400) ** 0.5, (
        "the worst of many cells is expected to be far away"
    )


def test_a_wrong_mean_is_found():
    assert {"mean", "mean, worst cell"} <= wrong(tiles(1), tiles(2, shift=0.2))
    assert wrong(tiles(1), tiles(2, shift=0.2)) <= {"mean", "mean, worst cell"}


def test_a_wrong_mean_of_one_cell_is_found():
    shifted = tiles(2)
    shifted[:, 2, 3] += 0.3
    assert wrong(tiles(1), shifted) == {"mean, worst cell"}


def test_a_wrong_variance_is_found():
    assert wrong(tiles(1), tiles(2, own=1.2)) == {"variance", "variance, worst cell"}
    wide = tiles(2)
    wide[:, 1, 1] = 1 + 1.4 * (wide[:, 1, 1] - 1)
    assert "variance, worst cell" in wrong(tiles(1), wide)


def test_a_wrong_covariance_is_found():
    """Rows and columns are told apart, and the variance of every cell is the same."""
    other = (1 + 0.3**2 - 0.5**2) ** 0.5
    assert wrong(tiles(1), tiles(2, row=0.5, own=other)) == {"covariance in a row"}
    assert wrong(tiles(1), tiles(2, column=0.5, own=other)) == {"covariance in a column"}
    assert wrong(tiles(1), tiles(2, row=0.0, own=(1 + 0.3**2) ** 0.5)) == {"covariance in a row"}


def test_what_does_not_vary_must_be_equal():
    same, off = np.ones((50, OUT, IN)), np.full((50, OUT, IN), 1.01)
    assert wrong(same, same) == set()
    assert "mean" in wrong(same, off)


def test_ks_of_diagonals():
    """It sees another shape with the same mean and variance; and only the diagonal."""
    import compare

    a, b, rng = tiles(1), tiles(2), np.random.default_rng(3)
    assert compare.of_diagonals(a, b).p > 1e-3
    at = np.arange(OUT)
    other = b.copy()
    width = a[:, at, at].std(0)
    other[:, at, at] = b[:, at, at].mean(0) + width * rng.choice([-1, 1], (TILES, OUT))
    assert compare.of_diagonals(a, other).p < 1e-9
    b[:, 0, 1] = 100
    assert compare.of_diagonals(a, b).p > 1e-3


def test_kolmogorov_against_its_table():
    import compare

    assert compare.kolmogorov(1.3581) == pytest.approx(0.05, rel=1e-3)
    assert compare.kolmogorov(1.6276) == pytest.approx(0.01, rel=1e-3)
    assert compare.kolmogorov(1.9495) == pytest.approx(0.001, rel=1e-3)


def cells(seed, spread=0.3, rho=0.9, mean=1.0):
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(2, 20000))
    return {
        "up": mean + spread * u,
        "down": 1 + 0.3 * (rho * u + (1 - rho**2) ** 0.5 * v),
        "kept": np.full(20000, 0.5),
    }


def far(a, b):
    import compare

    return {f.statistic for f in compare.of_cells(a, b) if abs(f.z) > compare.FARTHEST}


def test_parameters_of_cells():
    assert far(cells(1), cells(2)) == set()
    assert far(cells(1), cells(2, mean=1.02)) == {"up, mean"}
    assert far(cells(1), cells(2, spread=0.32)) == {"up, deviation"}
    assert far(cells(1), cells(2, rho=0.88)) == {"up and down, correlation"}
    assert far(cells(1), cells(2) | {"kept": np.full(20000, 0.501)}) == {"kept, constant"}
    assert far(cells(1), cells(2) | {"kept": cells(2)["up"]}) >= {"kept, mean", "kept, deviation"}


def test_verdicts_and_the_page():
    import collect
    import compare
    from page import page

    rows = [
        collect._row("updates", "SoftBounds", f, horizon=1)
        for f in compare.of_tiles(tiles(1), tiles(2), signs())
    ]
    broken = compare.of_tiles(tiles(1), tiles(2, shift=0.2), signs())
    rows += [collect._row("updates", "SoftBounds", f, horizon=10) for f in broken]
    both = compare.Finding("gamma_up and gamma_down, correlation", 1.0, 0.0, -200.0, 0.0)
    rows += [collect._row("draws", "PowStep", both), collect._row("draws", "ExpStep", both)]
    rows.append(collect._failed("presets", "PCM", "no such cell"))
    collect.judge(rows)
    assert [row["verdict"] for row in rows[:6]] == ["agrees"] * 6
    assert {row["statistic"] for row in rows[6:12] if row["verdict"] == "differs"} == {
        "mean",
        "mean, worst cell",
    }
    assert [row["verdict"] for row in rows[12:]] == ["known", "differs", "fails"]
    rows = json.loads(json.dumps(rows))
    found = {"rows": rows, "date": "2026-01-01", "commit": None, "minutes": 1, "quick": False, "tiles": 1}
    text = page(found | {"versions": {"mho": "0"}, "repetitions": {"1": 5}, "theirs": "aihwkit 1.2.0"})
    for words in (
        "| SoftBounds | 10 |",
        "10 agree",
        "one exponent",
        "No reason",
        "no such cell",
    ):
        assert words in text, words


def test_what_all_devices_have_in_common():
    """Fifteen differences of 2 standard errors are one of 7.7."""
    import collect

    one = {"part": "updates", "horizon": 1, "theirs": 0.0, "ours": 0.2, "p": 0.05, "error": 0.1}
    rows = [one | {"case": str(n), "statistic": "mean", "z": 2.0} for n in range(15)]
    rows += [one | {"case": str(n), "statistic": "variance", "z": (-1.0) ** n} for n in range(16)]
    rows += [one | {"case": "0", "statistic": "KS, diagonal of new tiles", "z": 9.0, "error": None}]
    mean, variance = collect.together(rows)
    assert (mean["statistic"], variance["statistic"]) == ("mean", "variance")
    assert mean["z"] == pytest.approx(2 * 15**0.5)
    assert mean["error"] == pytest.approx(0.1 / 15**0.5)
    assert mean["p"] < 1e-13
    assert variance["z"] == 0


def test_every_case_has_pulses_of_its_own():
    import ours
    from cases import UPDATES

    assert len({ours.key_of(case) for case in UPDATES}) == len(UPDATES)


def test_imported_cells_are_those_of_aihwkit():
    """Without noise one pulse shows each cell's own step; a pulse too many ends at its own bound."""
    import ours
    from cases import UPDATES

    rng = np.random.default_rng(5)
    shape = (4, 6)
    hidden = {"max_bound": rng.uniform(0.4, 0.8, shape), "min_bound": -rng.uniform(0.4, 0.8, shape)}
    hidden |= {name: rng.uniform(0.005, 0.02, shape) for name in ("dwmin_up", "dwmin_down")}
    linear = next(case for case in UPDATES if case.theirs == "LinearStep")
    hidden |= {"slope_up": -rng.uniform(0, 0.01, shape), "slope_down": rng.uniform(0, 0.01, shape)}
    tile = ours.imported(linear, hidden)
    start = torch.full(shape, 0.2)
    tile.device = tile.device.replace(sigma_c2c=0.0)
    for n, step in (
        (1, hidden["dwmin_up"] + 0.2 * hidden["slope_up"]),
        (-1, -hidden["dwmin_down"] - 0.2 * hidden["slope_down"]),
    ):
        tile.program(start)
        tile._kernels = None
        tile.pulse(torch.full(shape, float(n)))
        assert (tile.w - start).numpy() == pytest.approx(step, abs=1e-6)
    tile.pulse(torch.full(shape, 2000.0))
    assert (tile.w.numpy() <= hidden["max_bound"] + 1e-6).all()
    reference = next(case for case in UPDATES if case.theirs == "SoftBoundsReference")
    hidden = {name: hidden[name] for name in ("max_bound", "min_bound", "dwmin_up", "dwmin_down")}
    hidden["reference"] = rng.uniform(-0.1, 0.1, shape)
    tile = ours.imported(reference, hidden)
    tile.program(start)
    assert tile.w.numpy() == pytest.approx(start.numpy(), abs=1e-6)
    assert tile.cells.numpy() == pytest.approx(0.2 + hidden["reference"], abs=1e-6)


def test_inputs_have_a_common_direction():
    from cases import inputs

    x, d, common, positions = inputs()
    for u in range(20):
        product = np.sign(np.outer(d[u], x[u]))
        assert (product == common).all() or (product == -common).all()
    assert common.shape == positions.shape == (8, 12)
    assert mho.Tile(torch.zeros(common.shape), mho.Device()).update(
        torch.from_numpy(x[0]), torch.from_numpy(d[0]), 1e-3
    )


def test_every_class_of_pulsed_device_is_compared():
    from cases import DRAWS, PRESETS, UPDATES

    kinds = {"ConstantStep", "LinearStep", "SoftBounds", "SoftBoundsReference", "SoftBoundsPmax", "ExpStep"}
    kinds |= {"PowStep", "PowStepReference", "PiecewiseStep"}
    assert {case.theirs for case in UPDATES} == {case.theirs for case in DRAWS} == kinds
    assert len(set(PRESETS)) == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SoftBounds", "PowStep"])
def test_a_small_part_against_aihwkit(name):
    import collect
    from cases import UPDATES

    if not collect.interpreter():
        pytest.skip("AIHWKIT_PYTHON names no interpreter; benchmarks/README.md says how to install aihwkit")
    case = next(case for case in UPDATES if case.name == name)
    rows, versions = collect.updates(case, {1: 200, 10: 200, 1000: 20}, 25)
    collect.judge(rows)
    assert "aihwkit" in versions and os.environ["AIHWKIT_PYTHON"]
    assert len(rows) == 21
    assert [row for row in rows if row["verdict"] != "agrees"] == []
