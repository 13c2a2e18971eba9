"""Data sets of small grey images: real digits inside the package, MNIST and Fashion-MNIST from a folder."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import torch

from mho.base.errors import complaint, did_you_mean
from mho.data import digits, idx
from mho.data.idx import SETS

__all__ = ["NAMES", "Dataset", "check", "load"]

NAMES = ("digits", *SETS)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split once and for all.

    Args:
        name: what `load` was asked for.
        x_train, x_test: images row by row, (N, height * width) float32 in [0, 1].
        y_train, y_test: class numbers, (N,) int64 from 0 to `classes` - 1.
        classes: number of classes.
        image: (height, width) [pixels].
        source: where the numbers come from, with the citation.
    """

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    classes: int
    image: tuple[int, int]
    source: str

    def to(self, where: str) -> "Dataset":
        """The same data on another torch device, such as "cuda"."""
        parts = ("x_train", "y_train", "x_test", "y_test")
        return dataclasses.replace(self, **{name: getattr(self, name).to(where) for name in parts})


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set of that name: `digits`, `mnist` or `fashion_mnist`.

    `digits` needs no file: 1,415 training and 382 test images of 8 x 8 pixels (see `mho.data.digits`).
    The other two are 60,000 and 10,000 images of 28 x 28 pixels, read from four files that are checked
    against their known SHA-256 at every load.

    Args:
        name: one of `mho.data.NAMES`; a hyphen serves as an underscore.
        data_dir: the folder of the four files, or the folder that holds it under the set's name. Without
            it: the environment variable MHO_DATA; without that: the folder `data` here.

    Raises `MhoError` for an unknown name, and for a missing, truncated or altered file.
    """
    name = name.replace("-", "_")
    parts: tuple[np.ndarray, ...]
    if name == "digits":
        parts, white, image, source = digits.read(), digits.WHITE, digits.IMAGE, digits.SOURCE
    elif name in SETS:
        parts = idx.read_set(name, folder_of(name, data_dir))
        white, image, source = idx.WHITE, idx.IMAGE, SETS[name].source
    else:
        raise complaint(f"load({name!r})", f"no data set is called {name!r}", did_you_mean(name, NAMES))
    x_train, y_train, x_test, y_test = (torch.from_numpy(part) for part in parts)
    return Dataset(
        name=name,
        x_train=x_train.float() / white,
        y_train=y_train.long(),
        x_test=x_test.float() / white,
        y_test=y_test.long(),
        classes=10,
        image=image,
        source=source,
    )


def check(name: str, data_dir: str | os.PathLike[str] | None = None) -> dict[str, tuple[str, str]]:
    """{file: (contents, verdict)} of a data set; the verdict is "ok", "missing" or what is wrong."""
    name = name.replace("-", "_")
    if name == "digits":
        return digits.state()
    if name in SETS:
        return idx.state(name, folder_of(name, data_dir))
    raise complaint(f"check({name!r})", f"no data set is called {name!r}", did_you_mean(name, NAMES))


def base_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder to look in: the argument, else the variable MHO_DATA, else `data` in the current folder."""
    return Path(data_dir or os.environ.get("MHO_DATA") or "data").expanduser()


def folder_of(name: str, data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of a set's four files: below the base folder under the set's name, or the base itself."""
    base = base_folder(data_dir)
    if any((base / file).exists() for file in idx.FILES):
        return base
    return base / name
