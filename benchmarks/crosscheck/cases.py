"""What is compared: the devices, by aihwkit's own names and parameters, and the inputs. Needs NumPy only."""

import dataclasses
from typing import Any

import numpy as np

OUT, IN = 8, 12  # not square, so that a transposition shows
HORIZONS = (1, 10, 1000)
LINES = {"update_bl_management": False, "update_management": True}
PLAIN = {"update_bl_management": False, "update_management": False}


@dataclasses.dataclass(frozen=True)
class Case:
    """A device in both programs, and how updates reach it.

    theirs: class of aihwkit without "Device"; ours: function of mho.aihwkit; fields: keyword arguments of both.
    update: fields of aihwkit's UpdateParameters. k: pulses that the largest product of an update asks for.
    """

    name: str
    theirs: str
    ours: str
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    update: dict[str, Any] = dataclasses.field(default_factory=dict)
    k: float = 2.5


def coarse(**fields: Any) -> dict[str, Any]:
    """So coarse that 1000 updates cross the whole range, and noise that outweighs that of the trains: else whether
    it is additive or multiplicative would hardly show."""
    return {"dw_min": 0.01, "dw_min_std": 1.0} | fields


LINEAR = {"gamma_up": 0.4, "gamma_down": 0.6}
POWER = coarse(dw_min=0.02, pow_gamma=1.5)
REFERENCE = {"up_down": 0.2, "reference_std": 0.05, "reference_mean": 0.02, "subtract_symmetry_point": True}
NODES = {"piecewise_up": [1.5, 1.1, 1.0, 0.7, 0.2], "piecewise_down": [0.3, 0.6, 1.0, 1.2, 1.4]}
EVEN = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0}

# Of each class the values that its parameters are drawn from: negative ones and zeros where aihwkit gives them a
# meaning. Of ExpStep a down pulse at 0 has some size, which aihwkit divides the learning rate by. What mho.aihwkit
# refuses is in tests/test_aihwkit_words.py.
SIGNED = {"up_down": (-0.3, 0.0, 0.25)}
BOUNDS = {"w_max": (0.5, 0.9), "w_min": (-0.7, 0.0)}
OFFSETS = {"reference_mean": (-0.05, 0.0, 0.04)}
EXPONENTS = {"pow_gamma": (-1.5, 0.6, 2.0), "pow_up_down": (-0.4, 0.0, 0.3)}
RANGES: list[tuple[str, str, dict[str, tuple]]] = [
    ("ConstantStep", "constant_step", SIGNED | BOUNDS),
    ("LinearStep", "linear_step", SIGNED | BOUNDS | {
        "gamma_up": (-0.4, 0.0, 0.3), "gamma_down": (-0.2, 0.0, 0.5), "allow_increasing": (False, True),
        "mult_noise": (False, True),
    }),
    ("SoftBounds", "soft_bounds", SIGNED | BOUNDS | {"mult_noise": (False, True)}),
    ("SoftBoundsReference", "soft_bounds_reference", SIGNED | BOUNDS | OFFSETS | {
        "mult_noise": (False, True), "subtract_symmetry_point": (False, True),
    }),
    ("SoftBoundsPmax", "soft_bounds_pmax", {
        "p_max": (50, 100), "alpha": (0.01, 0.02), "range_min": (-0.8, 0.0), "range_max": (0.6, 1.0),
        "reset": (-0.1, 0.0, 0.1),
    }),
    ("ExpStep", "exp_step", SIGNED | BOUNDS | {
        "A_up": (-1.2, 0.0, 0.1), "A_down": (-0.8, 0.0, 0.3), "a": (-0.5, 0.0, 0.25), "b": (-0.2, 0.0, 0.2),
        "gamma_up": (-3.0, 0.0, 5.0), "gamma_down": (-2.0, 0.0, 3.0),
    }),
    ("PowStep", "pow_step", SIGNED | BOUNDS | EXPONENTS),
    ("PowStepReference", "pow_step_reference", SIGNED | BOUNDS | OFFSETS | EXPONENTS),
    ("PiecewiseStep", "piecewise_step", SIGNED | BOUNDS | {
        "piecewise_up": ([1.0], [1.4, 1.0, 0.0], [0.5, 1.5]), "piecewise_down": ([0.6], [0.0, 1.0, 1.2]),
    }),
]  # fmt: skip


def drawn(ours: str, seed: int) -> Case:
    """A case whose parameters are drawn from RANGES: a pure function of the class and the seed."""
    theirs, _, ranges = next(entry for entry in RANGES if entry[1] == ours)
    rng = np.random.default_rng([seed, *ours.encode()])
    fields = {name: values[rng.integers(len(values))] for name, values in ranges.items()}
    if theirs == "PiecewiseStep":  # aihwkit wants lists of one length; one node stands for any number of them
        nodes = max(len(fields["piecewise_up"]), len(fields["piecewise_down"]))
        for name in ("piecewise_up", "piecewise_down"):
            x = np.linspace(0, 1, len(fields[name])) if len(fields[name]) > 1 else np.zeros(1)
            fields[name] = np.interp(np.linspace(0, 1, nodes), x, fields[name]).tolist()
    if theirs != "SoftBoundsPmax":
        fields["dw_min"] = 0.01
    return Case(f"{theirs}, drawn {seed}", theirs, ours, fields)


DRAWN = [drawn(ours, seed) for _, ours, _ in RANGES for seed in range(3)]

UPDATES = [
    Case("ConstantStep", "ConstantStep", "constant_step", coarse(dw_min_std=0.3)),
    Case("ConstantStep, management of lines only", "ConstantStep", "constant_step", coarse(dw_min_std=0.3), LINES),
    Case("ConstantStep, no management", "ConstantStep", "constant_step", coarse(dw_min_std=0.3), PLAIN),
    Case("ConstantStep, k = 12 of 7 slots", "ConstantStep", "constant_step",
         coarse(dw_min=0.003, dw_min_std=0.3), {"desired_bl": 7}, 12.3),
    Case("LinearStep, multiplicative", "LinearStep", "linear_step", coarse(**LINEAR)),
    Case("LinearStep, additive", "LinearStep", "linear_step", coarse(**LINEAR, mult_noise=False)),
    Case("SoftBounds", "SoftBounds", "soft_bounds", coarse()),
    Case("SoftBounds, write noise", "SoftBounds", "soft_bounds", coarse(write_noise_std=2.0)),
    Case("SoftBoundsReference", "SoftBoundsReference", "soft_bounds_reference", coarse(**REFERENCE)),
    Case("SoftBoundsPmax", "SoftBoundsPmax", "soft_bounds_pmax", {"p_max": 100, "alpha": 0.02, "dw_min_std": 1.0}),
    Case("ExpStep", "ExpStep", "exp_step", coarse()),
    Case("ExpStep, noise of three parts", "ExpStep", "exp_step",
         coarse(**EVEN, dw_min_std=0.6, dw_min_std_add=0.005, dw_min_std_slope=0.02)),
    Case("PowStep", "PowStep", "pow_step", POWER),
    Case("PowStepReference", "PowStepReference", "pow_step_reference", POWER | REFERENCE),
    Case("PiecewiseStep", "PiecewiseStep", "piecewise_step", coarse(**NODES)),
    *DRAWN,
]  # fmt: skip

DRAWS = [
    Case("ConstantStep", "ConstantStep", "constant_step"),
    Case("ConstantStep, log-normal", "ConstantStep", "constant_step", {"dw_min_dtod_log_normal": True}),
    Case("ConstantStep, up_down = 0.3", "ConstantStep", "constant_step", {"up_down": 0.3, "up_down_dtod": 0.1}),
    Case("ConstantStep, up_down = -0.3", "ConstantStep", "constant_step", {"up_down": -0.3, "up_down_dtod": 0.1}),
    Case("ConstantStep, corrupt", "ConstantStep", "constant_step", {"corrupt_devices_prob": 0.1348}),
    Case("LinearStep", "LinearStep", "linear_step"),
    Case("LinearStep, sloped", "LinearStep", "linear_step", LINEAR),
    Case("SoftBounds", "SoftBounds", "soft_bounds"),
    Case("SoftBoundsReference", "SoftBoundsReference", "soft_bounds_reference"),
    Case("SoftBoundsReference, calibrated", "SoftBoundsReference", "soft_bounds_reference", REFERENCE),
    Case("SoftBoundsPmax", "SoftBoundsPmax", "soft_bounds_pmax"),
    Case("ExpStep", "ExpStep", "exp_step"),
    Case("PowStep", "PowStep", "pow_step"),
    Case("PowStep, pow_up_down = 0.3", "PowStep", "pow_step", {"pow_up_down": 0.3}),
    Case("PowStepReference", "PowStepReference", "pow_step_reference"),
    Case("PowStepReference, calibrated", "PowStepReference", "pow_step_reference", REFERENCE),
    Case("PiecewiseStep", "PiecewiseStep", "piecewise_step"),
    *DRAWN,
]  # fmt: skip

PRESETS = ("ReRamES", "ReRamSB", "ReRamArrayOM", "ReRamArrayHfO2", "Capacitor", "EcRam", "EcRamMO",
           "Idealized", "GokmenVlasov", "PCM")  # fmt: skip

# {(part, start of the case's name, start of the statistic): why the two programs differ there}
ONE_EXPONENT = (
    "aihwkit draws one exponent for both directions of a cell, `mho.aihwkit.pow_step` one for each, as its "
    "docstring says"
)
ESTIMATED = (
    f"{ONE_EXPONENT}; that moves symmetric points. And aihwkit estimates them by a number of pulses that does not "
    "do for slow cells, while here they are computed."
)
KNOWN = {
    ("draws", "PowStep", "gamma_up and gamma_down"): f"{ONE_EXPONENT}.",
    ("draws", "PowStepReference, calibrated", "gamma_up and reference"): ESTIMATED,
    ("draws", "PowStepReference, calibrated", "gamma_down and reference"): ESTIMATED,
    ("draws", "PowStepReference, calibrated", "max_bound and reference"): ESTIMATED,
    ("draws", "PowStepReference, calibrated", "reference, deviation"): ESTIMATED,
}


def known(part: str, case: str, statistic: str) -> str:
    """The reason why the two differ, if it is known; else nothing."""
    for (where, name, what), reason in KNOWN.items():
        if part == where and case.startswith(name) and statistic.startswith(what):
            return reason
    return ""


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (updates, in), d (updates, out), the signs (out, in) that updates have up to a common one, and positions.

    A line keeps its sign, the whole of d changes it from update to update: so pulses go both ways, and the
    covariance of two cells of one row or column keeps its sign. Positions (out, in) in [0, 1] are those of the
    starting weights between the bounds.
    """
    rng = np.random.default_rng(20)
    x_sign, d_sign = rng.choice([-1.0, 1.0], IN), rng.choice([-1.0, 1.0], OUT)
    common = rng.choice([-1.0, 1.0], max(HORIZONS))
    common[:10] = (1, 1, 1, -1, 1, 1, 1, -1, 1, 1)
    x = x_sign * rng.uniform(0.4, 1.0, (max(HORIZONS), IN))
    d = common[:, None] * d_sign * rng.uniform(0.4, 1.0, (max(HORIZONS), OUT))
    positions = rng.uniform(0.15, 0.85, (OUT, IN))
    return x.astype(np.float32), d.astype(np.float32), np.outer(d_sign, x_sign), positions
