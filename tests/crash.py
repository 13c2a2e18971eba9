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


def ended(child: int) -> bool:
    """Wait for a process; return whether it was killed. Raises: AssertionError if it failed by itself."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, os.WTERMSIG(status)
        return True
    assert os.WEXITSTATUS(status) == 0, f"exit code {os.WEXITSTATUS(status)} without a kill"
    return False


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
    """Return the files of the work, the time that it takes [s] and the steps of its writes; have all compiled."""
    for name in ("compiled", "undisturbed"):
        (folder / name).mkdir()
    nowhere = contextlib.redirect_stdout(io.StringIO())
    with contextlib.chdir(folder / "compiled"), nowhere, counted_steps() as taken:
        assert outcome(work) == 0
    start = time.monotonic()
    assert not ended(process(work, folder / "undisturbed"))
    return contents(folder / "undisturbed"), time.monotonic() - start, len(taken)


def check(work: Work, folder: Path, expected: dict, how: str) -> None:
    """Let the work end, and compare."""
    assert not ended(process(work, folder))
    found = contents(folder)
    wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    assert not wrong, f"{work.name}, {how}: {', '.join(wrong)} differ from those of an undisturbed work"


class Trial(NamedTuple):
    """Kills of one work in one new folder: at some parts of its time, in turn, or at a step of its writes."""

    moments: tuple[float, ...]
    step: int = 0

    def run(self, work: Work, folder: Path, expected: dict, seconds: float) -> None:
        """Kill, let the work end, and compare."""
        if self.step:
            assert ended(process(work, folder, self.step)), f"{work.name} has no step {self.step}"
        for moment in self.moments:
            child = process(work, folder)
            time.sleep(moment * seconds)
            os.kill(child, signal.SIGKILL)
            ended(child)
        how = f"step {self.step} of its writes" if self.step else f"{[m * seconds for m in self.moments]} s"
        check(work, folder, expected, f"killed at {how}")


def random_trials(work: Work, kills: int, seed: int) -> list[Trial]:
    """Return trials with so many kills in all, one to three in a folder."""
    chance, trials = random.Random(f"{seed} {work.name} moments"), []
    while kills:
        n = min(chance.randint(1, 3), kills)
        trials.append(Trial(tuple(round(chance.uniform(0, 1.05), 4) for _ in range(n))))
        kills -= n
    return trials


def trials_at_steps(work: Work, most: int, total: int, seed: int) -> list[Trial]:
    """Return trials at so many of the steps."""
    chance = random.Random(f"{seed} {work.name} steps")
    return [Trial((), step) for step in sorted(chance.sample(range(1, total + 1), min(most, total)))]


def run(works: list[Work], kills: int, most: int, seed: int, report: Path | None) -> None:
    """Run the works one after the other, and print a line for each.

    report: a file with a line for each trial that has ended well; those that it holds are not repeated.
    """
    torch.set_num_threads(1)  # a process with threads cannot be forked safely
    mho.set_threads(1)
    lines = report.read_text().splitlines() if report and report.exists() else []
    done = [tuple(json.loads(line)) for line in lines]
    for n, work in enumerate(works):
        share, part = (all_ // len(works) + (n < all_ % len(works)) for all_ in (kills, most))
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            expected, seconds, total = undisturbed(work, folder)
            trials = [*random_trials(work, share, seed), *trials_at_steps(work, part, total, seed)]
            left = [t for t in trials if (seed, work.name, t.step, str(t.moments)) not in done]
            with Progress(console=Console(stderr=True), auto_refresh=False) as bar:  # no thread, see above
                for trial in bar.track(left, description=work.name):
                    (folder / "trial").mkdir()
                    trial.run(work, folder / "trial", expected, seconds)
                    shutil.rmtree(folder / "trial")
                    if report:
                        with report.open("a") as file:
                            file.write(json.dumps((seed, work.name, trial.step, str(trial.moments))) + "\n")
        at_steps = sum(trial.step > 0 for trial in trials)
        text = f"{share} random kills in {len(trials) - at_steps} folders, {at_steps} kills at {total} steps"
        print(
            f"{work.name}: {seconds:.2f} s, {text} of its writes: {len(expected)} files as undisturbed",
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
