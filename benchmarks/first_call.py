"""What the first seconds cost: importing the package, and the first update of a process."""

import os
import subprocess
import sys
import tempfile

from driver import SOURCE

from mho.testing.bench import spread

IMPORT = """
import time, torch
start = time.perf_counter()
import mho
{use}
print(time.perf_counter() - start)
"""
FIRST = """
import time, torch, mho
from mho.testing import bench
mho.Tile, mho.Device
case = bench.Case({law!r}, 64, 64, 4)
start = time.perf_counter()
bench.TileUpdate(case)()
print(time.perf_counter() - start)
"""
USE = "[getattr(mho, name) for name in mho.__all__]"


def first_calls(repetitions: int) -> dict[str, dict]:
    """{what: {"median", "low", "high" [s], "n"}}, each repetition in a process of its own."""
    seconds: dict[str, list[float]] = {
        "import mho": [],
        "import mho, every public name": [],
        "first update, nothing compiled": [],
        "first update, MHO_CACHE empty": [],
        "first update, caches warm": [],
    }
    for repetition in range(repetitions):
        seconds["import mho"].append(_run(IMPORT.format(use="")))
        seconds["import mho, every public name"].append(_run(IMPORT.format(use=USE)))
        if repetition < 3:  # seconds each: three are enough
            with tempfile.TemporaryDirectory() as caches:
                own = {"MHO_CACHE": f"{caches}/mho", "NUMBA_CACHE_DIR": f"{caches}/numba"}
                seconds["first update, nothing compiled"].append(_run(FIRST.format(law="soft-bounds"), own))
            with tempfile.TemporaryDirectory() as cache:
                code = FIRST.format(law="soft-bounds")
                seconds["first update, MHO_CACHE empty"].append(_run(code, {"MHO_CACHE": cache}))
        seconds["first update, caches warm"].append(_run(FIRST.format(law="soft-bounds")))
    return {what: spread(values)._asdict() for what, values in seconds.items()}


def _run(code: str, own: dict[str, str] | None = None) -> float:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_WAIT_POLICY": "passive"} | (own or {})
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout)
