"""Training by several processes (ranks), each with its share of a mini-batch, see docs/parallel.md.

Either every rank holds the same arrays and applies the same update to them, or each holds some rows of them.

    connection   `connect`: the optimizer's step becomes one step of all ranks.
    rows         `shard_rows_`: the rows of a matrix are dealt out to the ranks.
    identity     `assert_identical`: the comparison of the arrays, the hardware and the keys of all ranks.
    parcel       the message of a rank to all others: tensors of any shapes and a note.
    digital      gradients of digital parameters, averaged in the order of one process.
    collectives  samples and outputs that change ranks, as operations of autograd.
    ranks        process groups and meshes.

Rules of this room:

* The ranks together give the bits of one process that has the whole mini-batch. Factors are gathered, not summed,
  and learned in the order (micro-batch, rank, call, sample).
* Noise depends on no rank: `Calls.rank` and `Calls.ranks` number the micro-batches as one process would.
* An error is raised on every rank, or on none, so that no rank waits for another that has stopped.
* Nothing here knows algorithms or tiles; blocks, their factors and their matrices are enough.

To add a way of sharing work: a module here, a script in tests/ranks with its checks, and a row in
tests/test_parallel.py, which starts the script on several processes. The checks compare bits with those of one
process.
"""

from mho.parallel.connection import Connection, connect
from mho.parallel.identity import assert_identical
from mho.parallel.rows import RowShard, own_parameters, shard_rows_

__all__ = ["Connection", "RowShard", "assert_identical", "connect", "own_parameters", "shard_rows_"]
