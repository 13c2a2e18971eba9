"""Two hundred random configurations; `make fuzz` runs ten thousand, with every law."""

import collections

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mho
from fuzzing import Plan, examine, examples

DEVICES = [
    Plan(mho.Device, {}),
    Plan(mho.Device, {"sigma_c2c": 0.3, "dw_min": 0.01}),
    Plan(mho.Device, {"spread": {"gain": 0.3, "tau_max": 0.3}, "reference_std": 0.1, "dw_min": 0.05}),
    Plan(mho.Device, {"write_noise": 0.5, "corrupt": 0.1}),
]
"""Few laws, because each law and noise is compiled anew, which takes seconds."""


def test_random_configurations_train_or_are_refused():
    found = collections.Counter()

    @settings(
        max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(examples(st.sampled_from(DEVICES)))
    def run(example):
        found[examine(example), bool(example.poisoned)] += 1

    run()
    assert found["trains", False] > 60, found
    assert found["refused", True] > 20, found
