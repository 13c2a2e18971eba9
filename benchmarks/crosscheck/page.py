"""From the numbers to docs/crosscheck.md."""

import itertools
import textwrap
from typing import Any

import compare

SHORT = {
    "mean": "mean",
    "mean, worst cell": "worst cell's mean",
    "variance": "variance",
    "variance, worst cell": "worst cell's variance",
    "covariance in a row": "row cov.",
    "covariance in a column": "column cov.",
    "KS, diagonal of new tiles": "KS",
}
SEVERITY = ("fails", "differs", "known", "agrees")

HEAD = """# Cross-check against aihwkit

The same devices, in the same state, get the same updates in both programs, which share no code and no random
numbers. What the weights do is compared as distributions: aihwkit's updates cannot be seeded."""

METHOD = """## What is compared

Every case is one of aihwkit's nine pulsed devices, and the function of `mho.aihwkit` that has its name. aihwkit
draws the cells of an 8 x 12 tile, once; its hidden parameters (bounds, step sizes up and down, slopes, exponents,
reference) are loaded into a tile of this library. Both start from the same weights, inside the bounds, and get
the same x and d: 1, 10 or 1000 updates, whose signs alternate at random. aihwkit makes a new tile for each
repetition, with the same cells: it then draws its table of 32,768 normal numbers anew too, whose mean is not
quite 0.

* Mean, variance, covariances: of the change of a weight, in units of each cell's standard deviation, averaged
  over the tile with the sign of the update; covariances over all pairs in a row, or in a column. Cells of a tile
  share bit lines and are not independent: one repetition is one sample of each number, and gives its standard
  error. The table shows the difference in standard errors, z (this library less aihwkit).
* Worst cell: the largest z of the 96 cells.
* KS: both programs draw new cells for each tile. The changes of the 8 diagonal cells, which share no bit line,
  are compared by the test of Kolmogorov and Smirnov; the table shows D sqrt(n m / (n + m)). All devices have
  cycle-to-cycle noise.
* All of them together: the sum of the z above over the root of their number, which shows what is slightly off in
  every device.

A row agrees if no p-value is below {family:g} divided by the {number} comparisons of the table (and by 96, for
the worst cell): |z| < {tile:.1f} for a tile's numbers, {cell:.1f} for the worst cell, {ks:.1f} for KS.
{power}

Both convert a learning rate to pulses by their own granularity, so each gets the learning rate that asks for the
same pulses. aihwkit's granularity is dw_min 0.5^gamma for PowStep, dw_min times the middle node for
PiecewiseStep, and the size of a down pulse at w = 0 for ExpStep, where it means the mean of up and down (a
defect). This library's is dw_min for all. With equal learning rates these three would differ by that factor.

Parameters of new cells: 200 x 200 of them, each program by its own draw. Means, standard deviations and all
correlations, with standard errors from fourth moments; the bound is {farthest:g} standard errors."""

ELSEWHERE = """Found on the way, and kept out of the comparison:

* aihwkit's `set_weights` clips the weight that one sees to the bounds of the hidden one, as if there were no
  reference; its updates clip the hidden weight, with the reference, as this library does in both. So the two
  start from weights that lie within both ranges. (SoftBoundsReference, PowStepReference)
* Granularities, and with them the meaning of a learning rate: see below. (ExpStep, PowStep, PiecewiseStep)"""

NOT_COMPARED = """## What is not compared

Lifetime, diffusion, resets and drift; compound devices and training algorithms; aihwkit's other pulse types
(STOCHASTIC, MEAN_COUNT, DETERMINISTIC_IMPLICIT); what `mho.aihwkit` does not take over: `slope_up_dtod`,
`pow_up_down_dtod`, `perfect_bias`, `reverse_up`, `mean_bound_reference=False`; aihwkit on a GPU; pulse counters,
which are empty in aihwkit on a CPU."""

HOW = """## How to run it

    AIHWKIT_PYTHON=/path/to/python make crosscheck
    AIHWKIT_PYTHON=/path/to/python python benchmarks/crosscheck --only SoftBounds,draws

benchmarks/README.md says how to install aihwkit. Without it nothing is measured. `tests/test_crosscheck.py` has
a small part of it, which is skipped then. Every number is in results/crosscheck.json."""


def page(found: dict[str, Any]) -> str:
    rows = found["rows"]
    checked = [row for row in rows if row["part"] == "updates"]
    parts = [HEAD, wrapped(_header(found)), wrapped(_summary(rows)), "## Updates", _updates(checked)]
    parts += ["## Parameters of new cells", _draws([row for row in rows if row["part"] != "updates"])]
    parts += ["## What differs, and why", _reasons(rows), ELSEWHERE, _method(checked), NOT_COMPARED, HOW]
    return "\n\n".join(part for part in parts if part) + "\n"


def wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 110, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table(head: list[str], rows: list[list[str]], left: int) -> str:
    """A Markdown table; columns after the first `left` are aligned to the right."""
    rules = ["---" if i < left else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rules, *rows))


def bound(p: float) -> float:
    """The |z| that a normal number exceeds with probability p."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if compare.two_sided(middle) > p else (low, middle)
    return low


def _header(found: dict[str, Any]) -> str:
    ours = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    number = ", ".join(f"{n} of {h}" for h, n in found["repetitions"].items())
    quick = " **A quick run: too few repetitions to say much.**" if found["quick"] else ""
    return (
        f"Written by `make crosscheck`, {found['date']}, commit {(found['commit'] or 'unknown')[:10]}, in "
        f"{found['minutes']} minutes.{quick} Here: {ours}. There: {found.get('theirs', 'not run')}. "
        f"Repetitions: {number} updates; {found['tiles']} new tiles for KS."
    )


def _summary(rows: list[dict[str, Any]]) -> str:
    count = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in SEVERITY}
    return (
        f"**{len(rows)} comparisons: {count['agrees']} agree, {count['known']} differ for a known reason, "
        f"{count['differs']} differ without one, {count['fails']} could not be made.**"
    )


def verdict(rows: list[dict[str, Any]]) -> str:
    return next(word for word in SEVERITY if any(row["verdict"] == word for row in rows))


def _updates(rows: list[dict[str, Any]]) -> str:
    lines = []
    for case, of_case in itertools.groupby(rows, lambda row: row["case"]):
        compared = list(of_case)
        failed = verdict(compared) == "fails"
        for horizon, group in itertools.groupby(compared, lambda row: row.get("horizon")):
            if horizon is None:
                continue
            of = {row["statistic"]: row for row in group}
            cells = [_z(of[name]) if name in of else "-" for name in SHORT]
            lines.append(
                [case, str(horizon), *cells, verdict(list(of.values())) + (", KS fails" if failed else "")]
            )
    return table(["device", "updates", *SHORT.values(), "verdict"], lines, 1)


def _z(row: dict[str, Any]) -> str:
    text = "infinite" if row["z"] is None else f"{row['z']:.1f}"
    return text if row["verdict"] == "agrees" else f"**{text}**"


def _draws(rows: list[dict[str, Any]]) -> str:
    lines = []
    for (part, case), group in itertools.groupby(rows, lambda row: (row["part"], row["case"])):
        of_case = list(group)
        name = f"preset {case}" if part == "presets" else case
        compared = [row for row in of_case if "p" in row]
        if not compared:
            lines.append([name, "0", "", "", "fails"])
            continue
        worst = max(compared, key=lambda row: float("inf") if row["z"] is None else abs(row["z"]))
        lines.append([name, str(len(compared)), _z(worst), worst["statistic"], verdict(of_case)])
    return table(["device", "numbers", "worst z", "of", "verdict"], lines, 1) if lines else "Not run."


def _reasons(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        if row["verdict"] == "agrees":
            continue
        where = f"{row['part']}, {row['case']}" + (f", {row['horizon']} updates" if "horizon" in row else "")
        if row["verdict"] == "fails":
            lines.append(wrapped(f"* {where}: no new cells. {row['failure']}", "  "))
            continue
        pair = " and ".join("?" if row[side] is None else f"{row[side]:.4g}" for side in ("theirs", "ours"))
        why = row.get("reason", "**No reason is known.**")
        text = f"* {where}, {row['statistic']}: {pair} (aihwkit and here), z = {_z(row)}. {why}"
        lines.append(wrapped(text, "  "))
    return "\n".join(lines) or "Nothing beyond chance."


def _method(rows: list[dict[str, Any]]) -> str:
    number = max(sum("p" in row for row in rows), 1)
    p, ks = compare.FAMILY / number, 0.2
    while compare.kolmogorov(ks) > p:
        ks += 0.01
    return METHOD.format(
        family=compare.FAMILY, number=number, tile=bound(p), cell=bound(p / 96), ks=ks,
        power=wrapped(_power(rows, bound(p))), farthest=compare.FARTHEST,
    )  # fmt: skip


def _power(rows: list[dict[str, Any]], z: float) -> str:
    """How large a difference must be to be found."""
    seen = []
    for horizon in sorted({row["horizon"] for row in rows if "horizon" in row}):
        errors = {
            what: [row["error"] for row in rows if row.get("horizon") == horizon and row["statistic"] == what]
            for what in ("mean", "variance")
        }
        middle = {what: z * sorted(found)[len(found) // 2] for what, found in errors.items()}
        seen.append(f"{middle['mean']:.2g} and {100 * middle['variance']:.2g} % after {horizon}")
    return (
        "In half of the devices a difference would be found if the mean were off by this part of one change's "
        f"standard deviation in all cells, and the variance by this much: {'; '.join(seen)}."
    )
