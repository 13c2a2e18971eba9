"""The result of a diagnosis: findings, each with its numbers, its reason and a remedy; printed, a text."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

from mho.diagnostics.arrays import ArrayState

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
SHOWN = 4  # most places of one finding that are printed


class Finding(NamedTuple):
    """One thing that can make a training fail.

    Args:
        rule: its name, such as "clipped"; severity: "error", "warning" or "note".
        where: sub-tile and array, a layer, or "run".
        measured: the observation, in words with numbers; numbers: these by name.
        why: the reason that it matters; fix: the remedy to try.
    """

    rule: str
    severity: Severity
    where: str
    measured: str
    numbers: dict[str, float]
    why: str
    fix: str


class Diagnosis(Sequence[Finding]):
    """The findings of `mho.diagnose`, the worst first, and the measured state of each array.

    Args:
        findings: in any order; arrays: of the model, in its order.
    """

    def __init__(self, findings: Sequence[Finding], arrays: Sequence[ArrayState]) -> None:
        self.findings = sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.rule))
        self.arrays = list(arrays)

    def __getitem__(self, at: Any) -> Any:
        return self.findings[at]

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def rules(self) -> set[str]:
        """Names of the rules that found something."""
        return {finding.rule for finding in self.findings}

    def plot(self) -> Any:
        """Draw the cells of each array between their bounds; `mho.figures.style.save` writes the figure."""
        from mho.diagnostics.figure import histograms  # matplotlib takes a second to import

        return histograms(self.arrays)

    def __repr__(self) -> str:
        return "\n".join([*_table(self.arrays), "", *_text(self.findings)]).strip("\n")


def _text(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        yield "Nothing found."
    for (severity, rule), group in groupby(findings, key=lambda f: (f.severity, f.rule)):
        same = list(group)
        yield f"{severity.upper()} {rule}"
        for finding in same[:SHOWN]:
            yield from _wrapped(f"{finding.where}: {finding.measured}", "  ")
        if len(same) > SHOWN:
            yield f"  and {len(same) - SHOWN} more"
        yield from _wrapped(same[0].why, "    ", "    why: ")
        yield from _wrapped(same[0].fix, "    ", "    try: ")
        yield ""


def _wrapped(text: str, indent: str, first: str = "") -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=first or indent, subsequent_indent=indent + "  ")


def _table(arrays: Sequence[ArrayState]) -> Iterator[str]:
    """Yield a line for each array; none for a model without arrays."""
    if not arrays:
        return
    width = max(len(a.name) for a in arrays)
    yield (
        f"{'array':{width}}  pulses/cell  clipped  at bounds        w (mean, std)   in dw_min"
        "   symmetric point (mean, std)"
    )
    for a in arrays:
        sp = "" if a.sp_mean is None else f"{a.sp_mean:+.3f} {a.sp_std:.3f}"
        clipped = "" if not a.lines else f"{a.clipped / a.lines:.2%}"
        yield (
            f"{a.name:{width}}  {(a.up + a.down) / a.cells:11.3g}  {clipped:>7}  {a.low + a.high:9.2%}"
            f"      {a.mean:+.3f} {a.std:.3f}   {a.std / a.dw_min:9.3g}   {sp}"
        ).rstrip()
