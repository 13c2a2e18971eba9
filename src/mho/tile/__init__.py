"""A crossbar of cells: one array, the verbs that read and write it, and the arrays that are used like it.

    tile        `Tile`, an array of one device a cell, and its writing verbs: update, pulse, program, subtract.
                `new_tile` makes it, or the tile of a composed cell.
    readout     the product with lines and the reading of a line, once for all. `Visible.through` gives the matrix
                behind the wires, `drive` multiplies with it, `Readable` has forward, backward and read.
    written     the number of writes to an array, and those of torch code past its verbs.
    parameters  the parameters of cells by name, to get and set.
    events      the numbering of noise: the key, stream and event of each product and read, of tiles and layers.
    scratch     memory of the converters on the CPU.
    checks      rules of shape for arguments, and the complaints about them.
    arithmetic  updates without pulses (`Expected`, `Exact`).
    write_noise the noise that a write leaves in a cell.
    ageing      cells between two writes: age, drift, reset.
    tally       the counters of a tile, and `UpdateInfo`, the counts of one update.
    plane       `Plane`, an array that is written digitally.
    patches     the inputs of a convolution, cut out of images a few at a time.
    composed    `ComposedTile`, an array of cells of several devices; vector_cells and one_sided are its kinds.

Rules of this room:

* A tile knows nothing of algorithms, layers and autograd.
* A write to an array raises its version (`Visible.wrote`) and marks the lines in `touched`. Layers look at the
  version before each product. All verbs do both; after a write to `cells` by hand, call `refresh`.
* Noise is a pure function of (key, stream, event). A new use of randomness has a new stream.
* A product of an array goes through `Visible.drive`, and a read through `read_line`: nothing else multiplies.

To add a composed cell: a file with a record (`mho.device.composed.ComposedCell`) and its tile (a subclass of
`ComposedTile` with `_update`, `_pulse` and `_program`), a name in `mho/cells.py`, and a row in tests/test_cells.py.
To add a model of wires: a subclass of `mho.Wires` with `currents`; tests/test_readout.py shows where it is seen.
"""

from mho.tile.tally import Tally, UpdateInfo, total
from mho.tile.tile import Tile

__all__ = ["Tally", "Tile", "UpdateInfo", "total"]
