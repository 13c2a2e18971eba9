"""The converters: a small numpy model of them, their noise, their scaling, and which direction has which."""

import itertools

import numpy as np
import pytest
import torch

import mho
from chance import assert_mean, assert_normal
from mho.device.io import PERFECT, by_direction
from mho.nn.core.calls import Count
from mho.tile.tally import Tally

FREE = mho.Device(mho.responses.Constant(100.0, -100.0))
QUIET = mho.IO(sigma_out=0.0)
PLAIN = mho.IO(inp_res=0.0, out_res=0.0, sigma_out=0.0, bound_management="none", noise_management="none")


def tile_of(w, io, key=3):
    return mho.Tile(torch.as_tensor(w, dtype=torch.float32), FREE, io=io, key=key)


def matrix(n_out=6, n_in=10, seed=0):
    """Multiples of 1/8: with inputs on a grid of 1/64, products are exact in float32 in any order of summation."""
    g = torch.Generator().manual_seed(seed)
    return torch.randint(-8, 9, (n_out, n_in), generator=g) / 8


def inputs(samples=20, n_in=10, size=1.0):
    return size * torch.randn(samples, n_in, generator=torch.Generator().manual_seed(1))


def convert(values, bound, res):
    """A converter: rounds to steps of 2 bound res, then clips; float32."""
    step = np.float32(2 * bound * res)
    rounded = np.rint(values / step) * step if step else values
    bound = np.float32(bound)
    return np.clip(rounded, -bound, bound), np.abs(rounded).max(initial=0) >= bound


def model(w, x, io):
    """y = W x by the definition, one sample; no noise."""
    scale = np.float32(np.abs(x).max()) if io.noise_management == "abs_max" else np.float32(1)
    if scale == 0:
        return np.zeros(len(w), np.float32)
    for attempt in range(io.retries + 1):
        size = scale * np.float32(2.0**attempt)
        encoded, _ = convert(x / size, io.inp_bound, io.inp_res)
        y, over = convert((w @ encoded).astype(np.float32), io.out_bound, io.out_res)
        if not over:
            break
    return y * size


CONVERTERS = {
    "dac": PLAIN.replace(inp_res=1 / 128),
    "dac, clipped": PLAIN.replace(inp_res=1 / 128, inp_bound=0.5),
    "adc": PLAIN.replace(inp_res=1 / 128, out_res=1 / 64, out_bound=8.0),
    "adc, clipped": PLAIN.replace(inp_res=1 / 128, out_bound=0.75, out_res=1 / 510),
    "abs_max": PLAIN.replace(inp_res=1 / 128, noise_management="abs_max"),
    "both": QUIET.replace(inp_res=1 / 128, bound_management="none"),
    "iterative": QUIET.replace(inp_res=1 / 128, out_bound=0.5),
    "iterative, few": QUIET.replace(inp_res=1 / 128, out_bound=0.5, max_bm_factor=2.0),
    "iterative, unscaled": PLAIN.replace(inp_res=1 / 128, out_bound=0.5, bound_management="iterative"),
}


# Without noise.


@pytest.mark.parametrize("io", [None, PERFECT, {"forward": PERFECT}], ids=["None", "PERFECT", "mapping"])
def test_perfect_converters_give_the_plain_product(io):
    w, x = matrix(), inputs()
    tile = tile_of(w, io)
    assert torch.equal(tile.forward(x), x @ w.mT)
    assert torch.equal(tile.backward(x[:, :6]), x[:, :6] @ w)
    assert torch.equal(tile.read(), w)


@pytest.mark.parametrize("name", CONVERTERS)
@pytest.mark.parametrize("size", [0.3, 4.0])
def test_forward_equals_the_model(name, size):
    io, w, x = CONVERTERS[name], matrix(), inputs(size=size)
    x[7] = 0.0
    expected = np.stack([model(w.numpy(), sample, io) for sample in x.numpy()])
    np.testing.assert_array_equal(tile_of(w, io).forward(x).numpy(), expected)
    assert not np.array_equal(expected, (x @ w.mT).numpy()), "the converters must show"


@pytest.mark.parametrize("name", ["dac, clipped", "adc, clipped", "both"])
def test_backward_equals_the_model_of_the_transpose(name):
    io, w, d = CONVERTERS[name], matrix(), inputs(n_in=6)
    expected = np.stack([model(w.mT.numpy(), sample, io) for sample in d.numpy()])
    np.testing.assert_array_equal(tile_of(w, io).backward(d).numpy(), expected)


@pytest.mark.parametrize("shape", [(10,), (0, 10), (3, 10), (2, 0, 10), (2, 3, 10)])
@pytest.mark.parametrize("io", [None, CONVERTERS["iterative"]], ids=["perfect", "converters"])
def test_shapes_of_products(shape, io):
    tile = tile_of(matrix(), io)
    x = torch.randint(-64, 65, shape, generator=torch.Generator().manual_seed(2)) / 64
    y = tile.forward(x)
    assert y.shape == (*shape[:-1], 6)
    assert tile.backward(y).shape == shape
    for sample, row in zip(x.reshape(-1, 10), y.reshape(-1, 6), strict=True):
        assert torch.equal(tile.forward(sample), row)


def test_resolution_of_the_defaults():
    """7-bit DAC: 127 levels over [-1, 1]; 9-bit ADC: 511 levels over [-12, 12]."""
    ramp = torch.linspace(-1, 1, 5001)[:, None]
    dac = tile_of([[1.0]], PLAIN.replace(inp_res=mho.IO().inp_res)).forward(ramp)
    assert len(dac.unique()) == 127
    assert dac.abs().max() == 1.0
    adc = tile_of([[1.0]], PLAIN.replace(inp_bound=20.0, out_res=mho.IO().out_res)).forward(15 * ramp)
    assert len(adc.unique()) == 511
    assert adc.abs().max() == 12.0


# Managements.

ROW_OF_THIRTY = torch.full((1, 60), 0.5)


def test_iterative_bound_management_brings_the_product_into_range():
    x = torch.ones(1, 60)
    io = QUIET.replace(inp_res=0.0, out_res=0.0)
    assert tile_of(ROW_OF_THIRTY, io).forward(x).item() == pytest.approx(30.0)
    assert tile_of(ROW_OF_THIRTY, io.replace(bound_management="none")).forward(x).item() == 12.0


def test_bound_management_needs_a_factor_of_four():
    """30 fits into 12 after two halvings: the result is a multiple of 4 ADC steps."""
    io, x = QUIET.replace(inp_res=0.0), torch.ones(1, 60)
    step = 4 * 24 / 510
    y = tile_of(ROW_OF_THIRTY, io).forward(x).item()
    assert y == pytest.approx(round(30 / step) * step, rel=1e-6)
    assert tile_of(ROW_OF_THIRTY, io.replace(max_bm_factor=3.9)).forward(x).item() == 24.0
    assert tile_of(ROW_OF_THIRTY, io.replace(max_bm_factor=4.0)).forward(x).item() == y


def test_bound_management_ends_where_the_dac_does():
    """A quarter of the DAC's range must stay finer than its step: 2^4 for 7 bits; else max_bm_factor decides."""
    assert [mho.IO(inp_res=r).retries for r in (1 / 126, 1 / 30, 0.3, 0.0)] == [4, 2, 0, 9]
    assert mho.IO(max_bm_factor=7.0).retries == 2
    assert mho.IO(bound_management="none").retries == 0
    huge = tile_of(1e3 * ROW_OF_THIRTY / 10, QUIET).forward(torch.ones(1, 60)).item()
    assert huge == pytest.approx(16 * 12.0)


def test_bound_management_repeats_only_what_was_too_large():
    x = torch.ones(3, 60)
    x[1] = torch.linspace(-0.1, 0.6, 60)
    io = QUIET.replace(inp_res=0.0, noise_management="none")
    y, step = tile_of(ROW_OF_THIRTY, io).forward(x).flatten(), 24 / 510
    assert y[0] == y[2] == pytest.approx(round(30 / step / 4) * step * 4)
    expected = (0.5 * x[1]).sum().item()
    assert y[1].item() == pytest.approx(round(expected / step) * step), "not the coarser grid of the others"
    assert round(expected / step) % 4 != 0


def test_a_zero_sample_gives_exact_zeros_under_abs_max():
    x = torch.ones(3, 10)
    x[1] = 0.0
    noisy = mho.IO(sigma_inp=0.1)
    y = tile_of(matrix(), noisy).forward(x)
    assert (y[1] == 0).all()
    assert (y[[0, 2]] != 0).any(1).all()
    unmanaged = tile_of(matrix(), noisy.replace(noise_management="none", out_res=0.0)).forward(x)
    assert (unmanaged[1] != 0).all(), "without it the converters' noise is there"


def test_abs_max_scales_each_sample_by_itself():
    x, factors = inputs(4), torch.tensor([[1.0], [4.0], [0.5], [1024.0]])
    tile = tile_of(matrix(), QUIET)
    assert torch.equal(tile.forward(factors * x), factors * tile.forward(x))


# Directions.


def test_a_single_io_by_direction():
    io = mho.IO(sigma_out=0.1)
    assert by_direction(io) == {
        "forward": io,
        "backward": io.replace(bound_management="none"),
        "transfer": io.replace(bound_management="none", noise_management="none"),
    }


def test_a_mapping_by_direction():
    fine, coarse = mho.IO(out_res=1e-4), mho.IO(out_res=0.1)
    found = by_direction({"forward": coarse, "transfer": fine})
    assert found["forward"] == coarse
    assert found["backward"] == coarse.replace(bound_management="none")
    assert found["transfer"] == fine, "what is given is taken as it is"
    assert by_direction({"backward": PERFECT})["forward"] == mho.IO()
    assert all(io.perfect for io in by_direction(None).values())


def test_only_forward_has_bound_management_and_transfer_has_neither():
    io = QUIET.replace(inp_res=0.0, out_res=0.0)
    row, column = tile_of(ROW_OF_THIRTY, io), tile_of(ROW_OF_THIRTY.mT, io)
    assert row.forward(torch.ones(60)).item() == pytest.approx(30.0)
    assert column.backward(torch.ones(60)).item() == 12.0
    assert column.backward(torch.full((60,), 0.1)).item() == pytest.approx(1.2), "scaled by the largest |d|"
    assert tile_of([[30.0]], io).read(0).item() == 12.0
    both = {"forward": io, "backward": io, "transfer": io}
    assert tile_of(ROW_OF_THIRTY.mT, both).backward(torch.ones(60)).item() == pytest.approx(30.0)


# Reading.


def test_read_gives_lines_through_the_transfer_converters():
    w = matrix()
    tile = tile_of(w, {"transfer": PLAIN.replace(out_bound=0.5, out_res=1 / 8)})
    expected = torch.from_numpy(convert(w.numpy(), 0.5, 1 / 8)[0])
    assert not torch.equal(expected, w)
    for j in (0, 3, 9, -1):
        assert torch.equal(tile.read(j), expected[:, j])
    for i in (0, 5, -2):
        assert torch.equal(tile.read(row=i), expected[i])
    assert tile.tally[Tally.READS] == 7
    assert torch.equal(tile.read(), expected)
    assert tile.tally[Tally.READS] == 7 + 10, "one conversion a column"


def test_reading_leaves_the_cells_alone():
    tile = tile_of(matrix(), mho.IO())
    tile.read(2).zero_()
    tile.read()
    tile_of(matrix(), None).read(2).zero_()
    assert torch.equal(tile.w, matrix())


# Noise.


def test_output_noise():
    """Its standard deviation is sigma_out where the ADC sees it; abs_max scales it back."""
    sigma, scale = 0.06, 8.0
    io = PLAIN.replace(sigma_out=sigma, noise_management="abs_max", out_bound=1e3)
    w, x = matrix(200, 10), torch.full((500, 10), scale)
    noise = (tile_of(w, io).forward(x) - x @ w.mT) / scale / sigma
    assert_normal(noise, "output noise")
    assert_mean(noise.flatten(), 0.0, "mean")
    assert_mean(noise.flatten() ** 2, 1.0, "variance")
    assert_mean(noise[:, :-1] * noise[:, 1:], torch.zeros(199), "covariance of neighbours")
    assert_mean((noise[:-1] * noise[1:]).flatten(), 0.0, "covariance of samples")


def test_input_noise():
    """It passes through the weights: variance sigma_inp^2 |row|^2, shared by the outputs of a sample."""
    sigma = 0.05
    w, x = matrix(5, 10), inputs(1) / 10 + torch.zeros(20_000, 1)
    noise = tile_of(w, PLAIN.replace(sigma_inp=sigma)).forward(x) - x @ w.mT
    covariance = noise[:, :, None] * noise[:, None, :]
    assert_mean(covariance.flatten(1), (sigma**2 * w @ w.mT).flatten(), "covariance of the outputs")


def test_read_noise():
    tile = tile_of(matrix(500, 40), {"transfer": PLAIN.replace(sigma_out=0.1)})
    noise = (tile.read() - tile.w) / 0.1
    assert_normal(noise, "noise of a read")
    assert_mean((noise[:, 1:] * noise[:, :-1]).flatten(), 0.0, "covariance of two reads")


@pytest.mark.parametrize("verb", ["forward", "backward", "read"])
def test_noise_is_new_at_every_call_and_repeats_for_the_same_key(verb):
    def two_calls(key):
        tile = tile_of(matrix(8, 8), mho.IO(out_res=0.0), key)
        call = (lambda: tile.read(3)) if verb == "read" else lambda: getattr(tile, verb)(torch.ones(2, 8))
        return call(), call()

    first, second = two_calls(3)
    assert not torch.equal(first, second)
    for a, b in zip((first, second), two_calls(3), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first, two_calls(4)[0])


def test_directions_have_their_own_noise():
    """Different numbers, and no direction's calls shift those of another."""
    calls = {
        "forward": lambda tile: tile.forward(torch.zeros(8)),
        "backward": lambda tile: tile.backward(torch.zeros(8)),
        "read": lambda tile: tile.read(0),
    }

    def draws(*verbs):
        tile = tile_of(torch.zeros(8, 8), mho.IO(out_res=0.0, noise_management="none"))
        return [calls[verb](tile) for verb in verbs]

    first = dict(zip(calls, draws(*calls), strict=True))
    for one, other in itertools.combinations(calls, 2):
        assert not torch.isclose(first[one], first[other]).any()
        assert torch.equal(draws(other, other, one)[-1], first[one])
        assert torch.equal(draws(one, one, other)[-1], first[other])


# Evaluation.


def test_evaluation_does_not_advance_the_training_streams():
    """Looking at the test set in the middle of training leaves the rest of the training as it was."""

    def losses(look):
        torch.manual_seed(0)
        layer = mho.nn.AnalogLinear(6, 4, hardware=mho.Crossbar())
        optimizer = mho.AnalogOptimizer(layer, lr=0.1)
        found = []
        for step in range(4):
            if look:
                layer.eval()
                with torch.no_grad():
                    outputs = [layer(torch.ones(5, 6)) for _ in range(2)]
                assert not torch.equal(*outputs), "evaluation has noise, too"
                layer.train()
            optimizer.zero_grad()
            loss = layer(inputs(3, 6) + step).square().mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found, layer.matrix.calls.count

    plain, count = losses(look=False)
    looked, count_too = losses(look=True)
    assert plain == looked
    assert count[Count.EVALUATED] == 0
    assert count_too[Count.EVALUATED] == 8
    count_too[Count.EVALUATED] = 0
    assert torch.equal(count, count_too)


# Bounds that are absent, and steps.


def test_a_converter_without_a_bound_neither_clips_nor_rounds():
    tile = mho.Tile(torch.tensor([[1.0, 2.0]]), mho.Device(mho.responses.Constant(tau_max=9.0, tau_min=-9.0)))
    tile.io["forward"] = mho.IO(
        inp_bound=None, out_bound=None, inp_res=0.1, out_res=0.1, sigma_out=0.0, noise_management="none"
    )
    assert tile.forward(torch.tensor([100.25, 7.125])).tolist() == [114.5]


@pytest.mark.parametrize("field", ["inp_res", "out_res"])
def test_a_number_of_steps_is_no_resolution(field):
    """aihwkit writes 254 for 254 steps; here that turned the converter off."""
    with pytest.raises(mho.MhoError, match=rf"Fix: {field}=1/254"):
        mho.IO(**{field: 254})


def test_numbers_of_numpy_and_torch_are_python_numbers_in_a_record():
    io = mho.IO(inp_res=np.float32(0.25), out_bound=torch.tensor(3.0), perfect=np.bool_(False))
    assert [type(v) for v in (io.inp_res, io.out_bound, io.perfect)] == [float, float, bool]
    assert io == mho.IO(inp_res=0.25, out_bound=3.0)
