"""Conformance suites: a class of your own is held to the same tests as those of the package."""

from mho.testing.algorithms import check_algorithm
from mho.testing.members import algorithms, laws
from mho.testing.responses import check_response

__all__ = ["algorithms", "check_algorithm", "check_response", "laws"]
