"""The comparison of several algorithms with several seeds: means, spreads, and differences paired by seed."""

import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mho.training.folder import RunFolder
from mho.training.loop import Watch, train
from mho.training.spec import BASELINES, RunSpec


def compare(
    specs: Mapping[str, RunSpec],
    seeds: Sequence[int],
    folder: str | os.PathLike[str],
    *,
    watch: Callable[[str], Watch | None] | None = None,
    checkpoint_every: int = 1,
    where: str = "cpu",
) -> dict[str, Any]:
    """Train each specification with each seed into `folder`/name/seed, and return the comparison.

    A run of the same configuration that is in the folder already is used, or resumed where it stopped. The
    folder gets compare.json, compare.csv (one line a run), compare.png and compare.pdf.

    Args:
        specs: {name: run}; the seeds in them are ignored.
        seeds: the seeds of every specification, so that differences can be paired.
        folder: the folder of the comparison.
        watch: title of a run -> its listener.
        checkpoint_every: epochs between two checkpoints.
        where: "cpu", or "cuda" for a GPU.
    Raises: as `train`.
    """
    from mho.figures.curves import comparison  # matplotlib takes a second to import
    from mho.figures.style import save

    files = RunFolder(folder)
    jobs = [(name, seed, spec.replace(seed=seed)) for seed in seeds for name, spec in specs.items()]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in specs}
    for i, (name, seed, spec) in enumerate(jobs, 1):
        place = files.path / name / f"seed{seed}"
        title = f"[{i}/{len(jobs)}] {name}, seed {seed}"
        results[name].append(
            train(
                spec,
                place,
                resume=True,
                watch=watch(title) if watch else None,
                checkpoint_every=checkpoint_every,
                where=where,
            )
        )
    summary = {"seeds": list(seeds), "algorithms": summarise(results)}
    files.write_json("compare.json", summary)
    files.write_csv("compare.csv", [_line(name, r) for name, runs in results.items() for r in runs])
    histories = {name: [_history(files.path / name / f"seed{seed}") for seed in seeds] for name in specs}
    save(comparison(histories), files.path / "compare")
    return summary


def summarise(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return for each name the test accuracies by seed, their mean and standard deviation, and paired differences.

    `paired[other]` has the mean over seeds of the accuracy's difference to `other`, and its standard error.
    Standard deviations and errors are None for a single seed.

    Args:
        results: {name: results of `train`, a seed each}, with the seeds in the same order.
    """
    accuracies = {name: [r["test_accuracy"] for r in runs] for name, runs in results.items()}
    summary = {}
    for name, runs in results.items():
        mine = accuracies[name]
        paired = {}
        for other in BASELINES:
            if other in accuracies and other != name:
                gaps = [a - b for a, b in zip(mine, accuracies[other], strict=True)]
                error = _spread(gaps)
                paired[other] = {
                    "difference": statistics.fmean(gaps),
                    "standard_error": None if error is None else error / math.sqrt(len(gaps)),
                }
        pulses = [sum(a["up"] + a["down"] for a in r["arrays"].values()) for r in runs]
        summary[name] = {
            "test_accuracy": mine,
            "mean": statistics.fmean(mine),
            "standard_deviation": _spread(mine),
            "paired": paired,
            "pulses": statistics.fmean(pulses),
            "seconds": statistics.fmean(r["seconds"] for r in runs),
        }
    return summary


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _line(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    scores = ("test_accuracy", "test_loss", "train_accuracy", "train_loss", "best_test_accuracy")
    start = {"algorithm": name} | {field: result[field] for field in ("seed", "epochs", *scores)}
    pulses = sum(a["up"] + a["down"] for a in result["arrays"].values())
    end = {field: result[field] for field in ("clipped_fraction", "saturated_cells", "seconds")}
    return start | {"pulses": pulses} | end


def _history(folder: Path) -> list[float]:
    """Return the test accuracy by epoch of a finished run."""
    return [row["test_accuracy"] for row in RunFolder(folder).rows()]
