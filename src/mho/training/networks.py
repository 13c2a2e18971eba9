"""Digital networks of the papers; `mho.convert_` makes them analog."""

import itertools

import torch
from torch import nn

from mho.base.errors import complaint
from mho.data.dataset import Dataset
from mho.training.plan import RunPlan

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
SMALLEST = 16  # sides of an image that LeNet's two 5 x 5 kernels and two poolings leave something of


def network(spec: RunPlan, data: Dataset) -> nn.Sequential:
    """Return the digital network of a run: (batch, features) in [0, 1] to (batch, classes) log-probabilities.

    Raises: MhoError for images that are too small for `lenet`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        if spec.network == "lenet":
            return lenet(data.image, data.classes)
        return fcn([data.x_train.shape[1], *spec.hidden, data.classes], spec.activation)


def fcn(widths: list[int], activation: str) -> nn.Sequential:
    """Return a fully connected network.

    Args:
        widths: inputs, hidden units of each layer, classes.
        activation: a key of `ACTIVATIONS`; it follows each hidden layer.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1], nn.LogSoftmax(dim=1))


def lenet(image: tuple[int, int] = (28, 28), classes: int = 10) -> nn.Sequential:
    """Return the convolutional network of the papers for grey images: 80,202 weights for 28 x 28 pixels.

    Args:
        image: (height, width) [pixels]; classes: number of classes.
    Raises: MhoError for images that are too small.
    Source: arXiv 2502.06309, appendix K; its second tanh after a pooling is theirs.
    """
    height, width = image
    if min(image) < SMALLEST:
        wrong = f"the images are {height} x {width} pixels"
        need = f"It needs {SMALLEST} x {SMALLEST}"
        raise complaint("RunSpec(network='lenet')", wrong, need, "pass data='mnist'")
    left = ((height - 4) // 2 - 4) // 2 * (((width - 4) // 2 - 4) // 2)
    return nn.Sequential(
        nn.Unflatten(1, (1, height, width)),
        *(nn.Conv2d(1, 16, 5), nn.Tanh(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Tanh()),
        *(nn.Flatten(), nn.Linear(32 * left, 128), nn.Tanh()),
        *(nn.Linear(128, classes), nn.LogSoftmax(dim=1)),
    )
