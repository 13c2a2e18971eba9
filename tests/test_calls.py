"""Compiled calls over all blocks of a layer have the bits of the way block by block."""

import numpy as np
import pytest
import torch

import mho
from mho.nn.core import called, product
from mho.numerics.blas import sgemm

TWO_WAYS = mho.IO(out_bound=0.3, sigma_inp=0.0)
HARDWARE = {
    "one block": (mho.algorithms.AnalogSGD(), mho.IO(), mho.Mapping(max_in=None, max_out=None)),
    "many": (mho.algorithms.AnalogSGD(), mho.IO(), mho.Mapping(max_in=7, max_out=5, out_scale="columnwise")),
    "omega": (mho.algorithms.TikiTakaV2(), mho.IO(sigma_inp=0.02), mho.Mapping(max_in=20, omega=0.6)),
    "no scale": (mho.algorithms.AnalogSGD(), mho.IO(), mho.Mapping(max_out=16, out_scale="none")),
    "terms": (mho.algorithms.ERIDER(), mho.IO(), mho.Mapping(max_in=13, max_out=9)),
    "terms, noisy inputs": (mho.algorithms.ERIDER(), mho.IO(sigma_inp=0.02), mho.Mapping(max_out=9)),
    "bound": (mho.algorithms.ERIDER(), {"forward": TWO_WAYS, "backward": TWO_WAYS}, mho.Mapping(max_in=13)),
    "no managements": (
        mho.algorithms.AnalogSGD(),
        mho.IO(noise_management="none", bound_management="none", out_bound=None),
        mho.Mapping(max_in=13, max_out=9),
    ),
}


def trained(hardware, samples, kind):
    """Return all that two steps and an evaluation give."""
    algorithm, io, mapping = hardware
    torch.manual_seed(3)
    layer = (
        torch.nn.Conv2d(3, 17, 3, padding=1) if kind == "conv" else torch.nn.Linear(31, 17, kind == "bias")
    )
    device = mho.Device(sigma_c2c=0.3)
    crossbar = mho.Crossbar(algorithm=algorithm, io=io, mapping=mapping, device=device)
    model = mho.convert_(torch.nn.Sequential(layer), crossbar, key=1)
    optimizer, found = mho.AnalogOptimizer(model, lr=0.05), []
    for _ in range(2):
        x = torch.randn((samples, 3, 5, 4) if kind == "conv" else (samples, 31)).mul_(2).requires_grad_()
        optimizer.zero_grad()
        y = model(x)
        y.square().sum().backward()
        optimizer.step()
        found += [y.detach(), x.grad]
    found.append(model.eval()(x).detach())
    return found + [v.clone() for v in model.state_dict().values()]


@pytest.mark.parametrize("kind", ["bias", "no bias", "conv"])
@pytest.mark.parametrize("name", HARDWARE)
def test_bits_are_those_of_the_way_block_by_block(name, kind, monkeypatch):
    samples = [1, 2, 10, 33][len(name) % 4]
    calls = []
    for direction in ("forward", "backward"):
        real = getattr(called, direction)

        def counted(*arguments, real=real, direction=direction):
            result = real(*arguments)
            calls.append((direction, result is not None))
            return result

        monkeypatch.setattr(called, direction, counted)
    here = trained(HARDWARE[name], samples, kind)
    assert len(calls) == 5 and all(done for _, done in calls)
    monkeypatch.setattr(product, "table_of", lambda *_: None)
    there = trained(HARDWARE[name], samples, kind)
    assert len(calls) == 5
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a, b)


def test_products_of_torch_and_of_its_library_agree():
    if sgemm() == 0:
        pytest.skip("this build of torch has no sgemm_")
    assert sgemm() > 0


def test_nan_is_refused_or_comes_back_as_before():
    hardware = mho.Crossbar(mapping=mho.Mapping(max_in=3))
    layer = mho.nn.AnalogLinear(5, 4, hardware=hardware, key=1)
    with pytest.raises(mho.MhoError, match="forward pass"):
        layer(torch.tensor([[0.0, np.nan, 0.0, 0.0, 1.0]]))
    x = torch.randn(2, 5, requires_grad=True)
    (layer(x).sum() * np.nan).backward()
    assert x.grad.isnan().all()
