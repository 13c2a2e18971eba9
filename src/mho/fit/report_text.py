"""What a fit says: as data for report.json, and as tables on a terminal."""

import math
from typing import TYPE_CHECKING, Any

from mho.base.config import to_dict
from mho.fit.measured import DOWN, UP, WORDS
from mho.fit.points import Crossing

if TYPE_CHECKING:
    from rich.console import Console

    from mho.fit.fitting import Fit

WIDE = 1.0  # half an interval of a symmetric point that is no answer: half the range
SHAPES = {
    "shrinks": "shrink along their way",
    "grows": "grow along their way",
    "constant": "are constant within their errors",
    "hump": "are not monotone: a hump",
    "shrinks, not smoothly": "shrink along their way, but not monotonically",
    "grows, not smoothly": "grow along their way, but not monotonically",
}


def as_dict(fit: "Fit") -> dict[str, Any]:
    """The report as JSON data; null stands for what is unknown or infinite."""
    best, noise = fit.best, fit.best.noise
    kind = "ramps" if fit.measured.ramps else "tables of steps"
    values = dict(zip(best.family.names, best.solution.x.tolist(), strict=True))
    gain = fit.gain
    plain: dict[str, Any] = {
        "files": list(fit.measured.files),
        "data": kind,
        "ramps": {WORDS[s]: sum(r.sign == s for r in fit.measured.ramps) for s in (UP, DOWN)},
        "normalisation": {"w=-1": fit.span.low, "w=+1": fit.span.high},
        "law": fit.law,
        "verdict": verdict(fit),
        "device": to_dict(fit.device),
        "nearest_law": best.name,
        "parameters": {
            name: {"value": v, "interval": fit.intervals[name], "at_limit": name in at_limit(fit)}
            for name, v in values.items()
        },
        "fixed": dict(best.family.fixed),
        "noise": {
            "sigma_c2c": fit.device.sigma_c2c,
            "c2c": fit.device.c2c,
            "interval": noise.interval if fit.law == best.name else None,
            "evidence": noise.evidence,
            "read": noise.read if fit.measured.ramps else None,
            "read_interval": noise.read_interval,
            "moments": fit.moments._asdict() if fit.moments else None,
        },
        "device_to_device": gain._asdict() if gain else "not identifiable from one device",
        "shapes": {"up": fit.shapes[0], "down": fit.shapes[1]},
        "symmetric_points": {
            "nearest_law": [_point(fit, p) for p in fit.points],
            "data": [_point(fit, p) for p in fit.crossings],
        },
        "ranking": [
            {
                "law": c.name,
                "parameters": len(c.solution.x),
                "delta_bic": c.bic - fit.ranking[0].bic,
                "delta_aic": c.aic - min(o.aic for o in fit.ranking),
                "held_out": c.held_out,
                "chi2": c.chi2,
                "degrees": c.freedom,
                "p": c.p,
                "rejected": c.rejected,
            }
            for c in fit.ranking
        ],
        "notes": list(fit.notes),
    }
    return _finite(plain)


def _point(fit: "Fit", p: Crossing) -> dict[str, Any]:
    middle, half = (fit.span.low + fit.span.high) / 2, (fit.span.high - fit.span.low) / 2
    kind = "attracts" if p.attracts else "repels"
    return {
        "w": p.w, "value": middle + half * p.w, "kind": kind, "attracts": p.attracts,
        "interval": p.interval, "share": p.share, "determined": p.interval[1] - p.interval[0] < 2 * WIDE,
    }  # fmt: skip


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else value


def at_limit(fit: "Fit") -> list[str]:
    """Parameters that stand at the limit of their domain: the law wants to be another one."""
    x = fit.best.solution.x
    low, high = fit.best.family.bounds()
    near = 1e-5 * (high - low)
    return [n for n, v, a, b, d in zip(fit.best.family.names, x, low, high, near, strict=True)
            if (v - a < d and n != "dw_min" and v - a < 1e-3 * abs(v)) or b - v < d]  # fmt: skip


def verdict(fit: "Fit") -> str:
    """The choice of the law in a sentence."""
    best = fit.best
    chance = f"chi2 = {best.chi2:.3g} of {best.freedom} degrees, p = {best.p:.2g}"
    if fit.law not in ("table", "piecewise"):
        if best.rejected:
            return f"{best.name} was asked for and does not fit ({chance}): use --law table."
        return f"{best.name} fits ({chance})."
    if not best.rejected:
        return f"The data themselves, as asked for; {best.name} would fit too ({chance})."
    humps = [WORDS[s] for s, kind in zip((UP, DOWN), fit.shapes, strict=True) if kind == "hump"]
    why = f"; the {' and '.join(humps)} steps are a hump, which none of them has" if humps else ""
    return f"No law fits: the nearest, {best.name}, is rejected ({chance}){why}. The device is the data."


def points_in_words(fit: "Fit") -> list[str]:
    """A sentence for each symmetric point, of the data and of the law; one that says so if there is none."""
    lines = []
    of_law = f"{fit.best.name}" + ("" if fit.law == fit.best.name else ", the nearest law")
    for source, points in (("data", fit.crossings), (of_law, fit.points)):
        for p in points:
            low, high = p.interval
            what = "attracts" if p.attracts else "REPELS: alternating pulses run away from it, to a bound"
            value = _point(fit, p)["value"]
            if high - low < 2 * WIDE:
                lines.append(
                    f"{source}: w = {p.w:+.3f} [{low:+.3f}, {high:+.3f}] ({value:.4g} in the file), {what}"
                )
            else:
                lines.append(f"{source}: not determined by these data; nearest w = {p.w:+.3f}, {what}")
        if not points:
            why = (
                "up and down steps cross nowhere clearly"
                if source == "data"
                else "none in the measured range"
            )
            if source != "data" and fit.best.name == "constant":
                why = "every point is symmetric"
            lines.append(f"{source}: {why}")
    return lines


def show(console: "Console", fit: "Fit") -> None:
    """Prints the report."""
    from rich.text import Text

    from mho.base.tables import add_rows, table

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
