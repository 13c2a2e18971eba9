"""Conformance suites: a class of your own is held to the same tests as those of the package."""

from mho.testing.responses import check_response

__all__ = ["check_response"]
