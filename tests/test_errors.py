"""Messages are part of the interface: a table of calls and the exact words they fail with.

`where`: what is wrong, with the value. What is required. Fix: what to do.
"""

import math

import pytest
import torch
from torch import nn

import mho
from mho.algorithms import AnalogSGD, ResidualLearning
from mho.nn import AnalogLinear
from mho.nn.conversion.convert import ANALOG_OF
from mho.responses import Constant, Exponential, Power, SoftBounds

NAN, INF = math.nan, math.inf
X, D = torch.ones(2, 3), torch.ones(2, 5)


class Root(mho.Response):
    """Not a number between 0.5 and its upper bound."""

    def up(self, w):
        return torch.sqrt(0.5 - w)

    def down(self, w):
        return 1 + w

    def bounds(self):
        return -1.0, 1.0


def tile(io=None, **options):
    return mho.Tile(torch.zeros(5, 3), mho.Device(), io=io, **options)


def with_one(value, like, at):
    """A copy with one other entry."""
    changed = like.clone()
    changed[at] = value
    return changed


def runaway(pulses):
    broken = mho.Tile(torch.zeros(5, 3), mho.Device(Root(), dw_min=0.1), pulses=pulses)
    broken.program(with_one(0.495, torch.zeros(5, 3), (3, 1)))
    for _ in range(2):
        broken.update(with_one(1.0, 0 * X, (0, 1)), D, 0.1)


def layer(**options):
    return AnalogLinear(3, 5, hardware=mho.Crossbar(**options))


def stepped_with(lr):
    optimizer = mho.AnalogOptimizer(layer(), lr=0.1)
    optimizer.param_groups[0]["lr"] = lr
    optimizer.step()


def network():
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU())


LOOK = "Fix: look for a division by zero or an overflow before this layer, or lower the learning rate."
CONVERTIBLE = (
    f"Convertible are {', '.join(sorted(kind.__name__ for kind in ANALOG_OF))}. "
    "Fix: check filter_fn and the names of `hardware`."
)

TABLE = [
    # A tile and its arguments.
    (
        lambda: mho.Tile(torch.zeros(3), mho.Device()),
        "`Tile(w)`: w has shape (3,). w must be a matrix (out, in).",
    ),
    (
        lambda: mho.Tile(torch.full((2, 2), NAN), mho.Device()),
        "`Tile(w)`: w holds NaN or infinity. Weights must be finite.",
    ),
    (lambda: mho.Tile([[0.0]], mho.Device()), "`Tile(w)`: w is of type list. It must be a tensor."),
    (
        lambda: mho.Tile(torch.zeros(2, 2), SoftBounds()),
        "`Tile(device=...)`: the device is of type SoftBounds. It must be an mho.Device.",
    ),
    (
        lambda: tile(pulses=mho.Pulses),
        "`Tile(pulses=...)`: pulses is the class Pulses. It must be mho.Pulses, mho.Expected or mho.Exact. "
        "Fix: pass an instance, such as Pulses().",
    ),
    (
        lambda: tile().update(torch.ones(4), D[0], 0.1),
        "`Tile.update`: x has shape (4,) but this tile is (out=5, in=3). x must be (..., in) = (..., 3). "
        "Fix: pass the layer input, not its output.",
    ),
    (
        lambda: tile().update(X, torch.ones(2, 3), 0.1),
        "`Tile.update`: d has shape (2, 3) but this tile is (out=5, in=3). d must be (..., out) = (..., 5). "
        "Fix: pass the error at the layer's output.",
    ),
    (
        lambda: tile().update(X, torch.ones(3, 5), 0.1),
        "`Tile.update`: x has 2 samples and d has 3. They must agree.",
    ),
    (
        lambda: tile().forward(torch.ones(2, 5)),
        "`Tile.forward`: x has shape (2, 5) but this tile is (out=5, in=3). x must be (..., in) = (..., 3). "
        "Fix: pass the layer input, not its output.",
    ),
    (
        lambda: tile().forward(torch.tensor(1.0)),
        "`Tile.forward`: x has shape () but this tile is (out=5, in=3). x must be (..., in) = (..., 3). "
        "Fix: pass the layer input, not its output.",
    ),
    (
        lambda: tile().backward(torch.ones(3)),
        "`Tile.backward`: d has shape (3,) but this tile is (out=5, in=3). d must be (..., out) = (..., 5). "
        "Fix: pass the error at the layer's output.",
    ),
    (lambda: tile().read(3), "`Tile.read`: there is no column 3. This tile has 3, counted from 0."),
    (lambda: tile().read(row=-6), "`Tile.read`: there is no row -6. This tile has 5, counted from 0."),
    (lambda: tile().read(1, row=1), "`Tile.read`: both a column and a row are given. It reads one line."),
    (
        lambda: tile().program(torch.zeros(3, 5)),
        "`Tile.program`: w has shape (3, 5), finite: True. w must be finite and of shape (out, in) = (5, 3).",
    ),
    (
        lambda: tile().program(torch.full((5, 3), INF)),
        "`Tile.program`: w has shape (5, 3), finite: False. w must be finite and of shape (out, in) = (5, 3).",
    ),
    # Numbers that are none.
    (
        lambda: tile().update(with_one(NAN, X, (1, 2)), D, 0.1),
        "`Tile.update`: x holds NaN or infinity in sample 1. Both must be finite.",
    ),
    (
        lambda: tile().update(X, with_one(-INF, D, (0, 4)), 0.1),
        "`Tile.update`: d holds NaN or infinity in sample 0. Both must be finite.",
    ),
    (lambda: tile().update(X, D, NAN), "`Tile.update`: lr is nan. It must be finite."),
    (lambda: tile().update(X, D, -INF), "`Tile.update`: lr is -inf. It must be finite."),
    *(
        (
            lambda io=io: tile(io).forward(with_one(NAN, X, (1, 2))),
            f"`Tile.forward`: the input holds nan at sample 1, line 2. Inputs must be finite. {LOOK}",
        )
        for io in (None, mho.IO())
    ),
    (
        lambda: tile(mho.IO()).backward(with_one(INF, D, (1, 0))),
        f"`Tile.backward`: the input holds inf at sample 1, line 0. Inputs must be finite. {LOOK}",
    ),
    (
        lambda: layer()(with_one(NAN, X, (0, 1))),
        f"`forward pass`: the input holds nan at sample 0, line 1. Inputs must be finite. {LOOK}",
    ),
    *(
        (
            lambda pulses=pulses: runaway(pulses),
            "`Root.up/down`: the law drove cell (3, 1) to nan. A response must be finite everywhere between its "
            "bounds. Fix: check it with mho.testing.check_response.",
        )
        for pulses in (mho.Pulses(bl=1), mho.Expected())
    ),
    # Tensors that are somewhere else.
    (
        lambda: tile(mho.IO()).forward(torch.ones(2, 3, device="meta")),
        "`mho`: a tensor is on the device meta. Products, reads and updates need the CPU or a CUDA device, "
        "and all tensors of one the same.",
    ),
    (
        lambda: tile().update(X, torch.ones(2, 5, device="meta"), 0.1),
        "`mho`: a tensor is on the device meta. Products, reads and updates need the CPU or a CUDA device, "
        "and all tensors of one the same.",
    ),
    (
        lambda: layer()(torch.ones(2, 3, device="meta")),
        "`mho`: a tensor is on the device meta. Products, reads and updates need the CPU or a CUDA device, "
        "and all tensors of one the same.",
    ),
    # Learning rates.
    *(
        (
            lambda lr=lr: mho.AnalogOptimizer(layer(), lr=lr),
            f"`AnalogOptimizer(lr={lr!r})`: lr is {lr!r}. It must be finite and not negative.",
        )
        for lr in (NAN, INF, -0.1, "0.1")
    ),
    (lambda: stepped_with(NAN), "`AnalogOptimizer.step`: lr is nan. It must be finite and not negative."),
    (
        lambda: mho.AnalogOptimizer(nn.ReLU(), lr=0.1),
        "`AnalogOptimizer(model)`: the model has no parameter that requires a gradient.",
    ),
    # Laws and devices.
    (lambda: Power(tau=-0.6), "`Power(tau=-0.6)`: tau must be positive. Fix: did you mean tau=0.6?"),
    (
        lambda: Exponential(tau=-2.0),
        "`Exponential(tau=-2.0)`: tau must be positive. Fix: did you mean tau=2.0?",
    ),
    (
        lambda: Constant(tau_max=-1.0),
        "`Constant(tau_max=-1.0)`: tau_max must be positive. Fix: did you mean tau_max=1.0?",
    ),
    (
        lambda: SoftBounds(tau_min=0.5),
        "`SoftBounds(tau_min=0.5)`: tau_min must be negative. Fix: did you mean tau_min=-0.5?",
    ),
    (lambda: Power(tau=0.0), "`Power(tau=0.0)`: tau must be positive."),
    (lambda: Power(tau=NAN), "`Power(tau=nan)`: tau is nan. It must be finite."),
    (lambda: Power(gamma_res="2"), "`Power(gamma_res='2')`: gamma_res is a str. It must be a number."),
    (
        lambda: mho.Device(SoftBounds),
        "`Device(response=...)`: the response is the class SoftBounds. It must be an mho.Response. "
        "Fix: pass an instance, such as SoftBounds().",
    ),
    (lambda: mho.Device(dw_min=0.0), "`Device(dw_min=0.0)`: dw_min must be positive."),
    (lambda: mho.Device(c2c="add"), '`Device(c2c=\'add\')`: c2c is "additive", "multiplicative" or "law".'),
    (
        lambda: mho.Device(spread={"gian": 0.1}),
        "`Device(spread={'gian': ...})`: SoftBounds has no field 'gian'. "
        "Fix: did you mean 'gain'? known: gain, tau_max, tau_min.",
    ),
    (
        lambda: mho.Device(spread={"gain": -0.1}),
        "`Device(spread={'gain': -0.1})`: a spread is zero or positive.",
    ),
    (
        lambda: mho.Device(spread=0.1),
        "`Device(spread=...)`: spread is of type float. It must be a mapping, {field: standard deviation}.",
    ),
    # Converters and pulses.
    (
        lambda: tile({"foward": mho.IO()}),
        "`io={'foward': ...}`: there is no such direction. "
        "Fix: did you mean 'forward'? known: backward, forward, transfer.",
    ),
    (lambda: tile({"forward": 3}), "`io={'forward': ...}`: it is of type int. It must be an mho.IO."),
    (
        lambda: tile(mho.IO),
        "`io=...`: io is the class IO. It must be an mho.IO, a mapping by direction, or None. "
        "Fix: pass an instance, such as IO().",
    ),
    (
        lambda: mho.IO(noise_management="max"),
        '`IO(noise_management=\'max\')`: noise_management is "abs_max" or "none".',
    ),
    (lambda: mho.Pulses(bl=0), "`Pulses(bl=0)`: bl must be an integer of at least 1."),
    (lambda: mho.Pulses(bl=2000), "`Pulses(bl=2000)`: a train has at most 1024 slots."),
    (
        lambda: mho.Pulses(rounding="stochastic", aggregate=32),
        '`Pulses(aggregate=32, rounding="stochastic")`: only trains can be aggregated.',
    ),
    (lambda: mho.Pulses(rounding="up"), '`Pulses(rounding=\'up\')`: rounding is "trains" or "stochastic".'),
    # A crossbar, by type and by role.
    (
        lambda: mho.Crossbar(algorithm=AnalogSGD),
        "`Crossbar(algorithm=...)`: it is the class AnalogSGD. It must be an mho.Algorithm. "
        "Fix: pass an instance, such as AnalogSGD().",
    ),
    (
        lambda: mho.Crossbar(device=SoftBounds()),
        "`Crossbar(device=...)`: it is of type SoftBounds. It must be an mho.Device or a cell of mho.cells.",
    ),
    (
        lambda: mho.Crossbar(device={"W": mho.Device(), "P": None}),
        "`Crossbar(device=...)`: it is of type NoneType. It must be an mho.Device or a cell of mho.cells.",
    ),
    (
        lambda: mho.Crossbar(pulses=31),
        "`Crossbar(pulses=...)`: it is of type int. It must be an mho.Pulses or mho.Expected or mho.Exact.",
    ),
    (
        lambda: mho.Crossbar(io=3),
        "`io=...`: io is of type int. It must be an mho.IO, a mapping by direction, or None.",
    ),
    (
        lambda: mho.Crossbar(mapping={"max_in": 3}),
        "`Crossbar(mapping=...)`: it is of type dict. It must be an mho.Mapping.",
    ),
    (
        lambda: mho.Mapping(max_in=0),
        "`Mapping(max_in=0)`: max_in must be an integer of at least 1, or None. Fix: max_in=None for "
        "tiles of any size; aihwkit writes 0 for that.",
    ),
    (
        lambda: mho.Mapping(out_scale="row"),
        '`Mapping(out_scale=\'row\')`: out_scale is "scalar", "columnwise" or "none".',
    ),
    (
        lambda: layer(device={"P": mho.Device()}),
        "`Crossbar(device={...})`: nothing is given for 'W'. It names 'P'. "
        "Fix: add 'W', or pass one value for all roles.",
    ),
    (
        lambda: layer(pulses={"update": mho.Pulses()}),
        "`Crossbar(pulses={...})`: nothing is given for 'transfer'. It names 'update'. "
        "Fix: add 'transfer', or pass one value for all roles.",
    ),
    (
        lambda: ResidualLearning(mix="adc"),
        '`ResidualLearning(mix=\'adc\')`: mix is "shared_adc" or "separate".',
    ),
    (
        lambda: ResidualLearning(transfer_every=0),
        "`ResidualLearning(transfer_every=0)`: transfer_every must be an integer of at least 1.",
    ),
    # Layers and models.
    (
        lambda: layer()(torch.ones(2, 5)),
        "`AnalogLinear.forward`: x has shape (2, 5). Its last dimension must be in_features = 3.",
    ),
    (
        lambda: AnalogLinear(3, 5, hardware=mho.Device()),
        "`AnalogLinear(hardware=...)`: hardware is of type Device. It must be an mho.Crossbar.",
    ),
    (
        lambda: mho.convert_(network(), mho.Crossbar(), lambda module, name: False),
        f"`convert_(model)`: no module matched; the model has modules of types {{Linear, ReLU}}. {CONVERTIBLE}",
    ),
    (
        lambda: mho.convert_(network(), {"fc": mho.Crossbar()}),
        "`convert_(hardware={'fc': ...})`: no layer that can be converted has this name. Names are exact, or "
        "patterns such as 'layers.*.linear'; there are 1. Fix: did you mean '0'?",
    ),
    (
        lambda: mho.convert_(nn.ReLU(), mho.Crossbar()),
        f"`convert_(model)`: no module matched; the model has modules of types {{ReLU}}. {CONVERTIBLE}",
    ),
    *(
        (
            lambda n=n: mho.set_threads(n),
            f"`set_threads({n})`: the number of threads must be an integer of at least 1.",
        )
        for n in (0, -1, 1.5)
    ),
]


@pytest.mark.parametrize(("call", "message"), TABLE, ids=[message.split(":")[0] for _, message in TABLE])
def test_message(call, message):
    with pytest.raises(mho.MhoError) as failure:
        call()
    assert str(failure.value) == message


@pytest.mark.parametrize(
    "pulses", [mho.Pulses(), mho.Pulses(rounding="stochastic"), mho.Expected(), mho.Exact()]
)
@pytest.mark.parametrize(
    ("x", "d", "lr"),
    [
        (with_one(NAN, X, (1, 0)), D, 0.1),
        (X, with_one(NAN, D, (0, 0)), 0.1),
        (X, D, INF),
        (torch.ones(2, 4), D, 0.1),
        (X, D[:1], 0.1),
    ],
    ids=["x", "d", "lr", "shape", "samples"],
)
def test_a_rejected_update_changes_and_counts_nothing(pulses, x, d, lr):
    """In aihwkit 1.2.0 NaN is silently no update."""
    one = tile(pulses=pulses, count_cells=True)
    one.update(X, D, 0.01)
    before = {name: value.clone() for name, value in one.state_dict().items()}
    with pytest.raises(mho.MhoError):
        one.update(x, d, lr)
    for name, value in one.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_errors_are_value_errors():
    assert issubclass(mho.MhoError, ValueError)
