"""Advice: hyper-parameters that suit a device and a layer, each with its formula and its reason.

    for number in mho.advise(hardware, (256, 784), mho.algorithms.ResidualLearning()):
        print(number.field, number.name, number.text, number.formula, number.with_numbers, number.why)

`rules`     the formulas as text, in the order in which they follow from each other, with the reason of each
`formula`   reads such a text, and computes each number by the formula that is shown
`advisor`   `advise`: the numbers of a device, a layer and a `Setup`, put into the rules that concern an algorithm

Every number is for a nominal cell (no spread), for the largest sub-tile of the layer, and for steps that are
mini-batches unless the algorithm counts samples. Numbers marked as rules of thumb rest on the assumptions in
`Setup`, or on a few measurements that their reason names. They are a place to start a search, not an optimum.

The rule of this room: an algorithm is asked for its roles (`Algorithm.roles`, `Algorithm.setting`), never for
fields by name. The rules are written with the names of roles (`mho.base.roles.FIELDS`). Fields, names, formulas
and reasons then speak the algorithm's own names, so that `quick` that plays `fast_lr` has a `quick_limit`.

The first numbers are of the device alone (n_states, q_0, asymmetry_0); those of the layer and the fields follow.

Advice changes nothing and needs no model: a crossbar and the shape of a layer are enough.

A new number is a line `name [unit] = formula` in a text of `rules.py`, `~` in place of `=` for a rule of thumb,
with its reason on indented lines below, and a test that has it worked out by hand (tests/test_advice.py). A
formula may use the numbers before it and those that `advisor` gives: functions of the law (F, G), the device, the
tile, the setup.
"""

from mho.diagnostics.advice.advisor import Setup, advise
from mho.diagnostics.advice.formula import Advice

__all__ = ["Advice", "Setup", "advise"]
