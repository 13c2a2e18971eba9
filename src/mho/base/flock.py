"""The lock of an open file that ends with the process that holds it, however it ends (flock).

Nothing is left to be cleaned after a kill: the system itself gives the lock free. A process that is forked from the
one that took the lock shares it.
"""

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["take"]


def take(handle: int, wait: bool = False) -> bool | None:
    """Take the lock of an open file, and return whether that worked.

    Args:
        handle: the number of the open file; closing it gives the lock free.
        wait: wait for another that holds it.
    Returns: True; False if another holds it; None if this platform or this file system has no such locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
