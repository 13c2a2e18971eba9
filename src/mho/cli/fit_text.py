"""The tables that `mho device fit` prints."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from mho.base.tables import add_rows, table
from mho.fit.measured import DOWN, UP, WORDS, Measured
from mho.fit.report import SHAPES, as_dict, at_limit, points_in_words, verdict
from mho.fit.result import Fit


def show(console: Console, fit: Fit) -> None:
    """Print the report: verdict, parameters, laws, shapes, symmetric points and notes."""

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style))

    best, noise = fit.best, fit.best.noise
    say(verdict(fit), "bold")
    say(f"w = -1 is {fit.span.low:.6g}, w = +1 is {fit.span.high:.6g} in the file.")
    title = best.name if fit.law == best.name else f"{best.name}, the nearest law"
    rows = []
    for name, value in zip(best.family.names, best.solution.x.tolist(), strict=True):
        low, high = fit.intervals[name]
        mark = "at its limit" if name in at_limit(fit) else ""
        rows.append((name, f"{value:.5g}", "" if mark else f"{low:.5g} to {high:.5g}", mark))
    if fit.device.c2c != "law":
        ends = noise.interval if fit.law == best.name else None
        inside = f"{ends[0]:.3g} to {ends[1]:.3g}" if ends else ""
        rows.append(("sigma_c2c", f"{fit.device.sigma_c2c:.4g}", inside, fit.device.c2c))
    else:
        rows.append(("pulse noise", "", "", "the table's own distributions"))
    if fit.measured.ramps:
        ends = noise.read_interval
        inside = f"{ends[0]:.3g} to {ends[1]:.3g}" if ends else ""
        rows.append(("read noise", f"{noise.read:.4g}", inside, "of w"))
    gain = fit.gain
    mark = f"{gain.ramps} ramps, p = {gain.p:.2g} for none" if gain else "not identifiable from one device"
    rows.append(("spread of dw_min", f"{gain.sigma:.3g}" if gain else "", "", mark))
    console.print(table("parameter", "value", "95 % interval", "", rows=rows, title=title))
    view = table(
        *("law", ">parameters", ">BIC", ">AIC", ">held out", ">chi2", ">degrees", ">p"), title="Laws"
    )
    for row in as_dict(fit)["ranking"]:
        add_rows(view, [(
            row["law"], str(row["parameters"]), f"+{row['delta_bic']:.1f}", f"+{row['delta_aic']:.1f}",
            f"{row['held_out']:.3g}", f"{row['chi2']:.3g}", str(row["degrees"]), f"{row['p']:.2g}",
        )])  # fmt: skip
    console.print(view)
    for sign, kind in zip((UP, DOWN), fit.shapes, strict=True):
        say(f"{WORDS[sign]} steps {SHAPES[kind]}")
    for line in points_in_words(fit):
        say(f"symmetric point, {line}", "red" if "REPELS" in line else "")
    for note in fit.notes:
        say(f"note: {note}")


def understood(console: Console, raw: Measured) -> None:
    """Print what each column of the files was taken for, and why."""
    for file in dict.fromkeys(c.where.rpartition(", column")[0] for c in raw.columns):
        rows = [
            (
                c.where.rpartition(", column ")[2], c.role, c.why, c.unit,
                f"{c.up} up, {c.down} down" if c.up + c.down else "", f"{c.low:.4g} to {c.high:.4g}",
            )
            for c in raw.columns
            if c.where.rpartition(", column")[0] == file
        ]  # fmt: skip
        title = f"Understood: {Path(file).name}"
        console.print(table("column", "is", "by", "unit", "ramps", "range", rows=rows, title=title))
    for note in raw.notes:
        console.print(Text(f"note: {note}"))
