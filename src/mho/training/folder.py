"""The folder of a run: config.json, metrics.csv, checkpoint.pt, result.json and the plots, each written whole."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import torch

from mho.base.config import read, to_dict
from mho.base.errors import complaint
from mho.base.files import whole, write_json
from mho.training.spec import RunSpec

FREE = ("epochs", "threads", "data_dir")  # fields that may change when a run is resumed


class RunFolder:
    """The files of one run; `start` refuses a folder that holds another run, or this one when not resuming.

    Args:
        path: the folder; `start` creates it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._call = f"train(folder={str(path)!r})"  # of errors

    def start(self, spec: RunSpec, resume: bool) -> None:
        """Create the folder and its config.json, or check that it holds a run of the same configuration."""
        config = json.loads(json.dumps(to_dict(spec)))
        if (self.path / "config.json").exists():
            if not resume:
                fix = "pass resume=True to go on with it, or name another folder"
                raise complaint(self._call, "the folder holds a run already", fix=fix)
            found = differences(read(self.path / "config.json"), config)
            changed = [line for line in found if line.split(" ")[0] not in FREE]
            if changed:
                wrong, need = (
                    f"it holds a run with {'; '.join(changed)}",
                    f"Only {', '.join(FREE)} may change",
                )
                raise complaint(self._call, wrong, need)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_json("config.json", config)
        except OSError as error:
            raise complaint(self._call, f"the folder cannot be written ({error.strerror})") from None

    def config(self) -> dict[str, Any]:
        """Return the resolved configuration of the run in this folder. Raises: MhoError if there is none."""
        if not (self.path / "config.json").is_file():
            raise complaint(self._call, "the folder holds no run to resume", fix="leave out resume=True")
        return read(self.path / "config.json")

    def result(self) -> dict[str, Any] | None:
        """Return the contents of result.json, which a run writes at its end; None while it is not finished."""
        return read(self.path / "result.json") if (self.path / "result.json").exists() else None

    def checkpoint(self) -> dict[str, Any] | None:
        """Return the last state that was saved, if any. Raises: MhoError for a damaged file."""
        path = self.path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes make torch.load fail in many ways
            fix = "start the run anew in another folder"
            raise complaint(str(path), f"is no checkpoint ({type(error).__name__})", fix=fix) from error

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        with whole(self.path / "checkpoint.pt") as part:
            torch.save(state, part)

    def write_json(self, name: str, data: dict[str, Any]) -> None:
        """Write a JSON file of that name."""
        write_json(self.path / name, data)

    def rows(self) -> list[dict[str, str]]:
        """Return the lines of metrics.csv."""
        with (self.path / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def write_csv(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write a file with one line a row; the first row names the columns."""
        with whole(self.path / name) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Return the places where two configurations differ, each as `path = old, not new`.

    Args:
        old, new: JSON data; at: the path of both, for the text.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        pairs = [(old.get(k), new.get(k), f"{at}.{k}" if at else k) for k in keys]
        return [line for o, n, path in pairs for line in differences(o, n, path)]
    return [] if old == new else [f"{at} = {json.dumps(old)}, not {json.dumps(new)}"]
