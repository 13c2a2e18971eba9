"""The digits inside the package: 1,797 real images of 8 x 8 pixels, enough for a demonstration in seconds.

The file keeps the order of its source. There, the images come in 14 runs of 126 to 130, each with nearly the
same sequence of labels: one filled-in form after the other, 13 people in all. The split is at the start of
the twelfth run, so that no form gives images to both parts. The first 1,415 images are for training, the last
382 for the test. Shuffling first would score better and mean less.
"""

import hashlib
from importlib import resources

import numpy as np

from mho.base.errors import MhoError, complaint

IMAGE = (8, 8)
WHITE = 16  # each pixel counts the ink in 4 x 4 cells of the scanned form
N_TRAIN = 1415
# of the four arrays of `read`, one after the other
SHA256 = "46ac2e34ac39e49dc7e577c0fd76e40f7aded22e1940bd2a56b5d3877644db33"
SOURCE = (
    "Optical Recognition of Handwritten Digits (test part), E. Alpaydin and C. Kaynak, 1998, "
    "UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0"
)


def read() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x_train (1415, 64), y_train (1415,), x_test (382, 64), y_test (382,), uint8 in 0..16 and 0..9.

    Raises: MhoError for a damaged file.
    """
    try:
        with (resources.files("mho.data") / "digits.npz").open("rb") as file, np.load(file) as arrays:
            x, y = arrays["images"], arrays["labels"]
    except Exception as error:  # damaged bytes make zipfile and numpy fail in many ways
        wrong = f"cannot be read ({type(error).__name__})"
        raise complaint("mho/data/digits.npz", wrong, fix="install mho anew") from error
    parts = x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:]
    if (found := _digest(parts)) != SHA256:
        raise complaint(
            "mho/data/digits.npz", f"its SHA-256 is {found}", f"It has {SHA256}", "install mho anew"
        )
    return parts


def _digest(parts: tuple[np.ndarray, ...]) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def state() -> dict[str, tuple[str, str]]:
    """Return {file: (contents, verdict)}; see `mho.data.check`."""
    try:
        parts = read()
    except MhoError as error:
        return {"digits.npz": ("", str(error))}
    x = np.concatenate(parts[::2])
    return {"digits.npz": (f"{len(x)} x 8 x 8, {x.min()} to {x.max()}", "ok")}
