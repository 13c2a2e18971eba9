"""Rows dealt out to the ranks."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import checkpoint
from torch.distributed.fsdp import fully_shard

import mho
from mho import parallel
from mho.algorithms import AnalogSGD
from mho.nn.core.block import Block
from ranks import common
from ranks.common import (
    EXACT,
    RANKS,
    Images,
    Network,
    Sequence,
    assert_same,
    batch,
    check,
    loss_of,
    noisy,
    optimizer_of,
    together,
)


def sharded(kind=Network, hardware=EXACT):
    """A model whose rows are dealt out, and the whole one."""
    model, whole = kind(hardware), kind(hardware)
    assert parallel.shard_rows_(model) is model
    return model, whole


@check
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


@check
def shards_together_are_the_whole(rank):
    """Their weights and their checkpoints; and each takes its part of a whole one."""
    model, whole = sharded(hardware=noisy())
    assert torch.equal(model.first.weight, whole.first.weight)
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    together(model, optimizer, range(3))
    folder = str(common.FOLDER / "checkpoint")
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


@check
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


@check
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


def assert_trains_alike(model, whole, optimizer, rank):
    """Perfect hardware: the weights of one process that has the whole mini-batch, output scales included."""
    other = optimizer_of(whole)
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


@check
def shards_train_as_one_process(rank):
    for kind in (Network, Images):
        model, whole = sharded(kind)
        optimizer = optimizer_of(model)
        parallel.connect(model, optimizer)
        assert_trains_alike(model, whole, optimizer, rank)


@check
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


@check
def an_optimizer_made_before_sharding_is_an_error(rank):
    model = Network(EXACT)
    optimizer = optimizer_of(model)
    parallel.shard_rows_(model)
    with pytest.raises(mho.MhoError, match="trains blocks that the model does not have"):
        parallel.connect(model, optimizer)


@check
def fsdp_shards_the_digital_parameters(rank):
    model, whole = sharded()
    mesh = dist.device_mesh.init_device_mesh("cpu", (RANKS,))
    fully_shard(model, mesh=mesh, ignored_params={*parallel.own_parameters(model).values()})
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer, mesh)
    assert isinstance(model.last.weight, torch.distributed.tensor.DTensor)
    assert isinstance(model.first.bias, torch.distributed.tensor.DTensor)
    assert_trains_alike(model, whole, optimizer, rank)
