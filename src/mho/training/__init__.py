"""Training runs: a specification, a loop that can be stopped and resumed, a folder, a comparison.

    spec = mho.training.RunSpec(hidden=(64,), epochs=3, hardware=mho.Crossbar())
    result = mho.training.train(spec, "runs/first")

The command `mho train` is this room with options. The modules, each of which imports from those above it:

    plan         the fields of a run with their texts; the options of `mho train` follow from them
    networks     the digital networks: fully connected ones, and the papers' LeNet
    spec         `RunSpec`: a plan on a crossbar, checked
    choice       a run by the names of its algorithm, response and device
    label        the configuration that each file of a run belongs to, and the differences of two
    folder       the files of a run, checked when they are read, and its lock
    session      model, optimizer, schedule and position, saved and restored as one
    loop         `train`: from a specification to a finished folder
    comparison   `compare`: several algorithms, several seeds, paired differences

Rules of the room. A run is a pure function of its `RunSpec`: the same record gives the same numbers, and a
resumed run gives the bits of one that was never stopped. Whatever the future depends on is in
`Session.state_dict`. A library error speaks Python, such as `train(where='gpu')`; the command line puts its
own words in their place.

To add a field: write it into `plan.RunPlan` with its domain and its text, and use it in `session`. It is then an
option of `mho train`, and stands in config.json. To add a network: write a function in `networks`, and its
name into the field `network`. To add a check that joins several fields: `RunSpec.validate`.

A training script of one's own can use the parts one by one, as the scripts in examples/ do: `RunFolder` for
files, `stop_signals` and `Interrupted` for Ctrl-C, `differences` for a folder that holds another run,
`provenance` for where numbers come from. The one list of public names is `__init__.pyi`; each is loaded when
it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
