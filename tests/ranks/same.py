"""The same arrays on every rank: trained as one process would, or not at all."""

import copy
import functools

from mho import parallel
from mho.nn.core.block import Block
from ranks.common import (
    ALGORITHMS,
    CHECKS,
    RANKS,
    Images,
    Network,
    Sequence,
    alone,
    assert_same,
    batch,
    both,
    check,
    loss_of,
    noisy,
    optimizer_of,
    together,
)


def equals_one_process(algorithm, micro_batches, rank):
    assert_same(*both(Network, noisy(algorithm), micro_batches=micro_batches))


CHECKS.update(
    {
        f"equals_one_process[{name}-{n}]": functools.partial(equals_one_process, algorithm, n)
        for name, algorithm in ALGORITHMS.items()
        for n in (1, 2)
    }
)


@check
def uneven_batches_too(rank):
    assert_same(*both(Network, noisy(), samples=(5, 2)))


@check
def time_steps_of_recurrent_layers(rank):
    assert_same(*both(Sequence, noisy(), steps=3, micro_batches=2, samples=(3, 2)))


@check
def images_of_convolutions(rank):
    assert_same(*both(Images, noisy(), micro_batches=2, samples=(3, 2)))


@check
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


@check
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


@check
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


@check
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
