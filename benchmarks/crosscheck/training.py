"""A cell of `a-table-8-controls` trained by aihwkit, with the paper's released script's settings:

PYTHONPATH=src MHO_DATA=... $AIHWKIT_PYTHON benchmarks/crosscheck/training.py pow-step-2-0.6-residual-learning

The initial weights and the order of the images are those of our cell of that name; pulses and noise are aihwkit's
own, which has no seed. Writes results/crosscheck-training/CELL.json after each epoch, and goes on from there.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import aihwkit
import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import PowStepDevice, SingleRPUConfig, build_config
from torch.nn import functional

from mho.data import Dataset, load
from mho.experiments.store import spec_of
from mho.papers.arxiv_2502_06309.tables_7_8 import CONTROLS_8
from mho.training.networks import network
from mho.training.spec import RunSpec, order

ROOT = Path(__file__).parent.parent.parent


def config_of(gamma_res: float, tau: float, algorithm: str):
    """What the script makes of its arguments -RPU Pow -res-gamma -tau -TT-gamma .4."""
    device = PowStepDevice(
        dw_min=2 * tau / 1200,
        pow_gamma=gamma_res,
        pow_gamma_dtod=0,
        w_max=tau,
        w_min=-tau,
        w_max_dtod=0,
        w_min_dtod=0,
    )
    if algorithm == "analog-sgd":
        config = SingleRPUConfig(device=device)
    else:
        config = build_config("ttv1", device=device)
        config.device.fast_lr, config.device.gamma = 0.01, 0.4
        # new in aihwkit 1.2.0, where True is the default
        config.device.scale_fast_lr = algorithm.endswith("-scaled")
    config.mapping.learn_out_scaling = config.mapping.weight_scaling_columnwise = True
    return config


def train(spec: RunSpec, config, data: Dataset, file: Path) -> None:
    model = convert_to_analog(network(spec, data), config)
    optimizer = AnalogSGD(model.parameters(), lr=spec.lr)
    optimizer.regroup_param_groups(model)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, spec.lr_step, spec.lr_decay)
    found = {"program": f"aihwkit {aihwkit.__version__}", "test accuracy by epoch": [], "seconds": 0.0}
    kept = file.with_suffix(".pt")
    if kept.exists():
        state = torch.load(kept, weights_only=False)
        model.load_state_dict(state["model"])
        schedule.load_state_dict(state["schedule"])
        found = json.loads(file.read_text())
        for group in optimizer.param_groups:
            group["lr"] = schedule.get_last_lr()[0]
    for epoch in range(len(found["test accuracy by epoch"]), spec.epochs):
        start = time.monotonic()
        for batch in order(spec, epoch, len(data.x_train)).split(spec.batch_size):
            optimizer.zero_grad()
            functional.nll_loss(model(data.x_train[batch]), data.y_train[batch]).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            hits = (model(data.x_test).argmax(1) == data.y_test).sum().item()
        model.train()
        found["test accuracy by epoch"].append(round(100 * hits / len(data.y_test), 4))
        found["seconds"] += round(time.monotonic() - start, 1)
        print(f"epoch {epoch + 1}: {found['test accuracy by epoch'][-1]} %", flush=True)
        torch.save({"model": model.state_dict(), "schedule": schedule.state_dict()}, kept)
        file.write_text(json.dumps(found, indent=1) + "\n")
    kept.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cells = [name for name in CONTROLS_8.cells if name.startswith("pow-step")]
    parser.add_argument("cell", choices=cells, metavar="CELL", help=", ".join(cells))
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "crosscheck-training")
    words = parser.parse_args()
    words.out.mkdir(parents=True, exist_ok=True)
    _, gamma_res, tau, algorithm = words.cell.replace("pow-step", "pow").split("-", 3)
    spec = spec_of(CONTROLS_8.cells[words.cell], seed=0)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    config = config_of(float(gamma_res), float(tau), algorithm)
    train(spec, config, load(spec.data), words.out / f"{words.cell}.json")


if __name__ == "__main__":
    main()
