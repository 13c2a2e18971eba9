"""The report of a fit: as data, in sentences, and as the files of a folder."""

import math
import os
from pathlib import Path
from typing import Any

from mho.base.config import to_dict
from mho.base.files import make_folder, write_json
from mho.fit.measured import DOWN, UP, WORDS
from mho.fit.points import Crossing
from mho.fit.result import Fit

WIDE = 1.0  # half an interval of a symmetric point that is no answer: half the range
SHAPES = {
    "shrinks": "shrink along their way",
    "grows": "grow along their way",
    "constant": "are constant within their errors",
    "hump": "are not monotone: a hump",
    "shrinks, not smoothly": "shrink along their way, but not monotonically",
    "grows, not smoothly": "grow along their way, but not monotonically",
}


def as_dict(fit: Fit) -> dict[str, Any]:
    """Return the report as JSON data; None stands for what is unknown or infinite."""
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
        "fixed": dict(best.family.how.fixed),
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


def _point(fit: Fit, p: Crossing) -> dict[str, Any]:
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


def at_limit(fit: Fit) -> list[str]:
    """Return the names of the parameters at the limit of their domain: another law would suit better."""
    x = fit.best.solution.x
    low, high = fit.best.family.bounds()
    near = 1e-5 * (high - low)
    return [n for n, v, a, b, d in zip(fit.best.family.names, x, low, high, near, strict=True)
            if (v - a < d and n != "dw_min" and v - a < 1e-3 * abs(v)) or b - v < d]  # fmt: skip


def verdict(fit: Fit) -> str:
    """Say in a sentence which law was chosen, and why."""
    best = fit.best
    chance = f"chi2 = {best.chi2:.3g} of {best.freedom} degrees, p = {best.p:.2g}"
    if fit.law not in ("table", "piecewise"):
        if best.rejected:
            return f'{best.name} was asked for and does not fit ({chance}): take the data themselves, law="table".'
        return f"{best.name} fits ({chance})."
    if not best.rejected:
        return f"The data themselves, as asked for; {best.name} would fit too ({chance})."
    humps = [WORDS[s] for s, kind in zip((UP, DOWN), fit.shapes, strict=True) if kind == "hump"]
    why = f"; the {' and '.join(humps)} steps are a hump, which none of them has" if humps else ""
    return f"No law fits: the nearest, {best.name}, is rejected ({chance}){why}. The device is the data."


def points_in_words(fit: Fit) -> list[str]:
    """Return a sentence for each symmetric point of the data and of the law, or one that there is none."""
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


def write(result: Fit, folder: str | os.PathLike[str]) -> Path:
    """Write device.json, report.json, fit.png and fit.pdf into a folder, each whole, and return the folder."""
    from mho.figures.style import save  # matplotlib takes a second to import
    from mho.fit.figure import figure

    folder = make_folder(folder)
    for name, data in (("device", to_dict(result.device)), ("report", as_dict(result))):
        write_json(folder / f"{name}.json", data)
    save(figure(result), folder / "fit")
    return folder
