"""A training run that loses nothing: a progress bar, checkpoints, a curve, and where the time went.

What the examples have in common. The loop is a plain PyTorch loop; analog layers need nothing of their own in it.
"""

import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from mho import complaint
from mho.training import Interrupted, RunFolder, differences, provenance, stop_signals

PHASES = ("forward", "backward", "update")


class Run:
    """One network in training.

    Args:
        config: all that the run depends on but its length; a folder with another config is refused.
        model, optimizer: what is trained; their `state_dict` is the checkpoint.
        loss_of: step number -> loss. It depends on nothing but the model and the number, so that a resumed run goes
            on as if it had never stopped.
        evaluate: () -> loss on held-out data.
    """

    def __init__(
        self,
        config: dict[str, Any],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_of: Callable[[int], torch.Tensor],
        evaluate: Callable[[], float],
    ) -> None:
        self.config, self.model, self.optimizer = config, model, optimizer
        self.loss_of, self.evaluate = loss_of, evaluate
        self.step, self.losses = 0, [0.0, 0]  # steps done; sum and number of losses since the last row
        self.seconds = dict.fromkeys(PHASES, 0.0)  # of the processor, since the start
        self.rows: list[dict[str, Any]] = []

    def train(self, folder: Path, steps: int, every: int) -> list[dict[str, Any]]:
        """Trains up to `steps` steps, those of earlier calls included; a row of the curve after each `every`.

        Raises: Interrupted after Ctrl-C; the same call goes on. MhoError for a folder of another run, or a loss
        that is not finite.
        """
        files = RunFolder(folder)
        self._open(files)
        console, title = Console(), self.config["algorithm"]
        with stop_signals() as stop, _bar(console) as bar:
            task = bar.add_task(title, total=steps, completed=self.step)
            while self.step < steps:
                self._one()
                bar.update(task, completed=self.step)
                if self.step % every == 0 or self.step == steps:
                    self._row()
                    files.save(self.state_dict())
                    console.print(f"{title}  {_line(self.rows[-1])}", highlight=False)
                if stop:
                    files.save(self.state_dict())
                    raise Interrupted(files.path, stop[0])
        return self.rows

    def milliseconds(self) -> dict[str, float]:
        """Processor time of a step, by phase [ms]."""
        return {phase: round(1e3 * self.seconds[phase] / max(self.step, 1), 1) for phase in PHASES}

    def state_dict(self) -> dict[str, Any]:
        position = {name: getattr(self, name) for name in ("step", "losses", "seconds", "rows")}
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "position": position,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch_rng"])
        for name, value in state["position"].items():
            setattr(self, name, value)

    def _open(self, files: RunFolder) -> None:
        config = json.loads(json.dumps(self.config))
        if (files.path / "config.json").exists():
            if changed := differences(files.config(), config):
                what, fix = f"the folder holds a run with {'; '.join(changed)}", "name another with --out"
                raise complaint(f"--out {files.path.parent}", what, fix=fix)
        else:
            files.path.mkdir(parents=True, exist_ok=True)
            files.write_json("config.json", config)
        if (state := files.checkpoint()) is not None:
            self.load_state_dict(state)

    def _one(self) -> None:
        times = [time.process_time()]
        loss = self.loss_of(self.step)
        times.append(time.process_time())
        self.optimizer.zero_grad()
        loss.backward()
        times.append(time.process_time())
        value = loss.item()
        if not math.isfinite(value):
            raise complaint(
                self.config["algorithm"], f"the loss of step {self.step + 1} is {value}", fix="lower --lr"
            )
        self.optimizer.step()
        times.append(time.process_time())
        for n, phase in enumerate(PHASES):
            self.seconds[phase] += times[n + 1] - times[n]
        self.losses = [self.losses[0] + value, self.losses[1] + 1]
        self.step += 1

    def _row(self) -> None:
        start = time.process_time()
        self.model.eval()
        with torch.no_grad():
            held_out = self.evaluate()
        self.model.train()
        self.rows.append(
            {
                "step": self.step,
                "train_loss": self.losses[0] / self.losses[1],
                "held_out_loss": held_out,
                "seconds": round(sum(self.seconds.values()), 1),
                "seconds_of_evaluation": round(time.process_time() - start, 1),
            }
        )
        self.losses = [0.0, 0]


def write_results(file: Path, results: dict[str, Any]) -> None:
    """Writes a results file whole, with the versions and the machine it comes from."""
    file.parent.mkdir(parents=True, exist_ok=True)
    RunFolder(file.parent).write_json(file.name, results | provenance())


def mean_and_error(values: list[float]) -> dict[str, Any]:
    """Of a quantity over seeds: the mean and its standard error, which a single seed does not have."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return {"values": values, "mean": statistics.fmean(values), "standard_error": error}


def _line(row: dict[str, Any]) -> str:
    losses = f"loss {row['train_loss']:.4f}  held out {row['held_out_loss']:.4f}"
    return f"step {row['step']:6d}  {losses}  {row['seconds']:.0f} s of processor"


def _bar(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
