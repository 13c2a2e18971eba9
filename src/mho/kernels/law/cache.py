"""Generated modules, named by a digest of all source that their machine code depends on.

A module is executed from the text that the compiler of laws has written in this process. Its file in the cache
folder (MHO_CACHE, else the user's cache) is for people, and is never executed. Its machine code lies there too, see
`mho.numerics.machine_code`.
"""

import linecache
import os
import sys
import threading
from types import ModuleType

from mho.base import cache
from mho.base.sources import PACKAGE
from mho.numerics.machine_code import digest

__all__ = ["PACKAGE", "digest", "module_of"]

_MODULES: dict[tuple[str, str], ModuleType] = {}  # by prefix and source
_lock = threading.RLock()


def module_of(prefix: str, source: str) -> ModuleType:
    """Return the module with this source, the same one for all threads; its text is left in the cache folder."""
    with _lock:
        if (prefix, source) not in _MODULES:
            _MODULES[prefix, source] = _executed(f"{prefix}_{digest(source)[:20]}", source)
        return _MODULES[prefix, source]


def _executed(name: str, source: str) -> ModuleType:
    """Return a new module, which other generated modules find by its name."""
    path = str(cache.publish(f"{name}.py", source) or f"<{name}>")
    linecache.cache[path] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        path,
    )  # whatever the file holds
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    try:
        exec(compile(source, path, "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _after_fork() -> None:
    """Free the lock in a child, which has the thread that forked alone."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
