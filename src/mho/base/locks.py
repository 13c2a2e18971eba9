"""A lock on a folder: one process at a time works in it.

The lock is that of a small file in the folder (`mho.base.flock`), which ends with the process. A file that a killed
process left behind is taken over by the next one, and vanishes at its end.
"""

import contextlib
import os
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path

from mho.base.errors import complaint
from mho.base.flock import take

__all__ = ["alone"]

POSIX = os.name == "posix"  # elsewhere there are no such locks


@contextlib.contextmanager
def alone(path: Path, where: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` inside the block: one process, and one thread of it, at a time.

    Args:
        path: the lock file; its folder exists.
        where: the call, for the error.
        wait: wait for the process that holds it.
    Raises: MhoError that names the process that holds it. OSError if the file cannot be written.
    """
    if not POSIX:
        yield
        return
    handle = _held(path, where, wait)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _held(path: Path, where: str, wait: bool) -> int:
    """Return the locked handle of the file that is at `path` now, not of one that its last holder removed."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            taken = take(handle, wait)
            if taken is False:
                who = os.read(handle, 200).decode(errors="replace") or "another process"
                raise complaint(where, f"{who} is at work in that folder", fix="wait for it, or stop it")
            if taken is None:
                warnings.warn(f"{path}: this file system has no locks; run one process there", stacklevel=4)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, f"process {os.getpid()} on {platform.node()}".encode(), 0)
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
