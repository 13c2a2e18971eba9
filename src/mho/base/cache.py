"""The user's cache of compiled code, whose files are checked before anything in them is executed.

The folder is a part of MHO_CACHE, else of the user's cache, else of the temporary folder. It belongs to the user
and nobody else may write to it, and the same holds for each file. A file begins with the digest of its contents.
What is not so counts as missing and is made anew: a damaged file costs the time of a compilation.

Files are written whole, from temporary files with random names. Threads, processes, and containers that share a
folder may therefore write at the same time.
"""

import contextlib
import functools
import hashlib
import os
import sys
import tempfile
import warnings
from pathlib import Path

__all__ = ["load", "publish", "store"]

_DIGEST = hashlib.sha256().digest_size


def load(name: str) -> bytes | None:
    """Return the contents of the file that `store` wrote; None if there is none that can be trusted."""
    for folder in folders():
        try:
            with open(folder / name, "rb") as file:
                data = b"" if _open_to_others(os.fstat(file.fileno())) else file.read()
        except OSError:
            continue
        if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST]:
            return data[_DIGEST:]
    return None


def store(name: str, contents: bytes) -> None:
    """Write a file of the cache, whole; where none can be written, each process makes its contents anew."""
    for folder in folders():
        try:
            _write(folder / name, hashlib.sha256(contents).digest() + contents)
            return
        except OSError:
            continue


def publish(name: str, text: str) -> Path | None:
    """Return the path of a text in the cache, which is for people to read; None where none can be written."""
    for folder in folders():
        path = folder / name
        try:
            if not (path.is_file() and path.read_bytes() == text.encode()):
                _write(path, text.encode())
            return path
        except OSError:
            continue
    return None


def _write(path: Path, contents: bytes) -> None:
    """Write a file whole. Its digest tells what a crash has left, so that nothing waits for the disk."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(contents)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def folders() -> tuple[Path, ...]:
    """Return the folders in which files are looked for and written, the best one first; often one, or none."""
    named = os.environ.get("MHO_CACHE")
    base = os.path.expanduser(named or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "mho"))
    return _safe("" if base.startswith("~") else os.path.abspath(base), bool(named))


@functools.cache
def _safe(base: str, named: bool) -> tuple[Path, ...]:
    """Return the folders that are the user's alone, made where they are new.

    Args:
        base: the folder that holds the first one; empty for a user without a home.
        named: whether MHO_CACHE names it, so that another one is worth a warning.
    """
    user = "code" if sys.platform == "win32" else f"code-{os.geteuid()}"
    safe, faults = [], []
    for place in (Path(base, user), _temporary(f"mho-{user}")):
        if place is None or not place.is_absolute():
            continue
        try:
            place.mkdir(0o700, parents=True, exist_ok=True)
            fault = _open_to_others(place.lstat())
        except OSError as error:
            fault = error.strerror or str(error)
        if fault:
            faults.append(f"{place}: {fault}")
        else:
            safe.append(place)
    if not safe or (named and safe[0].parent != Path(base)):
        nowhere = "no compiled code is kept, so each process compiles"
        what = f"compiled code is kept in {safe[0]}" if safe else nowhere
        fix = "name a folder of your own, to which no other user may write"
        text = f"`MHO_CACHE`: {what} ({'; '.join(faults)}). Fix: {fix}."
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return tuple(safe)


def _temporary(name: str) -> Path | None:
    """Return a path in the temporary folder; None if the system has none."""
    try:
        return Path(tempfile.gettempdir(), name)
    except OSError:
        return None


def _open_to_others(status: os.stat_result) -> str:
    """Return how others than the user may change a file or folder; an empty string if they may not."""
    if sys.platform == "win32":  # a user's folders are closed by lists that the mode does not show
        return ""
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}"
    return "other users may write to it" if status.st_mode & 0o022 else ""
