"""What two processes do together; `test_parallel` starts them and reads their verdicts.

Each check is called by both. One that fails ends the run of its process, because the other may wait for it.
"""

import json
import os
import traceback
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

import mho
from ranks import between, common, rows, same, wrapped, wrong  # noqa: F401  their checks
from ranks.common import CHECKS, RANKS


def work(rank, folder, names):
    """One of the two processes: {check: "" or what went wrong} in a file of its own."""
    common.FOLDER = Path(folder)
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
