"""The folder of a run: config.json, metrics.csv, checkpoint.pt, result.json and the plots, each written whole.

The checkpoint is the truth: it holds the lines of metrics.csv and the configuration as well, so that a folder can
be completed from it after a kill at any moment. Each file is checked when it is read, also that it is of this run.
"""

import contextlib
import csv
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import torch

from mho.base.config import read
from mho.base.errors import complaint
from mho.base.files import make_folder, unwritable, whole, write_json
from mho.base.locks import alone
from mho.base.stored import check, read_rows
from mho.training.label import check_label, configuration, label
from mho.training.spec import RunSpec

CONFIG, CHECKPOINT, METRICS, RESULT = "config.json", "checkpoint.pt", "metrics.csv", "result.json"
LOCK = ".lock"
ANEW = "start the run anew in another folder"
AGAIN = "remove the file and resume the run, which writes it again"


class RunResult(TypedDict):
    """The entries of result.json that others read."""

    algorithm: str
    data: str
    seed: int
    epochs: int
    test_accuracy: float
    test_loss: float
    train_accuracy: float
    train_loss: float
    best_test_accuracy: float
    best_epoch: int
    arrays: dict[str, dict[str, float | None]]
    clipped_fraction: float | None
    saturated_cells: int
    seconds: float
    run: dict[str, Any]


class RunFolder:
    """The files of one run; `check` refuses a folder that holds another run, or this one when not resuming.

    Args:
        path: the folder; `start` creates it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._call = f"train(folder={str(path)!r})"  # of errors
        if "\0" in str(path) or not str(path).isprintable():
            raise complaint(self._call, "the name holds characters that no name of a folder should have")

    @contextlib.contextmanager
    def held(self, wait: bool = False) -> Iterator[None]:
        """Create the folder, and keep other processes from training in it inside the block.

        The lock ends with the process, however it ends. `wait`: wait for a process that has it.
        Raises: MhoError that names the process that trains there, or says why the folder cannot be written.
        """
        make_folder(self.path, self._call)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(alone(self.path / LOCK, self._call, wait))
            except OSError as error:
                raise unwritable(self._call, error, "the folder ") from None
            yield

    def check(self, spec: RunSpec, resume: bool) -> None:
        """Check that the folder holds no run, or this one to be resumed.

        Raises: MhoError that names what differs.
        """
        held = [name for name in (CONFIG, CHECKPOINT, RESULT) if (self.path / name).exists()]
        if held and not resume:
            fix = "pass resume=True to go on with it, or name another folder"
            raise complaint(self._call, "the folder holds a run already", fix=fix)
        if CONFIG in held:
            check_label(read(self.path / CONFIG), label(spec), self._call)
        if (result := self.result()) is not None:
            check_label(result["run"], label(spec), str(self.path / RESULT), ANEW)

    def start(self, spec: RunSpec) -> None:
        """Create the folder and its config.json."""
        make_folder(self.path, self._call)
        self.write_json(CONFIG, configuration(spec))

    def config(self) -> dict[str, Any]:
        """Return the resolved configuration of the run in this folder. Raises: MhoError if there is none."""
        if not (self.path / CONFIG).is_file():
            raise complaint(self._call, "the folder holds no run to resume", fix="leave out resume=True")
        return read(self.path / CONFIG)

    def result(self) -> dict[str, Any] | None:
        """Return the contents of result.json, which a run writes at its end; None while it is not finished.

        Raises: MhoError if an entry is missing, of another type, or not finite.
        """
        if not (self.path / RESULT).exists():
            return None
        result = read(self.path / RESULT)
        check(result, RunResult, str(self.path / RESULT), AGAIN)
        if not all({"up", "down"} <= counts.keys() for counts in result["arrays"].values()):
            raise complaint(str(self.path / RESULT), "an array has no counts 'up' and 'down'", fix=AGAIN)
        return result

    def checkpoint(self) -> dict[str, Any] | None:
        """Return the last state that was saved, if any. Nothing in the file is executed.

        Raises: MhoError for a damaged file; each part of it has a checksum.
        """
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            _check_sums(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes make zipfile and torch.load fail in many ways
            wrong = f"is no checkpoint ({type(error).__name__})"
            raise complaint(str(path), wrong, fix=ANEW) from error
        check(state, dict[str, Any], str(path), ANEW)
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint. Raises: MhoError if it cannot be written; the old one is then as it was."""
        with whole(self.path / CHECKPOINT) as part:
            try:
                torch.save(state, part)
            except RuntimeError as error:  # torch's word for a disk that is full
                raise OSError(str(error).splitlines()[0]) from error

    def write_json(self, name: str, data: dict[str, Any]) -> None:
        """Write a JSON file of that name."""
        write_json(self.path / name, data)

    def rows(self) -> list[dict[str, float]]:
        """Return the lines of metrics.csv. Raises: MhoError for a line that is none of numbers."""
        rows = read_rows(self.path / METRICS, AGAIN)
        if any("test_accuracy" not in row for row in rows):
            raise complaint(str(self.path / METRICS), "it has no column 'test_accuracy'", fix=AGAIN)
        return rows

    def write_csv(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write a file with one line a row; the first row names the columns."""
        with whole(self.path / name) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)


def _check_sums(path: Path) -> None:
    """Raise ValueError if a part of the file has another checksum than its own; torch does not look at them."""
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("a part is packed")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"{damaged} is damaged")
