"""aihwkit's words: what they mean there, by formulas of its code, or a refusal that names field and remedy."""

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import mho
from mho import MhoError, aihwkit
from mho.aihwkit.words import FOREIGN
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
        bound = high if up else low
        q = 1 - w / bound if bound else 1.0
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


@pytest.mark.parametrize("ours", sorted({*CLASSES} - {"soft_bounds_pmax"}))
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
    (lambda: mho.IO(out_bound=math.nan), "IO(out_bound=nan)", "finite", "out_bound=None for no bound."),
    (lambda: mho.IO(inp_bound=-1.0), "IO(inp_bound=-1.0)", "None for no bound", "inp_bound=None"),
    (lambda: mho.IO(inp_bound=math.inf), "IO(inp_bound=inf)", "finite", "inp_bound=None"),
    (lambda: mho.IO(out_noise=0.06), "IO(out_noise=0.06)", "no field 'out_noise'", "sigma_out; aihwkit"),
    (lambda: mho.IO().replace(is_perfect=True), "IO(is_perfect=True)", "no field", "perfect; aihwkit"),
    (lambda: mho.IO(out_rse=0.1), "IO(out_rse=0.1)", "no field 'out_rse'", "did you mean 'out_res'?"),
    (lambda: mho.Pulses(desired_bl=31), "Pulses(desired_bl=31)", "no field", "bl; aihwkit"),
    (lambda: mho.Mapping(max_input_size=0), "Mapping(max_input_size=0)", "no field", "max_in; aihwkit"),
    (lambda: mho.Mapping(max_in=0), "Mapping(max_in=0)", "or None", "max_in=None for tiles of any size"),
    (lambda: mho.algorithms.MixedPrecision(n_x_bins=8), "n_x_bins=8", "no field", "x_bins = n_x_bins // 2"),
    (lambda: mho.OneSided(refresh_upper_thres=1), "refresh_upper_thres=1", "no field", "upper; aihwkit"),
    (lambda: mho.Vector(devices=(), gamma_vec=()), "gamma_vec=()", "no field", "gammas; aihwkit"),
    (lambda: mho.responses.Constant(tau_max=math.inf), "tau_max=inf", "finite", "tau_max=1e+30 for no bound"),
    (lambda: aihwkit.linear_step(w_max=0), "linear_step(w_max=0)", "w_max must be positive", "mirror a cell"),
    (lambda: aihwkit.linear_step(w_max=-1), "linear_step(w_max=-1)", "must be positive", "w_max=1?"),
    (lambda: aihwkit.linear_step(w_min=-math.inf), "w_min=-inf", "finite", "w_min=-1e+30 for no bound"),
    (lambda: aihwkit.pow_step(w_min=0.6), "pow_step(w_min=0.6)", "as in aihwkit", "w_min=-0.6"),
    (lambda: aihwkit.linear_step(gamma_up=-1.5), "gamma_up=-1.5", "turn round", "from -1 to 1"),
    (
        lambda: aihwkit.linear_step(gamma_down=-0.9, w_max=2.0, allow_increasing=True),
        "gamma_down=-0.9", "turn round", "from -0.3 to 1",
    ),
    (lambda: aihwkit.linear_step(mean_bound_reference=False), "mean_bound", "own bounds", "soft_bounds"),
    (
        lambda: aihwkit.soft_bounds_reference(lifetime=10, reference_std=0.1),
        "lifetime=10", "each cell's reference", "mho.Retention(...)",
    ),
    (lambda: aihwkit.pow_step(pow_gamma=0), "pow_gamma=0", "steps of one size", "constant_step"),
    (lambda: aihwkit.soft_bounds_pmax(alpha=0), "alpha=0", "must be positive", ""),
    (lambda: aihwkit.soft_bounds_pmax(w_max=1.0), "w_max=1.0", "computed from p_max", "leave it out"),
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
    (
        lambda: aihwkit.pow_step_reference(write_noise_std=1.0),
        "write_noise_std=1.0", "no field of this class", "replace(write_noise=...)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "where", "rule", "fix"), REFUSED)
def test_what_means_something_else_is_refused(call, where, rule, fix):
    with pytest.raises(MhoError) as error:
        call()
    message = str(error.value)
    assert where in message and rule in message and fix in message, message


@pytest.mark.parametrize("ours", CLASSES)
@pytest.mark.parametrize("field", FOREIGN)
def test_other_fields_of_aihwkit_are_named(ours, field):
    """Unless they have aihwkit's default, which asks for nothing."""
    meaning, instead, idle = FOREIGN[field]
    value = (not idle) if isinstance(idle, bool) else 7
    with pytest.raises(MhoError) as error:
        CLASSES[ours](**{field: value})
    what = f"`aihwkit.{ours}({field}={value})`: in aihwkit {field} is {meaning}. No function here takes it."
    assert str(error.value) == f"{what} Fix: {instead}."
    assert CLASSES[ours](**{field: idle}) == CLASSES[ours]()


# The fields of aihwkit 1.2.0's dataclasses, simulator/configs/devices.py.
SHARED = """construction_seed corrupt_devices_prob corrupt_devices_range diffusion diffusion_dtod drift dw_min
    dw_min_dtod dw_min_dtod_log_normal dw_min_std enforce_consistency lifetime lifetime_dtod perfect_bias reset
    reset_dtod reset_std up_down up_down_dtod w_max w_max_dtod w_min w_min_dtod count_pulses"""
WRITING = "write_noise_std apply_write_noise_on_set"
REVERSE = f"mult_noise {WRITING} reverse_up reverse_down reverse_offset"
POWERS = "pow_gamma pow_gamma_dtod pow_up_down pow_up_down_dtod"
FIELDS = {
    "constant_step": "",
    "linear_step": f"""gamma_up gamma_down gamma_up_dtod gamma_down_dtod allow_increasing
        mean_bound_reference {REVERSE}""",
    "soft_bounds": REVERSE,
    "soft_bounds_pmax": f"{REVERSE} p_max alpha range_min range_max",
    "soft_bounds_reference": f"""mult_noise {WRITING} slope_up_dtod slope_down_dtod reference_mean reference_std
        subtract_symmetry_point""",
    "exp_step": f"A_up A_down gamma_up gamma_down a b dw_min_std_add dw_min_std_slope {WRITING}",
    "pow_step": f"{POWERS} {WRITING}",
    "pow_step_reference": f"{POWERS} subtract_symmetry_point n_estimation_steps reference_mean reference_std",
    "piecewise_step": f"piecewise_up piecewise_down {WRITING}",
}
VALUES = (-2, -1, -0.3, 0, 0.3, 1, 2, 1000, True, False, None, math.nan, math.inf, "x", [1], np.int64(1), {})


@pytest.mark.parametrize("ours", CLASSES)
def test_every_field_of_aihwkit_is_taken_or_refused_by_name(ours):
    """Never a TypeError, whatever the value; what is taken makes a device whose cells have steps."""
    assert FIELDS.keys() == CLASSES.keys()
    names = {*SHARED.split(), *FIELDS[ours].split()}
    taken = 0
    for name in names:
        for value in VALUES:
            try:
                device = CLASSES[ours](**{name: value})
            except MhoError as error:
                assert f"aihwkit.{ours}" in str(error) and name in str(error), error
                continue
            cells = device.draw((5, 5), key=1)
            assert torch.isfinite(torch.as_tensor(cells.up(0.0) + cells.down(0.0))).all(), (name, value)
            taken += 1
    assert taken > 100


@pytest.mark.parametrize("ours", CLASSES)
def test_a_misspelt_field_has_a_near_name(ours):
    fields = [n for n in inspect.signature(CLASSES[ours]).parameters if n != "common"]
    for name in ["reset_dtod", *fields]:
        with pytest.raises(MhoError, match=f"no field '{name}z'. Fix: did you mean '{name}'?"):
            CLASSES[ours](**{name + "z": 0.1})


def test_slopes_to_own_bounds_where_all_cells_have_the_same():
    same = {"w_max_dtod": 0, "w_min_dtod": 0, "gamma_up": 0.3}
    assert aihwkit.linear_step(mean_bound_reference=False, **same) == aihwkit.linear_step(**same)


def test_soft_bounds_of_cells_that_are_only_raised():
    """Own bounds upwards, one size downwards; a reference has no symmetric point in it, as in aihwkit's code."""
    for device in (aihwkit.soft_bounds(w_min=0), aihwkit.soft_bounds_pmax(range_min=0)):
        cells = device.draw((50, 50), key=1)
        assert cells.upper.std() > 0.05
        assert cells.law.q_up(cells.upper / 4).sub(0.75).abs().max() < 1e-6
        assert (cells.law.q_down(cells.upper / 4) == 1).all()
    device = aihwkit.soft_bounds_reference(w_min=0, subtract_symmetry_point=True, reference_mean=0.1)
    assert device.draw((5, 5), key=1).reference == 0.1
    assert aihwkit.pow_step_reference(w_min=0, subtract_symmetry_point=True).subtract_sp is False


def test_no_gain_is_negative():
    """Steps are absolute values, up_down or not."""
    for device in (
        aihwkit.constant_step(dw_min_dtod=0.9, up_down_dtod=0.0),
        mho.Device(spread={"gain": mho.Absolute(0.9)}),
    ):
        cells = device.draw((100, 100), key=1)
        assert cells.gain_up is cells.gain_down and cells.gain_up.min() > 0


def test_the_aim_of_a_decay_is_counted_from_the_reference():
    """aihwkit pulls the weight that is read to `reset`."""
    fields = {"lifetime": 2.0, "lifetime_dtod": 0.0, "reset": 0.1, "reference_mean": 0.05}
    tile = mho.Tile(torch.zeros(2, 3), aihwkit.soft_bounds_reference(**fields), key=1)
    mho.retention.age(tile, 40)
    assert tile.w.sub(0.1).abs().max() < 1e-5
    assert aihwkit.constant_step().retention is None
    assert aihwkit.constant_step(reset_std=0.2).retention.reset_noise == 0.2


@pytest.mark.parametrize("ours", CLASSES)
def test_drawn_cases_run_here(cases, ours):
    """The cross-check's own side: new cells, drawn parameters, and cells with aihwkit's hidden parameters."""
    from ours import device_of, draws, new_cells, same_cells

    theirs = dict.fromkeys(["gamma_up"] * ("pow" in ours) + ["reference"] * ("reference" in ours))
    for case in (case for case in cases.DRAWN if case.ours == ours):
        found = draws(device_of(case), 20, 3, theirs)
        assert all(np.isfinite(plane).all() for plane in found.values()), case
    hidden = {name: plane[: cases.OUT, : cases.IN] for name, plane in found.items()}
    start = np.clip(0.01, hidden["min_bound"], hidden["max_bound"]).astype(np.float32)
    for changes in (same_cells(case, hidden, start, {1: 2, 10: 2}), new_cells(case, 2, (1, 10))):
        assert np.isfinite(changes[10]).all() and changes[10].std() > 0, case


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


@pytest.mark.parametrize("kind", [np.array, torch.tensor, lambda v: np.array(v, np.float32)])
def test_nodes_from_arrays(kind):
    law = mho.responses.Piecewise(nodes_up=kind([1.0, 0.5]), nodes_down=[kind(1.0), 0.25])
    assert repr(law).startswith("Piecewise(nodes_up=(1.0, 0.5), nodes_down=(1.0, 0.25),")
    assert aihwkit.piecewise_step(piecewise_up=kind([1.0, 0.5])).response.nodes_up == (1.0, 0.5)


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


def test_tiles_of_any_size():
    sizes = mho.Mapping(max_in=None, max_out=None)
    layer = mho.nn.AnalogLinear(1030, 600, hardware=mho.Crossbar(mapping=sizes), key=1)
    [line] = mho.summary(layer)
    assert line.tiles == 1 and from_dict(to_dict(sizes)) == sizes
    assert mho.advise(mho.Crossbar(mapping=sizes), (600, 1030))


def test_weights_without_bounds():
    """aihwkit users write a large w_max; 1e30 is what errors propose for an infinite one."""
    device = aihwkit.constant_step(w_max=1e30, w_min=-1e30, dw_min=0.5, dw_min_std=0.0)
    tile = mho.Tile(torch.zeros(3, 4), device, key=1)
    tile.pulse(torch.full((3, 4), 1000))
    assert (tile.w > 10).all() and torch.isfinite(tile.w).all()


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
