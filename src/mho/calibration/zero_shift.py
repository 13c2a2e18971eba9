"""Zero-shifting: pulses up and down in equal numbers drive every cell to its symmetric point."""

from typing import NamedTuple

import torch

from mho.base.errors import MhoError, complaint, wrong_type
from mho.calibration import symmetric_points
from mho.calibration.offset import Offset
from mho.calibration.run import Schedule, ZeroShiftRun
from mho.calibration.stopping import Motion
from mho.calibration.symmetric_points import is_of_devices, symmetric_point
from mho.responses.base import DOUBLE
from mho.tile.array import Array, Pulsed


class ZeroShift(NamedTuple):
    """The result of `zero_shift`, and its cost. All weights are apparent ones [weight units], on the CPU.

    Args:
        estimate: (out, in) float64, the weights after the last pulse; float32, on the tile's device, for composed
            cells, which have no other state.
        pulses: number of pulses to every cell.
        error: (out, in) estimate less the cells' true symmetric points, which only a simulation knows; None if a
            cell has no symmetric point.
        average: (out, in) the mean of the weights behind each of the later pulses (`tail`).
        average_error: (out, in) average less the true points; None as above.
        wear: (2, out, in) int64, pulses up and down that each cell got here [pulses].
        reads: number of reads of the whole array: for the stopping rule, and for `estimate`. `average` takes one
            more read a pulse, which is not counted.
        settled: True if the stopping rule ended the run; False if the budget did, or there was no rule.
    """

    estimate: torch.Tensor
    pulses: int
    error: torch.Tensor | None
    average: torch.Tensor
    average_error: torch.Tensor | None
    wear: torch.Tensor
    reads: int
    settled: bool

    @property
    def offset(self) -> Offset:
        """The offset of a reference at `estimate`: mean and standard deviation of the error.

        Raises: MhoError if there is no true point to compare with.
        """
        if self.error is None:
            what = "the cells have no symmetric point, or are made of several devices"
            raise complaint("ZeroShift.offset", what, "There is nothing to compare the estimate with")
        return Offset.of(self.error)


def zero_shift(
    tile: Array,
    n_pulses: int = 4000,
    schedule: Schedule = "cyclic",
    *,
    stop: float | None = None,
    every: int | None = None,
    tail: float = 0.5,
    check: bool = True,
) -> ZeroShift:
    """Estimate symmetric points: send up and down pulses to all cells, then read where the weights settle.

    With each pulse, the distance to an attracting point with slope shrinks by about the factor exp(-dw_min
    G'(w_sp)). The cycle itself remains, in which a cell's point lies within the last pulse. With stochastic
    pulses the randomness of the latest pulses remains, and an average has less of it. The tile stays where it
    is: `program_reference(tile, result.estimate)` makes that its weight zero. The state is float64, see
    `mho.calibration.run`.

    Args:
        n_pulses: pulses to each cell, >= 1; with a stopping rule, the most pulses to each cell.
        schedule: "cyclic": up, down, up, ..., all cells at once; "stochastic": for each cell up or down with
            probability 1/2 each time.
        stop: end as soon as the root mean square of the way that is left is no more than this [weight units]. The
            way is extrapolated from reads of the array, see `mho.calibration.stopping`. None: the budget decides.
        every: pulses between two such reads, even, >= 2; by default a quarter of 1/dw_min, which is a quarter of
            a time constant where G' = 1.
        tail: part of the pulses that counts in `average`, the last ones, in (0, 1]; with a stopping rule, the
            pulses since the last read count.
        check: check first that the symmetric point of the nominal cell attracts.
    Raises: MhoError for arguments out of range, for a point that repels (unless check is False; a point that
        attracts algebraically gets a `CalibrationWarning`), and for a law that drove a weight to NaN.
    Source: cyclic, Kim et al. 2019, arXiv 1907.10228; stochastic, arXiv 2602.21321, Algorithm 1, eq. (7); the
        stopping rule is ours.
    """
    if not isinstance(tile, Pulsed):
        raise wrong_type("zero_shift(tile)", "the tile", tile, "an mho.Tile")
    if isinstance(n_pulses, bool) or not isinstance(n_pulses, int) or n_pulses < 1:
        raise complaint(f"zero_shift(n_pulses={n_pulses!r})", "n_pulses must be an integer of at least 1")
    if schedule not in ("cyclic", "stochastic"):
        raise complaint(f"zero_shift(schedule={schedule!r})", 'schedule is "cyclic" or "stochastic"')
    if not 0 < tail <= 1:
        raise complaint(f"zero_shift(tail={tail!r})", "tail must be in (0, 1]")
    if stop is not None and not 0 < stop < float("inf"):
        raise complaint(f"zero_shift(stop={stop!r})", "stop must be positive and finite [weight units]")
    if every is not None and (not isinstance(every, int) or every < 2 or every % 2):
        raise complaint(f"zero_shift(every={every!r})", "every must be an even integer of at least 2")
    if check and is_of_devices(tile):
        symmetric_points.check(tile.device)
    run, settled, reads = ZeroShiftRun(tile, schedule), False, 1
    if stop is None:
        last = max(1, round(tail * n_pulses))
        last += last % 2 and last < n_pulses  # both halves of a cycle count alike
        if last < n_pulses:
            run.send(n_pulses - last)
        run.send(last, average=True)
    else:
        settled, reads = _until(run, n_pulses, stop, every or max(2, 2 * round(0.125 / tile.granularity)))
    estimate, average = run.finish(), run.average
    truth = _truth(tile)
    errors = (None, None) if truth is None else (estimate.cpu() - truth, average - truth)
    return ZeroShift(estimate, run.pulses, errors[0], average, errors[1], run.wear, reads, settled)


def _until(run: ZeroShiftRun, budget: int, stop: float, every: int) -> tuple[bool, int]:
    """Send pulses until the cells have settled or the budget is used; return (settled, reads of the array)."""
    motion = Motion(run.w)
    while run.pulses < budget:
        run.forget()
        n = min(every, budget - run.pulses)
        run.send(n, average=True)
        left = motion.see(run.w)
        if n == every and left <= stop:  # a shorter step would look like rest
            return True, motion.reads
    return False, motion.reads


def _truth(tile: Array) -> torch.Tensor | None:
    try:
        return symmetric_point(tile, DOUBLE).cpu()
    except MhoError:
        return None
