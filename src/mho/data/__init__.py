"""Data sets of small grey images: real digits inside the package, MNIST and Fashion-MNIST from a folder.

    data = mho.data.load("digits")
    mho.data.get("mnist", "data")        # downloads its four files into data/mnist
    data = mho.data.load("mnist", "data")

The modules, each of which imports from those above it:

    digits     1,797 images of 8 x 8 pixels, a file of the package
    idx        the file format of MNIST: names, shapes and checksums, and the folder of a set
    dataset    `Dataset`, `load` and `check`: a set by its name
    download   `get`: mirrors in turn, retries, checksums

The folder of the files is the argument `data_dir`; without it the environment variable MHO_DATA; without that
`data` in the current folder. A set is in that folder, or below it under its own name.

Rules of the room. Every byte is checked: a set whose SHA-256 is not the published one is an error, at every
load. The split into training and test images is that of the source, and is never drawn. Pixels are float32
between 0 and 1, classes are int64. A file appears under its name only when all of it is there.

To add a set in the idx format: write its checksums, mirrors and citation into `idx.SETS`; `load`, `check`,
`get` and the option `--data` of `mho train` know it then. To add a set in another format: write a module with
`read` and `state`, as `digits` has them, and name it in `dataset.load` and `dataset.check`.
"""

from mho.data.dataset import NAMES, Dataset, check, load
from mho.data.download import get
from mho.data.idx import base_folder

__all__ = ["NAMES", "Dataset", "base_folder", "check", "get", "load"]
