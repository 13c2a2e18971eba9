"""The rules about one array: the limit beyond which a number is a finding, and the text of that finding.

A rule is a function of a `Context`. It yields findings, each made by a `Cause`, which holds the reason and the
remedy. The thresholds are ours: the package's default training stays well below each, see tests/test_diagnose.py.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mho.diagnostics.context import Context
from mho.diagnostics.finding import Finding, Severity

SATURATED = 0.05, 0.3  # part of the cells: a warning, an error
CLIPPED = 0.02, 0.2  # part of the bit lines
PULSE = 0.1, 0.01  # pulses that the largest product of a sample asks for
SPARSE = 1e-3  # pulses of a cell in an update below which hardly anything is learned, if no factors are known
ASKED = 100  # updates after which an array without pulses is dead
ZERO = 0.1, 0.4  # G/F at the weight zero of an array that holds a residual
FORGOTTEN = 3.0  # pulses of a cell, relative to those after which 1/e of a weight is left
ASYMMETRY = 0.5  # G/F at the weights of an array that gets the gradient and is alone
STATES = 5.0  # standard deviation of the weights [dw_min]
CUT, NOISE = 0.01, 1.0  # inputs or outputs that are clipped; noise relative to outputs
STUCK = 0.01  # part of the cells


class Cause(NamedTuple):
    """A kind of finding: its name, why it matters, and what to try."""

    rule: str
    why: str
    fix: str

    def found(
        self, severity: Severity, where: str, measured: str, numbers: dict[str, float], hint: str = ""
    ) -> Finding:
        """Return the finding at one place; `hint` is put before the remedy."""
        return Finding(self.rule, severity, where, measured, numbers, self.why, f"{hint}{self.fix}")


def _grade(value: float, limits: tuple[float, float]) -> Severity | None:
    """Return the severity of a value that should be small; None below both limits."""
    return "error" if value > limits[1] else "warning" if value > limits[0] else None


AT_BOUNDS = Cause(
    "saturated",
    "A cell at a bound can only move back, and with soft bounds hardly that: the network cannot have the "
    "weights it asks for.",
    "smaller steps (lr, fast_lr); Mapping(omega=...), which starts the weights within the range; a device"
    " with wider bounds; for an array that is read and transferred (P): larger or more frequent transfers "
    "(transfer_lr, transfer_every).",
)


def saturated(c: Context) -> Iterator[Finding]:
    """Find cells at their bounds."""
    a = c.array
    if severity := _grade(a.low + a.high, SATURATED):
        how = "pulses took them there" if a.up + a.down else "they started there, or beyond"
        measured = (
            f"{a.low + a.high:.1%} of the cells are at a bound ({a.low:.1%} at {a.lower:.3g}, {a.high:.1%} at "
            f"{a.upper:.3g}); {how}"
        )
        yield AT_BOUNDS.found(severity, a.name, measured, {"low": a.low, "high": a.high})


CUT_LINES = Cause(
    "clipped",
    "The largest products ask for more pulses than a train has slots: the update is not the gradient, its"
    " large parts are cut.",
    "a smaller rate; a longer train, Pulses(bl=...); smaller factors (normalised inputs, mean instead of "
    "sum in the loss).",
)


def clipped(c: Context) -> Iterator[Finding]:
    """Find bit lines whose probability would be above 1."""
    a = c.array
    share = a.clipped / a.lines if a.lines else 0.0
    if severity := _grade(share, CLIPPED):
        limit = c.advised().get(f"{c.rate_name}_limit") if c.is_fast and c.asked and c.asked.largest else None
        hint = f"{c.rate_name} below {limit:.2g} (for the present factors); " if limit else ""
        measured = f"{share:.1%} of the bit lines were clipped at p = 1"
        yield CUT_LINES.found(severity, a.name, measured, {"clipped": share, "lines": a.lines}, hint)


TOO_SMALL = Cause(
    "below granularity",
    "A pulse is dw_min or nothing. Far below it the expected update is still right, but it comes as rare "
    "pulses, each many times too large: slow, and mostly noise. Late in a training that has converged "
    "this is usual.",
    "a larger rate; a device with smaller dw_min; an algorithm that collects digitally (MixedPrecision, "
    "TikiTakaV2).",
)


def below_granularity(c: Context) -> Iterator[Finding]:
    """Find updates that ask for a small part of a pulse."""
    a, seen, rate = c.array, c.asked, c.rate
    if not c.is_fast or (seen is not None and not 0 < seen.largest < math.inf):
        return
    if seen is None or rate is None:
        each = (a.up + a.down) / (a.cells * max(a.updates, 1))
        if a.updates >= ASKED and 0 < each < SPARSE:
            measured = f"a cell got {each:.2g} pulses in each of {a.updates:,} updates"
            yield TOO_SMALL.found("warning", a.name, measured, {"pulses": each})
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
        yield TOO_SMALL.found(severity, a.name, measured, {"largest": largest, "mean": mean}, hint)


NO_GRADIENT = Cause(
    "no gradient",
    "Without errors d the arrays get no pulses, whatever the learning rate.",
    "look behind this layer: saturated activations, dead ReLUs, a loss that is detached or exactly 0.",
)

NOT_FINITE = Cause(
    "not finite",
    "A step with such factors is refused.",
    "zero_grad and go on without this batch; lower the learning rate, also of the digital parameters.",
)


def errors(c: Context) -> Iterator[Finding]:
    """Find recorded errors that are all 0, or not finite."""
    if not c.holds_weights or c.asked is None:
        return
    where, samples, d_max = c.array.layer or "model", c.asked.samples, c.asked.d_max
    if d_max == 0:
        measured = f"d, the error at its outputs, is 0 for all of {samples:,} samples"
        yield NO_GRADIENT.found("error", where, measured, {"d_max": d_max})
    if d_max == math.inf:
        measured = f"d, the error at its outputs, holds NaN or infinity, in {samples:,} samples"
        yield NOT_FINITE.found("error", where, measured, {"samples": float(samples)})


DEAD = Cause(
    "dead",
    "It stays as it was programmed. An array that collects (W) gets pulses only for what a read's "
    "converter can tell from 0 (half of adc_step), and only once a threshold is reached.",
    "for an array that collects a larger transfer_lr, a smaller auto_granularity or thres_scale, a finer "
    "out_res of the transfer converters, more steps; for the others a larger rate.",
)

UNTRAINED = Cause(
    "untrained",
    "Other layers learn and this one does not.",
    "make the optimizer after convert_; check that the layer is part of the loss and not frozen on one "
    "side only.",
)


def dead(c: Context) -> Iterator[Finding]:
    """Find arrays that get no pulses."""
    a = c.array
    if a.up + a.down or not c.trained or not c.block.weight.requires_grad:
        return
    if c.steps >= ASKED:
        known = {} if c.is_fast else c.advised()
        numbers: dict[str, float] = {name: known[name] for name in ("threshold", "adc_step") if name in known}
        limits = "".join(f"; {name} = {value:.3g} [weight units]" for name, value in numbers.items())
        measured = f"not one pulse in {c.steps:,} updates of its sub-tile{limits}"
        yield DEAD.found("error", a.name, measured, {"steps": float(c.steps)} | numbers)
    elif c.steps == 0 and c.is_fast:
        yield UNTRAINED.found("warning", a.name, "no update has reached it, while others got some", {})


WRONG_REFERENCE = Cause(
    "reference",
    "Pulses of random sign pull this array (P in the papers) to its symmetric point. If that is not its "
    "weight zero, a read gives a residual that is none, and the array that collects (W) follows it. "
    "Algorithms that track or chop (ERIDER, AGAD) cope with it, within limits.",
    "calibrate: TwoStage, or mho.calibration.zero_shift and program_reference; or track: ERIDER, AGAD, "
    "ChoppedTikiTaka.",
)


def reference(c: Context) -> Iterator[Finding]:
    """Find arrays for residuals whose weight zero is not their symmetric point."""
    a = c.array
    if not c.is_fast or c.holds_weights or a.sp_mean is None or a.sp_std is None:
        return
    if severity := _grade(a.asymmetry_at_zero, ZERO):
        measured = (
            f"symmetric points lie at {a.sp_mean:+.3g} ± {round(a.sp_std, 6):.2g} of the weight zero, where up and "
            f"down pulses differ by {a.asymmetry_at_zero:.0%} of their mean"
        )
        numbers = {"sp_mean": a.sp_mean, "sp_std": a.sp_std, "asymmetry_at_zero": a.asymmetry_at_zero}
        yield WRONG_REFERENCE.found("note" if c.roles.copes else severity, a.name, measured, numbers)


LOPSIDED = Cause(
    "asymmetric",
    "Analog SGD minimises the loss plus a penalty that pulls weights to the symmetric points, the more so"
    " the noisier the gradient (arXiv 2502.06309, eq. (7)); here that pull is a large part of each pulse.",
    "ResidualLearning and its kin; or weights nearer to the symmetric points (wider bounds, smaller omega).",
)


def asymmetric(c: Context) -> Iterator[Finding]:
    """Find weights at which up and down pulses differ, in an array that holds weights and gets the gradient."""
    a = c.array
    if c.is_fast and c.holds_weights and a.asymmetry > ASYMMETRY:
        measured = f"at its weights up and down pulses differ by {a.asymmetry:.0%} of their mean (r.m.s.)"
        yield LOPSIDED.found("warning", a.name, measured, {"asymmetry": a.asymmetry})


FORGETTING = Cause(
    "forgetting",
    "Up and down pulses that cancel each other still pull a weight to its symmetric point. What a weight "
    "holds is only what the gradient has renewed lately: the bias of Analog SGD, stronger for noisier "
    "gradients.",
    "ResidualLearning and its kin; less noise (larger batches, lr decay); a device with more states.",
)


def forgetting(c: Context) -> Iterator[Finding]:
    """Find weights that so many pulses up and down have pulled to the symmetric point."""
    a = c.array
    if not c.is_fast or not c.holds_weights:
        return
    each, constant = (a.up + a.down) / a.cells, c.advised().get("T_sp", math.inf)
    if each > FORGOTTEN * constant:
        measured = (
            f"a cell got {each:.3g} pulses ({a.up / a.cells:.3g} up); after {constant:.3g} of random sign 1/e of a "
            "weight is left, the rest is at the symmetric point (T_sp of mho.diagnostics.advice)"
        )
        yield FORGETTING.found("warning", a.name, measured, {"pulses": each, "T_sp": constant})


COARSE = Cause(
    "coarse",
    "One pulse changes a weight by a large part of what weights are: the array tells few levels apart.",
    "Mapping(omega=...), which spreads the weights over the range of the device, behind a digital scale.",
)


def coarse(c: Context) -> Iterator[Finding]:
    """Find weights that are only a few steps of dw_min wide."""
    a = c.array
    if c.holds_weights and 0 < a.std < STATES * a.dw_min:
        measured = (
            f"the weights' standard deviation {a.std:.3g} is {a.std / a.dw_min:.2g} dw_min, in a range from "
            f"{a.lower:.3g} to {a.upper:.3g}"
        )
        yield COARSE.found("warning", a.name, measured, {"states": a.std / a.dw_min})


CUT_VALUES = Cause(
    "converters",
    "The product that the network sees is not that of its weights, and the gradient does not know.",
    'noise_management="abs_max" and bound_management="iterative"; or normalised inputs, smaller weights.',
)

DROWNED = Cause(
    "noisy outputs",
    "What the layer computes drowns in the noise of its converters.",
    "Mapping(omega=...), which makes the array's weights larger and scales behind the converters; "
    "normalised inputs.",
)


def converters(c: Context) -> Iterator[Finding]:
    """Find inputs and outputs that the forward converters clip, or that their noise exceeds."""
    seen, where = c.asked, c.array.layer or "model"
    if seen is None or not c.holds_weights:
        return
    for name, bound, share in (
        ("inputs", "inp_bound", seen.inputs_clipped),
        ("outputs", "out_bound", seen.outputs_clipped),
    ):
        if share is not None and share > CUT:
            measured = f"{share:.1%} of the {name} are beyond {bound}"
            yield CUT_VALUES.found("warning", where, measured, {f"{name}_clipped": share})
    if seen.noise is not None and seen.noise > NOISE:
        measured = f"the output noise is {seen.noise:.2g} times the outputs (r.m.s., for the present inputs)"
        yield DROWNED.found("warning", where, measured, {"noise": seen.noise})


STUCK_CELLS = Cause(
    "stuck",
    "No pulse moves them (Device(corrupt=...)); the rest of the network makes up for them. Other findings"
    " leave them out.",
    "nothing, if that is the device.",
)


def stuck(c: Context) -> Iterator[Finding]:
    """Find cells that no pulse moves."""
    a = c.array
    if a.stuck > STUCK:
        yield STUCK_CELLS.found("note", a.name, f"{a.stuck:.1%} of the cells are stuck", {"stuck": a.stuck})


RULES: tuple[Callable[[Context], Iterator[Finding]], ...] = (
    saturated, clipped, below_granularity, errors, dead, reference, asymmetric, forgetting, coarse, converters,
    stuck,
)  # fmt: skip
