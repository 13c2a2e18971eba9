"""The moving parts of a run, saved and restored as one: model, optimizer, schedule, position and sums."""

import math
import time
from typing import Any, TypedDict

import torch
from torch import nn

from mho.base.errors import MhoError, complaint
from mho.base.stored import check
from mho.data.dataset import Dataset
from mho.diagnostics.pulses import pulse_report
from mho.nn.conversion.convert import convert_
from mho.optim import AnalogOptimizer
from mho.training.label import check_label, label
from mho.training.networks import network
from mho.training.spec import RunSpec, order

Row = dict[str, float]  # one line of metrics.csv
TEST_BATCH = 1000
CALMER = "lower `lr`, or look at the bounds and the noise of the device"


class Position(TypedDict):
    """The place of a session in its run, the sums of the present epoch, and the lines of those before it."""

    epoch: int
    batch: int
    loss_sum: float
    hits: int
    seen: int
    seconds: float
    rows: list[dict[str, float]]


class SavedSession(TypedDict):
    """The entries of a `Session.state_dict`; `run` is the label of the run that it belongs to."""

    run: dict[str, Any]
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    torch_rng: torch.Tensor
    position: Position


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
                fix=CALMER,
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
        """Test the network, move the schedule, and return the epoch's line of metrics.

        Raises: MhoError for a loss that is not finite.
        """
        start = time.perf_counter()
        test_loss, test_accuracy = self.test()
        if not math.isfinite(test_loss):
            wrong = f"the test loss is {test_loss} after epoch {self.epoch + 1}, at lr = {self.lr:g}"
            raise complaint("train", wrong, fix=CALMER)
        row: Row = {
            "epoch": self.epoch + 1,
            "lr": self.lr,
            "train_loss": self.loss_sum / self.seen,
            "test_loss": test_loss,
            "train_accuracy": self.hits / self.seen,
            "test_accuracy": test_accuracy,
        }
        row |= self._counted()
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
        return {
            "run": label(self.spec),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "position": {name: getattr(self, name) for name in Position.__annotations__},
        }

    def load_state_dict(self, state: dict[str, Any], where: str = "Session.load_state_dict") -> None:
        """Go back to the moment of a `state_dict`.

        Args:
            state: the state; where: the file that it comes from, for errors.
        Raises: MhoError that names the fields, for the state of another run; and for a state that is damaged. Torch
            may have loaded parts of the latter, so that the session is of no use then.
        """
        fix = "start the run anew in another folder"
        check_label(state.get("run"), label(self.spec), where, fix)
        check(state, SavedSession, where, fix)
        try:
            self._check(state)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            torch.set_rng_state(state["torch_rng"])
        except MhoError:
            raise
        except Exception as error:  # damaged numbers make torch fail in many ways
            wrong = f"it does not fit this run ({type(error).__name__}: {str(error).splitlines()[0]})"
            raise complaint(where, wrong, fix=fix) from error
        self.epoch = state["position"]["epoch"]
        self._begin_epoch()
        for name in Position.__annotations__:
            setattr(self, name, state["position"][name])

    def _counted(self) -> Row:
        """Return the columns of an epoch that count pulses."""
        arrays = self.arrays().items()
        return {f"pulses_{way}_{name}": counts[way] for name, counts in arrays for way in ("up", "down")}

    def _check(self, state: dict[str, Any]) -> None:
        """Raise ValueError for numbers that no run of this kind has."""
        at, own = state["position"], self.state_dict()
        seen = min(at["batch"] * self.spec.batch_size, len(self.data.x_train))
        if not (0 <= at["batch"] <= self.batches and at["seen"] == seen and at["epoch"] == len(at["rows"])):
            raise ValueError("there is no such epoch or batch")
        if (
            any(set(row) != {*_COLUMNS, *self._counted()} for row in at["rows"])
            or len({*map(tuple, at["rows"])}) > 1
        ):
            raise ValueError("the epochs have other columns")
        if not _alike(state["schedule"], own["schedule"]):
            raise ValueError("the schedule has other entries")
        names = ["gamma", "base_lrs"] + (
            ["step_size"] if self.spec.lr_step else []
        )  # else the number of epochs
        same = all(state["schedule"][name] == own["schedule"][name] for name in names)
        if not same or state["schedule"]["step_size"] < 1:
            raise ValueError("the schedule has other settings")
        if not all(map(_is_sound, state["model"].values())):
            raise ValueError("a tensor of the model holds NaN, infinity, or a count that no run reaches")
        if not _alike(state["optimizer"].get("param_groups"), own["optimizer"]["param_groups"]):
            raise ValueError("the optimizer has other groups")


def _is_sound(found: torch.Tensor) -> bool:
    """Return whether the numbers are finite, and counts such as a run reaches."""
    if found.is_floating_point():
        return bool(torch.isfinite(found).all())
    return found.dtype is not torch.int64 or bool((found >= -1).all() and (found < 2**53).all())


_LARGEST = 3.4e38  # of float32
_COLUMNS = "epoch", "lr", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "seconds"


def _alike(found: Any, own: Any) -> bool:
    """Return whether two states have the same keys, lengths and types, of all that is no number the same values."""
    if isinstance(own, dict):
        return (
            isinstance(found, dict)
            and found.keys() == own.keys()
            and all(_alike(found[key], value) for key, value in own.items())
        )
    if isinstance(own, list):
        same = isinstance(found, list) and len(found) == len(own)
        return same and all(map(_alike, found, own))
    if type(own) in (int, float):
        return type(found) in (int, float) and abs(found) <= _LARGEST
    return found == own
