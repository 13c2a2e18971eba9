"""What two processes do together; `test_parallel` starts them and reads their verdicts.

Each check is called by both. One that fails ends the run of its process, because the other may wait for it.
"""

import contextlib
import copy
import json
import os
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import checkpoint
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel as DDP

import mho
from mho import parallel
from mho.algorithms import ERIDER, AnalogSGD, ResidualLearning, TikiTakaV2
from mho.nn.core.block import Block
from mho.responses import Constant, SoftBounds

RANKS = 2
FOLDER = Path()
NOISY = mho.IO(sigma_inp=0.05)
DEVICE = mho.Device(SoftBounds(), dw_min=2e-3, sigma_c2c=0.3, spread={"gain": 0.1})
SMALL = mho.Mapping(max_in=4, max_out=3, omega=0.4, out_scale="columnwise")
ALGORITHMS = {
    "AnalogSGD": AnalogSGD(),
    "ResidualLearning": ResidualLearning(fast_lr=0.1),
    "TikiTakaV2": TikiTakaV2(fast_lr=0.1),
    "ERIDER": ERIDER(),
}
EXACT = mho.Crossbar(
    algorithm=AnalogSGD(), device=mho.Device(Constant()), io=None, pulses=mho.Expected(), mapping=SMALL
)


class Network(nn.Module):
    """Analog layers of several sub-tiles, one of them used twice, one that can be left out, and a digital one."""

    def __init__(self, hardware):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.twice = nn.Linear(6, 5), nn.Linear(5, 5)
        self.maybe, self.last = nn.Linear(5, 5), nn.Linear(5, 3)
        self.skips = False
        mho.convert_(self, {name: hardware for name in ("first", "twice", "maybe")})

    def forward(self, x):
        h = torch.tanh(self.first(x))
        h = torch.tanh(self.twice(torch.tanh(self.twice(h))))
        return self.last(h if self.skips else h + self.maybe(h))


class Images(nn.Module):
    """A convolution and a digital layer."""

    def __init__(self, hardware):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = nn.Conv2d(2, 5, 3, padding=1), nn.Linear(5, 3)
        mho.convert_(self, {"conv": hardware})

    def forward(self, x):
        images = torch.cat([x, x.flip(1)], dim=1).reshape(len(x), 2, 2, 3)
        return self.last(torch.tanh(self.conv(images)).mean(dim=(2, 3)))


class Sequence(nn.Module):
    """An LSTM of three time steps and a digital layer."""

    def __init__(self, hardware):
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.last = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, 3)
        mho.convert_(self, {"lstm": hardware})

    def forward(self, x):
        return self.last(self.lstm(x.reshape(len(x), 3, 2))[0][:, -1])


def noisy(algorithm=ALGORITHMS["ResidualLearning"]):
    return mho.Crossbar(algorithm=algorithm, device=DEVICE, io=NOISY, mapping=SMALL)


def batch(step, number, samples=4):
    g = torch.Generator().manual_seed(100 * step + number)
    return torch.randn(samples, 6, generator=g)


def loss_of(model, step, number, samples=4):
    x = batch(step, number, samples)
    return (model(x) - x[:, :3] * x[:, 3:]).square().mean()


def optimizer_of(model):
    return mho.AnalogOptimizer(model, lr=0.1, momentum=0.9)


def alone(model, optimizer, steps, micro_batches=1, samples=(4, 4), between=None):
    """One process has the micro-batches of all ranks, one after the other."""
    n = RANKS * micro_batches
    for step in steps:
        optimizer.zero_grad()
        for number in range(n):
            (loss_of(model, step, number, samples[number % RANKS]) / n).backward()
        if between:
            between(model)
        optimizer.step()


def together(model, optimizer, steps, micro_batches=1, samples=(4, 4), between=None):
    """Each process has its own; after every step all have the same arrays."""
    rank = dist.get_rank()
    for step in steps:
        optimizer.zero_grad()
        for m in range(micro_batches):
            (loss_of(model, step, RANKS * m + rank, samples[rank]) / micro_batches).backward()
        if between:
            between(model)
        optimizer.step()
        parallel.assert_identical(model)


def assert_same(model, other, but=()):
    """Bit for bit, the numbers of calls among them."""
    a, b = model.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name]) and not name.endswith(but or "\n")]
    assert different == []


def both(kind, hardware, steps=6, micro_batches=1, samples=(4, 4), between=None):
    """A model trained by two processes, and one trained by this process alone; neither has stood still."""
    models = kind(hardware), kind(hardware)
    optimizers = [optimizer_of(model) for model in models]
    start = copy.deepcopy(models[0].state_dict())
    parallel.connect(models[0], optimizers[0])
    together(models[0], optimizers[0], range(steps), micro_batches, samples, between)
    alone(models[1], optimizers[1], range(steps), micro_batches, samples, between)
    moved = [name for name, value in models[0].state_dict().items() if not torch.equal(value, start[name])]
    assert {"bias", "cells", "out_scale", "tally"} <= {name.rpartition(".")[2] for name in moved}
    return models


# The same arrays on every rank.


def equals_one_process(algorithm, micro_batches):
    def check(rank):
        assert_same(*both(Network, noisy(algorithm), micro_batches=micro_batches))

    return check


def uneven_batches_too(rank):
    assert_same(*both(Network, noisy(), samples=(5, 2)))


def time_steps_of_recurrent_layers(rank):
    assert_same(*both(Sequence, noisy(), steps=3, micro_batches=2, samples=(3, 2)))


def images_of_convolutions(rank):
    assert_same(*both(Images, noisy(), micro_batches=2, samples=(3, 2)))


def the_update_is_that_of_one_process_with_these_factors(rank):
    model = Network(noisy())
    optimizer = optimizer_of(model)
    connection = parallel.connect(model, optimizer)
    together(model, optimizer, range(2))
    loss_of(model, 2, rank).backward()
    other = copy.deepcopy(model)
    connection.gather()
    named = dict(other.named_modules())
    for name, block in model.named_modules():
        if isinstance(block, Block):
            for (number, call), (x, d) in block.learning.calls():
                named[name].record(x.clone(), d.clone(), number + (call << 32))
            assert len(block.factors) == RANKS * (2 if "twice" in name else 1)
            named[name].step(0.1)
    optimizer.step()
    for name, block in model.named_modules():
        if isinstance(block, Block) and rank == 0:
            assert_same(block.state, named[name].state)


def a_rank_without_a_layer(rank):
    """Factors and gradients are missing there. Noise is that of one process in the first step only."""
    models = Network(noisy()), Network(noisy())
    optimizers = [optimizer_of(model) for model in models]
    parallel.connect(models[0], optimizers[0])
    models[0].skips = rank == 1
    together(models[0], optimizers[0], range(1))
    for number in range(RANKS):
        models[1].skips = number == 1
        (loss_of(models[1], 0, number) / RANKS).backward()
    optimizers[1].step()
    assert_same(*models, but="maybe.matrix.calls.count")
    together(models[0], optimizers[0], range(1, 4))
    models[0].skips = True  # and one that no rank uses
    together(models[0], optimizers[0], range(4, 6))
    assert models[0].maybe.bias.grad is None


def an_evaluation_on_one_rank(rank):
    model = Network(noisy())
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    together(model, optimizer, range(2))
    if rank == 0:
        model.eval()
        model(batch(9, 0))
        model.train()
        model(batch(9, 1))
    together(model, optimizer, range(2, 4))
    optimizer.zero_grad()
    optimizer.step()  # with nothing at all


def a_checkpoint_goes_on_in_one_process(rank):
    """And then again in two."""
    model, other, last = (Network(noisy()) for _ in range(3))
    optimizer, of_other, of_last = (optimizer_of(m) for m in (model, other, last))
    parallel.connect(model, optimizer)
    together(model, optimizer, range(3))
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    of_other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    together(model, optimizer, range(3, 6))
    alone(other, of_other, range(3, 6))
    assert_same(model, other)
    last.load_state_dict(copy.deepcopy(other.state_dict()))
    of_last.load_state_dict(copy.deepcopy(of_other.state_dict()))
    parallel.connect(last, of_last)
    together(model, optimizer, range(6, 9))
    together(last, of_last, range(6, 9))
    assert_same(model, last)


# What comes between backward and step.


def clipping_after_gather(rank):
    """The norm is that of all ranks' gradient, so is the step."""
    norms = []

    def clip(model):
        if model is models[0]:
            connection.gather()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.2).item())

    models = Network(noisy()), Network(noisy())
    optimizers = [optimizer_of(model) for model in models]
    connection = parallel.connect(models[0], optimizers[0])
    together(models[0], optimizers[0], range(4), between=clip)
    alone(models[1], optimizers[1], range(4), between=clip)
    assert norms[:4] == norms[4:] and min(norms) > 0.2
    assert_same(*models)


def a_local_clip_scales_the_rank(rank):
    """Without `gather` it is this rank's gradient; d and the digital gradients carry its factor to all."""
    model = Network(noisy())
    optimizer = optimizer_of(model)
    connection = parallel.connect(model, optimizer)
    for m in range(2):
        loss_of(model, 0, RANKS * m + rank).backward()
    d = model.first.matrix.blocks[0].factors[0].d.clone()
    own = model.last.bias.grad.clone()
    for p in model.parameters():
        p.grad.mul_(0.5 if rank else 1.0)
    connection.gather()
    gathered = model.first.matrix.blocks[0].factors
    torch.testing.assert_close(gathered[rank].d, d * (0.25 if rank else 0.5))
    of_ranks = [torch.zeros(3), torch.zeros(3)]
    dist.all_gather(of_ranks, own)
    torch.testing.assert_close(model.last.bias.grad, (of_ranks[0] + 0.5 * of_ranks[1]) / 2)
    optimizer.step()
    parallel.assert_identical(model)


def a_scaler_skips_on_all_ranks(rank):
    """Where `gather` comes before `unscale_`, all find what one has found."""
    model = Network(noisy())
    optimizer = optimizer_of(model)
    connection = parallel.connect(model, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step, factor in enumerate((torch.inf, 1.0)):
        scaler.scale(loss_of(model, step, rank) * (factor if rank else 1.0)).backward()
        connection.gather()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        moved = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
        assert (moved == []) == (step == 0)
        assert scaler.get_scale() == 512.0
    parallel.assert_identical(model)


def backward_after_gather_is_an_error(rank):
    model = Network(noisy())
    optimizer = optimizer_of(model)
    connection = parallel.connect(model, optimizer)
    loss_of(model, 0, rank).backward()
    connection.gather()
    with pytest.raises(mho.MhoError, match="have been gathered already"):
        loss_of(model, 0, rank).backward()
    optimizer.zero_grad()
    together(model, optimizer, range(1))


# What goes wrong.


def a_difference_is_named(rank):
    model = Network(noisy())
    with torch.no_grad():
        model.twice.matrix.blocks[1].state.W.cells[0, 0] += 1e-3 * rank
    with pytest.raises(
        mho.MhoError, match=r"^`connect\(model, optimizer\)`: twice\.matrix\.blocks\.1\.state"
    ) as e:
        parallel.connect(model, optimizer_of(model))
    assert "W.cells differs between ranks" in str(e.value) and "torch.manual_seed" in str(e.value)
    model = Network(noisy().replace(io=mho.IO(sigma_out=0.1 if rank else 0.2)))
    with pytest.raises(mho.MhoError, match=r"first\.matrix\.blocks\.0 \(hardware\) differs.*sigma_out=0\.2"):
        parallel.assert_identical(model)


def nan_on_one_rank_stops_all(rank):
    model = Network(noisy())
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    before = copy.deepcopy(model.state_dict())
    (loss_of(model, 0, rank) * (torch.nan if rank else 1.0)).backward()
    with pytest.raises(mho.MhoError, match="holds NaN or infinity"):
        optimizer.step()
    counted = [name for name in before if name.endswith("calls.count")]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items() if k not in counted)
    optimizer.zero_grad()
    together(model, optimizer, range(2))


def other_learning_rates_are_an_error(rank):
    model = Network(noisy())
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    optimizer.param_groups[0]["lr"] = 0.1 + rank
    loss_of(model, 0, rank).backward()
    with pytest.raises(mho.MhoError, match=r"rates.* are .*\[0\.1.*\[1\.1"):
        optimizer.step()


def sparse_gradients_are_an_error(rank):
    model = nn.Sequential(nn.Embedding(5, 6, sparse=True), mho.nn.AnalogLinear(6, 3, hardware=EXACT))
    for p in model.parameters():
        p.data.zero_()
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    model(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(mho.MhoError, match=r"gradient of '0\.weight' is sparse"):
        optimizer.step()


def groups_that_do_not_fit_are_errors(rank):
    model = Network(EXACT)
    mesh = dist.device_mesh.init_device_mesh("cpu", (1, RANKS), mesh_dim_names=("a", "b"))
    with pytest.raises(mho.MhoError, match=r"the mesh has 2 dimensions.*pass mesh"):
        parallel.shard_rows_(model, mesh)
    with pytest.raises(mho.MhoError, match=r"the group is of type str"):
        parallel.assert_identical(model, "b")
    parallel.shard_rows_(model, mesh["a"])
    with pytest.raises(mho.MhoError, match="rows are dealt out to other ranks"):
        parallel.connect(model, optimizer_of(model), mesh["b"])


# DistributedDataParallel.


def data_parallel(rank, micro_batches, digital):
    model = Network(noisy())
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer, digital=digital)
    wrapped = DDP(model)
    assert wrapped.modules_buffers == []  # that it would send
    for step in range(6):
        optimizer.zero_grad()
        for m in range(micro_batches):
            with contextlib.nullcontext() if m == micro_batches - 1 else wrapped.no_sync():
                (loss_of(wrapped, step, RANKS * m + rank) / micro_batches).backward()
        optimizer.step()
        parallel.assert_identical(model)
    return model


def ddp_equals_one_process(rank):
    other = Network(noisy())
    alone(other, optimizer_of(other), range(6))
    assert_same(data_parallel(rank, 1, digital=False), other)


def ddp_and_connect_may_both_average(rank):
    assert_same(data_parallel(rank, 1, digital=True), data_parallel(rank, 1, digital=False))


def ddp_accumulates_without_sync(rank):
    """Sums of digital gradients have another order, so it is the same to rounding; EXACT has no thresholds."""
    model = data_parallel(rank, 2, digital=False)
    assert {m.calls.count[0].item() for m in model.modules() if hasattr(m, "calls")} == {6 * 4 - 1}


def a_wrapped_model_is_an_error(rank):
    model = Network(EXACT)
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    with pytest.raises(mho.MhoError, match="is wrapped in DistributedDataParallel"):
        parallel.connect(DDP(model), optimizer)


# Rows dealt out.


def sharded(kind=Network, hardware=EXACT):
    """A model whose rows are dealt out, and the whole one."""
    model, whole = kind(hardware), kind(hardware)
    assert parallel.shard_rows_(model) is model
    return model, whole


def products_of_shards(rank):
    """Forward, backward, digital gradients; also of other dtypes and dimensions, and in eval mode."""
    for kind in (Network, Images, Sequence):
        model, whole = sharded(kind)
        for samples in ((4, 4), (5, 2), (3, 0)):
            xs = [batch(0, n, samples[n]).requires_grad_() for n in range(RANKS)]
            y, expected = model(xs[rank]), whole(torch.cat(xs))
            torch.testing.assert_close(y, expected.split(samples)[rank], rtol=0, atol=1e-6)
            g = torch.randn(sum(samples), 3, generator=torch.Generator().manual_seed(1))
            y.backward(g.split(samples)[rank])
            own = xs[rank].grad
            xs[rank].grad = None
            expected.backward(g)
            torch.testing.assert_close(own, xs[rank].grad, rtol=0, atol=1e-6)
    model, whole = sharded()
    for x in (batch(1, rank).double(), batch(1, rank)[:1, None].expand(1, 3, 6), batch(1, rank)[0]):
        y = model.first(x)
        assert y.dtype is x.dtype and y.shape == (*x.shape[:-1], 5)
        torch.testing.assert_close(y, whole.first(x), rtol=0, atol=1e-6)
    model.eval()
    whole.eval()
    torch.testing.assert_close(model(batch(2, rank)), whole(batch(2, rank)), rtol=0, atol=1e-6)


def shards_together_are_the_whole(rank):
    """Their weights and their checkpoints; and each takes its part of a whole one."""
    model, whole = sharded(hardware=noisy())
    assert torch.equal(model.first.weight, whole.first.weight)
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    together(model, optimizer, range(3))
    folder = str(FOLDER / "checkpoint")
    checkpoint.save(model.state_dict(), checkpoint_id=folder)
    state = whole.state_dict()
    before = copy.deepcopy(state)
    checkpoint.load(state, checkpoint_id=folder, no_dist=True)
    assert len(model.state_dict()) < len(state)
    assert any(not torch.equal(before[name], value) for name, value in state.items())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    whole.load_state_dict(state)
    again, _ = sharded(hardware=noisy())
    again.load_state_dict(whole.state_dict())
    assert_same(model, again)
    other, _ = sharded(hardware=noisy(AnalogSGD()))
    with pytest.raises(mho.MhoError, match=r"first\.matrix is made of other hardware.*AnalogSGD here"):
        other.load_state_dict(model.state_dict())


def shards_record_as_the_whole(rank):
    """The factors of one process that has the whole mini-batch, noise of converters included."""
    for kind in (Network, Images):
        model, whole = sharded(kind, noisy())
        connection = parallel.connect(model, optimizer_of(model))
        for step in range(2):  # the second pass has other noise than the first
            for m in (model, whole):
                m.zero_grad()
            loss_of(model, step, rank).backward()
            x = torch.cat([batch(step, n) for n in range(RANKS)])
            (whole(x) - x[:, :3] * x[:, 3:]).square().mean().backward()
            connection.gather()
            named = dict(whole.named_modules())
            for name, block in model.named_modules():
                if isinstance(block, Block):
                    torch.testing.assert_close(block.weight.grad, named[name].weight.grad, rtol=0, atol=1e-6)
                    assert len(block.factors[0].x) == len(named[name].factors[0].x) >= 4 * RANKS


def shards_learn_as_the_whole(rank):
    """Given the same factors, bit for bit."""
    model, whole = sharded(hardware=noisy())
    optimizer = optimizer_of(model)
    connection = parallel.connect(model, optimizer)
    named = dict(whole.named_modules())
    for step in range(4):
        optimizer.zero_grad()
        loss_of(model, step, rank).backward()
        connection.gather()
        for name, block in model.named_modules():
            if isinstance(block, Block):
                for (number, call), (x, d) in block.learning.calls():
                    named[name].record(x.clone(), d.clone(), number + (call << 32))
        optimizer.step()
        for name, block in model.named_modules():
            if isinstance(block, Block):
                named[name].step(0.1)
                assert_same(block.state, named[name].state)
        parallel.assert_identical(model)


def shards_train_as_one_process(rank):
    """Perfect hardware: the weights of one process that has the whole mini-batch, output scales included."""
    for kind in (Network, Images):
        model, whole = sharded(kind)
        optimizer, other = optimizer_of(model), optimizer_of(whole)
        parallel.connect(model, optimizer)
        for step in range(5):
            optimizer.zero_grad()
            other.zero_grad()
            loss_of(model, step, rank).backward()
            optimizer.step()
            sum(loss_of(whole, step, n) / RANKS for n in range(RANKS)).backward()
            other.step()
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(value, whole.state_dict()[name], rtol=0, atol=1e-5)


def small_layers_stay_whole(rank):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    mho.convert_(model, noisy())
    parallel.shard_rows_(model)
    assert isinstance(model[0].matrix, parallel.RowShard) and model[2].matrix.rows == [(0, 3)]
    optimizer = optimizer_of(model)
    connection = parallel.connect(model, optimizer)
    together(model, optimizer, range(4))
    loss_of(model, 4, rank).backward()
    connection.gather()
    assert [len(model[n].matrix.layout.blocks[0].factors) for n in (0, 2)] == [1, RANKS]
    with pytest.raises(
        mho.MhoError, match=r"no matrix has a row of blocks for each of the 2 ranks.*has is 1"
    ):
        parallel.shard_rows_(nn.Sequential(model[2]))


def an_optimizer_made_before_sharding_is_an_error(rank):
    model = Network(EXACT)
    optimizer = optimizer_of(model)
    parallel.shard_rows_(model)
    with pytest.raises(mho.MhoError, match="trains blocks that the model does not have"):
        parallel.connect(model, optimizer)


def fsdp_shards_the_digital_parameters(rank):
    model, whole = sharded()
    mesh = dist.device_mesh.init_device_mesh("cpu", (RANKS,))
    fully_shard(model, mesh=mesh, ignored_params={*parallel.own_parameters(model).values()})
    optimizer, other = optimizer_of(model), optimizer_of(whole)
    parallel.connect(model, optimizer, mesh)
    assert isinstance(model.last.weight, torch.distributed.tensor.DTensor)
    assert isinstance(model.first.bias, torch.distributed.tensor.DTensor)
    for step in range(5):
        optimizer.zero_grad()
        other.zero_grad()
        loss_of(model, step, rank).backward()
        optimizer.step()
        sum(loss_of(whole, step, n) / RANKS for n in range(RANKS)).backward()
        other.step()
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            full = value.full_tensor() if hasattr(value, "full_tensor") else value
            torch.testing.assert_close(full, whole.state_dict()[name], rtol=0, atol=1e-5)


CHECKS = {
    f"equals_one_process[{name}-{n}]": equals_one_process(algorithm, n)
    for name, algorithm in ALGORITHMS.items()
    for n in (1, 2)
} | {
    check.__name__: check
    for check in (
        uneven_batches_too,
        images_of_convolutions,
        time_steps_of_recurrent_layers,
        the_update_is_that_of_one_process_with_these_factors,
        a_rank_without_a_layer,
        an_evaluation_on_one_rank,
        a_checkpoint_goes_on_in_one_process,
        clipping_after_gather,
        a_local_clip_scales_the_rank,
        a_scaler_skips_on_all_ranks,
        backward_after_gather_is_an_error,
        a_difference_is_named,
        nan_on_one_rank_stops_all,
        other_learning_rates_are_an_error,
        sparse_gradients_are_an_error,
        groups_that_do_not_fit_are_errors,
        ddp_equals_one_process,
        ddp_and_connect_may_both_average,
        ddp_accumulates_without_sync,
        a_wrapped_model_is_an_error,
        products_of_shards,
        shards_together_are_the_whole,
        shards_record_as_the_whole,
        shards_learn_as_the_whole,
        shards_train_as_one_process,
        small_layers_stay_whole,
        an_optimizer_made_before_sharding_is_an_error,
        fsdp_shards_the_digital_parameters,
    )
}


def work(rank, folder, names):
    """One of the two processes: {check: "" or what went wrong} in a file of its own."""
    global FOLDER
    FOLDER = Path(folder)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=120),
    )
    mho.deterministic(True)
    mho.set_threads(1)
    verdicts = {}
    for name in names:
        try:
            CHECKS[name](rank)
            verdicts[name] = ""
        except BaseException:
            verdicts[name] = traceback.format_exc()
        Path(folder, f"{rank}.json").write_text(json.dumps(verdicts))
        if verdicts[name]:
            return
    dist.destroy_process_group()
