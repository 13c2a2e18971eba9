"""The moving parts of a run, saved and restored as one: model, optimizer, schedule, position and sums."""

import math
import time
from typing import Any

import torch
from torch import nn

from mho.base.errors import complaint
from mho.data.dataset import Dataset
from mho.diagnostics.pulses import pulse_report
from mho.nn.conversion.convert import convert_
from mho.optim import AnalogOptimizer
from mho.training.networks import network
from mho.training.spec import RunSpec, order

Row = dict[str, float]  # one line of metrics.csv
TEST_BATCH = 1000


class Session:
    """A run between two checkpoints.

    `state_dict` holds everything that the future depends on. A session that is restored in the middle of an
    epoch goes on as if it had never stopped.

    Args:
        spec: the run.
        data: the data set that `spec` names.
        where: "cpu", or "cuda" for a GPU.
    """

    def __init__(self, spec: RunSpec, data: Dataset, where: str = "cpu") -> None:
        self.spec, self.data, self.where = spec, data.to(where), where
        self.model = network(spec, data)
        if spec.hardware is not None:
            convert_(self.model, spec.hardware, key=spec.seed)
        self.model.to(where)
        self.optimizer: torch.optim.Optimizer
        if spec.hardware is None:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=spec.lr)
        else:
            self.optimizer = AnalogOptimizer(self.model, lr=spec.lr)
        never = spec.epochs + 1
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, spec.lr_step or never, spec.lr_decay)
        self.epoch = 0  # epochs done
        self.batch = 0  # batches done in the present epoch
        self.rows: list[Row] = []
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.batch, self.loss_sum, self.hits, self.seen, self.seconds = 0, 0.0, 0, 0, 0.0
        self._order = order(self.spec, self.epoch, len(self.data.x_train)).to(self.where)

    @property
    def batches(self) -> int:
        """The number of batches in an epoch."""
        return math.ceil(len(self.data.x_train) / self.spec.batch_size)

    @property
    def lr(self) -> float:
        """The present learning rate [weight units / gradient]."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self) -> None:
        """Train on the next batch. Raises: MhoError for a loss that is not finite, before any weight changes."""
        start = time.perf_counter()
        chosen = self._order[self.batch * self.spec.batch_size :][: self.spec.batch_size]
        x, y = self.data.x_train[chosen], self.data.y_train[chosen]
        outputs = self.model(x)
        loss = nn.functional.nll_loss(outputs, y)
        value = loss.item()
        if not math.isfinite(value):
            raise complaint(
                "train",
                f"the loss is {value} in epoch {self.epoch + 1}, batch {self.batch + 1}, at lr = {self.lr:g}",
                fix="lower `lr`, or look at the bounds and the noise of the device",
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.batch += 1
        self.seen += len(y)
        self.loss_sum += value * len(y)
        self.hits += int((outputs.detach().argmax(1) == y).sum())
        self.seconds += time.perf_counter() - start

    def end_epoch(self) -> Row:
        """Test the network, move the schedule, and return the epoch's line of metrics."""
        start = time.perf_counter()
        test_loss, test_accuracy = self.test()
        row: Row = {
            "epoch": self.epoch + 1,
            "lr": self.lr,
            "train_loss": self.loss_sum / self.seen,
            "test_loss": test_loss,
            "train_accuracy": self.hits / self.seen,
            "test_accuracy": test_accuracy,
        }
        for array, counts in self.arrays().items():
            row |= {f"pulses_up_{array}": counts["up"], f"pulses_down_{array}": counts["down"]}
        row["seconds"] = round(self.seconds + time.perf_counter() - start, 3)
        self.schedule.step()
        if isinstance(self.optimizer, AnalogOptimizer):
            self.optimizer.observe(row["train_loss"])
        self.rows.append(row)
        self.epoch += 1
        self._begin_epoch()
        return row

    @torch.no_grad()
    def test(self) -> tuple[float, float]:
        """Return mean loss and accuracy (0 to 1) on the test images."""
        self.model.eval()
        loss, hits, n = 0.0, 0, len(self.data.x_test)
        for x, y in zip(self.data.x_test.split(TEST_BATCH), self.data.y_test.split(TEST_BATCH), strict=True):
            outputs = self.model(x)
            loss += nn.functional.nll_loss(outputs, y, reduction="sum").item()
            hits += int((outputs.argmax(1) == y).sum())
        self.model.train()
        return loss / n, hits / n

    def arrays(self) -> dict[str, dict[str, Any]]:
        """Return {array: counts since the start, summed over layers}, which is empty for a digital run."""
        found: dict[str, dict[str, Any]] = {}
        if self.spec.hardware is None:
            return found
        for line in pulse_report(self.model):
            counts = found.setdefault(line.array, {})
            for name in ("cells", "up", "down", "reads", "saturated", "clipped", "lines"):
                counts[name] = counts.get(name, 0) + getattr(line, name)
            most = [n for n in (counts.get("max_per_cell"), line.max_per_cell) if n is not None]
            counts["max_per_cell"] = max(most, default=None)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, strings, lists and dicts: `torch.load(weights_only=True)` works."""
        position = ("epoch", "batch", "loss_sum", "hits", "seen", "seconds", "rows")
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "position": {name: getattr(self, name) for name in position},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to the moment of a `state_dict`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["torch_rng"])
        self.epoch = state["position"]["epoch"]
        self._begin_epoch()
        for name, value in state["position"].items():
            setattr(self, name, value)
