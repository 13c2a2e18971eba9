"""Random hardware, built by hypothesis from the declared domains of every record, and what must hold of each.

    python tests/fuzzing.py --examples 10000 --seed 1     # `make fuzz`: every law and noise, a report at the end

A configuration is legal or holds one poisoned field. A layer of it may train: with finite numbers, within its
bounds, with counters that add up, with the same bits after a round trip, and under `mho.deterministic` for 1, 2
and 4 threads. Or it raises an `MhoError` that names what is wrong, with the model as it was before.
"""

import argparse
import collections
import copy
import functools
import json
import multiprocessing
import sys
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from rich.progress import track

import mho
from mho.base import config
from mho.base.records import field_rules
from mho.device.composed import ComposedCell
from mho.numerics.rng import child_key

NUMBERS = [0.0, 1e-6, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0, 1.5, 4.0, 60.0, -0.2, -1.0, None]
POISONS = [
    float("nan"),
    float("inf"),
    -float("inf"),
    1e39,
    1e-46,
    -1.0,
    10**400,
    2**70,
    "x",
    None,
    [],
    object(),
]


LAWS = 8
"""Devices a batch: each is compiled, which takes seconds, and then serves many configurations."""


class Plan(NamedTuple):
    """A record that is not made yet: its class and some of its fields."""

    cls: type
    fields: dict[str, Any]

    def made(self) -> Any:
        return self.cls(**{name: made(value) for name, value in self.fields.items()})


class Example(NamedTuple):
    """One configuration and the layer that is made of it."""

    hardware: Plan
    shape: tuple[int, int]
    batch: int
    key: int
    poisoned: str  # the field, or ""


def made(value: Any) -> Any:
    """Make the records of a plan, also inside of a tuple or a dict."""
    if isinstance(value, Plan):
        return value.made()
    if isinstance(value, tuple):
        return tuple(map(made, value))
    return {k: made(v) for k, v in value.items()} if isinstance(value, dict) else value


def concrete(base: type) -> list[type]:
    """Return the named records of this package below a base, in the order of their names."""
    below = {c for c in base.__subclasses__() for c in [c, *concrete(c)]}
    return sorted(
        (c for c in below if c.__module__.startswith("mho.") and c.is_named), key=lambda c: c.__name__
    )


def plain_value(kind: Any, domains: tuple, name: str) -> st.SearchStrategy | None:
    """Return a strategy for a number, a flag or a word in its domain; None for other fields."""
    options = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(options)
    if kind is bool:
        return st.booleans()
    if kind is str:
        return st.sampled_from(["SGD", "Adam"])
    if kind is int or int in options:
        kept = [n for n in (*range(9), 31, 40) if all(d.accepts(n) for d in domains)]
        return st.sampled_from([*kept, *([None] if type(None) in options else [])])
    if kind is float or float in options:
        kept = [v for v in NUMBERS if v is not None and all(d.accepts(v) for d in domains)]
        return st.sampled_from([*kept, *([None] if type(None) in options else [])])
    return None


@st.composite
def plans(draw, cls: type, fixed: dict[str, Any] | None = None, most: int = 4) -> Plan:
    """Draw a record: some fields from their domains, the others as declared."""
    given_fields = dict(fixed or {})
    rules = {n: plain_value(kind, domains, n) for n, (kind, domains) in field_rules(cls).items()}
    free = [n for n, s in rules.items() if s is not None and n not in given_fields]
    chosen = draw(st.lists(st.sampled_from(free), max_size=most, unique=True)) if free else []
    return Plan(cls, {**{n: draw(rules[n]) for n in chosen}, **given_fields})


@st.composite
def spreads(draw, law: Plan) -> dict[str, Any]:
    names = [n for n, (kind, _) in field_rules(law.cls).items() if kind is float] + ["gain"]
    kinds = [
        st.sampled_from([0.05, 0.3]),
        plans(mho.LogNormal, {"sigma": 0.2}),
        plans(mho.Absolute, {"sigma": 0.1}),
    ]
    chosen = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    return {n: draw(st.one_of(kinds)) for n in chosen}


@st.composite
def devices(draw) -> Plan:
    """Draw a device of any law with any noise."""
    laws = [c for c in concrete(mho.Response) if c.__name__ not in ("Piecewise", "Table")]
    law = draw(plans(draw(st.sampled_from(laws)), most=2))
    more: dict[str, Any] = {"response": law}
    if draw(st.booleans()):
        more["spread"] = draw(spreads(law))
    if draw(st.integers(0, 4)) == 0:
        more["retention"] = draw(plans(mho.Retention))
    return draw(plans(mho.Device, more, most=3))


@st.composite
def cells(draw, some_devices: st.SearchStrategy) -> Plan:
    """Draw a device, or a cell of several."""
    kind = draw(st.sampled_from([None, None, None, *concrete(ComposedCell)]))
    if kind is None:
        return draw(some_devices)
    one, other = draw(some_devices), draw(some_devices)
    fixed = {"devices": (one, other), "gammas": (1.0, 0.5)} if kind is mho.Vector else {"device": one}
    return draw(plans(kind, fixed))


@st.composite
def examples(draw, some_devices: st.SearchStrategy) -> Example:
    """Draw a configuration, one field of which may be poisoned."""
    pulses = draw(st.sampled_from([mho.Pulses, mho.Pulses, mho.Expected, mho.Exact]))
    parts = {
        "algorithm": draw(plans(draw(st.sampled_from(concrete(mho.algorithms.Algorithm))))),
        "device": draw(cells(some_devices)),
        "io": draw(st.one_of(st.none(), plans(mho.IO))),
        "pulses": draw(plans(pulses)),
        "mapping": draw(plans(mho.Mapping)),
        "count_cells": draw(st.booleans()),
    }
    poisoned = ""
    if draw(st.integers(0, 2)) == 0:
        part = draw(st.sampled_from([n for n, p in parts.items() if isinstance(p, Plan)]))
        names = [*field_rules(parts[part].cls)]
        if names:
            poisoned = draw(st.sampled_from(names))
            fields = {**parts[part].fields, poisoned: draw(st.sampled_from(POISONS))}
            parts[part] = parts[part]._replace(fields=fields)
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    return Example(
        Plan(mho.Crossbar, parts), shape, draw(st.integers(1, 5)), draw(st.integers(0, 2**64 - 1)), poisoned
    )


def examine(example: Example) -> str:
    """Return "trains" or "refused". Raises: AssertionError, or any error that is not an `MhoError`."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mho.nn.ConversionWarning)
        try:
            hardware = made(example.hardware)
            model = mho.nn.AnalogLinear(*example.shape[::-1], hardware=hardware, key=example.key)
        except mho.MhoError as error:
            if example.poisoned and is_legal(example):
                assert example.poisoned in str(error), f"no field is named: {error}"
            return refused(error)
    if not example.poisoned:
        assert config.from_dict(config.to_dict(hardware)) == hardware
    optimizer = mho.AnalogOptimizer(model, lr=0.05)
    try:
        for n in range(2):
            trained(model, optimizer, example, n)
    except mho.MhoError as error:
        return refused(error)
    check_state(model)
    twin = twin_of(model, hardware, example)
    states = [model.state_dict(), twin.state_dict()]
    assert_equal(*states)
    threads, ends = mho.get_threads(), []
    mho.deterministic(True)
    try:
        for n, start in ((1, twin), (2, copy.deepcopy(model)), (4, model)):
            mho.set_threads(n)
            trained(start, mho.AnalogOptimizer(start, lr=0.05), example, 2)
            ends.append(start.state_dict())
    except mho.MhoError as error:
        return refused(error)
    finally:
        mho.set_threads(threads)
        mho.deterministic(False)
    assert_equal(ends[0], ends[1])
    assert_equal(ends[0], ends[2])
    return "trains"


def is_legal(example: Example) -> bool:
    """Return whether the configuration makes a layer without its poisoned field."""
    parts = {
        name: Plan(part.cls, {n: v for n, v in part.fields.items() if n != example.poisoned})
        if isinstance(part, Plan)
        else part
        for name, part in example.hardware.fields.items()
    }
    try:
        made(Plan(mho.Crossbar, parts))
    except mho.MhoError:
        return False
    return True


def refused(error: mho.MhoError) -> str:
    """Check that an error names a call and says something. Return "refused"."""
    assert str(error).count("`") >= 2, error
    assert len(str(error)) > 30, error
    return "refused"


def trained(model: Any, optimizer: Any, example: Example, n: int) -> None:
    """Take a step. Raises: MhoError with the model as it was, but for a law that runs away."""
    generator = torch.Generator().manual_seed(child_key(example.key, f"batch {n}") % 2**63)
    x = torch.randn(example.batch, example.shape[1], generator=generator)
    optimizer.zero_grad()
    before = None
    try:
        y = model(x)
        assert torch.isfinite(y).all(), "an output is not finite"
        (y - 1).square().mean().backward()
        before = copy.deepcopy(model.state_dict())
        optimizer.step()
    except mho.MhoError as error:
        if before is not None and "the law drove cell" not in str(error):
            assert_equal(before, model.state_dict())
        raise


def twin_of(model: Any, hardware: Any, example: Example) -> Any:
    """Return a new layer with the state of the model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mho.nn.ConversionWarning)
        twin = mho.nn.AnalogLinear(*example.shape[::-1], hardware=hardware, key=example.key)
    twin.load_state_dict(copy.deepcopy(model.state_dict()))
    return twin


def check_state(model: Any) -> None:
    """Check that weights lie between their bounds, and that counts of cells add up to those of the array."""
    for tile in (part for part in model.modules() if isinstance(part, mho.Tile)):
        bounds = tile.parameters_of_cells
        clips = not isinstance(tile.pulses, mho.Exact)
        for low, high in ((bounds.lower, tile.cells), (tile.cells, bounds.upper)) if clips else ():
            assert (torch.as_tensor(low) <= torch.as_tensor(high)).all(), "a weight lies beyond its bounds"
        if tile.counts.numel():
            assert tuple(tile.counts.sum((1, 2)).tolist()) == tile.pulses_sent, "counters do not add up"


def assert_equal(one: dict, other: dict) -> None:
    """Check that two states are equal bit for bit."""
    assert one.keys() == other.keys()
    different = [n for n in one if not torch.equal(one[n].detach(), other[n].detach())]
    assert different == [], f"differ: {different}"


def batch(number: int, seed_: int, size: int, minimise: bool = False) -> dict[str, Any]:
    """Examine some configurations, which follow from two numbers; return their counts and the faults.

    minimise: end at the first fault, and raise it with the smallest example that hypothesis finds.
    """
    found: collections.Counter = collections.Counter()
    faults: list[str] = []

    def draws(most: int, from_: st.SearchStrategy) -> Callable:
        plain_settings = settings(
            max_examples=most, deadline=None, database=None, suppress_health_check=[*HealthCheck]
        )
        return lambda test: seed(1_000_000 * seed_ + number)(plain_settings(given(from_)(test)))

    pool: list[Plan] = []
    draws(LAWS, devices())(lambda device: pool.append(device))()

    @draws(size, examples(st.sampled_from(pool)))
    def run(example: Example) -> None:
        kind = "poisoned" if example.poisoned else "legal"
        try:
            found[f"{kind} {examine(example)}"] += 1
        except Exception as error:
            found[f"{kind} FAULT"] += 1
            faults.append(f"{type(error).__name__}: {error}\n{example}")
            if minimise:
                raise

    run()
    return {"batch": number, "seed": seed_, "size": size, "found": found, "faults": faults}


def main() -> None:
    """Run the fuzzer, batch by batch in processes of their own, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=200, help="configurations a batch")
    parser.add_argument("--report", type=Path, default=Path("build/fuzz.jsonl"), help="goes on with it")
    parser.add_argument("--minimise", type=int, metavar="BATCH", help="find the smallest fault of one batch")
    options = parser.parse_args()
    if options.minimise is not None:
        batch(options.minimise, options.seed, options.size, minimise=True)
        return
    lines = options.report.read_text().splitlines() if options.report.exists() else []
    done = [
        line
        for line in map(json.loads, lines)
        if line["seed"] == options.seed and line["size"] == options.size
    ]
    left = sorted({*range(-(-options.examples // options.size))} - {line["batch"] for line in done})
    options.report.parent.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        job = functools.partial(batch, seed_=options.seed, size=options.size)
        for line in track(pool.imap(job, left), f"{options.size} a batch", len(left)):
            done.append(line)
            with options.report.open("a") as report:
                report.write(json.dumps(line) + "\n")
    total = sum((collections.Counter(line["found"]) for line in done), collections.Counter())
    for kind, n in sorted(total.items()):
        print(f"{kind:16} {n}")
    faults = [(line["batch"], fault) for line in done for fault in line["faults"]]
    for number, fault in faults:
        print(f"batch {number}: {fault}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
