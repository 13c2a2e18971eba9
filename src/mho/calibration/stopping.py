"""The stopping rule of a calibration: the way that the cells have left, extrapolated from reads."""

import torch


class Motion:
    """The reads of an array at equal distances in time, and the way that is left.

    The steps D_1, D_2, ... between reads of cells that relax exponentially shrink by one factor rho, so that
    |D_k| rho/(1 - rho) is left. rho is fitted to all cells at once, with no step multiplied by itself, so that the
    randomness of the steps averages out:

        rho = <D_k, D_(k-2)> / <D_(k-1), D_(k-2)>      |D_k|^2 = rho <D_k, D_(k-1)>

    Cells that only fluctuate have <D_k, D_(k-1)> < 0, as a step up is followed by a step down: then nothing is
    left. So randomness hides a way that is shorter than about the fluctuation of one cell. Cells whose point
    attracts algebraically have rho near 1, and a long way left.

    Args:
        w: (out, in) the first read [weight units].
    Source: Aitken's extrapolation, fitted with the step before as an instrument; ours.
    """

    def __init__(self, w: torch.Tensor) -> None:
        self._w = w
        self._steps: list[torch.Tensor] = []
        self.reads = 1

    def see(self, w: torch.Tensor) -> float:
        """Take another read, (out, in), and return the root mean square of the way left [weight units].

        The result is infinite before the third step.
        """
        self._steps = [*self._steps[-2:], w - self._w]
        self._w, self.reads = w, self.reads + 1
        if not self._steps[-1].any():
            return 0.0
        if len(self._steps) < 3:
            return float("inf")
        first, second, third = self._steps
        product = float((third * second).mean())
        base = float((second * first).mean())
        if product <= 0:
            return 0.0
        rho = float((third * first).mean()) / base if base > 0 else 1.0
        if rho >= 1:
            return float("inf")
        rho = max(rho, 0.0)
        return (rho * product) ** 0.5 * rho / (1 - rho)
