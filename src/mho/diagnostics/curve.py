"""The rules about the curve of a run, the metrics.csv that `mho train` writes."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from mho.base.errors import complaint
from mho.base.stored import check, read_rows
from mho.diagnostics.finding import Finding

CLASSES = 10  # classes of every data set of `mho train`
NEAR_CHANCE = 1.5  # accuracy relative to guessing
DIVERGED = 1.2  # last loss relative to the best one
LOST = 0.1  # best test accuracy less the last one
DRY = 0.01  # pulses of an epoch relative to the epoch with the most
LEARNED = 0.95  # training accuracy above which little is left to be learned

Epoch = dict[str, float]


class EpochLine(TypedDict):
    """The columns of metrics.csv that the rules look at, beside those of the arrays."""

    epoch: float
    lr: float
    train_loss: float
    train_accuracy: float
    test_accuracy: float


def rows_of(run: str | os.PathLike[str]) -> list[Epoch]:
    """Read the epochs of a run's folder.

    Raises: MhoError if it has no metrics.csv, or that holds no epoch, or a line that is none of an epoch's numbers.
    """
    path = Path(run) / "metrics.csv"
    if not path.is_file():
        fix = "name the folder of a run of `mho train` that has finished an epoch"
        raise complaint(f"diagnose(run={str(run)!r})", "the folder has no metrics.csv", fix=fix)
    rows = read_rows(path, "resume the run, which writes the file again")
    if not rows:
        raise complaint(f"diagnose(run={str(run)!r})", "its metrics.csv holds no epoch")
    check(rows[0], EpochLine, f"{path}, line 1")
    return rows


def from_curve(rows: Sequence[Epoch]) -> Iterator[Finding]:
    """Yield the findings about the epochs of a run."""
    yield from _chance(rows)
    yield from _diverging(rows)
    yield from _unstable(rows)
    yield from _drying_up(rows)


def _chance(rows: Sequence[Epoch]) -> Iterator[Finding]:
    best = max(row["train_accuracy"] for row in rows)
    if best >= NEAR_CHANCE / CLASSES:
        return
    yield Finding(
        "chance",
        "error",
        "run",
        f"the best training accuracy of {len(rows)} epochs is {best:.1%}; guessing gives {1 / CLASSES:.0%}",
        {"train_accuracy": best, "guessing": 1 / CLASSES},
        "The network has learned nothing: weights hardly move, or are driven by noise and by the response's "
        "asymmetry instead of the gradient.",
        "see the other findings; train the same network in plain torch (RunSpec(hardware=None)) to exclude lr and "
        "model.",
    )


def _diverging(rows: Sequence[Epoch]) -> Iterator[Finding]:
    losses = [row["train_loss"] for row in rows]
    best = min(losses)
    if len(losses) < 2 or losses[-1] < DIVERGED * best or losses[-1] < 0.05:
        return
    at = losses.index(best) + 1
    yield Finding(
        "diverging",
        "error" if losses[-1] > losses[0] else "warning",
        "run",
        f"the training loss rose from {best:.3g} in epoch {at} to {losses[-1]:.3g} in epoch {len(losses)}",
        {"best": best, "last": losses[-1], "epoch": at},
        "Steps are too large, or slow drift (to symmetric points, out of the range of P) outruns what is learned.",
        "lower lr and fast_lr, or decay them (lr_step, lr_decay); look at the findings about asymmetry and "
        "reference.",
    )


def _unstable(rows: Sequence[Epoch]) -> Iterator[Finding]:
    accuracies = [row["test_accuracy"] for row in rows]
    best, last = max(accuracies), accuracies[-1]
    if best - last < LOST:
        return
    yield Finding(
        "unstable",
        "warning",
        "run",
        f"test accuracy was {best:.1%} in epoch {accuracies.index(best) + 1}, {last:.1%} in epoch {len(rows)}",
        {"best": best, "last": last},
        "The network is not where it was good: weights wander by pulses to and fro, or drift to symmetric points.",
        "decay lr (lr_step, lr_decay), larger batches, ResidualLearning and its kin.",
    )


def _drying_up(rows: Sequence[Epoch]) -> Iterator[Finding]:
    accuracy = rows[-1]["train_accuracy"]
    if len(rows) < 3 or accuracy >= LEARNED:
        return
    arrays = [name.removeprefix("pulses_up_") for name in rows[0] if name.startswith("pulses_up_")]
    for array in [name for name in arrays if f"pulses_down_{name}" in rows[0]]:
        sums = [row[f"pulses_up_{array}"] + row[f"pulses_down_{array}"] for row in rows]
        each = [b - a for a, b in zip([0.0, *sums], sums, strict=False)]
        if max(each) and each[-1] < DRY * max(each):
            yield Finding(
                "drying up",
                "warning",
                f"run: {array}",
                f"{each[-1]:.3g} pulses in the last epoch, {max(each):.3g} in epoch {each.index(max(each)) + 1}, "
                f"at {accuracy:.1%} training accuracy",
                {"last": each[-1], "most": max(each), "train_accuracy": accuracy},
                "An array that gets no pulses learns no more: what is asked has fallen below what a pulse train, a "
                "threshold or a converter can tell from 0.",
                "decay lr less; lower the threshold (auto_granularity, thres_scale) or raise transfer_lr.",
            )
