"""The origin of a result: versions, machine, and the commit of this package if it runs from a checkout."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Return {"versions": ..., "machine": ..., "commit": ...}; the last is None for an installed package."""
    versions = {"python": platform.python_version()}
    for package in ("mho", "torch", "numpy", "numba"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a source folder that is not installed
            versions[package] = "unknown"
    machine = {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}
    return {"versions": versions, "machine": machine, "commit": commit()}


def commit() -> str | None:
    """Return the commit that this file belongs to, with `+` if tracked files were changed since."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, timeout=5, check=True
        )
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # else the checkout around is someone else's
        return git("rev-parse", "HEAD") + (
            "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.SubprocessError):
        return None
