"""Measured tables: the lookup in torch and compiled, the noise they hold, and the files they come from."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import mho
from chance import assert_mean
from mho.base import config
from mho.responses import Table
from mho.responses.lookup import lookup
from mho.responses.table import REACH
from mho.testing import check_response

G = [1.0, 2.0, 3.0, 4.0, 5.0]  # conductances
LEVELS = [0.0, 0.25, 0.5, 0.75, 1.0]


def written(path, sign, scale=0.01, g=G):
    """A file of the measured form: steps uniform in scale [1, 3] (1.2 - place), or the reverse."""
    size = [1.2 - k / len(g) for k in range(len(g))]
    size = size if sign > 0 else size[::-1]
    levels = LEVELS if sign > 0 else [1 - u for u in LEVELS]
    rows = [[sign * scale * (1 + 2 * u) * s for s in size] for u in levels]
    lines = [", ".join(map(str, row)) + "," for row in [g, LEVELS, *rows]]
    path.write_text("\n".join(["1st Row = Gbins", *lines, ""]))
    return path


@pytest.fixture
def files(tmp_path):
    return written(tmp_path / "up.txt", 1), written(tmp_path / "down.txt", -1)


def test_lookup_is_linear_between_nodes_and_constant_beyond():
    x = torch.tensor([-3.0, 0.0, 0.25, 1.0, 1.5, 2.0, 9.0, math.nan])
    assert lookup((1.0, 3.0, 2.0), x).tolist() == [1.0, 1.0, 1.5, 3.0, 2.5, 2.0, 2.0, 1.0]
    rows = ((0.0, 1.0), (10.0, 13.0))
    y = torch.tensor([0.5, 5.0, 0.0])
    assert lookup(rows, torch.tensor([0.5, 0.5, 1.0]), y).tolist() == [6.0, 7.0, 10.0]
    assert lookup(rows, x.double(), torch.zeros_like(x).double()).dtype == torch.float64


def test_read_takes_steps_and_their_distribution_from_the_files(files):
    law = Table.read(*files, dw_min=0.01)
    assert (len(law.steps_up), len(law.steps_up[0])) == (5, 33)
    unit = 2 / 4  # G from 1 to 5 is w from -1 to 1; dw_min is the scale of the files
    size = torch.tensor([1.2, 1.0, 0.8, 0.6, 0.4], dtype=torch.float64)
    w = torch.linspace(-1, 1, 5, dtype=torch.float64)
    z = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
    u = torch.special.ndtr(z)
    for q, sizes in ((law.q_up, size), (law.q_down, size.flip(0))):
        torch.testing.assert_close(q(w), 2 * unit * sizes, rtol=1e-3, atol=0)
        got = torch.stack([q(w, one.expand_as(w)) for one in z])
        torch.testing.assert_close(got, (1 + 2 * u)[:, None] * unit * sizes, rtol=1e-5, atol=0)
    assert law.central_sp() == pytest.approx(0.0, abs=1e-4)
    coarse = Table.read(*files, dw_min=0.01, nodes=(3, 9))
    assert (len(coarse.steps_down), len(coarse.steps_down[0])) == (3, 9)


def test_pulses_have_the_distribution_of_the_table(files):
    law = Table.read(*files, dw_min=0.01)
    tile = mho.Tile(torch.full((200, 200), 0.3), mho.Device(law, 1e-3, c2c="law"), key=3)
    for sign, q in ((1, law.q_up), (-1, law.q_down)):
        tile.program(torch.full((200, 200), 0.3))
        tile.pulse(torch.full((200, 200), float(sign)))
        steps = (sign * (tile.w - 0.3) / 1e-3).flatten().double()
        assert_mean(steps, q(0.3), "mean", rounding=1e-4)
        for z in (-1.0, 0.5, 2.0):
            edge = q(torch.tensor([0.3]), torch.tensor([z])).item()
            share = torch.special.ndtr(torch.tensor(z, dtype=torch.float64))
            assert_mean((steps < edge).double(), share, f"share below z = {z}", rounding=1e-4)


def test_tables_round_trip(files):
    law = Table.read(*files)
    assert eval(repr(law)) == law
    data = json.loads(json.dumps(config.to_dict(mho.Device(law, c2c="law"))))
    assert config.from_dict(data).response == law
    check_response(law)


def test_rows_of_any_length_and_other_bounds_conform():
    law = Table(((3.0, 5.0), (0.0, 2.0)), ((0.0, 1.0, 2.0), (2.0, 3.0, 9.0)), tau_max=0.4, tau_min=-0.2)
    check_response(law)
    assert REACH == 4.0
    assert law.q_up(-0.2) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda folder: Table(((1.0, 2.0),)),
            "`Table(steps_up=...)`: it has 1 rows of [2] steps. Rows must be equally long, and 2 x 2 is the least.",
        ),
        (
            lambda folder: Table(((1.0, 2.0), (1.0, math.nan))),
            "`Table(steps_up[1][1]=nan)`: steps_up[1][1] is nan. It must be finite.",
        ),
        (
            lambda folder: Table.read(
                written(folder / "a", 1), written(folder / "b", -1, g=[1.0, 2.0, 3.0, 4.0, 6.0])
            ),
            "`Table.read('{}/b')`: its conductances are not those of {}/a.",
        ),
        (
            lambda folder: Table.read(folder / "none", folder / "none"),
            "`Table.read('{}/none')`: cannot be read (No",
        ),
        (
            lambda folder: Table.read(
                *[(folder / "c", (folder / "c").write_text("x\n1,2\n0,1\n1,2\n"))[0]] * 2
            ),
            "`Table.read('{}/c')`: has 3 lines of numbers, which do not fit.",
        ),
    ],
)
def test_messages(make, message, tmp_path):
    with pytest.raises(mho.MhoError) as failure:
        make(tmp_path)
    assert str(failure.value).startswith(message.replace("{}", str(tmp_path)))


def test_a_gpu_refuses_tables():
    pytest.importorskip("triton", reason="Triton is not installed: pip install 'mho[gpu]'")
    from mho.kernels.law.build import law_source
    from mho.kernels.law.dialect import TRITON
    from mho.kernels.law.plan import KernelPlan

    device = mho.Device(Table(), c2c="law")
    with pytest.raises(mho.MhoError, match="A GPU has no such operation yet"):
        law_source(KernelPlan.of(device, device.draw((2, 2), 0).values()), TRITON)


# Measured devices: the numbers of shared/spec/benchmarks-devices-costs.md, section 5.

ENODE_UP = [0.0224, 0.0205, 0.0203, 0.0190, 0.0178, 0.0157, 0.0132, 0.0110, 0.0077, 0.0043, 0.0024]
ENODE_DOWN = [0.0022, 0.0033, 0.0057, 0.0072, 0.0080, 0.0089, 0.0097, 0.0100, 0.0094, 0.0081, 0.0051]


def measured(name):
    folders = [
        Path(os.environ.get("MHO_DATA", "")) / "pulses",
        Path(__file__).parents[2] / "shared/data/pulses",
    ]
    for folder in folders:
        if (folder / "luts_BSD3" / name).is_dir():
            return [folder / "luts_BSD3" / name / f"dG_{way}.txt" for way in ("increasing", "decreasing")]
    pytest.skip("neither MHO_DATA nor shared/data holds pulses/luts_BSD3")


def test_the_polymer_transistor_has_its_measured_steps():
    law = Table.read(*measured("ENODe"))
    w = torch.linspace(-1, 1, 11, dtype=torch.float64)
    for q, steps in ((law.q_up, ENODE_UP), (law.q_down, ENODE_DOWN)):
        torch.testing.assert_close(q(w), torch.tensor(steps, dtype=torch.float64), rtol=0, atol=9e-4)
    [point] = law.symmetric_points()
    assert point.attracts
    assert point.w == pytest.approx(0.455, abs=0.02)


def test_the_polymer_transistor_has_its_measured_noise():
    """Standard deviation of a step over its mean, against the file: .15 at w = -1, .18 at 0, 1.1 at 1, upwards."""
    up, _ = files = measured("ENODe")
    law = Table.read(*files)
    lines = [line for line in up.read_text().splitlines()[1:] if line.strip()]
    numbers = [[float(v) for v in line.split(",") if v.strip()] for line in lines]
    g, levels, changes = np.array(numbers[0]), np.array(numbers[1]), np.array(numbers[2:])
    u = (np.arange(20000) + 0.5) / 20000
    steps = np.array([np.interp(u, levels, column) for column in changes.T])
    z = torch.linspace(-5, 5, 4001, dtype=torch.float64)
    weight = torch.exp(-z * z / 2) / torch.exp(-z * z / 2).sum()
    for k, w in enumerate(2 * (g - g[0]) / (g[-1] - g[0]) - 1):
        q = law.q_up(torch.full_like(z, w), z)
        mean = (weight * q).sum()
        std = (weight * (q - mean) ** 2).sum().sqrt()
        assert (std / mean).item() == pytest.approx(steps[k].std() / steps[k].mean(), rel=0.12), w


def test_alternating_pulses_find_the_symmetric_point_of_a_measured_device():
    from mho.calibration import zero_shift

    law = Table.read(*measured("ENODe"), dw_min=0.01)
    tile = mho.Tile(torch.full((20, 30), -0.5), mho.Device(law, 0.01, c2c="law"), key=1)
    result = zero_shift(tile, 600)
    assert result.error is not None
    assert abs(result.error.mean()) < 0.03
    few = Table.read(*measured("TaOx_1"), nodes=(101, 33))
    assert [p.attracts for p in few.symmetric_points() if abs(p.w - 0.44) < 0.1] == [True]


def test_kernels_equal_the_oracle(files):
    from mho.kernels import oracle

    device = mho.Device(
        Table.read(*files, dw_min=0.01), 2e-3, c2c="law", spread={"gain": 0.3, "tau_max": 0.1}
    )
    tile = mho.Tile(torch.zeros(11, 19), device, key=42)
    g = torch.Generator().manual_seed(0)
    x, d = torch.randn(6, 19, generator=g), 0.1 * torch.randn(6, 11, generator=g)
    cells = tile.cells.numpy().copy()
    info = tile.update(x, d, 0.05)
    kernels = tile._kernels
    sent = oracle.trains(
        kernels.module, cells, tile.planes.numpy(), kernels.scal, x.numpy(), d.numpy(), 0.05, 2e-3,
        tile.pulses, 42, 0,
    )  # fmt: skip
    assert sent == (info.up, info.down)
    np.testing.assert_array_equal(tile.cells.numpy(), cells)
