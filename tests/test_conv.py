"""Analog convolutions: torch's shapes and gradients, patches a few at a time, updates, groups, bias columns."""

import pytest
import torch
from torch import nn

import mho
from chance import assert_mean
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning
from mho.nn import AnalogConv1d, AnalogConv2d, AnalogConv3d
from mho.testing import algorithms
from mho.tile import patches
from mho.tile.patches import Geometry, Patches

PLAIN = mho.Mapping(out_scale="none")
DIGITAL = mho.Crossbar(algorithm=DigitalSGD(), io=None, mapping=PLAIN)
EXPECTED = mho.Crossbar(
    algorithm=AnalogSGD(),
    device=mho.Device(mho.responses.Constant(tau_max=100.0, tau_min=-100.0)),
    io=None,
    pulses=mho.Expected(),
    mapping=PLAIN,
)
PULSED = mho.Crossbar(algorithm=ResidualLearning(fast_lr=0.1), device=mho.Device(sigma_c2c=0.3))
LAYERS = {
    1: (nn.Conv1d, AnalogConv1d, (17,)),
    2: (nn.Conv2d, AnalogConv2d, (9, 11)),
    3: (nn.Conv3d, AnalogConv3d, (6, 7, 5)),
}
OPTIONS = [
    {},
    {"stride": 2},
    {"padding": 2},
    {"dilation": 2, "padding": 1},
    {"groups": 2},
    {"groups": 4},
    {"bias": False},
    {"padding": "same"},
    {"padding": "same", "dilation": 2},
    {"padding": 1, "padding_mode": "reflect"},
    {"padding": 1, "padding_mode": "circular"},
    {"padding": 1, "padding_mode": "replicate", "stride": 2},
    {"stride": 3, "padding": 1, "dilation": 2, "groups": 2},
]


def pair(n, hardware=DIGITAL, kernel=3, channels=(4, 8), **options):
    """A torch layer and the analog one with its weights."""
    torch.manual_seed(0)
    digital, analog, _ = LAYERS[n]
    layer = digital(*channels, kernel, **options)
    return layer, analog.from_digital(layer, hardware, key=3)


def images(n, samples=3, channels=4, seed=0):
    return torch.randn(samples, channels, *LAYERS[n][2], generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[1 << 20, 200, 1], ids=["whole batch", "some images", "line by line"])
def pieces(request, monkeypatch):
    """How much of the images is unfolded at a time."""
    monkeypatch.setattr(patches, "MOST", request.param)


def gradient(layer):
    """dL/dW of all groups, as torch has it."""
    found = [block.weight.grad for part in layer.parts for block in part.matrix.blocks]
    return torch.cat(found).reshape(layer.weight.shape)


# Against torch.


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("n", LAYERS)
def test_outputs_and_gradients_are_those_of_torch(n, options, pieces):
    (digital, analog), x = pair(n, **options), images(n)
    found = []
    for layer in (digital, analog):
        z = x.clone().requires_grad_()
        y = layer(z)
        (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
        found.append((y, z.grad, layer.weight.grad if layer is digital else gradient(layer)))
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-5)
    if digital.bias is not None:
        biases = torch.cat([part.bias.grad for part in analog.parts])
        torch.testing.assert_close(biases, digital.bias.grad, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("bias", ["digital", "analog"])
@pytest.mark.parametrize("options", [{}, {"groups": 2, "stride": 2}, {"padding": "same"}], ids=str)
@pytest.mark.parametrize("n", LAYERS)
def test_twenty_steps_of_expected_updates_are_those_of_sgd(n, options, bias, pieces):
    digital, analog = pair(n, EXPECTED.replace(mapping=PLAIN.replace(bias=bias, max_in=40)), **options)
    optimizers = torch.optim.SGD(digital.parameters(), lr=0.05), mho.AnalogOptimizer(analog, lr=0.05)
    for layer, optimizer in zip((digital, analog), optimizers, strict=True):
        for step in range(20):
            optimizer.zero_grad()
            layer(images(n, samples=2, seed=step)).square().mean().backward()
            optimizer.step()
    back = analog.to_digital()
    for ours, theirs in zip(back.parameters(), digital.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    x = images(n)
    torch.testing.assert_close(analog(x), back(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", LAYERS)
def test_shapes(n):
    layer = pair(n, PULSED)[1]
    x = images(n)
    assert layer(x).shape == layer.digital(4, 8, 3)(x).shape
    one = layer.eval()(x[0])
    assert one.shape == layer(x).shape[1:]
    assert layer(x[:0]).shape == (0, *one.shape)
    z = x[:0].requires_grad_()
    layer(z).sum().backward()
    assert z.grad.shape == z.shape


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_outputs_and_gradients_keep_the_dtype_of_the_input(dtype):
    layer, x = pair(2, PULSED)[1], images(2).to(dtype).requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype


def test_memory_that_is_not_contiguous_makes_no_difference():
    layer, x = pair(2)[1], images(2)
    for other in (x.to(memory_format=torch.channels_last), x.mT.contiguous().mT, torch.cat([x, x], 1)[:, :4]):
        assert torch.equal(layer(other), layer(x))


# Patches.


GEOMETRY = Geometry((3, 2), (2, 1), (1, 2))


def test_rows_are_those_of_unfold(pieces):
    x = images(2)
    rows = torch.cat([GEOMETRY.rows(x, piece) for piece in GEOMETRY.pieces(x.shape)])
    expected = nn.functional.unfold(x, (3, 2), (1, 2), 0, (2, 1)).mT.reshape(rows.shape)
    assert torch.equal(rows, expected)
    assert [GEOMETRY.places(p, x.shape) for p in GEOMETRY.pieces(x.shape)] == [
        len(GEOMETRY.rows(x, piece)) for piece in GEOMETRY.pieces(x.shape)
    ]


def test_fold_adds_up_what_rows_took_apart(pieces):
    x = images(2)
    parts = [(piece, GEOMETRY.rows(x, piece)) for piece in GEOMETRY.pieces(x.shape)]
    unfolded = nn.functional.unfold(x, (3, 2), (1, 2), 0, (2, 1))
    expected = nn.functional.fold(unfolded, x.shape[2:], (3, 2), (1, 2), 0, (2, 1))
    torch.testing.assert_close(GEOMETRY.fold(x.shape, parts), expected)


def test_pieces_are_small_and_complete(monkeypatch):
    monkeypatch.setattr(patches, "MOST", 500)
    x = images(2, samples=7)
    sizes = [GEOMETRY.rows(x, piece).numel() for piece in GEOMETRY.pieces(x.shape)]
    assert max(sizes) <= 500
    assert sum(sizes) == 7 * 4 * 9 * 24


def dense(layer):
    """The same layer, but it records whole matrices of patches."""
    for part in layer.parts:
        for block in part.matrix.blocks:
            record = block.record
            block.record = lambda x, d, event, record=record: record(torch.cat(list(x.pieces())), d, event)
    return layer


@pytest.mark.parametrize("algorithm", algorithms(), ids=lambda a: a.__name__)
def test_every_algorithm_learns_from_patches_what_it_learns_from_their_matrix(algorithm):
    hardware = PULSED.replace(algorithm=algorithm(), mapping=mho.Mapping(max_in=20))
    found = []
    for change in (lambda layer: layer, dense):
        layer = change(pair(2, hardware)[1])
        optimizer = mho.AnalogOptimizer(layer, lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            layer(images(2, seed=step)).square().sum().backward()
            optimizer.step()
        found.append(layer.state_dict())
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


def test_micro_batches_stay_patches():
    layer = pair(2, PULSED.replace(mapping=mho.Mapping(max_in=20)))[1]
    for seed in range(2):
        layer(images(2, seed=seed)).sum().backward()
    block = layer.parts[0].matrix.blocks[1]
    joined = block.learning.take()
    assert isinstance(joined.x, Patches)
    assert joined.x.shape == (2 * 3 * 63, 18)
    rows = torch.cat([nn.functional.unfold(images(2, seed=seed), 3).mT.reshape(-1, 36) for seed in range(2)])
    assert torch.equal(torch.cat(list(joined.x.pieces())), rows[:, 18:])
    signs = torch.linspace(-1, 1, 18).sign()
    assert torch.equal(torch.cat(list((joined.x * signs * signs * signs).pieces())), rows[:, 18:] * signs)
    torch.testing.assert_close(joined.outer(), joined.d.mT @ rows[:, 18:])


def changes(units, keys):
    """What one update does to P from key to key (keys, out, in), and what it is asked to do (out, in)."""
    algorithm = mho.algorithms.AGAD(units=units, fast_lr=0.0005)
    device = mho.Device(mho.responses.Constant(tau_max=100.0, tau_min=-100.0), dw_min=1e-4)
    hardware = PULSED.replace(algorithm=algorithm, device=device, io=None, pulses=mho.Pulses(bl=100))
    found = []
    for key in range(keys):
        layer = AnalogConv2d.from_digital(pair(2)[0], hardware, key)
        layer(images(2)).square().sum().backward()
        asked = -0.0005 * gradient(layer).reshape(8, 36)
        mho.AnalogOptimizer(layer, lr=0.1).step()
        found.append(layer.parts[0].matrix.blocks[0].state.P.w.clone())
    return torch.stack(found), asked


def test_pulses_of_pieces_move_the_weights_as_those_of_all_patches_do(monkeypatch):
    """Pieces have noise of their own, so the bits differ, unless each sample is an update anyway."""
    whole, of_samples = changes("mini-batch", 1)[0], changes("sample", 1)[0]
    monkeypatch.setattr(patches, "MOST", 2000)
    found, asked = changes("mini-batch", 40)
    assert_mean(found, asked, "change by an update in pieces")
    assert not torch.equal(found[:1], whole)
    assert torch.equal(changes("sample", 1)[0], of_samples)


# Errors.


@pytest.mark.parametrize(
    ("n", "shape", "message"),
    [
        (
            2,
            (3, 5, 9, 9),
            "`AnalogConv2d.forward`: x has shape (3, 5, 9, 9). It must be (samples, 4, height, width)",
        ),
        (1, (9,), "`AnalogConv1d.forward`: x has shape (9,). It must be (samples, 4, width) or the same"),
        (2, (1, 4, 2, 9), "the padded input is (2, 9), smaller than the kernel (3, 3)"),
    ],
)
def test_inputs_of_another_shape_are_errors(n, shape, message):
    with pytest.raises(mho.MhoError) as failure:
        pair(n)[1](torch.ones(shape))
    assert message in str(failure.value)


def test_patches_that_are_not_finite_move_nothing(monkeypatch):
    """Not even the pieces before them."""
    monkeypatch.setattr(patches, "MOST", 500)
    layer = pair(2, PULSED)[1]
    block = layer.parts[0].matrix.blocks[0]
    before = block.state.P.w.clone()
    x, d = images(2), torch.ones(189, 8)
    x[-1, -1, -1, -1], d[-1, -1] = torch.inf, torch.nan
    with pytest.raises(mho.MhoError, match="x holds NaN or infinity"):
        block.state.P.update(Patches([x], layer.geometry, (0, 36)), torch.ones(189, 8), 0.1)
    with pytest.raises(mho.MhoError, match="d holds NaN or infinity"):
        block.state.P.update(Patches([images(2)], layer.geometry, (0, 36)), d, 0.1)
    with pytest.raises(mho.MhoError, match="must be"):
        block.state.P.update(Patches([images(2)], layer.geometry, (0, 35)), torch.ones(189, 8), 0.1)
    assert torch.equal(block.state.P.w, before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_errors_of_patches_in_another_dtype(dtype):
    """They are as good as their numbers in float32."""
    found, x = [], images(2)
    d = torch.randn(189, 8, generator=torch.Generator().manual_seed(5)).div(3).to(dtype)
    for error in (d, d.float()):
        layer = pair(2, PULSED)[1]
        tile = layer.parts[0].matrix.blocks[0].state.P
        tile.update(Patches([x], layer.geometry, (0, 36)), error, 0.1)
        found.append(tile.w.clone())
    assert torch.equal(*found)


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)], ids=str)
@pytest.mark.parametrize("ones", [False, True], ids=["", "ones"])
@pytest.mark.parametrize("most", [1 << 20, 300], ids=["whole", "lines"])
def test_patches_are_cut_out_and_added_up_alike_compiled_or_not(monkeypatch, stride, dilation, ones, most):
    """Bit for bit, for images in one piece and in pieces of some lines; the one is the adjoint of the other."""
    monkeypatch.setattr(patches, "MOST", most)
    geometry, shape = Geometry((3, 2), stride, dilation, ones), (4, 3, 9, 11)
    g = torch.Generator().manual_seed(0)
    pieces = geometry.pieces(shape)
    parts = [torch.randn(geometry.places(piece, shape), geometry.width(3), generator=g) for piece in pieces]
    fast = geometry.fold(shape, zip(pieces, parts, strict=True))
    x = torch.randn(shape, generator=g)
    cut = [geometry.rows(x, piece) for piece in pieces]
    monkeypatch.setattr(Geometry, "_is_compiled", lambda self, part: False)
    assert torch.equal(geometry.fold(shape, zip(pieces, parts, strict=True)), fast)
    assert all(torch.equal(geometry.rows(x, piece), rows) for piece, rows in zip(pieces, cut, strict=True))
    pairs = ((a[:, :18], b[:, :18]) for a, b in zip(cut, parts, strict=True))  # 18 numbers without the one
    inner = sum(float((a * b).sum()) for a, b in pairs)
    assert inner == pytest.approx(float((fast * x).sum()), rel=1e-4, abs=1e-3)
