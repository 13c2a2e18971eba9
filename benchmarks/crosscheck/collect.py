"""Asks both programs and compares: all findings as rows, ready for JSON."""

import dataclasses
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import compare
import numpy as np
import ours
from cases import DRAWS, PRESETS, Case, inputs, known

from mho import MhoError

THEIRS = Path(__file__).with_name("theirs.py")
ABSENT = "the cross-check is skipped: AIHWKIT_PYTHON names no interpreter; see benchmarks/README.md"
SIDE = 200
Row = dict[str, Any]


def interpreter() -> str | None:
    """The Python that has aihwkit."""
    python = os.environ.get("AIHWKIT_PYTHON", "")
    return python if python and Path(python).exists() else None


def ask(job: dict[str, Any]) -> dict[str, np.ndarray]:
    """What aihwkit's side answers; see `theirs.py`."""
    with tempfile.TemporaryDirectory() as folder:
        asked, found = Path(folder, "job.json"), Path(folder, "found.npz")
        asked.write_text(json.dumps({"updates": [], "draws": []} | job))
        subprocess.run([str(interpreter()), str(THEIRS), str(asked), str(found)], check=True)
        with np.load(found) as arrays:
            return dict(arrays)


def below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def updates(case: Case, repetitions: dict[int, int], tiles: int) -> tuple[list[Row], str]:
    """The rows of one case, as yet without a verdict, and aihwkit's versions."""
    job = {"updates": [dataclasses.asdict(case)], "repetitions": repetitions, "tiles": tiles}
    answer = ask(job)
    theirs = below("updates/0/", answer)
    same = ours.same_cells(case, below("cells/", theirs), theirs["start"], repetitions)
    signs = inputs()[2]
    findings = {h: compare.of_tiles(theirs[f"same/{h}"], same[h], signs) for h in repetitions}
    failure = ""
    try:
        new = ours.new_cells(case, tiles, repetitions)
        for h, found in findings.items():
            found.append(compare.of_diagonals(theirs[f"new/{h}"], new[h]))
    except MhoError as error:
        failure = str(error)
    rows = [_row("updates", case.name, f, horizon=h) for h, found in findings.items() for f in found]
    if failure:
        rows.append(_failed("updates", case.name, failure))
    return rows, str(answer["versions"])


def together(rows: list[Row]) -> list[Row]:
    """What all devices have in common: per horizon and statistic the sum of all z over the root of their number."""
    found = []
    tiles = [row for row in rows if row["part"] == "updates" and row.get("error") is not None]
    for horizon, statistic in dict.fromkeys((row["horizon"], row["statistic"]) for row in tiles):
        of = [row for row in tiles if (row["horizon"], row["statistic"]) == (horizon, statistic)]
        theirs, ours = (float(np.mean([row[side] for row in of])) for side in ("theirs", "ours"))
        z = sum(row["z"] for row in of) / math.sqrt(len(of))
        error = math.sqrt(sum(row["error"] ** 2 for row in of)) / len(of)
        finding = compare.Finding(statistic, theirs, ours, z, compare.two_sided(z), error)
        found.append(_row("updates", "all of them together", finding, horizon=horizon))
    return found


def draws(cases: Iterable[Case] = DRAWS, presets: Iterable[str] = PRESETS, side: int = SIDE) -> list[Row]:
    """The parameters of new cells, for the functions of mho.aihwkit and for the presets."""
    named = [("draws", case, ours.device_of) for case in cases]
    named += [("presets", Case(name, name + "Preset", name), ours.preset) for name in presets]
    answer = ask({"draws": [dataclasses.asdict(case) for _, case, _ in named], "side": side})
    rows = []
    for number, (part, case, device) in enumerate(named):
        theirs = below(f"draws/{number}/", answer)
        try:
            found = compare.of_cells(theirs, ours.draws(device(case), side, 3 + number, theirs))
        except MhoError as error:
            rows.append(_failed(part, case.name, str(error)))
            continue
        rows += [_row(part, case.name, finding) for finding in found]
    return rows


def _row(part: str, case: str, finding: compare.Finding, **more: Any) -> Row:
    numbers = {
        k: (v if not isinstance(v, float) or math.isfinite(v) else None) for k, v in finding._asdict().items()
    }
    return {"part": part, "case": case} | more | numbers


def _failed(part: str, case: str, message: str) -> Row:
    return {"part": part, "case": case, "statistic": "new cells", "failure": message}


def judge(rows: list[Row]) -> None:
    """Adds "verdict" to every row: agrees, known (with "reason"), differs, or fails."""
    number = sum("p" in row for row in rows if row["part"] == "updates")
    for row in rows:
        if "failure" in row:
            row["verdict"] = "fails"
            continue
        if row["part"] == "updates":
            agrees = row["p"] >= compare.FAMILY / number
        else:
            agrees = row["z"] is not None and abs(row["z"]) <= compare.FARTHEST
        reason = known(row["part"], row["case"], row["statistic"])
        row.pop("reason", None)
        row["verdict"] = "agrees" if agrees else "known" if reason else "differs"
        if row["verdict"] == "known":
            row["reason"] = reason
