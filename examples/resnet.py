"""ResNet-20 for CIFAR-10 as in He et al., with its published weights, and the images it is tried on."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mho import complaint
from mho.data import base_folder

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the colours in [0, 1], those of its training
IMAGES, WEIGHTS = (
    "cifar10_exact_subset/cifar10_exact_subset.npz",
    "pretrained_cifar10_resnet/resnet20-12fca82f.th",
)


class Unit(nn.Module):
    """Two convolutions with a shortcut that has no weights: it drops every second pixel, and its new channels are
    zero ("option A")."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.stride, self.more = n_out // n_in, n_out - n_in
        self.conv1 = nn.Conv2d(n_in, n_out, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = functional.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more // 2)
        )
        return functional.relu(y + shortcut)


class ResNet20(nn.Module):
    """Images (samples, 3, 32, 32), normalised -> scores of the ten classes: 19 convolutions and a classifier.

    Source: arXiv 1512.03385, section 4.2; names of its parts as in the file of weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Unit(16, 16), Unit(16, 16), Unit(16, 16))
        self.layer2 = nn.Sequential(Unit(16, 32), Unit(32, 32), Unit(32, 32))
        self.layer3 = nn.Sequential(Unit(32, 64), Unit(64, 64), Unit(64, 64))
        self.linear = nn.Linear(64, 10)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, 64): what the classifier gets."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(y))).mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.features(x))


def pretrained(folder: str | None) -> ResNet20:
    """The network with its published weights, in eval mode. Raises: MhoError if they are not in the folder."""
    saved = torch.load(_find(WEIGHTS, folder), map_location="cpu", weights_only=True)
    weights = {name.removeprefix("module."): value for name, value in saved["state_dict"].items()}
    network = ResNet20()
    network.load_state_dict(weights)
    return network.eval()


def images(folder: str | None) -> dict[str, torch.Tensor]:
    """{"x_train", "x_test": (N, 3, 32, 32) normalised; "y_train", "y_test": (N,) classes}."""
    found = {name: torch.from_numpy(part) for name, part in np.load(_find(IMAGES, folder)).items()}
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    for part in ("x_train", "x_test"):
        found[part] = ((found[part] / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
    return found | {part: found[part].long() for part in ("y_train", "y_test")}


def _find(file: str, folder: str | None) -> Path:
    base = base_folder(folder)
    path = next((p for p in (base / file, base / Path(file).name) if p.is_file()), None)
    if path is None:
        fix = "see docs/examples.md for where it comes from; --data, or MHO_DATA, names the folder"
        raise complaint(f"--data {base}", f"there is no {file}", fix=fix)
    return path
