"""The ground floor: errors, records, the names and files of records, and the provenance of a result.

Everything above imports from here, and nothing here imports torch.

`errors`      the one exception, `MhoError`, and `complaint`, which writes its sentence
`records`     `Record`, the base of all hyper-parameters: frozen, checked, with a `repr` that rebuilds it
`registry`    the records of this package by name, in any spelling and by the aliases of papers
`config`      records as plain data and back: config.json, `--config` and `--set`
`roles`       `Roles`, the declaration by which an algorithm says which array and which field is which
`files`       whole-file writes: a reader finds the old file or the new one, also after a kill
`stored`      files that others may have written: read up to a length, checked against a type
`flock`, `locks`   the lock of a file, and one process at a time in a folder
`cache`       the user's cache of compiled code: nothing from it is executed unchecked
`signals`     Ctrl-C and SIGTERM as `Interrupted`, between two steps
`sources`     the digest of the modules that a result depends on
`outside`     what a user's class reads besides its fields, for what is computed from it and kept
`tables`      tables for a terminal, in one look
`provenance`  versions, machine and commit, for the files of results

An error names the call, the wrong value, the rule and the remedy, in this order:

    raise complaint(f"Tile(w)", f"w has shape {shape}", "w must be a matrix (out, in)", "reshape it")

A new record is a class with annotated fields. Domains stand in the annotations, rules that join several fields in
`validate`:

    class Window(Record):
        width: Annotated[float, Positive] = 1.0     # must be finite and positive
        aliases = ("slit",)                         # a paper calls it so

It can be named in a file from then on, if its module has been imported by the reader. A class that is only the
base of others says `class Window(Record, named=False)`.

The rule of this room: no list of the classes above it, and no import from a string. What a file can name registers
itself.
"""

import time

LOADED = time.time_ns()
"""The time at which the package was loaded: sources that are younger are not those in memory."""
