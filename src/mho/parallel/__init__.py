"""Training by several processes (ranks), each with its share of a mini-batch, see docs/parallel.md.

Either every rank holds the same arrays and applies the same update to them, or each holds some rows of them.
"""

from mho.parallel.connection import Connection, connect
from mho.parallel.identity import assert_identical
from mho.parallel.rows import RowShard, own_parameters, shard_rows_

__all__ = ["Connection", "RowShard", "assert_identical", "connect", "own_parameters", "shard_rows_"]
