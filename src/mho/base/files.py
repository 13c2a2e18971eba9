"""Whole-file writes: a reader finds the old file or the new one, never a part of it, also after a kill.

The new contents go to a temporary file in the same folder and to the disk (fsync), and then take the place of the
old file in one step of the file system. An error or a signal on the way leaves the old file as it was. A temporary
file is locked while it is written, so that the next write of the same file tells those that killed processes left
behind from those of living ones, and removes them.
"""

import contextlib
import errno
import glob
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mho.base.errors import MhoError, complaint
from mho.base.flock import take

__all__ = ["make_folder", "unwritable", "whole", "write_json", "write_text"]

POSIX = os.name == "posix"  # elsewhere an open file cannot be replaced, and folders cannot be synchronised
DIGITS = 16  # of the name of a temporary file, .NAME.0123456789abcdef


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces it at the end of the block, or vanishes on an error.

    Raises: MhoError if the file cannot be written, on a full disk for example; the old one is then as it was.
    """
    try:
        handle, part = _part(path)
    except OSError as error:
        raise unwritable(str(path), error) from None
    try:
        yield part
        _synchronise(part)
        os.replace(part, path)
        _synchronise(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(str(path), error) from None
        raise
    finally:
        if POSIX:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole. Raises: as `whole`."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any, indent: int = 2) -> None:
    """Write JSON that ends with a line break, whole.

    Raises: MhoError for a number that is not finite, which JSON does not have; and as `whole`.
    """
    try:
        text = json.dumps(data, indent=indent, allow_nan=False)
    except ValueError:
        raise complaint(str(path), "a number that should be written is not finite") from None
    write_text(path, text + "\n")


def make_folder(path: str | os.PathLike[str], where: str = "") -> Path:
    """Make a folder, and those above it, unless it is there. Raises: MhoError, which names `where`, if it fails."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(where or str(path), error, "the folder ") from None
    return Path(path)


def unwritable(where: str, error: OSError, what: str = "") -> MhoError:
    """Build the error about a file or folder that the system does not write, with the remedy."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    fix = "make room on that disk, or name another place" if full else "name another place"
    return complaint(where, f"{what}cannot be written ({error.strerror or error})", fix=fix)


def _part(path: Path) -> tuple[int, Path]:
    """Return the handle and the path of a new temporary file, which this process has locked."""
    _remove_left(path)
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(DIGITS // 2)}")
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        if not POSIX:
            os.close(handle)
            return handle, part
        if take(handle) is not False and part.exists():  # else another took it for one left behind
            return handle, part
        os.close(handle)


def _remove_left(path: Path) -> None:
    """Remove the temporary files of `path` that nobody is writing any more."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * DIGITS}"):
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDWR)
            try:
                if take(handle):
                    left.unlink()
            finally:
                os.close(handle)


def _synchronise(path: Path) -> None:
    """Wait until the contents of a file, or the names in a folder, are on the disk."""
    if POSIX:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
