"""Data sets by name: images and labels as tensors, split once and for all."""

import dataclasses
import os

import numpy as np
import torch

from mho.base.errors import complaint, did_you_mean
from mho.data import digits, idx
from mho.data.idx import SETS, folder_of

NAMES = ("digits", *SETS)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split once and for all.

    Args:
        name: the name that `load` was given.
        x_train, x_test: images row by row, (N, height * width) float32 in [0, 1].
        y_train, y_test: class numbers, (N,) int64 from 0 to `classes` - 1.
        classes: number of classes.
        image: (height, width) [pixels].
        source: the citation of the numbers.
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
        """Return the same data on another torch device, such as "cuda"."""
        parts = ("x_train", "y_train", "x_test", "y_test")
        return dataclasses.replace(self, **{name: getattr(self, name).to(where) for name in parts})


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Return the data set of that name: `digits`, `mnist` or `fashion_mnist`.

    `digits` needs no file: 1,415 training and 382 test images of 8 x 8 pixels (see `mho.data.digits`). The
    other two are 60,000 and 10,000 images of 28 x 28 pixels. Their four files are checked against the known
    SHA-256 at every load.

    Args:
        name: one of `mho.data.NAMES`; a hyphen serves as an underscore.
        data_dir: the folder of the four files, or the folder that holds it under the set's name. None: the
            environment variable MHO_DATA, else the folder `data` in the current folder.
    Raises: MhoError for an unknown name, and for a missing, truncated or altered file.
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
    """Return {file: (contents, verdict)} of a data set; the verdict is "ok", "missing" or the fault.

    Raises: MhoError for an unknown name.
    """
    name = name.replace("-", "_")
    if name == "digits":
        return digits.state()
    if name in SETS:
        return idx.state(name, folder_of(name, data_dir))
    raise complaint(f"check({name!r})", f"no data set is called {name!r}", did_you_mean(name, NAMES))
