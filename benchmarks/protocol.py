"""The side of a contender: a process that prepares cases and times single repetitions, as the driver asks.

Messages are lines of JSON. Asked {"do": "prepare", "case": ...} it runs the case with two samples, so that what
is compiled or loaded late counts neither as time nor as memory of the case, then builds it and warms it up. "time"
runs one repetition; "release" drops the job and says how much memory it took. What libraries print goes to stderr.
"""

import contextlib
import ctypes
import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from mho.testing.bench import calls_needed, timed


class Job(NamedTuple):
    """Something to time.

    run: one call. reset: brings the state before a call back, outside the timer. scale: factor on the time, if
    only a part of the samples is computed. moved: mean |w| after the present call, to compare the work done.
    """

    run: Callable[[], Any]
    reset: Callable[[], None] = lambda: None
    scale: float = 1.0
    moved: Callable[[], float | None] = lambda: None


def serve(prepare: Callable[..., Job], versions: dict[str, str]) -> None:
    """Answers until stdin ends; `prepare(kind, threads, **case)` makes a job of a case."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**reply: Any) -> None:
        print(json.dumps(reply), file=answers, flush=True)

    answer(versions=versions, engine_mib=memory("VmRSS"))
    job, calls, before = None, 1, None
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            if ask["do"] == "prepare":
                case = ask["case"]
                prepare(**case | ({"samples": 2} if "samples" in case else {})).run()
                _give_back()
                before = memory("VmRSS")
                forget_peak()
                job = prepare(**case)
                calls = calls_needed(job.run, job.reset)
                answer(calls=calls, moved=job.moved())
            elif ask["do"] == "time":
                assert job is not None
                answer(seconds=job.scale * timed(job.run, job.reset, calls))
            else:
                peak = memory("VmHWM")
                job = None
                answer(peak_mib=None if peak is None or before is None else max(peak - before, 0.0))
        except Exception as failure:
            traceback.print_exc()
            answer(error=f"{type(failure).__name__}: {failure}")


def memory(what: str) -> float | None:
    """MiB of this process: VmRSS now, VmHWM at most since `forget_peak`. None where /proc does not tell."""
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines[what].split()[0]) / 1024
    except (OSError, KeyError):
        return None


def forget_peak() -> None:
    """VmHWM starts again from the present memory (Linux)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as control:
        control.write("5")


def _give_back() -> None:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
