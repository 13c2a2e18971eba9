"""The result of a fit."""

from typing import NamedTuple

from mho.device.device import Device
from mho.fit.measured import Bins, Measured, Range
from mho.fit.noise import Moments
from mho.fit.points import Crossing
from mho.fit.ranking import Candidate
from mho.fit.spread import Gain


class Fit(NamedTuple):
    """A device fitted to data.

    Args:
        device: the result.
        law: its law: one of the ranking, "table" or "piecewise".
        best: the parametric law that is nearest to the data.
        ranking: all laws tried, best first by BIC.
        measured: the data, as weights.
        span: the measured values that w = -1 and w = +1 stand for.
        bins: mean up and mean down steps.
        moments: noises without a law; None for tables.
        points: symmetric points of the device; of `best` for a table law.
        crossings: symmetric points of the data, without a law.
        shapes: what the up and the down steps do along their way.
        intervals: {parameter of best: 95 % interval}.
        gain: spread of dw_min between ramps; None if not identifiable.
        notes: everything else that a reader must know, in sentences.
    """

    device: Device
    law: str
    best: Candidate
    ranking: tuple[Candidate, ...]
    measured: Measured
    span: Range
    bins: tuple[Bins, Bins]
    moments: Moments | None
    points: tuple[Crossing, ...]
    crossings: tuple[Crossing, ...]
    shapes: tuple[str, str]
    intervals: dict[str, tuple[float, float]]
    gain: Gain | None
    notes: tuple[str, ...]
