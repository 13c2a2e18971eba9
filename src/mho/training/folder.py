"""A run's folder: config.json, metrics.csv, checkpoint.pt, result.json and the plots, each written whole."""

import contextlib
import csv
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mho.base.config import read, to_dict
from mho.base.errors import complaint
from mho.training.spec import RunSpec

FREE = ("epochs", "threads", "data_dir")  # fields that may change when a run is resumed


class RunFolder:
    """The files of one run; `start` refuses a folder that holds another, or this one when not resuming."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def start(self, spec: RunSpec, resume: bool) -> None:
        """Creates the folder and its config.json, or checks that it holds a run of the same configuration."""
        config, where = json.loads(json.dumps(to_dict(spec))), f"--out {self.path}"
        if (self.path / "config.json").exists():
            if not resume:
                fix = "add --resume to go on with it, or name another folder"
                raise complaint(where, "the folder holds a run already", fix=fix)
            changed = [
                p for p in differences(read(self.path / "config.json"), config) if p.split(" ")[0] not in FREE
            ]
            if changed:
                free = ", ".join(FREE)
                raise complaint(where, f"it holds a run with {'; '.join(changed)}", f"Only {free} may change")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_json("config.json", config)
        except OSError as error:
            raise complaint(where, f"the folder cannot be written ({error.strerror})") from None

    def config(self) -> dict[str, Any]:
        """The resolved configuration of the run in this folder."""
        if not (self.path / "config.json").is_file():
            raise complaint(
                f"--out {self.path}", "the folder holds no run to resume", fix="leave out --resume"
            )
        return read(self.path / "config.json")

    def result(self) -> dict[str, Any] | None:
        """What a finished run wrote at its end; None while it is not finished."""
        return read(self.path / "result.json") if (self.path / "result.json").exists() else None

    def checkpoint(self) -> dict[str, Any] | None:
        """The last state that was saved, if any."""
        path = self.path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes make torch.load fail in many ways
            fix = "start the run anew in another folder"
            raise complaint(str(path), f"is no checkpoint ({type(error).__name__})", fix=fix) from error

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the checkpoint."""
        with whole(self.path / "checkpoint.pt") as part:
            torch.save(state, part)

    def write_json(self, name: str, data: dict[str, Any]) -> None:
        with whole(self.path / name) as part:
            part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    def rows(self) -> list[dict[str, str]]:
        """The lines of metrics.csv."""
        with (self.path / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def write_csv(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Writes one line a row; the first row names the columns."""
        with whole(self.path / name) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: takes its place at the end of the block, or vanishes on an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Where two configurations differ, as `path = old, not new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        pairs = [(old.get(k), new.get(k), f"{at}.{k}" if at else k) for k in keys]
        return [line for o, n, path in pairs for line in differences(o, n, path)]
    return [] if old == new else [f"{at} = {json.dumps(old)}, not {json.dumps(new)}"]
