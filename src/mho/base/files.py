"""Whole-file writes: a reader finds the old file or the new one, never a part of it.

The new contents go to a temporary file in the same folder, which then takes the place of the old file in one
step of the file system. An error or a signal on the way leaves the old file as it was.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["whole", "write_json", "write_text"]


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces it at the end of the block, or vanishes on an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any, indent: int = 2) -> None:
    """Write JSON that ends with a line break, whole."""
    write_text(path, json.dumps(data, indent=indent) + "\n")
