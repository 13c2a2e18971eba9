"""What algorithms say about themselves: docstrings in parts, and that every published one has all of them."""

from typing import Annotated

import pytest

import mho
import mho.testing
from mho.base.records import Positive
from mho.cli.catalogue import algorithms, describe, first_clause, gaps, parse, sentences

TEXT = r"""One array does it. Two would not.

    P <- a
      + b

    W <- P

Prose goes on
over two lines.

Args:
    gain, loss: factors [relative], > 0.
        They multiply.
    slow: waits.
Hardware: one array,
    no memory.
Source: Doe, Front. Neurosci. 14 (2020). aihwkit: none
and more: here.

See also the end.
"""


class Toy(mho.Algorithm):
    __doc__ = TEXT
    gain: Annotated[float, Positive] = 0.5
    loss: float | None = None
    silent: bool = True


class Child(Toy):
    """A child.

    Args:
        extra: more.
        ghost: is not there.
    """

    extra: int = 1


class Bare(mho.Algorithm):
    rate: float = 1.0


def test_a_docstring_is_cut_into_its_parts():
    parts = parse(TEXT)
    assert parts.summary == "One array does it."
    assert parts.equations == "P <- a\n  + b\n\nW <- P"
    assert parts.prose == "Two would not.\n\nProse goes on over two lines.\n\nSee also the end."
    factors = "factors [relative], > 0. They multiply."
    assert parts.arguments == {"gain": factors, "loss": factors, "slow": "waits."}
    assert parts.hardware == "one array, no memory."
    assert parts.source == "Doe, Front. Neurosci. 14 (2020). aihwkit: none and more: here."


def test_sentences_end_at_full_stops_that_are_no_abbreviations():
    assert sentences("By A. Doe et al. In Nat. Commun. 15. The rest") == [
        "By A. Doe et al. In Nat. Commun. 15.",
        "The rest",
    ]
    assert first_clause("eqs. (10), (11). The paper") == "eqs. (10), (11)"
    assert first_clause("one array; a memory") == "one array"
    assert first_clause("") == ""


def test_fields_have_defaults_domains_and_texts():
    fields = {f.name: f for f in describe(Toy).fields}
    assert fields["gain"][1:3] == ("0.5", "positive")
    assert fields["loss"][1:3] == ("None", "a number or None")
    assert fields["silent"][1:] == ("True", "True or False", "", True)
    assert describe(mho.algorithms.ResidualLearning).fields[-1].domain == "'shared_adc' or 'separate'"


def test_inherited_fields_are_listed_with_the_text_of_their_class():
    fields = {f.name: f for f in describe(Child).fields}
    assert list(fields) == ["gain", "loss", "silent", "extra"]
    assert fields["gain"].text.startswith("factors") and not fields["gain"].declared
    assert fields["extra"].declared


def test_gaps_name_what_is_missing():
    assert gaps(describe(Toy)) == ["text for silent", "a field slow, which it explains"]
    assert gaps(describe(Child))[-1] == "a field ghost, which it explains"
    assert describe(Bare).summary == ""  # the signature that dataclasses give it is no docstring
    assert gaps(describe(Bare)) == ["summary", "equations", "hardware", "source", "text for rate"]


@pytest.mark.parametrize("algorithm", mho.testing.algorithms(), ids=lambda a: a.__name__)
def test_every_published_algorithm_explains_itself(algorithm):
    entry = describe(algorithm)
    assert gaps(entry) == []
    assert algorithms()[entry.name] is algorithm
    assert len(entry.summary) < 140 and entry.summary.endswith(".")
