"""Conformance suites, with which a class of your own is held to the same tests as those of the package.

    from mho.testing import check_algorithm, check_response

    def test_my_law():
        check_response(MyLaw)

    def test_my_algorithm():
        check_algorithm(MyAlgorithm)

Both take a class or an object with chosen parameters, and raise an AssertionError that says what failed and where.

`responses`   `check_response`: signs, bounds, symmetric points; numbers, tensors and compiled code agree
`algorithms`  `check_algorithm`: it trains, repeats, resumes, keeps to the verbs of an array, declares its roles
`bench`       the tile updates that are timed, with the numbers on which other programs must agree

`laws` and `algorithms` return all members of the package, for tests that run over all of them. They read the
registry (`mho.base.registry`), so that a new member is tested without an entry in any list. `_SMALL` in
`algorithms` holds the pace at which a published algorithm trains a layer of 24 weights: a new hyper-parameter whose
published value suits only large layers gets an entry there, by its role (`mho.base.roles.FIELDS`).

The rule of this room: a check names the class, the call, the value and the expectation in its message, takes fixed
keys, and has been seen to fail on a class that is broken on purpose (tests/test_algorithms.py,
tests/test_responses.py).
"""

import mho.algorithms
import mho.responses  # noqa: F401  both register their members
from mho.algorithms.base import Algorithm
from mho.base.registry import registered
from mho.responses.base import Response
from mho.testing.algorithms import check_algorithm
from mho.testing.responses import check_response

__all__ = ["algorithms", "check_algorithm", "check_response", "laws"]


def laws() -> list[type[Response]]:
    """Return all response laws of the package, by name."""
    return [*registered(Response).values()]


def algorithms() -> list[type[Algorithm]]:
    """Return all algorithms of the package, by name."""
    return [*registered(Algorithm).values()]
