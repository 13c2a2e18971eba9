"""Decorators of kernels, whose machine code is kept under a digest of all source that it was compiled from.

Numba's own cache looks for a folder of its own, asks whether one source file has changed, and executes what it
finds. Here the key covers the module of the function, every module of this package that it imports, also by way of
others, the versions of Python and Numba, and the processor. A changed helper therefore never meets stale code, and
nobody keeps a list of helpers. `mho.base.cache` checks the files.
"""

import functools
import hashlib
import inspect
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from llvmlite.binding import ffi
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

from mho.base import LOADED, cache, sources
from mho.base.signals import uninterrupted
from mho.base.sources import PACKAGE, imports_of
from mho.numerics.compile import ALWAYS, LEAN

_CHANGED = " of sources that have changed since they were imported"


def _hold() -> None:
    """Wait for compilations of other threads: a child that is forked meanwhile would wait for them for ever."""
    global_compiler_lock.acquire()
    ffi.lib._lock.__enter__()


def _let_go() -> None:
    ffi.lib._lock.__exit__()
    global_compiler_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)


class MachineCode(FunctionCache):
    """The cache of one function, a file for each signature."""

    def __init__(self, function: Callable) -> None:  # Numba's own chooses its folder here
        self._py_func = function
        self._cache_path = ""
        self.enable()

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        key = self._key(sig, target_context.codegen())
        if _CHANGED in key:
            return None
        contents = cache.load(self._file(key))
        if contents is None:
            return None
        try:
            found, payload = pickle.loads(contents)
            return CompileResult._rebuild(target_context, *payload) if found == key else None
        except Exception:  # made by another build of the same version: compiled anew
            return None

    def _save_overload(self, sig: Any, data: Any) -> None:
        if data.library.has_dynamic_globals:  # addresses of this process, such as that of a large table
            return
        key = self._key(sig, data.library.codegen)
        if _CHANGED in key:
            return
        cache.store(self._file(key), dumps((key, data._reduce())))

    def _key(self, sig: Any, codegen: Any) -> str:
        """Return all that the machine code depends on, as text."""
        module = sys.modules[self._py_func.__module__]
        parts = *self._index_key(sig, codegen), llvmlite.__version__, digest(inspect.getsource(module))
        own = (module.__name__,) if module.__name__.startswith(f"{PACKAGE.name}.") else ()
        return "\n".join(map(repr, (*parts, _digest_of(own, PACKAGE))))

    def _file(self, key: str) -> str:
        name = f"{self._py_func.__module__}.{self._py_func.__qualname__}"
        return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.code"

    def flush(self) -> None:
        """Forget nothing: what `recompile` makes has the same key."""


def digest(source: str, package: Path = PACKAGE) -> str:
    """Return the hexadecimal digest of a module's source and of all that it reaches by imports.

    It ends with words of its own if these files have changed since they were imported.

    Args:
        source: text of the module.
        package: folder of this package.
    """
    helpers = _digest_of(tuple(dict.fromkeys(imports_of(source, package.name))), package)
    parts = numba.__version__, str(sys.version_info[:2]), source, helpers
    return hashlib.sha256("\0".join(parts).encode()).hexdigest() + (_CHANGED if _CHANGED in helpers else "")


@functools.cache
def _digest_of(modules: tuple[str, ...], package: Path) -> str:
    """Return the digest of the helpers as they are in memory.

    After an update of the package in the middle of a process the files say nothing of that: `_CHANGED`.
    """
    found = sources.digest(modules, package=package)
    return found + (_CHANGED if sources.youngest(modules, package) > LOADED and package == PACKAGE else "")


def _kept(**options: Any) -> Any:
    """Return a decorator that compiles, and keeps machine code for later processes as `cache=True` would."""

    def compiled(function: Callable) -> Any:
        dispatcher: Any = njit(**options)(function)
        dispatcher._cache = MachineCode(function)
        dispatcher.compile = uninterrupted()(dispatcher.compile)  # half of it would stay with Numba
        return dispatcher

    return compiled


kernel = _kept(**ALWAYS, nogil=True)  # called from Python
lean_kernel = _kept(**LEAN)  # called from Python, never allocates
