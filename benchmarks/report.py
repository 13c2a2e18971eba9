"""From the numbers to the page."""

import math
from typing import Any

import fcn
from ratios import axes, bars, exponent, geometric_mean, ratio, ratios

from mho.testing import bench

LABELS = {"mho": "mho", "aihwkit": "aihwkit", "eager": "torch eager", "digital": "torch digital"}
PAIRS = (("aihwkit", "mho"), ("eager", "mho"), ("mho", "digital"))
ALGORITHMS = {
    "analog-sgd": "Analog SGD",
    "ttv1": "Residual Learning (in aihwkit TTv1, same gamma)",
    "ttv2": "TTv2",
    "agad": "AGAD",
}
TITLES = {
    "update": f"Tile update with cycle-to-cycle noise, trains of {bench.BL} slots",
    "update-without-c2c": f"Tile update without cycle-to-cycle noise, trains of {bench.BL} slots",
    "update-bl-management": "Tile update with the default management of train length",
    "update-aggregated": "Aggregated update; aihwkit: its only, exact one",
    "fcn": "Training iteration of a 784-256-128-10 network, batch 10",
}


def page(found: dict[str, Any]) -> str:
    """The Markdown page of a run."""
    groups = found["groups"]
    parts = ["# Benchmarks", _header(found), _bars(groups)]
    parts += [_group(name, groups[name]) for name in TITLES if name in groups]
    parts += [_linear(groups["linear"])] if "linear" in groups else []
    parts += [_first_calls(groups["first-call"])] if "first-call" in groups else []
    return "\n\n".join([*parts, _notes(found)]) + "\n"


def table(head: list[str], rows: list[list[str]], left: int = 1) -> str:
    """A Markdown table; columns after the first `left` are aligned to the right."""
    rules = ["---" if i < left else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rules, *rows))


def _header(found: dict[str, Any]) -> str:
    machine = found["machine"]
    rivals = {p: v for about in found["contenders"].values() for p, v in about["versions"].items()}
    software = ", ".join(f"{p} {v}" for p, v in (found["versions"] | rivals).items())
    quick = " **A quick run: tiny sizes, no measurement.**" if found["quick"] else ""
    return (
        f"Written by `make bench`, {found['date']}, commit {(found['commit'] or 'unknown')[:10]}.{quick} "
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; load before the run "
        f"{machine['load']:.1f}; the run took {found['minutes']} minutes. {software}."
    )


def _bars(groups: dict[str, Any]) -> str:
    rows = []
    for bar in bars(groups):
        measured = "" if bar.value is None else f"{bar.value:.3g}"
        rows.append([bar.what, measured, f"{'>=' if bar.at_least else '<='} {bar.limit:g}", bar.verdict])
    return "## Bars\n\n" + table(["what", "measured", "bar", "verdict"], rows)


def _group(name: str, group: dict[str, Any]) -> str:
    rows = group["rows"]
    there = [c for c in LABELS if any("median" in row["of"].get(c, {}) for row in rows)]
    pairs = [p for p in PAIRS if ratios(rows, *p)]
    head = ["case", *(f"{LABELS[c]} [ms]" for c in there), *(f"{LABELS[a]} / {LABELS[b]}" for a, b in pairs)]
    lines = [
        [title(row["case"]), *(_ms(row["of"].get(c, {})) for c in there), *(_times(ratio(row, *p)) for p in pairs)]
        for row in rows
    ]  # fmt: skip
    means = [_times(geometric_mean(ratios(rows, *p))) for p in pairs]
    lines.append(["geometric mean", *("" for _ in there), *means])
    parts = [f"## {TITLES[name]}", f"{group['threads']} threads.{_same_work(rows)}", table(head, lines)]
    return "\n\n".join([*parts, _memory(rows, there), *_missing(rows)])


def title(case: dict[str, Any]) -> str:
    """A case in a cell of a table."""
    if case["kind"] == "fcn":
        return ALGORITHMS[case["algorithm"]]
    return f"{case['out']}x{case['n_in']}, {case['samples']}: {case['law']}"


def _ms(of: dict[str, Any]) -> str:
    if "median" not in of:
        return ""
    return f"{1e3 * of['median']:.3g} ({1e3 * of['low']:.3g}-{1e3 * of['high']:.3g})"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _same_work(rows: list[dict]) -> str:
    moved = [[row["of"].get(c, {}).get("moved") for c in ("mho", "aihwkit")] for row in rows]
    parts = [a / b for a, b in moved if a and b]
    if not parts:
        return ""
    return f" Mean |change of w| of one update, mho / aihwkit: {min(parts):.3f} to {max(parts):.3f}."


def _memory(rows: list[dict], there: list[str]) -> str:
    """One line a tile shape: the largest over its laws."""
    peaks: dict[str, dict[str, float]] = {}
    for row in rows:
        shape = title(row["case"]).partition(":")[0]
        for name in there:
            peak = row["of"].get(name, {}).get("peak_mib")
            if peak is not None:
                of = peaks.setdefault(shape, {})
                of[name] = max(of.get(name, 0.0), peak)
    lines = [[shape, *(f"{of[c]:.1f}" if c in of else "" for c in there)] for shape, of in peaks.items()]
    return "Peak memory [MiB]:\n\n" + table(["case", *(LABELS[c] for c in there)], lines) if lines else ""


def _missing(rows: list[dict]) -> list[str]:
    reasons = {
        f"{LABELS[name]}, {title(row['case'])}: failed: {of['error'].splitlines()[-1]}."
        for row in rows
        for name, of in row["of"].items()
        if "error" in of
    }
    return ["Not measured: " + " ".join(sorted(reasons))] if reasons else []


def _linear(group: dict[str, Any]) -> str:
    parts = [f"## Cost against cells and samples\n\nsoft bounds, {group['threads']} thread."]
    for axis, (sizes, seconds) in axes(group).items():
        lines = [
            [f"{n:,}", f"{1e3 * s:.3g}", f"{s / n * sizes[-1] / seconds[-1]:.2f}"]
            for n, s in zip(sizes, seconds, strict=True)
        ]
        head = [axis, "ms", f"time a {axis.removesuffix('s')}, last line = 1"]
        decades = math.log10(sizes[-1] / sizes[0])
        fit = f"Exponent in {axis}, over {decades:.1f} decades: **{exponent(sizes, seconds):.3f}**"
        parts += [fit, table(head, lines, left=0)]
    return "\n\n".join(parts)


def _first_calls(calls: dict[str, dict]) -> str:
    lines = [
        [what, f"{of['median']:.2f} ({of['low']:.2f}-{of['high']:.2f})", f"{of['n']}"]
        for what, of in calls.items()
    ]
    note = "Each in a new process, torch already imported; an update includes making its 64 x 64 tile."
    return f"## First call\n\n{note}\n\n" + table(["what", "s", "processes"], lines)


def _notes(found: dict[str, Any]) -> str:
    engines = {LABELS[n]: about["engine_mib"] for n, about in found["contenders"].items()}
    resident = ", ".join(f"{label} {mib:.0f}" for label, mib in engines.items() if mib is not None)
    return f"""## How it is measured

Each contender is a process that stays alive; the driver asks them in turn for one repetition of the same case.
Times are medians and, in brackets, quartiles. Weights go back to zero before each update, outside the timer.
A call shorter than {1e3 * bench.QUIET:.0f} ms is repeated within a repetition, after one that is not timed.

Updates: dw_min {bench.DW_MIN:g}, gain spread {bench.GAIN_SPREAD:g}, bounds +-{bench.TAU:g}, lr {bench.LR:g},
update management, x uniform in [0, 1], d normal with standard deviation 0.05; cycle-to-cycle noise is
multiplicative, 0.3. aihwkit counts lr in steps at w = 0, mho in dw_min: mho gets lr / q(0), and so the same number
of pulses. In aihwkit the spread of bounds, of up-down and of the power's exponent is 0, and the simulator's
`tile.update` is called without layer or optimizer. *torch eager* is the same pulsed update in torch operations
(rows and columns that fire, slot by slot), not seeded by a key, timed on the first 32 samples and scaled up.
*torch digital* is `w.addmm_(d.T, x)`, without a device.

Networks: cross-entropy, sub-tiles of at most 512 x 512, learned output scale, soft bounds, both papers' converters,
{fcn.ITERATIONS} iterations a repetition; the weights go on from one repetition to the next. TTv2 and AGAD have the
defaults of their classes, in aihwkit those of `build_config` without automatic scale. All send the gradient with
the same fast_lr, {fcn.FAST_LR:g}, and transfer once a mini-batch.

Peak memory: largest resident memory while a case is built and run, less that before, when the same case had run
once with two samples (Linux: VmHWM, reset for each case). It holds the tile, the inputs and all working memory;
code and libraries are not in it: resident after import and a first small update, {resident} MiB."""
