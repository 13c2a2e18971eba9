"""ResNet-20 on CIFAR-10, converted: perfect crossbars, noisy ones, and its last layer trained with pulses.

    python examples/resnet20_cifar10.py --data DIR

1. All 19 convolutions and the classifier become analog. With perfect converters nothing changes.
2. With the default converters (7 and 9 bits, output noise 0.06), for several seeds of noise and two values of
   Mapping.omega: the largest |w| that digital scales make of each line's weights; the bound of the device is 0.6.
3. The classifier alone is analog, on the features of the digital network. It is trained from its published weights,
   and from new ones: digitally, with Analog SGD and with Residual Learning, for several seeds.

Each measurement is written to the results file when it is done; the same command goes on with those that are
missing. DIR holds the images and weights, see docs/examples.md.
"""

import argparse
import copy
import functools
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from resnet import ResNet20, images, pretrained
from resumable import mean_and_error, write_results
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.nn import functional

import mho
from mho import algorithms, complaint
from mho.training import differences

DEVICE = mho.Device(
    mho.responses.Power(tau=0.6, gamma_res=3.0),
    dw_min=1e-3, sigma_c2c=0.3, c2c="multiplicative", spread={"gain": 0.3},
)  # fmt: skip
"""1200 states; pulses shrink with the third power of the distance to the bound, as in arXiv 2502.06309, table 1."""
OMEGAS = (0.36, 0.6)
RESIDUAL = algorithms.ResidualLearning(
    fast_lr=1.0, scale_fast_lr=True, transfer_lr=1.0, scale_transfer_lr=False
)
TRAINED = {
    "digital": (None, 0.1),
    "analog-sgd": (algorithms.AnalogSGD(), 0.1),
    "residual-learning": (RESIDUAL, 0.1),
}
"""{name: (algorithm, learning rate)} of the third part."""
BATCH = 128


def accuracy(outputs: torch.Tensor, classes: torch.Tensor) -> float:
    """In percent."""
    return round(100 * (outputs.argmax(1) == classes).double().mean().item(), 3)


@torch.no_grad()
def outputs_of(network: Callable, x: torch.Tensor, batch: int = 100) -> torch.Tensor:
    return torch.cat([network(part) for part in x.split(batch)])


def converted(network: ResNet20, io: mho.IO | None, omega: float, seed: int) -> nn.Module:
    """A copy of the network, all on crossbars."""
    mapping = mho.Mapping(omega=omega, out_scale="none")
    hardware = mho.Crossbar(algorithm=algorithms.AnalogSGD(), device=DEVICE, io=io, mapping=mapping)
    return mho.convert_(copy.deepcopy(network), hardware, key=seed).eval()


def perfect(network: ResNet20, data: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Digital and analog side by side."""
    digital = outputs_of(network, data["x_test"])
    analog = outputs_of(converted(network, None, OMEGAS[0], 0), data["x_test"])
    return {
        "images": len(digital),
        "digital": accuracy(digital, data["y_test"]),
        "analog": accuracy(analog, data["y_test"]),
        "largest_difference_of_scores": float((analog - digital).abs().max()),
        "largest_score": float(digital.abs().max()),
    }


def noisy(network: ResNet20, data: dict[str, torch.Tensor], omega: float, seed: int) -> dict[str, Any]:
    """The accuracy with the default converters."""
    start = time.process_time()
    outputs = outputs_of(converted(network, mho.IO(), omega, seed), data["x_test"])
    seconds = time.process_time() - start
    return {
        "accuracy": accuracy(outputs, data["y_test"]),
        "processor_ms_per_image": round(1e3 * seconds / len(outputs), 2),
    }


def fine_tuned(
    classifier: nn.Linear, data: dict[str, torch.Tensor], name: str, new: bool, seed: int, epochs: int
) -> dict[str, Any]:
    """Test accuracy before and after each epoch of the classifier's training, on features."""
    torch.manual_seed(seed)
    algorithm, lr = TRAINED[name]
    layer: Any = (
        nn.Linear(classifier.in_features, classifier.out_features) if new else copy.deepcopy(classifier)
    )
    if algorithm is None:
        optimizer: torch.optim.Optimizer = torch.optim.SGD(layer.parameters(), lr=lr)
    else:
        mapping = mho.Mapping(omega=OMEGAS[0], rates="cells")
        layer = mho.convert_(
            layer, mho.Crossbar(algorithm=algorithm, device=DEVICE, mapping=mapping), key=seed
        )
        optimizer = mho.AnalogOptimizer(layer, lr=lr)

    def test() -> float:
        layer.eval()
        found = accuracy(outputs_of(layer, data["f_test"]), data["y_test"])
        layer.train()
        return found

    curve, seconds, steps = [test()], 0.0, 0
    for _ in range(epochs):
        for part in torch.randperm(len(data["f_train"])).split(BATCH):
            start = time.process_time()
            loss = functional.cross_entropy(layer(data["f_train"][part]), data["y_train"][part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seconds, steps = seconds + time.process_time() - start, steps + 1
        curve.append(test())
    return {"curve": curve, "processor_ms_per_step": round(1e3 * seconds / max(steps, 1), 2)}


@torch.no_grad()
def features_of(network: ResNet20, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the classifier gets from all images: the layers before it stay as they are."""
    found = {part: data[part] for part in ("y_train", "y_test")}
    return found | {
        f"f_{part}": outputs_of(network.features, data[f"x_{part}"]) for part in ("train", "test")
    }


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Means over seeds, {"part, variant": ...}; the last word of a measurement's name is its seed."""
    groups: dict[str, list[dict]] = {}
    for name, numbers in found.items():
        groups.setdefault(name.rpartition(" ")[0], []).append(numbers)
    summed: dict[str, Any] = {}
    for name, runs in groups.items():
        if "accuracy" in runs[0]:
            summed[name] = mean_and_error([run["accuracy"] for run in runs])
        elif "curve" in runs[0]:
            places = {"before": 0, "after": -1}
            summed[name] = {
                word: mean_and_error([run["curve"][place] for run in runs]) for word, place in places.items()
            }
    return summed


def jobs_of(
    network: ResNet20, data: dict[str, torch.Tensor], args: argparse.Namespace
) -> dict[str, Callable]:
    """{name: measurement}."""
    seen = {part: data[part][: args.images] for part in ("x_test", "y_test")}
    features = functools.cache(lambda: features_of(network, data))
    jobs: dict[str, Callable] = {"perfect 0": lambda: perfect(network, seen)}
    for seed, omega in itertools.product(range(args.seeds), OMEGAS):
        jobs[f"noisy, omega {omega} {seed}"] = functools.partial(noisy, network, seen, omega, seed)
    for seed, name, start in itertools.product(range(args.seeds), TRAINED, ("published", "new")):
        jobs[f"{name}, {start} weights {seed}"] = lambda name=name, start=start, seed=seed: fine_tuned(
            network.linear, features(), name, start == "new", seed, args.epochs
        )
    return jobs


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of images and weights [the variable MHO_DATA, else ./data]")
    add("--seeds", type=int, default=5, help="of noise, cells and order [%(default)s]")
    add("--epochs", type=int, default=20, help="of the classifier's training [%(default)s]")
    add("--images", type=int, help="test on the first so many only, in parts 1 and 2 [all]")
    add(
        "--results",
        type=Path,
        default=Path("runs/resnet20_cifar10.json"),
        metavar="FILE",
        help="[%(default)s]",
    )
    args = parser.parse_args(argv)
    about = {"epochs": args.epochs, "images": args.images, "batch": BATCH, "device": repr(DEVICE)}
    results = {"example": "resnet20_cifar10", "settings": about | {"trained": repr(TRAINED)}}
    found = measured(args.results, results["settings"])
    jobs = jobs_of(pretrained(args.data), images(args.data), args)
    for name in track([name for name in jobs if name not in found], "ResNet-20", transient=True):
        found[name] = jobs[name]()
        Console().print(f"{name}: {_short(found[name])}", highlight=False)
        write_results(args.results, results | {"summary": summary(found), "measured": found})
    Console().print(f"Results: {args.results}", highlight=False, soft_wrap=True)


def measured(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What the file has already. Raises: MhoError if it was measured with other settings."""
    if not file.exists():
        return {}
    before = json.loads(file.read_text())
    if changed := differences(before["settings"], settings):
        what = f"it was measured with {'; '.join(changed)}"
        raise complaint(f"--results {file}", what, fix="name another file")
    return before["measured"]


def _short(numbers: dict[str, Any]) -> str:
    shown = numbers | ({"curve": [numbers["curve"][0], numbers["curve"][-1]]} if "curve" in numbers else {})
    return ", ".join(f"{name} {value}" for name, value in shown.items())


if __name__ == "__main__":
    try:
        main()
    except mho.MhoError as error:
        sys.exit(str(error))
