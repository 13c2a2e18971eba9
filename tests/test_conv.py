"""Analog convolutions: torch's shapes and gradients, patches a few at a time, updates, groups, bias columns."""

import pytest
import torch
from torch import nn

import mho
from mho import patches
from mho.algorithms import AnalogSGD, DigitalSGD, ResidualLearning
from mho.nn import AnalogConv1d, AnalogConv2d, AnalogConv3d
from mho.patches import Geometry, Patches

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


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("n", LAYERS)
def test_outputs_and_gradients_are_those_of_torch(n, options, pieces):
    layers, x = pair(n, **options), images(n)
    found = []
    for layer in layers:
        z = x.clone().requires_grad_()
        y = layer(z)
        (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
        found.append(
            [y, z.grad] + ([layer.bias.grad] if "bias" not in options and "groups" not in options else [])
        )
    torch.testing.assert_close(layers[1].weight, layers[0].weight.detach(), rtol=0, atol=0)
    if "groups" not in options:
        layers[1].bias = layers[1].parts[0].bias
    for ours, theirs in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
