"""Measures and writes results/crosscheck.json and docs/crosscheck.md: `make crosscheck`, or

AIHWKIT_PYTHON=/path/to/python python benchmarks/crosscheck [--only SoftBounds,draws] [--quick] [--report]
"""

import argparse
import datetime
import json
import sys
import time
from pathlib import Path

import collect
from cases import UPDATES
from page import page

from mho.base.provenance import provenance

ROOT = Path(__file__).parent.parent.parent
FULL, QUICK = ({1: 2000, 10: 2000, 1000: 300}, 120), ({1: 50, 10: 50, 1000: 20}, 20)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", help="cases of updates by the starts of their names, and draws, with commas"
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions: does everything run?")
    parser.add_argument("--report", action="store_true", help="judge and write the numbers there are again")
    parser.add_argument("--out", type=Path, help="folder for both files; default: the repository's, "
                        "or runs/crosscheck if not everything is measured")  # fmt: skip
    words = parser.parse_args()
    folder = words.out or (ROOT / "runs" / "crosscheck" if words.quick or words.only else None)
    numbers = (folder or ROOT / "results") / "crosscheck.json"
    text = (folder or ROOT / "docs") / "crosscheck.md"
    if words.report:
        found = json.loads(numbers.read_text())
        collect.judge(found["rows"])
    elif collect.interpreter() is None:
        print(collect.ABSENT)
        return 0
    else:
        found = run(words.only.split(",") if words.only else None, words.quick)
    for path, content in ((numbers, json.dumps(found, indent=1)), (text, page(found).rstrip("\n"))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    wrong = [row for row in found["rows"] if row["verdict"] in ("differs", "fails")]
    for row in wrong:
        print(f"{row['verdict']}: {row['part']}, {row['case']}, {row['statistic']}: "
              f"{row.get('failure') or row['z']}")  # fmt: skip
    print(f"{len(found['rows'])} comparisons, {len(wrong)} without agreement; written: {numbers}, {text}")
    return 1 if wrong else 0


def run(only: list[str] | None, quick: bool) -> dict:
    """All numbers, with what they were measured on."""
    start = time.perf_counter()
    repetitions, tiles = QUICK if quick else FULL
    found = provenance() | {"date": datetime.date.today().isoformat(), "quick": quick}
    found |= {"repetitions": repetitions, "tiles": tiles, "rows": []}
    for case in UPDATES:
        if only is None or any(case.name.startswith(word) for word in only):
            print(f"[{time.perf_counter() - start:4.0f} s] {case.name}", flush=True)
            rows, found["theirs"] = collect.updates(case, repetitions, tiles)
            found["rows"] += rows
    found["rows"] += collect.together(found["rows"])
    if only is None or "draws" in only:
        print(f"[{time.perf_counter() - start:4.0f} s] parameters of new cells", flush=True)
        found["rows"] += collect.draws()
    collect.judge(found["rows"])
    found["minutes"] = round((time.perf_counter() - start) / 60, 1)
    return found


if __name__ == "__main__":
    sys.exit(main())
