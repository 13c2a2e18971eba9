"""Training by two processes: the same arrays on both, or rows dealt out, and the example."""

import json

import pytest
import torch.multiprocessing

import ranks


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What both processes say about every check."""
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.multiprocessing.spawn(ranks.work, (str(folder), list(ranks.CHECKS)), nprocs=ranks.RANKS)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks.RANKS)]


@pytest.mark.parametrize("check", ranks.CHECKS)
def test_two_processes(verdicts, check):
    found = [of_rank.get(check, "not reached, because another check failed") for of_rank in verdicts]
    assert not any(found), "\n".join(f"rank {rank}: {text}" for rank, text in enumerate(found) if text)
