"""The roles that a training algorithm declares: its arrays, its digital state, and the fields that set the pace.

`Algorithm.roles` returns a `Roles`, and a layer keeps it on the algorithm's state. Advice, diagnosis and
calibration read this record and nothing else, so that an algorithm may call its arrays and fields anything.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

FIELDS = {
    "fast_lr": "learning rate of the array that gets the gradient [weight units / gradient]",
    "scale_fast_lr": "whether that rate is a factor on the optimizer's lr",
    "transfer_lr": "part of a read that the collecting array, or the buffer, is given",
    "scale_transfer_lr": "whether that part is a factor on the optimizer's lr",
    "growth": "factor of the transfer rate from one array of a chain to the next finer",
    "transfer": '"column", "row" or "all": the cells that one transfer reads',
    "transfer_every": "steps between two transfers",
    "gamma": "weight of the array that gets the gradient in what the network sees",
    "granularity": "weight change that a digital sum is charged for one pulse [weight units]",
    "auto_granularity": "threshold of the buffer in units of dw_min / sweep; 0 for `thres_scale`",
    "thres_scale": "threshold of the buffer in units of dw_min",
    "momentum": "part of the buffer that stays",
    "max_pulses": "most pulses of a cell in one transfer",
    "chop_prob": "flips of a chopper per read of its line",
    "eta": "weight of a read in the tracked reference",
    "tail_weightening": "weight of all reads between two flips in that reference",
    "n_pulses": "pulses of the calibration to each cell",
}
"""{role: meaning} of the hyper-parameters that advice and diagnosis know."""


class Roles(NamedTuple):
    """The parts an algorithm has, by the names that its `init` gives them. The defaults are those of Analog SGD.

    Args:
        gradient: array that the gradient's pulses go to; None if the gradient adds up digitally.
        weights: array that starts from the initial weights, and that transfers go to.
        chain: arrays of a geometric sum, from the coarsest to the finest; () for others.
        digital: the weights are kept in digital memory, and no pulse is sent.
        buffer: digital sum that must reach a threshold before `weights` gets a pulse; None without one.
        forgets: the buffer is a low-pass filter, so that small reads never reach the threshold.
        reference: digital estimate of the symmetric point of the array `gradient`, which it tracks.
        seen: copy of that estimate that the residual is taken against, if it is not `reference` itself.
        chopper: signs that modulate the gradient.
        calibrates: `init` measures the symmetric point of the array `gradient` and programs its reference.
        fields: {role: field} for hyper-parameters whose field is not named after their role, see `FIELDS`; None
            for a field that has the name of a role and another meaning.
    """

    gradient: str | None = "W"
    weights: str = "W"
    chain: tuple[str, ...] = ()
    digital: bool = False
    buffer: str | None = None
    forgets: bool = False
    reference: str | None = None
    seen: str | None = None
    chopper: str | None = None
    calibrates: bool = False
    fields: Mapping[str, str | None] = {}

    @property
    def copes(self) -> bool:
        """True if a symmetric point away from the weight zero is tracked or chopped."""
        return bool(self.reference or self.chopper)

    @property
    def has_residual(self) -> bool:
        """True if the gradient goes to an array that starts from zero."""
        return self.gradient not in (None, self.weights)

    def state(self) -> dict[str, str]:
        """Return {role: name} of the parts that must be in the state: arrays and digital memory."""
        roles = ("gradient", "weights", "buffer", "reference", "seen", "chopper")
        chain = {f"chain[{n}]": name for n, name in enumerate(self.chain)}
        return {role: name for role, name in self._asdict().items() if role in roles and name} | chain


def roles_of(module: Any) -> Roles | None:
    """Return the roles that a layer has put on the state of its algorithm; None for any other module."""
    found = vars(module).get("roles")
    return found if isinstance(found, Roles) else None
