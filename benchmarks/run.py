"""Measures everything and writes results/benchmarks.json and docs/benchmarks.md: `make bench`, or

AIHWKIT_PYTHON=/path/to/python python benchmarks/run.py [--only update,fcn] [--quick] [--report]
"""

import argparse
import datetime
import json
import os
import platform
import time
from pathlib import Path

from driver import available, measure
from first_call import first_calls
from groups import groups
from report import page

from mho.base.provenance import provenance

ROOT = Path(__file__).parent.parent
FIRST = "first-call"


def main() -> None:
    names = [group.name for group in groups(False)] + [FIRST]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", help=f"some of {', '.join(names)}; a prefix such as update takes all of them"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does everything run?")
    parser.add_argument("--repetitions", type=int, default=7, help="of each case, after a warm-up (7)")
    parser.add_argument(
        "--report", action="store_true", help="write the page again from the numbers there are"
    )
    parser.add_argument("--out", type=Path, help="folder for both files; default: the repository's, "
                        "or runs/bench if not everything is measured")  # fmt: skip
    words = parser.parse_args()
    partial = words.quick or words.only
    chosen = [n for n in names if not words.only or any(n.startswith(p) for p in words.only.split(","))]
    if not chosen:
        parser.error(f"--only {words.only}: known groups are {', '.join(names)}")
    folder = words.out or (ROOT / "runs" / "bench" if partial else None)
    numbers = (folder or ROOT / "results") / "benchmarks.json"
    text = (folder or ROOT / "docs") / "benchmarks.md"
    if not words.report:
        found = run(chosen, words.quick, 2 if words.quick else words.repetitions)
        numbers.parent.mkdir(parents=True, exist_ok=True)
        numbers.write_text(json.dumps(found, indent=1) + "\n")
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text(page(json.loads(numbers.read_text())))
    print(f"written: {numbers}, {text}")


def run(chosen: list[str], quick: bool, repetitions: int) -> dict:
    """All numbers, with what they were measured on."""
    start = time.perf_counter()
    found: dict = provenance() | {"date": datetime.date.today().isoformat(), "quick": quick}
    found["machine"] |= {"processor": processor(), "load": os.getloadavg()[0]}
    found |= {"contenders": {}, "groups": {}}
    for group in groups(quick):
        if group.name not in chosen:
            continue
        rows = []
        contenders = available(group.threads, list(group.contenders))
        for case in group.cases:
            asked = {name: value for name, value in case.items() if name != "axis"}
            print(f"[{time.perf_counter() - start:4.0f} s] {group.name}: {_title(case)}", flush=True)
            rows.append({"case": case, "of": measure(contenders, asked, repetitions)})
        for name, contender in contenders.items():
            found["contenders"].setdefault(name, contender.about)
            contender.close()
        found["groups"][group.name] = {"threads": group.threads, "rows": rows}
    if FIRST in chosen:
        print(f"[{time.perf_counter() - start:4.0f} s] first calls", flush=True)
        found["groups"][FIRST] = first_calls(repetitions)
    found["minutes"] = round((time.perf_counter() - start) / 60, 1)
    return found


def _title(case: dict) -> str:
    return case.get("algorithm") or f"{case['law']}, {case['out']}x{case['n_in']}, {case['samples']}"


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
