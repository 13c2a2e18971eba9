"""Checkpoints: what is in them, in which formats they come back, and what is said when one does not fit."""

import copy
import io
import warnings

import pytest
import torch
from torch import nn

import mho
import mho.testing
from mho import presets
from mho.algorithms import AnalogSGD, MixedPrecision, ResidualLearning, TwoStage
from mho.nn import AnalogLinear
from mho.nn.core.birth import ConversionWarning
from mho.nn.core.checkpoint import NAME

NOISY = mho.Device(mho.responses.SoftBounds(), sigma_c2c=0.1)
RESIDUAL = mho.Crossbar(algorithm=ResidualLearning(fast_lr=0.1), device=NOISY)
ALL = [kind() for kind in mho.testing.algorithms()]
MOMENTUM = {"momentum": 0.9}


def hardware_of(algorithm, device=NOISY, **options):
    return mho.Crossbar(algorithm=algorithm, device=device, **options)


def digital(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


def network(hardware, key=0):
    """A digital layer, then two analog ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        return mho.convert_(digital(), hardware, lambda module, name: name != "0", key=key)


def parts_of(hardware, key=0, **options):
    model = network(hardware, key)
    optimizer = mho.AnalogOptimizer(model, lr=0.1, **options)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)


def train(model, steps, optimizer=None, scheduler=None):
    """Losses of a few steps."""
    optimizer = optimizer or mho.AnalogOptimizer(model, lr=0.1)
    losses = []
    for step in steps:
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss = (model(x) - x[:, :3]).square().mean()
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.item())
    return losses


def trained(hardware, **options):
    parts = parts_of(hardware, **options)
    train(parts[0], range(3), *parts[1:])
    return parts


def through_torch(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def entries(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(model, other):
    for name, value in entries(model).items():
        assert torch.equal(value, other[name]), name


# Formats.


@pytest.mark.parametrize("algorithm", ALL, ids=lambda a: type(a).__name__)
def test_a_run_resumed_from_safetensors_continues_bit_for_bit(algorithm, tmp_path):
    """Model, optimizer and schedule; the model as a file and as a state_dict."""
    safetensors = pytest.importorskip("safetensors.torch")
    parts = trained(hardware_of(algorithm), **MOMENTUM)
    safetensors.save_model(parts[0], tmp_path / "model")
    safetensors.save_file(parts[0].state_dict(), tmp_path / "dict")
    others = through_torch([part.state_dict() for part in parts[1:]])
    expected = train(parts[0], range(3, 9), *parts[1:])
    for name in ("model", "dict"):
        again = parts_of(hardware_of(algorithm), **MOMENTUM)
        train(again[0], range(20, 22), *again[1:])
        if name == "model":
            safetensors.load_model(again[0], tmp_path / name)
        else:
            again[0].load_state_dict(safetensors.load_file(tmp_path / name))
        for part, saved in zip(again[1:], others, strict=True):
            part.load_state_dict(copy.deepcopy(saved))
        assert train(again[0], range(3, 9), *again[1:]) == expected
        assert_equal(parts[0], again[0].state_dict())


DEVICES = {
    "preset": presets.ReRamArrayHfO2,
    "pair": presets.PCMPair,
    "reference": mho.Reference(NOISY),
    "ageing": NOISY.replace(retention=mho.Retention(lifetime=100.0, diffusion=0.01)),
}


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_cells_of_all_kinds_continue_bit_for_bit(device, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    hardware = hardware_of(AnalogSGD(), device, count_cells=True)
    model, optimizer, _ = trained(hardware)
    safetensors.save_file(model.state_dict(), tmp_path / "file")
    expected = train(model, range(3, 8), optimizer)
    other, its_optimizer, _ = parts_of(hardware)
    other.load_state_dict(safetensors.load_file(tmp_path / "file"))
    its_optimizer.load_state_dict(optimizer.state_dict())
    assert train(other, range(3, 8), its_optimizer) == expected
    assert_equal(model, other.state_dict())


OPTIONS = [
    ("SGD", {"momentum": 0.9, "dampening": 0.3}),
    ("Adam", {}),
    ("Rprop", {}),
    ("Adafactor", {}),
    ("NAdam", {}),
]


@pytest.mark.parametrize(("optimizer", "options"), OPTIONS, ids=[name for name, _ in OPTIONS])
def test_the_optimizer_of_mixed_precision_is_torchs_before_and_after_a_resume(optimizer, options):
    """In float64, step by step; a checkpoint of before the first step holds zeros."""
    from mho.algorithms.parts.supplier import Supplier

    w = torch.zeros(3, 2)
    reference = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    torchs = getattr(torch.optim, optimizer)([reference], lr=0.1, **options)
    supplier = Supplier(optimizer, options, w)
    for step in range(6):
        saved = through_torch(supplier.state_dict())
        supplier = Supplier(optimizer, options, w)
        supplier.load_state_dict(saved)
        gradient = torch.randn(3, 2, generator=torch.Generator().manual_seed(step))
        start = w.double()
        reference.data, reference.grad = start.clone(), gradient.double()
        torchs.step()
        change = supplier.change(w, gradient, 0.1)
        assert torch.equal(change, (reference.detach() - start).float())
        assert change.any()
        w = w + change


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        (ResidualLearning(fast_lr=0.1), MOMENTUM),
        (AnalogSGD(), {"digital": torch.optim.Adam}),
        (MixedPrecision(optimizer="Adam"), {}),
    ],
    ids=["momentum", "adam", "mixed"],
)
def test_a_distributed_checkpoint_continues_bit_for_bit(algorithm, options, tmp_path):
    """Of one process; it loads into the tensors of a model that has not taken a step."""
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint import state_dict as dcp

    def state(model, optimizer):
        return dict(zip(("model", "optimizer"), dcp.get_state_dict(model, optimizer), strict=True))

    model, optimizer, _ = trained(hardware_of(algorithm), **options)
    other, its_optimizer, _ = parts_of(hardware_of(algorithm), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is one process
        checkpoint.save(state(model, optimizer), checkpoint_id=tmp_path / "c", no_dist=True)
        found = state(other, its_optimizer)
        checkpoint.load(found, checkpoint_id=tmp_path / "c", no_dist=True)
    dcp.set_model_state_dict(other, found["model"])
    lenient = dcp.StateDictOptions(strict=False)  # analog weights have no state in the optimizer
    dcp.set_optimizer_state_dict(other, its_optimizer, found["optimizer"], options=lenient)
    assert train(other, range(3, 9), its_optimizer) == train(model, range(3, 9), optimizer)
    assert_equal(model, other.state_dict())


# What is in them.


@pytest.mark.parametrize("algorithm", ALL, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("device", [NOISY, presets.ReRamArrayHfO2, presets.PCMPair], ids=["a", "b", "c"])
def test_a_state_dict_holds_contiguous_tensors_that_share_no_memory(algorithm, device):
    if device is presets.PCMPair and isinstance(algorithm, TwoStage):
        pytest.skip("zero-shifting needs pulses of both signs")
    state = AnalogLinear(5, 4, hardware=hardware_of(algorithm, device)).state_dict()
    ends = {}
    for name, value in state.items():
        assert type(value) is torch.Tensor, name
        assert value.is_contiguous(), name
        if value.numel():
            start = value.data_ptr()
            assert value.untyped_storage().nbytes() == value.nbytes, f"{name} is a part of something"
            assert start not in ends, f"{name} is {ends.get(start)}"
            ends[start] = name


BYTES = [
    (AnalogSGD(), NOISY, 4),
    (ResidualLearning(), NOISY, 8),
    (MixedPrecision(), NOISY, 8),
    (MixedPrecision(optimizer="Adam"), NOISY, 24),  # chi in float32, two moments in float64
    (AnalogSGD(), presets.PowerWu, 8),  # gain
    (AnalogSGD(), presets.EcRam, 28),  # two slopes, two bounds, two gains
    (AnalogSGD(), presets.ReRamES, 24),  # two bounds, two gains, write noise
    (AnalogSGD(), presets.ReRamArrayHfO2, 28),  # and a reference
    (AnalogSGD(), presets.PCMPair, 32),  # of each: bound, two gains
]


@pytest.mark.parametrize(("algorithm", "device", "expected"), BYTES)
def test_bytes_on_disk_are_those_of_cells_and_of_what_varies(algorithm, device, expected):
    sizes = []
    for n in (40, 80):
        file = io.BytesIO()
        layer = AnalogLinear(n, n, bias=False, hardware=hardware_of(algorithm, device))
        torch.save(layer.state_dict(), file)
        sizes.append(file.tell())
    per_cell = (sizes[1] - sizes[0]) / (80**2 - 40**2)
    assert per_cell == pytest.approx(expected, abs=0.2)
    assert sizes[0] - per_cell * 40**2 < 12_000, "what does not grow with the layer"


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_a_bound_that_is_a_field_has_no_plane_of_its_own(name):
    tile = mho.cells.new_tile(torch.zeros(3, 4), presets.PRESETS[name].device)
    for part in tile.parts if hasattr(tile, "parts") else [tile]:
        cells = part.parameters_of_cells
        planes = [plane for plane in part.planes]
        assert not any(torch.equal(a, b) for n, a in enumerate(planes) for b in planes[:n])
        if isinstance(cells.fields.get("tau_max"), torch.Tensor):
            assert cells.upper is cells.fields["tau_max"]
            assert (cells.upper != cells.upper[0, 0]).any()


def test_gradients_and_recorded_factors_are_no_part_of_a_checkpoint():
    """As in torch: save between a step and the next backward."""
    model, optimizer, _ = trained(RESIDUAL)
    model(torch.ones(2, 6)).sum().backward()
    other = network(RESIDUAL)
    other.load_state_dict(through_torch(model.state_dict()))
    assert [len(block.factors) for block in optimizer.blocks] == [1, 1]
    assert [block.factors for block in mho.AnalogOptimizer(other, lr=0.1).blocks] == [[], []]


# Checkpoints that do not fit.

SPREAD = mho.Device(mho.responses.SoftBounds(), sigma_c2c=0.1, spread={"gain": 0.3})
OTHERS = {
    "algorithm": (
        RESIDUAL.replace(algorithm=AnalogSGD()),
        "algorithm: AnalogSGD in the checkpoint, ResidualLearning",
    ),
    "gamma": (
        RESIDUAL.replace(algorithm=ResidualLearning(fast_lr=0.1, gamma=0.2)),
        "algorithm.gamma: 0.2 in the checkpoint, the default here",
    ),
    "spread": (
        RESIDUAL.replace(device=SPREAD),
        "device.spread: {'gain': 0.3} in the checkpoint, the default here ('2.matrix', '4.matrix')",
    ),
    "law": (
        RESIDUAL.replace(device=mho.Device(mho.responses.Power(), sigma_c2c=0.1)),
        "device.response: Power in the checkpoint, the default here",
    ),
    "roles": (
        RESIDUAL.replace(device={"W": NOISY, "P": NOISY}),
        "device: given for P, W in the checkpoint, Device here",
    ),
    "cell": (
        RESIDUAL.replace(device=mho.Reference(NOISY)),
        "device: Reference in the checkpoint, Device here",
    ),
    "mapping": (
        RESIDUAL.replace(mapping=mho.Mapping(max_in=3)),
        "mapping.max_in: 3 in the checkpoint, the default here",
    ),
    "counters": (RESIDUAL.replace(count_cells=True), "count_cells: True in the checkpoint, False here"),
}


@pytest.mark.parametrize(("saved", "words"), OTHERS.values(), ids=OTHERS)
def test_other_hardware_is_an_error_that_says_what_differs(saved, words):
    model = network(RESIDUAL)
    before, state = entries(model), network(saved, key=1).state_dict()
    state["0.bias"] = state["0.bias"] + 1
    with pytest.raises(mho.MhoError) as error:
        model.load_state_dict(state)
    assert words in str(error.value)
    assert str(error.value).startswith(
        "`load_state_dict`: the checkpoint is of other hardware than the model. "
    )
    assert_equal(model, before)


def test_another_shape_and_another_reference_are_errors():
    model, wider = network(RESIDUAL), digital()
    wider[4] = nn.Linear(4, 5)
    mho.convert_(wider, RESIDUAL, lambda module, name: name == "4")
    state = model.state_dict() | {k: v for k, v in wider.state_dict().items() if k.startswith("4")}
    with pytest.raises(
        mho.MhoError, match=r"shape: \(5, 4\) in the checkpoint, \(3, 4\) here \('4.matrix'\)\."
    ):
        model.load_state_dict(state)
    calibrated = network(RESIDUAL)
    tile = calibrated[4].matrix.blocks[0].state.P
    tile.subtract(torch.full(tile.shape, 0.1))
    state = calibrated.state_dict()
    with pytest.raises(
        mho.MhoError, match=r"reference \(Tile.subtract\): P in the checkpoint, none here \('4.matr"
    ):
        model.load_state_dict(state)
    model[4].matrix.blocks[0].state.P.subtract(torch.zeros(tile.shape))
    model.load_state_dict(state)
    assert_equal(calibrated, model.state_dict())


def test_a_layer_made_by_hand_is_checked_too_and_many_differences_are_cut_short():
    model = nn.Sequential(*(AnalogLinear(2, n + 1, hardware=RESIDUAL) for n in range(9)))
    other = nn.Sequential(
        *(AnalogLinear(2, n + 1, hardware=RESIDUAL.replace(device=SPREAD)) for n in range(9))
    )
    with pytest.raises(mho.MhoError, match=r"\('0.matrix'\)"):
        model.load_state_dict(other.state_dict())
    mho.nn.core.checkpoint.guard(model)
    with pytest.raises(mho.MhoError, match=r"\('0.matrix', '1.matrix', .*, '5.matrix', \.\.\.\)"):
        model.load_state_dict(other.state_dict())


def test_converters_and_pulses_may_differ():
    model = network(RESIDUAL)
    other = network(RESIDUAL.replace(io=None, pulses=mho.Expected()), key=1)
    model.load_state_dict(other.state_dict())
    assert_equal(other, model.state_dict())


def test_without_its_labels_a_checkpoint_is_loaded_if_it_fits():
    model = network(RESIDUAL)
    faster = network(RESIDUAL.replace(algorithm=ResidualLearning(fast_lr=1.0)), key=1)
    state = {name: value for name, value in faster.state_dict().items() if not name.endswith(NAME)}
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "2.matrix.analog_hardware", "4'):
        model.load_state_dict(state)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["2.matrix.analog_hardware", "4.matrix.analog_hardware"]
    assert unexpected == []
    assert torch.equal(model[4].weight, faster[4].weight)


def test_a_digital_checkpoint_for_an_analog_model_says_what_to_do():
    model, state = network(RESIDUAL), digital(1).state_dict()
    with pytest.raises(
        RuntimeError, match=r"the checkpoint has a digital layer here: load it first, then mho.conv"
    ):
        model.load_state_dict(state)
    plain = digital()
    plain.load_state_dict(state)
    converted = mho.convert_(plain, RESIDUAL)
    assert torch.equal(converted[4].weight, state["4.weight"])
    missing, _ = model.load_state_dict(state, strict=False)
    assert len(missing) > 2, "and with strict=False it is torch's affair"


def test_an_analog_checkpoint_for_a_digital_model_names_the_analog_hardware():
    """Torch's own error: a plain torch layer is not ours to change."""
    with pytest.raises(RuntimeError, match=r"Unexpected key.*analog_hardware"):
        digital().load_state_dict(network(RESIDUAL).state_dict())


def test_a_label_that_cannot_be_read_is_a_difference():
    model = network(RESIDUAL)
    state = model.state_dict()
    state["2.matrix." + NAME] = torch.tensor([1, 2, 255], dtype=torch.uint8)
    with pytest.raises(mho.MhoError, match=r"shape: .* in the checkpoint"):
        model.load_state_dict(state)


@pytest.mark.parametrize("tau", [0.05, 0.1, 0.9])
def test_means_of_state_dicts_can_be_loaded(tau):
    """As in the soft updates of reinforcement learning, and as sums divided by their number."""
    hardware = mho.Crossbar(algorithm=mho.algorithms.AnalogSGD(), io=None)
    one, other, third = (mho.nn.AnalogLinear(5, 4, hardware=hardware, key=n) for n in range(3))
    w = [part.read_weight() for part in (one, other, third)]
    a, b = one.state_dict(), other.state_dict()
    third.load_state_dict({k: b[k] * tau + a[k] * (1 - tau) for k in a})
    torch.testing.assert_close(third.read_weight(), tau * w[1] + (1 - tau) * w[0])
    total = {k: torch.div(a[k] + b[k] + b[k], 3) for k in a}
    third.load_state_dict(total)
    torch.testing.assert_close(third.read_weight(), (w[0] + 2 * w[1]) / 3)


def test_a_refused_load_leaves_a_single_layer_as_it_is():
    one, other = (
        mho.convert_(nn.Linear(5, 3), mho.Crossbar(mho.algorithms.AnalogSGD(), mho.Device(dw_min=step)))
        for step in (1e-3, 2e-3)
    )
    before = other.bias.detach().clone()
    with pytest.raises(mho.MhoError, match="other hardware"):
        other.load_state_dict(one.state_dict())
    assert torch.equal(other.bias, before)
