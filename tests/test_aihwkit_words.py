"""aihwkit's words: what they mean there, by formulas of its code, or a refusal that names field and remedy."""

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import mho
from mho import MhoError, aihwkit
from mho.base.config import from_dict, to_dict
from mho.base.records import field_rules
from mho.base.registry import registered
from mho.datasheet import measure

CLASSES = {
    name: function
    for name, function in vars(aihwkit).items()
    if inspect.isfunction(function) and inspect.signature(function).return_annotation is mho.Device
    and not name.startswith("_")
}  # fmt: skip
ALONE = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0, "dw_min_std": 0.0}
OWN = {
    "linear_step": {"gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0},
    "pow_step": {"pow_gamma_dtod": 0.0},
    "pow_step_reference": {"pow_gamma_dtod": 0.0},
}


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks" / "crosscheck"))
    import cases

    return cases


# One pulse by the formulas of aihwkit's C++ code, in plain Python; f has all fields, w is hidden.


def clip(w, f):
    return min(max(w, -abs(f["w_min"])), f["w_max"])


def gains(f):
    bias = f["up_down"]
    return abs(f["dw_min"] * (1 + min(bias, 0))), abs(f["dw_min"] * (1 - max(bias, 0)))


def one_pulse(theirs, f, w, up):
    scale = gains(f)[0 if up else 1]
    low, high = f["w_min"], f["w_max"]
    if theirs == "ConstantStep":
        q = 1.0
    elif theirs == "LinearStep":
        gamma, bound = (f["gamma_up"], high) if up else (f["gamma_down"], low)
        gamma = gamma if f["allow_increasing"] else abs(gamma)
        q = 1 - gamma / bound * w if bound else 1.0
    elif theirs.startswith("SoftBounds"):
        q = 1 - w / (high if up else low)
    elif theirs == "ExpStep":
        z = 2 * w / (high - low) * f["a"] + f["b"]
        q = 1 - (
            f["A_up"] * math.exp(f["gamma_up"] * z) if up else f["A_down"] * math.exp(-f["gamma_down"] * z)
        )
        q = max(q, 0)
    elif theirs.startswith("PowStep"):
        bias = f["pow_up_down"]
        gamma = abs((1 + (min(bias, 0) if up else -max(bias, 0))) * f["pow_gamma"])
        q = max((high - w if up else w - low) / (high - low), 0.0) ** gamma
    else:
        nodes = f["piecewise_up" if up else "piecewise_down"]
        q = float(np.interp(w, np.linspace(low, high, len(nodes)), nodes)) if len(nodes) > 1 else nodes[0]
    return clip(w + (scale if up else -scale) * q, f)


def whole(ours, fields):
    """All fields of a case with their defaults."""
    f = {"dw_min": 0.001, "up_down": 0.0}
    f |= {
        n: p.default for n, p in inspect.signature(CLASSES[ours]).parameters.items() if n != "common"
    } | fields
    if ours == "soft_bounds_pmax":
        width = (f["range_max"] - f["range_min"]) / (1 - math.exp(-f["p_max"] * f["alpha"]))
        f |= {"w_min": f["range_min"], "w_max": f["range_min"] + width, "dw_min": width * f["alpha"]}
        f["up_down"] = 1 + 2 * f["range_min"] / width
    return f


def test_every_class_is_drawn(cases):
    assert {name for _, name, _ in cases.RANGES} == CLASSES.keys()


@pytest.mark.parametrize("ours", CLASSES)
@pytest.mark.parametrize("seed", range(25))
def test_a_pulse_of_drawn_parameters(cases, ours, seed):
    """Negative and zero parameters, too: aihwkit's formulas decide."""
    case = cases.drawn(ours, seed)
    device = CLASSES[ours](**case.fields | ALONE | OWN.get(ours, {}))
    device = device.replace(reference_std=0.0, reference_mean=0.0, subtract_sp=False)
    f = whole(ours, case.fields)
    for share in (0.0, 0.2, 0.5, 0.9, 1.0):
        w = f["w_min"] + share * (f["w_max"] - f["w_min"])
        tile = mho.Tile(torch.full((1, 2), w), device)
        tile.pulse(torch.tensor([[1, -1]]))
        expected = [one_pulse(case.theirs, f, w, up) for up in (True, False)]
        assert tile.w[0].tolist() == pytest.approx(expected, abs=2e-6), (case, w)


def test_drawn_parameters_are_negative_and_zero(cases):
    """Every parameter that has a sign in aihwkit takes all three, and so do bounds that may be 0."""
    for _, ours, ranges in cases.RANGES:
        fields = [cases.drawn(ours, seed).fields for seed in range(60)]
        for name, values in ranges.items():
            if not all(isinstance(v, (int, float)) for v in values):
                continue
            seen = {float(np.sign(float(f[name]))) for f in fields if name in f}
            assert seen == {float(np.sign(float(v))) for v in values}, (ours, name)
        assert any(
            {*map(np.sign, map(float, values))} >= {-1.0, 0.0, 1.0}
            for name, values in ranges.items()
            if "wise" not in name
        ), ours
    assert len({case.name for case in cases.DRAWN}) == len(cases.DRAWN) >= 2 * len(CLASSES)


def test_a_negative_gamma_of_linear_step():
    """|gamma + dtod xi|, unless allow_increasing."""
    bounds = {"w_max": 1.0, "w_min": -1.0, "gamma_up": -0.17, "gamma_down": -0.3}
    shrinking, growing = (aihwkit.linear_step(**bounds, allow_increasing=grow) for grow in (False, True))
    assert shrinking.response.q_up(0.8) == pytest.approx(0.864)
    assert growing.response.q_up(0.8) == pytest.approx(1.136)
    assert shrinking.response.q_down(-0.8) == pytest.approx(0.76)
    cells = shrinking.draw((200, 200), key=1).fields
    assert (cells["slope_up"] >= 0).all() and (cells["slope_down"] >= 0).all()
    assert cells["slope_up"].mean().item() == pytest.approx(0.17, abs=1e-3)
    cells = (
        aihwkit.linear_step(**bounds | {"gamma_up": 0.0}, allow_increasing=True)
        .draw((200, 200), key=1)
        .fields
    )
    assert cells["slope_up"].min() < -0.1 and cells["slope_down"].mean().item() == pytest.approx(
        -0.3, abs=1e-3
    )


def test_pow_up_down_is_relative_to_the_exponent():
    law = aihwkit.pow_step(pow_gamma=1.5, pow_up_down=0.3).response
    assert (law.gamma_up, law.gamma_down) == pytest.approx((1.5, 1.05))
    law = aihwkit.pow_step(pow_gamma=-2.0, pow_up_down=-1.25).response
    assert (law.gamma_up, law.gamma_down) == pytest.approx((0.5, 2.0))


@pytest.mark.parametrize("ours", ["constant_step", "linear_step", "exp_step", "pow_step", "piecewise_step"])
def test_cells_that_are_only_raised(ours):
    """w_min=0, as for PCM."""
    device = CLASSES[ours](w_min=0, dw_min=0.01)
    tile = mho.Tile(torch.full((30, 20), 0.3), device, key=3)
    assert torch.isfinite(tile.cells).all()
    for n in (5, -400):
        tile.pulse(torch.full((30, 20), n))
    assert (tile.cells >= 0).all() and (tile.cells < 0.1).any()
    assert measure(device, cells=(3, 3)).lower == 0


REFUSED = [
    (lambda: mho.IO(inp_res=254), "IO(inp_res=254)", "part of the whole range", "inp_res=1/254"),
    (lambda: mho.IO(out_res=510.0), "IO(out_res=510.0)", "part of the whole range", "out_res=1/510"),
    (lambda: mho.IO(inp_res=-1), "IO(inp_res=-1)", "part of the whole range", "inp_res=0"),
    (lambda: mho.IO(out_bound=0), "IO(out_bound=0)", "None for no bound", "out_bound=None"),
    (lambda: mho.IO(inp_bound=-1.0), "IO(inp_bound=-1.0)", "None for no bound", "inp_bound=None"),
    (lambda: mho.IO(inp_bound=math.inf), "IO(inp_bound=inf)", "finite", "inp_bound=None"),
    (lambda: aihwkit.soft_bounds(w_min=0), "soft_bounds(w_min=0)", "1 - w/w_min", "linear_step(w_min=0"),
    (lambda: aihwkit.soft_bounds_reference(w_min=0), "(w_min=0)", "1 - w/w_min", "linear_step(w_min=0"),
    (lambda: aihwkit.linear_step(w_max=0), "linear_step(w_max=0)", "w_max must be positive", "mirror it"),
    (lambda: aihwkit.pow_step(w_min=0.6), "pow_step(w_min=0.6)", "contains 0", "w_min=-0.6"),
    (lambda: aihwkit.linear_step(gamma_up=-1.5), "gamma_up", "turn round", "1 at most"),
    (lambda: aihwkit.pow_step(pow_gamma=0), "pow_gamma=0", "steps of one size", "constant_step"),
    (lambda: aihwkit.soft_bounds_pmax(alpha=0), "alpha=0", "must be positive", ""),
    (lambda: aihwkit.soft_bounds_pmax(w_max=1.0), "w_max=1.0", "computes it from p_max", "leave it out"),
    (lambda: aihwkit.piecewise_step(piecewise_up=[1, -1]), "piecewise_up=[1, -1]", "zero or positive", ""),
    (lambda: aihwkit.constant_step(dw_min=0), "dw_min=0", "must be positive", ""),
    (lambda: aihwkit.constant_step(dw_min_std=-0.3), "dw_min_std=-0.3", "zero or positive", "dw_min_std=0.3"),
    (lambda: aihwkit.constant_step(0.6), "constant_step", "no name", "w_max=..."),
    (lambda: aihwkit.constant_step(dw_mn=0.1), "dw_mn=0.1", "no field", "did you mean 'dw_min'"),
    (lambda: aihwkit.constant_step(sigma_c2c=0.1), "sigma_c2c=0.1", "no field", "replace(sigma_c2c=...)"),
    (lambda: aihwkit.constant_step(w_max=math.nan), "w_max=nan", "finite", ""),
    (lambda: aihwkit.soft_bounds(w_max="1"), "w_max='1'", "number", ""),
    (lambda: aihwkit.soft_bounds(mult_noise=2), "mult_noise=2", "True or False", ""),
    (
        lambda: aihwkit.soft_bounds(corrupt_devices_prob=0.1, corrupt_devices_range=1000),
        "corrupt_devices_range=1000", "their own bounds", "corrupt_devices_range=0.6",
    ),
    (lambda: aihwkit.pow_step_reference(write_noise_std=1.0), "write_noise_std=1.0", "no write noise", ""),
]  # fmt: skip


@pytest.mark.parametrize(("call", "where", "rule", "fix"), REFUSED)
def test_what_means_something_else_is_refused(call, where, rule, fix):
    with pytest.raises(MhoError) as error:
        call()
    message = str(error.value)
    assert where in message and rule in message and fix in message, message


@pytest.mark.parametrize("ours", CLASSES)
@pytest.mark.parametrize("field", aihwkit.ELSEWHERE)
def test_other_fields_of_aihwkit_are_named(ours, field):
    with pytest.raises(MhoError) as error:
        CLASSES[ours](**{field: 1})
    meaning, instead = aihwkit.ELSEWHERE[field]
    message = f"`aihwkit.{ours}({field}=1)`: in aihwkit {field} is {meaning}. No function here takes it. Fix: {instead}."
    assert str(error.value) == message


# Numbers of other libraries.

SCALARS = [np.float32(0.5), np.float64(0.5), np.array(0.5), torch.tensor(0.5), np.float16(0.5)]


@pytest.mark.parametrize("half", SCALARS, ids=lambda v: type(v).__name__)
def test_scalars_are_python_numbers_in_every_record(half):
    records = 0
    for cls in registered().values():
        try:
            plain = cls()
        except TypeError:
            continue
        for name in field_rules(cls):
            value = getattr(plain, name)
            if type(value) is float and 0 < value < 1:
                with_scalar = cls(**{name: half}) if accepts(cls, name, 0.5) else None
                assert with_scalar is None or type(getattr(with_scalar, name)) is float, (cls, name)
            elif type(value) in (bool, int):
                number = np.array(value)[()]
                record = cls(**{name: number})
                assert type(getattr(record, name)) is type(value) and record == plain, (cls, name)
                assert from_dict(to_dict(record)) == record
                records += 1
    assert records > 20
    device = mho.Device(spread={"gain": half, "tau_max": mho.Absolute(half)}, dw_min=half)
    assert repr(device) == repr(mho.Device(spread={"gain": 0.5, "tau_max": mho.Absolute(0.5)}, dw_min=0.5))
    cell = mho.cells.Vector((mho.Device(),) * 2, gammas=(half, 1))
    assert type(cell.gammas[0]) is float
    assert type(aihwkit.constant_step(dw_min=half).dw_min) is float


def accepts(cls, name, value):
    try:
        cls(**{name: value})
    except MhoError:
        return False
    return True


@pytest.mark.parametrize("value", [np.array([0.5]), torch.ones(1, 1), np.complex64(1), np.bool_(True)])
def test_what_is_no_scalar_is_refused(value):
    for call in (lambda: mho.Device(dw_min=value), lambda: mho.IO(sigma_out=value)):
        with pytest.raises(MhoError, match="It must be a number"):
            call()
    with pytest.raises(MhoError, match="c2c is"):
        mho.Device(c2c=value)


# No bound.


def product(io, x):
    tile = mho.Tile(torch.eye(4) * 3, mho.Device(mho.responses.Constant(5.0, -5.0)), io=io, key=2)
    return tile.forward(x), tile.backward(x), tile.read(1)


def test_no_bound():
    x = 100 * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    bare = {"inp_res": 0.0, "out_res": 0.0, "sigma_out": 0.0, "noise_management": "none"}
    free = mho.IO(inp_bound=None, out_bound=None, sigma_out=0.0, noise_management="none")
    huge = mho.IO(inp_bound=1e30, out_bound=1e30, **bare)
    for found, expected in zip(product(free, x), product(huge, x), strict=True):
        assert torch.equal(found, expected) and found.abs().max() > 2
    half = mho.IO(inp_bound=None, out_bound=20.0, **bare | {"out_res": 1 / 8}, bound_management="none")
    assert product(half, x)[0].abs().max() == 20
    assert product(half.replace(out_bound=None, inp_bound=1.0), x)[0].abs().max() == 3
    assert free.retries == 0 and free.numbers[0][1] == free.numbers[1][1] == 0
    noisy = product(free.replace(sigma_out=0.1, sigma_inp=0.1), x)[0]
    assert torch.isfinite(noisy).all() and not torch.equal(noisy, 3 * x)


def test_no_bound_trains_round_trips_and_is_diagnosed():
    io = mho.IO(inp_bound=None, out_bound=None, bound_management="none")
    assert from_dict(to_dict(io)) == io
    layer = mho.nn.AnalogLinear(4, 3, hardware=mho.Crossbar(io=io))
    optimizer = mho.AnalogOptimizer(layer, lr=0.1)
    before = layer.weight.clone()
    layer(torch.ones(2, 4)).sum().backward()
    assert repr(mho.diagnose(layer))
    optimizer.step()
    assert not torch.equal(before, layer.weight)
