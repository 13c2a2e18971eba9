"""What goes wrong, and what is said about it."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn

import mho
from mho import parallel
from ranks.common import EXACT, RANKS, Network, check, loss_of, noisy, optimizer_of, together


@check
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


@check
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


@check
def other_learning_rates_are_an_error(rank):
    model = Network(noisy())
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    optimizer.param_groups[0]["lr"] = 0.1 + rank
    loss_of(model, 0, rank).backward()
    with pytest.raises(mho.MhoError, match=r"rates.* are .*\[0\.1.*\[1\.1"):
        optimizer.step()


@check
def sparse_gradients_are_an_error(rank):
    model = nn.Sequential(nn.Embedding(5, 6, sparse=True), mho.nn.AnalogLinear(6, 3, hardware=EXACT))
    for p in model.parameters():
        p.data.zero_()
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    model(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(mho.MhoError, match=r"gradient of '0\.weight' is sparse"):
        optimizer.step()


@check
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
