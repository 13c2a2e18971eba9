"""The rules about one array: when a number is a finding.

The thresholds are ours. The package's default training stays well below each, see tests/test_diagnose.py.
"""

import math
from collections.abc import Callable, Iterator

from mho.diagnostics.context import Context
from mho.diagnostics.finding import Finding, Severity
from mho.diagnostics.words import WORDS

SATURATED = 0.05, 0.3  # of the cells: a warning, an error
CLIPPED = 0.02, 0.2  # of the bit lines
PULSE = 0.1, 0.01  # what the largest product of a sample asks for [pulses]
SPARSE = 1e-3  # pulses of a cell and update that are hardly a training, where no factors are known
ASKED = 100  # updates after which an array without pulses is dead
ZERO = 0.1, 0.4  # G/F at the weight zero of an array that holds a residual
FORGOTTEN = 3.0  # pulses of a cell, relative to those after which 1/e of a weight is left
ASYMMETRY = 0.5  # G/F at the weights of an array that gets the gradient and is alone
STATES = 5.0  # standard deviation of the weights [dw_min]
CUT, NOISE = 0.01, 1.0  # inputs or outputs that are clipped; noise relative to outputs
STUCK = 0.01  # of the cells

Rule = Callable[[Context], Iterator[Finding]]


def _found(
    rule: str, severity: Severity, where: str, measured: str, numbers: dict[str, float], hint: str = ""
) -> Finding:
    why, fix = WORDS[rule]
    return Finding(rule, severity, where, measured, numbers, why, f"{hint}{fix}")


def _grade(value: float, limits: tuple[float, float]) -> Severity | None:
    """How bad a value is that should be small."""
    return "error" if value > limits[1] else "warning" if value > limits[0] else None


def saturated(c: Context) -> Iterator[Finding]:
    """Cells at their bounds."""
    a = c.array
    if severity := _grade(a.low + a.high, SATURATED):
        how = "pulses took them there" if a.up + a.down else "they started there, or beyond"
        measured = (
            f"{a.low + a.high:.1%} of the cells are at a bound ({a.low:.1%} at {a.lower:.3g}, {a.high:.1%} at "
            f"{a.upper:.3g}); {how}"
        )
        yield _found("saturated", severity, a.name, measured, {"low": a.low, "high": a.high})


def clipped(c: Context) -> Iterator[Finding]:
    """Bit lines whose probability would be above 1."""
    a = c.array
    share = a.clipped / a.lines if a.lines else 0.0
    if severity := _grade(share, CLIPPED):
        limit = c.advised().get(f"{c.rate_name}_limit") if c.is_fast and c.asked and c.asked.largest else None
        hint = f"{c.rate_name} below {limit:.2g} (for the present factors); " if limit else ""
        measured = f"{share:.1%} of the bit lines were clipped at p = 1"
        yield _found("clipped", severity, a.name, measured, {"clipped": share, "lines": a.lines}, hint)


def below_granularity(c: Context) -> Iterator[Finding]:
    """Updates that ask for a small part of a pulse."""
    a, seen, rate = c.array, c.asked, c.rate
    if not c.is_fast or (seen is not None and not 0 < seen.largest < math.inf):
        return
    if seen is None or rate is None:
        each = (a.up + a.down) / (a.cells * max(a.updates, 1))
        if a.updates >= ASKED and 0 < each < SPARSE:
            measured = f"a cell got {each:.2g} pulses in each of {a.updates:,} updates"
            yield _found("below granularity", "warning", a.name, measured, {"pulses": each})
        return
    largest, mean = rate * seen.largest / a.dw_min, rate * seen.mean / a.dw_min
    weak, strong = PULSE
    if largest < weak:
        measured = (
            f"the largest product {c.rate_name} |x d| is worth {largest:.2g} pulses of dw_min = {a.dw_min:.3g}; a "
            f"cell is asked for {mean:.2g} in this step of {seen.samples:,} samples"
        )
        severity: Severity = "error" if largest < strong else "warning"
        hint = f"{c.rate_name} from {weak * a.dw_min / seen.largest:.2g} upwards (for the present factors); "
        yield _found(
            "below granularity", severity, a.name, measured, {"largest": largest, "mean": mean}, hint
        )


def errors(c: Context) -> Iterator[Finding]:
    """Recorded errors that are all 0, or not finite."""
    if not c.is_first or c.asked is None:
        return
    where, samples, d_max = c.array.layer or "model", c.asked.samples, c.asked.d_max
    if d_max == 0:
        measured = f"d, the error at its outputs, is 0 for all of {samples:,} samples"
        yield _found("no gradient", "error", where, measured, {"d_max": d_max})
    if d_max == math.inf:
        measured = f"d, the error at its outputs, holds NaN or infinity, in {samples:,} samples"
        yield _found("not finite", "error", where, measured, {"samples": float(samples)})


def dead(c: Context) -> Iterator[Finding]:
    """Arrays that get no pulses."""
    a = c.array
    if a.up + a.down or not c.trained or not c.block.weight.requires_grad:
        return
    if c.steps >= ASKED:
        known = {} if c.is_fast else c.advised()
        numbers: dict[str, float] = {name: known[name] for name in ("threshold", "adc_step") if name in known}
        limits = "".join(f"; {name} = {value:.3g} [weight units]" for name, value in numbers.items())
        measured = f"not one pulse in {c.steps:,} updates of its sub-tile{limits}"
        yield _found("dead", "error", a.name, measured, {"steps": float(c.steps)} | numbers)
    elif c.steps == 0 and c.is_fast:
        yield _found("untrained", "warning", a.name, "no update has reached it, while others got some", {})


def reference(c: Context) -> Iterator[Finding]:
    """An array for residuals whose zero is not where up and down pulses are equal."""
    a, algorithm = c.array, c.block.hardware.algorithm
    if not c.is_fast or not c.holds_residual or a.sp_mean is None or a.sp_std is None:
        return
    if severity := _grade(a.asymmetry_at_zero, ZERO):
        measured = (
            f"symmetric points lie at {a.sp_mean:+.3g} ± {round(a.sp_std, 6):.2g} of the weight zero, where up and "
            f"down pulses differ by {a.asymmetry_at_zero:.0%} of their mean"
        )
        copes = hasattr(algorithm, "chop_prob") or hasattr(algorithm, "eta")
        numbers = {"sp_mean": a.sp_mean, "sp_std": a.sp_std, "asymmetry_at_zero": a.asymmetry_at_zero}
        yield _found("reference", "note" if copes else severity, a.name, measured, numbers)


def asymmetric(c: Context) -> Iterator[Finding]:
    """Gradients that are pulsed onto the weights themselves, where up and down pulses differ."""
    a = c.array
    if c.is_fast and not c.holds_residual and a.asymmetry > ASYMMETRY:
        measured = f"at its weights up and down pulses differ by {a.asymmetry:.0%} of their mean (r.m.s.)"
        yield _found("asymmetric", "warning", a.name, measured, {"asymmetry": a.asymmetry})


def forgetting(c: Context) -> Iterator[Finding]:
    """Weights that got so many pulses to and fro that the symmetric point holds them."""
    a = c.array
    if not c.is_fast or c.holds_residual:
        return
    each, constant = (a.up + a.down) / a.cells, c.advised().get("T_sp", math.inf)
    if each > FORGOTTEN * constant:
        measured = (
            f"a cell got {each:.3g} pulses ({a.up / a.cells:.3g} up); after {constant:.3g} of random sign 1/e of a "
            "weight is left, the rest is at the symmetric point (T_sp of mho.diagnostics.advice)"
        )
        yield _found("forgetting", "warning", a.name, measured, {"pulses": each, "T_sp": constant})


def coarse(c: Context) -> Iterator[Finding]:
    """Weights that are only a few granules wide."""
    a = c.array
    if c.is_first and 0 < a.std < STATES * a.dw_min:
        measured = (
            f"the weights' standard deviation {a.std:.3g} is {a.std / a.dw_min:.2g} dw_min, in a range from "
            f"{a.lower:.3g} to {a.upper:.3g}"
        )
        yield _found("coarse", "warning", a.name, measured, {"states": a.std / a.dw_min})


def converters(c: Context) -> Iterator[Finding]:
    """Inputs and outputs that the forward converters cut or drown."""
    seen, where = c.asked, c.array.layer or "model"
    if seen is None or not c.is_first:
        return
    for name, bound in (("inputs", "inp_bound"), ("outputs", "out_bound")):
        share = getattr(seen, f"{name}_clipped")
        if share is not None and share > CUT:
            measured = f"{share:.1%} of the {name} are beyond {bound}"
            yield _found("converters", "warning", where, measured, {f"{name}_clipped": share})
    if seen.noise is not None and seen.noise > NOISE:
        measured = f"the output noise is {seen.noise:.2g} times the outputs (r.m.s., for the present inputs)"
        yield _found("noisy outputs", "warning", where, measured, {"noise": seen.noise})


def stuck(c: Context) -> Iterator[Finding]:
    """Cells that no pulse moves."""
    a = c.array
    if a.stuck > STUCK:
        yield _found("stuck", "note", a.name, f"{a.stuck:.1%} of the cells are stuck", {"stuck": a.stuck})


RULES: tuple[Rule, ...] = (
    saturated, clipped, below_granularity, errors, dead, reference, asymmetric, forgetting, coarse, converters,
    stuck,
)  # fmt: skip
