"""`mho diagnose`: the causes of a training that fails."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from mho.base.errors import MhoError, complaint
from mho.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from mho.diagnostics.finding import Diagnosis
    from mho.training.session import Session


def diagnose(
    folder: Annotated[
        Path, Argument(metavar="RUN_FOLDER", help="What `mho train` wrote; also of a stopped run.")
    ],
    data_dir: Annotated[
        Path | None, Option(help="Folder of the data sets.", show_default="that of the run")
    ] = None,
    plot: Annotated[
        Path | None,
        Option(
            metavar="STEM",
            help="Write STEM.png and STEM.pdf: where the cells of each array are in their range.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why a training failed: what is wrong with its updates, its arrays and its curve, and what to try.

    Loads the run's checkpoint, passes the next batch forward and backward, and looks at what waits for the step:
    cells at their bounds, bit lines clipped at p = 1, updates far below dw_min, arrays without pulses, weights of
    few granules, symmetric points off the reference, converters that clip or drown; then at the curve: stuck at
    guessing, diverging, pulses drying up. The run is not changed. In Python: mho.diagnose(model, optimizer=...)
    between loss.backward() and optimizer.step().

    Above the findings is a line for each array: pulses a cell has got, clipped bit lines, cells at a bound, mean
    and standard deviation of its weights, the latter in steps of dw_min, and of the cells' symmetric points.

    Examples:

    - mho train --lr 1e-5 --algorithm analog-sgd --epochs 2 --out runs/slow

    - mho diagnose runs/slow

    - mho diagnose runs/slow --plot slow --json
    """
    session = _session(folder, data_dir)
    found = _next_step(session, folder)
    if plot is not None:
        from mho.figures.style import save

        for path in save(found.plot(), plot):
            typer.echo(f"written: {path}", err=True)
    if as_json:
        findings, arrays = ([part._asdict() for part in each] for each in (found.findings, found.arrays))
        print_json({"findings": findings, "arrays": arrays})
        return
    typer.echo(str(found))


def _session(folder: Path, data_dir: Path | None) -> "Session":
    """The run as it was when its checkpoint was written."""
    from mho.base.config import record_in
    from mho.data import load
    from mho.training.folder import RunFolder
    from mho.training.session import Session
    from mho.training.spec import RunSpec

    where = f"mho diagnose {folder}"
    if not (folder / "config.json").is_file():
        fix = "name the folder that `mho train` wrote, its --out"
        raise complaint(where, "the folder holds no run", fix=fix)
    spec = record_in(folder / "config.json", kind=RunSpec)
    if spec.hardware is None or spec.hardware.algorithm.roles().digital:
        raise complaint(where, "the run is digital", "There are no arrays to look at")
    state = RunFolder(folder).checkpoint()
    if state is None:
        raise complaint(where, "the folder has no checkpoint yet", fix="wait for the end of an epoch")
    session = Session(spec, load(spec.data, str(data_dir) if data_dir else spec.data_dir))
    session.load_state_dict(state, str(folder / "checkpoint.pt"))
    return session


def _next_step(session: "Session", folder: Path) -> "Diagnosis":
    """The diagnosis in the next step of the run, between backward and the update."""
    from mho.diagnostics.diagnosis import diagnose as diagnose_model

    run = folder if (folder / "metrics.csv").is_file() else None
    found: list[Diagnosis] = []

    def look(*_: object) -> None:
        found.append(diagnose_model(session.model, run, optimizer=session.optimizer))  # type: ignore[arg-type]

    session.optimizer.register_step_pre_hook(look)
    try:
        session.step()
    except MhoError:  # a loss that is not finite: the arrays and the curve remain to be looked at
        if not found:
            look()
    return found[0]
