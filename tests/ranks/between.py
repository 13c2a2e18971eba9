"""What comes between backward and step: clipping, scaling, gathering."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

import mho
from mho import parallel
from ranks.common import RANKS, Network, alone, assert_same, check, loss_of, noisy, optimizer_of, together


@check
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


@check
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


@check
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


@check
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
