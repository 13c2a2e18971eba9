"""Kills at random moments, and at each step of each write: a resumed work gives what an undisturbed one gives.

    python tests/crash.py --kills 200 --seed 1     # `make crash`; goes on where it stopped
    python tests/crash.py --kills 6 --steps 3      # what tests/test_faults_disk.py runs, of three works

A work is a training, a comparison, an experiment that solves problems, one that trains, a calibration, or a fit.
It runs in a process that is forked from this one, where everything is imported and compiled. That one gets
SIGKILL; a new one goes on, perhaps to be killed as well, and so on. The last one is left alone: then all files
must be those of an undisturbed work, byte for byte, and no other file may be there. Clocks stand still in these
processes, so that seconds are equal too. Of checkpoints the contents are compared: equal strings may be one object
or two in them.

Each work is also killed at steps of its writes (open, fsync, replace and others), each time in a new folder.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import Progress

import mho
from fit_ramps import ramps, soft, write
from mho.base import files, locks
from mho.cli import main
from mho.experiments import runner
from mho.experiments.experiment import Experiment, training
from mho.experiments.runner import run_cells
from mho.training import RunSpec, session

ALONE = ["--threads", "1", "--deterministic", "--quiet"]
TINY = RunSpec(hidden=(8,), epochs=3, batch_size=200, deterministic=True)
ANALOG = mho.Crossbar(
    mho.algorithms.AnalogSGD(), mho.Device(dw_min=0.01, sigma_c2c=0.3, spread={"gain": 0.1})
)
TRAININGS = Experiment(
    "tiny", "Tiny", "none", {"analog": training(TINY.replace(hardware=ANALOG)), "digital": training(TINY)}
)
STDERR = Console(stderr=True)  # its bars have no threads here: a process with threads cannot be forked safely
STEPS = ("open", "fsync", "replace", "ftruncate", "pwrite", "close")


class Work(NamedTuple):
    """A work in the present folder: `go()` starts it, or goes on with what a killed one has left there."""

    name: str
    go: Callable[[], None]


def train() -> None:
    goes_on = ["--resume"] if Path("run/config.json").exists() else []
    words = ["--hidden", "8", "--epochs", "3", "--batch-size", "100", "--set", "device.dw_min=0.01"]
    main(["train", *words, *ALONE, "--out", "run", *goes_on])


def compare() -> None:
    words = ["--hidden", "4", "--epochs", "2", "--batch-size", "400", "--seeds", "1"]
    main(["train", "--compare", "digital,analog-sgd", *words, *ALONE, "--out", "all"])


def papers() -> None:
    main(["papers", "run", "quadratic", "--quick", "--cells", "digital,analog-sgd", "--out", "results"])


def trainings() -> None:
    run_cells(TRAININGS, list(TRAININGS.cells), Path("results"), [0], store=Path("store"))


def calibrate() -> None:
    words = ["--cells", "8x8", "--dw-min", "0.01", "--pulses", "100,200"]
    main(["calibrate", "soft-bounds", *words, "--out", "calibrated"])


def fit() -> None:
    with files.whole(Path("ramps.csv")) as part:
        write(part, ramps(soft(), 0, pulses=60), ("up", "down"))
    main(["device", "fit", "ramps.csv", "--law", "soft-bounds", "--out", "fit"])


WORKS = [Work(go.__name__, go) for go in (train, compare, papers, trainings, calibrate, fit)]


def process(work: Work, folder: Path, step: int = 0) -> int:
    """Start the work in a process of its own, which kills itself at a step of its writes; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        _stop_clocks()
        os.chdir(folder)
        with counted_steps(step):
            code = outcome(work)
    finally:
        os._exit(code)


def outcome(work: Work) -> int:
    """Do the work and return its exit code."""
    try:
        work.go()
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def _stop_clocks() -> None:
    for module in (session, runner):
        module.time = SimpleNamespace(perf_counter=lambda: 0.0, monotonic=lambda: 0.0)


@contextlib.contextmanager
def counted_steps(step: int = 0) -> Iterator[list[str]]:
    """Yield a list that gets the name of each step of writing; at the given one, from 1, this process is killed."""
    taken: list[str] = []

    def counted(name):
        def instead(*arguments, **named):
            taken.append(name)
            if len(taken) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return getattr(os, name)(*arguments, **named)

        return instead

    files.os = locks.os = SimpleNamespace(**vars(os) | {name: counted(name) for name in STEPS})
    try:
        yield taken
    finally:
        files.os = locks.os = os


def ended(child: int, after: float | None = None) -> tuple[bool, float]:
    """Wait for a process; return whether it was killed, and its processor time [s].

    after: processor time at which it gets SIGKILL. Unlike a time by the clock it does not depend on other work.
    Raises: AssertionError if it failed by itself.
    """
    while True:
        found, status, used = os.wait4(child, 0 if after is None else os.WNOHANG)
        if found:
            break
        if int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) >= 1e9 * after:
            os.kill(child, signal.SIGKILL)
            after = None
        else:
            time.sleep(0.0005)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, os.WTERMSIG(status)
    else:
        assert os.WEXITSTATUS(status) == 0, f"exit code {os.WEXITSTATUS(status)} without a kill"
    return os.WIFSIGNALED(status), used.ru_utime + used.ru_stime


def contents(folder: Path) -> dict[str, bytes | list]:
    """Return all that a work has written: {path: bytes, or the parts of a checkpoint}."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (
            list(_parts(torch.load(path, weights_only=True))) if path.suffix == ".pt" else path.read_bytes()
        )
        for path in found
    }


def _parts(value, at: str = "") -> Iterator[tuple]:
    if isinstance(value, torch.Tensor):
        yield at, str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _parts(value[key], f"{at}.{key}")
    elif isinstance(value, list | tuple):
        yield at, len(value)
        for n, part in enumerate(value):
            yield from _parts(part, f"{at}.{n}")
    else:
        yield at, repr(value)


def undisturbed(work: Work, folder: Path) -> tuple[dict, float, int]:
    """Return the files of the work, its processor time [s] and the steps of its writes; have all compiled."""
    for name in ("compiled", "undisturbed"):
        (folder / name).mkdir()
    nowhere = contextlib.redirect_stdout(io.StringIO())
    with contextlib.chdir(folder / "compiled"), nowhere, counted_steps() as taken:
        assert outcome(work) == 0
    killed, seconds = ended(process(work, folder / "undisturbed"))
    assert not killed
    return contents(folder / "undisturbed"), seconds, len(taken)


def check(work: Work, folder: Path, expected: dict, how: str) -> None:
    """Let the work end, and compare."""
    assert not ended(process(work, folder))[0]
    found = contents(folder)
    wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    assert not wrong, f"{work.name}, {how}: {', '.join(wrong)} differ from those of an undisturbed work"


class Bench:
    """The trials of one work, each in a new folder, and the kills that have struck in them.

    Args:
        report: a file with a line for each trial that has ended well; those that it holds are not repeated.
    """

    def __init__(self, work: Work, folder: Path, seed: int, report: Path | None) -> None:
        self.work, self.folder, self.seed, self.report = work, folder, seed, report
        lines = report.read_text().splitlines() if report and report.exists() else []
        self.done = {(seed_, name, how): n for seed_, name, how, n in map(json.loads, lines)}
        self.expected, self.seconds, self.steps = undisturbed(work, folder)

    def at_random(self, n: int) -> int:
        """Kill one to three times, at moments that follow from n; return how many kills struck."""
        chance = random.Random(f"{self.seed} {self.work.name} {n}")
        moments = [chance.uniform(0, self.seconds) for _ in range(chance.randint(1, 3))]

        def kills(place: Path) -> int:
            return sum(ended(process(self.work, place), moment)[0] for moment in moments)

        return self._trial(f"random {n}", kills)

    def at_step(self, step: int) -> int:
        """Kill at one of the steps of the work's writes; return 1."""

        def kills(place: Path) -> int:
            assert ended(process(self.work, place, step))[0], f"{self.work.name} has no step {step}"
            return 1

        return self._trial(f"step {step}", kills)

    def _trial(self, how: str, kills: Callable[[Path], int]) -> int:
        name = self.seed, self.work.name, how
        if name not in self.done:
            place = self.folder / "trial"
            place.mkdir()
            self.done[name] = kills(place)
            check(self.work, place, self.expected, how)
            shutil.rmtree(place)
            if self.report:
                with self.report.open("a") as file:
                    file.write(json.dumps([*name, self.done[name]]) + "\n")
        return self.done[name]


def run(works: list[Work], kills: int, most: int, seed: int, report: Path | None) -> None:
    """Run the works one after the other, and print a line for each."""
    torch.set_num_threads(1)
    mho.set_threads(1)
    for n, work in enumerate(works):
        share, part = (all_ // len(works) + (n < all_ % len(works)) for all_ in (kills, most))
        with tempfile.TemporaryDirectory() as place, Progress(auto_refresh=False, console=STDERR) as bar:
            bench = Bench(work, Path(place), seed, report)
            every = range(1, bench.steps + 1)
            steps = random.Random(f"{seed} {work.name} steps").sample(every, min(part, bench.steps))
            task = bar.add_task(work.name, total=share + len(steps))
            struck = folders = 0
            while struck < share:
                struck += bench.at_random(folders)
                folders += 1
                bar.update(task, completed=min(struck, share), refresh=True)
            for k, step in enumerate(steps):
                bench.at_step(step)
                bar.update(task, completed=share + k + 1, refresh=True)
        text = (
            f"{struck} random kills in {folders} folders, {len(steps)} kills at {bench.steps} steps of writes"
        )
        print(
            f"{work.name}: {bench.seconds:.2f} s, {text}: {len(bench.expected)} files as undisturbed",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="at random moments, in all")
    parser.add_argument("--steps", type=int, default=120, help="kills at steps of writes, in all")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and steps")
    parser.add_argument("--works", default=",".join(work.name for work in WORKS), help="separated by commas")
    parser.add_argument(
        "--report", type=Path, help="a file of the trials that have ended well; goes on with it"
    )
    asked = parser.parse_args()
    chosen = [work for work in WORKS if work.name in asked.works.split(",")]
    if asked.report:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
    run(chosen, asked.kills, asked.steps, asked.seed, asked.report)
