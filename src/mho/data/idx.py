"""Files of MNIST and Fashion-MNIST: four gzipped files in the idx format, of fixed names, shapes and contents."""

import dataclasses
import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from mho.base.errors import MhoError, complaint
from mho.base.stored import read_bytes

IMAGE = (28, 28)
WHITE = 255
HEAD = 1 << 16  # bytes more than the data: the heads of both formats, and what packing adds to random data
TRAIN, TEST = (60_000, *IMAGE), (10_000, *IMAGE)
FILES = {  # name -> shape, in the order in which `read_set` returns them
    "train-images-idx3-ubyte.gz": TRAIN,
    "train-labels-idx1-ubyte.gz": TRAIN[:1],
    "t10k-images-idx3-ubyte.gz": TEST,
    "t10k-labels-idx1-ubyte.gz": TEST[:1],
}


@dataclasses.dataclass(frozen=True)
class Known:
    """The identity of a set.

    Args:
        sha256: {file: SHA-256 of its unpacked bytes}; packed bytes depend on the program that packs.
        mirrors: addresses of folders with the four files.
        source: the citation.
    """

    sha256: dict[str, str]
    mirrors: tuple[str, ...]
    source: str


def _sums(*hexes: str) -> dict[str, str]:
    return dict(zip(FILES, hexes, strict=True))


SETS = {
    "mnist": Known(
        _sums(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges, 1998",
    ),
    "fashion_mnist": Known(
        _sums(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        (
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        "Fashion-MNIST, H. Xiao, K. Rasul and R. Vollgraf, 2017, arXiv 1708.07747, MIT",
    ),
}


def base_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """Return the folder of all sets: the argument, else the variable MHO_DATA, else `data` here."""
    return Path(data_dir or os.environ.get("MHO_DATA") or "data").expanduser()


def folder_of(name: str, data_dir: str | os.PathLike[str] | None) -> Path:
    """Return the folder of a set's four files: the base folder if they are there, else the one below it."""
    base = base_folder(data_dir)
    return base if any((base / file).exists() for file in FILES) else base / name


def read_set(name: str, folder: Path) -> tuple[np.ndarray, ...]:
    """Return x_train (60000, 784), y_train (60000,), x_test (10000, 784), y_test (10000,), all uint8.

    Raises: MhoError for files that are missing or not the known ones.
    """
    missing = [file for file in FILES if not (folder / file).is_file()]
    if missing:
        wrong = "is no folder" if not folder.is_dir() else f"lacks {', '.join(missing)}"
        base = str(folder.parent if folder.name == name else folder)
        raise complaint(
            f"load({name!r})",
            f"{str(folder)!r} {wrong}",
            f"Needed there: {', '.join(FILES)}",
            f"`mho.data.get({name!r}, data_dir={base!r})` downloads them; or name their folder with "
            "data_dir=... or the variable MHO_DATA",
        )
    arrays = [verified(name, folder / file, read_bytes(folder / file, longest(file))) for file in FILES]
    return tuple(array.reshape(len(array), -1) if array.ndim > 1 else array for array in arrays)


def verified(name: str, path: Path, packed: bytes) -> np.ndarray:
    """Return the array in one gzipped file of a set. Raises: MhoError for another shape or other contents."""
    raw = unpack(packed, path)
    array = parse(raw, path)
    if array.shape != FILES[path.name]:
        raise complaint(str(path), f"holds shape {array.shape}", f"{name} has {FILES[path.name]} here")
    found = hashlib.sha256(raw).hexdigest()
    if found != SETS[name].sha256[path.name]:
        twin = [other for other, known in SETS.items() if found == known.sha256[path.name]]
        if twin:
            raise complaint(str(path), f"this is the file of {twin[0]}, not of {name}")
        need = f"{name} has {SETS[name].sha256[path.name]}"
        raise complaint(str(path), f"its unpacked SHA-256 is {found}", need, "fetch it anew")
    return array


def unpack(packed: bytes, path: Path) -> bytes:
    """Return the contents of a gzip file, of which never more is unpacked than the file of that name has.

    Raises: MhoError for a file that is cut short, of another kind, or longer.
    """
    most = longest(path.name)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            raw = file.read(most + 1)
    except EOFError:
        raise complaint(str(path), f"ends early, after {len(packed)} bytes", fix="fetch it anew") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise complaint(str(path), f"is no intact gzip file ({error})", fix="fetch it anew") from None
    if len(raw) > most:
        raise complaint(str(path), f"unpacks to more than {most:,} bytes", fix="fetch it anew")
    return raw


def longest(file: str) -> int:
    """Return the most bytes that a file of that name may have, packed or not; of the longest, for another name."""
    shapes = [FILES[file]] if file in FILES else FILES.values()
    return HEAD + max(map(math.prod, shapes))


def parse(raw: bytes, path: Path) -> np.ndarray:
    """Return the uint8 array in an idx file: two zero bytes, type 8, the number of axes, their lengths, the data.

    Raises: MhoError for another head, and for data of another length.
    """
    if len(raw) < 4 or raw[:3] != b"\0\0\x08" or len(raw) < 4 + 4 * raw[3]:
        raise complaint(
            str(path), f"begins with {raw[:4].hex()!r}", "An idx file of bytes begins with 000008"
        )
    shape = struct.unpack_from(f">{raw[3]}I", raw, 4)
    data = np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape))
    if len(data) != math.prod(shape):
        need = f"Its header announces {math.prod(shape)}, of shape {shape}"
        raise complaint(str(path), f"holds {len(data)} data bytes", need, "fetch it anew")
    return data.reshape(shape).copy()


def state(name: str, folder: Path) -> dict[str, tuple[str, str]]:
    """Return {file: (contents, verdict)} of a set's folder; the verdict is "ok", "missing" or the fault."""
    found = dict.fromkeys(FILES, ("", "missing"))
    for file in FILES:
        if (folder / file).is_file():
            try:
                array = verified(name, folder / file, read_bytes(folder / file, longest(file)))
                found[file] = (describe(array), "ok")
            except MhoError as error:
                found[file] = ("", str(error))
    return found


def describe(array: np.ndarray) -> str:
    """Return shape and range in words, such as `60000 x 28 x 28, 0 to 255`."""
    return f"{' x '.join(map(str, array.shape))}, {array.min()} to {array.max()}"
