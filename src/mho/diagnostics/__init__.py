"""Diagnostics: the state of a model's arrays, the causes of a training that fails, and numbers to start from.

    mho.summary(model)                        # layers, sub-tiles, arrays, cells, bytes
    mho.pulse_report(model)                   # pulses, reads, clipped bit lines, saturated cells
    mho.diagnose(model, run, optimizer=...)   # findings, each with its numbers, its reason and a remedy
    mho.advise(hardware, (out, n_in))         # hyper-parameters, each with its formula and its reason

From the bottom to the top:

`arrays`      the measured state of each array of devices, one record each
`pulses`      its counters; `summary` a line for each layer
`pending`     the factors (x, d) that wait for the next step
`advice/`     hyper-parameters that follow from a device and a layer
`context`     one array, its sub-tile and the pending step: the input of a rule
`finding`     one finding, and the `Diagnosis` that prints them
`rules`       a function for each rule about an array, beside the text of its finding; `curve` those about a run
`figure`      a histogram of the cells of each array between their bounds
`diagnosis`   `diagnose`, which puts these together

The rule of this room: nothing here guesses what an algorithm is. Which array gets the gradient, which one holds
the weights, and which field is the learning rate stands in `Algorithm.roles`; which numbers an array has, in
`ArrayState`. Nothing here changes a model, and no random number is drawn.

A new finding is a `Cause` and a generator in `rules.py`, added to `RULES`: it yields `CAUSE.found(...)` where a
number passes a limit that is named at the top of the file. A test trains a network that is broken in this way, and
one that is healthy (tests/test_diagnose.py).
"""

from mho.diagnostics.arrays import ArrayState
from mho.diagnostics.diagnosis import diagnose
from mho.diagnostics.finding import Diagnosis, Finding

__all__ = ["ArrayState", "Diagnosis", "Finding", "diagnose"]
