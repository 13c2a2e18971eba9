"""The cache of generated modules: files named by a digest of all source that their machine code depends on.

A second process finds the module and Numba's machine code in the cache folder (MHO_CACHE, else the user's cache).
The digest covers the text of the module and that of every module of this package that it imports, also by way of
others, as well as the versions of Python and Numba. A changed law, kernel or helper therefore never meets stale
code, and nobody keeps a list of helpers.
"""

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numba

from mho.base import sources
from mho.base.files import write_text
from mho.base.sources import PACKAGE, imports_of

_MODULES: dict[tuple[str, str], ModuleType] = {}  # by prefix and source


def module_of(prefix: str, source: str) -> ModuleType:
    """Return the module with this source, imported from the cache folder, where it is written if it is new."""
    if (prefix, source) not in _MODULES:
        name = f"{prefix}_{digest(source)[:20]}"
        path = cache_folder() / f"{name}.py"
        if not path.exists():
            write_text(path, source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        _MODULES[prefix, source] = module
    return _MODULES[prefix, source]


def cache_folder() -> Path:
    """Return the folder of the generated modules; a temporary one where the user's cache cannot be written."""
    named = os.environ.get("MHO_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "mho"
    try:
        base.mkdir(parents=True, exist_ok=True)
        probe = base / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        base = Path(tempfile.gettempdir()) / f"mho-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
        base.mkdir(parents=True, exist_ok=True)
    return base


def digest(source: str, package: Path = PACKAGE) -> str:
    """Return the hexadecimal digest of a module's source and of all that it reaches by imports.

    Args:
        source: text of the module.
        package: folder of this package.
    """
    helpers = _digest_of(tuple(dict.fromkeys(imports_of(source, package.name))), package)
    parts = numba.__version__, str(sys.version_info[:2]), source, helpers
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.cache
def _digest_of(modules: tuple[str, ...], package: Path) -> str:
    """Return the digest of the helpers, whose files do not change while a process runs."""
    return sources.digest(modules, package=package)
