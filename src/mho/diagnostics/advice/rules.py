"""The rules of `mho.advise`, as texts of `Rule`: a formula may use the numbers before it.

Hyper-parameters have the names of their roles, see `mho.base.roles.FIELDS`; P is the array that gets the gradient,
W the one that holds the weights.
"""

from collections.abc import Mapping
from typing import Any

from mho.algorithms.base import Algorithm
from mho.base.roles import Roles
from mho.device.device import Device
from mho.diagnostics.advice.formula import Rule, parse

KINDS = {
    "attracts": "Random pulses, up and down alike, bring a cell here.",
    "flat": "Random pulses bring a cell here, but G has no slope: ever more slowly, without a time constant.",
    "repels": "Random pulses drive a cell away from it, to a bound: it is no reference.",
    "everywhere": "Up and down pulses are equal at every w: no drift, no point to relax to; 0 is taken.",
    "nowhere": "None: one direction is stronger at every w, and random pulses drive a cell to a bound.",
}
_LINES = {"column": "in_size", "row": "out_size", "all": "1"}


def rules(device: Device, kind: str, algorithm: Algorithm | None, fixed: Mapping[str, Any]) -> list[Rule]:
    """Return the rules that concern an algorithm, or all of them for None.

    Args:
        device: of the array that gets the gradient; kind: a key of KINDS, the kind of its symmetric point.
        fixed: {role: value} of fields that were chosen already.
    """

    def setting(role: str, otherwise: Any) -> Any:
        return fixed.get(role, otherwise) if algorithm is None else algorithm.setting(role, otherwise)

    def has(role: str) -> bool:
        return algorithm is None or algorithm.field_of(role) is not None

    roles = Roles(buffer="H") if algorithm is None else algorithm.roles()
    fast = " * lr" if setting("scale_fast_lr", False) else ""
    slow = (" * lr" if setting("scale_transfer_lr", algorithm is None) else "") + (
        " * growth" if setting("growth", 0) else ""
    )
    automatic = setting("auto_granularity", 1000.0)
    words = {
        "kind": KINDS[kind],
        "slope": "0" if kind == "flat" else "(G(w_sp + h) - G(w_sp - h)) / (2 * h)",
        "c2c": "sigma_c2c**2" if device.c2c == "additive" else "(sigma_c2c * F(w_sp))**2",
        "lines": _LINES.get(setting("transfer", "column"), "in_size"),
        "fast": fast,
        "fast_unit": "" if fast else " [weight units / gradient]",
        "slow": slow,
        "auto_granularity": f"{automatic:g}",
    }
    parts = [DEVICE, TILE, *([DIGITAL] if has("granularity") else []), DIRECT]
    if has("fast_lr"):
        parts += [FAST]
        if roles.buffer:
            parts += [AUTO if automatic else THRESHOLD, FILTER if roles.forgets else BUFFER]
        if algorithm is None or not roles.buffer:
            parts += [TRANSFER]
        parts += [CALIBRATION, CHOPPER, ETA if has("chop_prob") else ETA_ALONE]
        parts += [GAMMA_OF_TILES if roles.chain else GAMMA]
    return parse("".join(parts).format(**words))


DEVICE = """
device
n_states = (upper - lower) / dw_min
    Range of a cell in steps of dw_min.
q_0 [dw_min] = F(0)
    Size of a pulse at w = 0, mean of up and down. Updates are counted in dw_min, so that the learning rate there
    is q_0 times what was asked for.
asymmetry_0 = G(0) / F(0)
    (down - up) / (down + up) at w = 0; 0 is symmetric.
w_sp [weight units] = root(G)
    Symmetric point of the hidden weight. {kind}
slope [per weight unit] = {slope}
    G'(w_sp): how fast the asymmetry grows away from it.
R_slope [per weight unit] = slope / F(w_sp)
    Curvature of the penalty E|grad f| R_slope (w - w_sp)^2 / 2 that Analog SGD adds to the loss.
T_sp [pulses] = 1 / (dw_min * max(slope, 0))
    A pulse of random sign moves w by -dw_min G(w) on average: after T_sp of them 1/e of the distance to w_sp is
    left.
wander [weight units] = sqrt(dw_min * (F(w_sp)**2 + {c2c}) / (2 * max(slope, 0)))
    Standard deviation of w about w_sp under such pulses: kicks of dw_min F(w_sp), cycle noise included, against
    the pull of the slope. A smaller residual in P drowns in it.
"""

TILE = """
tile
in_size [lines] = ceil(n_in / ceil(n_in / max_in))
    The layer is cut evenly into sub-tiles of at most Mapping.max_in; advice is for the largest.
out_size [lines] = ceil(n_out / ceil(n_out / max_out))
    Likewise with Mapping.max_out.
lines = {lines}
    Reads that it takes to go once round the array.
sigma_read [weight units] = sigma_out
    Noise of one number in a read, of the transfer converters.
n_reads [reads] ~ (sigma_read / (few * dw_min))**2
    Reads to average until their noise is as small as a residual of `few` pulses.
adc_step [weight units] = 2 * out_bound * out_res
    Step of the converter in a read. Without noise, what is below half of it reads 0; noise of about half a step
    lets averages see smaller numbers.
"""

DIGITAL = """
granularity
granularity [weight units] = dw_min_W * F_W(0)
    The change that a pulse makes at w = 0, which the digital sum should be charged for it.
steps_a_pulse [steps] = granularity / (lr * x_max * d_max)
    Steps until the largest product of a sample, if one of that sign comes in each step, is worth a pulse.
"""

DIRECT = """
lr
lr_limit [weight units / gradient] = bl * dw_min_W / (x_max * d_max)
    For a gradient that is pulsed straight onto W: above it the largest product asks for more pulses than the train
    has slots, and is clipped.
"""

FAST = """
fast_lr
fast_lr_limit{fast_unit} = bl * dw_min / (x_max * d_max{fast})
    The largest product of a sample then uses the whole train; above it, it is clipped.
fast_lr{fast_unit} ~ fast_lr_limit / 10
    A tenth of the limit: room for products above x_max d_max. It is the factor 0.1 that aihwkit's presets ttv3 and
    ttv4 give auto_scale, which works out the same limit.
pulses_per_step [pulses] ~ samples * fast_lr{fast} * activity * x_max * d_max / dw_min
    What a cell of P gets in a step on average, `activity` being the mean of |x d| / (x_max d_max).
T_steps [steps] ~ T_sp / pulses_per_step
    T_sp in steps: how long P remembers the gradient.
transfer_every
transfer_every_most [steps] ~ max(1, floor(T_steps / lines))
    A sweep over all lines should not take longer than P remembers. 1 is usual.
sweep [steps] = lines * transfer_every
    Steps between two reads of the same line.
"""

AUTO = """
auto_granularity
auto_granularity ~ {auto_granularity}
    The published value (1000: arXiv 2602.21321, tables 3 and 5; 100: the authors' ResidualLearningV2).
threshold [weight units] = dw_min * auto_granularity / (lines * transfer_every)
    The sum of reads, times the transfer rate, that is worth a pulse of W. It is smaller for a larger tile, whose
    lines wait longer for their turn.
"""

THRESHOLD = """
auto_granularity
threshold [weight units] = thres_scale * dw_min_W
    The sum of reads, times the transfer rate, that is worth a pulse of W; auto_granularity = 0 takes W's own.
"""

BUFFER = """
reads_to_pulse [reads] ~ threshold / (transfer_lr{slow} * few * dw_min)
    Reads of a line until a residual of `few` pulses in P gives W a pulse; rounded up with forget_buffer. If they
    are fewer than n_reads, W follows the noise.
steps_to_pulse [steps] ~ reads_to_pulse * lines * transfer_every
    The same in steps; with auto_granularity it does not depend on the size of the tile.
beta [per step] = transfer_lr{slow} * dw_min_W / (threshold * lines * transfer_every)
    W's change a step as a part of P: the transfer rate of the papers' theory.
max_pulses
max_pulses [pulses] ~ max(1, ceil(transfer_lr{slow} * few * dw_min / threshold))
    What a residual of `few` pulses is owed at one read; 1 is published.
"""

FILTER = """
P_fires [weight units] = threshold / (transfer_lr{slow})
    The filter forgets, so that a steady residual below this never gives W a pulse.
momentum
filter_noise [weight units] = sigma_read * sqrt((1 - momentum) / (1 + momentum))
    Read noise behind the filter, in units of P. Where it is above P_fires, noise makes pulses.
"""

TRANSFER = """
transfer_lr
transfer_lr ~ dw_min_W / (few * dw_min{slow})
    Without a buffer: a residual of `few` pulses in P asks for one pulse of W at each read. Less is not lost, but
    left to chance.
beta_direct [per step] = transfer_lr{slow} / (lines * transfer_every)
    W's change a step as a part of P: the transfer rate of the papers' theory.
noise_pulses [pulses] = transfer_lr{slow} * sigma_read / dw_min_W
    Standard deviation of the pulses that read noise alone asks for at a read. They pull W to its own symmetric
    point; at the advised transfer_lr the residual of `few` pulses asks for 1.
"""

CALIBRATION = """
n_pulses
n_pulses [pulses] ~ ceil(T_sp * log(n_states / 2))
    Zero-shifting from half the range away to within dw_min, the distance shrinking by e every T_sp pulses. With
    pulses of random sign `wander` is the best that can be reached.
"""

CHOPPER = """
chop_prob
chop_period [steps] ~ 6 * T_steps
    Mean time between flips: long enough for P to answer, short enough that it does not wander off. In a toy problem
    (soft bounds, dw_min 0.001) the best of six was 500 steps at three rates, which was 1.5, 6 and 24 T_steps.
chop_prob [per read] ~ min(max(lines * transfer_every / chop_period, 0.01), 0.5)
    Flips are counted in reads of a line. Kept between 0.01 and 0.5, at which regular flips come every other read;
    0.05 and 0.1 are published.
chop_steps [steps] = max(ceil(1 / chop_prob), 2) * lines * transfer_every
    Steps for which a line keeps its sign, with regular flips.
"""

ETA = """
tail_weightening
tail_weightening ~ 5
    The published value.
eta
eta [per read] ~ min(tail_weightening / max(ceil(1 / chop_prob), 2), 1)
    Weight of a read in the reference Q, which then remembers a fifth of a period.
Q_noise [weight units] = sigma_read * sqrt(eta / (2 - eta))
    Read noise that is left in Q, a low-pass filter. It is an offset of the residual for a whole period.
"""

ETA_ALONE = """
eta
eta [per read] ~ None
    No value is good: without a chopper, Q and P drifted off together in our toy problem, for all eta from 1e-5 to
    0.1. Take ERIDER, or an eta so small that Q hardly moves.
"""

GAMMA = """
gamma
gamma ~ 0.4 if n_states >= 100 else 0.1
    0.4: arXiv 2502.06309 at 1200 states, where 0.1 to 0.4 were alike. 0.1: arXiv 2602.21321, and better in a toy
    problem with 40 states; the border between them is a guess.
finest_step [weight units] = gamma * dw_min * F(0)
    The finest change of the weight that the network sees: one pulse of P at w = 0.
"""

GAMMA_OF_TILES = """
gamma
gamma ~ 1 / n_states
    The least: the range of a tile then covers one step of the coarser tile before it. The paper takes a little
    more.
"""
