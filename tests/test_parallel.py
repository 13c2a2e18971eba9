"""Training by two processes: the same arrays on both, or rows dealt out, and the example."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mho
import ranks
from mho import parallel
from mho.nn.core.calls import Calls
from mho.tile.events import order
from ranks.common import EXACT, Network, optimizer_of

EXAMPLE = Path(__file__).parent.parent / "examples" / "data_parallel.py"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What both processes say about every check."""
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.multiprocessing.spawn(ranks.work, (str(folder), list(ranks.CHECKS)), nprocs=ranks.RANKS)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks.RANKS)]


@pytest.mark.slow
@pytest.mark.parametrize("check", ranks.CHECKS)
def test_two_processes(verdicts, check):
    found = [of_rank.get(check, "not reached, because another check failed") for of_rank in verdicts]
    assert not any(found), "\n".join(f"rank {rank}: {text}" for rank, text in enumerate(found) if text)


@pytest.mark.slow
def test_the_example_trains_and_its_ranks_agree():
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run([*command, str(EXAMPLE)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.findall(r"epoch \d: loss ([\d.]+), test accuracy ([\d.]+), 2 ranks agree", done.stdout)
    assert len(found) == 3, done.stdout
    losses, accuracies = zip(*(map(float, numbers) for numbers in found), strict=True)
    assert losses[2] < 0.5 * losses[0] and accuracies[2] > 0.8


# In one process.


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_ranks_number_their_passes_as_one_process_would(micro_batches):
    x = torch.zeros(1, 1)

    def passes(calls, n):
        """Numbers of n passes of two calls each."""
        found = []
        for _ in range(n):
            events = [calls.begin(x, True), calls.begin(x, True)]
            assert [order(event)[1] for event in events] == [0, 1]
            found += {order(event)[0] for event in events}
            calls.end()
            calls.end()
        return found

    one, ranked = Calls(), [Calls() for _ in range(3)]
    for rank, calls in enumerate(ranked):
        calls.rank, calls.ranks = rank, 3
    for _ in range(2):  # steps
        of_ranks = [passes(calls, micro_batches) for calls in ranked]
        assert passes(one, 3 * micro_batches) == [n for of_all in zip(*of_ranks, strict=True) for n in of_all]
        assert all(torch.equal(calls.count, one.count) for calls in ranked)


def test_without_a_process_group_the_fix_is_torchrun():
    model = Network(EXACT)
    optimizer = optimizer_of(model)
    for call in (
        lambda: parallel.connect(model, optimizer),
        lambda: parallel.shard_rows_(model),
        lambda: parallel.assert_identical(model),
    ):
        with pytest.raises(mho.MhoError, match=r"not connected with any other.*Fix: start .* with torchrun"):
            call()
    assert optimizer.exchange is None


def test_connect_names_an_argument_of_the_wrong_type():
    model = Network(EXACT)
    digital = torch.optim.SGD(model.last.parameters(), lr=0.1)
    with pytest.raises(mho.MhoError, match=r"^`connect\(model, optimizer\)`: an argument is of type SGD"):
        parallel.connect(model, digital)


def test_blocks_have_parameters_of_their_own():
    model = Network(EXACT)
    names = {re.sub(r"\d", "n", name) for name in parallel.own_parameters(model)}
    parts = ("first", "twice", "maybe")
    assert names == {f"{part}.matrix.blocks.n.{leaf}" for part in parts for leaf in ("weight", "out_scale")}
