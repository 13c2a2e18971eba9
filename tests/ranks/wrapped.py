"""DistributedDataParallel around the model."""

import contextlib

import pytest
from torch.nn.parallel import DistributedDataParallel as DDP

import mho
from mho import parallel
from ranks.common import EXACT, RANKS, Network, alone, assert_same, check, loss_of, noisy, optimizer_of


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


@check
def ddp_equals_one_process(rank):
    other = Network(noisy())
    alone(other, optimizer_of(other), range(6))
    assert_same(data_parallel(rank, 1, digital=False), other)


@check
def ddp_and_connect_may_both_average(rank):
    assert_same(data_parallel(rank, 1, digital=True), data_parallel(rank, 1, digital=False))


@check
def ddp_accumulates_without_sync(rank):
    """Sums of digital gradients have another order, so it is the same to rounding; EXACT has no thresholds."""
    model = data_parallel(rank, 2, digital=False)
    assert {m.calls.count[0].item() for m in model.modules() if hasattr(m, "calls")} == {6 * 4 - 1}


@check
def a_wrapped_model_is_an_error(rank):
    model = Network(EXACT)
    optimizer = optimizer_of(model)
    parallel.connect(model, optimizer)
    with pytest.raises(mho.MhoError, match="is wrapped in DistributedDataParallel"):
        parallel.connect(DDP(model), optimizer)
