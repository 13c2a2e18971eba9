"""The store of trainings: a folder for each, named by a digest of everything that its result depends on.

That is the run without `training.label.FREE` (fields with which it may go on), the sources of mho that take part
in it, and the version of torch. Equal runs of any tables are one run. An edit of a kernel, or of the algorithm of
the run, makes a new folder. An edit of a figure, of a paper's module, of the command line or of a docstring does
not.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from mho.base.config import from_dict, to_dict
from mho.base.records import Record, field_rules
from mho.base.sources import PACKAGE, digest
from mho.training.label import FREE
from mho.training.spec import RunSpec

TAKE_PART = ("mho.training.loop", "mho.nn")  # and the records of the run; with what all these import
LOOPS = (
    "kernels/cpu",
    "kernels/gpu",
)  # folders whose files the law compiler joins to a law, without an import
APART = (
    "mho.figures",  # they show a finished run
    "mho.base.provenance",  # it says where a run was made
    "mho.algorithms.__init__",  # the lists of all records, of which a run has some
    "mho.responses.__init__",
)


def spec_of(settings: Mapping[str, Any], seed: int) -> RunSpec:
    """Return the run of a cell. It has one thread: several runs side by side are faster than several threads."""
    spec: RunSpec = from_dict(settings["run"], kind=RunSpec)
    return spec.replace(seed=seed, epochs=max(1, settings["steps"]), threads=1)


def folder_of(spec: RunSpec, store: Path, package: Path = PACKAGE) -> Path:
    """Return the folder of a run below `store`. `package`: the sources of mho."""
    content = {name: value for name, value in to_dict(spec).items() if name not in FREE}
    sources = _digest(tuple(sorted({*TAKE_PART, *loops_in(package), *modules_of(spec)})), package)
    content |= {"sources": sources, "torch": torch.__version__}
    return store / hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def loops_in(package: Path) -> list[str]:
    """Return the modules of compiled loops."""
    files = [file for folder in LOOPS for file in sorted((package / folder).glob("*.py"))]
    return [".".join(("mho", *file.relative_to(package).with_suffix("").parts)) for file in files]


def modules_of(value: Any) -> Iterator[str]:
    """Yield the modules of a record and of all records in its fields: algorithm, law, converters and others."""
    if isinstance(value, Record):
        yield type(value).__module__
        value = [getattr(value, name) for name in field_rules(type(value))]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from modules_of(one)


@functools.cache
def _digest(modules: tuple[str, ...], package: Path) -> str:
    return digest(modules, APART, package)
